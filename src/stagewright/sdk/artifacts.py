"""What an artifact may be called and what it may claim to be."""

from __future__ import annotations

import re

from stagewright.sdk.outcome import Terminal

NAME_CHARS_MAX = 200
MEDIA_TYPE_CHARS_MAX = 200

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]+")
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(\s*;\s*{_TOKEN}=({_TOKEN}|\"[\x20\x21\x23-\x7e]*\"))*")  # RFC 9110 §8.3.1


def check_artifact(name: str, media_type: str) -> None:
    """Raise Terminal `bad_artifact` for a name that is no file name or a media type that is none."""
    is_name = isinstance(name, str) and len(name) <= NAME_CHARS_MAX and _NAME.fullmatch(name)
    if not is_name or name.strip(" .") == "":
        text = f"the name of an artifact has 1 to {NAME_CHARS_MAX} characters, no slash and no control character"
        raise Terminal(f"{text}: {str(name)[:80]!r}", code="bad_artifact")
    is_type = isinstance(media_type, str) and len(media_type) <= MEDIA_TYPE_CHARS_MAX
    if not is_type or not _MEDIA_TYPE.fullmatch(media_type):
        text = f"the media type of artifact {name!r} is like text/html or text/html; charset=utf-8"
        raise Terminal(f"{text}: {str(media_type)[:80]!r}", code="bad_artifact")
