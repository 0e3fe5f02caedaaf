"""A loader that dies at any point is followed by one that finishes its work, and every event is stored exactly once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it ships no types
import pytest
from load.spooled import DAY_MS, NOW_MS, Data, assert_exactly_once, event, failed, load_all, never_merge, record

from collector.database.store import Store, StoreError
from collector.loading.load import Batch, Loader
from collector.spooling.spool import read_records, segments


class Crash(BaseException):
    """The process is gone. No handler of ours may catch it."""


class Mortal(Loader):
    """A loader that dies at one point of its `nth` batch."""

    point = ""
    nth = 1

    def _dies(self, point: str) -> bool:
        return self.point == point and self.inserts + 1 >= self.nth

    def _write(self, path: Path, content: bytes) -> None:
        if self._dies(f"{path.stem} half written"):
            path.with_suffix(".new").write_bytes(content[: len(content) // 2])
            raise Crash
        super()._write(path, content)
        if self._dies(f"{path.stem} written"):
            raise Crash

    def _insert(self, batch: Batch, arrived: Container[str] = ()) -> None:
        if self._dies("before insert"):
            raise Crash
        super()._insert(batch, arrived)
        if self.point == "inserted" and self.inserts >= self.nth:
            raise Crash

    def _tidy(self) -> None:
        if self.point == "tidying" and self.inserts >= self.nth:
            for path in segments(self._spool)[:1]:
                path.unlink()  # it is loaded, and now the process is gone before it deletes the next
            raise Crash
        super()._tidy()


class FailingStore(Store):
    """A database that fails some inserts: before they arrive or after."""

    def __init__(self, dsn: str, before: Callable[[str], bool], after: Callable[[str], bool], error: BaseException):
        super().__init__(dsn)
        self._before, self._after, self._error = before, after, error

    def insert_arrow(self, table: str, names: Sequence[str], stream: bytes, token: str) -> None:
        if self._before(table):
            raise self._error
        super().insert_arrow(table, names, stream, token)
        if self._after(table):
            raise self._error


def never(_table: str) -> bool:
    return False


class NthTime:
    """True for one table, from its `first` time up to its `last`."""

    def __init__(self, table: str, first: int, last: int) -> None:
        self._table, self._first, self._last = table, first, last
        self.times = 0

    def __call__(self, table: str) -> bool:
        if table != self._table:
            return False
        self.times += 1
        return self._first <= self.times <= self._last


@pytest.fixture
def data(tmp_path: Path, store: Store) -> Data:
    never_merge(store)
    return Data(tmp_path)


def spool_two_batches(data: Data) -> tuple[list[str], list[str]]:
    """Three segments that rows_max=15 cuts into two batches, with accepted and rejected events."""
    ids = [f"{part} {n}" for part in range(3) for n in range(8)]
    for part in range(3):
        mine = [each for each in ids if each.startswith(str(part))]
        data.segment(*(record([event(each)], [failed(each)] if n % 4 == 0 else []) for n, each in enumerate(mine)))
    return ids, [each for each in ids if int(each[2:]) % 4 == 0]


FAILPOINTS = (
    "manifest half written",
    "manifest written",
    "before insert",
    "inserted",
    "positions half written",
    "positions written",
    "tidying",
)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", FAILPOINTS)
def test_a_loader_killed_at_any_point_leaves_a_state_that_the_next_one_completes(
    store: Store, data: Data, point: str, nth: int
) -> None:
    ids, rejected = spool_two_batches(data)
    loader = data.loader(store, Mortal, rows_max=15)
    assert isinstance(loader, Mortal)
    loader.point, loader.nth = point, nth
    loader.recover()
    with pytest.raises(Crash):
        load_all(loader)
    # The next one dies at the same point while it recovers, where it comes that far.
    second = data.loader(store, Mortal, rows_max=15)
    assert isinstance(second, Mortal)
    second.point, second.nth = point, 1
    with contextlib.suppress(Crash):
        second.recover()
        load_all(second)
    data.load(store, rows_max=15)
    assert_exactly_once(store, data, ids, rejected)


@pytest.mark.parametrize("table", ["events", "failed_events"])
@pytest.mark.parametrize("arrived", [False, True])
def test_a_crash_between_the_inserts_of_a_batch_leaves_neither_half_lost_nor_double(
    dsn: str, store: Store, data: Data, table: str, arrived: bool
) -> None:
    ids, rejected = spool_two_batches(data)
    dies = NthTime(table, 1, 1)
    with closing(FailingStore(dsn, never if arrived else dies, dies if arrived else never, Crash())) as mortal:
        loader = data.loader(mortal, rows_max=15)
        loader.recover()
        with pytest.raises(Crash):
            load_all(loader)
    data.load(store, rows_max=15)
    assert_exactly_once(store, data, ids, rejected)


def test_an_id_counts_as_seen_only_once_its_batch_is_committed(dsn: str, store: Store, data: Data) -> None:
    """The insert fails and its batch cannot be sent again, so its events must be taken as new."""
    path = data.segment(record([event("a")]), record([event("b")]), record([event("c")]))
    with closing(FailingStore(dsn, NthTime("events", 1, 1), never, StoreError("down", transient=True))) as failing:
        loader = data.loader(failing)
        loader.recover()
        with pytest.raises(StoreError):
            loader.step(wait=False)
        (_, second, _) = read_records(path, 0, 4_096, sealed=True)
        content = bytearray(path.read_bytes())
        content[second.end - 1] ^= 1
        path.write_bytes(content)
        loader.recover()
        load_all(loader)
    assert_exactly_once(store, data, "ac")
    assert loader.positions.ledger.damaged_bytes == second.end - second.start


@pytest.mark.parametrize("restarted", [False, True])
def test_a_batch_that_arrived_and_cannot_be_read_again_is_not_stored_twice(
    dsn: str, store: Store, data: Data, restarted: bool
) -> None:
    """The insert arrived, its answer did not, and then a bit flips in the segment: what the manifest says is gone."""
    path = data.segment(record([event("a")], [failed("x")]), record([event("b")]), record([event("c")]))
    with closing(FailingStore(dsn, never, NthTime("failed_events", 1, 1), StoreError("cut", transient=True))) as cut:
        loader = data.loader(cut)
        loader.recover()
        with pytest.raises(StoreError):
            loader.step(wait=False)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        if restarted:
            loader = data.loader(cut)
        loader.recover()
        load_all(loader)
    rows = store.rows(f"SELECT message_id, count() FROM {store.database}.events GROUP BY message_id ORDER BY 1")
    assert rows == [("a", 1), ("b", 1), ("c", 1)]
    assert store.rows(f"SELECT count() FROM {store.database}.failed_events") == [(1,)]
    ledger = loader.positions.ledger
    assert (ledger.received, ledger.stored, ledger.deduplicated) == (3, 0, 3)


def test_an_insert_that_reached_one_of_two_partitions_is_completed_by_its_token(
    dsn: str, store: Store, data: Data
) -> None:
    """An insert over two months is two parts, and the server may die between them."""
    last_month = NOW_MS - 40 * DAY_MS
    ids = [f"{n}" for n in range(20)]
    data.segment(*(record([event(each, received_ms=NOW_MS if n % 2 else last_month)]) for n, each in enumerate(ids)))

    class HalfStore(Store):
        halves = 0

        def insert_arrow(self, table: str, names: Sequence[str], stream: bytes, token: str) -> None:
            if self.halves == 0:
                self.halves += 1
                with pa.ipc.open_stream(stream) as reader:
                    rows = reader.read_all()
                half = rows.filter(pc.less(rows["occurred_at"].cast(pa.int64()), NOW_MS - DAY_MS))
                assert half.num_rows == 10
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, half.schema) as writer:
                    writer.write_table(half)
                super().insert_arrow(table, names, sink.getvalue().to_pybytes(), token)
                raise StoreError("the server went away", transient=True)
            super().insert_arrow(table, names, stream, token)

    with closing(HalfStore(dsn)) as half:
        loader = data.loader(half)
        loader.recover()
        with pytest.raises(StoreError):
            loader.step(wait=False)
        assert store.rows(f"SELECT count() FROM {store.database}.events") == [(10,)]
        loader.recover()
        load_all(loader)
    assert_exactly_once(store, data, ids)


class OneAnswerLost(Store):
    """A database whose answer to the first insert into one table is lost."""

    table = ""
    lost = False

    def insert_arrow(self, table: str, names: Sequence[str], stream: bytes, token: str) -> None:
        super().insert_arrow(table, names, stream, token)
        if table == self.table and not self.lost:
            self.lost = True
            raise StoreError("cut", transient=True)


@pytest.mark.parametrize("table", ["events", "failed_events"])
def test_a_batch_that_arrived_is_known_when_the_deduplication_window_is_past_it(
    dsn: str, store: Store, data: Data, table: str
) -> None:
    """Other collectors fill the window of a table while this one is away, and then its token says nothing."""
    ids, rejected = spool_two_batches(data)

    def window(inserts: int) -> None:
        for name in ("events", "failed_events"):
            setting = f"non_replicated_deduplication_window = {inserts}"
            store.command(f"ALTER TABLE {store.database}.{name} MODIFY SETTING {setting}")

    window(1)
    with closing(OneAnswerLost(dsn)) as losing:
        losing.table = table
        loader = data.loader(losing, rows_max=15)
        loader.recover()
        with pytest.raises(StoreError):
            load_all(loader)
    other = Data(data.folder / "other")
    for n in range(3):
        other.segment(record([event(f"other {n}")], [failed(f"no {n}")]))
        other.load(store)
    data.load(store, rows_max=15)
    window(10_000)
    for name, mine in (("events", ids), ("failed_events", rejected)):
        where = "WHERE NOT match(message_id, '^(other|no) ')"
        found = store.rows(f"SELECT message_id FROM {store.database}.{name} {where} ORDER BY message_id")
        assert [message_id for (message_id,) in found] == sorted(mine)


def test_a_manifest_of_another_schema_is_loaded_anew(store: Store, data: Data) -> None:
    ids, rejected = spool_two_batches(data)
    loader = data.loader(store, Mortal)
    assert isinstance(loader, Mortal)
    loader.point = "inserted"
    loader.recover()
    with pytest.raises(Crash):
        load_all(loader)
    manifest = data.folder / "load" / "manifest.json"
    content = manifest.read_text().partition(',"crc32"')[0] + "}"  # as versions before wrote it
    schema = content.split('"schema":"')[1].split('"')[0]
    manifest.write_text(content.replace(schema, "0" * 16))
    data.load(store)
    rows = store.rows(f"SELECT message_id, count() FROM {store.database}.events GROUP BY message_id")
    assert sorted(rows) == [(each, 1) for each in sorted(ids)]
    assert store.rows(f"SELECT count() FROM {store.database}.failed_events") == [(len(rejected),)]
