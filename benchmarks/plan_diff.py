"""What does comparing two plans cost?

Question    Time of compare(old, new) for a plan of 1,000 events of 20 properties: nothing changed, one event edited, a
            group edited that every event uses, and every property of every event edited.
Budget      100 ms for what people do (the first three rows), on an idle core.
Method      Two plans that share nothing in memory, as those of two locks do; 7 repetitions after a warm-up, CPU time
            (process_time_ns), median and spread. Beside it, in turn, json.loads of its plan.lock: a floor for
            anything that reads a plan at all.
Run         python -m benchmarks.plan_diff            about 15 s
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from collector.plan.compat import compare
from collector.plan.lock import lock_bytes
from collector.plan.model import DEFAULT_ACTIONS, PROD, EventPlan, Plan, Property, Rule, Type

EVENTS = 1_000
PROPERTIES = 20
REPETITIONS = 7
BUDGET_MS = 100.0

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
    return Plan(name="large", version="1.0.0", events=events, history={}, rules=rules)


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


def _all(number: int, index: int, prop: Property) -> Property:
    del number, index
    return replace(prop, description="Other words.", type=replace(prop.type, nullable=True))


def timed(call: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e6


def main() -> None:
    """Print the table."""
    old = plan_of(_same)
    lock = lock_bytes(old)
    print(f"{EVENTS:,} events of {PROPERTIES} properties, a lock of {len(lock) / 1e6:.1f} MB")
    print(f"{'change':28} {'findings':>8} {'bump':>6} {'ms':>7} {'spread':>7} {'json.loads ms':>14} {'ratio':>6}")
    for title, edit in (("nothing", _same), ("one event", _one), ("a group of all", _group), ("everything", _all)):
        new = plan_of(edit)
        changes = compare(old, new)
        pairs = [(timed(partial(compare, old, new)), timed(partial(json.loads, lock))) for _ in range(REPETITIONS)]
        mine, loads = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        ratio = statistics.median(first / second for first, second in pairs)
        median = statistics.median(mine)
        over = "" if median <= BUDGET_MS or edit is _all else f"  over the budget of {BUDGET_MS:.0f} ms"
        print(f"{title:28} {len(changes.findings):8,} {changes.bump.word:>6} {median:7.1f} {max(mine) - min(mine):7.1f}"
              f" {statistics.median(loads):14.1f} {ratio:6.2f}{over}")  # fmt: skip


if __name__ == "__main__":
    main()
