"""How a command reaches the database: through the store process where one runs, else by opening it itself."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from collector.cli import lock
from collector.cli.target import remember
from collector.config import Settings
from collector.database.migrate import migrate
from collector.database.query import SOCKET_NAME, answer
from collector.database.store import Store
from collector.ingest.clock import now_ms

ASK_SECONDS_MAX = 600.0
STARTING_SECONDS_MAX = 20.0


class AskError(Exception):
    """A question could not be answered; the text is one sentence."""


class _Connection(http.client.HTTPConnection):
    """HTTP over the store process's socket."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("store", timeout=ASK_SECONDS_MAX)
        self._data_dir = data_dir

    def connect(self) -> None:
        """Connect from inside the directory: the path of a socket may have only about 100 bytes."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with contextlib.chdir(self._data_dir):
            self.sock.connect(SOCKET_NAME)


def ask(data_dir: Path, method: str, path: str, body: bytes = b"") -> bytes | None:
    """Ask the store process that runs on a data directory.

    Returns:
        Its answer; None when no collector runs there.
    Raises:
        AskError: with the store's own sentence.
    """
    deadline = time.monotonic() + STARTING_SECONDS_MAX
    while True:
        holder = lock.holder(data_dir)
        if holder is None:
            return None
        try:
            with contextlib.closing(_Connection(data_dir)) as connection:
                connection.request(method, path, body)
                answered = connection.getresponse()
                content = answered.read()
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                pid, command = holder
                raise AskError(
                    f"process {pid} ({command}) uses {data_dir} and does not answer ({error}); try again later"
                ) from error
        else:
            if answered.status == 200:
                return content
            if answered.status != 503 or time.monotonic() > deadline:
                raise AskError(content.decode("utf-8", "replace"))
        time.sleep(0.1)


@contextlib.contextmanager
def opened(settings: Settings, what: str) -> Iterator[Store]:
    """Open the database in this process, with all that the spool holds loaded. For when no collector runs.

    Raises:
        lock.InUse, WrongTarget, StoreError, MigrationError.
    """
    from collector.loading.load import (
        Loader,  # with pyarrow: half a second, and most commands find a collector that runs
    )

    data_dir = Path(settings.data)
    remember(settings)
    held = lock.acquire(data_dir, what)
    lane = Store(settings.dsn, cluster=settings.cluster)
    try:
        migrate(lane)
        loader = Loader(data_dir, lane, now_ms, rows_max=settings.load_rows_max)
        loader.recover()
        while loader.step(wait=False):
            pass
        yield lane
    finally:
        lane.close()
        os.close(held)


def query(settings: Settings, sql: str, fmt: str, what: str) -> bytes:
    """The answer to one reading query: from the store process where one runs, else by opening the database for it.

    Args:
        settings: Name the data directory, and the database for when nothing runs.
        sql: One statement.
        fmt: One of the store's FORMATS.
        what: The command, for whoever wants the data directory meanwhile.
    Raises:
        AskError, and all that `opened` raises.
    """
    content = ask(Path(settings.data), "POST", f"/query?format={fmt}", sql.encode())
    if content is None:
        with (
            opened(settings, what),
            contextlib.closing(Store(settings.dsn_to_ask, read_only=True, cluster=settings.cluster)) as lane,
        ):
            content = answer(lane, sql, fmt)
    return content


def running_status(data_dir: Path) -> dict[str, Any] | None:
    """What the running store process says of itself; None when none runs."""
    content = ask(data_dir, "GET", "/status")
    return None if content is None else msgspec.json.decode(content, type=dict[str, Any])
