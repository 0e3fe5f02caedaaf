"""Events to infer a plan from: of each name at most the same number, spread over its visitors."""

from __future__ import annotations

from collector.hindsight.ask import Ask, rows, since
from collector.hindsight.trial import PLANNED
from collector.plan.infer import EVENTS_MAX, Seen
from collector.plan.values import literal

EVENTS_EACH = 20_000
PAGE_ROWS = 2_000
PAGE_BYTES = 16 * 1024 * 1024


def look(ask: Ask, from_ms: int, each: int = EVENTS_EACH) -> Seen:
    """Look at stored events.

    Args:
        ask: Answers questions to the database.
        from_ms: Received from that moment on.
        each: At most so many of one name, spread over its visitors.
    """
    seen = Seen()
    named = rows(
        ask,
        f"SELECT event, count() AS n, sum(length(properties)) FROM events WHERE {since(from_ms)} AND {PLANNED} "
        f"GROUP BY event ORDER BY n DESC, event LIMIT {EVENTS_MAX * 2}",
        tuple[str, int, int],
    )
    for event, count, size in named:
        seen.counts[event] = count
        if len(seen.events) >= EVENTS_MAX:
            seen.left_out.add(event)
            continue
        limit = max(min(PAGE_ROWS, PAGE_BYTES * count // max(size, 1)), 1)
        # A part of the hashes holds as many events as are wanted; within it they are read a page at a time.
        parts = max(count // each, 1)
        where = f"event = {literal(event)} AND {since(from_ms)} AND {PLANNED}"
        key, after = "cityHash64(visitor_id, message_id)", ""
        if parts > 1:
            where += f" AND {key} % {parts} = 0"
        while True:
            page = rows(
                ask,
                f"SELECT {key} AS k, properties FROM events WHERE {where}{after} ORDER BY k LIMIT {limit}",
                tuple[int, str],
            )
            for _, properties in page:
                seen.look(event, properties)
            if len(page) < limit:
                break
            after = f" AND {key} > {page[-1][0]}"
    return seen
