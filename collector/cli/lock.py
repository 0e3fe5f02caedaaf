"""One process tree per data directory: a lock that lives as long as any of its processes.

The lock is a flock on an open file that the supervisor's children inherit, so a new collector cannot start beside the
remains of one that was killed. The file names the holder for the message that refuses the next one.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

FILE_NAME = "lock"
# Children of a killed supervisor notice within a second and drain for at most ten; one that was being started first
# comes to its end. On a busy machine all of it takes several times as long.
LEFTOVER_SECONDS_MAX = 60.0
LEFTOVER_TOLD_SECONDS = 2.0  # then whoever waits is told what for
ASKING_SECONDS_MAX = 0.5  # whoever only asks who the holder is has the lock too, for a moment


class InUse(Exception):
    """Another process uses the data directory; the text is one sentence that names it."""


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def acquire(data_dir: Path, what: str, say: Callable[[str], None] = _say) -> int:
    """Lock a data directory for this process and the children it hands the descriptor to.

    Args:
        data_dir: The directory, which must exist.
        what: The command, for the message that others get.
        say: Told in a sentence what is waited for.
    Returns:
        The descriptor; the lock ends when all its copies are closed.
    Raises:
        InUse: naming the holder. Where the holder is dead and only its children are left, they are waited for.
    """
    path = data_dir / FILE_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    begun = time.monotonic()
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            pid, command = _holder(path)
            alive = _alive(pid)
            patience = ASKING_SECONDS_MAX if alive else LEFTOVER_SECONDS_MAX
            if not (alive or told) and time.monotonic() > begun + LEFTOVER_TOLD_SECONDS:
                told = True
                say(
                    f"process {pid} ({command}) is gone and what it had started still uses {data_dir}; waiting up to "
                    f"{LEFTOVER_SECONDS_MAX:.0f} s for its end"
                )
            if time.monotonic() > begun + patience:
                os.close(descriptor)
                raise InUse(
                    f"data directory {data_dir} is in use by process {pid} ({command}); stop it, or choose another "
                    "directory with --data"
                ) from None
            time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {what}\n".encode(), 0)
    return descriptor


def holder(data_dir: Path) -> tuple[int, str] | None:
    """Process id and command of who holds the directory; None when nobody does."""
    path = data_dir / FILE_NAME
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _holder(path)
    return None


def _holder(path: Path) -> tuple[int, str]:
    pid, _, command = path.read_text().strip().partition(" ")
    return (int(pid), command) if pid.isdigit() else (0, "starting")


def _alive(pid: int) -> bool:
    if pid <= 0:
        return True  # it has locked and not yet written its name
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
