"""The plan as data for the validator of a development build (validator.js): what to check, and nothing for people.

Numbers whose digits count are texts, because JavaScript's own would round them.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from collector.plan.convert.ecma import DATE, DATETIME, ecma
from collector.plan.model import PROD, EventPlan, Plan, Property, Rule, Rules, Type
from collector.plan.pii import handlers_of
from collector.plan.rules import INT64_MAX, INT64_MIN


def facts_of(plan: Plan) -> dict[str, Any]:
    """What the validator knows of a plan; the shape is that of `Plan` in validator.js. The rules are production's."""
    every = [*plan.events.values(), *plan.history.values()]
    events: dict[str, dict[str, Any]] = {}
    for name, newest in sorted(plan.events.items()):
        majors = {newest.major: newest}
        majors |= {major: event for (owner, major), event in plan.history.items() if owner == name}
        events[name] = {
            "newest": newest.major,
            "majors": {str(major): _major(event, newest) for major, event in sorted(majors.items())},
        }
    return {
        "name": plan.name,
        "version": plan.version,
        "hash": plan.hash,
        "unknownMax": plan.limits.max_extra_properties,
        "rules": _rules(plan.rules),
        "personal": sorted({name for event in every for name in handlers_of(event.properties)}),
        "date": DATE,
        "datetime": DATETIME,
        "events": events,
    }


def _major(event: EventPlan, newest: EventPlan) -> dict[str, Any]:
    made: dict[str, Any] = {"rules": _rules(event.rules), "properties": [_property(prop) for prop in event.properties]}
    if event.semantic.value:
        made["value"] = event.semantic.value
    ends = [event.sunset, newest.sunset]
    ends += [
        accept.until and accept.until + timedelta(days=1) for accept in newest.accept if accept.major == event.major
    ]
    if any(ends):
        made["ends"] = str(min(day for day in ends if day is not None))
    return made


def _rules(rules: Rules) -> dict[str, dict[str, str]]:
    return {reason.word: _rule(rule) for reason, rule in sorted(rules[PROD].items(), key=lambda pair: pair[0].word)}


def _rule(rule: Rule) -> dict[str, str]:
    made = {"action": rule.action.value}
    return made if rule.starts is None else made | {"starts": str(rule.starts), "before": rule.before.value}


def _property(prop: Property) -> dict[str, Any]:
    made: dict[str, Any] = {"name": prop.name}
    if prop.aliases:
        made["aliases"] = list(prop.aliases)
    if prop.required:
        made["required"] = True
    return made | {"type": _type(prop.type)}


def _type(kind: Type) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": kind.kind}
    if kind.nullable:
        made["nullable"] = True
    if kind.sensitive:
        made["sensitive"] = True
    if kind.examples:
        made["advice"] = msgspec.json.encode(kind.examples[0]).decode()
    match kind.kind:
        case "string":
            made |= _string(kind)
        case "integer":
            if kind.enum is not None:
                made["integers"] = [str(value) for value in kind.enum]
            made |= _numeric(kind, whole=True)
        case "number" | "decimal":
            made |= _numeric(kind, whole=False)
            if kind.kind == "decimal":
                made["digits"] = kind.precision - kind.scale
        case "array":
            assert kind.items is not None
            made |= _stated({"minItems": kind.min_items or None, "maxItems": kind.max_items})
            made["items"] = _type(kind.items)
        case "object":
            made["properties"] = [_property(prop) for prop in kind.properties]
        case "map":
            assert kind.values is not None
            made |= _stated({"maxProperties": kind.max_properties})
            made["values"] = _type(kind.values)
        case "union":
            made["members"] = [_type(member) for member in kind.members]
    return made


def _string(kind: Type) -> dict[str, Any]:
    return _stated({
        "enum": None if kind.enum is None else list(kind.enum),
        "minLength": kind.min_length or None,
        "maxLength": kind.max_length,
        "pattern": kind.pattern,
        "regex": None if kind.regex is None else ecma(kind.regex),
        "format": kind.format,
    })  # fmt: skip


def _numeric(kind: Type, *, whole: bool) -> dict[str, Any]:
    stated = (
        ("<", kind.minimum),
        (">", kind.maximum),
        ("<=", kind.exclusive_minimum),
        (">=", kind.exclusive_maximum),
    )
    bounds = [
        {"op": op, "bound": str(int(bound) if whole else float(bound)), "shown": str(bound)}
        for op, bound in stated
        if bound is not None
    ]
    made: dict[str, Any] = {"bounds": bounds} if bounds else {}
    if kind.multiple_of is not None:
        made["step"] = str(kind.multiple_of if whole else Decimal(str(kind.multiple_of)))
    return made


def _stated(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def bounds_in_words(kind: Type) -> str:
    """`from 0 to 600,000`, `up to 64 characters`: the limits of a value for people, without the obvious ones."""
    parts: list[str] = []
    if kind.kind in ("integer", "number", "decimal"):
        for word, bound in (
            ("at least", kind.minimum),
            ("above", kind.exclusive_minimum),
            ("at most", kind.maximum),
            ("below", kind.exclusive_maximum),
        ):
            if bound is not None and bound not in (INT64_MIN, INT64_MAX):
                parts.append(f"{word} {bound:,}")
        if kind.multiple_of is not None:
            parts.append(f"a multiple of {kind.multiple_of}")
    if kind.kind == "string" and kind.enum is None:
        parts += _count(kind.min_length, kind.max_length, "character")
        if kind.pattern:
            parts.append(f"matching {kind.pattern}")
        if kind.format:
            parts.append(f"a valid {kind.format}")
    if kind.kind == "array":
        parts += _count(kind.min_items, kind.max_items, "item")
    if kind.kind == "map":
        parts += _count(0, kind.max_properties, "key")
    if kind.kind == "date":
        parts.append("a date such as 2026-09-01")
    if kind.kind == "datetime":
        parts.append("a date and time with its offset such as 2026-09-01T10:00:00Z")
    text = ", ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _count(low: int, high: int | None, word: str) -> list[str]:
    if high is None:
        return [f"at least {low:,} {word}{'' if low == 1 else 's'}"] if low else []
    ending = "" if high == 1 else "s"
    if low == high:
        return [f"{low:,} {word}{ending}"]
    return [f"{low:,} to {high:,} {word}s" if low else f"at most {high:,} {word}{ending}"]
