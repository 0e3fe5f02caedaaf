"""An event's properties as standard JSON Schema 2020-12, for tools that know nothing of plans.

A document is valid by the schema when the collector would list nothing: an action of `allow` leaves a rule out. Two
things JSON Schema cannot say are left to the collector, and named in a `$comment`: the bounds of a number sent as text,
and personal data.
"""

from __future__ import annotations

from typing import Any

import msgspec

from collector.plan.codegen.docs import deprecation
from collector.plan.convert.ecma import DATE, DATETIME, ecma
from collector.plan.model import Action, EventPlan, Plan, Property, Type
from collector.plan.rules import INT64_MAX, INT64_MIN, NUMERIC_MAX
from collector.reason import Reason

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID_START = "urn:footfall:"
_VALUE_BELOW = 10**14  # digits of the column that holds an event's value


def schemas_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """The schema of each event and accepted older major, by names such as `purchase@2`."""
    every = [*plan.events.values(), *plan.history.values()]
    return {
        f"{event.name}@{event.major}": schema_of(plan, event)
        for event in sorted(every, key=lambda e: (e.name, e.major))
    }


def schema_of(plan: Plan, event: EventPlan) -> dict[str, Any]:
    """The schema of one event's properties."""
    closed = event.actions[Reason.UNKNOWN_PROPERTY] is not Action.ALLOW
    properties = event.properties
    about = {
        "$schema": DIALECT,
        "$id": f"{ID_START}{plan.name}:{event.name}:{event.version}",
        "title": f"{event.name}@{event.major}",
        "description": event.description,
        "deprecated": event.deprecated is not False,
    }
    made: dict[str, Any] = {key: value for key, value in about.items() if value} | _object(properties, closed=closed)
    if value := event.semantic.value:
        for prop in properties:
            digits = prop.type.precision - prop.type.scale if prop.type.kind == "decimal" else None
            if prop.name == value and (digits is None or 10**digits > _VALUE_BELOW):
                for name in (prop.name, *prop.aliases):
                    made["properties"][name] = {"allOf": [made["properties"][name], _money()]}
    return made


def _money() -> dict[str, Any]:
    return {
        "anyOf": [{"exclusiveMinimum": -_VALUE_BELOW, "exclusiveMaximum": _VALUE_BELOW}, {"type": ["string", "null"]}]
    }


def _object(properties: tuple[Property, ...], *, closed: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": {}}
    for prop in properties:
        shared = _type(prop.type, closed=closed)
        said = deprecation(prop.deprecated)
        about = {"description": prop.description, "deprecated": said is not None, "x-unit": prop.type.unit}
        about |= {"x-pii": prop.type.pii.pii_class if prop.type.pii else "", "x-owner": prop.owner}
        made["properties"][prop.name] = {key: value for key, value in about.items() if value} | shared
        for alias in prop.aliases:
            made["properties"][alias] = {"description": f"The old name of {prop.name}.", "deprecated": True} | shared
    required = [prop.name for prop in properties if prop.required and not prop.aliases]
    either = [
        {"anyOf": [{"required": [name]} for name in (prop.name, *prop.aliases)]}
        for prop in properties
        if prop.required and prop.aliases
    ]
    if required:
        made["required"] = required
    if either:
        made["allOf"] = either
    if closed:
        made["additionalProperties"] = False
    return made


def _type(kind: Type, *, closed: bool) -> dict[str, Any]:
    made = _plain(kind, closed=closed)
    if kind.examples:
        made["examples"] = list(kind.examples)
    if not kind.nullable or kind.kind == "any":
        return made
    if isinstance(made.get("type"), str) and "enum" not in made:
        return made | {"type": [made["type"], "null"]}
    if "enum" in made:
        return made | {"type": [made["type"], "null"], "enum": [*made["enum"], None]}
    return {"anyOf": [made, {"type": "null"}]}


def _plain(kind: Type, *, closed: bool) -> dict[str, Any]:  # noqa: PLR0911 - a table of kinds reads best as one
    match kind.kind:
        case "boolean":
            return {"type": "boolean"}
        case "date":
            return {"type": "string", "format": "date", "pattern": DATE}
        case "datetime":
            return {"type": "string", "format": "date-time", "pattern": DATETIME}
        case "string":
            return {"type": "string"} | _string(kind)
        case "integer":
            return {"type": "integer"} | _enum(kind) | _bounds(kind, lowest=INT64_MIN, highest=INT64_MAX)
        case "number":
            return {"type": "number"} | _bounds(kind)
        case "decimal":
            return _decimal(kind)
        case "array":
            assert kind.items is not None
            limits = {"minItems": kind.min_items or None, "maxItems": kind.max_items}
            return {"type": "array", "items": _type(kind.items, closed=closed)} | _stated(limits)
        case "map":
            assert kind.values is not None
            values = _type(kind.values, closed=closed)
            return {"type": "object", "additionalProperties": values or True} | _stated(
                {"maxProperties": kind.max_properties}
            )
        case "object":
            return _object(kind.properties, closed=closed)
        case "union":
            return {"anyOf": [_plain(member, closed=closed) for member in kind.members]}
    return {}


def _string(kind: Type) -> dict[str, Any]:
    facts: dict[str, Any] = {"minLength": kind.min_length or None, "maxLength": kind.max_length, "format": kind.format}
    facts["pattern"] = None if kind.regex is None else ecma(kind.regex)
    return _enum(kind) | _stated(facts)


def _enum(kind: Type) -> dict[str, Any]:
    return {} if kind.enum is None else {"enum": list(kind.enum)}


def _decimal(kind: Type) -> dict[str, Any]:
    digits = kind.precision - kind.scale
    most = 10**digits
    number = {"type": "number"} | _bounds(kind)
    # Both limits hold: the plan's own, and that of the digits before the point.
    if number.get("maximum", number.get("exclusiveMaximum", most)) >= most:
        number.pop("maximum", None)
        number["exclusiveMaximum"] = most
    if number.get("minimum", number.get("exclusiveMinimum", -most)) <= -most:
        number.pop("minimum", None)
        number["exclusiveMinimum"] = -most
    sign = "" if kind.minimum is not None and kind.minimum >= 0 else "-?"
    text = {
        "type": "string",
        "maxLength": NUMERIC_MAX,
        "pattern": f"^{sign}0*[0-9]{{1,{digits}}}(?:\\.[0-9]+)?$",
        "$comment": "A number as text. Its bounds are checked by the collector only, which takes an exponent too.",
    }
    return {"anyOf": [number, text]}


def _bounds(kind: Type, *, lowest: int | None = None, highest: int | None = None) -> dict[str, Any]:
    made = _stated({
        "minimum": kind.minimum,
        "maximum": kind.maximum,
        "exclusiveMinimum": kind.exclusive_minimum,
        "exclusiveMaximum": kind.exclusive_maximum,
        "multipleOf": kind.multiple_of,
    })  # fmt: skip
    if lowest is not None and "minimum" not in made and "exclusiveMinimum" not in made:
        made["minimum"] = lowest
    if highest is not None and "maximum" not in made and "exclusiveMaximum" not in made:
        made["maximum"] = highest
    return made


def _stated(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def text_of(schema: dict[str, Any]) -> str:
    """A schema as a file: indented JSON with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"
