"""The spool: append-only segment files between the answer to a client and the database.

    worker: append -> one write and one fdatasync for all that waited -> the futures resolve -> 2xx
    store:  read records behind its position -> load -> forget the segment

A segment belongs to one writer, which holds a lock on it while it lives: a segment that can be locked has lost its
writer and is sealed. Nobody appends to another's segment, and a restarted worker begins a new one, so a torn tail can
only be at the end of a sealed segment.

    segment  magic(8) record*
    record   magic(4) payload_bytes(u32) crc32(u32) accepted(u16) rejected(u16) dropped(u32) payload

The checksum covers everything behind itself. Committing has no timer: a commit takes whatever arrived while the
previous one was syncing, so a lone event waits for one sync and a thousand share one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

SEGMENT_MAGIC = b"FFSPOOL1"
RECORD_MAGIC = b"FREC"
_HEAD = struct.Struct("<4sII")
_COUNTS = struct.Struct("<HHI")
HEAD_BYTES = _HEAD.size + _COUNTS.size

SEGMENT_BYTES_MAX = 64 * 1024 * 1024  # a sealed segment is deleted whole, so this bounds the disk a slow one holds
PENDING_BYTES_MAX = 64 * 1024 * 1024  # appends waiting for the disk; beyond it the disk is not keeping up
RECORD_BYTES_MAX = 32 * 1024 * 1024  # a length beyond this is damage, not data: rows are larger than their 512 KB body
SUFFIX = ".segment"


class SpoolUnavailable(Exception):
    """The spool could not make events durable. They are not acknowledged; the client sends them again."""


class Record(NamedTuple):
    """One durable append: `start` and `end` are byte offsets in its segment."""

    start: int
    end: int
    accepted: int
    rejected: int
    dropped: int
    payload: bytes


class Damage(NamedTuple):
    """Bytes of a sealed segment that are no record. `torn` is a cut-off tail, which was never acknowledged."""

    start: int
    end: int
    torn: bool


def frame(payload: bytes, accepted: int, rejected: int, dropped: int = 0) -> bytes:
    """One record as it stands in a segment."""
    counts = _COUNTS.pack(accepted, rejected, dropped)
    checksum = zlib.crc32(payload, zlib.crc32(counts))
    return b"".join((_HEAD.pack(RECORD_MAGIC, len(payload), checksum), counts, payload))


class SpoolWriter:
    """Appends from one event loop, made durable by one committer thread."""

    def __init__(
        self,
        folder: Path,
        owner: str,
        on_commit: Callable[[int, int], None],
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> None:
        """`owner` starts the segments' names; `on_commit(records, nanoseconds)` is called in the committer thread."""
        self._folder = folder
        self._owner = owner
        self._on_commit = on_commit
        self._segment_bytes_max = segment_bytes_max
        self._queue: SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = SimpleQueue()
        self._pending_bytes = 0
        self._descriptor = -1
        self._good_bytes = 0
        self._failure: str | None = None
        self._loop = asyncio.get_running_loop()
        folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._commit_forever, name="spool-committer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str | None:
        """Why the last commit failed; None while the spool is healthy."""
        return self._failure

    def append(self, record: bytes) -> asyncio.Future[None]:
        """Queue one framed record. The future resolves once it is on the disk, or raises SpoolUnavailable."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self._pending_bytes + len(record) > PENDING_BYTES_MAX:
            future.set_exception(SpoolUnavailable("the disk is not keeping up with what arrives"))
            return future
        self._pending_bytes += len(record)
        self._queue.put((record, future))
        return future

    def close(self) -> None:
        """Commit what waits and end the thread; blocks for at most as long as the disk does."""
        self._queue.put(None)
        self._thread.join()

    def _commit_forever(self) -> None:
        ending = False
        while not ending:
            taken = [self._queue.get()]
            taken.extend(self._queue.get() for _ in range(self._queue.qsize()))
            waiting = [item for item in taken if item is not None]
            ending = len(waiting) < len(taken)
            if not waiting:
                continue
            error: SpoolUnavailable | None = None
            begun_ns = time.monotonic_ns()
            try:
                self._commit(b"".join([record for record, _ in waiting]))
                self._failure = None
            except OSError as problem:
                self._failure = f"{problem.strerror} in {self._folder}"
                error = SpoolUnavailable(self._failure)
            self._on_commit(len(waiting), time.monotonic_ns() - begun_ns)
            self._loop.call_soon_threadsafe(self._settle, waiting, error)
        self._abandon()

    def _settle(self, waiting: list[tuple[bytes, asyncio.Future[None]]], error: SpoolUnavailable | None) -> None:
        for record, future in waiting:
            self._pending_bytes -= len(record)
            if future.done():  # its client went away
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _commit(self, data: bytes) -> None:
        if self._descriptor < 0 or self._good_bytes >= self._segment_bytes_max:
            self._begin_segment()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # A full disk leaves a partial record. Cut it off: those waiting are told to send again.
            self._cut_back()
            raise
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            # After a failed sync the kernel may have dropped the pages and a second sync would report success, so
            # this file is never synced again.
            self._cut_back()
            self._abandon()
            raise
        self._good_bytes += len(data)

    def _begin_segment(self) -> None:
        self._abandon()
        # The name is used once and never again: the loader's positions are kept under it.
        name = f"{self._owner}-{time.time_ns() // 1_000_000:013d}-{os.urandom(4).hex()}{SUFFIX}"
        # It gets its name only once it is locked: a segment that could be locked by the reader would count as sealed.
        unnamed = self._folder / f".{self._owner}.new"
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, SEGMENT_MAGIC)
            os.fsync(descriptor)
            unnamed.rename(self._folder / name)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        os.lseek(descriptor, 0, os.SEEK_END)
        self._descriptor, self._good_bytes = descriptor, len(SEGMENT_MAGIC)

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._good_bytes)
            os.lseek(self._descriptor, self._good_bytes, os.SEEK_SET)
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # which also unlocks it: the reader sees it as sealed
            self._descriptor = -1


def segments(folder: Path) -> list[Path]:
    """All segments of a spool, oldest first for each owner."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def is_sealed(path: Path) -> bool:
    """True when no writer lives that could append to this segment."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def sync_segment(path: Path) -> None:
    """Make durable all that the writer has written: only then may a manifest speak of it."""
    with path.open("rb") as file:
        os.fdatasync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a folder's names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_records(path: Path, start: int, bytes_max: int, *, sealed: bool) -> Iterator[Record | Damage]:
    """The records of a segment from byte `start` on, about `bytes_max` of them but always at least one.

    In a live segment reading stops before a record that is not whole yet. In a sealed one such bytes are damage: they
    are reported, and reading goes on at the next whole record if there is one.
    """
    with path.open("rb") as file:
        position = max(start, len(SEGMENT_MAGIC))
        size = os.fstat(file.fileno()).st_size
        file.seek(position)
        data = file.read(bytes_max)
        if (missing := _claimed_end(data, 0) - len(data)) > 0:
            data += file.read(missing)
    at_end = position + len(data) >= size
    offset = 0
    while offset < len(data):
        end = _record_end(data, offset)
        if end is None:
            cut_by_us = not at_end and offset > 0 and _claimed_end(data, offset) > len(data)
            if not sealed or cut_by_us:
                return
            following = _next_record(data, offset + 1, at_end=at_end)
            unfinished = _claimed_end(data, offset) > len(data) or not any(data[offset:])
            stop = following or (len(data) if at_end else max(offset + 1, len(data) - len(RECORD_MAGIC)))
            yield Damage(position + offset, position + stop, torn=stop == len(data) and unfinished)
            offset = stop
            continue
        accepted, rejected, dropped = _COUNTS.unpack_from(data, offset + _HEAD.size)
        payload = data[offset + HEAD_BYTES : end]
        yield Record(position + offset, position + end, accepted, rejected, dropped, payload)
        offset = end


def count_spooled(folder: Path, positions: dict[str, int]) -> int:
    """Events in the spool behind the loader's positions: what is acknowledged and not yet loaded."""
    total = 0
    for path in segments(folder):
        start = positions.get(path.name, 0)
        try:
            found = True
            while found:
                found = False
                for item in read_records(path, start, 4 * 1024 * 1024, sealed=False):
                    if isinstance(item, Record):
                        total += item.accepted + item.rejected + item.dropped
                        start, found = item.end, True
        except FileNotFoundError:
            continue  # loaded and deleted while we counted
    return total


