"""The spool: append-only segment files between the answer to a client and the database.

    worker: commit -> one write and one fdatasync for all that waited -> each is told -> 2xx
    store:  read records behind its position -> load -> forget the segment

A segment belongs to one writer, which holds a lock on it while it lives: a segment that can be locked has lost its
writer and is sealed. Nobody appends to another's segment, and a restarted worker begins a new one, so a torn tail can
only be at the end of a sealed segment.

    segment  magic(8) record*
    record   magic(4) payload_bytes(u32) crc32(u32) accepted(u16) rejected(u16) dropped(u32) payload

A segment whose write or sync failed is cut back to what was acknowledged and never written again: a reader may already
have passed the cut, and its position must not come to lie inside a later record.

The checksum covers everything behind itself. Committing has no timer: a commit takes whatever arrived while the
previous one was syncing, so a lone event waits for one sync and a thousand share one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeAlias

from collector.files import sync_folder
from collector.spooling.pressed import SegmentFile
from collector.spooling.room import Room

log = logging.getLogger("footfall.spool")

SEGMENT_MAGIC = b"FFSPOOL1"
RECORD_MAGIC = b"FREC"
_HEAD = struct.Struct("<4sII")
_COUNTS = struct.Struct("<HHI")
_WHOLE_HEAD = struct.Struct("<4sIIHHI")
HEAD_BYTES = _WHOLE_HEAD.size

SEGMENT_BYTES_MAX = 64 * 1024 * 1024  # a sealed segment is deleted whole, so this bounds the disk a slow one holds
PENDING_BYTES_MAX = 64 * 1024 * 1024  # appends waiting for the disk; beyond it the disk is not keeping up
RECORD_BYTES_MAX = 32 * 1024 * 1024  # a length beyond this is damage, not data: rows are larger than their 512 KB body
PROBE_SECONDS = 1.0  # how often a failing disk is asked again, with or without anyone waiting
HEADS_READ_BYTES = 16_384  # a dozen records of one event; of larger ones little is read in vain
SUFFIX = ".segment"


class SpoolUnavailable(Exception):
    """The spool could not make events durable. They are not acknowledged; the client sends them again."""


class Record(NamedTuple):
    """One durable append: `start` and `end` are byte offsets in its segment, `checksum` that of all behind itself."""

    start: int
    end: int
    accepted: int
    rejected: int
    dropped: int
    payload: bytes
    checksum: int


class Damage(NamedTuple):
    """Bytes of a sealed segment that are no record. `torn` is a cut-off tail, which was never acknowledged."""

    start: int
    end: int
    torn: bool


# Told in the event loop what became of a record: None once it is on the disk.
Done: TypeAlias = Callable[[SpoolUnavailable | None], None]


def _resolve(future: asyncio.Future[None], error: SpoolUnavailable | None) -> None:
    if future.done():  # its client went away
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


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
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        room: Room | None = None,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """Begin to take records, in the event loop that runs.

        Args:
            folder: The spool; made where it is missing.
            owner: Starts the segments' names; one writer lives under it at a time.
            on_commit: Called in the committer thread with the records of a commit and the nanoseconds it took.
            segment_bytes_max: A segment that has reached it is sealed and another begun.
            room: What the spool may take; None for what every disk allows.
            sync: Makes a descriptor's content durable.
        """
        self._folder = folder
        self._owner = owner
        self._on_commit = on_commit
        self._segment_bytes_max = segment_bytes_max
        self.room = room or Room(folder)
        self._sync = sync
        self._probe_at = 0.0
        self._waiting: list[tuple[bytes, Done]] = []
        self._is_busy = False  # the committer has work, or will have at the end of the loop's turn
        self._queue: SimpleQueue[list[tuple[bytes, Done]] | None] = SimpleQueue()
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
        self.commit(record, partial(_resolve, future))
        return future

    def commit(self, record: bytes, done: Done) -> None:
        """Queue one framed record; `done` is called in the event loop, with None once the record is on the disk."""
        if len(record) > RECORD_BYTES_MAX:  # which a reader would take for damage
            done(SpoolUnavailable(f"a record of {len(record):,} bytes is over {RECORD_BYTES_MAX:,}"))
            return
        if self._pending_bytes + len(record) > PENDING_BYTES_MAX:
            done(SpoolUnavailable("the disk is not keeping up with what arrives"))
            return
        self._pending_bytes += len(record)
        self._waiting.append((record, done))
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._hand_over)

    def close(self) -> None:
        """Commit what waits and end the thread; blocks as long as the disk does, so not for the loop's own thread."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    def _end(self) -> None:
        self._hand_over()
        self._queue.put(None)

    def _hand_over(self) -> None:
        """Give the committer what has come since the last time; else it would sync for the first of a turn alone."""
        if self._waiting:
            self._queue.put(self._waiting)
            self._waiting = []

    def _commit_forever(self) -> None:
        ending = False
        while not ending:
            try:
                # A failing disk is asked again when it is time, with or without anyone waiting.
                waiting = self._queue.get(timeout=None if self._failure is None else PROBE_SECONDS)
            except Empty:
                self._attempt(b"")
                continue
            if waiting is None:
                ending = True
                continue
            begun_ns = time.monotonic_ns()
            error = self._attempt(b"".join([record for record, _ in waiting]))
            self._on_commit(len(waiting), time.monotonic_ns() - begun_ns)
            self._loop.call_soon_threadsafe(self._settle, waiting, error)
            del waiting  # or these would be freed here, while the loop waits for Python's lock
        self._abandon()

    def _attempt(self, data: bytes) -> SpoolUnavailable | None:
        """Commit, unless the disk failed a moment ago. Without data this finds out whether it works again."""
        if self._failure is not None and time.monotonic() < self._probe_at:
            return SpoolUnavailable(self._failure)
        try:
            self._commit(data)
        except OSError as problem:
            self._abandon()  # what is in it is durable; sealed, it can be loaded and deleted, which makes room
            self._failure = f"{problem.strerror} in {self._folder}"
            self._probe_at = time.monotonic() + PROBE_SECONDS
            return SpoolUnavailable(self._failure)
        self._failure = None
        return None

    def _settle(self, waiting: list[tuple[bytes, Done]], error: SpoolUnavailable | None) -> None:
        self._is_busy = bool(self._waiting)
        self._hand_over()
        for record, done in waiting:
            self._pending_bytes -= len(record)
            try:
                done(error)
            except Exception:  # one that waited must not cost the others their answer
                log.exception("a commit could not be answered")

    def _commit(self, data: bytes) -> None:
        self.room.take(len(data))
        if self._descriptor < 0 or self._good_bytes >= self._segment_bytes_max:
            self._begin_segment()
        try:
            _write_all(self._descriptor, data)
            self._sync(self._descriptor)
        except OSError:
            # A full disk leaves a partial record: cut it off, those waiting are told to send again. After a failed
            # sync the kernel may have dropped the pages and a second sync would report success. A loader may already
            # have read what is cut off. So this file is never written or synced again: `_attempt` lets go of it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._good_bytes)
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
            _write_all(descriptor, SEGMENT_MAGIC)
            os.fsync(descriptor)
            unnamed.rename(self._folder / name)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._good_bytes = descriptor, len(SEGMENT_MAGIC)

    def _abandon(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # which also unlocks it: the reader sees it as sealed
            self._descriptor = -1


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def segments(folder: Path) -> list[Path]:
    """All segments of a spool, in the order in which they were begun."""
    return sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.name.split("-")[-2:])


