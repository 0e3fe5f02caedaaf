"""Fixtures that every test may use: the two kinds of ClickHouse and an empty, migrated database on each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from clickhouse_server import ClickHouseServer

from collector.migrate import migrate
from collector.store import Store

ENGINES = ("chdb", "server")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write what views answer now into the golden files")


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server: the one of FOOTFALL_TEST_CLICKHOUSE, or one of our own for each pytest process."""
    given = os.environ.get("FOOTFALL_TEST_CLICKHOUSE")
    if given:
        yield given.rstrip("/")
        return
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(scope="session")
def chdb_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one chDB data directory of this pytest process: the engine allows no second one."""
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture(params=ENGINES)
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """The DSN of a database that does not exist yet, on each engine in turn. It is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    if request.param == "chdb":
        address = f"chdb://{request.getfixturevalue('chdb_path')}?database={name}"
    else:
        address = f"{request.getfixturevalue('clickhouse_url')}/{name}"
    yield address
    with closing(Store(address)) as store:
        store.command(f"DROP DATABASE IF EXISTS {name} SYNC")


@pytest.fixture
def store(dsn: str) -> Iterator[Store]:
    """An empty database with all tables and views, on each engine in turn."""
    with closing(Store(dsn)) as opened:
        migrate(opened)
        yield opened
