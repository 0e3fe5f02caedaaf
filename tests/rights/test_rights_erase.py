"""`footfall privacy export` and `erase`: what is a person's, all of it, and nothing of anybody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from load.spooled import NOW_MS, Data, failed, load_all, record
from load.spooled import event as spooled_event

from collector.cli.doctor import _accounting, count_sql, read_counts
from collector.database.query import answer
from collector.database.sessions import StoredSessions
from collector.database.store import Store
from collector.loading.ledger import read_positions
from collector.record import EventRow, FailedRow
from collector.rights.erase import Request, erase, id_hash
from collector.rights.export import TABLES, as_json, records
from collector.rights.person import PersonError, find_person

ANN = "ann-device-7f31"
ANN_PHONE = "ann-phone-99aa"
KIOSK = "kiosk-device-55"
BOB = "bob-device-1c02"
LATER_MS = NOW_MS + 3_600_000

Ask = Callable[[str], bytes]


def event(message_id: str, visitor: str, user: str = "", *, at: int = 0, **columns: Any) -> EventRow:
    """One event that happened `at` ms after NOW, and came a second later."""
    ms = NOW_MS + at
    row = spooled_event(message_id, received_ms=ms + 1_000, event_ms=ms, occurred_ms=ms, visitor_id=visitor)
    return msgspec.structs.replace(row, user_id=user, **columns)


def rejected(message_id: str, visitor: str, user: str = "", raw: str = "{}") -> FailedRow:
    return msgspec.structs.replace(failed(message_id), visitor_id=visitor, user_id=user, raw=raw)


# Ann has two devices and an older name; she and Bob use the kiosk in turn, and Bob has a device of his own.
EVENTS = [
    event("a1", ANN),
    event("a2", ANN, "ann", at=1_000, type="identify", traits='{"email":"ann@example.org"}', is_bot=False),
    event("a3", ANN_PHONE, "ann", at=2_000),
    event("a4", ANN_PHONE, at=3_000, event="=cmd|' /C calc'!A0", title="@SUM(1)"),
    event("a5", ANN, "ann", at=4_000, type="alias", previous_id="ann-old"),
    event("a6", "ann-tablet", "ann-old", at=5_000),
    event("a7", ANN, at=6_000, is_bot=True),
    event("k1", KIOSK, "ann", at=10_000),
    event("k2", KIOSK, at=11_000),
    event("k3", KIOSK, "bob", at=20_000),
    event("k4", KIOSK, at=21_000),
    event("b1", BOB, "bob", at=30_000),
    event("b2", BOB, at=31_000),
]
OF_ANN = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "k1", "k2"]
FAILED = [
    rejected("fa1", ANN),
    rejected("fa2", "", "", '{"type":"track","anonymousId": "ann-device-7f31","event":7}'),
    rejected("fb1", BOB, "", '{"properties":{"friend":"ann-device-7f31x"}}'),
]


@pytest.fixture
def ask(store: Store, dsn: str) -> Ask:
    questions = Store(dsn, read_only=True)
    return lambda sql: answer(questions, sql, "JSON")


@pytest.fixture
def data(tmp_path: Path) -> Data:
    made = Data(tmp_path, now_ms=LATER_MS)
    made.segment(record(EVENTS, FAILED))
    return made


def ids(store: Store, table: str) -> list[str]:
    return [str(one) for (one,) in store.rows(f"SELECT message_id FROM {store.database}.{table} ORDER BY message_id")]


def assert_accounted(ask: Ask, data: Data) -> None:
    """The accounting identity of `footfall doctor` holds, and the tables have what it says."""
    kept = read_positions(data.folder).kept
    _, check = _accounting(data.folder, read_counts(ask(f"{count_sql(kept)} FORMAT JSONEachRow"), kept, LATER_MS))
    assert check.ok, check.says


@pytest.mark.parametrize("place", ["server"], indirect=True)  # test_rights_injection.py erases from the embedded engine
def test_a_person_is_erased_everywhere_and_stays_so(store: Store, ask: Ask, data: Data) -> None:
    """One person with all there is, so that one database shows it."""
    name = store.database
    store.command(
        f"CREATE TABLE {name}.last_seen (source_id String, visitor_id String, seen DateTime64(3)) "
        "ENGINE = ReplacingMergeTree ORDER BY (source_id, visitor_id) "
        "SETTINGS cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2"
    )
    store.command(
        f"CREATE MATERIALIZED VIEW {name}.to_last_seen TO {name}.last_seen AS "
        f"SELECT source_id, visitor_id, event_time AS seen FROM {name}.events"
    )
    store.command(
        f"CREATE MATERIALIZED VIEW {name}.daily ENGINE = SummingMergeTree ORDER BY day AS "
        f"SELECT toDate(event_time) AS day, count() AS count FROM {name}.events GROUP BY day"
    )
    for table in ("events", "failed_events"):
        # A new table first looks for old parts after 30 s, one that is loaded when it was told to.
        store.command(f"DETACH TABLE {name}.{table} SYNC")
        store.command(f"ATTACH TABLE {name}.{table}")
    loader = data.load(store)
    (data.folder / "load/refused").mkdir()
    aside = data.folder / "load/refused/batch.json"
    builtin = [
        msgspec.to_builtins(dict(zip(FailedRow.__struct_fields__, msgspec.to_builtins(one), strict=True)))
        for one in FAILED
    ]
    aside.write_bytes(msgspec.json.encode(builtin))
    damaged = data.spool / "damaged"
    damaged.mkdir()
    (damaged / "one").write_bytes(b"\x00\xa0ann-device-7f31\xff")
    (damaged / "other").write_bytes(b"\x00\xa0bob\xff")
    # A worker lives on, with a segment of which only the beginning is loaded.
    live = data.segment(record([event("a8", ANN, at=40_000)]), owner="worker-1", live=True)
    load_all(loader)
    data.append(record([event("a9", ANN_PHONE, at=41_000), event("b3", BOB, at=41_000)]))

    StoredSessions().refresh(store)
    # As she is named now, as she was before she signed in, and by the name that she had.
    of_ann = [("shop", "user:ann"), ("", "user:ann"), ("shop", f"visitor:{ANN}"), ("", "user:ann-old")]
    in_audiences = [["vip"] * 5, *map(list, zip(*of_ann, ("shop", f"visitor:{BOB}"), strict=True))]
    for table in ("audience_moves", "audience_snapshots"):
        store.insert(table, ["audience", "source_id", "person_id"], in_audiences, token="once")

    receipt = erase(loader, store, ask, data.folder, Request("visitor", ANN), LATER_MS)

    assert (receipt.ok, receipt.left, receipt.old_parts) == (True, {}, 0)
    assert receipt.removed["events"] == len(OF_ANN) + 2
    assert receipt.removed["failed_events"] == 2
    assert receipt.removed["refused_events"] == 2
    assert receipt.removed["damaged_bytes"] > 0
    assert receipt.removed["last_seen"] > 0
    seen = store.rows(f"SELECT DISTINCT visitor_id FROM {name}.last_seen ORDER BY 1")
    assert seen == [(BOB,), (KIOSK,)]  # the kiosk's row is Bob's as much
    assert store.rows(f"SELECT DISTINCT visitor_id FROM {name}.stored_sessions") == [(BOB,)]
    StoredSessions().refresh(store)
    assert store.rows(f"SELECT visitor_id, sum(events) FROM {name}.stored_sessions GROUP BY 1 ORDER BY 1") == (
        store.rows(f"SELECT visitor_id, sum(events) FROM {name}.sessions GROUP BY 1 ORDER BY 1")
    )
    for table in ("audience_moves", "audience_snapshots"):
        assert store.rows(f"SELECT person_id FROM {name}.{table}") == [(f"visitor:{BOB}",)]
    assert [table.startswith(".inner") for table in receipt.not_searched] == [True]
    assert ids(store, "events") == ["b1", "b2", "b3", "k3", "k4"]
    assert ids(store, "failed_events") == ["fb1"]
    assert [row["message_id"] for row in json.loads(aside.read_text())] == ["fb1"]
    assert [path.name for path in damaged.iterdir()] == ["other"]
    assert b"ann-device" not in live.read_bytes()
    assert b"ann-" not in msgspec.json.encode(receipt)
    assert receipt.id_hash == id_hash(receipt.salt, "visitor", ANN)
    assert "ann" not in str(store.rows(f"SELECT * FROM {name}.erasures"))
    assert "ann" not in str(store.rows(f"SELECT command FROM system.mutations WHERE database = '{name}'"))
    assert store.rows(f"SELECT count() FROM system.tables WHERE database = '{name}' AND name LIKE 'erasing%'") == [(0,)]
    assert "old_parts_lifetime" not in str(
        store.rows(f"SELECT create_table_query FROM system.tables WHERE database = '{name}'")
    )
    assert read_positions(data.folder).ledger.set_aside == -2  # they were put there behind the ledger's back
    loader.leave_out(-2, 0)
    assert_accounted(ask, data)

    # What comes late is not stored, by this loader or the next: retries, and what an offline page kept.
    late = [*EVENTS[:9], event("a10", ANN, at=50_000), event("undated", BOB, at=60_000)]
    data.segment(record(late, FAILED[:2]))
    load_all(loader)
    data.segment(record([event("a11", ANN_PHONE, at=70_000), EVENTS[8]]))
    new = data.load(store)
    assert ids(store, "events") == ["b1", "b2", "b3", "k3", "k4", "undated"]
    assert ids(store, "failed_events") == ["fb1"]
    # What she does from now on is a new visitor's.
    again = msgspec.structs.replace(event("n1", ANN, at=7_200_000))
    data.segment(record([again]))
    load_all(new)
    assert "n1" in ids(store, "events")
    ledger = new.positions.ledger
    assert ledger.received == ledger.stored + ledger.deduplicated + ledger.rejected + ledger.dropped
    data.end_writers()


@pytest.mark.parametrize("place", ["chdb"], indirect=True)  # what differs between engines is in the views
def test_everything_about_a_person_is_exported(store: Store, ask: Ask, data: Data) -> None:
    data.load(store)
    ann = find_person(ask, "user", "ann")
    moves = f"INSERT INTO {store.database}.audience_moves (audience, source_id, person_id, change, attributes)"
    store.command(
        f"{moves} VALUES ('buyers', 'shop', 'user:ann', 1, '{{\"n\":3}}'), ('buyers', 'shop', 'user:bob', 1, ''), "
        f"('early', '', 'visitor:{ANN}', 1, '{{}}')"
    )
    sessions = f"INSERT INTO {store.database}.visitor_sessions (source_id, visitor_id, visits.page_paths)"
    store.command(f"{sessions} VALUES ('shop', '{ANN}', [['/a']]), ('shop', '{BOB}', [['/b']])")
    found: dict[str, list[dict[str, Any]]] = {}
    for table, row in records(ask, ann, data.folder):
        found.setdefault(table, []).append(as_json(row))
    assert sorted(row["message_id"] for row in found["events"]) == OF_ANN
    assert sorted(row["message_id"] for row in found["failed_events"]) == ["fa1", "fa2"]
    assert {row["id"] for row in found["identities"]} == {ANN, ANN_PHONE, KIOSK, "ann-tablet", "ann", "ann-old"}
    assert found["profiles"][0]["traits"] == {"email": "ann@example.org"}
    assert [row["trait"] for row in found["profile_history"]] == ["email"]
    (identify,) = [row for row in found["events"] if row["message_id"] == "a2"]
    assert identify["traits"] == {"email": "ann@example.org"}
    assert identify["event_time"] == "2026-09-21T14:13:21.000Z"
    assert [(row["audience"], row["change"], row["attributes"]) for row in found["audience_moves"]] == [
        ("buyers", "entered", {"n": 3}),
        ("early", "entered", {}),
    ]
    assert [row["visits.page_paths"] for row in found["visitor_sessions"]] == [[["/a"]]]
    assert list(found) == [*TABLES[:5], "audience_moves", "visitor_sessions"]
    bob = find_person(ask, "user", "bob")
    of_bob = [row["message_id"] for table, row in records(ask, bob, None) if table == "events"]
    early = [row["person_id"] for table, row in records(ask, ann, None) if table == "audience_moves"]
    assert early == ["user:ann", f"visitor:{ANN}"]
    assert sorted(of_bob) == ["b1", "b2", "k3", "k4"]
    assert not set(of_bob) & set(OF_ANN)
    with pytest.raises(PersonError, match="a device of 2 people; name one with --user"):
        find_person(ask, "visitor", KIOSK)
    device = find_person(ask, "visitor", KIOSK, exact=True)
    assert sorted(row["message_id"] for _, row in records(ask, device, None)) == ["k1", "k2", "k3", "k4"]
    nobody = find_person(ask, "user", "nobody")
    assert list(records(ask, nobody, data.folder)) == []


@pytest.mark.parametrize("place", ["chdb"], indirect=True)  # of the engines the test above shows the difference
def test_who_is_left_in_audiences_alone_is_found_there_and_erased(store: Store, ask: Ask, tmp_path: Path) -> None:
    """Retention has taken all events of a person; the audience's history still names them."""
    data = Data(tmp_path, now_ms=LATER_MS)
    loader = data.load(store)
    columns = [["vip"] * 3, ["shop", "", "shop"], ["user:eve", f"visitor:{ANN}", "user:bob"]]
    store.insert("audience_moves", ["audience", "source_id", "person_id"], columns, token="once")
    eve, device = find_person(ask, "user", "eve"), find_person(ask, "visitor", ANN)
    assert (eve.sources, device.sources) == (("shop",), ("",))
    assert [row["person_id"] for _, row in records(ask, eve, None)] == ["user:eve"]
    for kind, id_ in (("user", "eve"), ("visitor", ANN)):
        receipt = erase(loader, store, ask, data.folder, Request(kind, id_), LATER_MS)
        assert (receipt.ok, receipt.removed["audience_moves"]) == (True, 1)
    assert store.rows(f"SELECT person_id FROM {store.database}.audience_moves") == [("user:bob",)]


