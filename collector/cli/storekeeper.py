"""The store process: the one that opens the database, loads the spool into it and answers queries on its socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from collector.audience.definition import AudienceError
from collector.cli.audiences import Audiences
from collector.cli.child import Server, do_without_pandas, log_to_stderr, orders, settle_memory
from collector.cli.publisher import Publisher
from collector.cli.retain import retain
from collector.config import Settings
from collector.console import console
from collector.database.migrate import MigrationError, migrate
from collector.database.query import SOCKET_NAME, answer
from collector.database.retention import read_rules, shortest
from collector.database.sessions import CLOCK_SECONDS_MAX, StoredSessions
from collector.database.store import Store, StoreError
from collector.ingest.clock import now_ms
from collector.loading.ledger import LoadError
from collector.loading.load import RETRY_SECONDS_MAX, Loader
from collector.metrics import Counters
from collector.rounds import rounds
from collector.spooling.press import Press

log = logging.getLogger("footfall.store")

# New containers between two looks of the garbage collector. A batch makes one per event, and none of them in a circle:
# with Python's own 700 a sixth of the loader's time went into looking at them.
GARBAGE_MAX = 100_000
# The engine's own files take about 10 MB, and one that a full disk cuts off while it is made cannot be read again.
FREE_BYTES_MIN = 24_000_000
COUNTER_NAMES = ("inserts_total", "insert_nanoseconds_total", "pressed_segments_total", "pressed_saved_bytes_total")
EXPIRE_SECONDS = 3_600.0  # between two looks at what was set aside; its time counts in days
ERASE_SECONDS_MAX = 590.0  # less than whoever asks waits for
STOP_SECONDS_MAX = 7.0  # the loader drains for five; an insert under way may take a little longer


class Keeper:
    """The database's lanes and their threads: to load, ask, make the plan's views, keep sessions and audiences.

    Loading waits for none of the others: each has a lane and a thread of its own. One more thread presses segments
    that wait, which goes on while the database is away.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data_dir = Path(settings.data)
        self._stop = threading.Event()
        self._load_lane: Store | None = None
        self._query_lane: Store | None = None
        self._view_lane: Store | None = None
        self._session_lane: Store | None = None
        self._publisher = Publisher(settings.plan_dir, self._data_dir / "plan.lock", now_ms)
        self._audience_lane: Store | None = None
        self._audiences = Audiences(
            settings.audience_dir, os.environ, now_ms, private=settings.private_webhooks, wait=self._stop.wait
        )
        self._loader: Loader | None = None
        self._failure: str | None = "the database is being opened"
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._naming = threading.Lock()
        self._press = Press(self._data_dir / "spool", now_ms, self._naming)

    def start(self) -> None:
        """Begin to connect and load, in a thread of its own: nothing waits for the database."""
        self._thread.start()
        _begin("press", self._press.run, self._stop)

    def stop(self) -> None:
        """Load once more what is there, then let go of the database."""
        self._stop.set()
        self._thread.join(STOP_SECONDS_MAX)

    def query_lane(self) -> Store | None:
        """The store for queries; None while there is none."""
        return self._query_lane

    def migrate(self) -> list[str]:
        """Apply what is pending, the plan's views included. Raises StoreError."""
        if self._view_lane is None:
            raise StoreError(self._failure or "the database cannot be reached yet", transient=True)
        try:
            return [
                *migrate(self._view_lane),
                *retain(self._view_lane, self._settings),
                *self._publisher.publish(self._view_lane),
            ]
        except MigrationError as error:
            raise StoreError(str(error), transient=False) from error

    def audience(self, action: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a command asks of an audience. Raises StoreError."""
        if self._audience_lane is None:
            raise StoreError(self._failure or "the database cannot be reached yet", transient=True)
        try:
            return self._audiences.act(self._audience_lane, action, name, options)
        except AudienceError as error:
            raise StoreError(str(error), transient=False) from error

    def erase(self, body: bytes) -> bytes | None:
        """Erase the person that a request names, between two batches; None while there is no database to do so.

        Raises:
            StoreError: the database refused.
            ValueError: anything else; the text is one sentence.
        """
        from collector.rights.erase import EraseError, Request, erase  # noqa: PLC0415 - few collectors ever need it
        from collector.rights.person import PersonError  # noqa: PLC0415 - as above

        loader, lane, questions = self._loader, self._load_lane, self._query_lane
        if loader is None or lane is None or questions is None:
            return None
        request = msgspec.json.decode(body, type=Request)
        done = loader.between(
            lambda: erase(loader, lane, lambda sql: answer(questions, sql, "JSON"), self._data_dir, request, now_ms())
        )
        try:
            return msgspec.json.encode(done.result(ERASE_SECONDS_MAX))
        except TimeoutError as error:
            raise ValueError("the store process is still at it; erase again in a while to see what is left") from error
        except (EraseError, PersonError, LoadError, OSError) as error:
            raise ValueError(str(error)) from error

    def status(self) -> dict[str, Any]:
        """What `footfall doctor` shows of this process."""
        loader, lane = self._loader, self._query_lane
        shown: dict[str, Any] = {"failure": self._failure, "connected": lane is not None}
        if loader is not None:
            shown["failure"] = loader.failure
            shown["positions"] = msgspec.to_builtins(loader.positions)
            shown["inserts"] = loader.inserts
            shown["insert_seconds"] = round(loader.insert_seconds, 3)
        return shown

    def counts(self) -> tuple[int, int, int, int]:
        """What COUNTER_NAMES name: inserts, the nanoseconds they took, segments pressed, bytes saved by that."""
        loader, press = self._loader, self._press
        inserts = (loader.inserts, round(loader.insert_seconds * 1e9)) if loader is not None else (0, 0)
        return *inserts, press.segments, press.saved_bytes

    def _run(self) -> None:
        pause = 0.2
        while not self._stop.is_set():
            try:
                self._open()
                break
            except Exception as error:
                # Whatever it is, a file of the loader's that cannot be read too: this thread must not end in silence.
                self._failure = str(error) or type(error).__name__
                log.warning(
                    "the database cannot be used, trying again in %.1f s: %s",
                    pause,
                    self._failure,
                    exc_info=not isinstance(error, StoreError | MigrationError | LoadError),
                )
                self._stop.wait(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
        if self._loader is not None and self._view_lane is not None and self._audience_lane is not None:
            _begin("publisher", self._publisher.run, self._view_lane, self._stop)
            _begin("audiences", self._audiences.run, self._audience_lane, self._stop)
            if self._session_lane is not None:
                seconds = self._settings.stored_sessions_seconds
                stored = StoredSessions()
                if self._session_lane.embedded:  # nobody else loads into it
                    loader = self._loader
                    stored = StoredSessions(CLOCK_SECONDS_MAX, lambda ask: loader.between(ask).result())
                _begin("sessions", stored.run, self._session_lane, seconds, self._stop)
            _begin("expire", self._expire, self._loader)
            self._loader.run(self._stop)

    def _expire(self, loader: Loader) -> None:
        """See how far retention reaches, and delete what was set aside and is due, now and hourly."""
        failing, known = "what was set aside cannot be looked at", (LoadError, OSError, TimeoutError)
        look = partial(self._expire_once, loader)
        rounds(look, EXPIRE_SECONDS, self._stop, log, failing, known=known, seconds_max=EXPIRE_SECONDS, at_once=True)

    def _expire_once(self, loader: Loader) -> None:
        """Do so between two batches."""
        from collector.rights.expire import days_aside, expire  # noqa: PLC0415 - quick start of the store process

        rules = read_rules(self._settings.retention)
        days = days_aside(rules, self._settings.set_aside_days)
        of_rows = shortest(rules, self._settings.retention_failed_days)
        loader.between(lambda: loader.look_at_retention(of_rows)).result(EXPIRE_SECONDS)
        loader.between(lambda: expire(loader, self._data_dir, days, now_ms())).result(EXPIRE_SECONDS)

    def _open(self) -> None:
        settings = self._settings
        if settings.dsn.startswith("chdb:") and (free := shutil.disk_usage(self._data_dir).free) < FREE_BYTES_MIN:
            raise StoreError(
                f"{self._data_dir} has {free / 1e6:.0f} MB free, and the embedded database needs "
                f"{FREE_BYTES_MIN / 1e6:.0f} to start; make room",
                transient=True,
            )
        self._load_lane = self._load_lane or Store(settings.dsn, cluster=settings.cluster)
        if applied := migrate(self._load_lane):
            tables = [name for name in applied if name[0].isdigit()]
            views = len(applied) - len(tables)
            log.info("applied %s", ", ".join(tables + ([f"{views} views"] if views else [])))
        for name in retain(self._load_lane, settings):
            log.info("applied %s", name)
        self._view_lane = self._view_lane or Store(settings.dsn, cluster=settings.cluster)
        self._audience_lane = self._audience_lane or Store(settings.dsn, inside=True, cluster=settings.cluster)
        if settings.stored_sessions_seconds:
            self._session_lane = self._session_lane or Store(settings.dsn, cluster=settings.cluster)
        self._query_lane = self._query_lane or Store(settings.dsn_to_ask, read_only=True, cluster=settings.cluster)
        self._loader = Loader(
            self._data_dir,
            self._load_lane,
            now_ms,
            rows_max=settings.load_rows_max,
            interval_ms=settings.load_interval_ms,
            naming=self._naming,
        )
        self._failure = None
        settle_memory()


def _begin(name: str, run: Callable[..., None], *arguments: object) -> None:
    """Start a thread that ends with the process."""
    threading.Thread(target=run, args=arguments, name=name, daemon=True).start()


def give_memory_back() -> None:
    """Have the engine give back what it does not use after one second instead of five. What the operator has set stays.

    Each batch and merge needs as much again as the one before.
    """
    os.environ.setdefault("JE_MALLOC_CONF", "dirty_decay_ms:1000")  # read when the engine is loaded


def main() -> None:
    """Run until told to stop."""
    told = orders()
    do_without_pandas()
    give_memory_back()
    log_to_stderr(told.name)
    gc.set_threshold(GARBAGE_MAX)
    keeper = Keeper(told.settings)
    listener = _listener(Path(told.settings.data))  # before there are threads: see there
    keeper.start()
    counters = Counters(Path(told.settings.data) / "run" / f"{told.name}.counters", COUNTER_NAMES)
    counts = InsertCounts(keeper, counters)
    asyncio.run(_serve(keeper, listener, counts))
    keeper.stop()
    counts.publish()
    os._exit(0)  # the embedded engine's own threads do not always end with the interpreter


class InsertCounts:
    """Tells the workers' /metrics how many inserts there were, how long they took, and what was pressed."""

    def __init__(self, keeper: Keeper, counters: Counters) -> None:
        self._keeper = keeper
        self._counters = counters
        self._told = dict.fromkeys(COUNTER_NAMES, 0)

    def publish(self) -> None:
        """Add what there was since the last time."""
        for name, now in zip(COUNTER_NAMES, self._keeper.counts(), strict=True):
            self._counters.add(name, now - self._told[name])
            self._told[name] = now

    async def publish_forever(self) -> None:
        """Once a second."""
        while True:
            await asyncio.sleep(1.0)
            self.publish()


async def _serve(keeper: Keeper, listener: socket.socket, counts: InsertCounts) -> None:
    counting = asyncio.create_task(counts.publish_forever())
    app = console(keeper.query_lane, keeper.status, keeper.migrate, keeper.audience, keeper.erase)
    config = uvicorn.Config(
        app, lifespan="off", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    await Server(config).run_until_stopped([listener])
    counting.cancel()


def _listener(data_dir: Path) -> socket.socket:
    """The socket in the data directory, bound from inside it: a path of a socket may have only about 100 bytes.

    The working directory is that of all threads, and settings may name folders relative to it.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with contextlib.chdir(data_dir):
            Path(SOCKET_NAME).unlink(missing_ok=True)
            listener.bind(SOCKET_NAME)
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener


if __name__ == "__main__":
    main()
