"""Failed events that a plan accepts by now are stored, once.

    failed_events --again--> accepted? --look up--> not stored yet? --Replayer--> spool --loader--> events

That an event is stored is the record of its replay; there is no second one which could disagree. So a replay that was
killed is simply run again: what had arrived is found by its id, along the sort key of events, and what was on its way
in the spool is recognized by the loader as the duplicate it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from collector.hindsight.ask import Ask, in_parts, rows
from collector.hindsight.failed import PAGE_ROWS, FailedEvent, Wanted, again, pages
from collector.hindsight.refusals import Refusals
from collector.hindsight.segment import Replayer
from collector.ingest.pipeline import Tools
from collector.plan.values import literal
from collector.record import EventRow

# Ids of this run, so that an event which was refused twice counts once; of more, the loader tells them apart.
SEEN_MAX = 1_000_000


class Tally(Struct):
    """What became of the failed events of one name and reason. `failed` is the sum of the others.

    `stored` were there already: replayed before, or sent again and accepted.
    """

    event: str
    reason: str
    failed: int = 0
    replayed: int = 0
    stored: int = 0
    dropped: int = 0
    still_failing: int = 0
    still: dict[str, int] = field(default_factory=dict)  # how many by the reason for which they fail now


class Replayed(Struct):
    """The outcome of a replay, by event and reason."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def of(self, failed: FailedEvent) -> Tally:
        """The tally of an event's name and reason."""
        name = failed.name or failed.event
        key = (name, failed.reason)
        return self.tallies.setdefault(key, Tally(name, failed.reason))

    def total(self, word: str) -> int:
        """The sum of one field."""
        return sum(getattr(tally, word) for tally in self.tallies.values())


def replay(ask: Ask, tools: Tools, wanted: Wanted, into: Replayer | None, page_rows: int = PAGE_ROWS) -> Replayed:
    """Judge failed events anew and hand those that are accepted to the spool.

    Args:
        ask: Answers questions to the database.
        tools: With the plan to judge by.
        wanted: Which failed events.
        into: Takes the rows; None to only say what would be done. The caller seals it.
        page_rows: Failed events in memory at a time.
    """
    done = Replayed()
    seen: set[int] = set()
    refusals = Refusals(ask, tools.plan)
    for page in pages(ask, wanted, page_rows):
        accepted: list[tuple[FailedEvent, EventRow]] = []
        for failed in page:
            tally = done.of(failed)
            tally.failed += 1
            retried = again(failed, tools)
            if retried is not None and retried.row is not None:
                if reason := refusals.standing(failed, retried.row):
                    tally.still_failing += 1
                    tally.still[reason] = tally.still.get(reason, 0) + 1
                else:
                    accepted.append((failed, retried.row))
            elif retried is not None and retried.outcome.dropped:
                tally.dropped += 1
            else:
                tally.still_failing += 1
                found = retried.outcome.rejected if retried is not None else []
                reason = found[0].reason if found else failed.reason
                tally.still[reason] = tally.still.get(reason, 0) + 1
        there = stored(ask, [row for _, row in accepted])
        for failed, row in accepted:
            tally = done.of(failed)
            key = hash((row.source_id, row.message_id))
            if (row.source_id, row.message_id) in there or key in seen:
                tally.stored += 1
                continue
            if len(seen) < SEEN_MAX:
                seen.add(key)
            tally.replayed += 1
            if into is not None:
                into.add(row)
    return done


def stored(ask: Ask, events: Iterable[EventRow]) -> set[tuple[str, str]]:
    """Source and id of those of these rows whose event is in the database: a look-up along the sort key."""
    found: set[tuple[str, str]] = set()
    quoted = [(literal(row.source_id), literal(row.visitor_id), literal(row.message_id)) for row in events]
    for part in in_parts(quoted):
        visitors = ",".join(sorted({f"({source},{visitor})" for source, visitor, _ in part}))
        ids = ",".join(message_id for _, _, message_id in part)
        found.update(
            rows(
                ask,
                f"SELECT source_id, message_id FROM events "
                f"WHERE (source_id, visitor_id) IN ({visitors}) AND message_id IN ({ids})",
                tuple[str, str],
            )
        )
    return found