@pytest.mark.parametrize("place", ["server"], indirect=True)  # the embedded engine takes 20 s more to drop old parts
def test_what_was_read_of_a_person_before_they_went_and_is_written_afterwards_goes_too(
    store: Store, ask: Ask, dsn: str, data: Data
) -> None:
    """A refresh of an audience that takes its time, by a connection of its own as in the store process."""
    loader = data.load(store)
    with closing(Store(dsn)) as lane, ThreadPoolExecutor(1) as threads:
        slow = threads.submit(
            lane.command,
            f"INSERT INTO {store.database}.audience_moves (audience, source_id, person_id) "
            f"SELECT 'vip', source_id, 'user:ann' FROM {store.database}.events "
            "WHERE message_id = 'a2' AND sleepEachRow(3) = 0 SETTINGS max_threads = 1",
        )
        running = (
            "SELECT count() FROM system.processes WHERE query_kind = 'Insert' "
            "AND position(query, 'sleepEachRow') > 0 AND position(query, 'system.processes') = 0"
        )
        while not slow.done() and store.rows(running) == [(0,)]:
            time.sleep(0.01)
        receipt = erase(loader, store, ask, data.folder, Request("user", "ann"), LATER_MS)
        slow.result(60)
    assert (receipt.ok, receipt.left) == (True, {})
    assert receipt.removed["audience_moves"] == 1
    assert store.rows(f"SELECT person_id FROM {store.database}.audience_moves") == []
