"""What the database refuses stops nobody: it is kept as rejected with the database's reason, the rest is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from load.spooled import DAY_MS, NOW_MS, Data, event, failed, load_all, never_merge, properties_of, record

from collector.database.retention import read_rules
from collector.database.store import Store, StoreError
from collector.loading.ledger import account, read_positions
from collector.loading.refused import REASON
from collector.record import EventRow
from collector.rights.expire import days_aside, expire

IDS = [f"{n}" for n in range(300)]


@pytest.fixture
def data(tmp_path: Path, store: Store) -> Iterator[Data]:
    never_merge(store)
    yield Data(tmp_path)
    for table in ("events", "failed_events"):
        store.command(f"ALTER TABLE {store.database}.{table} DROP CONSTRAINT IF EXISTS mine")


def only(store: Store, condition: str, table: str = "events") -> None:
    """What an administrator may do to a table of ours at any time."""
    store.command(f"ALTER TABLE {store.database}.{table} ADD CONSTRAINT mine CHECK {condition}")


def anything(store: Store, table: str = "events") -> None:
    store.command(f"ALTER TABLE {store.database}.{table} DROP CONSTRAINT mine")


def ids(store: Store, table: str = "events") -> list[str]:
    return [
        str(found) for (found,) in store.rows(f"SELECT message_id FROM {store.database}.{table} ORDER BY message_id")
    ]


def spool(data: Data, message_ids: Sequence[str] = IDS) -> None:
    data.segment(
        *(record([event(one)], [failed(f"no {one}")] if n % 100 == 0 else []) for n, one in enumerate(message_ids))
    )


@pytest.mark.parametrize("poison", [["0"], ["299"], ["17", "18", "250"]], ids="+".join)
def test_rows_that_the_table_refuses_are_found_and_kept_and_all_others_are_stored(
    store: Store, data: Data, poison: list[str]
) -> None:
    only(store, "message_id NOT IN ({})".format(",".join(f"'{one}'" for one in poison)))
    spool(data)
    data.load(store)
    assert ids(store) == sorted(set(IDS) - set(poison))
    assert ids(store, "failed_events") == sorted([*poison, "no 0", "no 100", "no 200"])
    rows = store.rows(f"SELECT reason, fix, raw FROM {store.database}.failed_events WHERE reason = '{REASON}'")
    for reason, fix, raw in rows:
        assert reason == REASON
        assert "mine" in fix
        assert "is violated" in fix
        sent = json.loads(raw)
        assert sent["properties"] == json.loads(properties_of(sent["messageId"]))
        assert (sent["type"], sent["anonymousId"], sent["timestamp"]) == (
            "track",
            "visitor",
            "2026-09-21T14:13:19.000+00:00",
        )
    ledger = read_positions(data.folder).ledger
    assert (ledger.stored, ledger.rejected, ledger.refused) == (300 - len(poison), 3 + len(poison), len(poison))
    assert ledger.received == ledger.stored + ledger.rejected == 303


class Crash(BaseException):
    """The process is gone. No handler of ours may catch it."""


class DyingStore(Store):
    """A database whose client dies around its nth insert: before it or after."""

    at = 0
    after = False
    inserts = 0

    def insert_arrow(self, table: str, names: Sequence[str], stream: bytes, token: str) -> None:
        self.inserts += 1
        if self.inserts == self.at and not self.after:
            raise Crash
        super().insert_arrow(table, names, stream, token)
        if self.inserts == self.at:
            raise Crash


@pytest.mark.parametrize("mended", [False, True], ids=["constraint stays", "constraint dropped meanwhile"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_step_of_taking_a_block_apart_each_row_is_still_stored_once(
    dsn: str, store: Store, data: Data, after: bool, mended: bool
) -> None:
    """Blocks are not cut anew: a half that had arrived goes out again as that half, even if all would be taken now."""
    only(store, "message_id != '5'")
    for at in range(1 + after, 9, 2):  # before one insert is nearly after the one before it
        mine = [f"{n}" if n == 5 and at == 1 else f"{at} {n}" for n in range(8)]
        if at > 1:
            mine[5] = "5"
        data = Data(data.folder / f"{at}")
        spool(data, mine)
        store.command(f"TRUNCATE TABLE {store.database}.events")
        store.command(f"TRUNCATE TABLE {store.database}.failed_events")
        with closing(DyingStore(dsn)) as dying:
            dying.at, dying.after = at, after
            loader = data.loader(dying)
            loader.recover()
            try:
                load_all(loader)
            except (Crash, StoreError):
                died = True
            else:
                died = False
        if mended and died:
            anything(store)
        data.load(store)
        if mended and died:
            only(store, "message_id != '5'")
        found, rejected = ids(store), ids(store, "failed_events")
        assert sorted([*found, *(one for one in rejected if one == "5")]) == sorted(mine)
        assert rejected.count(f"no {mine[0]}") == 1
        ledger = read_positions(data.folder).ledger
        assert (ledger.stored, ledger.rejected) == (len(found), len(rejected))
        assert ledger.received == 9


def test_what_failed_events_refuses_too_is_set_aside_in_a_file_and_nothing_waits_for_it(
    store: Store, data: Data
) -> None:
    only(store, "message_id != '7'")
    only(store, "message_id NOT IN ('7', 'no 100')", "failed_events")
    spool(data)
    loader = data.load(store)
    assert len(ids(store)) == 299
    assert ids(store, "failed_events") == ["no 0", "no 200"]
    (kept,) = (data.folder / "load" / "refused").iterdir()
    rows = msgspec.json.decode(kept.read_bytes())
    assert sorted(row["message_id"] for row in rows) == ["7", "no 100"]
    assert all("mine" in row["refused"] for row in rows)
    assert rows[0]["raw"]
    ledger = loader.positions.ledger
    assert (ledger.stored, ledger.rejected, ledger.refused, ledger.set_aside) == (299, 4, 2, 2)
    spool(data, ["later"])
    load_all(loader)
    assert "later" in ids(store)
    # Nobody takes it up.
    unread = data.spool / "damaged" / "piece"
    unread.parent.mkdir()
    unread.write_bytes(b"x")
    loader.positions.ledger.damaged_bytes = 5
    set_ms = max(path.stat().st_mtime_ns for path in (kept, unread)) // 1_000_000
    before = loader.positions.ledger
    for days, later_days in ((0, 9_999), (90, 89), (90, 90)):
        assert expire(loader, data.folder, days, set_ms + later_days * DAY_MS - 1_000) == 0
    assert kept.exists() and unread.exists()
    assert expire(loader, data.folder, 90, set_ms + 90 * DAY_MS + 1_000) == 2
    assert not kept.exists() and not unread.exists()
    ledger = read_positions(data.folder).ledger
    assert (ledger.rejected, ledger.refused, ledger.set_aside, ledger.damaged_bytes) == (before.rejected - 2, 0, 0, 0)
    assert (ledger.dropped, ledger.erased, ledger.received) == (2, 0, before.received)
    _, where = account(data.folder)
    assert where.pop("received") == sum(where.values())


def test_what_a_person_deleted_or_had_loaded_again_is_not_said_to_wait(store: Store, data: Data) -> None:
    loader = data.load(store)
    ledger = loader.positions.ledger
    ledger.received = ledger.rejected = ledger.set_aside = 3
    ledger.damaged_bytes = 5
    folder = data.folder / "load" / "refused"
    folder.mkdir()
    (folder / "b.json").write_bytes(b"[{}]")
    (folder / "notes.txt").write_text("mine")
    assert expire(loader, data.folder, 90, NOW_MS) == 0
    assert (loader.positions.ledger.set_aside, loader.positions.ledger.damaged_bytes) == (1, 0)
    assert days_aside(read_rules(["*=395", "shop/search=30", "blog=0"]), 90) == 30
    assert (days_aside([], 90), days_aside(read_rules(["*=20"]), 0), days_aside([], 0)) == (90, 20, 0)


def test_a_table_that_refuses_everything_costs_a_bounded_number_of_inserts_a_batch(
    dsn: str, store: Store, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(store, "event = ''")
    monkeypatch.setattr("collector.loading.load.HALVES_MAX", 30)
    many = [f"{n}" for n in range(200)]
    data.segment(record([event(one) for one in many]))
    with closing(DyingStore(dsn)) as counting:
        data.load(counting)
        assert 30 <= counting.inserts <= 2 * 30 + 2
    assert ids(store) == []
    assert ids(store, "failed_events") == sorted(many)


def test_a_value_that_fits_no_column_is_kept_as_refused_and_harms_no_neighbour(store: Store, data: Data) -> None:
    """Workers never write one; if one ever does, it is an event of its own that suffers."""
    rows = [event(f"{n}") for n in range(6)]
    rows[1].sequence = 2**40
    rows[2].value = "a lot"
    rows[4].screen_width = -1
    data.segment(record(rows[:3]), record(rows[3:]))
    loader = data.load(store)
    assert ids(store) == ["0", "3", "5"]
    assert ids(store, "failed_events") == ["1", "2", "4"]
    (sentences,) = store.rows(f"SELECT groupArray(fix) FROM {store.database}.failed_events")
    assert all("does not fit its column" in sentence for sentence in sentences[0])
    assert (loader.positions.ledger.stored, loader.positions.ledger.refused) == (3, 3)


def test_a_full_disk_or_a_missing_table_is_nobodys_row(store: Store, data: Data) -> None:
    spool(data, ["a", "b"])
    loader = data.loader(store)
    loader.recover()
    store.command(f"RENAME TABLE {store.database}.events TO {store.database}.away")
    for _ in range(2):
        with pytest.raises(StoreError, match="events"):
            loader.step(wait=False)
        loader = data.loader(store)
    store.command(f"RENAME TABLE {store.database}.away TO {store.database}.events")
    data.load(store)
    assert ids(store) == ["a", "b"]
    assert ids(store, "failed_events") == ["no a"]


def test_a_refused_event_is_stored_by_a_replay_once_the_table_takes_it(store: Store, data: Data) -> None:
    only(store, "message_id != '5'")
    data.segment(record([event("4"), event("5")]))
    loader = data.load(store)
    anything(store)
    # What a replay writes: the event's row, by the same id.
    data.segment(record([event("5")]))
    load_all(loader)
    assert ids(store) == ["4", "5"]


def test_rows_are_unchanged_by_the_way_through_columns(store: Store, data: Data) -> None:
    full: EventRow = event("full", sent_ms=NOW_MS - 5)
    full.value, full.violations, full.is_bot, full.sample_rate = "12.3456", ["a:/b", "c:"], True, 0.25
    full.title, full.path, full.country, full.sequence = "nul\0 é \U0001f600", "/x", "NL", 2**32 - 1
    bare = event("bare")
    bare.sent_at = None
    data.segment(record([full, bare]))
    data.load(store)
    columns = (
        "message_id, toString(value), violations, is_bot, sample_rate, title, path, country, sequence, sent_at IS NULL"
    )
    rows = store.rows(f"SELECT {columns} FROM {store.database}.events ORDER BY message_id DESC")
    assert rows == [
        ("full", "12.3456", ["a:/b", "c:"], True, 0.25, "nul\0 é \U0001f600", "/x", "NL", 2**32 - 1, 0),
        ("bare", "0", [], False, 1.0, "", "", "", 0, 1),
    ]
