"""Question: how fast do the views answer, and what do they hold in memory, beside DuckDB and Polars on the same events?

Budget: `GOALS` of report.py: times as fast as each, at 10 M and at 50 M events.
Method: `footfall generate`'s events (seed 1), in a database of chDB. What people did, without duplicates, goes from
there into a table of DuckDB, in the sort order of ours, and into memory of Polars; ours goes on removing duplicates and
bots at every question. Each question runs in a process of its own, engines in turn, REPEATS times; reading a file and
starting an engine are not counted. All engines must give the same answer, to the number. Seconds, CPU seconds, and by
how much the process grew.

    make bench ARGS=views                                                      1 M events
    FOOTFALL_BENCH_EVENTS=10000000,50000000 make bench ARGS=views
"""

from benchmarks.views.report import main

__all__ = ["main"]
