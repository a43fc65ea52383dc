"""Two commands from nothing to a report worth reading, on feeds that ship and on one's own."""

from __future__ import annotations

import time
from pathlib import Path

from tests.cli.command import Place

DEMO_MAX_S = 15.0

FEED = """\
<?xml version="1.0"?>
<rss version="2.0"><channel><title>Own feed</title><link>https://example.org/</link>
<item><title>Heat pumps outsell boilers</title><link>https://example.org/1</link>
<description>Sales of heat pumps rose again as prices of heat pumps fell.</description>
<pubDate>Mon, 16 Nov 2026 08:00:00 GMT</pubDate></item>
<item><title>A recipe for bread</title><link>https://example.org/2</link>
<description>Flour, water, salt and time.</description></item>
</channel></rss>
"""


def test_the_demo_writes_a_report_says_what_is_next_and_can_be_repeated(place: Place) -> None:
    # given a folder with nothing in it, and no way to a network
    no_network = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    begun = time.monotonic()
    # when the demo is asked for
    said = place.call("demo", **no_network)
    # then it ends well and soon, and stdout has the paths of the report
    assert said.code == 0, said.err
    assert time.monotonic() - begun < DEMO_MAX_S
    page, text = map(Path, said.out.split())
    assert page.name == "report.html" and "grid battery storage" in page.read_text(encoding="utf-8")
    assert text.name == "report.md" and text.read_text(encoding="utf-8").startswith("# ")
    # and one sees each stage go by, and three things to do next
    for stage in ("sources", "fetch", "classify", "report"):
        assert f"✓ {stage} completed" in said.err
    assert str(page) in said.err and "stagewright run market_research" in said.err
    execution_id = page.parent.name
    assert f"stagewright executions get {execution_id}" in said.err
    # when it is done again, it makes another one beside the first
    again = place.call("demo", "--json", "-q")
    assert again.code == 0 and again.json["status"] == "completed" and again.err == ""
    assert again.json["execution_id"] != execution_id
    assert {item["name"] for item in again.json["deliverables"]} == {"report.html", "report.md"}
    assert all(Path(item["path"]).stat().st_size == item["size_bytes"] for item in again.json["deliverables"])
    # and what it advises works without a server, and every invariant holds
    assert place.ask("executions", "get", execution_id, "--json").json["status"] == "completed"
    assert place.ask("doctor").code == 0


def test_own_feeds_as_a_file_and_as_a_folder_give_reports(place: Place) -> None:
    # given a feed of one's own, named by relative paths
    place.file("feeds/own.xml", FEED)
    for sources in ("feeds/own.xml", "feeds"):
        # when the pipeline is run on it
        said = place.call(
            "run", "market_research", "-p", "topic=heat pumps", "-p", f"sources={sources}", "--json", "-q"
        )
        # then the report tells of the article that is on the topic
        assert said.code == 0, said.err + said.out
        paths = {item["name"]: Path(item["path"]) for item in said.json["deliverables"]}
        assert "Heat pumps outsell boilers" in paths["report.html"].read_text(encoding="utf-8")
        assert "Heat pumps outsell boilers" in paths["report.md"].read_text(encoding="utf-8")
        assert paths["report.md"].parent == place.data / "deliverables" / said.json["execution_id"]
    # and elsewhere if asked for
    said = place.call("run", "market_research", "-p", "topic=bread", "-p", "sources=feeds", "-o", "out", "-q")
    assert said.code == 0 and said.out.split() == [
        str(place.folder / "out" / name) for name in ("report.html", "report.md")
    ]
