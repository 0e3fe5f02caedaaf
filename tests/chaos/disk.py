"""Part `disk`: it is full, fails to sync (EIO), may only be read; for the workers, the store process, or both."""

from __future__ import annotations

import errno
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from chaos.ground import ground
from spool.disk import fill, tiny_disk

DISK_BYTES = 192 * 1024 * 1024  # the embedded engine, and its parts that are never merged
SECONDS_MAX = 2.0
NUMBERS = (errno.EIO, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def disk(engine: str, folder: Path, count: int, seed: int) -> str:
    """Take the disk away for a moment, again and again. Skipped where no small disk may be mounted."""
    happened: Counter[str] = Counter()
    with tiny_disk(folder / "disk", DISK_BYTES) as small, ground(engine, folder, seed, small / "data") as on:
        for _ in range(count):
            seconds = on.rng.uniform(0.1, SECONDS_MAX)
            names = on.rng.choice((("worker",), ("storekeeper",), ("worker", "storekeeper")))
            if on.rng.random() < 0.4:
                filler = fill(small)
                time.sleep(seconds)
                filler.unlink()
                happened["full"] += 1
            else:
                number = on.rng.choice(NUMBERS)
                with ExitStack() as held:
                    for name in names:
                        held.enter_context(on.faults.failing(name, number))
                    time.sleep(seconds)
                happened[f"{errno.errorcode[number]} for {' and '.join(names)}"] += 1
            on.senders.until_acked(20)
    each = ", ".join(f"{times} {what}" for what, times in sorted(happened.items()))
    return f"{count} faults ({each}), {on.acked()}"
