"""Faults that the kernel would make, made in the collector's own processes: Python loads this at its start.

PYTHONPATH names this folder, and CHAOS_FOLDER one in which the test says what is to happen (faults.py):

    clock            8 bytes, little-endian: nanoseconds by which the clock of this machine is wrong
    NAME.fail        an errno: as long as the file is there, syncing fails with it, and so does making files
    NAME.POINT       a count: the process is killed the so many-th time it comes there

NAME is `worker` or `storekeeper`. POINT is `before-CALL` or `after-CALL`, of those in CALLS. A worker calls fdatasync
for each commit and rename for each new segment; the store process calls replace for its manifest and its positions,
and unlink for a segment that is loaded.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("fdatasync", "fsync", "rename", "replace", "unlink")


def _install(folder: Path, name: str) -> None:
    fails, own_open = folder / f"{name}.fail", os.open
    # The calls themselves, so that looking for a file is none that counts.
    read, unlink = Path.read_text, os.unlink

    def check() -> None:
        if not fails.exists():  # which takes no descriptor: there may be none left
            return
        with contextlib.suppress(FileNotFoundError, ValueError):
            number = int(read(fails))
            raise OSError(number, os.strerror(number))

    def passes(point: Path) -> None:
        if not point.exists():
            return
        try:
            left = int(read(point))
        except (FileNotFoundError, ValueError):
            return
        if left > 1:
            point.write_text(str(left - 1))
            return
        unlink(point)
        os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(call: str, original: Callable[..., Any]) -> Callable[..., Any]:
        before, after = folder / f"{name}.before-{call}", folder / f"{name}.after-{call}"
        fallible = call in ("fdatasync", "fsync")

        def run(*arguments: Any, **named: Any) -> Any:
            passes(before)
            if fallible:
                check()
            result = original(*arguments, **named)
            passes(after)
            return result

        return run

    def opened(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            check()
        return own_open(path, flags, *arguments, **named)

    for call in CALLS:
        setattr(os, call, wrapped(call, getattr(os, call)))
    os.open = opened


def _turn_clock(file: Path) -> None:
    with file.open("rb") as opened:
        wrong = memoryview(mmap.mmap(opened.fileno(), 8, access=mmap.ACCESS_READ)).cast("q")
    true_ns = time.time_ns
    time.time_ns = lambda: true_ns() + wrong[0]
    time.time = lambda: (true_ns() + wrong[0]) / 1e9


if _folder := os.environ.get("CHAOS_FOLDER"):
    _names = [word.rpartition(".")[2] for word in sys.orig_argv if word.startswith("collector.cli.")]
    if _names:
        _install(Path(_folder), _names[0])
        _turn_clock(Path(_folder) / "clock")
