"""What the views must answer, computed in plain Python from the definitions in their headers, not from their SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import xxhash

Row = dict[str, Any]

GAP_MS = 1_800_000
ENGAGED_MS = 10_000
NO_ACTION = {"identify", "group", "alias"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def expected(events: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each view, without session ids, for filled events (tests/sql/events.py) in any order."""
    kept = people(events)
    answers: dict[str, list[Row]] = defaultdict(list)
    moves: Counter[tuple[str, str, str]] = Counter()
    sessions_with: dict[tuple[str, str, str], set[tuple[Any, ...]]] = defaultdict(set)
    for (source, visitor), history in by_visitor(kept).items():
        answers["visitors"].append(_visitor(source, visitor, history))
        for number, visit in enumerate(cut(history), start=1):
            key: Row = {"source_id": source, "visitor_id": visitor, "session_number": number}
            session = key | _session(visit)
            views = [event for event in visit if event["event"] == "page_view"]
            pages = [event["path"] for event in views]
            answers["sessions"].append(session)
            answers["paths"].append(
                key
                | {
                    "started_at": session["started_at"],
                    "steps": [page for i, page in enumerate(pages) if i == 0 or pages[i - 1] != page],
                    "converted": session["conversions"] > 0,
                    "revenue": session["revenue"],
                }
            )
            answers["session_events"] += [key | row for row in _places(visit)]
            answers["pageviews"] += [key | row for row in _pageviews(views, visit)]
            if pages:
                for pair in zip(["(entrance)", *pages], [*pages, "(exit)"], strict=True):
                    moves[source, *pair] += 1
                    sessions_with[source, *pair].add((visitor, number))
    leaving: Counter[tuple[str, str]] = Counter()
    for (source, page, _), count in moves.items():
        leaving[source, page] += count
    for (source, page, following), count in moves.items():
        answers["transitions"].append(
            {
                "source_id": source,
                "from": page,
                "to": following,
                "count": count,
                "sessions": len(sessions_with[source, page, following]),
                "share": count / leaving[source, page],
            }
        )
    return answers


def people(events: Iterable[Row]) -> list[Row]:
    """What human_events holds: of copies the newest, and no bots."""
    newest: dict[tuple[Any, ...], Row] = {}
    for event in events:
        key = (event["source_id"], event["visitor_id"], event["occurred_at"], event["message_id"])
        if key not in newest or event["received_at"] >= newest[key]["received_at"]:
            newest[key] = event
    return [event for event in newest.values() if not event["is_bot"]]


def moment(event: Row) -> tuple[int, int, int]:
    """What orders a visitor's events: human_events.moment, in its parts."""
    return (event["event_time"], event["sequence"], xxhash.xxh64_intdigest(event["message_id"].encode()) >> 17)


def by_visitor(events: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """The events of each (source_id, visitor_id) in the order of their sessions."""
    visitors: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for event in sorted(events, key=moment):
        visitors[event["source_id"], event["visitor_id"]].append(event)
    return visitors


def cut(history: list[Row]) -> list[list[Row]]:
    """The sessions of a visitor's events."""
    visits = [[history[0]]]
    for before, event in pairwise(history):
        if event["event_time"] - before["event_time"] > GAP_MS:
            visits.append([])
        visits[-1].append(event)
    return visits


def _visitor(source: str, visitor: str, history: list[Row]) -> Row:
    users = [event for event in history if event["user_id"]]
    user = max(((e["event_time"], e["sequence"], e["message_id"], e["user_id"]) for e in users), default=("",))[-1]
    return {
        "source_id": source,
        "visitor_id": visitor,
        "user_id": user,
        "person_id": f"user:{user}" if user else f"visitor:{visitor}",
        "first_seen_at": _time(history[0]["event_time"]),
        "last_seen_at": _time(history[-1]["event_time"]),
        "events": len(history),
    }


def _session(visit: list[Row]) -> Row:
    first, last = visit[0], visit[-1]
    pages = [event["path"] for event in visit if event["event"] == "page_view"]
    outside = next((event for event in visit if event["channel"] not in ("", "internal")), None)
    landing = outside or first
    macro = [event for event in visit if event["conversion"] == "macro"]
    micro = [event for event in visit if event["conversion"] == "micro"]
    currencies = {event["currency"] for event in macro}
    duration_ms = last["event_time"] - first["event_time"]
    return {
        "user_id": next((event["user_id"] for event in reversed(visit) if event["user_id"]), ""),
        "started_at": _time(first["event_time"]),
        "ended_at": _time(last["event_time"]),
        "duration_ms": duration_ms,
        "events": len(visit),
        "pageviews": len(pages),
        "page_paths": pages,
        "entry_path": pages[0] if pages else first["path"],
        "exit_path": pages[-1] if pages else last["path"],
        "referrer_host": landing["referrer_host"],
        "channel": outside["channel"] if outside else "direct",
        **{name: landing[name] for name in ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")},
        **{name: first[name] for name in ("device_class", "browser", "os", "country")},
        "conversions": len(macro),
        "micro_conversions": len(micro),
        "revenue": sum((Decimal(event["value"]) for event in macro), Decimal(0)),
        "revenue_currency": "mixed" if len(currencies) > 1 else "".join(currencies),
        "is_bounce": len(pages) == 1 and sum(event["type"] not in NO_ACTION for event in visit) == 1,
        "is_engaged": duration_ms >= ENGAGED_MS or len(pages) >= 2 or bool(macro or micro),
    }


def _places(visit: list[Row]) -> list[Row]:
    times = [None, *(_time(event["event_time"]) for event in visit), None]
    return [
        {
            "session_started_at": times[1],
            "position": position,
            "message_id": event["message_id"],
            "event": event["event"],
            "event_time": times[position],
            "previous_event_time": times[position - 1],
            "next_event_time": times[position + 1],
        }
        for position, event in enumerate(visit, start=1)
    ]


def _pageviews(views: list[Row], visit: list[Row]) -> list[Row]:
    rows = []
    for i, view in enumerate(views):
        before = views[i - 1] if i > 0 else None
        after = views[i + 1] if i + 1 < len(views) else None
        rows.append(
            {
                "session_started_at": _time(visit[0]["event_time"]),
                "message_id": view["message_id"],
                "user_id": view["user_id"],
                "event_time": _time(view["event_time"]),
                "path": view["path"],
                "position": i + 1,
                "previous_path": before and before["path"],
                "next_path": after and after["path"],
                "is_entry": before is None,
                "is_exit": after is None,
                "time_on_page_ms": after and after["event_time"] - view["event_time"],
            }
        )
    return rows


def _time(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)
