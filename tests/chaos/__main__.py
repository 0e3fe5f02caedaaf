"""Chaos: break everything around a collector, for long, and hold what is stored against what was acknowledged.

    make chaos                                   all parts: half an hour or so on two quiet cores
    make chaos ARGS="--only kills,cuts --seed 7"
    make chaos ARGS="--short"                    a few of each

The oracle of every part: each event that was answered with 2xx is stored exactly once and as it was sent, and nothing
else is stored; what damage made unreadable is kept in spool/damaged and counted. A part that finds otherwise ends with
what it found, and the exit code is 1. The same seed makes the same choices again.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from chaos.clock import clock
from chaos.cuts import cuts
from chaos.damage import damage
from chaos.database import database
from chaos.disk import disk
from chaos.kills import kills, points


class Part(NamedTuple):
    """One kind of fault. `run` takes an engine, an empty folder, a count and a seed, and tells what there was."""

    run: Callable[[str, Path, int, int], str]
    counts: dict[str, int]  # by engine


PARTS = {
    "kills": Part(kills, {"chDB": 500, "server": 500}),
    "points": Part(points, {"chDB": 60, "server": 60}),
    "cuts": Part(cuts, {"chDB": 60, "server": 140}),
    "disk": Part(disk, {"chDB": 30, "server": 30}),
    "damage": Part(damage, {"chDB": 200, "server": 200}),
    "database": Part(database, {"chDB": 10, "server": 30}),
    "clock": Part(clock, {"chDB": 30, "server": 30}),
}
SHORT = 20  # with --short a part has a twentieth of its faults


def main() -> int:
    """Run the parts in turn and print a table; 0 when all held."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, of " + ", ".join(PARTS))
    parser.add_argument("--engine", choices=["chDB", "server"], help="run the parts on one engine only")
    parser.add_argument("--seed", type=int, default=1, help="makes the same choices again")
    parser.add_argument("--count", type=int, help="faults of each part, instead of its own number")
    parser.add_argument("--short", action="store_true", help="a few faults of each part")
    asked = parser.parse_args()
    only = asked.only.split(",")
    if unknown := set(only) - set(PARTS):
        parser.error(f"no part {sorted(unknown)[0]!r}; there are: {', '.join(PARTS)}")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(
        f"seed {asked.seed}, commit {commit.stdout.strip() or 'unknown'}, {platform.machine()}, "
        f"Python {platform.python_version()}\n\n| part | engine | seconds | held | what there was |\n"
        "| --- | --- | ---: | --- | --- |",
        flush=True,
    )
    failed = 0
    for name in only:
        for engine, count in PARTS[name].counts.items():
            if asked.engine in (None, engine):
                wanted = asked.count or (max(count // SHORT, 3) if asked.short else count)
                failed += not _run(name, engine, wanted, asked.seed)
    return 1 if failed else 0


def _run(name: str, engine: str, count: int, seed: int) -> bool:
    """Run one part on one engine and print its row; False when it did not hold."""
    folder = Path(tempfile.mkdtemp(prefix=f"footfall-chaos-{name}-"))
    begun = time.monotonic()
    try:
        told, held = PARTS[name].run(engine, folder, count, seed), "yes"
    except pytest.skip.Exception as reason:
        told, held = str(reason), "skipped"
    except Exception as error:  # the other parts have something to say, too
        told, held = f"{type(error).__name__}: {str(error)[:2_000]}; its files are kept in {folder}", "NO"
        traceback.print_exc()
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"| {name} | {engine} | {time.monotonic() - begun:.0f} | {held} | {told} |", flush=True)
    return held != "NO"


if __name__ == "__main__":
    sys.exit(main())
