"""How many processors this process may really use: `--workers 0` starts a worker for each.

A machine's processors are not a container's: it may be bound to some of them, or allowed only a share of their time.
Workers beyond that would only take turns, and be stopped all together once the share of a period is used up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
WORKERS_MAX = 64


def cores(bound_to: int | None = None, cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """Processors to use: 1..WORKERS_MAX. A share is rounded down, but for less than one.

    Args:
        bound_to: To how many the process is bound; None to ask the system.
        cgroups: Where control groups are mounted, of version 2 or 1.
        own: Names those of this process (cgroups(7)).
    """
    bound = len(os.sched_getaffinity(0)) if bound_to is None else bound_to
    return max(1, min(bound, WORKERS_MAX, *(int(share) for share in _shares(cgroups, own))))


def _shares(cgroups: Path, own: Path) -> Iterator[float]:
    """The limits of this process' groups and of all above them, in processors."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no Linux with control groups
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folders = [cgroups / controllers if controllers else cgroups]
        for name in Path(group).parts[1:]:
            folders.append(folders[-1] / name)
        for folder in folders:
            quota, period = _limit(folder, version_1=bool(controllers))
            if quota > 0 and period > 0:
                yield quota / period


def _limit(folder: Path, *, version_1: bool) -> tuple[int, int]:
    """Microseconds of processor time in a period of so many; (0, 0) for no limit."""
    try:
        if version_1:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((folder / name).read_text().strip() for name in names)
        else:
            quota, period = (folder / "cpu.max").read_text().split()
        return int(quota), int(period)
    except (OSError, ValueError):  # there is no such file, or it says `max`
        return 0, 0
