"""One server for the tests of a process: they share it as clients share a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.site import Api, Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    site.start()
    yield site
    site.stop()


@pytest.fixture
def api(site: Site) -> Iterator[Api]:
    with Api(base_url=site.url, timeout=20.0, trust_env=False) as client:
        yield client
