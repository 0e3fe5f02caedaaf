"""Every keyword of a plan file, where it may stand, and the shape of its value.

One table a place. A shape is a function from a value to a complaint, or to nothing when the value fits; keywords whose
meaning needs more than their shape (types, enforce, tests) are read further by resolve.py and load.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from collector.plan.problems import Problems, nearest
from collector.plan.read import Leaf, Map, Seq, Value

Shape: TypeAlias = Callable[[Value], str | None]

_SEMVER = re.compile(r"[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PERIOD = re.compile(r"[0-9]{1,6}(ms|s|m|h|d)")


def _leaf(kinds: type | tuple[type, ...], must: str) -> Shape:
    def shape(value: Value) -> str | None:
        fits = isinstance(value, Leaf) and isinstance(value.value, kinds)
        # bool is an int to Python, never to an editor of a plan
        fits = fits and (kinds is bool or not isinstance(value, Leaf) or not isinstance(value.value, bool))
        return None if fits else f"must be {must}"

    return shape


def _matching(pattern: re.Pattern[str], must: str) -> Shape:
    def shape(value: Value) -> str | None:
        fits = isinstance(value, Leaf) and isinstance(value.value, str) and pattern.fullmatch(value.value)
        return None if fits else f"must be {must}"

    return shape


def _among(*words: str) -> Shape:
    def shape(value: Value) -> str | None:
        if isinstance(value, Leaf) and isinstance(value.value, str) and value.value not in words:
            return f'must be one of {", ".join(words)}, not "{value.value}"'
        return (
            None if isinstance(value, Leaf) and isinstance(value.value, str) else f"must be one of {', '.join(words)}"
        )

    return shape


def _each(item: Shape, must: str) -> Shape:
    def shape(value: Value) -> str | None:
        return (
            None if isinstance(value, Seq) and all(item(entry) is None for entry in value.items) else f"must be {must}"
        )

    return shape


def _whole(low: int, high: int = 2**31 - 1) -> Shape:
    def shape(value: Value) -> str | None:
        if isinstance(value, Leaf) and type(value.value) is int and low <= value.value <= high:
            return None
        return f"must be a whole number from {low} to {high}"

    return shape


def _one_of(*shapes: Shape) -> Shape:
    def shape(value: Value) -> str | None:
        complaints = [shape(value) for shape in shapes]
        return None if None in complaints else " or ".join(str(text) for text in complaints)

    return shape


def anything(value: Value) -> str | None:
    """Any value at all; what it means is read elsewhere or not at all yet."""
    del value
    return None


def mapping(value: Value) -> str | None:
    """A mapping, whose keywords are read elsewhere."""
    return None if isinstance(value, Map) else "must be a mapping of keywords"


def _open(keywords: Mapping[str, Shape]) -> Shape:
    """A mapping with these keywords only, checked here because nothing acts on it yet."""

    def shape(value: Value) -> str | None:
        if not isinstance(value, Map):
            return "must be a mapping of keywords"
        for key, entry in value.entries.items():
            if key not in keywords:
                return f'has the unknown keyword "{key}"{nearest(key, keywords)}'
            complaint = keywords[key](entry)
            if complaint:
                return f'has "{key}", which {complaint}'
        return None

    return shape


text = _leaf(str, "text")
boolean = _leaf(bool, "true or false")
number = _leaf((int, float), "a number")
texts = _each(text, "a list of texts")
semver = _matching(_SEMVER, "a version of three numbers such as 1.0.0")
_date = _matching(_DATE, "a date such as 2027-01-31")
_sequence = _each(anything, "a list")

# Keywords of later issues: the shape is checked and the value carried, nothing acts on them yet (schemas/README.md).
_PII = _open({
    "class": text,
    "handling": text,
    "keep": texts,
})  # fmt: skip
_SAMPLING = _open({"rate": number, "by": _among("visitor", "session", "event")})
_EXPECT_RANGE = _open({"min": number, "max": number})
_EXPECT = _open({"daily": _EXPECT_RANGE, "ratio": _open({"of": text, "min": number, "max": number})})
_COLUMN = _open({"name": text, "type": text})
_SUNSET = _date
_DEPRECATED = _one_of(boolean, text)
CARRIED = frozenset(
    {"pii", "sampling", "consent", "sunset", "expect", "column", "deprecated", "environments", "journeys", "unit"}
    | {"owners", "until", "upcast"}
)

_DOCUMENTING: dict[str, Shape] = {
    "description": text,
    "owner": text,
    "tags": texts,
    "deprecated": _DEPRECATED,
    "sunset": _SUNSET,
    "consent": texts,
}

TYPE: dict[str, Shape] = {
    **_DOCUMENTING,
    "type": _one_of(text, texts),
    "enum": _sequence,
    "const": anything,
    "minimum": number,
    "maximum": number,
    "exclusiveMinimum": number,
    "exclusiveMaximum": number,
    "multipleOf": number,
    "minLength": _whole(0),
    "maxLength": _whole(0),
    "pattern": text,
    "format": _among("email", "uri", "uuid", "date", "date-time"),
    "precision": _whole(1, 76),
    "scale": _whole(0, 76),
    "minItems": _whole(0),
    "maxItems": _whole(0),
    "items": anything,
    "properties": mapping,
    "maxProperties": _whole(0),
    "values": anything,
    "nullable": boolean,
    "unit": text,
    "examples": _sequence,
    "pii": _PII,
    "column": _COLUMN,
}

PROPERTY: dict[str, Shape] = {**TYPE, "required": boolean, "aliases": texts}

# A JSON Schema keyword that means something here but belongs to another kind is the commonest slip.
APPLIES: dict[str, frozenset[str]] = {
    "enum": frozenset({"string", "integer"}),
    "const": frozenset({"string", "integer"}),
    "minimum": frozenset({"integer", "number", "decimal"}),
    "maximum": frozenset({"integer", "number", "decimal"}),
    "exclusiveMinimum": frozenset({"integer", "number", "decimal"}),
    "exclusiveMaximum": frozenset({"integer", "number", "decimal"}),
    "multipleOf": frozenset({"integer", "number", "decimal"}),
    "minLength": frozenset({"string"}),
    "maxLength": frozenset({"string"}),
    "pattern": frozenset({"string"}),
    "format": frozenset({"string"}),
    "precision": frozenset({"decimal"}),
    "scale": frozenset({"decimal"}),
    "minItems": frozenset({"array"}),
    "maxItems": frozenset({"array"}),
    "items": frozenset({"array"}),
    "properties": frozenset({"object"}),
    "maxProperties": frozenset({"map", "object"}),
    "values": frozenset({"map"}),
}

SCALARS = ("string", "integer", "number", "boolean", "decimal", "date", "datetime")
KINDS = (*SCALARS, "array", "object", "map")

ENTITY: dict[str, Shape] = {**_DOCUMENTING, "properties": mapping}

GROUP: dict[str, Shape] = {"group": text, **ENTITY}

SEMANTIC: dict[str, Shape] = {
    "conversion": _among("macro", "micro"),
    "value": text,
    "currency": text,
    "dedupe_by": text,
}

ACCEPT: dict[str, Shape] = {
    "major": _whole(1, 65_535),
    "until": _date,
    "upcast": _open({"rename": mapping, "default": mapping}),
}

EVENT: dict[str, Shape] = {
    **_DOCUMENTING,
    "event": text,
    "version": semver,
    "trigger": text,
    "use": texts,
    "semantic": mapping,
    "pii": _PII,
    "sampling": _SAMPLING,
    "expect": _EXPECT,
    "properties": mapping,
    "accept": _sequence,
    "enforce": mapping,
    "tests": _sequence,
}

NAMING: dict[str, Shape] = {"events": text, "properties": text, "reserved": texts}

LIMITS: dict[str, Shape] = {
    "max_event_bytes": _whole(256, 1_048_576),
    "max_extra_properties": _whole(0, 1_000),
    "max_string": _whole(1, 65_536),
}

PLAN: dict[str, Shape] = {
    "format": _whole(0),
    "plan": text,
    "version": semver,
    "description": text,
    "owners": texts,
    "naming": mapping,
    "enforce": mapping,
    "environments": mapping,
    "limits": mapping,
}

ENVIRONMENT: dict[str, Shape] = {"enforce": mapping, "report": text}

TYPES_FILE: dict[str, Shape] = {"types": mapping, "entities": mapping}

JOURNEY: dict[str, Shape] = {
    "journey": text,
    "description": text,
    "owner": text,
    "key": text,
    "steps": _each(
        _open(
            {"event": text, "where": mapping, "within": _matching(_PERIOD, "a time such as 30m"), "times": _whole(0)}
        ),
        "a list of steps {event, where, within, times}",
    ),
    "invariants": texts,
}

# `violates` is one mapping of class to path; `valid` and `invalid` hold the properties of one event.
TEST: dict[str, Shape] = {"valid": anything, "invalid": anything, "violates": mapping}


def check_keywords(found: Map, known: Mapping[str, Shape], place: str, problems: Problems) -> dict[str, Value]:
    """The entries of a mapping whose keyword is known and whose value has the right shape; the rest are problems."""
    good: dict[str, Value] = {}
    for key, value in found.entries.items():
        if key not in known:
            problems.add(found.keys[key], f'"{key}" is not a keyword of {place}{nearest(key, known)}')
            continue
        complaint = known[key](value)
        if complaint:
            problems.add(value.mark, f'"{key}" {complaint}')
            continue
        good[key] = value
    return good
