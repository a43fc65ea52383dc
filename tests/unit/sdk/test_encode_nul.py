"""NUL characters: the one thing that JSON can write and databases cannot keep."""

from __future__ import annotations

import pytest

from stagewright.sdk.encode import NotJson, encode_json


@pytest.mark.parametrize(
    ("value", "path"), [({"a": ["x", "b\0c"]}, "$.a[1]"), ({"k\0": 1}, "$['k\\x00']"), ("\0", "$")]
)
def test_a_nul_character_is_refused_with_its_place(value: object, path: str) -> None:
    with pytest.raises(NotJson) as caught:
        encode_json(value)

    assert caught.value.path == path
    assert "NUL" in caught.value.problem


def test_text_that_only_looks_like_an_escaped_nul_is_kept() -> None:
    assert encode_json({"a": "\\u0000"}) == b'{"a":"\\\\u0000"}'
