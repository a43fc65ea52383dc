"""Idempotency keys and traces as they stand in headers."""

from __future__ import annotations

import pytest

from stagewright.app.clock import SystemChance
from stagewright.model.errors import Malformed
from stagewright.server.body import is_suspicious, key_of
from stagewright.server.problem import trace_id_of


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b'"abc"', "abc"),
        (b"abc", "abc"),
        (b'  "a b"  ', "a b"),
        (rb'"a\"b\\c"', 'a"b\\c'),
        (b"550e8400-e29b", "550e8400-e29b"),
    ],
)
def test_a_key_is_a_quoted_string_or_bare(value: bytes, key: str) -> None:
    assert key_of({"headers": [(b"idempotency-key", value)]}) == key


@pytest.mark.parametrize(
    "value", [b"", b'""', b'"', b'"a', b'a"', b"a b", b'"\x01"', b'"' + b"a" * 256 + b'"', rb'"a\b"']
)
def test_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(Malformed, match="Idempotency-Key"):
        key_of({"headers": [(b"idempotency-key", value)]})


def test_no_header_is_no_key() -> None:
    assert key_of({"headers": [(b"host", b"x")]}) is None


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        (b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", True),
        (b"cc-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01-more", True),
        (b"ff-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", False),
        (b"00-" + b"0" * 32 + b"-" + b"b" * 16 + b"-01", False),
        (b"00-" + b"a" * 32 + b"-" + b"0" * 16 + b"-01", False),
        (b"00-" + b"A" * 32 + b"-" + b"b" * 16 + b"-01", False),
        (b"hello", False),
    ],
)
def test_a_trace_is_taken_from_a_valid_traceparent_only(value: bytes, is_taken: bool) -> None:
    trace_id = trace_id_of({"headers": [(b"traceparent", value)]}, SystemChance())

    assert (trace_id == "a" * 32) is is_taken
    assert len(trace_id) == 32 and int(trace_id, 16)


@pytest.mark.parametrize(
    ("raw", "is_looked_into"),
    [
        (b'{"a": 1}', False),
        (b'{"a": NaN}', True),
        (b'{"a": 1e400}', True),
        (b'{"a": "\\u0000"}', True),
        (b'{"a": 1e5}', False),
    ],
)
def test_only_suspicious_bodies_are_looked_into_twice(raw: bytes, is_looked_into: bool) -> None:
    assert is_suspicious(raw) is is_looked_into
