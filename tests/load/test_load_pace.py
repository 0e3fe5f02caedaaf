"""When the loader takes a batch, and when it lets one grow. On both engines."""

from __future__ import annotations

from pathlib import Path

from load.spooled import Data, assert_exactly_once, event, load_all, record

from collector.database.store import Store
from collector.loading.load import Loader

INTERVAL_MS = 500


def test_what_is_behind_a_full_batch_waits_no_longer_and_the_rest_grows_for_an_interval(
    tmp_path: Path, store: Store
) -> None:
    data = Data(tmp_path)
    loader = Loader(tmp_path, store, lambda: data.now_ms, rows_max=2, interval_ms=INTERVAL_MS)
    loader.recover()
    data.segment(*(record([event(f"{number}")]) for number in range(5)), live=True)
    assert [loader.step() for _ in range(4)] == [2, 2, 1, 0]

    data.append(record([event("late")]))
    data.now_ms += INTERVAL_MS - 1
    assert loader.step() == 0
    data.now_ms += 1
    assert loader.step() == 1
    data.end_writers()
    load_all(loader)
    assert_exactly_once(store, data, [*"01234", "late"])


def test_the_time_that_a_batch_takes_is_part_of_the_interval(tmp_path: Path, store: Store) -> None:
    data = Data(tmp_path)

    class Slow(Loader):
        def _write(self, path: Path, content: bytes) -> None:
            data.now_ms += INTERVAL_MS
            super()._write(path, content)

    loader = Slow(tmp_path, store, lambda: data.now_ms, interval_ms=INTERVAL_MS)
    loader.recover()
    data.segment(record([event("a")]), live=True)
    assert loader.step() == 1
    data.append(record([event("b")]))
    assert loader.step() == 1
    data.end_writers()


def test_a_clock_that_is_set_back_stops_nothing(tmp_path: Path, store: Store) -> None:
    data = Data(tmp_path)
    loader = Loader(tmp_path, store, lambda: data.now_ms, interval_ms=INTERVAL_MS)
    loader.recover()
    data.segment(record([event("a")]), live=True)
    assert loader.step() == 1
    data.append(record([event("b")]))
    data.now_ms -= 3_600_000
    assert loader.step() == 1
    data.end_writers()
