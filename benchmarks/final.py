"""Question: what does it cost that views count every event once, by FINAL, against the plain table?

Budget: 1.3 times the plain table's time.
Method: ROWS events of VISITORS visitors in inserts of 50,000, as the loader cuts them, into embedded chDB, and one in a
hundred of them once more at the end; merged as far as the engine does by itself within SETTLE_SECONDS. Then each
question in turn on `events` and on `events FINAL`, after one round to warm up, REPEATS times; CPU time of this process,
in which the engine is, and wall time; the median of each, and of the ratios of neighbours. FINAL must count what was
sent, which the plain table does not. Then the same once more with all parts merged into one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from collector.database.migrate import migrate
from collector.database.store import Store

ROWS = 500_000
VISITORS = 50_000
INSERT = 50_000
REPEATS = 3
SETTLE_SECONDS = 5.0
QUESTIONS = {
    "count of a source": "SELECT count() FROM {table} WHERE source_id = 'shop'",
    "events by name and day": "SELECT event, toDate(event_time), count() FROM {table} GROUP BY ALL",
    "visitors by country": "SELECT country, uniqExact(visitor_id) FROM {table} WHERE NOT is_bot GROUP BY ALL",
    "events of one visitor": (
        "SELECT count(), max(event_time) FROM {table} WHERE source_id = 'shop' AND visitor_id = 'v77'"
    ),
    "sessions by gap": (
        "SELECT count() FROM (SELECT visitor_id, event_time, lagInFrame(event_time) OVER "
        "(PARTITION BY source_id, visitor_id ORDER BY event_time) AS before FROM {table} WHERE source_id = 'shop') "
        "WHERE event_time > before + INTERVAL 30 MINUTE"
    ),
}


def main() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Store(f"chdb://{Path(folder) / 'db'}?database=footfall")) as store,
    ):
        migrate(store)
        for first in range(0, ROWS, INSERT):
            _insert(store, first, INSERT)
        _insert(store, 0, ROWS // 100, every=100)
        time.sleep(SETTLE_SECONDS)
        _measure(store, "as the engine left it")
        store.command("OPTIMIZE TABLE footfall.events FINAL")
        _measure(store, "merged, as a month that is over")


def _measure(store: Store, how: str) -> None:
    parts = f"SELECT count() FROM system.parts WHERE active AND database = '{store.database}' AND table = 'events'"
    ((count,),) = store.rows(parts)
    ((once,),) = store.rows("SELECT count() FROM footfall.events FINAL")
    assert once == ROWS, f"{once:,} rows by FINAL, {ROWS:,} were sent"
    print(f"{how}: {ROWS:,} rows and {ROWS // 100:,} of them sent twice, in {count} parts")
    for name, sql in QUESTIONS.items():
        _compare(store, name, sql)


def _insert(store: Store, first: int, count: int, every: int = 1) -> None:
    """Rows that are no work for the client: the engine makes them itself, in the order in which they arrived."""
    store.command(
        f"""
        INSERT INTO footfall.events (message_id, type, event, source_id, visitor_id, event_time, occurred_at,
            received_at, path, country, device_class, properties)
        SELECT lower(hex(sipHash128(n))), 'track', ['page_view', 'click', 'add_to_cart'][1 + n % 3],
            'shop', 'v' || toString(cityHash64(intDiv(n, 7)) % {VISITORS}),
            fromUnixTimestamp64Milli(toInt64(1790000000000 + n * 250), 'UTC') AS happened, happened,
            happened + INTERVAL 1 SECOND, '/product/' || toString(n % 1000), ['DE', 'FR', 'US'][1 + n % 3], 'desktop',
            '{{"n":' || toString(n) || '}}'
        FROM (SELECT {first} + number * {every} AS n FROM numbers({count}))
        """
    )


def _compare(store: Store, name: str, sql: str) -> None:
    spent: dict[str, list[tuple[float, float]]] = {"events": [], "events FINAL": []}
    for repeat in range(REPEATS + 1):
        for table, taken in spent.items():
            cpu, wall = time.process_time(), time.perf_counter()
            store.rows(sql.format(table=f"footfall.{table}"))
            if repeat:
                taken.append((time.process_time() - cpu, time.perf_counter() - wall))
    plain, final = spent.values()
    cpu_ratio, wall_ratio = (
        statistics.median(one[at] / other[at] for one, other in zip(final, plain, strict=True)) for at in (0, 1)
    )
    cpu_ms = [statistics.median(one for one, _ in taken) * 1_000 for taken in (plain, final)]
    print(f"{name:<24} {cpu_ms[0]:8.1f} {cpu_ms[1]:8.1f} ms CPU, {cpu_ratio:5.2f}x CPU, {wall_ratio:5.2f}x wall")


if __name__ == "__main__":
    main()
