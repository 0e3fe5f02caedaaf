"""Events that are only counted: exactly once like the others, in the ledger, and of nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from load.spooled import DAY_MS, NOW_MS, Data, counted, counting, event, load_all, record

from collector.database.store import Store, StoreError
from collector.loading.ledger import account, read_positions
from collector.loading.load import Loader

PATH = "/a"  # of events that do not say otherwise


class Killed(Loader):
    """Dies once the batch is inserted, before it is recorded."""

    def _commit(self, batch: Any) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def totals(store: Store) -> dict[tuple[Any, ...], int]:
    rows = store.rows(
        f"SELECT toString(day), path, is_bot, reason, sum(events) FROM {store.database}.counted_events GROUP BY ALL"
    )
    return {tuple(row[:-1]): int(row[-1]) for row in rows}


def test_counted_events_add_up_once_beside_those_that_are_stored(store: Store, data: Data) -> None:
    data.segment(
        counting(counted("a"), counted("b"), counted("a"), counted("stored"), events=[event("stored")]),
        counting(counted("c", path="/b"), counted("d", received_ms=NOW_MS + DAY_MS, is_bot=True)),
    )
    killed = data.loader(store, kind=Killed)
    killed.recover()
    with pytest.raises(KeyboardInterrupt):
        killed.step(wait=False)
    loader = data.loader(store)
    loader.recover()
    load_all(loader)
    data.segment(counting(counted("b"), counted("e")), record([event("c"), event("f")]))
    load_all(loader)
    expected = {
        ("2026-09-21", "/a", False, "gpc"): 3,
        ("2026-09-21", "/b", False, "gpc"): 1,
        ("2026-09-22", "/a", True, "gpc"): 1,
    }
    assert totals(store) == expected
    store.command(f"OPTIMIZE TABLE {store.database}.counted_events FINAL")
    assert totals(store) == expected
    assert store.rows(
        f"SELECT toString(day), page, reason, events, bots FROM {store.database}.counted_daily ORDER BY ALL"
    ) == [
        ("2026-09-21", "shop.example/a", "gpc", 3, 0),
        ("2026-09-21", "shop.example/b", "gpc", 1, 0),
        ("2026-09-22", "shop.example/a", "gpc", 0, 1),
    ]
    assert store.rows(f"SELECT message_id FROM {store.database}.events ORDER BY 1") == [("f",), ("stored",)]
    ledger = read_positions(data.folder).ledger
    assert (ledger.received, ledger.stored, ledger.counted, ledger.deduplicated) == (11, 7, 5, 4)
    _, where = account(data.folder)
    assert where["received"] == sum(list(where.values())[1:])
    assert list(data.spool.glob("*.segment")) == []


def test_a_count_that_the_database_refuses_is_set_aside_and_stops_nothing(store: Store, data: Data) -> None:
    store.command(f"ALTER TABLE {store.database}.counted_events ADD CONSTRAINT short CHECK length(path) < 3")
    try:
        data.segment(counting(counted("a"), counted("b", path="/long"), counted("c")))
        data.load(store)
        assert totals(store) == {("2026-09-21", "/a", False, "gpc"): 2}
        ledger = read_positions(data.folder).ledger
        assert (ledger.received, ledger.stored, ledger.counted, ledger.rejected, ledger.set_aside) == (3, 2, 2, 1, 1)
        (kept,) = (data.folder / "load" / "refused").iterdir()
        assert b'"/long"' in kept.read_bytes()
    finally:
        store.command(f"ALTER TABLE {store.database}.counted_events DROP CONSTRAINT short")


def test_what_an_event_states_of_consent_can_be_asked_for(store: Store, data: Data) -> None:
    stated = ['{"consent":{"analytics":true,"version":"3"}}', '{"consent":"granted"}', "{}", "not json"]
    events = [msgspec.structs.replace(event(f"{n}"), context=text) for n, text in enumerate(stated)]
    events[2] = msgspec.structs.replace(events[2], sender_flags="place_unknown cookieless_consent_denied")
    data.segment(record(events))
    data.load(store)
    columns = "consent, consent_version, consent_lacking"
    assert store.rows(f"SELECT {columns} FROM {store.database}.events ORDER BY message_id") == [
        ('{"analytics":true,"version":"3"}', "3", ""),
        ("granted", "", ""),
        ("", "", "consent_denied"),
        ("", "", ""),
    ]


def test_an_outage_in_the_middle_counts_nothing_twice(
    store: Store, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.segment(counting(counted("a"), events=[event("b")]))
    loader = data.loader(store)
    loader.recover()
    insert = store.insert_arrow

    def lost(table: str, *rest: Any) -> None:
        insert(table, *rest)
        if table == "counted_events":
            raise StoreError("the line was cut", transient=True)

    with monkeypatch.context() as patch:
        patch.setattr(store, "insert_arrow", lost)
        with pytest.raises(StoreError, match="cut"):
            loader.step(wait=False)
    loader.recover()
    assert totals(store) == {("2026-09-21", "/a", False, "gpc"): 1}
    assert store.rows(f"SELECT count() FROM {store.database}.events") == [(1,)]
