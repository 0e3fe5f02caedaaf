"""Stored sessions: computed once for each visitor of whom events have arrived, and read from then on.

    loader --> visitor_marks --marked since computed_at?--> sessions (the view) --> visitor_sessions

Rows that retention or somebody's hand removed from events mark nobody. Once a day the visitors are marked whose stored
sessions do not hold as many events as there are.

The view `sessions` is what a session is; this module only keeps its answer. A visitor's row is replaced whole, because
a late event may join two sessions or split one. The loader marks the visitors of a batch before it inserts the events.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from collector.database.store import Store, StoreError
from collector.rounds import rounds

log = logging.getLogger("footfall.sessions")

# A mark is written before its events are, by another collector perhaps, and may be seen before them: so long an insert
# may take. Whoever was marked within it is computed once more.
INSERT_SECONDS_MAX = 60
# Where the loader says when its inserts are done: so far the database's clock may be set back.
CLOCK_SECONDS_MAX = 5
# Of the visitors computed in one statement, which takes about 1 kB of each; a visitor with more is computed alone.
EVENTS_MAX = 200_000
RETRY_SECONDS_MAX = 600.0
# It counts all events by visitor: seconds of CPU for ten millions. Not at the start, when there is a spool to load.
FIRST_RECONCILED_SECONDS = 3_600.0
RECONCILED_SECONDS = 86_400.0

_COLUMNS = (
    "session_number", "session_id", "user_id", "started_at", "ended_at", "duration_ms", "events", "pageviews",
    "page_paths", "entry_path", "exit_path", "referrer_host", "channel",
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
    "device_class", "browser", "os", "country",
    "conversions", "micro_conversions", "revenue", "revenue_currency", "is_bounce", "is_engaged",
)  # fmt: skip

# Visitors marked since their sessions were computed; marks before `since` have been dealt with.
_MARKED = """
    SELECT source_id, visitor_id
    FROM {database}.visitor_marks AS mark
    LEFT JOIN
    (
        SELECT source_id, visitor_id, max(computed_at) AS at
        FROM {database}.visitor_sessions
        WHERE {within}
        GROUP BY source_id, visitor_id
    ) AS computed USING (source_id, visitor_id)
    WHERE marked_at >= {{since:DateTime64(6, 'UTC')}} AND {within}
    GROUP BY source_id, visitor_id
    HAVING max(marked_at) >= max(computed.at)
"""

# The second condition follows from the first. Of one column, unlike of a pair, it is looked at before the other columns
# are read, of which then no granule without such a visitor is.
_OF_MARKED = """
    (source_id, visitor_id) IN (SELECT source_id, visitor_id FROM marked)
    AND visitor_id IN (SELECT visitor_id FROM marked)
"""

# The marked ones in the order of the tables' keys, cut where their events come to EVENTS_MAX: the last of each part.
_PARTS = """
    WITH marked AS ({marked})
    SELECT max((source_id, visitor_id)) AS last, count() AS visitors
    FROM
    (
        SELECT
            source_id,
            visitor_id,
            intDiv(sum(events) OVER (ORDER BY source_id, visitor_id ROWS UNBOUNDED PRECEDING), {events_max}) AS part
        FROM marked
        LEFT JOIN
        (
            SELECT source_id, visitor_id, count() AS events
            FROM {database}.events
            WHERE {of_marked}
            GROUP BY source_id, visitor_id
        ) AS counted USING (source_id, visitor_id)
    )
    GROUP BY part
    ORDER BY part
"""
_WITHIN = """
    (source_id, visitor_id) > ({after_source:String}, {after_visitor:String})
    AND (source_id, visitor_id) <= ({last_source:String}, {last_visitor:String})
"""

# Who has no sessions any more (their events were erased, or were a bot's) gets a row without any.
_REFRESH = """
    INSERT INTO {database}.visitor_sessions (source_id, visitor_id, computed_at, {targets})
    WITH marked AS ({marked})
    SELECT source_id, visitor_id, {{until:DateTime64(6, 'UTC')}}, {names}
    FROM marked
    LEFT JOIN
    (
        SELECT source_id, visitor_id, {arrays}
        FROM {database}.sessions
        WHERE {of_marked}
        GROUP BY source_id, visitor_id
    ) AS found USING (source_id, visitor_id)
    SETTINGS optimize_move_to_prewhere_if_final = 1
