"""Violations that stand although nobody can look at the value any more.

Personal data is handled in every event, refused ones included: of a text that was no address only the hash was kept,
and a hash breaks no rule. What was found wrong with such a value stands until the property is declared otherwise, or
the plan does something milder about it. What the property was then is in plan_versions: by the hash of the plan that
refused an event, and by the version of the plan that stored one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import structs

from collector.hindsight.ask import Ask, rows
from collector.hindsight.failed import FailedEvent
from collector.plan import CompiledPlan
from collector.plan.check import EventCheck
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
    """What stands of the verdicts by earlier plans, for one plan that judges anew."""

    def __init__(self, ask: Ask, plan: CompiledPlan) -> None:
        self._ask = ask
        self._plan = plan
        self._earlier: dict[str, Plan | None] = {}

    def standing(self, failed: FailedEvent, row: EventRow) -> str | None:
        """Why an event still fails that became `row` when it was judged anew; None if nothing stands."""
        check = self._plan.find(row.event, row.event_version)
        if check is None or not check.handlers:
            return None
        same = failed.plan_hash == self._plan.hash
        earlier = None if same else self._plan_where("hash", failed.plan_hash)
        actions = check.policies.at(row.environment, failed.received_ms).actions
        for word, reason in _unseen(failed.violations, check, earlier):
            if actions[reason] >= Action.QUARANTINE:
                return word.partition(":")[0]
        return None

    def listed(self, violations: Iterable[str], check: EventCheck | None, plan_version: str) -> dict[str, Reason]:
        """Of the violations stored with an event those that stand, and their class.

        Args:
            violations: `class:pointer`, as stored.
            check: What judges the event now; None where the plan does not know it.
            plan_version: Of the plan that stored it.
        """
        if check is None or not check.handlers:
            return {}
        return dict(_unseen(violations, check, self._plan_where("version", plan_version)))

    def _plan_where(self, column: str, value: str) -> Plan | None:
        key = f"{column} {value}"
        if key not in self._earlier:
            if len(self._earlier) >= PLANS_MAX:
                self._earlier.clear()
            self._earlier[key] = self._read(column, value)
        return self._earlier[key]

    def _read(self, column: str, value: str) -> Plan | None:
        query = f"SELECT plan FROM plan_versions WHERE {column} = {literal(value)} ORDER BY live_from DESC LIMIT 1"
        for (lock,) in rows(self._ask, query, tuple[str]):
            try:
                return LockReader().decode(lock.encode(), Path("plan_versions"))
            except (PlanError, msgspec.MsgspecError):
                return None  # of a version of Footfall that wrote another form
        return None


def _unseen(violations: Iterable[str], check: EventCheck, earlier: Plan | None) -> list[tuple[str, Reason]]:
    """Violations of values that were handled, by properties that are declared as they were.

    Of an unknown plan, the property is taken for the same.
    """
    found: list[tuple[str, Reason]] = []
    for violation in violations:
        word, _, pointer = violation.partition(":")
        reason = _OF_VALUES.get(word)
        if reason is None or not pointer.startswith(_PROPERTIES):
            continue
        name = pointer[len(_PROPERTIES) :].partition("/")[0].replace("~1", "/").replace("~0", "~")
        if name in check.handlers and not (earlier is not None and _changed(earlier, check.event, name)):
            found.append((violation, reason))
    return found


def _changed(earlier: Plan, event: EventPlan, name: str) -> bool:
    """Was the property another in that plan?"""
    newest = earlier.events.get(event.name)
    before = newest if newest is not None and newest.major == event.major else None
    before = before or earlier.history.get((event.name, event.major))
    return before is None or _declared(before, name) != _declared(event, name)


def _declared(event: EventPlan, name: str) -> Property | None:
    """A property by its name or alias, without what only people read."""
    for prop in event.properties:
        if name == prop.name or name in prop.aliases:
            plain = structs.replace(prop.type, examples=())
            return Property(name=prop.name, type=plain, required=prop.required, aliases=prop.aliases)
    return None
