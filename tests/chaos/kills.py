"""Parts `kills` and `points`: SIGKILL to workers, the store process, the supervisor and the database server.

`kills` come at any moment; `points` at those where the state on the disk changes: around each sync, each file that
takes another's place, and each that is deleted.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from chaos.ground import ground
from crash.faults import STORE_POINTS, WORKER_POINTS
from crash.killing import kill_on_chdb, kill_with_server, summary

WORKERS = 3  # more to kill while others start
TIMES_MAX = 5  # a point is passed up to so often before the kill


def kills(engine: str, folder: Path, count: int, seed: int) -> str:
    """Kill any process at any moment."""
    kill = kill_on_chdb if engine == "chDB" else kill_with_server
    return summary(*kill(folder, count, seed, WORKERS))


def points(engine: str, folder: Path, count: int, seed: int) -> str:
    """Kill a process as it comes to a point."""
    happened: Counter[str] = Counter()
    choices = [("worker", point) for point in WORKER_POINTS if "rename" not in point]
    choices += [("storekeeper", point) for point in STORE_POINTS]
    with ground(engine, folder, seed) as on:
        for _ in range(count):
            name, point = on.rng.choice(choices)
            # Segments are deleted, and begun anew, when their worker has died: so it takes turns with others.
            if "unlink" in point:
                on.faults.kill_at("worker", "after-fdatasync")
                happened["worker after-fdatasync"] += 1
            on.faults.kill_at(name, point, 1 if "unlink" in point else on.rng.randint(1, TIMES_MAX))
            on.faults.until_killed(name, point)
            happened[f"{name} {point}"] += 1
            on.senders.until_acked(20)
            if on.rng.random() < 0.3:
                on.faults.kill_at("worker", "before-rename")  # the next worker's, as it begins its segment
                on.faults.kill_at("worker", "before-fdatasync")
                on.faults.until_killed("worker", "before-rename")
                happened["worker before-rename"] += 1
                on.senders.until_acked(20)
    each = ", ".join(f"{times} {what}" for what, times in sorted(happened.items()))
    return f"{happened.total()} kills ({each}), {on.acked()}"
