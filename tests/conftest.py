"""Fixtures that every test may use: the two kinds of ClickHouse and an empty, migrated database on each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from clickhouse_server import USERS, ClickHouseServer
from databases import Databases

from collector.database.store import Store

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
    directory = tmp_path_factory.mktemp("clickhouse")
    config = directory / "config.xml"
    config.write_text(f"<clickhouse><users_config>{USERS}</users_config></clickhouse>")
    server = ClickHouseServer(directory, config)
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(scope="session")
def chdb_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one chDB data directory of this pytest process: the engine allows no second one."""
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Those of this pytest process."""
    made = Databases()
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest) -> str:
    """Where databases can be, on each engine in turn: a DSN without the name."""
    if request.param == "chdb":
        return f"chdb://{request.getfixturevalue('chdb_path')}?database={{name}}"
    return f"{request.getfixturevalue('clickhouse_url')}/{{name}}"


@pytest.fixture
def store(place: str, databases: Databases) -> Iterator[Store]:
    """An empty database with all tables and views, on each engine in turn."""
    taken, before = databases.take(place)
    yield taken
    databases.give_back(place, taken, before)


@pytest.fixture
def dsn(request: pytest.FixtureRequest, place: str) -> Iterator[str]:
    """The DSN of a database that does not exist yet, on each engine in turn; with `store`, that of the store."""
    if "store" in request.fixturenames:
        yield place.format(name=request.getfixturevalue("store").database)
        return
    name = f"test_{uuid.uuid4().hex}"
    address = place.format(name=name)
    yield address
    with closing(Store(address)) as dropping:
        dropping.command(f"DROP DATABASE IF EXISTS {name} SYNC")
