"""Counters that outlive a crash and are shared by all processes of one data directory.

Each process maps one small file and owns it: a header line that names the counters, then one 64-bit slot for each.
Counting is one addition in shared memory, so the hot path pays next to nothing, a kill -9 loses no count, and whoever
serves /metrics sums the files of all processes. Names carry their labels, as Prometheus writes them:
`rejected_total{reason="wrong_type"}`.
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
        data = path.read_bytes()
        try:
            names = json.loads(data[:_HEADER_BYTES])
            counted = list(zip(names, memoryview(data)[_HEADER_BYTES:].cast("Q"), strict=True))
        except (ValueError, TypeError):  # cut short by a power loss: its owner makes it anew at its next start
            continue
        for name, value in counted:
            sums[name] = sums.get(name, 0) + value
    return sums
