"""What does comparing two plans cost?

Question    Time of compare(old, new) for a plan of 1,000 events of 20 properties: nothing changed, one event edited, a
            group edited that every event uses, each event edited at a place of its own, and every property of every
            event edited twice (its words and its type), in a plan in which no two properties are alike.
Budget      100 ms, on an idle core.
Method      Two sealed plans that share nothing in memory, as those of two locks do; 9 repetitions after a warm-up, CPU
            time (process_time_ns), median and spread. Beside it, in turn, json.loads of its plan.lock: a floor for
            anything that reads a plan at all, and by how much the machine is slowed by others.
Run         python -m benchmarks.plan_diff            about 15 s
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from benchmarks.table import head, row, spread
from collector.plan.compat import compare
from collector.plan.lock import lock_bytes, sealed
from collector.plan.model import DEFAULT_ACTIONS, PROD, EventPlan, Plan, Property, Rule, Type

EVENTS = 1_000
PROPERTIES = 20
REPETITIONS = 9
BUDGET = "100 ms"

_KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "string", "max_length": 64},
    {"kind": "string", "enum": ("home", "product", "cart")},
    {"kind": "integer", "minimum": 0, "maximum": 100_000},
    {"kind": "decimal", "minimum": 0},
    {"kind": "boolean"},
)


def plan_of(edit: Callable[[int, int, Property], Property]) -> Plan:
    """A plan built anew; `edit` may change a property, given the numbers of its event and its own."""
    rules = {PROD: {reason: Rule(action=action) for reason, action in DEFAULT_ACTIONS.items()}}
    events = {
        name: EventPlan(
            name=name,
            version="1.0.0",
            major=1,
            rules={PROD: dict(rules[PROD])},
            description=f"The {name} event.",
            properties=tuple(
                edit(number, index, Property(name=f"property_{index}", type=_kind(index), required=index % 5 == 0))
                for index in range(PROPERTIES)
            ),
        )
        for number in range(EVENTS)
        for name in [f"event_{number}"]
    }
    return sealed(Plan(name="large", version="1.0.0", events=events, history={}, rules=rules))


def _kind(index: int) -> Type:
    kind = Type(**_KINDS[index % len(_KINDS)])
    if index % 10 == 9:
        return Type(kind="array", max_items=50, items=Type(kind="object", properties=(Property(name="x", type=kind),)))
    return kind


def _same(number: int, index: int, prop: Property) -> Property:
    del number, index
    return prop


def _one(number: int, index: int, prop: Property) -> Property:
    return replace(prop, required=True) if (number, index) == (500, 1) else prop


def _group(number: int, index: int, prop: Property) -> Property:
    del number
    return replace(prop, description="One group's words.", required=True) if index == 1 else prop


def _one_each(number: int, index: int, prop: Property) -> Property:
    prop = _apart(number, index, prop)
    return replace(prop, required=not prop.required) if index == number % PROPERTIES else prop


def _all(number: int, index: int, prop: Property) -> Property:
    del number, index
    return replace(prop, description="Other words.", type=replace(prop.type, nullable=True))


def _apart(number: int, index: int, prop: Property) -> Property:
    del index
    return replace(prop, name=f"{prop.name}_of_{number}", description=f"Number {number}.")


def _all_apart(number: int, index: int, prop: Property) -> Property:
    return _all(number, index, _apart(number, index, prop))


def timed(call: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e6


def main() -> None:
    """Print the table."""
    lock = lock_bytes(plan_of(_same))
    print(f"{EVENTS:,} events of {PROPERTIES} properties, a lock of {len(lock) / 1e6:.1f} MB\n")
    head("change", "findings", "bump", "CPU ms", "json.loads of the lock, CPU ms", "ratio", "budget")
    for title, before, after in (
        ("nothing", _same, _same),
        ("one event", _same, _one),
        ("a group of all", _same, _group),
        ("each event, another property", _apart, _one_each),
        ("every property twice, alike in all events", _same, _all),
        ("every property twice, no two alike", _apart, _all_apart),
    ):
        old, new = plan_of(before), plan_of(after)
        changes = compare(old, new)
        pairs = [(timed(partial(compare, old, new)), timed(partial(json.loads, lock))) for _ in range(REPETITIONS)]
        mine, loads = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        ratios = [first / second for first, second in pairs]
        row(
            title,
            f"{len(changes.findings):,}",
            changes.bump.word,
            spread(mine),
            spread(loads),
            spread(ratios, 2),
            BUDGET,
        )


if __name__ == "__main__":
    main()
