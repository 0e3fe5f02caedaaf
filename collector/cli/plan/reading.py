"""How commands that look at events reach the database: one session of questions, whether a collector runs or not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from collector.cli import lock
from collector.cli.ask import AskError, ask, opened, running_status
from collector.cli.options import Failure
from collector.cli.target import WrongTarget
from collector.config import Settings
from collector.database.migrate import MigrationError
from collector.database.query import answer
from collector.database.store import Store, StoreError
from collector.hindsight import Ask
from collector.ingest.clock import now_ms

DAY_MS = 86_400_000
# All that `reading` raises where a database cannot be asked; each is one sentence.
UNREACHABLE = (AskError, Failure, MigrationError, StoreError, WrongTarget, lock.InUse)
LOADED_SECONDS_MAX = 120.0


class Session(Struct, frozen=True):
    """`ask` answers one SELECT with a FORMAT of its own; `lane` is the database when this process has opened it."""

    ask: Ask
    settings: Settings
    lane: Store | None = None

    def load(self, segments: list[Path]) -> bool:
        """See to it that these segments are loaded. False when the collector that runs has not done so in time.

        Raises:
            StoreError, LoadError: this process loads, and cannot.
        """
        if self.lane is not None:
            from collector.loading.load import Loader  # see `opened`

            loader = Loader(Path(self.settings.data), self.lane, now_ms, rows_max=self.settings.load_rows_max)
            loader.recover()
            while loader.step(wait=False):
                pass
            return True
        deadline = time.monotonic() + LOADED_SECONDS_MAX
        while any(path.exists() for path in segments):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)  # the loader deletes a segment once it is loaded; there is nothing else to wait for
        return True

    def failure(self) -> str:
        """Why the collector that runs does not load; empty when it does, or when none runs."""
        status = running_status(Path(self.settings.data)) or {}
        return str(status.get("failure") or "")


@contextlib.contextmanager
def reading(settings: Settings, what: str, *, loads: bool = False) -> Iterator[Session]:
    """Ask a database many questions: through the store process where one runs, else by opening it once for all.

    A server can be asked from a machine without a data directory, such as one that checks pull requests.

    Args:
        settings: Name the data directory, and the database for when nothing runs.
        what: The command, for whoever wants the data directory meanwhile.
        loads: Whether `Session.load` is needed, which needs the data directory.
    Raises:
        UNREACHABLE: there is no data directory, or the database cannot be asked.
    """
    data_dir = Path(settings.data)
    if not data_dir.is_dir():
        if loads or not settings.clickhouse:
            raise Failure(f"there is no data directory {data_dir}; name one with --data, or start `footfall serve`")
        with contextlib.closing(Store(settings.dsn_to_ask, read_only=True, cluster=settings.cluster)) as questions:
            yield Session(lambda sql: answer(questions, sql, "JSON"), settings)
        return
    if lock.holder(data_dir) is not None and ask(data_dir, "POST", "/query?format=JSON", b"SELECT 1") is not None:
        yield Session(lambda sql: _answered(data_dir, sql), settings)
        return
    with (
        opened(settings, what) as lane,
        contextlib.closing(Store(settings.dsn_to_ask, read_only=True, cluster=settings.cluster)) as questions,
    ):
        yield Session(lambda sql: answer(questions, sql, "JSON"), settings, lane)


def _answered(data_dir: Path, sql: str) -> bytes:
    content = ask(data_dir, "POST", "/query?format=JSON", sql.encode())
    if content is None:
        raise AskError("the collector stopped meanwhile; run this again")
    return content
