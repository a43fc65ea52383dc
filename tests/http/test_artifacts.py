"""Fetching what executions produced: whole, in parts, again."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stagewright.server import answers
from stagewright.workers import content
from tests.http.site import Api

DEMO = Path(content.__file__).parent / "demo"


@pytest.fixture(scope="module")
def report(site: Any) -> dict[str, Any]:
    """The deliverable of the shipped pipeline on the shipped feeds."""
    with Api(base_url=site.url, timeout=20.0, trust_env=False) as api:
        parameters = {"topic": "energy storage", "sources": str(DEMO / "sources.opml")}
        answer = api.post("/execute", json={"template_name": "market_research", "parameters": parameters})
        execution = api.finished(answer.json()["execution_id"])
        assert execution["status"] == "completed", execution["error"]
        answers.ExecutionShown.model_validate(execution)
        listed = answers.ArtifactList.model_validate(
            api.get(f"/api/executions/{execution['execution_id']}/artifacts").json()
        )
        assert {item["artifact_id"] for item in execution["deliverables"]} <= {a.artifact_id for a in listed.items}
        page = next(item for item in listed.items if item.media_type.startswith("text/html"))
        return page.model_dump()


def test_a_deliverable_is_streamed_whole_with_its_checksum(api: Api, report: dict[str, Any]) -> None:
    answer = api.get(report["url"])

    assert answer.status_code == 200
    assert len(answer.content) == report["size_bytes"] == int(answer.headers["content-length"])
    assert "sha256:" + sha256(answer.content).hexdigest() == report["checksum"]
    assert answer.headers["etag"] == f'"{report["checksum"]}"'
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-disposition"].startswith(f'inline; filename="{report["name"]}"')
    assert "sandbox" in answer.headers["content-security-policy"]  # a report must not act as this server's page


def test_a_download_is_offered_as_a_file(api: Api, report: dict[str, Any]) -> None:
    answer = api.get(report["url"], params={"download": True})

    assert answer.headers["content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=100-", 100, None), ("bytes=-7", -7, None),
     ("bytes=0-999999999", 0, None), ("bytes=-999999999", 0, None)],
)  # fmt: skip
def test_a_part_is_what_the_range_says(
    api: Api, report: dict[str, Any], asked: str, start: int, end: int | None
) -> None:
    whole = api.get(report["url"]).content

    answer = api.get(report["url"], headers={"range": asked})

    assert answer.status_code == 206
    assert answer.content == whole[start:end]
    first = start % len(whole)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=-", "items=0-1", "bytes=0-1,4-5", "bytes=a-b"])
def test_a_range_that_is_none_gives_the_whole(api: Api, report: dict[str, Any], asked: str) -> None:
    answer = api.get(report["url"], headers={"range": asked})

    assert answer.status_code == 200 and len(answer.content) == report["size_bytes"]


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0"])
def test_a_part_outside_is_refused_with_the_size(api: Api, report: dict[str, Any], asked: str) -> None:
    answer = api.get(report["url"], headers={"range": asked})

    assert answer.status_code == 416 and answer.json()["code"] == "range_not_satisfiable"
    assert answer.headers["content-range"] == f"bytes */{report['size_bytes']}"


def test_what_a_client_has_is_not_sent_again(api: Api, report: dict[str, Any]) -> None:
    etag = api.get(report["url"]).headers["etag"]

    same = api.get(report["url"], headers={"if-none-match": etag})
    other = api.get(report["url"], headers={"range": "bytes=0-3", "if-range": '"another"'})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200


def test_artifacts_and_values_that_are_not_there_are_a_404(api: Api) -> None:
    api.problem("GET", "/api/artifacts/art_00000000000000000000000000", 404, "not_found")
    api.problem("GET", "/api/objects/sha256:" + "0" * 64, 404, "not_found")


def test_bytes_that_were_lost_are_a_clear_error_and_no_broken_answer(api: Api, site: Any) -> None:
    stage = {"id": "make", "worker": "probe", "action": "produce", "inputs": {"bytes": 1_500_001}}
    execution = api.finished(api.submit({"name": "lost_bytes", "stages": [stage]}))
    ref = execution["stages"][0]["data_ref"]
    digest = ref["storage_key"].removeprefix("sha256:")
    stored = next(site.runtime.settings.objects_path.rglob(digest))

    stored.unlink()

    problem = api.problem("GET", ref["url"], 500, "data_lost")
    assert "not there any more" in problem["detail"]
