"""Whether events can be taken now, for the balancer that asks /readyz.

Only what would have an event refused makes a worker unready. The database is no such thing: while it is away the spool
takes the events, for as long as the disk has room.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from collector.app.pressure import Pressure
from collector.sources import SourceError, read_sources
from collector.spooling.spool import SpoolWriter


def why_unready(data_dir: Path, spool: SpoolWriter, pressure: Pressure, now_ms: int) -> str | None:
    """Why events cannot be taken now, in one sentence; None when they can.

    Args:
        data_dir: With the spool, the sources and the salts.
        spool: Of this worker.
        pressure: Of this worker.
        now_ms: The wall clock.
    """
    return next(_reasons(data_dir, spool, pressure, now_ms), None)


def _reasons(data_dir: Path, spool: SpoolWriter, pressure: Pressure, now_ms: int) -> Iterator[str]:
    if spool.failure is not None:
        yield f"events cannot be stored ({spool.failure})"
    stalled = pressure.stalled(now_ms)
    if stalled is not None:
        yield f"{stalled}; look for what keeps it busy"
    folder = data_dir / "spool"
    try:
        lacks = spool.room.lacks()
    except OSError as problem:
        yield f"{folder} cannot be read: {problem.strerror}; check the data directory"
        return
    if lacks is not None:
        yield f"events cannot be stored: {lacks}; make room, or see by `footfall doctor` what keeps the loader"
    for path in (folder, data_dir / "salts.json"):
        if path.exists() and not os.access(path, os.W_OK):
            yield f"{path} cannot be written; check its owner and whether the disk is mounted read-only"
    try:
        read_sources(data_dir)
    except SourceError as error:
        yield str(error)
