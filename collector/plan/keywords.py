"""Every keyword of a plan file, where it may stand, and the shape of its value.

One table a place. A shape says of a value what is wrong with it, and says the same as JSON Schema: editor.py makes
schemas/plan.schema.json of these tables, so that what an editor underlines is what `footfall plan check` refuses. What
needs more than one value to judge (types, rules, tests) is read further by resolve.py, event.py and load.py.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from collector.plan.model import ACTIONS_OF, Action
from collector.plan.problems import Problems, nearest
from collector.plan.read import Leaf, Map, Scalar, Seq, Value
from collector.reason import Reason

INT_MAX = 2**31 - 1
MAJOR_MAX = 65_535

# Patterns that mean the same in Python and in JSON Schema's JavaScript.
SEMVER = r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_PERIOD = r"^[1-9][0-9]{0,5}(ms|s|m|h|d)$"
_WORD = r"^[a-z][a-z0-9_]{0,63}$"
_COLUMN_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"


class Shape(Struct, frozen=True):
    """What a value must look like: a complaint about one that does not, and the same as JSON Schema."""

    complaint: Callable[[Value], str | None]
    schema: dict[str, Any]

    def says(self, description: str) -> Shape:
        """The same, with the sentence that editors show beside the keyword."""
        return Shape(self.complaint, {"description": description, **self.schema})


Table: TypeAlias = Mapping[str, Shape]


def _leaf(fits: Callable[[Scalar], bool], must: str, schema: dict[str, Any]) -> Shape:
    def complaint(value: Value) -> str | None:
        return None if isinstance(value, Leaf) and fits(value.value) else f"must be {must}{_found(value, fits, must)}"

    return Shape(complaint, schema)


def _found(value: Value, fits: Callable[[Scalar], bool], must: str) -> str:
    """What was read instead, where that is not what the editor sees; quotes are advised where they would help."""
    if isinstance(value, Leaf) and value.value is None:
        return ", this is empty"
    if isinstance(value, Leaf) and isinstance(value.value, bool | int | float):
        if must.startswith(("a number", "a whole number")) and not isinstance(value.value, bool):
            return f", this is {value.value}"
        kind = "a boolean" if isinstance(value.value, bool) else "a number"
        return f", this is {kind}" + ("; put it in quotes if it is text" if fits(str(value.value).lower()) else "")
    return ""


def _matching(pattern: str, must: str) -> Shape:
    found = re.compile(pattern)
    return _leaf(
        lambda scalar: isinstance(scalar, str) and found.search(scalar) is not None and "\n" not in scalar,
        must,
        {"type": "string", "pattern": pattern},
    )


def _among(*words: str) -> Shape:
    must = f"one of {', '.join(words)}"

    def complaint(value: Value) -> str | None:
        if isinstance(value, Leaf) and isinstance(value.value, str):
            return None if value.value in words else f'must be {must}, not "{value.value}"'
        return f"must be {must}"

    return Shape(complaint, {"enum": list(words)})


def _each(item: Shape, must: str, most: int = 0) -> Shape:
    def complaint(value: Value) -> str | None:
        fits = isinstance(value, Seq) and all(item.complaint(entry) is None for entry in value.items)
        if fits and isinstance(value, Seq) and most and len(value.items) > most:
            return f"has {len(value.items)} entries, the limit is {most}"
        return None if fits else f"must be {must}"

    return Shape(complaint, {"type": "array", "items": item.schema} | ({"maxItems": most} if most else {}))


def _whole(low: int, high: int = INT_MAX) -> Shape:
    return _leaf(
        lambda scalar: type(scalar) is int and low <= scalar <= high,
        f"a whole number from {low} to {high}",
        {"type": "integer", "minimum": low, "maximum": high},
    )


def _one_of(*shapes: Shape) -> Shape:
    def complaint(value: Value) -> str | None:
        complaints = [shape.complaint(value) for shape in shapes]
        return None if None in complaints else " or ".join(str(text) for text in complaints)

    return Shape(complaint, {"anyOf": [shape.schema for shape in shapes]})


def _is_mapping(value: Value) -> str | None:
    return None if isinstance(value, Map) else "must be a mapping of keywords"


def block(table: Table, *needed: str) -> Shape:
    """A mapping of the keywords of a table; what is in it is read where it is used, so that marks are exact."""
    return Shape(_is_mapping, closed(table, *needed))


def closed(table: Table, *needed: str) -> dict[str, Any]:
    """The JSON Schema of a mapping that has the keywords of a table and no others."""
    properties = {key: shape.schema for key, shape in table.items()}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(needed)} if needed else {})


def blocks(table: Table, *needed: str) -> Shape:
    """A list of such mappings."""

    def complaint(value: Value) -> str | None:
        return None if isinstance(value, Seq) else "must be a list of mappings"

    return Shape(complaint, {"type": "array", "items": closed(table, *needed)})


def _named(schema: dict[str, Any]) -> Shape:
    """A mapping of names, chosen by the editor of the plan, to something."""
    return Shape(_is_mapping, {"type": "object", "additionalProperties": schema})


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _is_date(scalar: Scalar) -> bool:
    if not isinstance(scalar, str) or re.search(_DATE, scalar) is None:
        return False
    try:
        datetime.date.fromisoformat(scalar)
    except ValueError:
        return False
    return True


anything = Shape(lambda value: None, {})  # noqa: ARG005 - one signature for all shapes
text = _leaf(lambda scalar: isinstance(scalar, str), "text", {"type": "string"})
boolean = _leaf(lambda scalar: isinstance(scalar, bool), "true or false", {"type": "boolean"})
number = _leaf(
    # bool is an int to Python, never to an editor of a plan
    lambda scalar: isinstance(scalar, int | float) and not isinstance(scalar, bool),
    "a number",
    {"type": "number"},
)
texts = _each(text, "a list of texts", 1_000)
semver = _matching(SEMVER, "a version of three numbers such as 1.0.0")
date = _leaf(_is_date, "a date such as 2027-01-31", {"type": "string", "format": "date", "pattern": _DATE})
word = _matching(_WORD, "a word of small letters, digits and _")
words = _each(word, "a list of words of small letters, digits and _", 64)
_sequence = _each(anything, "a list", 1_000)
_deprecated = _one_of(boolean, text).says("True, or a text that says what to send instead. Nothing is refused.")

_FOR_PEOPLE: dict[str, Shape] = {
    "description": text.says("What it is, for people and for column comments."),
    "owner": text.says("Who answers questions about it."),
    "tags": texts.says("Words to find it by."),
    "deprecated": _deprecated,
}

HANDLINGS = ("keep", "sha256", "mask", "mask_detected", "strip_query_except", "drop")

PII: dict[str, Shape] = {
    "class": word.says("What it is: email, phone, name, free_text, url, order_id, …"),
    "handling": _among(*HANDLINGS).says("What is done to it before anything is written; keep when it is not said."),
    "keep": texts.says("With strip_query_except: the query parameters that stay."),
}

COLUMN: dict[str, Shape] = {
    "name": _matching(_COLUMN_NAME, "a column name of letters, digits and _").says("Name in the typed view."),
    "type": text.says("ClickHouse type in the typed view, such as LowCardinality(String)."),
}

TYPE: dict[str, Shape] = {
    **_FOR_PEOPLE,
    "type": _one_of(text, texts).says("A built-in type, a name of types: or entities:, or a list of scalars."),
    "enum": _sequence.says("The values it may have."),
    "const": anything.says("The one value it may have."),
    "minimum": number.says("Least value."),
    "maximum": number.says("Greatest value."),
    "exclusiveMinimum": number.says("It must be above this."),
    "exclusiveMaximum": number.says("It must be below this."),
    "multipleOf": number.says("It must be a multiple of this."),
    "minLength": _whole(0).says("Least number of characters."),
    "maxLength": _whole(0).says("Greatest number of characters; limits.max_string where none is stated."),
    "pattern": text.says("I-Regexp (RFC 9485) with ^ and $ that must be found in it."),
    "format": _among("email", "uri", "uuid", "date", "date-time").says("A well-known form."),
    "precision": _whole(1, 76).says("Digits of a decimal, before and after the point."),
    "scale": _whole(0, 76).says("Digits of a decimal after the point."),
    "minItems": _whole(0).says("Least number of items."),
    "maxItems": _whole(0).says("Greatest number of items."),
    "items": Shape(anything.complaint, {"$ref": "#/$defs/type", "description": "The type of each item."}),
    "properties": Shape(_is_mapping, {"$ref": "#/$defs/properties", "description": "The members of an object."}),
    "maxProperties": _whole(0).says("Greatest number of keys of a map."),
    "values": Shape(anything.complaint, {"$ref": "#/$defs/type", "description": "The type of a map's values."}),
    "nullable": boolean.says("null is valid too."),
    "unit": text.says("What a number counts: ms, css_px; or the property that holds the currency."),
    "examples": _sequence.says("Valid values; the first is shown to those who send a wrong one."),
    "pii": block(PII, "class").says("It is about a person: what it is and what is done to it."),
    "column": block(COLUMN).says("Its column in the typed view, where the usual one will not do."),
}

PROPERTY: dict[str, Shape] = {
    **TYPE,
    "required": boolean.says("The event is wrong without it."),
    "aliases": texts.says("Other names it may be sent under."),
}

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
UNITED = ("string", "integer", "number", "boolean")  # what a union may hold; the rest are texts or numbers as sent

PROPERTIES = Shape(_is_mapping, _ref("properties")).says("What may be sent with it, by name.")

ENTITY: dict[str, Shape] = {**_FOR_PEOPLE, "properties": PROPERTIES}

GROUP: dict[str, Shape] = {
    "group": text.says("Its name, which is the file's."),
    "description": _FOR_PEOPLE["description"],
    "owner": _FOR_PEOPLE["owner"],
    "tags": _FOR_PEOPLE["tags"],
    "properties": PROPERTIES,
}

TYPES_FILE: dict[str, Shape] = {
    "types": _named(_ref("type")).says("Types that several properties share, by name."),
    "entities": _named(closed(ENTITY, "properties")).says("Objects that events hold, by name."),
}

# Enforcement


def _rule(reason: Reason) -> Shape:
    allowed = _among(*(action.value for action in ACTIONS_OF[reason]))
    later = closed({"action": allowed, "from": date}, "action")

    def complaint(value: Value) -> str | None:
        return None if isinstance(value, Map) else allowed.complaint(value)

    return Shape(complaint, {"anyOf": [allowed.schema, later]})


RULE: dict[str, Shape] = {"action": _among(*(action.value for action in Action)), "from": date}

_MEANING = {
    Reason.UNKNOWN_EVENT: "The plan has no such event, or no such major of it.",
    Reason.UNKNOWN_PROPERTY: "The plan does not name the property.",
    Reason.MISSING_REQUIRED: "A required property is absent.",
    Reason.WRONG_TYPE: "Text for a number, null without nullable.",
    Reason.CONSTRAINT: "Enum, range, length, pattern or format.",
    Reason.SUNSET_VERSION: "The event is past its sunset, or its major past `until`.",
    Reason.UNDECLARED_PII: "The value looks like personal data and the property is not declared as pii.",
}
ENFORCE: dict[str, Shape] = {reason.word: _rule(reason).says(_MEANING[reason]) for reason in ACTIONS_OF}
EVENT_ENFORCE: dict[str, Shape] = {key: shape for key, shape in ENFORCE.items() if key != Reason.UNKNOWN_EVENT.word}
VIOLATES: dict[str, Shape] = dict.fromkeys(EVENT_ENFORCE, _one_of(text, texts))

# Events

SEMANTIC: dict[str, Shape] = {
    "conversion": _among("macro", "micro").says("It counts as a conversion."),
    "value": text.says("The property with its worth."),
    "currency": text.says("The property with the currency of its worth."),
    "dedupe_by": text.says("The property that tells two of them apart: the typed view marks repeats as is_repeat."),
}

SAMPLING: dict[str, Shape] = {
    "rate": _leaf(
        lambda scalar: isinstance(scalar, int | float) and not isinstance(scalar, bool) and 0 < scalar <= 1,
        "a number above 0 and at most 1",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    ).says("The share that is stored; 1 is all."),
    "by": _among("visitor", "event").says("visitor (the default): all of a visitor's or none; event: each by itself."),
}

_BOUNDS = {"min": number.says("Fewer are unusual."), "max": number.says("More are unusual.")}
RATIO: dict[str, Shape] = {"of": text.says("The event it is counted against."), **_BOUNDS}
EXPECT: dict[str, Shape] = {
    "daily": block(_BOUNDS).says("Events a day."),
    "ratio": block(RATIO, "of").says("Events for each event of another name."),
}
DAILY = _BOUNDS

UPCAST: dict[str, Shape] = {
    "rename": _named({"type": "string"}).says("Old property: new property."),
    "default": _named({}).says("New property: the value where the old major has none."),
}

ACCEPT: dict[str, Shape] = {
    "major": _whole(1, MAJOR_MAX).says("An older major, in history/<event>@<major>.yaml."),
    "until": date.says("The last day (UTC) it may be sent; after it, it violates sunset_version."),
    "upcast": block(UPCAST).says("How it reads as the newest major in views."),
}

# `violates` is one mapping of class to path; `valid` and `invalid` hold the properties of one event.
TEST: dict[str, Shape] = {
    "valid": anything.says("Properties of an event that follows the plan."),
    "invalid": anything.says("Properties of an event that does not."),
    "violates": block(VIOLATES).says('Each class and its path or paths: {constraint: "items[0].quantity"}.'),
}

EVENT: dict[str, Shape] = {
    "event": text.says("Its name, which is the file's."),
    "version": semver.says("Computed by `footfall plan release`."),
    **_FOR_PEOPLE,
    "trigger": text.says("When it is sent."),
    "use": texts.says("Groups whose properties it takes in."),
    "properties": PROPERTIES,
    "semantic": block(SEMANTIC).says("What it means to the reports."),
    "sampling": block(SAMPLING, "rate").says("Store a share of it."),
    "consent": words.says("Purposes the visitor must have agreed to; typed helpers tell the tag, which waits for it."),
    "sunset": date.says("From this day (UTC) on it violates sunset_version."),
    "expect": block(EXPECT).says("How many are usual."),
    "accept": blocks(ACCEPT, "major").says("Older majors that may still be sent."),
    "enforce": block(EVENT_ENFORCE).says("Actions for this event, before those of the environment and the plan."),
    "tests": blocks(TEST).says("Documents with the verdict they must get."),
}

# plan.yaml

NAMING: dict[str, Shape] = {
    "events": text.says("A pattern that event names have."),
    "properties": text.says("A pattern that property names have."),
    "reserved": texts.says("Names no property may have."),
}

LIMITS: dict[str, Shape] = {
    "max_event_bytes": _whole(256, 1_048_576).says("Bytes of one event."),
    "max_extra_properties": _whole(0, 1_000).says("Unknown properties listed per event."),
    "max_string": _whole(1, 65_536).says("maxLength of strings that state none."),
}

ENVIRONMENT: dict[str, Shape] = {
    "enforce": block(ENFORCE).says("Actions that differ from production's."),
    "report": _among("browser_console", "ci").says(
        "Who is told of violations: browser_console makes `plan codegen --environment` write helpers that check; ci "
        "makes any violation from there wrong for `plan status --check`."
    ),
}

PLAN: dict[str, Shape] = {
    "format": Shape(_whole(0).complaint, {"const": 1}).says("The format of these files: 1."),
    "plan": text.says("The plan's name."),
    "version": semver.says("Computed by `footfall plan release`."),
    "description": text.says("What the plan is for."),
    "owners": texts.says("Who answers for the plan."),
    "naming": block(NAMING).says("How names look."),
    "enforce": block(ENFORCE).says("What happens in production to events that do not follow the plan."),
    "environments": _named(closed(ENVIRONMENT)).says("dev, staging, …: what differs there from production."),
    "limits": block(LIMITS).says("The plan's own limits."),
}

# Journeys

KEYS = ("session_id", "visitor_id", "user_id")

STEP: dict[str, Shape] = {
    "event": text.says("An event of the plan."),
    "where": _named({}).says("Values its properties have."),
    "within": _matching(_PERIOD, "a time such as 30m; units are ms, s, m, h and d").says("After the step before."),
    "times": _whole(0, 1_000).says("Exactly so often; at least once where it is not said, never with 0."),
}

JOURNEY: dict[str, Shape] = {
    "journey": text.says("Its name, which is the file's."),
    "description": _FOR_PEOPLE["description"],
    "owner": _FOR_PEOPLE["owner"],
    "key": _among(*KEYS).says("What the events of one journey share."),
    "steps": blocks(STEP, "event").says("Events in their order."),
    "invariants": texts.says("Equations that hold: purchase.value == sum(purchase.items[].price) +- 0.01"),
}

# Every kind of file, by the keyword that is its own: its table, and what it cannot do without.
FILES: dict[str, tuple[dict[str, Shape], tuple[str, ...]]] = {
    "plan": (PLAN, ("format", "plan", "version")),
    "types": (TYPES_FILE, ()),
    "group": (GROUP, ("group", "properties")),
    "event": (EVENT, ("event", "version")),
    "journey": (JOURNEY, ("journey", "key", "steps")),
}


def check_keywords(found: Map, known: Table, place: str, problems: Problems) -> dict[str, Value]:
    """The entries of a mapping whose keyword is known and whose value has the right shape; the rest are problems."""
    good: dict[str, Value] = {}
    for key, value in found.entries.items():
        if key not in known:
            problems.add(found.keys[key], f'"{key}" is not a keyword of {place}{nearest(key, known)}')
            continue
        complaint = known[key].complaint(value)
        if complaint:
            problems.add(value.mark, f'"{key}" {complaint}')
            continue
        good[key] = value
    return good
