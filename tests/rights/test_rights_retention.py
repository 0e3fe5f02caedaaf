"""Retention by source and event: rows that are due go, others stay, on both engines."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from load.spooled import Data, event, failed, record
from sql.events import START_MS, filled, insert

from collector.cli.doctor import Check, Rows, _accounting, _set_aside, examine
from collector.config import Settings
from collector.database.retention import (
    RetentionError,
    _present,
    apply_retention,
    days_for,
    read_rules,
    shortest,
    shortest_of,
)
from collector.database.store import Store
from collector.loading.kept import DAYS_MAX, Kept
from collector.loading.ledger import Ledger, Positions, encode_state

DAY_MS = 86_400_000


def test_the_most_specific_rule_holds() -> None:
    rules = read_rules(["*=395", "shop=180", "*/search=90", "shop/search=30", "shop/purchase=0"])
    asked = [("blog", "page_view"), ("shop", "page_view"), ("blog", "search"), ("shop", "search"), ("shop", "purchase")]
    assert [days_for(rules, *one) for one in asked] == [395, 180, 90, 30, 0]
    assert days_for([], "shop", "search") == 0


@pytest.mark.parametrize("text", ["", "shop", "shop=", "=3", "shop=-1", "shop=1.5", "shop/=3", "shop=99999", "a=1=2"])
def test_a_rule_that_is_none_is_one_sentence(text: str) -> None:
    with pytest.raises(RetentionError, match="write SOURCE=DAYS or SOURCE/EVENT=DAYS"):
        read_rules([text])
    with pytest.raises(RetentionError, match="two rules for"):
        read_rules(["shop=3", "shop/*=4"])


def test_what_is_due_is_removed_and_nothing_else(store: Store) -> None:
    now_ms = time.time_ns() // 1_000_000
    kept = {"at": now_ms - 5 * DAY_MS - START_MS}
    rows = [
        {**kept, "message_id": "search", "event": "search"},
        {**kept, "message_id": "view"},
        {**kept, "message_id": "blog", "source_id": "blog"},
        {**kept, "message_id": "order", "source_id": "blog", "event": "it's"},
        {"at": now_ms - START_MS - 1_000, "message_id": "new", "event": "search"},
    ]
    insert(store, [filled(row) for row in rows], "batch")
    names = ("message_id", "source_id", "received_at", "event")
    moments = [now_ms - 5 * DAY_MS, now_ms - 1_000]
    store.insert("failed_events", names, [["old", "new"], ["blog"] * 2, moments, ["page_view"] * 2], token="f")

    rules = read_rules(["*/search=3", "blog=4", "blog/it's=0"])
    assert apply_retention(store, rules, 2) == ["retention of events", "retention of failed_events"]
    assert apply_retention(store, rules, 2) == []
    for table in ("events", "failed_events"):
        store.command(f"OPTIMIZE TABLE {store.database}.{table} FINAL SETTINGS mutations_sync = 2")
        store.command(f"ALTER TABLE {store.database}.{table} MATERIALIZE TTL SETTINGS mutations_sync = 2")
    left = store.rows(f"SELECT message_id FROM {store.database}.events ORDER BY 1")
    assert left == [("new",), ("order",), ("view",)]
    assert store.rows(f"SELECT message_id FROM {store.database}.failed_events") == [("new",)]
    assert apply_retention(store, [], 2) == ["retention of events", "retention of failed_events"]
    assert apply_retention(store, [], 0) == ["retention of failed_events"]
    assert apply_retention(store, [], 0) == []


def test_days_are_counted_as_far_as_no_rule_that_ever_held_has_reached() -> None:
    now = 20_000 * DAY_MS + 5
    kept = Kept().note({19_990: 4, 19_999: 2}).note({20_000: 1, 19_999: 1})
    assert (kept.rows, kept.first) == ({19_990: 4, 19_999: 3, 20_000: 1}, 19_990)
    assert kept.look(0, now) == kept
    ruled = kept.look(5, now)
    assert (ruled.rows, ruled.first) == ({19_999: 3, 20_000: 1}, 19_999)
    later = ruled.look(0, now + 3 * DAY_MS)  # what went under the rule until now is gone, now that there is none, too
    assert (later.rows, later.first) == ({20_000: 1}, 20_000)
    assert later.look(0, now + 9 * DAY_MS) == later
    assert later.note({19_999: 7, 20_001: 2}).rows == {20_000: 1, 20_001: 2}
    assert later.look(1, now + DAY_MS).rows == {}
    many = Kept().note(dict.fromkeys(range(DAYS_MAX + 3), 1))
    assert (len(many.rows), many.first) == (DAYS_MAX, 3)


def test_doctor_proves_what_retention_cannot_have_taken(store: Store, dsn: str, tmp_path: Path) -> None:
    """The whole of it: loaded rows, a real TTL, the command's own look; each kind of loss that can be known is told."""
    now_ms = time.time_ns() // 1_000_000
    data = Data(tmp_path, now_ms=now_ms)
    old, new = now_ms - 40 * DAY_MS, now_ms - 1_000
    moments = [old] * 3 + [new] * 2
    data.segment(
        record([event(f"e{at}", received_ms=ms) for at, ms in enumerate(moments)], [failed("f", received_ms=old)])
    )
    loader = data.load(store)

    def look() -> Check:
        settings = Settings(data=str(tmp_path), clickhouse=dsn)  # the rules in force are the database's, whoever asks
        return next(check for check in examine(settings).checks if check.name == "accounting")

    def in_force(*retention: str) -> None:
        rules = read_rules(retention)
        loader.look_at_retention(shortest(rules, 0))
        apply_retention(store, rules, 0)
        for table in ("events", "failed_events") * bool(rules):
            store.command(f"ALTER TABLE {store.database}.{table} MATERIALIZE TTL SETTINGS mutations_sync = 2")

    def losing(message_id: str) -> None:
        store.command(
            f"ALTER TABLE {store.database}.events DELETE WHERE message_id = '{message_id}' SETTINGS mutations_sync = 2"
        )

    assert look().ok
    in_force("*=395", "shop/it's 7=60", "shop=30")
    assert store.rows(f"SELECT count() FROM {store.database}.events") == [(2,)]
    held = look()
    first = datetime.fromtimestamp(new / 1000, UTC).date()
    assert held.ok, held.says
    assert f"; retention takes older rows of events; the 2 received since {first} are there; " in held.says
    assert held.says.endswith("retention takes rows of failed_events, and none are known that it cannot have taken")
    # Rules that are longer or gone bring nothing back, and are no reason to cry.
    for rules in (["*=90"], []):
        in_force(*rules)
        assert look().ok
    # A TTL of somebody's own.
    store.command(f"ALTER TABLE {store.database}.events MODIFY TTL toDateTime(event_time) + INTERVAL 9 DAY")
    assert "; events has a TTL that somebody gave it" in look().says
    store.command(f"ALTER TABLE {store.database}.events REMOVE TTL")
    losing("e4")
    for rules in ([], ["*=90"], ["*=30"]):
        in_force(*rules)
        lost = look()
        assert not lost.ok
        assert lost.says == f"events holds 1 rows received since {first}, 2 were stored there"
    # The shortest rule reaches all days; another collector has brought it into force.
    apply_retention(store, read_rules(["*=1"]), 0)
    assert look().ok
    assert "retention takes rows of events, and none are known that it cannot have taken" in look().says


