"""What is counted can be scraped, and the counts are those of the engine."""

from __future__ import annotations

import re

from tests.http.site import Api, echo

SAMPLE = re.compile(r"(stagewright_[a-z_]+)(?:\{[a-z_]+=\"[^\"]*\"\})? (\d+)")


def scraped(api: Api) -> dict[str, int]:
    answer = api.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    found: dict[str, int] = {}
    lines = answer.text.splitlines()
    for help_line, type_line, line in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        name, kind = sample[1], "counter" if sample[1].endswith("_total") else "gauge"
        assert help_line.startswith(f"# HELP {name} ") and type_line == f"# TYPE {name} {kind}"
        found[name] = int(sample[2])
    return found


def test_counters_rise_with_what_is_done(api: Api) -> None:
    before = scraped(api)
    api.finished(api.submit(echo()))
    after = scraped(api)

    assert after["stagewright_build_info"] == 1
    for name in ("decisions", "flushes", "rows_written"):
        assert after[f"stagewright_{name}_total"] > before[f"stagewright_{name}_total"]


def test_detailed_health_names_every_part(api: Api) -> None:
    checks = api.get("/health/detailed").json()["checks"]

    assert list(checks) == ["database", "objects", "bus", "workers", "llm", "disk"]
    assert checks["llm"]["detail"] == "not configured" and checks["bus"]["status"] == "pass"
