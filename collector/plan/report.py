"""A plan's own tests: does the compiled plan say of each document what its editor expects?"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from collector.plan.check import CompiledPlan
from collector.plan.load import load_plan
from collector.plan.model import EventPlan, EventTest, Plan
from collector.plan.problems import PlanError


class Report(Struct, frozen=True):
    """What a check of a plan's folder found. `errors` are lines `file:line:column: sentence`; none when all is well."""

    events: int
    tests: int
    errors: list[str]


class Outcome(Struct, frozen=True):
    """One test of one event; `failure` is one sentence, empty when the plan says what the test expects."""

    event: EventPlan
    test: EventTest
    failure: str


def run_tests(plan: Plan) -> list[Outcome]:
    """Run the tests of every event and of every older major that is accepted, in the order of the plan."""
    compiled = CompiledPlan(plan)
    events = [*plan.events.values(), *plan.history.values()]
    return [Outcome(event, test, _failure(compiled, event, test)) for event in events for test in event.tests]


def check_report(folder: Path) -> Report:
    """Load the plan in `folder`, run every event's tests, and report. Never raises for a faulty plan."""
    try:
        plan = load_plan(folder)
    except PlanError as error:
        return Report(0, 0, str(error).splitlines())
    outcomes = run_tests(plan)
    errors = [f"{one.test.mark}: {one.failure}" for one in outcomes if one.failure]
    return Report(len(plan.events), len(outcomes), errors)


def check_plan(folder: Path) -> list[str]:
    """The errors of `check_report`: mistakes of the plan, or else its tests that fail."""
    return check_report(folder).errors


def _failure(plan: CompiledPlan, event: EventPlan, test: EventTest) -> str:
    """One sentence when the plan's verdict is not what the test expects, else nothing."""
    checked = plan.check(event.name, event.major, msgspec.json.encode(test.document))
    found = {(violation.reason.word, violation.pointer) for violation in checked.violations}
    if found == test.violates:
        return ""
    fixes = "; ".join(violation.fix for violation in checked.violations)
    if not test.violates:
        return f"this test of {event.name} should be valid, but {fixes}"
    expected = ", ".join(f"{word} at {pointer}" for word, pointer in sorted(test.violates))
    return f"this test of {event.name} should violate {expected}, but " + (fixes or "it is valid")
