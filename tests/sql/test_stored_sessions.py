"""Stored sessions are what the view `sessions` says, after any batches in any order, on both engines."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from sql.events import Event, filled
from sql.events import insert as insert_events

from collector.database.sessions import StoredSessions
from collector.database.store import Store

HOUR_MS = 3_600_000


def insert(store: Store, events: list[Event], batch_id: str) -> None:
    """As the loader does: marks first."""
    pairs = sorted({(event["source_id"], event["visitor_id"]) for event in events})
    store.insert(
        "visitor_marks", ["source_id", "visitor_id"], [list(column) for column in zip(*pairs, strict=True)], ""
    )
    insert_events(store, events, batch_id)


def rows(store: Store, view: str) -> list[tuple[object, ...]]:
    columns = "* EXCEPT computed_at" if view == "stored_sessions" else "*"
    # In one form: the store keeps some texts as LowCardinality, which answers the same.
    return store.rows(f"SELECT {columns} FROM {store.database}.{view} ORDER BY source_id, visitor_id, session_number")


def batches(seed: int) -> list[list[Event]]:
    """Events of a few visitors over a day, in batches of no order: some twice, some joining visits, some bots'."""
    chance = random.Random(seed)
    events = [
        filled(
            {
                "at": chance.randrange(24 * HOUR_MS),
                "message_id": f"m{number}",
                "visitor_id": f"v{chance.randrange(12)}",
                "source_id": chance.choice(["shop", "shop", "blog"]),
                "user_id": chance.choice(["", "", "u1"]),
                "path": chance.choice(["/", "/pricing", "/p/1"]),
                "channel": chance.choice(["internal", "email", "", "direct"]),
                "utm_source": chance.choice(["", "newsletter"]),
                "type": "track" if number % 5 == 0 else "page",
                "event": "purchase" if number % 5 == 0 else "page_view",
                "conversion": "macro" if number % 5 == 0 else "",
                "value": str(number) if number % 5 == 0 else "0",
                "currency": chance.choice(["EUR", "USD"]) if number % 5 == 0 else "",
                "is_bot": number % 50 == 0,
            }
        )
        for number in range(300)
    ]
    events += [event | {"received_at": event["received_at"] + 5_000} for event in chance.sample(events, 20)]
    chance.shuffle(events)
    return [events[:150], events[150:151], events[151:]]


def test_after_every_batch_stored_sessions_are_what_sessions_says(store: Store) -> None:
    stored = StoredSessions()
    assert stored.refresh(store) == 0
    for number, batch in enumerate(batches(seed=7)):
        insert(store, batch, f"batch-{number}")
        assert rows(store, "stored_sessions") != rows(store, "sessions")
        assert stored.refresh(store) >= len({(event["source_id"], event["visitor_id"]) for event in batch})
        assert rows(store, "stored_sessions") == rows(store, "sessions") != []
    started_anew = StoredSessions()
    started_anew.refresh(store)
    assert rows(store, "stored_sessions") == rows(store, "sessions")


def test_parts_of_few_events_together_are_all(store: Store) -> None:
    batch = batches(seed=3)[0]
    insert(store, batch, "batch")
    visitors = len({(event["source_id"], event["visitor_id"]) for event in batch})
    assert StoredSessions(events_max=7).refresh(store) == visitors
    assert rows(store, "stored_sessions") == rows(store, "sessions") != []


def test_a_batch_whose_marks_are_seen_before_its_events_is_waited_for(store: Store) -> None:
    """The loader's thread says when none is under way; the clock alone would call the visitor computed."""
    marked, told = threading.Event(), threading.Event()
    asked: SimpleQueue[Callable[[], object]] = SimpleQueue()
    answers: SimpleQueue[Any] = SimpleQueue()
    batch = [filled({"at": 0, "message_id": "m", "visitor_id": "v"})]

    def load() -> None:
        store.insert("visitor_marks", ["source_id", "visitor_id"], [["shop"], ["v"]], "")
        marked.set()
        assert told.wait(60)
        insert_events(store, batch, "batch")
        answers.put(asked.get(timeout=60)())

    def between(ask: Callable[[], object]) -> Any:
        asked.put(ask)
        told.set()
        return answers.get(timeout=60)

    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load)
        assert marked.wait(60)
        stored = StoredSessions(insert_seconds=0, between=between)
        assert stored.refresh(store) == 1
        loading.result()
    assert rows(store, "stored_sessions") == rows(store, "sessions") != []


def test_who_was_marked_long_ago_is_not_computed_again_and_who_is_marked_now_is(store: Store) -> None:
    insert(store, [filled({"at": 0, "message_id": f"m{n}", "visitor_id": f"v{n}"}) for n in range(3)], "batch")
    careful, stored = StoredSessions(), StoredSessions(insert_seconds=0)
    assert careful.refresh(store) == 3
    assert careful.refresh(store) == 3, "an insert may still be under way whose marks are seen already"
    assert stored.refresh(store) == 3
    assert stored.refresh(store) == 0
    assert StoredSessions(insert_seconds=0).refresh(store) == 0
    insert(store, [filled({"at": HOUR_MS, "message_id": "late", "visitor_id": "v1"})], "late")
    assert stored.refresh(store) == 1
    assert len(rows(store, "stored_sessions")) == 4 == len(rows(store, "sessions"))


def test_what_retention_removed_leaves_the_stored_sessions_once_they_are_reconciled(store: Store) -> None:
    stored = StoredSessions(insert_seconds=0)
    insert(
        store, [filled({"at": n * HOUR_MS, "message_id": f"m{n}", "visitor_id": f"v{n % 3}"}) for n in range(6)], "b"
    )
    stored.refresh(store)
    stored.reconcile(store)
    assert stored.refresh(store) == 0
    gone = (
        f"ALTER TABLE {store.database}.events DELETE WHERE message_id IN ('m0', 'm1', 'm4') SETTINGS mutations_sync = 2"
    )
    store.command(gone)
    assert stored.refresh(store) == 0
    stored.reconcile(store)
    assert stored.refresh(store) == 2
    assert rows(store, "stored_sessions") == rows(store, "sessions")
    assert [row[1] for row in rows(store, "stored_sessions")] == ["v0", "v2", "v2"]
