"""Reading YAML 1.2 by its core schema (yaml.org/spec/1.2.2, §10.3): `no` and `on` are text.

Built on the events of ruamel.yaml, so that every value has its line, duplicate keys are seen and aliases cannot
multiply beyond a bound.
"""

from __future__ import annotations

import math
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from stagewright.definitions.read_json import DUPLICATES_MAX, NotReadable
from stagewright.definitions.words import Key, pointer
from stagewright.model.errors import Problem

YAML_BYTES_MAX = 2 * 1024 * 1024  # the parser takes seconds for more; larger documents are JSON
YAML_NODES_MAX = 250_000  # with every alias counted as often as it is used
YAML_DEPTH_MAX = 64

_INT = re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE_TAG = "tag:yaml.org,2002:"


class _Open:
    """A container that is being read. `key` is the pending key of a mapping, `line` that of the key."""

    __slots__ = ("anchor", "first_node", "key", "key_line", "lines", "place", "value")

    def __init__(self, value: Any, place: str, first_node: int, anchor: str | None) -> None:
        self.value = value
        self.place = place
        self.key: str | None = None
        self.key_line = 0
        self.lines: dict[Key, int] = {}
        self.first_node = first_node
        self.anchor = anchor


class YamlReader:
    """Reads one document; afterwards `value`, `problems` and `line_of` tell what was in it."""

    def __init__(self, text: str) -> None:
        self.value: Any = None
        self.problems: list[Problem] = []
        self._lines: dict[int, dict[Key, int]] = {}  # by the identity of the container that `value` keeps alive
        self._kept: list[Any] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # value and how many nodes it stands for
        self._nodes = 0
        self._documents = 0
        self._read(text)

    def line_of(self, keys: list[str]) -> int | None:
        """Return the line of the value that pointer keys lead to, or of the nearest container there is."""
        line = None
        value = self.value
        for key in keys:
            known = self._lines.get(id(value), {})
            step: Key = int(key) if isinstance(value, list) and key.isdigit() else key
            if step not in known:
                return line
            line = known[step]
            value = value[step]
        return line

    def _read(self, text: str) -> None:
        try:
            for event in YAML(typ="safe", pure=True).parse(text):
                self._take(event)
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or str(error).split("\n")[0]
            line = mark.line + 1 if mark is not None else None
            raise NotReadable(f"The text is no YAML: {str(reason)[:200]}.", line) from None
        except (ValueError, IndexError, KeyError, AttributeError, TypeError, AssertionError) as error:
            if isinstance(error, NotReadable):
                raise
            # The parser answers some malformed texts with an error of its own making instead of a YAMLError.
            raise NotReadable(f"The text is no YAML ({type(error).__name__}).", None) from None

    def _take(self, event: Event) -> None:
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            self._start({}, event)
        elif isinstance(event, SequenceStartEvent):
            self._start([], event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end()
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise NotReadable("The text holds more than one YAML document; keep one.", _line(event))

    def _count(self, nodes: int, event: Event) -> None:
        self._nodes += nodes
        if self._nodes > YAML_NODES_MAX:
            raise NotReadable(
                f"The document grows beyond {YAML_NODES_MAX} values (an alias counts as often as it is used); "
                "make it smaller.",
                _line(event),
            )

    def _scalar(self, event: ScalarEvent) -> None:
        self._count(1, event)
        here = self._open[-1] if self._open else None
        if here is not None and isinstance(here.value, dict) and here.key is None:
            self._key(here, event)
            return
        value = self._resolve(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(value, _line(event))

    def _key(self, here: _Open, event: ScalarEvent) -> None:
        line = _line(event)
        key = event.value
        if key in here.value and len(self.problems) < DUPLICATES_MAX:
            first = here.lines[key]
            detail = f"The key stands twice in one object, first in line {first}; keep one."
            self.problems.append(Problem(detail, pointer(here.place, key), line))
        here.key, here.key_line = key, line
        if event.anchor is not None:
            self._anchors[event.anchor] = (key, 1)

    def _resolve(self, event: ScalarEvent) -> Any:
        tag = str(event.tag) if event.tag is not None else None
        if tag is not None and tag != "!" and not tag.startswith(_CORE_TAG):
            self.problems.append(Problem(f"The tag {tag[:60]} is not known; remove it.", self._place(), _line(event)))
        text: str = event.value
        is_text = tag in ("!", _CORE_TAG + "str")
        if is_text or (event.style is not None and tag is None):
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INT.fullmatch(text):
            return int(text, 0 if text[:2] in ("0o", "0x") else 10)
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        if _FLOAT.fullmatch(text) or _NO_NUMBER.fullmatch(text):
            detail = f"JSON has no number {text[:40]}; write a number or null, or put it in quotes."
            self.problems.append(Problem(detail, self._place(), _line(event)))
            return None
        return text

    def _start(self, value: Any, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._count(1, event)
        if len(self._open) >= YAML_DEPTH_MAX:
            raise NotReadable(f"The nesting is deeper than {YAML_DEPTH_MAX}; make it flatter.", _line(event))
        self._forbid_as_key(event)
        self._open.append(_Open(value, self._place(), self._nodes, event.anchor))
        self._open[-1].key_line = _line(event)

    def _end(self) -> None:
        done = self._open.pop()
        self._lines[id(done.value)] = done.lines
        self._kept.append(done.value)
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, self._nodes - done.first_node + 1)
        self._put(done.value, done.key_line if not self._open else self._line_here(done))

    def _line_here(self, done: _Open) -> int:
        parent = self._open[-1]
        return parent.key_line if isinstance(parent.value, dict) else self._first_line(done)

    @staticmethod
    def _first_line(done: _Open) -> int:
        return min(done.lines.values(), default=done.key_line)

    def _alias(self, event: AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise NotReadable(
                f"The alias *{event.anchor} has no anchor before it, or stands inside it; add one.", _line(event)
            )
        value, nodes = self._anchors[event.anchor]
        self._count(nodes, event)
        here = self._open[-1] if self._open else None
        if here is not None and isinstance(here.value, dict) and here.key is None:
            if not isinstance(value, str):
                raise NotReadable("A key of an object must be text.", _line(event))
            here.key, here.key_line = value, _line(event)
            return
        self._put(value, _line(event))

    def _put(self, value: Any, line: int) -> None:
        if not self._open:
            self.value = value
            return
        here = self._open[-1]
        if isinstance(here.value, list):
            here.lines[len(here.value)] = line
            here.value.append(value)
            return
        assert here.key is not None
        here.lines.setdefault(here.key, here.key_line)
        here.value[here.key] = value
        here.key = None

    def _place(self) -> str:
        if not self._open:
            return "#"
        here = self._open[-1]
        return pointer(here.place, len(here.value) if isinstance(here.value, list) else here.key or "")

    def _forbid_as_key(self, event: Event) -> None:
        here = self._open[-1] if self._open else None
        if here is not None and isinstance(here.value, dict) and here.key is None:
            raise NotReadable("A key of an object must be text, found a list or an object.", _line(event))


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1
