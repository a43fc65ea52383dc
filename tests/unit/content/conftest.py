"""Fixtures of the tests of the content workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.content.support import FolderContext, Site


@pytest.fixture
def ctx(tmp_path: Path) -> FolderContext:
    folder = tmp_path / "attempt"
    folder.mkdir()
    return FolderContext(folder)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()
    yield site
    site.close()
