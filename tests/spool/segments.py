"""What the tests of the spool share: writing and reading whole segments."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from collector.spooling.spool import SEGMENT_MAGIC, Damage, Record, SpoolWriter, frame, read_records, segments

DEADLINE_SECONDS = 10.0
READ_BYTES = 4 * 1024 * 1024


def uncounted(_records: int, _nanoseconds: int) -> None:
    """An on_commit that nobody listens to."""


def written(folder: Path, use: Callable[[SpoolWriter], Awaitable[None]], owner: str = "worker-0") -> None:
    """Open a writer, use it, close it."""

    async def main() -> None:
        writer = SpoolWriter(folder, owner, uncounted)
        try:
            await use(writer)
        finally:
            await asyncio.to_thread(writer.close)

    asyncio.run(main())


def write_segment(path: Path, payloads: list[bytes]) -> list[tuple[int, int]]:
    """A segment file with one record per payload; returns where each begins and ends."""
    content = bytearray(SEGMENT_MAGIC)
    spans = []
    for payload in payloads:
        record = frame(payload, 1, 0)
        spans.append((len(content), len(content) + len(record)))
        content += record
    path.write_bytes(content)
    return spans


def read_all(path: Path, bytes_max: int = READ_BYTES, *, sealed: bool = True) -> list[Record | Damage]:
    """Read a segment as the loader does: call after call, each from where the one before ended."""
    found: list[Record | Damage] = []
    position = len(SEGMENT_MAGIC)
    while True:
        items = list(read_records(path, position, bytes_max, sealed=sealed))
        if not items:
            return found
        for item in items:
            assert item.start == position, "reading skipped bytes or read some twice"
            assert item.end > item.start, "reading made no progress"
            position = item.end
        found += items


def payloads_of(folder: Path) -> list[bytes]:
    """The payloads of all records in a spool."""
    items = [item for path in segments(folder) for item in read_all(path)]
    return [item.payload for item in items if isinstance(item, Record)]


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, at most DEADLINE_SECONDS."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_SECONDS} s"
        await asyncio.sleep(0.005)
