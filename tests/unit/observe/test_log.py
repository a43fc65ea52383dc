"""Log lines made from events."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import Any

import pytest

from stagewright.observe import log as log_module
from stagewright.observe.log import Log, start_log

AT = 1_763_717_400_000_000  # 2025-11-21T09:30:00Z


def event(kind: str, stage: str | None = None, **data: Any) -> dict[str, Any]:
    where = {} if stage is None else {"stage_id": stage, "step": stage, "attempt": 2}
    return {"seq": 1, "type": kind, "at": AT, **where, "data": data}


def lines(*events: dict[str, Any], verbose: bool = True, as_json: bool = True) -> list[str]:
    stream = io.StringIO()
    log = Log(stream, verbose=verbose, as_json=as_json)
    log.on_events("exec_1", list(events))
    log.close()
    return stream.getvalue().splitlines()


WAY = (
    event("execution.created", pipeline="demo", version=3, priority="normal", client_id=None, stages=2),
    event("execution.admitted", estimate={"cost_usd": 0.02}, reserved={"openai_api": 2000}),
    event("execution.started"),
    event("stage.started", "fetch", worker="feed-fetcher"),
    event("handshake.accepted", "fetch", worker_id="w-1"),
    event("stage.progress", "fetch", progress=0.5, message="10 of 20"),
    event("stage.completed", "fetch", duration_ms=12.5, output_bytes=70),
    event("execution.completed", duration_ms=20.0),
)


def test_the_way_of_an_execution_can_be_read() -> None:
    found = [json.loads(line) for line in lines(*WAY)]

    assert [line["event"] for line in found] == [one["type"] for one in WAY]
    assert all(line["execution"] == "exec_1" and line["pipeline"] == "demo@3" for line in found)
    assert found[0]["state"] == "queued" and found[0]["time"] == "2025-11-21T09:30:00.000Z"
    assert found[1]["template_resolved"] == "demo@3" and found[1]["picked_up"] is True
    assert found[1]["estimated"] == {"cost_usd": 0.02} and found[1]["reserved"] == {"openai_api": 2000}
    assert found[2]["state"] == "running" and found[3]["state"] == "processing"
    assert (found[4]["worker_id"], found[5]["progress"], found[5]["message"]) == ("w-1", 0.5, "10 of 20")
    assert (found[6]["stage"], found[6]["attempt"], found[6]["duration_ms"]) == ("fetch", 2, 12.5)
    assert found[7]["duration_ms"] == 20.0


def test_text_lines_are_keys_and_values_that_can_be_taken_apart() -> None:
    line = lines(event("stage.progress", "fetch", progress=0.25, message='said "half"'), as_json=False)[0]

    assert line == (
        "time=2025-11-21T09:30:00.000Z level=info event=stage.progress execution=exec_1 stage=fetch attempt=2 "
        'progress=0.25 message="said \\"half\\""'
    )


def test_without_v_only_trouble_is_told() -> None:
    error = {"code": "timeout", "message": "no answer", "type": "timeout", "trace": "Traceback ..."}
    trouble = (
        event("stage.retrying", "a", error=error, failures=1),
        event("worker.lost", "a", reason="gone"),
        event("stage.failed", "a", error=error),
        event("execution.failed", error=error),
    )

    found = [json.loads(line) for line in lines(*WAY, *trouble, verbose=False)]

    assert [(line["level"], line["event"]) for line in found] == [
        ("warning", "stage.retrying"), ("warning", "worker.lost"), ("warning", "stage.failed"),
        ("error", "execution.failed"),
    ]  # fmt: skip
    assert found[2]["code"] == "timeout" and "Traceback" not in str(found)


def test_payloads_are_never_logged() -> None:
    found = lines(event("stage.completed", "a", summary={"secret": "s3cret"}, output={"secret": "s3cret"}))

    assert "s3cret" not in found[0]


def test_what_libraries_log_has_the_same_form(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    stream = io.StringIO()
    log = start_log(stream, verbose=False)

    logging.getLogger("library").warning("disk %s", "slow")
    logging.getLogger("library").info("not told")
    try:
        raise ValueError("bad")
    except ValueError as error:
        logging.getLogger("mine").error("request.failed", exc_info=error, extra={"fields": {"trace_id": "t"}})
    log.close()

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["level"], first["event"], first["message"]) == ("warning", "library", "disk slow")
    assert (second["event"], second["trace_id"], second["error"]) == ("request.failed", "t", "ValueError: bad")
    assert "Traceback" in second["trace"]


def test_a_reader_that_takes_nothing_holds_nobody_up_and_is_told_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_module, "QUEUED_LINES_MAX", 3)
    stream = StuckStream()
    log = Log(stream, verbose=True, as_json=False)
    log.on_events("exec_1", [event("execution.started")])
    assert stream.is_asked.wait(10)  # the writer is in the hands of the reader now

    log.on_events("exec_1", [event("execution.started")] * 10)
    stream.goes_on.set()
    log.close()

    assert stream.getvalue().count("event=execution.started") == 4
    assert "event=log.dropped lines=7" in stream.getvalue()


def test_a_stream_that_is_closed_stops_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    log = Log(stream, verbose=True, as_json=True)

    log.on_events("exec_1", [event("execution.started")])
    log.close()
    log.close()


class StuckStream(io.StringIO):
    """A pipe whose reader takes nothing until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked, self.goes_on = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.is_asked.set()
        assert self.goes_on.wait(10)
        return super().write(text)
