"""Spooled rows arrive in the database exactly once, however often and however late their clients send them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from load.spooled import (
    DAY_MS,
    MINUTE_MS,
    NOW_MS,
    Data,
    assert_exactly_once,
    event,
    failed,
    load_all,
    never_merge,
    record,
)
from msgspec import structs

from collector.database.store import Store
from collector.loading import load
from collector.loading import recent as remembered
from collector.loading.ledger import read_positions
from collector.loading.load import RECALL_MS
from collector.loading.recent import GENERATION_IDS, RecentIds, Sieve
from collector.record import EventRow
from collector.spooling.spool import segments


@pytest.fixture
def data(tmp_path: Path, store: Store) -> Data:
    never_merge(store)
    return Data(tmp_path)


def test_rows_of_all_segments_arrive_once(store: Store, data: Data) -> None:
    for owner in ("worker-0", "worker-1"):
        for part in range(3):
            data.segment(
                *(record([event(f"{owner} {part} {n}")], [failed(f"no {owner} {part} {n}")]) for n in range(20)),
                record(dropped=5),
                owner=owner,
            )
    data.load(store)
    ids = [f"{owner} {part} {n}" for owner in ("worker-0", "worker-1") for part in range(3) for n in range(20)]
    assert_exactly_once(store, data, ids, [f"no {each}" for each in ids])
    assert read_positions(data.folder).ledger.dropped == 30


def test_a_live_segment_is_loaded_as_it_grows_and_deleted_only_once_it_is_sealed_and_loaded(
    store: Store, data: Data
) -> None:
    path = data.segment(record([event("a")]), live=True)
    loader = data.load(store)
    assert loader.positions.ledger.stored == 1
    second = record([event("b")])
    data.append(second[:-1])
    load_all(loader)
    assert loader.positions.ledger.stored == 1
    data.append(second[-1:])
    load_all(loader)
    assert loader.positions.ledger.stored == 2
    assert path.exists(), "a live segment was deleted"
    data.append(record([event("c")]))
    data.end_writers()
    loader.step(wait=False)
    assert loader.positions.ledger.stored == 3
    load_all(loader)
    assert not path.exists()
    assert_exactly_once(store, data, "abc")


def test_a_sealed_segment_that_could_not_be_loaded_is_kept(store: Store, data: Data) -> None:
    path = data.segment(record([event("a")]))
    loader = data.loader(store)
    loader.recover()
    store.command(f"RENAME TABLE {store.database}.events TO {store.database}.away")
    with pytest.raises(Exception, match="events"):
        loader.step(wait=False)
    assert path.exists()
    store.command(f"RENAME TABLE {store.database}.away TO {store.database}.events")
    data.load(store)
    assert_exactly_once(store, data, "a")


def test_batches_are_cut_at_rows_max_and_between_records(store: Store, data: Data) -> None:
    for part in range(4):
        data.segment(*(record([event(f"{part} {n} {i}") for i in range(7)]) for n in range(10)))
    loader = data.load(store, rows_max=20)
    sizes = store.rows(f"SELECT count() FROM {store.database}.events GROUP BY batch_id")
    assert max(size for (size,) in sizes) <= 20 + 7 - 1
    assert loader.inserts == len(sizes) == 14
    assert_exactly_once(store, data, [f"{p} {n} {i}" for p in range(4) for n in range(10) for i in range(7)])


# How a client may tell of the same event again, `later_ms` after its first attempt. The pairs are what the pipeline
# makes of it: occurred_at is the client's claim, event_time holds each attempt's latency and is never in the future.
def _credible(later_ms: int) -> tuple[EventRow, EventRow]:
    return (
        event("x", received_ms=NOW_MS, occurred_ms=NOW_MS - 1_000),
        event("x", received_ms=NOW_MS + later_ms, occurred_ms=NOW_MS - 1_000),
    )


def _happened_long_ago(later_ms: int) -> tuple[EventRow, EventRow]:
    return (
        event("x", received_ms=NOW_MS, occurred_ms=NOW_MS - 20 * DAY_MS),
        event("x", received_ms=NOW_MS + later_ms, occurred_ms=NOW_MS - 20 * DAY_MS),
    )


def _slow_second_attempt(later_ms: int) -> tuple[EventRow, EventRow]:
    """Sent at once, but the second request was slow: its event_time is later than the first's arrival."""
    return (
        event("x", received_ms=NOW_MS, occurred_ms=NOW_MS - 10, sent_ms=NOW_MS - 10, event_ms=NOW_MS),
        event(
            "x",
            received_ms=NOW_MS + later_ms,
            occurred_ms=NOW_MS - 10,
            sent_ms=NOW_MS + later_ms - 5_000,
            event_ms=NOW_MS + 4_990,
        ),
    )


