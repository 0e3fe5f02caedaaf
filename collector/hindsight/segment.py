"""Rows into the spool as segments of their own, from where the loader takes them with all that makes it exact.

A segment gets its name once it is whole and on the disk. Nobody holds it then: it is sealed from its first moment.
What a crash leaves behind is a file without a name, which the next one overwrites.
"""

from __future__ import annotations

import fcntl
import os
import time
from io import BufferedWriter
from pathlib import Path

from collector.files import sync_folder
from collector.hindsight.ask import HindsightError
from collector.record import EventRow, Rows, encode_rows
from collector.spooling.room import Room
from collector.spooling.spool import SEGMENT_MAGIC, SUFFIX, frame

OWNER = "replay"
LOCK_NAME = "replay.lock"
# A record is read whole by the loader; 500 rows of the largest events would be 60 MB.
RECORD_ROWS = 500
RECORD_BYTES = 4 * 1024 * 1024
SEGMENT_BYTES = 16 * 1024 * 1024  # each is loaded, and deleted, on its own


class Replayer:
    """Writes rows into the spool of a data directory. One at a time: others are refused."""

    def __init__(self, data_dir: Path) -> None:
        """Raises HindsightError when another replay is under way."""
        self._spool = data_dir / "spool"
        self._spool.mkdir(parents=True, exist_ok=True)
        self._room = Room(self._spool)
        self._unnamed = self._spool / f".{OWNER}.new"
        self._file: BufferedWriter | None = None
        self._rows: list[EventRow] = []
        self._bytes = self._written = 0
        self.events = 0
        self._lock = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise HindsightError("another replay is under way on this data directory; wait for it to end") from None

    def waiting(self) -> list[Path]:
        """Segments of replays that are not loaded yet."""
        return sorted(self._spool.glob(f"{OWNER}-*{SUFFIX}"))

    def add(self, row: EventRow) -> None:
        """Take one row. It is durable once `seal` has returned. Raises HindsightError where the disk takes no more."""
        self._rows.append(row)
        self._bytes += len(row.properties) + len(row.context) + len(row.traits) + len(row.extra)
        if len(self._rows) >= RECORD_ROWS or self._bytes >= RECORD_BYTES:
            self._write_record()
        if self._written >= SEGMENT_BYTES:
            self.seal()

    def seal(self) -> None:
        """Hand what was added to the loader. Raises HindsightError as `add`; what was sealed before stays so."""
        self._write_record()
        if self._file is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            name = f"{OWNER}-{time.time_ns() // 1_000_000:013d}-{os.urandom(4).hex()}{SUFFIX}"
            self._unnamed.rename(self._spool / name)
            sync_folder(self._spool)
        except OSError as problem:
            raise self._refused(problem) from problem
        self._file, self._written = None, 0

    def close(self) -> None:
        """Let go. What was added and not sealed is as if it had never been."""
        if self._file is not None:
            self._file.close()
            self._unnamed.unlink(missing_ok=True)
        os.close(self._lock)

    def take(self, record: bytes, events: int) -> None:
        """Take one record as it stands in a segment, with its events; for the rest as `add`."""
        self._write_record()
        self._write(record, events)
        if self._written >= SEGMENT_BYTES:
            self.seal()

    def _write_record(self) -> None:
        if not self._rows:
            return
        self._write(frame(encode_rows(Rows(self._rows, [])), len(self._rows), 0), len(self._rows))
        self._rows, self._bytes = [], 0

    def _write(self, record: bytes, events: int) -> None:
        try:
            self._room.take(len(record))  # as workers do: events that arrive now come first
            if self._file is None:
                self._file = self._unnamed.open("wb")
                self._file.write(SEGMENT_MAGIC)
            self._file.write(record)
        except OSError as problem:
            raise self._refused(problem) from problem
        self._written += len(record)
        self.events += events

    def _refused(self, problem: OSError) -> HindsightError:
        return HindsightError(f"the spool {self._spool} takes no more ({problem.strerror}); make room and replay again")
