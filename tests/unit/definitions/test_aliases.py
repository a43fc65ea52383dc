"""Other names of workers and pipelines: what exists is itself, and nothing is guessed between two."""

from __future__ import annotations

import pytest

from stagewright.definitions.aliases import Aliases, mistake_in

KNOWN = ("probe", "content-granulator", "rss_finder", "bitware-special", "a-b_c", "a_b-c")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("probe", "probe"),
        ("bitware-content-granulator", "content-granulator"),
        ("bitware-content_granulator", "content-granulator"),
        ("content_granulator", "content-granulator"),
        ("rss-finder", "rss_finder"),
        ("bitware-special", "bitware-special"),
        ("a_b-c", "a_b-c"),
        ("a_b_c", None),
        ("bitware-", None),
        ("Probe", None),
    ],
)
def test_the_shipped_aliases_of_workers(name: str, meant: str | None) -> None:
    assert Aliases().worker(name, KNOWN) == meant


def test_own_aliases_come_first_and_may_take_shipped_ones_away() -> None:
    aliases = Aliases({"old-*": "new-*-x", "echo": "probe", "bitware-*": ""})

    assert list(aliases.of("old-a_pipeline")) == ["new-a_pipeline-x", "old-a"]
    assert aliases.worker("echo", KNOWN) == "probe"
    assert aliases.worker("bitware-content-granulator", KNOWN) is None


def test_an_agent_is_another_name_of_its_worker_but_never_of_one_that_is_there() -> None:
    aliases = Aliases()
    aliases.agents |= {"scanner": "probe", "rss_finder": "probe"}

    assert aliases.worker("scanner", KNOWN) == "probe"
    assert aliases.worker("rss_finder", KNOWN) == "rss_finder"


def test_a_pipeline_may_be_called_with_pipeline_behind_its_name() -> None:
    assert list(Aliases().of("market_research_pipeline")) == ["market_research"]
    assert list(Aliases().of("market_research")) == []


def test_an_alias_that_cannot_be_meant_is_named() -> None:
    assert mistake_in("a*", "*") is None
    assert mistake_in("a", "") is None
    assert mistake_in("a*", "b") is None
    for left, right in (("", "a"), ("a*b*", "*"), ("a", "*")):
        assert mistake_in(left, right)
