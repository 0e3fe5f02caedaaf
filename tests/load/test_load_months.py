"""Events are kept by the month in which they occurred, whatever time a client claims. On both engines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from load.spooled import DAY_MS, NOW_MS, Data, assert_exactly_once, event, never_merge, record
from msgspec import structs

from collector.database.store import Store
from collector.loading.load import RECALL_MS


@pytest.fixture
def data(tmp_path: Path, store: Store) -> Data:
    never_merge(store)
    return Data(tmp_path)


def at(year: int, month: int = 1) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1_000)


def partitions(store: Store) -> list[str]:
    rows = store.rows(f"SELECT DISTINCT _partition_id FROM {store.database}.events ORDER BY 1")
    return [name for (name,) in rows]


def test_copies_that_came_in_two_months_are_folded_within_one(store: Store, data: Data) -> None:
    """The second is stored behind the loader's back, as another database's backup might bring it."""
    later = event("x", received_ms=NOW_MS + 40 * DAY_MS, occurred_ms=NOW_MS - 1_000)
    data.segment(record([event("x"), event("y")]))
    data.load(store)
    columns = "source_id, visitor_id, occurred_at, message_id, event_time, received_at"
    store.command(
        f"INSERT INTO {store.database}.events ({columns}) "
        f"SELECT * REPLACE(fromUnixTimestamp64Milli({later.received_at}, 'UTC') AS received_at) "
        f"FROM (SELECT {columns} FROM {store.database}.events WHERE message_id = 'x')"
    )
    events = f"{store.database}.events"
    assert store.rows(f"SELECT count() FROM {events}") == [(3,)]
    assert len(partitions(store)) == 1
    asked = f"SELECT message_id, toUnixTimestamp64Milli(received_at) FROM {events} FINAL ORDER BY message_id"
    for alone in (0, 1):
        kept = store.rows(f"{asked} SETTINGS do_not_merge_across_partitions_select_final = {alone}")
        assert kept == [("x", later.received_at), ("y", NOW_MS)]


def test_claims_of_any_time_are_stored_and_make_few_partitions(store: Store, data: Data) -> None:
    """Twice each: the second attempts come through a collector that remembers nothing."""
    claims = [at(year, month) for year in range(2013, 2043) for month in (1, 5, 9)]
    rows = [event(f"{ms}", occurred_ms=ms, event_ms=NOW_MS, visitor_id=f"v{ms % 7}") for ms in claims]
    data.segment(record(rows))
    data.load(store)
    later = NOW_MS + RECALL_MS + DAY_MS
    data.now_ms = later
    data.segment(record([structs.replace(row, received_at=later, sent_at=later) for row in rows]))
    data.load(store)
    assert_exactly_once(store, data, [row.message_id for row in rows], deduplicated=len(rows))
    months = [f"{year}{month:02}" for year in range(2020, 2040) for month in (1, 5, 9)]
    assert partitions(store) == ["0", *months]