"""


_MARK_WRONG = """
    INSERT INTO {database}.visitor_marks (source_id, visitor_id)
    SELECT source_id, visitor_id
    FROM
    (
        SELECT source_id, visitor_id, count() AS there, 0 AS stored
        FROM {database}.human_events
        GROUP BY source_id, visitor_id
        UNION ALL
        SELECT source_id, visitor_id, 0 AS there, arraySum(visits.events) AS stored
        FROM {database}.visitor_sessions FINAL
    )
    GROUP BY source_id, visitor_id
    HAVING sum(there) != sum(stored)
    SETTINGS max_bytes_before_external_group_by = 500000000
"""


_Ask: TypeAlias = Callable[[], list[tuple[Any, ...]]]


class StoredSessions:
    """Keeps visitor_sessions up with the events. Not thread-safe."""

    def __init__(
        self,
        insert_seconds: int = INSERT_SECONDS_MAX,
        between: Callable[[_Ask], list[tuple[Any, ...]]] | None = None,
        events_max: int = EVENTS_MAX,
    ) -> None:
        """Nothing is known yet.

        Args:
            insert_seconds: So long an insert may take whose marks are seen already.
            between: Asks the database something while no batch is under way; None where other processes load, too.
            events_max: About how many events are read by one statement.
        """
        self._insert_seconds = insert_seconds
        self._events_max = events_max
        self._between = between or (lambda ask: ask())
        self._since = "1970-01-01 00:00:00"  # the first look is at all marks

    def refresh(self, store: Store) -> int:
        """Compute the sessions of the visitors that were marked; return how many these were.

        Raises:
            StoreError: what was computed before stays; the next refresh goes on.
        """
        # As text, for a DateTime64(6) has more digits than what the driver makes of a parameter.
        now = f"SELECT toString(now64(6, 'UTC') - toIntervalSecond({self._insert_seconds}))"
        ((until,),) = self._between(lambda: store.rows(now))
        all_marked = _MARKED.format(database=store.database, within="true")
        parts = store.rows(
            _PARTS.format(
                database=store.database, marked=all_marked, of_marked=_OF_MARKED, events_max=self._events_max
            ),
            {"since": self._since},
        )
        statement = _REFRESH.format(
            database=store.database,
            marked=_MARKED.format(database=store.database, within=_WITHIN),
            of_marked=_OF_MARKED,
            targets=", ".join(f"visits.{name}" for name in _COLUMNS),
            names=", ".join(f"found.{name}s" for name in _COLUMNS),
            arrays=", ".join(f"groupArray(sessions.{name}) AS {name}s" for name in _COLUMNS),
        )
        after_source = after_visitor = ""
        for (last_source, last_visitor), _ in parts:
            within = {
                "after_source": after_source,
                "after_visitor": after_visitor,
                "last_source": last_source,
                "last_visitor": last_visitor,
            }
            store.command(statement, {"since": self._since, "until": until, **within})
            after_source, after_visitor = last_source, last_visitor
        self._since = str(until)
        return sum(visitors for _, visitors in parts)

    def reconcile(self, store: Store) -> None:
        """Mark the visitors whose stored sessions hold more or fewer events than there are. Raises StoreError."""
        store.command(_MARK_WRONG.format(database=store.database))

    def run(self, store: Store, seconds: float, stop: threading.Event) -> None:
        """Refresh every so many seconds until `stop` is set; after a failure of the database ever more seldom."""
        due = time.monotonic() + FIRST_RECONCILED_SECONDS

        def look() -> None:
            nonlocal due
            if time.monotonic() >= due:
                self.reconcile(store)
                due = time.monotonic() + RECONCILED_SECONDS
            self.refresh(store)

        failing = "sessions cannot be stored"
        rounds(look, seconds, stop, log, failing, known=StoreError, seconds_max=RETRY_SECONDS_MAX)
