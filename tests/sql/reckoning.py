"""Plain computations that the tests of goals, experiments and products share: shares and their tests, orders."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

import pytest
from plan.built import event as planned
from plan.built import rules, text
from sql.events import Event
from sql.oracle import people

from collector.plan import Plan
from collector.plan.model import Accept, Property, Semantic, Type, Upcast

Z = NormalDist().inv_cdf(0.975)

# Orders are told apart by order_id, also called `order`, which major 1 called `id`.
PLAN = Plan(
    name="shop",
    version="1.0.0",
    events={
        "purchase": planned(
            Property(name="order_id", type=Type(kind="string"), aliases=("order",)),
            name="purchase",
            semantic=Semantic(conversion="macro", dedupe_by="order_id"),
            accept=(Accept(major=1, upcast=Upcast(rename={"id": "order_id"})),),
        ),
        "sign_up": planned(text("method"), name="sign_up", semantic=Semantic(conversion="micro")),
    },
    history={("purchase", 1): planned(text("id"), name="purchase", major=1)},
    rules=rules(),
)


class Sql(str):
    """An argument as SQL, not as a text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def approximately(value: Any) -> Any:
    """Equal to 1e-9, in tuples too; None is only None."""
    if isinstance(value, tuple):
        return tuple(approximately(one) for one in value)
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


def in_order(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda e: (e["event_time"], e["sequence"], e["message_id"]))


def order_of(event: Event) -> str:
    """What PLAN's dedupe_by says of a purchase."""
    facts = json.loads(event["properties"])
    names = ("id",) if event["event_version"] == 1 else ("order_id", "order")
    return str(next((facts[name] for name in names if facts.get(name)), ""))


def repeats(events: list[Event]) -> set[str]:
    """The ids of the events that say an order again."""
    seen: set[str] = set()
    again = set()
    for event in in_order(people(events)):
        if event["event"] == "purchase" and (order := order_of(event)):
            if order in seen:
                again.add(event["message_id"])
            seen.add(order)
    return again


def share(hits: float, n: float) -> float | None:
    return hits / n if n else None


def wilson(hits: float, n: float) -> tuple[Any, Any]:
    """By the roots of (p - x)^2 = z^2 x (1 - x) / n, not by the closed form of the views."""
    if not n:
        return None, None
    p, a = hits / n, 1 + Z * Z / n
    b, c = -(2 * p + Z * Z / n), p * p
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return max(0.0, (-b - root) / (2 * a)), min(1.0, (-b + root) / (2 * a))


def compared(hits: int, n: int, other_hits: int, other_n: int) -> tuple[Any, Any, Any, Any, Any]:
    """The difference of two shares, its interval by Newcombe, z with common variance, and its two-sided p."""
    if not n or not other_n:
        return None, None, None, None, None
    p, other = hits / n, other_hits / other_n
    (low, high), (other_low, other_high) = wilson(hits, n), wilson(other_hits, other_n)
    interval = p - other - math.hypot(p - low, other_high - other), p - other + math.hypot(high - p, other - other_low)
    common = (hits + other_hits) / (n + other_n)
    if common in (0, 1):
        return p - other, *interval, None, None
    z = (p - other) / math.sqrt(common * (1 - common) * (1 / n + 1 / other_n))
    return p - other, *interval, z, math.erfc(abs(z) / math.sqrt(2))
