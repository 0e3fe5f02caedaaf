"""Counters that outlive a crash and are shared by all processes of one data directory.

Each process maps one small file and owns it: a header line that names the counters, then one 64-bit slot for each.
Counting is one addition in shared memory, so the hot path pays next to nothing, a kill -9 loses no count, and whoever
serves /metrics sums the files of all processes. Names carry their labels, as Prometheus writes them:
`rejected_total{reason="wrong_type"}`.

What goes up and down stands in files of the same form, `*.gauges`: a slot is set in place of added to. They say how a
process is, so the supervisor deletes those of a former run, and each process is shown on its own.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from pathlib import Path

_HEADER_BYTES = 16_384  # room for about 300 names; the file is made once and never grows


class Counters:
    """The counters of this process, by slot number. Slots are looked up once, at start, with `slot()`."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """Map `path`, made or remade where it does not hold exactly these names (a new release starts from zero)."""
        header = json.dumps(list(names)).encode().ljust(_HEADER_BYTES)
        if len(header) != _HEADER_BYTES:
            raise ValueError(f"{len(names)} counter names take more than {_HEADER_BYTES:,} bytes")
        size = _HEADER_BYTES + 8 * len(names)
        if not path.exists() or path.stat().st_size != size or path.read_bytes()[:_HEADER_BYTES] != header:
            fresh = path.with_suffix(".new")
            fresh.write_bytes(header + bytes(8 * len(names)))
            fresh.replace(path)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self.slots = memoryview(self._map)[_HEADER_BYTES:].cast("Q")
        self._names = {name: slot for slot, name in enumerate(names)}

    def slot(self, name: str) -> int:
        """The slot of a counter: `slots[slot] += 1` counts. Raises KeyError for a name not given at the start."""
        return self._names[name]

    def add(self, name: str, amount: int = 1) -> None:
        """Count by name; for paths that are not hot."""
        self.slots[self._names[name]] += amount


def read_counters(folder: Path) -> dict[str, int]:
    """The sum of each counter over all processes' files (`*.counters`) in a folder. A damaged file is left out."""
    sums: dict[str, int] = {}
    for path in sorted(folder.glob("*.counters")):
        for name, value in _slots(path):
            sums[name] = sums.get(name, 0) + value
    return sums


def read_gauges(folder: Path) -> dict[str, int]:
    """Each gauge of each process' file (`*.gauges`) in a folder, as `connections{process="worker-0"}`."""
    return {
        f'{name}{{process="{path.stem}"}}': value
        for path in sorted(folder.glob("*.gauges"))
        for name, value in _slots(path)
    }


def _slots(path: Path) -> list[tuple[str, int]]:
    """Names and values of a file; none of one that was cut short by a power loss: its owner makes it anew."""
    data = path.read_bytes()
    try:
        names = json.loads(data[:_HEADER_BYTES])
        return list(zip(names, memoryview(data)[_HEADER_BYTES:].cast("Q"), strict=True))
    except (ValueError, TypeError):
        return []
