"""A worker is tested without a server: `pytest test_greeter.py`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from greeter import greeter

from stagewright.sdk import Terminal
from stagewright.sdk.harness import run_handler


def test_everybody_is_greeted_and_stands_in_the_file(tmp_path: Path) -> None:
    done = asyncio.run(run_handler(greeter, "greet_all", {"names": ["Ada", "Grace"]}, tmp_path))
    assert done.output["greeted"] == 2
    assert done.artifacts["greetings.txt"].read_text() == "Hello Ada\nHello Grace\n"
    assert done.progress[-1] == (1.0, "greeted Grace")


def test_a_person_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="name: expected a text"):
        asyncio.run(run_handler(greeter, None, {}, tmp_path))