def _without_timestamp(later_ms: int) -> tuple[EventRow, EventRow]:
    """No time was sent: each attempt seems to happen as it arrives."""
    return (
        event("x", received_ms=NOW_MS, occurred_ms=NOW_MS),
        event("x", received_ms=NOW_MS + later_ms, occurred_ms=NOW_MS + later_ms),
    )


def _clock_ahead_without_sent_at(later_ms: int) -> tuple[EventRow, EventRow]:
    """The client's clock is a day ahead and it does not say when it sent: its event_time is moved to now."""
    rows = _without_timestamp(later_ms)
    for row in rows:
        row.occurred_at = NOW_MS + DAY_MS
        row.sent_at = None
    return rows


def _clock_set_back_between(later_ms: int) -> tuple[EventRow, EventRow]:
    """The clock was ahead and was put right between the attempts: it is sent before it happened."""
    first, second = _credible(later_ms)
    first.occurred_at = second.occurred_at = NOW_MS + DAY_MS
    first.sent_at = NOW_MS + DAY_MS + 1_000
    second.sent_at = NOW_MS + later_ms
    second.event_time = NOW_MS + later_ms
    return first, second


ATTEMPTS = (
    _credible,
    _happened_long_ago,
    _slow_second_attempt,
    _without_timestamp,
    _clock_ahead_without_sent_at,
    _clock_set_back_between,
)


def test_an_event_sent_twice_is_stored_once_in_one_batch_and_in_two(store: Store, data: Data) -> None:
    data.segment(record([event("a"), event("a"), event("b")]), record([event("b")], [failed("c"), failed("c")]))
    loader = data.load(store)
    data.segment(record([event("a"), event("d")], [failed("c")]))
    load_all(loader)
    # The same id of another source is another event.
    data.segment(record([event("e", source_id="one"), event("f", source_id="two")]))
    load_all(loader)
    assert_exactly_once(store, data, "abdef", "c", deduplicated=5)


def test_the_same_id_of_two_sources_is_two_events(store: Store, data: Data) -> None:
    data.segment(record([event("a", source_id="one"), event("a", source_id="two")]))
    loader = data.load(store)
    data.segment(record([event("a", source_id="one"), event("a", source_id="two")]))
    load_all(loader)
    counts = store.rows(f"SELECT source_id, count() FROM {store.database}.events GROUP BY source_id ORDER BY source_id")
    assert counts == [("one", 1), ("two", 1)]


@pytest.mark.parametrize("remembered", [True, False])
def test_an_event_sent_again_after_a_restart_of_the_loader_is_stored_once(
    store: Store, data: Data, remembered: bool
) -> None:
    """Found in what a new loader remembers, and where that begins after all first attempts, in the database."""
    # All kinds in one database: each has an id of its own.
    later_ms = MINUTE_MS if remembered else RECALL_MS + MINUTE_MS
    seconds = []
    for number, attempt in enumerate(ATTEMPTS):
        pair = attempt(later_ms)
        for row in pair:
            row.message_id = f"m{number}"
            row.properties = event(row.message_id).properties
            row.visitor_id = f"v{number % 2}"
        data.segment(record([pair[0]]))
        seconds.append(pair[1])
    newest_ms = NOW_MS + 3_000 + (0 if remembered else RECALL_MS)
    data.segment(record([event("newest", received_ms=newest_ms)]))
    data.load(store)
    loader = data.loader(store)
    loader.recover()
    for row in seconds:
        data.segment(record([row]))
        load_all(loader)
    data.segment(record([event("new", received_ms=NOW_MS + later_ms)]))
    load_all(loader)
    ids = [f"m{number}" for number in range(len(ATTEMPTS))]
    assert_exactly_once(store, data, [*ids, "newest", "new"], deduplicated=len(ATTEMPTS))


