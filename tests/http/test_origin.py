"""Other sites' pages cannot make a browser change or read anything here."""

from __future__ import annotations

import asyncio

import pytest
import websockets

from tests.http.site import Api, Site, check_problem, echo, sleeper


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1:1"])
def test_a_page_of_another_site_changes_nothing(api: Api, origin: str) -> None:
    before = api.get("/api/executions?limit=1").json()["items"]
    headers = {"origin": origin, "content-type": "text/plain"}  # what a page may send without asking first

    problem = api.problem("POST", "/execute", 403, "cross_origin", headers=headers, json={"pipeline": echo()})

    assert origin in problem["detail"]
    api.problem("POST", "/execute/batch", 403, "cross_origin", headers=headers, json={"executions": []})
    api.problem("DELETE", "/api/pipelines/market_research", 403, "cross_origin", headers=headers)
    assert api.get("/api/executions?limit=1").json()["items"] == before


@pytest.mark.parametrize("path", ["/health", "/api/executions", "/metrics"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil", "127.evil.example"])
def test_a_name_that_was_pointed_to_this_machine_reads_nothing(api: Api, path: str, host: str) -> None:
    api.problem("GET", path, 403, "cross_origin", headers={"host": host})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8700", "127.0.0.1", "[::1]:8700"])
def test_the_names_of_loopback_are_its_own(api: Api, host: str) -> None:
    assert api.get("/health", headers={"host": host}).status_code == 200


def test_its_own_pages_and_programs_may_change_what_they_like(api: Api, site: Site) -> None:
    for headers in ({"origin": site.url}, {}):
        answer = api.post("/execute", json={"pipeline": echo()}, headers=headers)
        assert answer.status_code == 202


def test_a_page_of_another_site_opens_no_websocket(api: Api, site: Site) -> None:
    execution_id = api.submit(sleeper())

    async def open_one() -> None:
        url = f"ws://{site.host}:{site.port}/progress/{execution_id}"
        async with websockets.connect(url, proxy=None, origin=websockets.Origin("https://evil.example")):
            raise AssertionError("it was opened")

    with pytest.raises(websockets.InvalidStatus) as refused:
        asyncio.run(open_one())
    assert refused.value.response.status_code == 403


def test_names_from_the_settings_are_its_own(api: Api, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"host": "flows.example", "origin": "https://flows.example"}
    check_problem(api.post("/execute", json={"pipeline": echo()}, headers=headers), 403, "cross_origin")

    own = site.door._server.config.app
    monkeypatch.setattr(own, "_named", frozenset([b"flows.example"]))
    monkeypatch.setattr(own, "_own", own._own | {b"flows.example"})  # type: ignore[union-attr]

    assert api.post("/execute", json={"pipeline": echo()}, headers=headers).status_code == 202