def _record_end(data: bytes, offset: int) -> int | None:
    """Where the whole, undamaged record at `offset` ends; None when there is none."""
    if offset + HEAD_BYTES > len(data):
        return None
    magic, payload_bytes, checksum = _HEAD.unpack_from(data, offset)
    end: int = offset + HEAD_BYTES + payload_bytes
    if magic != RECORD_MAGIC or payload_bytes > RECORD_BYTES_MAX or end > len(data):
        return None
    if zlib.crc32(memoryview(data)[offset + _HEAD.size : end]) != checksum:
        return None
    return end


def _claimed_end(data: bytes, offset: int) -> int:
    """Where the record at `offset` says it ends; `offset` itself when it is no record at all."""
    if not RECORD_MAGIC.startswith(data[offset : offset + len(RECORD_MAGIC)]):
        return offset
    if offset + HEAD_BYTES > len(data):
        return offset + HEAD_BYTES
    payload_bytes: int = _HEAD.unpack_from(data, offset)[1]
    return offset + HEAD_BYTES + payload_bytes if payload_bytes <= RECORD_BYTES_MAX else offset


def _next_record(data: bytes, offset: int, *, at_end: bool) -> int | None:
    """The first whole record from `offset` on, or one that only our own reading cut off."""
    while (offset := data.find(RECORD_MAGIC, offset)) >= 0:
        if _record_end(data, offset) is not None or (not at_end and _claimed_end(data, offset) > len(data)):
            return offset
        offset += 1
    return None
