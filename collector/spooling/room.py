"""How much of its disk the spool may take. Beyond it no event is taken, while the disk still has room for the others.

    free    what the loader writes for itself, and embedded its inserts: without that a full spool would never empty
    spool   what all that waits may take together; pressed segments (press.py) count as what they take

Asked before each write, so it is cheap: the disk is asked each time, the spool's files are added up once a second.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

FREE_BYTES_KEPT = 128 * 1024 * 1024
FREE_SHARE_KEPT = 20  # of a small disk only a twentieth is kept
SPOOL_SHARE_MAX = 0.8  # of its disk, where nothing else is said: what else is on it goes on working
LOOK_SECONDS = 1.0  # workers write some 50 MB in this time at most; by so much several may pass the limit together


class Room:
    """The room that one process sees. Threads may ask at once: at worst one adds the files up once more."""

    def __init__(
        self,
        folder: Path,
        *,
        spool_bytes_max: int = 0,
        free_bytes_kept: int = FREE_BYTES_KEPT,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at nothing yet.

        Args:
            folder: The spool.
            spool_bytes_max: What it may hold; 0 for SPOOL_SHARE_MAX of its disk.
            free_bytes_kept: Space of the disk that is left to others, at most 1/FREE_SHARE_KEPT of it.
            now_seconds: A clock that only goes forward.
        """
        self._folder = folder
        self._spool_bytes_max = spool_bytes_max
        self._free_bytes_kept = free_bytes_kept
        self._now_seconds = now_seconds
        self._looked_at = float("-inf")
        self._held = 0

    def limit_bytes(self) -> int:
        """What the spool may hold. Raises OSError."""
        disk = os.statvfs(self._folder)
        return self._spool_bytes_max or int(disk.f_blocks * disk.f_frsize * SPOOL_SHARE_MAX)

    def free_bytes(self) -> int:
        """What the disk has free for this process. Raises OSError."""
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def held_bytes(self) -> int:
        """What it holds, as of the last second. Raises OSError."""
        now = self._now_seconds()
        if now - self._looked_at >= LOOK_SECONDS:
            self._held, self._looked_at = _files_bytes(self._folder), now
        return self._held

    def lacks(self, wanted: int = 0) -> str | None:
        """Why `wanted` more bytes may not be written, and what is allowed; None where they may. Raises OSError."""
        disk = os.statvfs(self._folder)
        kept = min(self._free_bytes_kept, disk.f_blocks * disk.f_frsize // FREE_SHARE_KEPT)
        if disk.f_bavail * disk.f_frsize - wanted < kept:
            return f"less than {kept / 1e6:,.1f} MB of the disk would stay free"
        limit = self._spool_bytes_max or int(disk.f_blocks * disk.f_frsize * SPOOL_SHARE_MAX)
        if self.held_bytes() + wanted > limit:
            return f"the spool would hold more than {limit / 1e6:,.1f} MB"
        return None

    def take(self, wanted: int) -> None:
        """Count `wanted` bytes that are about to be written. Raises OSError: they may not be."""
        lacks = self.lacks(wanted)
        if lacks is not None:
            raise OSError(errno.ENOSPC, lacks)
        self._held += wanted


def _files_bytes(folder: Path) -> int:
    """The size of a folder's files. What is in its folders is out of the way: an operator looks at it."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue  # loaded and deleted while we looked
    return total
