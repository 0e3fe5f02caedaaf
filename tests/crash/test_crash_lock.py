"""The lock of a data directory: one holder, named to others, and not disturbed by those who only ask."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from collector.cli import lock


def test_the_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    held = lock.acquire(tmp_path, "footfall serve")
    with pytest.raises(lock.InUse, match=rf"in use by process {os.getpid()} \(footfall serve\)"):
        lock.acquire(tmp_path, "footfall sql")
    assert lock.holder(tmp_path) == (os.getpid(), "footfall serve")
    os.close(held)
    assert lock.holder(tmp_path) is None
    os.close(lock.acquire(tmp_path, "footfall sql"))


def test_asking_who_holds_a_free_directory_keeps_nobody_out(tmp_path: Path) -> None:
    # The last holder's name is still in the file, and its process still lives.
    os.close(lock.acquire(tmp_path, "footfall sql"))
    asking = os.open(tmp_path / lock.FILE_NAME, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    threading.Timer(lock.ASKING_SECONDS_MAX / 10, os.close, (asking,)).start()
    os.close(lock.acquire(tmp_path, "footfall serve"))


def test_what_a_dead_holder_left_running_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEFTOVER_TOLD_SECONDS", 0.0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    descriptor = lock.acquire(tmp_path, "footfall serve")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{dead.pid} footfall serve\n".encode(), 0)
    told: list[str] = []
    child_ends = threading.Timer(lock.ASKING_SECONDS_MAX * 2, os.close, (descriptor,))
    child_ends.start()
    os.close(lock.acquire(tmp_path, "footfall serve", told.append))
    (sentence,) = told
    assert f"process {dead.pid} (footfall serve) is gone" in sentence
