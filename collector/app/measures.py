"""What /metrics tells beside the shared counters: where every event is now, and what the spool and the caches hold.

Gauges are found in the files of the data directory at the moment they are asked for, the same by whichever worker. The
caches are a process's own, so each worker adds what its caches have done to its counters, every PUBLISH_SECONDS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from collector import device, enrich, location, names, referrer
from collector.ledger import account, read_positions
from collector.metrics import Counters, read_counters
from collector.packed import FORM, SENDER_COLUMNS
from collector.record import EVENT_COLUMNS, FAILED_COLUMNS
from collector.spool import SEGMENT_MAGIC, Record, read_records, segments

PUBLISH_SECONDS = 5.0


class CacheInfo(Protocol):
    """What functools.lru_cache tells of itself."""

    @property
    def hits(self) -> int:
        """Calls that were answered from it."""

    @property
    def misses(self) -> int:
        """Calls that were not."""


# Of what an event is enriched with; the caches of one process.
_CACHES: dict[str, Callable[[], CacheInfo]] = {
    "device": device._parse_cached.cache_info,
    "context": enrich._read_context_cached.cache_info,
    "location": location._located_cached.cache_info,
    "page": referrer._page_cached.cache_info,
    "channel": referrer._classify_cached.cache_info,
    "name": names.track_name.cache_info,
}
COUNTER_NAMES: tuple[str, ...] = tuple(
    f'cache_{what}_total{{cache="{name}"}}' for name in _CACHES for what in ("hits", "misses")
)


class CacheCounts:
    """Brings the counters of a worker up to what its caches say."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._told: dict[str, int] = dict.fromkeys(COUNTER_NAMES, 0)

    def publish(self) -> None:
        """Add what has happened since the last time. Called by one thread."""
        for name, info in _CACHES.items():
            found = info()
            for what, now in (("hits", found.hits), ("misses", found.misses)):
                counter = f'cache_{what}_total{{cache="{name}"}}'
                self._counters.add(counter, now - self._told[counter])
                self._told[counter] = now


class Measures(NamedTuple):
    """Counters and gauges by name, without the prefix that all have."""

    counters: dict[str, int]
    gauges: dict[str, float]


def measures(data_dir: Path, now_ms: int) -> Measures:
    """All that a data directory tells. Raises LoadError where the loader's state cannot be read."""
    ledger, events = account(data_dir)
    gauges = {f"ledger_{name}": float(value) for name, value in events.items()}
    gauges |= {f"ledger_{name}": float(getattr(ledger, name)) for name in ("refused", "set_aside")}
    gauges["damaged_bytes"] = float(ledger.damaged_bytes)
    gauges |= _spool(data_dir / "spool", read_positions(data_dir).segments, now_ms)
    return Measures(read_counters(data_dir / "run"), gauges)


def _spool(folder: Path, positions: dict[str, int], now_ms: int) -> dict[str, float]:
    """How many bytes it holds in how many segments, and how old the oldest event is that is in no table yet."""
    count = size_bytes = 0
    oldest_ms = now_ms
    for path in segments(folder):
        try:
            size = path.stat().st_size
            start = max(positions.get(path.name, 0), len(SEGMENT_MAGIC))
            if start < size:
                oldest_ms = min(oldest_ms, _received_ms(path, start, now_ms))
        except FileNotFoundError:
            continue  # loaded and deleted while we looked
        count += 1
        size_bytes += size
    age_ms = max(now_ms - oldest_ms, 0)
    return {"spool_segments": count, "spool_bytes": size_bytes, "oldest_unwritten_seconds": age_ms / 1_000}


def _received_ms(path: Path, start: int, now_ms: int) -> int:
    """When the first event behind `start` was received; now, where none is whole."""
    for item in read_records(path, start, 1, sealed=False):
        if isinstance(item, Record):
            return _first_received_ms(msgspec.msgpack.decode(item.payload), now_ms)
    return now_ms


def _first_received_ms(rows: list[Any], now_ms: int) -> int:
    """The same of one record, in the form that is written now or in that of whole rows before it."""
    found: list[tuple[list[Any], int]]
    if rows[0] == FORM:
        found = [(rows[1], SENDER_COLUMNS.index("received_at")), (rows[4], FAILED_COLUMNS.index("received_at"))]
    else:
        found = [(rows[0], EVENT_COLUMNS.index("received_at")), (rows[1], FAILED_COLUMNS.index("received_at"))]
    return next((int(part[0][at]) for part, at in found if part), now_ms)
