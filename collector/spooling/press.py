"""Presses segments that must wait, so that a day without the database fits on the disk (pressed.py has the format).

    sealed, and untouched for WAIT_SECONDS --press--> unnamed file, synced, read again --rename--> under the old name

Only the store process does it, in a thread that gives way to all others: a worker pays nothing, and what is loaded in
time is never pressed. The rename is what counts: before it the plain segment is there, after it the pressed one, and a
crash leaves an unnamed file at most, which the next pressing writes over.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from io import BufferedWriter
from pathlib import Path

from collector.files import sync_folder
from collector.rounds import rounds
from collector.spooling.pressed import Presser, SegmentFile
from collector.spooling.spool import SEGMENT_MAGIC, Record, is_sealed, read_on, segments

log = logging.getLogger("footfall.press")

WAIT_SECONDS = 60.0  # the loader is a second behind; what is older than this waits for something
LOOK_SECONDS = 10.0
RETRY_SECONDS_MAX = 60.0
BYTES_MIN = 256 * 1024  # what is smaller does not fill a disk
FRAME_BYTES = 1024 * 1024  # what a reader unpacks for one byte; four times as much saves nothing on mixed events
READ_BYTES = 4 * 1024 * 1024
NICENESS = 10
UNNAMED = ".pressing.new"


def waiting(folder: Path, now_ms: int) -> Iterator[Path]:
    """Segments that are worth pressing, the newest first: those that a loader would take next may be gone soon."""
    for path in reversed(segments(folder)):
        try:
            found = path.stat()
            is_old = now_ms / 1_000 - found.st_mtime > WAIT_SECONDS
            if found.st_size < BYTES_MIN or not is_old or not is_sealed(path):
                continue
            with SegmentFile(path) as segment:
                is_plain = not segment.is_pressed
        except FileNotFoundError:
            continue  # loaded and deleted while we looked
        if is_plain:
            yield path


def press(path: Path, naming: threading.Lock) -> int:
    """Put a pressed segment in the place of a sealed one.

    Args:
        path: Of the segment.
        naming: Whoever deletes segments holds it meanwhile: what is deleted must not come back under its name.
    Returns:
        By how many bytes it is smaller now; 0 when it is as it was: deleted meanwhile, or no smaller pressed.
    Raises:
        OSError: there is no room, or it cannot be read; the segment is as it was.
    """
    unnamed = path.with_name(UNNAMED)
    descriptor = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            presser = _pressed(path, file)
        saved = presser.plain_bytes - presser.pressed_bytes
        if saved <= 0 or _sum(unnamed) != _sum(path):
            log.error("%s is left as it is: pressed it would be larger, or another", path.name)
            return 0
        with naming:
            if not path.exists():
                return 0
            unnamed.rename(path)
            sync_folder(path.parent)
        return saved
    finally:
        with contextlib.suppress(OSError):
            unnamed.unlink(missing_ok=True)


def _pressed(path: Path, file: BufferedWriter) -> Presser:
    """Write a segment's bytes, all of them, in frames that end where a record or some damage does."""
    presser = Presser(file)
    with SegmentFile(path) as segment:
        start, end, events = 0, len(SEGMENT_MAGIC), 0
        for item in read_on(path, 0, READ_BYTES, sealed=True):
            if item.end - start > FRAME_BYTES and end > start:
                presser.add(segment.read(start, end - start), events)
                start, events = end, 0
            end = item.end
            if isinstance(item, Record):
                events += item.accepted + item.rejected + item.dropped
        presser.add(segment.read(start, segment.size - start), events)
    presser.end()
    return presser


def _sum(path: Path) -> tuple[int, int]:
    """Size and checksum of a segment's plain bytes."""
    with SegmentFile(path) as segment:
        checksum = 0
        for start in range(0, segment.size, READ_BYTES):
            checksum = zlib.crc32(segment.read(start, READ_BYTES), checksum)
        return segment.size, checksum


class Press:
    """The thread that presses. `segments` and `saved_bytes` say what it did."""

    def __init__(self, folder: Path, now_ms: Callable[[], int], naming: threading.Lock) -> None:
        self._folder = folder
        self._now_ms = now_ms
        self._naming = naming
        self.segments = self.saved_bytes = 0

    def run(self, stop: threading.Event) -> None:
        """Look every LOOK_SECONDS until told to stop; after a failure of the disk ever more seldom."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        failing = "the spool cannot be pressed"
        rounds(lambda: self.look(stop), LOOK_SECONDS, stop, log, failing, known=OSError, seconds_max=RETRY_SECONDS_MAX)

    def look(self, stop: threading.Event) -> None:
        """Press what waits now. Raises OSError."""
        for path in waiting(self._folder, self._now_ms()):
            if stop.is_set():
                return
            try:
                saved = press(path, self._naming)
            except FileNotFoundError:
                continue  # loaded and deleted meanwhile
            self.segments += saved > 0
            self.saved_bytes += saved
