"""Events for the tests of SQL: dictionaries that name only what matters, filled up to rows of the `events` table.

A page view of one visitor is the default. `at` is the event's time in milliseconds after START; every other key is a
column. Columns that follow from others (occurred_at, received_at, event) do so unless they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collector.database.store import Store
from collector.record import EVENT_COLUMNS

Event = dict[str, Any]

# 2026-03-01 12:00:00 UTC
START_MS = 1_772_366_400_000
NETWORK_MS = 200

_EMPTY: dict[str, Any] = {
    "event_version": 1,
    "sequence": 0,
    "asn": 0,
    "sent_at": None,
    "screen_width": 0,
    "screen_height": 0,
    "viewport_width": 0,
    "viewport_height": 0,
    "is_bot": False,
    "value": "0",
    "properties": "{}",
    "traits": "{}",
    "context": "{}",
    "violations": [],
    "extra": "{}",
    "sample_rate": 1.0,
    "environment": "prod",
    "source_id": "shop",
    "visitor_id": "ann",
    "type": "page",
    "channel": "internal",
    "device_class": "desktop",
    "browser": "Firefox",
    "os": "Linux",
    "country": "DE",
}


def filled(event: Event) -> Event:
    """One event with every column of `events`. Raises KeyError when a key is no column."""
    row = dict.fromkeys(EVENT_COLUMNS, "") | _EMPTY | {key: value for key, value in event.items() if key != "at"}
    unknown = set(row) - set(EVENT_COLUMNS)
    if unknown:
        raise KeyError(f"no columns of events: {sorted(unknown)}")
    row["event_time"] = START_MS + event["at"]
    row["occurred_at"] = event.get("occurred_at", row["event_time"])
    row["received_at"] = event.get("received_at", row["event_time"] + NETWORK_MS)
    row["event"] = event.get("event", "page_view" if row["type"] == "page" else "")
    return row


def insert(store: Store, events: Sequence[Event], batch_id: str) -> None:
    """Insert filled events as one block, as the loader does."""
    rows = [event | {"batch_id": batch_id} for event in events]
    names = [*EVENT_COLUMNS, "batch_id"]
    store.insert("events", names, [[row[name] for row in rows] for name in names], token=batch_id)
