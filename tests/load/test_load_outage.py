"""The database fails, goes away, or answers into a cut connection: loading goes on by itself, and nothing is double."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from load.spooled import Data, assert_exactly_once, event, failed, never_merge, record
from tcp_proxy import Fault, proxied

from collector.database.migrate import migrate
from collector.database.store import Store, StoreError
from collector.loading.load import Loader

DEADLINE_SECONDS = 30.0


@pytest.fixture
def data(tmp_path: Path, store: Store) -> Data:
    never_merge(store)
    return Data(tmp_path)


@contextmanager
def running(loader: Loader) -> Iterator[None]:
    """The loader in a thread, as the store process runs it."""
    stop = threading.Event()
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_SECONDS} s"
        time.sleep(0.005)


class SickStore(Store):
    """Every insert fails with `error` until it is `well`."""

    well = threading.Event()
    error: Exception
    refused = 0

    def insert_arrow(self, table: str, names: Sequence[str], stream: bytes, token: str) -> None:
        if not self.well.is_set():
            self.refused += 1
            raise self.error
        super().insert_arrow(table, names, stream, token)


@pytest.mark.parametrize(
    "error",
    [
        StoreError("Connection refused", transient=True),
        StoreError("Too many parts", transient=False),
        OSError(28, "No space left on device"),
        ValueError("something of the driver's own"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_an_insert_fails_with_it_is_told_and_tried_again_until_it_works(
    dsn: str, store: Store, data: Data, error: Exception
) -> None:
    data.segment(record([event("a")], [failed("b")]))
    with closing(SickStore(dsn)) as sick:
        sick.well, sick.error = threading.Event(), error
        loader = data.loader(sick)
        with running(loader):
            until(lambda: sick.refused >= 3, "the insert is tried again")
            assert loader.failure is not None
            assert str(error) in loader.failure
            sick.well.set()
            until(lambda: loader.failure is None and loader.positions.ledger.stored == 1, "loading goes on")
            data.segment(record([event("c")]))
            until(lambda: loader.positions.ledger.stored == 2, "what comes later is loaded")
    assert_exactly_once(store, data, "ac", "b")


def test_a_stop_loads_what_is_left(store: Store, data: Data) -> None:
    loader = data.loader(store, rows_max=25)
    ids = [f"{n}" for n in range(100)]
    with running(loader):
        data.segment(*(record([event(each)]) for each in ids))
    assert loader.positions.ledger.stored == 100
    data.load(store)  # tidies what the last step left
    assert_exactly_once(store, data, ids)


# The statement begins the body, and stays readable in its compression.
INSERT = b"INSERT INTO"


@pytest.mark.parametrize("cuts", [1, 4])
def test_an_insert_whose_answer_is_cut_off_is_stored_once(
    clickhouse_url: str, tmp_path: Path, cuts: int, request: pytest.FixtureRequest
) -> None:
    """The driver sends such an insert again by itself, and so does the loader: the token makes both harmless."""
    _load_through(clickhouse_url, tmp_path, request, [Fault("drop", INSERT)] * cuts)


def test_an_insert_that_is_slow_or_fails_midway_is_stored_once(
    clickhouse_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The server answers 500 before it has read all, the connection ends amid the request, then amid the answer."""
    midway = [Fault("slow", INSERT, seconds=0.2), Fault("error", INSERT), Fault("cut", INSERT), Fault("short", INSERT)]
    _load_through(clickhouse_url, tmp_path, request, midway)


def _load_through(clickhouse_url: str, tmp_path: Path, request: pytest.FixtureRequest, faults: Sequence[Fault]) -> None:
    """Load over a connection on which all of these happen; then each event must be stored once."""
    name = f"test_cut_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_")[-60:]
    data = Data(tmp_path)
    ids = [f"{n}" for n in range(2_000)]
    with closing(Store(f"{clickhouse_url}/{name}")) as direct:
        request.addfinalizer(lambda: _drop(clickhouse_url, name))
        migrate(direct)
        never_merge(direct)
        with proxied(clickhouse_url) as proxy:
            data.segment(*(record([event(each)], [failed(each)]) for each in ids))
            with closing(Store(f"http://127.0.0.1:{proxy.port}/{name}")) as store:
                proxy.arm(*faults)
                loader = data.loader(store, rows_max=1_000)
                with running(loader):
                    until(lambda: loader.positions.ledger.stored == len(ids), "all is loaded")
            assert proxy.happened.total() == len(faults)
        data.load(direct)
        assert_exactly_once(direct, data, ids, ids)


def _drop(url: str, name: str) -> None:
    with closing(Store(f"{url}/{name}")) as store:
        store.command(f"DROP DATABASE IF EXISTS {name} SYNC")
