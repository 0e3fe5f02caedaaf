"""A full disk stops receiving and nothing else: clients are told to come back, and no one has to intervene."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from clickhouse_server import ClickHouseServer
from crash.senders import COUNT_ALL, assert_stored, sending
from serving import Serving, serving
from spool.disk import fill, tiny_disk

from collector.database.migrate import migrate
from collector.database.store import Store

# The embedded engine's own files take about 10 MB; what the spool needs is small.
DISK_BYTES = 64 * 1024 * 1024
DEADLINE_SECONDS = 60.0


def until_ready(collector: Serving, ready: bool) -> None:
    """Wait until /readyz says so, without sending an event."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    wanted = 200 if ready else 503
    while (answer := collector.request("GET", "/readyz")).status != wanted:
        assert time.monotonic() < deadline, f"/readyz is {answer.status} {answer.body!r}\n{collector.log()}"
        time.sleep(0.05)


def until_database(collector: Serving) -> None:
    """Wait until the database is there: until the first event is stored."""
    assert collector.send({"type": "track", "event": "first", "messageId": "first", "anonymousId": "v"}).status == 200
    collector.until_loaded()


def test_a_full_disk_is_told_to_clients_and_receiving_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """With traffic, and without: a load balancer sends nothing to a collector that is not ready."""
    refused = {"type": "track", "event": "refused", "messageId": "refused", "anonymousId": "v"}
    with tiny_disk(tmp_path / "data", DISK_BYTES) as data_dir, serving(data_dir) as collector:
        until_database(collector)
        with sending(collector.port, collector.write_key) as senders:
            senders.until_acked(300)
            filler = fill(data_dir)
            until_ready(collector, False)
            answer = collector.send(refused)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json["reason"] == "spool_unavailable"
            filler.unlink()
            senders.until_acked(300)
            until_ready(collector, True)
            senders.finish()
        assert senders.statuses == {200, 503}

        filler = fill(data_dir)
        assert collector.send(refused).status == 503
        assert collector.request("GET", "/readyz").status == 503
        filler.unlink()
        until_ready(collector, True)
        assert collector.send({**refused, "messageId": "taken"}).status == 200
        collector.until_loaded()
        rows = collector.sql(COUNT_ALL)
        mine = {"first", "taken", "refused"}
        assert {row["message_id"] for row in rows} & mine == {"first", "taken"}
        assert_stored([row for row in rows if row["message_id"] not in mine], senders)


def test_an_embedded_database_waits_for_room_and_receiving_does_not(tmp_path: Path) -> None:
    """What a full disk cuts off while tables are made could not be read again."""
    with tiny_disk(tmp_path / "data", 8 * 1024 * 1024) as data_dir, serving(data_dir, first_start=True) as collector:
        assert collector.send({"type": "track", "event": "first", "messageId": "1", "anonymousId": "v"}).status == 200
        deadline = time.monotonic() + DEADLINE_SECONDS
        while "MB free, and the embedded database needs 24 to start; make room" not in collector.log():
            assert time.monotonic() < deadline, collector.log()
            time.sleep(0.05)
        assert collector.metric("footfall_ledger_spooled") == 1
        assert not (data_dir / "db").exists()


def test_a_spool_that_filled_its_disk_while_the_database_was_away_empties_itself(tmp_path: Path) -> None:
    """The loader needs room for its own files to make room, and may delete only what no worker holds open."""
    server = ClickHouseServer(tmp_path / "clickhouse")
    server.start()
    try:
        with closing(Store(f"{server.url}/footfall")) as store:
            migrate(store)
        with (
            tiny_disk(tmp_path / "data", 2 * 1024 * 1024) as data_dir,
            serving(data_dir, FOOTFALL_CLICKHOUSE=f"{server.url}/footfall") as collector,
        ):
            with sending(collector.port, collector.write_key) as senders:
                senders.until_acked(100)
                server.kill()
                until_ready(collector, False)
                server.start()
                until_ready(collector, True)
                senders.until_acked(300)
                senders.finish()
            assert senders.statuses == {200, 503}
            collector.until_loaded()
            assert_stored(collector.sql(COUNT_ALL), senders)
    finally:
        server.kill()


def test_a_state_file_that_cannot_be_read_is_told_and_receiving_goes_on(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with serving(data_dir) as collector:
        collector.send({"type": "track", "event": "first", "messageId": "first", "anonymousId": "v"})
        collector.until_loaded()
    for stored, name in enumerate(("manifest", "positions"), start=2):
        path = data_dir / "load" / f"{name}.json"
        content = path.read_bytes()
        path.write_bytes(b"{")
        with serving(data_dir) as collector:
            told = collector.log().count("trying again")
            sent = collector.send({"type": "track", "event": "next", "messageId": name, "anonymousId": "v"})
            assert sent.status == 200
            deadline = time.monotonic() + DEADLINE_SECONDS
            while f"{name}.json" not in collector.log() or collector.log().count("trying again") == told:
                assert time.monotonic() < deadline, collector.log()
                time.sleep(0.05)
            path.write_bytes(content)
            collector.sql_until(
                "SELECT count() AS n FROM events", lambda rows, stored=stored: int(rows[0]["n"]) == stored
            )
