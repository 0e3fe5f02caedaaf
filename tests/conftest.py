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


class Databases:
    """Migrated databases, open, that are used again once they are empty: to make one takes ten times as long."""

    def __init__(self) -> None:
        self._free: dict[str, list[tuple[Store, Definitions]]] = {}

    def take(self, place: str) -> tuple[Store, Definitions]:
        """An empty, migrated database at a place, and what it consists of."""
        free = self._free.setdefault(place, [])
        if free:
            return free.pop()
        store = Store(place.format(name=f"test_{uuid.uuid4().hex}"))
        migrate(store)
        return store, definitions(store)

    def give_back(self, place: str, store: Store, before: Definitions) -> None:
        """Empty the database and drop what was added to it; drop it whole if it is not what it was then."""
        known = {name for name, _ in before}
        for name, made in definitions(store):
            if name not in known:
                store.command(
                    f"DROP {'TABLE' if made.startswith('CREATE ') else 'VIEW'} {store.database}.`{name}` SYNC"
                )
        if definitions(store) != before:
            store.command(f"DROP DATABASE IF EXISTS {store.database} SYNC")
            store.close()
            return
        for name, made in before:
            if made.startswith("CREATE TABLE") and name != "migrations":
                store.command(f"TRUNCATE TABLE {store.database}.{name}")
                store.command(f"SYSTEM START MERGES {store.database}.{name}")
        self._free[place].append((store, before))

    def close(self) -> None:
        """Let go of those that are free."""
        for free in self._free.values():
            for store, _ in free:
                store.close()


Definitions = list[tuple[str, str]]


def definitions(store: Store) -> Definitions:
    """All tables with how they were made, and all views with their ids: one that is made again has another.

    The text of a view is composed for each question, which costs 3 ms of CPU a view.
    """
    of = f"FROM system.tables WHERE database = '{store.database}' AND engine"
    tables = store.rows(f"SELECT name, create_table_query {of} != 'View' ORDER BY name")
    views = store.rows(f"SELECT name, toString(uuid) {of} = 'View' ORDER BY name")
    return [(str(name), str(made)) for name, made in [*tables, *views]]


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
