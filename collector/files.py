"""Files that are replaced whole, and how one state of a file is told from another."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

Signature = tuple[int, int, int, int]


def signature(path: Path) -> Signature | None:
    """What tells one state of a file from another; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def replace_file(path: Path, data: bytes, mode: int | None = None) -> None:
    """Put new bytes in the place of a file, all of them at once: after any crash it is the old one or the new one.

    Args:
        path: Its folder is made if it is missing.
        data: All that it holds then.
        mode: Its permissions; without them those of the file that was there, or what new files get.

    Raises:
        OSError: the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        if mode is None and path.exists():
            mode = path.stat().st_mode & 0o777
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
        sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a folder's names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
