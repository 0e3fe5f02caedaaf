"""What /metrics tells beside the shared counters: where every event is now, and what the spool and the caches hold.

Gauges are found in the files of the data directory at the moment they are asked for, the same by whichever worker. The
caches are a process's own, so each worker adds what its caches have done to its counters, every PUBLISH_SECONDS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from collector.enrichment import device, enrich
from collector.enrichment.location import Locator
from collector.loading.ledger import account
from collector.loading.survey import arrivals
from collector.metrics import Counters, read_counters, read_gauges
from collector.spooling.room import Room
from collector.spooling.spool import SEGMENT_MAGIC, Record, begun_ms, read_records, segment_bytes, segments
from collector.wire import names

PUBLISH_SECONDS = 5.0


class CacheInfo(Protocol):
    """What functools.lru_cache tells of itself."""

    @property
    def hits(self) -> int:
        """Calls that were answered from it."""

    @property
    def misses(self) -> int:
        """Calls that were not."""


# Of what an event is enriched with: the caches of a process, and those of the table of channels in force.
_CACHES: dict[str, Callable[[], CacheInfo]] = {
    "device": device._parse_cached.cache_info,
    "context": enrich._read_context_cached.cache_info,
    "name": names.track_name.cache_info,
}
_CACHES_OF_LOCATOR = ("location", "page", "channel")
COUNTER_NAMES: tuple[str, ...] = tuple(
    f'cache_{what}_total{{cache="{name}"}}' for name in (*_CACHES, *_CACHES_OF_LOCATOR) for what in ("hits", "misses")
)


class CacheCounts:
    """Brings the counters of a worker up to what its caches say."""

    def __init__(self, counters: Counters, locator: Locator) -> None:
        """`locator` is the one that the worker judges with."""
        self._counters = counters
        self._caches = _CACHES | dict(zip(_CACHES_OF_LOCATOR, locator.caches(), strict=True))
        self._told: dict[str, int] = dict.fromkeys(COUNTER_NAMES, 0)

    def publish(self) -> None:
        """Add what has happened since the last time. Called by one thread."""
        for name, info in self._caches.items():
            found = info()
            for what, now in (("hits", found.hits), ("misses", found.misses)):
                counter = f'cache_{what}_total{{cache="{name}"}}'
                self._counters.add(counter, now - self._told[counter])
                self._told[counter] = now


class Measures(NamedTuple):
    """Counters and gauges by name, without the prefix that all have."""

    counters: dict[str, int]
    gauges: dict[str, float]


def measures(data_dir: Path, now_ms: int, room: Room | None = None) -> Measures:
    """All that a data directory tells; with `room` also what it may hold.

    Raises:
        LoadError: the loader's state cannot be read.
        OSError: nor its disk.
    """
    positions, events = account(data_dir)
    ledger = positions.ledger
    gauges = {f"ledger_{name}": float(value) for name, value in events.items()}
    gauges |= {f"ledger_{name}": float(getattr(ledger, name)) for name in ("refused", "set_aside")}
    gauges["damaged_bytes"] = float(ledger.damaged_bytes)
    gauges |= {name: float(value) for name, value in read_gauges(data_dir / "run").items()}
    gauges |= _spool(data_dir / "spool", positions.segments, now_ms)
    if room is not None:
        gauges["spool_max_bytes"] = float(room.limit_bytes())
        gauges["disk_free_bytes"] = float(room.free_bytes())
    return Measures(read_counters(data_dir / "run"), gauges)


def _spool(folder: Path, positions: dict[str, int], now_ms: int) -> dict[str, float]:
    """How many bytes it holds in how many segments, and how old the oldest event is that is in no table yet.

    A segment's events came after it was begun, so that one which was begun later need not be opened: of a day's backlog
    each may have to be unpacked. What is replayed is old from the moment when its segment is the oldest.
    """
    count = size_bytes = 0
    oldest_ms: int | None = None
    for path in segments(folder):
        try:
            size = path.stat().st_size
            start = max(positions.get(path.name, 0), len(SEGMENT_MAGIC))
            if (oldest_ms is None or begun_ms(path) < oldest_ms) and start < segment_bytes(path):
                received_ms = _received_ms(path, start, now_ms)
                oldest_ms = received_ms if oldest_ms is None else min(oldest_ms, received_ms)
        except FileNotFoundError:
            continue  # loaded and deleted while we looked
        count += 1
        size_bytes += size
    age_ms = 0 if oldest_ms is None else max(now_ms - oldest_ms, 0)
    return {"spool_segments": count, "spool_bytes": size_bytes, "oldest_unwritten_seconds": age_ms / 1_000}


def _received_ms(path: Path, start: int, now_ms: int) -> int:
    """When the first event behind `start` was received; now, where none is whole."""
    for item in read_records(path, start, 1, sealed=False):
        if isinstance(item, Record):
            try:
                return next((received_ms for _, received_ms in arrivals(item.payload)), now_ms)
            except ValueError:  # of another version: the loader says so
                return now_ms
    return now_ms