@pytest.mark.parametrize("sieve_ids", [10_000, 200])
def test_of_a_busy_minute_before_a_restart_only_what_was_sent_again_is_looked_up(
    store: Store, data: Data, monkeypatch: pytest.MonkeyPatch, sieve_ids: int
) -> None:
    """More came in the minute than are remembered; the sieve is told of all, or of the last where it holds no more."""
    monkeypatch.setattr(load, "RECALL_IDS", 50)
    monkeypatch.setattr(load, "SIEVE_IDS", sieve_ids)
    before = [event(f"before {n}", received_ms=NOW_MS + 300 * n) for n in range(600)]
    for start in range(0, len(before), 100):
        data.segment(record(before[start : start + 100]))
    data.load(store)
    loader = data.loader(store)
    loader.recover()
    asked: list[str] = []
    rows = store.rows

    def told(sql: str) -> list[Any]:
        asked.append(sql)
        return rows(sql)

    monkeypatch.setattr(store, "rows", told)
    latest_ms = before[-1].received_at
    data.segment(record([event(f"after {n}", received_ms=latest_ms + n) for n in range(1, 100)]))
    load_all(loader)
    looked_up = [sql for sql in asked if "message_id IN" in sql]
    assert bool(looked_up) == (sieve_ids == 200)
    data.segment(record(before), record([event("last", received_ms=latest_ms + 200)]))
    load_all(loader)
    ids = [row.message_id for row in before] + [f"after {n}" for n in range(1, 100)] + ["last"]
    assert_exactly_once(store, data, ids, deduplicated=len(before))


def test_a_rejected_event_sent_again_after_a_restart_is_kept_once(store: Store, data: Data) -> None:
    data.segment(record([], [failed("a"), failed("b")]))
    data.load(store)
    data.now_ms += MINUTE_MS
    data.segment(record([], [failed("a", received_ms=data.now_ms), failed("new", received_ms=data.now_ms)]))
    data.load(store)
    assert_exactly_once(store, data, [], ["a", "b", "new"], deduplicated=1)


def test_events_older_than_memory_are_looked_up_whatever_their_ids_look_like(store: Store, data: Data) -> None:
    """Clients choose ids: long ones must not make a look-up larger than ClickHouse reads, odd ones must not end it."""
    odd = ["it's", "back\\slash", "nul\0inside", "\\'", "new\nline", "日本語", "'); DROP TABLE events --"]
    visitors = [f"{number:04d}" + "\U0001f600" * 252 for number in range(1_200)] + odd
    rows = [event(f"{n:03d}{v[:10]}", visitor_id=v, occurred_ms=NOW_MS - DAY_MS) for n, v in enumerate(visitors)]
    for start in range(0, len(rows), 100):
        data.segment(record(rows[start : start + 100]))
    data.load(store)
    for start in range(0, len(rows), 100):
        data.segment(record(rows[start : start + 100]))
    data.load(store)
    assert_exactly_once(store, data, [row.message_id for row in rows], deduplicated=len(rows))


def test_memory_is_bounded_and_says_from_when_on_it_knows_everything() -> None:
    recent = RecentIds()
    recent.unknown_until(1_000)
    for generation in range(4):
        recent.add([f"{generation} {n}" for n in range(GENERATION_IDS)], newest_ms=2_000 + generation)
    assert "2 0" not in recent
    assert "3 0" in recent
    # What was received up to 2,002 is forgotten.
    assert recent.since_ms == 2_003


