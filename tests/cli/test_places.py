"""A folder or an address that cannot be used is a mistake in the settings, which says how to mend it."""

from __future__ import annotations

import pytest

from tests.cli.command import Place


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        (("--data", "/proc/nope"), "data"),
        (("--data", "file.txt/deeper"), "data"),
        (("--database", "sqlite:///"), "database"),
        (("--database", "sqlite:///."), "database"),
        (("--database", "sqlite:////proc/nope/x.db"), "database"),
        (("--objects", "file://"), "objects"),
    ],
)
def test_a_place_that_cannot_be_used_is_a_usage_error(place: Place, options: tuple[str, str], setting: str) -> None:
    place.file("file.txt", "not a folder")

    said = place.call("up", "--port", "0", *options)

    assert said.code == 2, said
    assert setting in said.err and "bug" not in said.err and "Traceback" not in said.err
