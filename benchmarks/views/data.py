"""The events of a run, in the database of each engine: made once per folder, and used again when it is complete."""

from __future__ import annotations

import contextlib
import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks.views.questions import SOURCE
from collector.database.migrate import migrate
from collector.database.sessions import StoredSessions
from collector.database.store import Store
from collector.simulate.bulk import generate

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


def prepare(folder: Path, events: int) -> None:
    """Fill the folder with `db` (chDB), `events.duckdb` and `events.parquet` (for Polars)."""
    done = folder / "done"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with closing(Store(f"chdb://{folder / 'db'}?database=footfall")) as store:
        migrate(store)
        for _ in generate(store, events, source_id=SOURCE, until=UNTIL):
            pass
        _settle(store)
        StoredSessions(insert_seconds=0).refresh(store)
        store.command("OPTIMIZE TABLE footfall.visitor_sessions FINAL")
        store.command(f"""
            SELECT visitor_id, toUnixTimestamp64Milli(event_time) AS ms, sequence, message_id,
                   event::String AS event, path, channel::String AS channel, conversion::String AS conversion
            FROM footfall.human_events
            ORDER BY visitor_id, ms, sequence, message_id
            INTO OUTFILE '{folder / "events.parquet"}' FORMAT Parquet
            SETTINGS output_format_parquet_string_as_string = 1, optimize_read_in_order = 1""")
    with closing(duckdb.connect(folder / "events.duckdb")) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"CREATE TABLE events AS SELECT * FROM '{folder / 'events.parquet'}'")
    done.touch()


def _settle(store: Store) -> None:
    """Merge each month into one part, as a database does by itself within hours."""
    for (partition,) in store.rows("SELECT DISTINCT partition FROM system.parts WHERE table = 'events' AND active"):
        with contextlib.suppress(Exception):
            store.command(f"OPTIMIZE TABLE footfall.events PARTITION {partition} FINAL")
