"""What the tests of the loader share: rows in a spool, and what the database must hold of them afterwards."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from collector.database.store import Store
from collector.ingest.packed import (
    FORM,
    FORM_BEFORE,
    OWN_COLUMNS,
    PAGE_COLUMNS,
    PAGE_COLUMNS_BEFORE,
    SENDER_COLUMNS,
    SENDER_COLUMNS_BEFORE,
    Packed,
    Part,
    encode_packed,
)
from collector.loading.ledger import read_positions
from collector.loading.load import Loader
from collector.record import EventRow, FailedRow, Rows, encode_rows
from collector.spooling.spool import SEGMENT_MAGIC, frame, segments

# A fixed moment: the clock is an argument everywhere.
NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def event(
    message_id: str,
    *,
    received_ms: int = NOW_MS,
    event_ms: int | None = None,
    occurred_ms: int | None = None,
    sent_ms: int | None = None,
    source_id: str = "shop",
    visitor_id: str = "visitor",
) -> EventRow:
    """One accepted event. By default it happened a second before it arrived, by a clock that is right."""
    values: dict[str, object] = dict.fromkeys(EventRow.__struct_fields__, "")
    values |= dict.fromkeys(("event_version", "sequence", "asn"), 0)
    values |= dict.fromkeys(("screen_width", "screen_height", "viewport_width", "viewport_height"), 0)
    happened_ms = received_ms - 1_000 if occurred_ms is None else occurred_ms
    values |= {
        "message_id": message_id,
        "type": "track",
        "event": "clicked",
        "source_id": source_id,
        "visitor_id": visitor_id,
        "event_time": happened_ms if event_ms is None else event_ms,
        "occurred_at": happened_ms,
        "sent_at": received_ms if sent_ms is None else sent_ms,
        "received_at": received_ms,
        "is_bot": False,
        "value": "0",
        "properties": properties_of(message_id),
        "traits": "{}",
        "context": "{}",
        "violations": [],
        "extra": "{}",
        "sample_rate": 1.0,
        "environment": "prod",
    }
    return EventRow(**values)  # type: ignore[arg-type]  # the fields by name, each with its own type


def properties_of(message_id: str) -> str:
    """Properties that belong to one message id and to no other."""
    return json.dumps({"of": message_id, "text": "é" * (len(message_id) % 7)}, ensure_ascii=False)


def failed(message_id: str, *, received_ms: int = NOW_MS, reason: str = "wrong_type") -> FailedRow:
    """One rejected event."""
    values: dict[str, object] = dict.fromkeys(FailedRow.__struct_fields__, "")
    values |= {
        "message_id": message_id,
        "source_id": "shop",
        "sent_at": None,
        "received_at": received_ms,
        "reason": reason,
        "violations": [],
        "context": "{}",
        "raw": properties_of(message_id),
    }
    return FailedRow(**values)  # type: ignore[arg-type]  # as above


def packed_of(events: Sequence[EventRow], rejected: Sequence[FailedRow] = ()) -> Packed:
    """Rows as a worker packs them."""
    senders, pages = (
        list(dict.fromkeys(tuple(getattr(row, name) for name in names) for row in events))
        for names in (SENDER_COLUMNS, PAGE_COLUMNS)
    )
    own = [
        (
            senders.index(tuple(getattr(row, name) for name in SENDER_COLUMNS)),
            pages.index(tuple(getattr(row, name) for name in PAGE_COLUMNS)),
            *(getattr(row, name) for name in OWN_COLUMNS),
        )
        for row in events
    ]
    return Packed(FORM, senders, pages, own, list(rejected))


def record(events: Sequence[EventRow] = (), rejected: Sequence[FailedRow] = (), dropped: int = 0) -> bytes:
    """What one request leaves in the spool."""
    return frame(encode_packed(packed_of(events, rejected)), len(events), len(rejected), dropped)


def counted(message_id: str, *, path: str = "/a", received_ms: int = NOW_MS, is_bot: Any = False) -> Part:
    """One event that is only counted."""
    return (message_id, "shop", received_ms, "prod", "page_view", "shop.example", path, is_bot, "gpc")


def counting(*rows: Part, events: Sequence[EventRow] = ()) -> bytes:
    """What a request leaves in the spool of which some events are only counted."""
    return frame(encode_packed(packed_of(events), list(rows)), len(rows) + len(events), 0)


def record_of_form_2(events: Sequence[EventRow]) -> bytes:
    """The same as the version before wrote it, which had fewer columns."""
    packed = [
        FORM_BEFORE,
        [tuple(getattr(row, name) for name in SENDER_COLUMNS_BEFORE) for row in events],
        [tuple(getattr(row, name) for name in PAGE_COLUMNS_BEFORE) for row in events],
        [(at, at, *(getattr(row, name) for name in OWN_COLUMNS)) for at, row in enumerate(events)],
        [],
    ]
    return msgspec.msgpack.encode(packed)


def whole_record(events: Sequence[EventRow] = (), rejected: Sequence[FailedRow] = ()) -> bytes:
    """The same with its rows written out, as the versions before wrote it and a replay does."""
    return frame(encode_rows(Rows(list(events), list(rejected))), len(events), len(rejected), 0)


@dataclass
class Data:
    """A data directory with a spool, written as workers write it, and the clock of its loader."""

    folder: Path
    now_ms: int = NOW_MS
    _written: int = 0
    _open: list[int] = field(default_factory=list)

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def segment(self, *records: bytes, owner: str = "worker-0", live: bool = False) -> Path:
        """Write a segment; a live one stays locked by us, as by a worker."""
        self.spool.mkdir(parents=True, exist_ok=True)
        self._written += 1
        path = self.spool / f"{owner}-{self._written:013d}-00000000.segment"
        path.write_bytes(SEGMENT_MAGIC + b"".join(records))
        if live:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._open.append(descriptor)
        return path

    def append(self, *records: bytes) -> None:
        """Add to the live segment that was begun last."""
        os.write(self._open[-1], b"".join(records))

    def end_writers(self) -> None:
        """All workers die."""
        while self._open:
            os.close(self._open.pop())

    def loader(self, store: Store, kind: type[Loader] = Loader, rows_max: int = 50_000) -> Loader:
        """A loader as a new store process starts it, not yet recovered."""
        return kind(self.folder, store, lambda: self.now_ms, rows_max=rows_max, interval_ms=0)

    def load(self, store: Store, rows_max: int = 50_000) -> Loader:
        """Start a loader and load all there is."""
        loader = self.loader(store, rows_max=rows_max)
        loader.recover()
        load_all(loader)
        return loader


def load_all(loader: Loader) -> None:
    """Step until there is nothing left, and once more to tidy."""
    while loader.step(wait=False):
        pass


def never_merge(store: Store) -> None:
    """Keep duplicates visible: without merges no ReplacingMergeTree folds them."""
    store.command(f"SYSTEM STOP MERGES {store.database}.events")


def assert_exactly_once(
    store: Store, data: Data, message_ids: Iterable[str], rejected_ids: Iterable[str] = (), deduplicated: int = 0
) -> None:
    """Each id is stored once, with its own content; nothing else is; the ledger adds up and nothing is left over."""
    expected, expected_failed = Counter(message_ids), Counter(rejected_ids)
    assert set(expected.values()) <= {1}
    assert set(expected_failed.values()) <= {1}
    rows = store.rows(f"SELECT message_id, properties FROM {store.database}.events")
    assert Counter(message_id for message_id, _ in rows) == expected
    assert all(properties == properties_of(message_id) for message_id, properties in rows)
    rows = store.rows(f"SELECT message_id, raw FROM {store.database}.failed_events")
    assert Counter(message_id for message_id, _ in rows) == expected_failed
    assert all(raw == properties_of(message_id) for message_id, raw in rows)
    ledger = read_positions(data.folder).ledger
    assert ledger.stored == len(expected)
    assert ledger.rejected == len(expected_failed)
    assert ledger.deduplicated == deduplicated
    assert ledger.received == ledger.stored + ledger.rejected + ledger.deduplicated + ledger.dropped
    assert segments(data.spool) == []