def test_the_shortest_rule_is_read_from_the_ttl_that_a_table_has(store: Store) -> None:
    for rules, failed_days, events, failed_events in (
        (["*=395", "shop/it's 7, 3=60", "blog=0"], 20, 60, 20),
        (["*=0", "a=5"], 0, 5, 5),
        ([], 9, 0, 9),
        ([], 0, 0, 0),
    ):
        apply_retention(store, read_rules(rules), failed_days)
        for table, days in (("events", events), ("failed_events", failed_events)):
            assert shortest_of(_present(store, table)) == days, rules
        assert shortest(read_rules(rules), failed_days) == {"events": events, "failed_events": failed_events}
    store.command(f"ALTER TABLE {store.database}.events MODIFY TTL toDateTime(event_time) + INTERVAL 9 DAY")
    assert shortest_of(_present(store, "events")) is None
    store.command(f"ALTER TABLE {store.database}.events REMOVE TTL")


def test_doctor_counts_each_table_and_says_what_waits_until_when(tmp_path: Path) -> None:
    for folder in ("load/refused", "spool/damaged"):
        (tmp_path / folder).mkdir(parents=True)
    ledger = Ledger(received=10, stored=7, rejected=3, counted=2, set_aside=1)
    (tmp_path / "load/positions.json").write_bytes(encode_state(Positions(collector_id="c", ledger=ledger)))
    whole = {"events": Rows(5), "failed_events": Rows(2), "counted_events": Rows(2)}
    by_hand = {"events": Rows(0, own_ttl=True)}
    for changes, ok in (
        ({}, True),
        ({"events": Rows(4)}, False),
        ({"events": Rows(4, erased=1)}, True),
        (by_hand, True),
        (by_hand | {"failed_events": Rows(1)}, False),
        (by_hand | {"counted_events": Rows(1)}, False),
    ):
        assert _accounting(tmp_path, whole | changes)[1].ok is ok, changes
    assert "; events has a TTL that somebody gave it, so" in _accounting(tmp_path, whole | by_hand)[1].says
    before = Positions("c", ledger=Ledger(received=9, stored=6, rejected=3, counted=2, set_aside=1))
    assert _accounting(tmp_path, whole | {"events": Rows(4)}, before)[1].ok, "the fifth was stored meanwhile"

    settings = Settings(data=str(tmp_path))
    assert _set_aside(settings).ok
    for path in (tmp_path / "load/refused/b.json", tmp_path / "spool/damaged/piece"):
        path.write_bytes(b"[{}]")
        os.utime(path, (START_MS / 1000, START_MS / 1000))
    waits = _set_aside(msgspec.structs.replace(settings, retention=["*=395", "shop/search=30"]))
    day = datetime.fromtimestamp(START_MS / 1000 + 30 * DAY_MS / 1000, UTC).date()
    assert not waits.ok
    assert f"are in spool/damaged (4), until they are deleted from {day} on" in waits.says
    assert "until" not in _set_aside(msgspec.structs.replace(settings, set_aside_days=0)).says
