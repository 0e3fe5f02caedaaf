"""Retention by source and event: rows that are due go, others stay, on both engines."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sql.events import START_MS, filled, insert

from collector.cli.doctor import _accounting, _set_aside
from collector.config import Settings
from collector.database.retention import RetentionError, apply_retention, days_for, read_rules
from collector.database.store import Store
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
    events = [
        {**kept, "message_id": "search", "event": "search"},
        {**kept, "message_id": "view"},
        {**kept, "message_id": "blog", "source_id": "blog"},
        {**kept, "message_id": "order", "source_id": "blog", "event": "it's"},
        {"at": now_ms - START_MS - 1_000, "message_id": "new", "event": "search"},
    ]
    insert(store, [filled(event) for event in events], "batch")
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


def test_doctor_counts_each_table_that_keeps_its_rows_and_says_what_waits_until_when(tmp_path: Path) -> None:
    for folder in ("load/refused", "spool/damaged"):
        (tmp_path / folder).mkdir(parents=True)
    ledger = Ledger(received=10, stored=7, rejected=3, counted=2, set_aside=1)
    (tmp_path / "load/positions.json").write_bytes(encode_state(Positions(collector_id="c", ledger=ledger)))
    whole = {"events": 5, "failed_events": 2, "counted_events": 2}
    for changes, ok in (
        ({}, True),
        ({"events": 4}, False),
        ({"events": 4, "erased_events": 1}, True),
        ({"events": 0, "expiring_events": 1}, True),
        ({"events": 0, "expiring_events": 1, "failed_events": 1}, False),
        ({"events": 0, "expiring_events": 1, "counted_events": 1}, False),
    ):
        assert _accounting(tmp_path, whole | changes)[1].ok is ok, changes
    assert "removes rows of events, so these" in _accounting(tmp_path, whole | {"expiring_events": 1})[1].says

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