def begun_ms(path: Path) -> int:
    """When a segment was begun, by its writer's clock; 0 where its name is not one that a writer gives."""
    (when,) = path.name.split("-")[-2:-1] or ("",)
    return int(when) if when.isdecimal() else 0


def is_sealed(path: Path) -> bool:
    """True when no writer lives that could append to this segment."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who ask at once do not deceive each other
        except BlockingIOError:
            return False
        return True


def sync_segment(path: Path) -> int:
    """Make durable what the writer has written so far, and return how many bytes that is.

    Only of these may a manifest speak: what is written meanwhile could be gone after a power loss.
    """
    with SegmentFile(path) as file:
        size = file.size
        file.sync()
        return size


def segment_bytes(path: Path) -> int:
    """How many bytes a segment has, plain: what positions count. Raises OSError."""
    with SegmentFile(path) as file:
        return file.size


def read_records(
    path: Path, start: int, bytes_max: int, *, sealed: bool, until: int | None = None, begin: int = len(SEGMENT_MAGIC)
) -> Iterator[Record | Damage]:
    """The records of a segment from byte `start` on, about `bytes_max` of them but always at least one.

    In a live segment reading stops before a record that is not whole yet. In a sealed one such bytes are damage: they
    are reported, and reading goes on at the next whole record if there is one. With `until` the segment is read as if
    it ended there; its first record is at `begin`, which is 0 in a piece of a segment.
    """
    with SegmentFile(path) as file:
        position = max(start, begin)
        size = file.size
        if until is not None:
            size = min(size, until)
        data = file.read(position, min(bytes_max, max(size - position, 0)))
        # The first record is read whole: its head first, which says how long it is, then the rest.
        while (missing := min(_claimed_end(data, 0), size - position) - len(data)) > 0:
            more = file.read(position + len(data), missing)
            if not more:
                break
            data += more
    at_end = position + len(data) >= size
    offset = 0
    while offset < len(data):
        end = _record_end(data, offset)
        if end is None:
            cut_by_us = not at_end and offset > 0 and _claimed_end(data, offset) > len(data)
            if not sealed or cut_by_us:
                return
            following = _next_record(data, offset + 1, at_end=at_end)
            stop = following or (len(data) if at_end else max(offset + 1, len(data) - len(RECORD_MAGIC)))
            torn = at_end and stop == len(data) and _unfinished(data, offset)
            yield Damage(position + offset, position + stop, torn=torn)
            offset = stop
            continue
        _, _, checksum, accepted, rejected, dropped = _WHOLE_HEAD.unpack_from(data, offset)
        payload = data[offset + HEAD_BYTES : end]
        yield Record(position + offset, position + end, accepted, rejected, dropped, payload, checksum)
        offset = end


def read_on(
    path: Path, start: int, bytes_max: int, *, sealed: bool, until: int | None = None, begin: int = len(SEGMENT_MAGIC)
) -> Iterator[Record | Damage]:
    """All records of a segment from byte `start` on, as read_records has them, with only a part in memory at a time."""
    position, before = start, -1
    while position != before:
        before = position
        for item in read_records(path, position, bytes_max, sealed=sealed, until=until, begin=begin):
            position = item.end
            yield item


def count_spooled(folder: Path, positions: dict[str, int]) -> int:
    """Events in the spool behind the loader's positions: what is acknowledged and not yet loaded.

    Only the heads of records are read, so that a backlog of gigabytes is counted in moments. What follows damage in a
    segment is counted once the loader has passed it.
    """
    total = 0
    for path in segments(folder):
        try:
            total += count_behind(path, positions.get(path.name, 0))
        except FileNotFoundError:
            continue  # loaded and deleted while we counted
    return total


def count_behind(path: Path, position: int) -> int:
    """The same of one segment. Raises OSError."""
    with SegmentFile(path) as file:
        return _count_from(file, max(position, len(SEGMENT_MAGIC)))


def _count_from(file: SegmentFile, offset: int) -> int:
    """Events of the records from `offset` on."""
    if file.frames is None:
        return _count_between(file, offset, file.size)
    return sum(
        frame.events
        if frame.events >= 0 and offset <= max(frame.start, len(SEGMENT_MAGIC))
        else _count_between(file, max(frame.start, offset), frame.end)
        for frame in file.frames
        if offset < frame.end
    )


def _count_between(file: SegmentFile, offset: int, end: int) -> int:
    total = 0
    offset = max(offset, len(SEGMENT_MAGIC))
    while True:
        data = file.read(offset, min(HEADS_READ_BYTES, end - offset))
        at = 0
        while at + HEAD_BYTES <= len(data):
            magic, payload_bytes, _, accepted, rejected, dropped = _WHOLE_HEAD.unpack_from(data, at)
            at += HEAD_BYTES + payload_bytes
            if magic != RECORD_MAGIC or offset + at > end:
                return total
            total += accepted + rejected + dropped
        if at == 0:
            return total
        offset += at


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


def _unfinished(data: bytes, offset: int) -> bool:
    """True when what is left from `offset` on is the beginning of a record, or zeros, as a crash leaves it."""
    if _claimed_end(data, offset) <= len(data):
        return not any(data[offset:])
    if len(data) - offset < HEAD_BYTES:
        return True
    # Whole but for its length: that is damage to a record that was acknowledged.
    checksum: int = _HEAD.unpack_from(data, offset)[2]
    return zlib.crc32(memoryview(data)[offset + _HEAD.size :]) != checksum


def _next_record(data: bytes, offset: int, *, at_end: bool) -> int | None:
    """The first whole record from `offset` on, or one that only our own reading cut off."""
    while (offset := data.find(RECORD_MAGIC, offset)) >= 0:
        if _record_end(data, offset) is not None or (not at_end and _claimed_end(data, offset) > len(data)):
            return offset
        offset += 1
    return None
