"""Millions of invented events, made inside ClickHouse (bulk.sql): to try views, dashboards and hardware on.

They go into the table and not through a collector, so they are in no ledger and `footfall doctor` does not count them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from collector.database.store import Store

BULK_SQL = Path(__file__).with_name("bulk.sql")
EVENTS_PER_VISIT = 4
VISITS_PER_VISITOR = 10
# A visit takes about 4 kB while it is made: 1 GB a statement, whatever the machine's engine would take for itself.
STATEMENT_VISITS = 250_000


def generate(
    store: Store, events: int, *, source_id: str, until: datetime, days: int = 90, seed: int = 1
) -> Iterator[int]:
    """Insert about so many events of the `days` before `until`; yield after each statement how many visits there are.

    The same arguments make the same rows: asked twice they are stored twice, and views count them once.

    Raises:
        StoreError: ClickHouse refused or could not be reached. What was inserted before stays.
    """
    visits = max(events // EVENTS_PER_VISIT, 1)
    sql = BULK_SQL.read_text(encoding="utf-8").replace("{database}", store.database)
    for first in range(0, visits, STATEMENT_VISITS):
        count = min(STATEMENT_VISITS, visits - first)
        store.command(
            sql,
            {
                "source_id": source_id,
                "seed": seed,
                "first": first,
                "count": count,
                "visitors": max(visits // VISITS_PER_VISITOR, 1),
                "days": days,
                "until": until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            },
        )
        yield first + count
    store.command(
        f"INSERT INTO {store.database}.visitor_marks (source_id, visitor_id) SELECT source_id, visitor_id "
        f"FROM {store.database}.events WHERE source_id = {{source_id:String}} GROUP BY source_id, visitor_id",
        {"source_id": source_id},
    )
