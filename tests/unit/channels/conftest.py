"""A channel over the sample workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.channels.support import SAMPLES, SETTINGS, Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, SETTINGS, [SAMPLES])
    await bench.channel.start(bench.box)
    yield bench
    await bench.channel.stop()
