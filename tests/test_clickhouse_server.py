"""The test server itself: other tests rely on its kill being a real one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from clickhouse_server import ClickHouseServer

from collector.database.store import Store


def test_a_killed_server_is_gone_and_comes_back_with_its_data(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path)
    server.start()
    try:
        with closing(Store(f"{server.url}/kept")) as store:
            store.command("CREATE DATABASE kept ENGINE = Atomic")
            store.command("CREATE TABLE kept.numbers (x UInt8) ENGINE = MergeTree ORDER BY x")
            store.command("INSERT INTO kept.numbers VALUES (1), (2), (3)")
        server.kill()
        assert not server.answers()
        server.start()
        with closing(Store(f"{server.url}/kept")) as store:
            assert store.rows("SELECT sum(x) FROM kept.numbers") == [(6,)]
    finally:
        server.kill()