def test_the_sieve_holds_all_that_was_added_hardly_anything_else_and_says_from_when_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remembered, "SIEVE_IDS", 1_000)
    monkeypatch.setattr(remembered, "SIEVE_BITS", 2**15)
    sieve = Sieve()
    assert "0 0" not in sieve
    generations = [{f"{generation} {n}" for n in range(500)} for generation in range(6)]
    for number, keys in enumerate(generations):
        sieve.add(keys, newest_ms=1_000 + number)
        kept = generations[max(number // 2 * 2 - 2, 0) : number + 1]
        assert all(key in sieve for each in kept for key in each)
        assert sieve.since_ms == (1_001 + number // 2 * 2 - 3 if number >= 4 else 0)
    # 1,000 ids of two bits in 32,768: 1 in 270 of others seems to be in one generation, 1 in 135 in two.
    assert sum(f"other {n}" in sieve for n in range(10_000)) < 200
    assert sum(key in sieve for key in generations[0]) < 50


@pytest.mark.parametrize("generation", [20, 100_000])
def test_of_more_events_than_are_remembered_only_those_are_looked_up_that_came_before(
    dsn: str, store: Store, data: Data, monkeypatch: pytest.MonkeyPatch, generation: int
) -> None:
    """Of a minute at a high rate, sent twice; with room for all of it, and for a few of its ids."""
    monkeypatch.setattr(remembered, "GENERATION_IDS", generation)
    rows = [event(f"{n}", received_ms=NOW_MS + n, visitor_id=f"v{n}") for n in range(400)]
    for start in range(0, 400, 10):
        data.segment(record(rows[start : start + 10]))
    with closing(CountingStore(dsn)) as counting:
        loader = data.loader(counting, rows_max=10)
        loader.recover()
        load_all(loader)
        assert counting.lookups == 0
        data.segment(*(record([structs.replace(row, received_at=NOW_MS + 500)]) for row in rows))
        load_all(loader)
        assert (counting.lookups > 0) == (generation == 20)
    assert_exactly_once(store, data, [row.message_id for row in rows], deduplicated=400)


class CountingStore(Store):
    """Counts the look-ups of ids."""

    lookups = 0

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        self.lookups += "message_id IN" in sql
        return super().rows(sql, parameters)


def test_only_what_is_older_than_memory_is_looked_up_and_a_restart_or_an_outage_does_not_change_that(
    dsn: str, store: Store, data: Data
) -> None:
    data.segment(record([event(f"old {n}") for n in range(10)]))
    data.load(store)
    day = NOW_MS + DAY_MS
    # The database was away for a day, and now there is a day's spool.
    spooled = [NOW_MS + n * 60_000 for n in range(1, 1_440)]
    data.segment(*(record([event(f"{ms}", received_ms=ms, visitor_id=f"{ms}")]) for ms in spooled))
    data.now_ms = day
    with closing(CountingStore(dsn)) as counting:
        loader = data.loader(counting, rows_max=100)
        loader.recover()
        load_all(loader)
        assert counting.lookups == 0
        data.segment(record([event("late", received_ms=day, occurred_ms=NOW_MS - 2 * 3_600_000)]))
        load_all(loader)
        assert counting.lookups == 1
    assert_exactly_once(store, data, [*(f"old {n}" for n in range(10)), *map(str, spooled), "late"])


def test_sent_twice_in_a_spool_that_was_written_before_a_restart(store: Store, data: Data) -> None:
    """The first attempt waits in the spool, the second comes after the restart: both are new to the loader."""
    first, second = _credible(MINUTE_MS)
    data.segment(record([first]))
    data.now_ms = NOW_MS + MINUTE_MS
    data.segment(record([second]), owner="worker-1")
    data.load(store, rows_max=1)
    (row,) = store.rows(f"SELECT count() FROM {store.database}.events")
    assert row == (1,)
    assert segments(data.spool) == []
