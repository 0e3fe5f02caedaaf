"""One real collector for all tests of the HTTP edge; each test brings a source or message ids of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import Serving, serving


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("http") / "data") as running:
        yield running
        log = running.log()
    assert "Traceback" not in log, log
    assert "a request failed" not in log
