"""What stored events say of a change of the plan, to commands that may have to do without a database.

It is asked where it can be reached. Where it cannot, that is said in one line: nobody should take silence for a yes.
"""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from collector.cli.plan.reading import DAY_MS, UNREACHABLE, Session, reading
from collector.ingest.clock import now_ms
from collector.plan.changes import WHOLE_PLAN, Changes

if TYPE_CHECKING:
    from collector.config import Settings
    from collector.hindsight.trial import Trial
    from collector.plan.compat import Seen
    from collector.plan.model import Plan

SEEN_DAYS = 30  # how far to look back for names that were sent before they were planned
SIMULATED_DAYS = 7  # a week has every day of the week

# Rules by which stored data may refuse a change, and rules whose effect only stored data shows.
_NAMED = frozenset({"PROPERTY_ADDED", "ALIAS_ADDED"})
_SIMULATED = frozenset({"SAMPLING_CHANGED", "ENFORCEMENT_CHANGED"})
# Rules of changes that may refuse what was stored until now without touching a type. A new event may have been sent
# before: then it was stored, whatever it held, and is held against a plan from now on. What ends may still be sent.
_ENDING = frozenset({"EVENT_REMOVED", "ACCEPT_REMOVED", "ACCEPT_ENDED", "SUNSET_BROUGHT_FORWARD",
                     "UNTIL_BROUGHT_FORWARD"})  # fmt: skip
_TRIED = _SIMULATED | _ENDING | {"EVENT_ADDED"}
_REFUSED = ("dropped", "quarantined")
_SAID_MAX = 3  # cases in one sentence


def seen_in(session: Session | None, days: int = SEEN_DAYS) -> Seen | None:
    """Unplanned names of the last days and their types; None without a database."""
    from collector.hindsight.unplanned import seen_kinds

    return None if session is None else seen_kinds(session.ask, now_ms() - days * DAY_MS)


def not_asked(changes: Changes, seen: Seen | None, why: str = "") -> list[str]:
    """The line that stored data was not asked about new names; nothing where there are none, or it was."""
    if seen is not None or not any(finding.rule in _NAMED for finding in changes.findings):
        return []
    return [
        f"stored data was not asked{f' ({why})' if why else ''} whether new names were already sent with another type; "
        f"`footfall plan diff --days {SEEN_DAYS}` with the --data or --config of a collector asks it"
    ]


class Stored:
    """The database as a release asks it (collector.plan.release.Stored). A context: the database is opened when needed.

    `said` are lines for the user.
    """

    def __init__(self, settings: Settings, *, unsimulated: bool, rejecting: bool = False) -> None:
        """With `unsimulated` the user takes a change on without knowing what it does to events, with `rejecting`
        although it refuses some that were stored until now."""
        self.said: list[str] = []
        self._settings = settings
        self._unsimulated = unsimulated
        self._rejecting = rejecting
        self._stack = contextlib.ExitStack()
        self._session: Session | None = None
        self._why = ""

    def __enter__(self) -> Stored:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _asked(self) -> Session | None:
        if self._session is None and not self._why:
            try:
                self._session = self._stack.enter_context(reading(self._settings, "footfall plan release"))
            except UNREACHABLE as error:
                self._why = str(error)
        return self._session

    def seen(self) -> Seen | None:
        """Unplanned names that were sent; None without a database."""
        return seen_in(self._asked())

    def objection(self, old: Plan, plan: Plan, changes: Changes) -> str:
        """Why this plan must not be released, in one sentence; empty where nothing speaks against it."""
        session = self._asked()
        self.said += not_asked(changes, {} if session is not None else None, self._why)
        simulated = {finding.event for finding in changes.findings if finding.rule in _SIMULATED}
        if session is None:
            if not simulated or self._unsimulated:
                return ""
            return (
                "another sample or another enforcement needs a simulation, and no stored events can be asked "
                f"({self._why}); name a collector with --data or --config, or release with --unsimulated"
            )
        if problem := _taken(session, plan):
            return problem
        if self._unsimulated:
            return ""
        said, problem = judged(session, self._settings, old, plan, changes)
        self.said += said
        return "" if self._rejecting else problem


def judged(session: Session, settings: Settings, old: Plan, plan: Plan, changes: Changes) -> tuple[list[str], str]:
    """What another sample, another enforcement, a new event or an end does to the events of the last SIMULATED_DAYS.

    Returns:
        Lines that show it; and one sentence when events would be refused that `old` stores, else nothing. A rule with a
        date still to come refuses nothing yet.
    """
    from collector.hindsight.trial_text import as_text, headline, in_order

    events = {finding.event for finding in changes.findings if finding.rule in _TRIED}
    if not events:
        return [], ""
    trial = _tried(session, settings, plan, events)
    if not trial.cases and not any(finding.rule in _SIMULATED for finding in changes.findings):
        return [], ""  # nothing was sent under the new names, or of what ends
    lines = as_text(trial, SIMULATED_DAYS, f"{plan.name} {changes.plan.next}")
    refused = trial.by_event(_REFUSED)
    if not refused:
        return lines, ""
    before = _tried(session, settings, old, events).by_event(_REFUSED)
    more = {name for name, count in refused.items() if count > before.get(name, 0)}
    cases = [case for case in in_order(trial) if case.change in _REFUSED and (case.event, case.version) in more]
    if not cases:
        return lines, ""
    said = ", ".join(headline(case) for case in cases[:_SAID_MAX])
    left = f" and {len(cases) - _SAID_MAX} more" if len(cases) > _SAID_MAX else ""
    return lines, (
        f"the change {said}{left}, of what was stored in the last {SIMULATED_DAYS} days; mend the plan or its senders, "
        "let the stricter rule begin on a day (`from:`), or take that on with --rejecting"
    )


def _tried(session: Session, settings: Settings, plan: Plan, events: set[str]) -> Trial:
    from collector.hindsight.failed import tools_for
    from collector.hindsight.trial import Span, try_plan
    from collector.plan import compile_plan

    now = now_ms()
    span = Span(now - SIMULATED_DAYS * DAY_MS, next(iter(events)) if len(events) == 1 else "")
    trial = try_plan(session.ask, plan, tools_for(compile_plan(plan), Path(settings.data)), span, now)
    return trial if WHOLE_PLAN in events else trial.of(events)


def _taken(session: Session, plan: Plan) -> str:
    """What is wrong where another plan was live under this version: two branches were released on their own."""
    from collector.hindsight.live import live_under

    since_ms = live_under(session.ask, plan.name, plan.version, plan.hash)
    if since_ms is None:
        return ""
    since = datetime.datetime.fromtimestamp(since_ms / 1000, datetime.UTC)
    return (
        f"{plan.name} {plan.version} went live on {since:%Y-%m-%d %H:%M} UTC with other content; take the plan.lock of "
        "that release from version control and release on top of it, or ask for a new major in plan.yaml"
    )
