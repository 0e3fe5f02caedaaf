"""Refusals that stand although nobody can look at the value any more.

Personal data is handled also in events that are refused: of a text that was no address only the hash was kept, and a
hash breaks no rule. What was found wrong with such a value stands until the property is declared otherwise, or the plan
does something milder about it. What the property was then is in plan_versions.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import structs

from collector.hindsight.ask import Ask, rows
from collector.hindsight.failed import FailedEvent
from collector.plan import CompiledPlan
from collector.plan.lock import LockReader
from collector.plan.model import Action, EventPlan, Plan, Property
from collector.plan.problems import PlanError
from collector.plan.values import literal
from collector.reason import Reason
from collector.record import EventRow

PLANS_MAX = 16  # of which refused events are remembered; a plan of 1,000 events takes some 10 MB
_PROPERTIES = "/properties/"
_OF_VALUES = {reason.word: reason for reason in (Reason.WRONG_TYPE, Reason.CONSTRAINT, Reason.MISSING_REQUIRED)}


class Refusals:
    """What stands of the refusals by earlier plans, for one plan that judges anew."""

    def __init__(self, ask: Ask, plan: CompiledPlan) -> None:
        self._ask = ask
        self._plan = plan
        self._earlier: dict[str, Plan | None] = {}

    def standing(self, failed: FailedEvent, row: EventRow) -> str | None:
        """Why an event still fails that became `row` when it was judged anew; None if nothing stands."""
        check = self._plan.find(row.event, row.event_version)
        if check is None or not check.handlers:
            return None
        actions = check.policies.at(row.environment, failed.received_ms).actions
        for violation in failed.violations:
            word, _, pointer = violation.partition(":")
            reason = _OF_VALUES.get(word)
            if reason is None or not pointer.startswith(_PROPERTIES) or actions[reason] < Action.QUARANTINE:
                continue
            name = pointer[len(_PROPERTIES) :].partition("/")[0].replace("~1", "/").replace("~0", "~")
            if name in check.handlers and not self._changed(failed.plan_hash, check.event, name):
                return word
        return None

    def _changed(self, plan_hash: str, event: EventPlan, name: str) -> bool:
        """Was the property another when the event was refused? Of an unknown plan, it is taken for the same."""
        if plan_hash == self._plan.hash:
            return False
        earlier = self._plan_of(plan_hash)
        if earlier is None:
            return False
        newest = earlier.events.get(event.name)
        before = newest if newest is not None and newest.major == event.major else None
        before = before or earlier.history.get((event.name, event.major))
        return before is None or _declared(before, name) != _declared(event, name)

    def _plan_of(self, plan_hash: str) -> Plan | None:
        if plan_hash not in self._earlier:
            if len(self._earlier) >= PLANS_MAX:
                self._earlier.clear()
            self._earlier[plan_hash] = self._read(plan_hash)
        return self._earlier[plan_hash]

    def _read(self, plan_hash: str) -> Plan | None:
        query = f"SELECT plan FROM plan_versions WHERE hash = {literal(plan_hash)} LIMIT 1"
        for (lock,) in rows(self._ask, query, tuple[str]):
            try:
                return LockReader().decode(lock.encode(), Path("plan_versions"))
            except (PlanError, msgspec.MsgspecError):
                return None  # of a version of Footfall that wrote another form
        return None


def _declared(event: EventPlan, name: str) -> Property | None:
    """A property by its name or alias, without what only people read."""
    for prop in event.properties:
        if name == prop.name or name in prop.aliases:
            plain = structs.replace(prop.type, examples=())
            return Property(name=prop.name, type=plain, required=prop.required, aliases=prop.aliases)
    return None
