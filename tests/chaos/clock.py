"""Part `clock`: the collector's clock jumps, and its processes are killed while it is wrong."""

from __future__ import annotations

from pathlib import Path

from chaos.ground import ground
from crash.processes import children, kill

DAY_SECONDS = 86_400
JUMPS = (-DAY_SECONDS, DAY_SECONDS, -3_600, 3_600, -7, 7, 40 * DAY_SECONDS, -40 * DAY_SECONDS, 0)


def clock(engine: str, folder: Path, count: int, seed: int) -> str:
    """Turn the clock, by seconds to more than a month, and put it right at the end."""
    killed = 0
    with ground(engine, folder, seed) as on:
        for _ in range(count):
            on.faults.turn_clock(on.rng.choice(JUMPS) + on.rng.uniform(-1, 1))
            on.senders.until_acked(20)
            if on.rng.random() < 0.3:
                name = on.rng.choice(("worker", "storekeeper"))
                for pid in (pid for pid, kind in children(on.collector.process.pid).items() if kind == name):
                    kill(pid)
                    killed += 1
                on.senders.until_acked(20)
        on.faults.turn_clock(0)
    return f"{count} jumps of up to 40 days either way and {killed} kills between them, {on.acked()}"
