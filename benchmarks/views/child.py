"""One query in a process of its own: `python -m benchmarks.views.child ENGINE FOLDER QUESTION` prints one JSON object.

It holds `seconds`, `cpu_seconds`, `grown_mb` (the most the process held during the query, less what it held before it)
and `rows`, the answer. ENGINE is `ours` (then QUESTION may be SQL, too), `duckdb`, `polars`; or `late`: a late batch.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl

from benchmarks.views import questions
from collector.database.sessions import StoredSessions
from collector.database.store import Store


def main(engine: str, folder: Path, question: str) -> None:
    """Open the engine, ask, print."""
    ask = opened(engine, folder, question)
    before = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    started, cpu = time.perf_counter(), time.process_time()
    rows = ask()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    grown_mb = max(0.0, memory_mb("VmHWM") - before)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "grown_mb": grown_mb, "rows": rows}, default=str))


def opened(engine: str, folder: Path, question: str) -> Callable[[], questions.Rows]:
    """What asks the question, with the engine started and its data reachable: in memory for Polars."""
    if engine == "duckdb":
        connection = duckdb.connect(folder / "events.duckdb", read_only=True)
        connection.execute("SET enable_progress_bar = false")  # it goes to stdout
        return lambda: questions.ask_duckdb(connection, question)
    if engine == "polars":
        events = pl.read_parquet(folder / "events.parquet")
        return lambda: questions.ask_polars(events, question)
    dsn = f"chdb://{folder / 'db'}?database=footfall"
    if engine == "late":
        writing = Store(dsn)
        sessions = StoredSessions(insert_seconds=0)
        sessions.refresh(writing)  # the process that stores sessions runs all day, and looks at new marks only
        return lambda: questions.absorb_late_batch(writing, sessions)
    store = Store(dsn, read_only=True)
    store.rows("SELECT 1")
    return lambda: questions.ask_ours(store, question)


def memory_mb(field: str) -> float:
    """VmRSS or VmHWM of this process."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {field}")
    return int(found[1]) / 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
