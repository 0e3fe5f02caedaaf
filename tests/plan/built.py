"""Plans put together in Python, for tests of what the collector does with them."""

from __future__ import annotations

from typing import Any

from collector.plan import CompiledPlan
from collector.plan.model import (
    DEFAULT_ACTIONS,
    PROD,
    Action,
    EventPlan,
    Pii,
    Plan,
    Property,
    Rule,
    Rules,
    Type,
)
from collector.reason import Reason


def rules(changes: dict[str, Action | Rule] | None = None, **environments: dict[str, Action | Rule]) -> Rules:
    """The default rules with these for production, and with those of each environment laid over them."""
    own = {reason: Rule(action=action) for reason, action in DEFAULT_ACTIONS.items()} | _rules(changes or {})
    return {PROD: own} | {name: own | _rules(stated) for name, stated in environments.items()}


def _rules(stated: dict[str, Action | Rule]) -> dict[Reason, Rule]:
    by_word = {reason.word: reason for reason in DEFAULT_ACTIONS}
    return {by_word[word]: rule if isinstance(rule, Rule) else Rule(action=rule) for word, rule in stated.items()}


def text(name: str, handling: str = "", *, required: bool = False, pii_class: str = "x", **facts: Any) -> Property:
    """A property that holds text; with a handling it is declared as personal."""
    pii = Pii(pii_class=pii_class, handling=handling, keep=facts.pop("keep", ())) if handling else None
    kind = Type(kind="string", max_length=facts.pop("max_length", 4_096), pii=pii, **facts)
    return Property(name=name, type=kind, required=required)


def number(name: str, *, required: bool = False, **facts: Any) -> Property:
    """A property that holds a whole number."""
    return Property(name=name, type=Type(kind="integer", **facts), required=required)


def thing(name: str, *properties: Property, required: bool = False) -> Property:
    """A property that holds an object."""
    return Property(name=name, type=Type(kind="object", properties=properties), required=required)


def listing(name: str, items: Type, *, required: bool = False, min_items: int = 0) -> Property:
    """A property that holds a list."""
    return Property(name=name, type=Type(kind="array", items=items, min_items=min_items), required=required)


def event(*properties: Property, name: str = "e", major: int = 2, **facts: Any) -> EventPlan:
    """One major version of an event."""
    facts.setdefault("rules", rules())
    return EventPlan(name=name, version=f"{major}.0.0", major=major, properties=properties, **facts)


def plan_of(*events: EventPlan, history: tuple[EventPlan, ...] = (), **facts: Any) -> Plan:
    """A plan of these events."""
    facts.setdefault("rules", rules())
    return Plan(
        name="test",
        version="1.2.3",
        events={found.name: found for found in events},
        history={(found.name, found.major): found for found in history},
        **facts,
    )


def compiled(*properties: Property, **facts: Any) -> CompiledPlan:
    """A plan with one event `e` of these properties, ready to check."""
    return CompiledPlan(plan_of(event(*properties, **facts)))
