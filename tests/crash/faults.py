"""Tells the processes of a collector which faults they meet: see inject/sitecustomize.py, which they load."""

from __future__ import annotations

import errno
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INJECT = Path(__file__).parent / "inject"
DEADLINE_SECONDS = 300.0  # a store process needs seconds to start, more beside others, and a batch to come to a point

# Where a process may be killed, and whether it comes there at each commit or batch, or now and then.
WORKER_POINTS = ("before-fdatasync", "after-fdatasync", "before-rename", "after-rename")
STORE_POINTS = ("before-replace", "after-replace", "before-fsync", "after-fsync", "before-unlink", "after-unlink")


class Faults:
    """A folder of orders for one collector; `environment` is what it must be started with."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.turn_clock(0)
        self.environment = {"PYTHONPATH": str(INJECT), "CHAOS_FOLDER": str(folder)}

    def turn_clock(self, seconds: float) -> None:
        """The clock is wrong by so much, from now on; 0 puts it right."""
        path = self._folder / "clock"
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(struct.pack("<q", int(seconds * 1e9)))

    @contextmanager
    def failing(self, name: str, number: int = errno.EIO) -> Iterator[None]:
        """The disk of these processes fails for the length of a with block."""
        path = self._folder / f"{name}.fail"
        path.write_text(str(number))
        try:
            yield
        finally:
            path.unlink()

    def kill_at(self, name: str, point: str, times: int = 1) -> None:
        """Kill the process that comes to this point for the so many-th time."""
        fresh = self._folder / "point.new"
        fresh.write_text(str(times))
        fresh.rename(self._folder / f"{name}.{point}")

    def until_killed(self, name: str, point: str) -> None:
        """Wait until it has happened."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (self._folder / f"{name}.{point}").exists():
            assert time.monotonic() < deadline, f"no {name} came to {point} within {DEADLINE_SECONDS:.0f} s"
            time.sleep(0.01)
