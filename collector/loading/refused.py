"""Events that the database itself refuses: somebody gave a table a constraint, or a column another type.

    refused event --failed_rows--> failed_events, with the database's sentence; a replay brings it back
    refused there too --set_aside--> load/refused/BATCH.json, for whoever looks after the database

Without this one such event would stop the loader for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from collector.loading.ledger import write_durably
from collector.record import FAILED_COLUMNS

REASON = "refused_by_database"  # the word in failed_events.reason
FOLDER = "refused"
_FIX = "the database refuses this event ({}); correct the table's constraint or column, then replay it"
_SENTENCE_CHARS_MAX = 1_000  # a constraint's sentence quotes the row's values
_AS_FAILED = ("message_id", "type", "source_id", "visitor_id", "user_id", "sent_at", "received_at", "country",
              "plan_version", "context", "environment")  # fmt: skip


def failed_rows(events: Sequence[Mapping[str, Any]], sentences: Sequence[str]) -> list[list[object]]:
    """Refused events as rows of FAILED_COLUMNS.

    Args:
        events: Values by column, times in milliseconds.
        sentences: The database's own, one for each.
    """
    rows: list[list[object]] = []
    for event, sentence in zip(events, sentences, strict=True):
        values: dict[str, object] = dict.fromkeys(FAILED_COLUMNS, "")
        values |= {name: event[name] for name in _AS_FAILED}
        values |= {
            "event": event["event_original"] or event["event"],
            "reason": REASON,
            "fix": _FIX.format(sentence[:_SENTENCE_CHARS_MAX]),
            "violations": [*event["violations"], f"{REASON}:"],
            "raw": _as_sent(event),
        }
        rows.append([values[name] for name in FAILED_COLUMNS])
    return rows


def _as_sent(event: Mapping[str, Any]) -> str:
    """The event as a client would have sent it, so that a replay can judge it again."""
    sent: dict[str, object] = {
        "type": event["type"],
        "messageId": event["message_id"],
        "anonymousId": event["visitor_id"],
        "timestamp": datetime.fromtimestamp(event["occurred_at"] / 1_000, UTC).isoformat(timespec="milliseconds"),
    }
    sent |= {
        name: event[column]
        for name, column in (
            ("userId", "user_id"),
            ("groupId", "group_id"),
            ("previousId", "previous_id"),
            ("sequence", "sequence"),
        )
        if event[column]
    }
    if event["event_original"]:
        version = f"@{event['event_version']}" if event["type"] == "track" and event["event_version"] else ""
        sent["event" if event["type"] == "track" else "name"] = f"{event['event_original']}{version}"
    sent |= {
        name: msgspec.Raw(event[name].encode()) for name in ("properties", "traits", "context") if event[name] != "{}"
    }
    return msgspec.json.encode(sent).decode()


def set_aside(folder: Path, batch_id: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Keep rejected events that failed_events would not take. Written twice it is the same file. Raises OSError."""
    kept = folder / FOLDER
    kept.mkdir(exist_ok=True)
    write_durably(kept / f"{batch_id}.json", msgspec.json.encode(rows))
