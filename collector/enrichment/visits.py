"""Visits without an id that are under way at midnight: the salt changes then, and they keep the id they began with.

    before midnight: today's id --note--> seen at 23:47;  after it: yesterday's id --goes on?--> still the visitor's

A file that all workers share holds 49 of the 128 bits of each such id and the minute when it was last seen: no address,
nothing an id can be made from. It holds them around midnight alone, for as long as such visits go on. Where it cannot
be read or written, or is full, a visit becomes two: no event is lost to it.
"""

from __future__ import annotations

import contextlib
import os
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

MINUTE_MS = 60_000
VISIT_MINUTES = 30  # without an event, and a visit is over: as the view sessions has it
VISIT_MS = VISIT_MINUTES * MINUTE_MS

# 65,536 visits of the last half hour; of eight that meet in one place the one that was seen longest ago gives way.
BUCKETS = 8_192
_BUCKET = Struct("<8Q")
_SLOT = Struct("<Q")
_MARK_BITS = 36  # beside the 13 of the bucket: one visitor in 10^10 is taken for another's visit
_HEAD_BYTES = 64  # before the buckets: the minute when anybody was seen last
_LOOK_MS = 10_000  # how often that is read


class Visits:
    """Those of one salt file. Times are milliseconds since the epoch. Nothing raises: a visit is not worth an event."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest = 0
        self._looked_ms = 0

    def note(self, visitor_id: str, now_ms: int) -> None:
        """The visitor was seen."""
        at, mark = _place(visitor_id)
        minute = now_ms // MINUTE_MS
        with contextlib.suppress(OSError), self._opened(os.O_RDWR | os.O_CREAT) as file:
            slots = _slots(file, at)
            slot = next((slot for slot, seen in enumerate(slots) if _mark(seen) == mark), slots.index(min(slots)))
            seen = minute << _MARK_BITS | mark
            if slots[slot] != seen:
                os.pwrite(file, _SLOT.pack(seen), at + slot * _SLOT.size)
            if self._newest != minute:
                os.pwrite(file, _SLOT.pack(minute), 0)
                self._newest = minute

    def goes_on(self, visitor_id: str, now_ms: int) -> bool:
        """Was this id seen so lately that its visit is not over? If so, it is seen now."""
        at, mark = _place(visitor_id)
        with contextlib.suppress(OSError), self._opened(os.O_RDONLY) as file:
            last = next((seen >> _MARK_BITS for seen in _slots(file, at) if _mark(seen) == mark), 0)
            if _is_recent(last, now_ms):
                self.note(visitor_id, now_ms)
                return True
        return False

    def under_way(self, now_ms: int) -> bool:
        """Is there any visit that may go on? For most of the day there is none, and this costs nothing."""
        if not 0 <= now_ms - self._looked_ms < _LOOK_MS:
            self._looked_ms = now_ms
            with contextlib.suppress(OSError), self._opened(os.O_RDONLY) as file:
                self._newest = _SLOT.unpack(os.pread(file, _SLOT.size, 0).ljust(_SLOT.size, b"\0"))[0]
        return _is_recent(self._newest, now_ms)

    def forget(self, now_ms: int) -> None:
        """Empty the file once all visits in it are over."""
        with contextlib.suppress(OSError), self._opened(os.O_RDWR) as file:
            self._looked_ms = 0
            if not self.under_way(now_ms):
                os.ftruncate(file, 0)

    @contextlib.contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        file = os.open(self._path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            yield file
        finally:
            os.close(file)


def _is_recent(minute: int, now_ms: int) -> bool:
    """Less than a visit ago; of the future only by as much as one worker's request is older than another's."""
    return -1 <= now_ms // MINUTE_MS - minute <= VISIT_MINUTES


def _place(visitor_id: str) -> tuple[int, int]:
    """Where in the file an id is looked for, and what stands there for it."""
    number = int.from_bytes(urlsafe_b64decode(f"{visitor_id[2:]}=="), "big")
    return _HEAD_BYTES + number % BUCKETS * _BUCKET.size, (number >> 64) % (1 << _MARK_BITS)


def _slots(file: int, at: int) -> tuple[int, ...]:
    return _BUCKET.unpack(os.pread(file, _BUCKET.size, at).ljust(_BUCKET.size, b"\0"))


def _mark(seen: int) -> int:
    return seen % (1 << _MARK_BITS)
