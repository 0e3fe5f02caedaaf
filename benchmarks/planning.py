"""What does a question cost before it has read anything?

Question    CPU of each view's documented example on an empty database: analysing, planning and starting it. On few
            events that is nearly all that a question costs, and a view that stands on views pays for each of them.
Budget      None of its own. A one-day dashboard has 0.1 s, and planning is part of that.
Method      A database of chDB with the views of this checkout and, where FOOTFALL_BENCH_BEFORE names the collector/sql
            of another one, a database beside it with those. Each example is asked on both in turn, REPEATS times; CPU
            milliseconds (process_time), median and spread, and how many times less they are. The sum is of the views
            that both have. They are asked and not explained: EXPLAIN PLAN also writes the plan down, which may take
            longer than making it.
Run         make bench ARGS=planning            about 2 minutes
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.table import head, row, spread
from collector.database.catalogue import catalogue
from collector.database.migrate import migrate
from collector.database.store import Store
from collector.paths import SQL_DIR

REPEATS = 5


def main() -> None:
    """Ask the example of every view, and print them, dearest first."""
    before = os.environ.get("FOOTFALL_BENCH_BEFORE")
    folders = {"now": SQL_DIR, **({"before": Path(before)} if before else {})}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        sides = {}
        for side, sql_dir in folders.items():
            dsn = f"chdb://{folder}?database={side}"
            with closing(Store(dsn)) as making:
                migrate(making, sql_dir)
            sides[side] = opened.enter_context(closing(Store(dsn, read_only=True)))
        found = {view: measured(sides, folders, view) for view in catalogue()}
    head("view", *(f"CPU ms, {side}" for side in folders), "times less")
    for view, spent in sorted(found.items(), key=lambda each: -statistics.median(each[1]["now"])):
        row(view, *(spread(spent[side]) if spent[side] else "" for side in folders), times_less(spent))
    both = [spent for spent in found.values() if all(spent.values())]
    sums = {side: [sum(statistics.median(spent[side]) for spent in both)] for side in folders}
    row("all", *(f"{sums[side][0]:,.0f}" for side in folders), times_less(sums))


def measured(sides: dict[str, Store], folders: dict[str, Path], view: str) -> dict[str, list[float]]:
    """CPU milliseconds of a view's example, asked on each side in turn; none where there is no such view."""
    spent: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(REPEATS):
        for side, store in sides.items():
            known = catalogue(folders[side])
            if view in known:
                started = time.process_time()
                store.rows(known[view].example)
                spent[side].append((time.process_time() - started) * 1000)
    return spent


def times_less(spent: dict[str, list[float]]) -> str:
    """Of medians, before to now; empty where there is nothing to compare."""
    before = spent.get("before")
    return f"{statistics.median(before) / statistics.median(spent['now']):.2f}" if before else ""


if __name__ == "__main__":
    main()
