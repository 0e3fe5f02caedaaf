"""No event that was valid is refused after a change that compare called patch or minor.

Hypothesis draws a plan and a mutation of it and shrinks what fails; the events are drawn from the edges of both by a
seeded generator, which is a hundred times as fast. What is valid is what rules.py says, every class counted.
Structural rules only: units, columns, personal data and meaning do not refuse a value.

The long form: FOOTFALL_TEST_MUTATIONS=60000 pytest tests/plan/test_plan_compat_fuzz.py -s
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from collector.plan.changes import RULES, Bump
from collector.plan.compat import compare
from collector.plan.model import DEFAULT_ACTIONS, PROD, Action, EventPlan, Plan, Property, Rule, Type
from collector.plan.pattern import translate
from collector.plan.policy import policy_of_all
from collector.plan.resolve import FORMATS
from collector.plan.rules import VIOLATIONS_MAX, Findings, decode_exact, members_of

MUTATIONS = int(os.environ.get("FOOTFALL_TEST_MUTATIONS", "400"))
EDITS = 8  # of each plan, because drawing a plan costs most
OF_OLD, OF_NEW = 20, 10  # events for each mutation: those of the plan before, and of the one after

NAMES = ("a", "b", "c", "d", "e")
OTHER_NAMES = ("f", "g", "h")
SCALARS = ("string", "integer", "number", "decimal", "boolean", "date", "datetime")
# Each with texts that match it, some of which match others too.
PATTERNS = {
    "^[A-Z]{3}$": ("EUR", "USD"),
    "^[A-Z]{2,3}$": ("EU", "EUR"),
    "^[a-z]+$": ("eur", "x"),
    "[0-9]": ("A1", "1"),
}
FORMATTED = {
    "email": ("a@b.example",),
    "uri": ("https://a.example/", "a:"),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000",),
}
DATES = ("2026-09-01", "2024-02-29", "0001-01-01")
TIMES = ("2026-09-01T10:00:00Z", "2026-09-01T10:00:00.5+02:00")
WORDS = ("a", "b", "EUR", "home", "x1", "no")
RULES_NOW = {PROD: {reason: Rule(action=action) for reason, action in DEFAULT_ACTIONS.items()}}


# Plans


@st.composite
def kinds(draw: st.DrawFn, depth: int = 2) -> Type:
    """A type as the resolver would make it."""
    nested = ("array", "object", "map", "union") if depth else ("union",)
    kind = draw(st.sampled_from(SCALARS + nested))
    nullable = draw(st.sampled_from((False, False, True)))
    match kind:
        case "union":
            members = draw(st.lists(st.sampled_from((*SCALARS[:3], "boolean")), min_size=2, max_size=3, unique=True))
            bounded = tuple(_plain(draw, member, listed=False) for member in members)
            return Type(kind="union", members=bounded, nullable=nullable)
        case "array":
            low = draw(st.integers(0, 2))
            high = draw(st.sampled_from((None, low, low + 1, low + 3)))
            return Type(kind="array", min_items=low, max_items=high, items=draw(kinds(depth - 1)), nullable=nullable)
        case "map":
            return Type(kind="map", max_properties=draw(st.sampled_from((None, 1, 2))), values=draw(kinds(depth - 1)),
                        nullable=nullable)  # fmt: skip
        case "object":
            return Type(kind="object", properties=draw(members_drawn(depth - 1)), nullable=nullable)
    return replace(_plain(draw, kind), nullable=nullable)


def _plain(draw: st.DrawFn, kind: str, *, listed: bool = True) -> Type:
    if kind == "string":
        return _string(draw, listed=listed)
    if kind in ("integer", "number", "decimal"):
        return _number(draw, kind, listed=listed)
    return Type(kind=kind)


def _string(draw: st.DrawFn, *, listed: bool) -> Type:
    low, high = draw(st.integers(0, 2)), draw(st.sampled_from((3, 4, 8, 36, 100)))
    form = draw(st.sampled_from(("", "", "", "pattern", "format", "enum") if listed else ("", "pattern")))
    if form == "pattern":
        pattern = draw(st.sampled_from(sorted(PATTERNS)))
        return Type(kind="string", min_length=low, max_length=high, pattern=pattern, regex=translate(pattern, high))
    if form == "format":
        word = draw(st.sampled_from(sorted(FORMATTED)))
        return Type(kind="string", max_length=FORMATS[word][1], format=word, regex=FORMATS[word][0])
    if form == "enum":
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True))
        return Type(kind="string", max_length=high, enum=tuple(words))
    return Type(kind="string", min_length=low, max_length=high)


def _number(draw: st.DrawFn, kind: str, *, listed: bool) -> Type:
    if kind == "integer" and listed and draw(st.sampled_from((False, False, True))):
        return Type(kind="integer", enum=tuple(draw(st.lists(st.integers(-2, 5), min_size=1, max_size=4, unique=True))))
    bound = st.integers(-3, 3) if kind == "integer" else st.sampled_from((-3, -0.5, 0, 0.1, 1, 2.5, 2**53))
    low, high = draw(st.none() | bound), draw(st.none() | bound)
    facts: dict[str, Any] = {draw(st.sampled_from(("minimum", "exclusive_minimum"))): low}
    if high is not None and (low is None or high >= low):
        facts[draw(st.sampled_from(("maximum", "exclusive_maximum")))] = high
    steps = (None, None, 1, 2, 3, 6) if kind == "integer" else (None, None, None, 0.05, 0.1, 0.5, 1)
    facts["multiple_of"] = draw(st.sampled_from(steps))
    if kind == "decimal":
        facts |= draw(st.sampled_from(({}, {"precision": 6, "scale": 2}, {"precision": 5, "scale": 3})))
    return Type(kind=kind, **facts)


@st.composite
def members_drawn(draw: st.DrawFn, depth: int = 2) -> tuple[Property, ...]:
    """Up to four properties."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    return tuple(
        Property(
            name=name,
            type=draw(kinds(depth)),
            required=draw(st.booleans()),
            aliases=draw(st.sampled_from(((), (), (), (f"{name}_old",)))),
        )
        for name in names
    )


# Mutations


def mutate(draw: st.DrawFn, properties: tuple[Property, ...]) -> tuple[Property, ...]:
    """One edit at any depth."""
    at = draw(st.integers(0, len(properties) - 1)) if properties else 0
    edits = ["add"] if not properties else [
        "type", "type", "type", "type", "required", "remove", "add", "rename", "alias", "order", "new type", "merge",
    ]  # fmt: skip
    edit = draw(st.sampled_from(edits))
    if edit == "add":
        name = draw(st.sampled_from(OTHER_NAMES))
        fresh = Property(name=name, type=draw(kinds(1)), required=draw(st.booleans()))
        return properties if any(name in (prop.name, *prop.aliases) for prop in properties) else (*properties, fresh)
    prop = properties[at]
    rest = properties[:at], properties[at + 1 :]
    match edit:
        case "remove":
            return (*rest[0], *rest[1])
        case "order":
            return (*rest[1], prop, *rest[0])
        case "merge":
            others = [other for other in (*rest[0], *rest[1]) if prop.name not in other.aliases]
            if not others:
                return properties
            one = draw(st.sampled_from(others))
            merged = replace(one, aliases=(*one.aliases, prop.name))
            return tuple(merged if other is one else other for other in (*rest[0], *rest[1]))
        case "required":
            prop = replace(prop, required=not prop.required)
        case "rename":
            taken = {word for other in properties for word in (other.name, *other.aliases)}
            name = draw(st.sampled_from([name for name in OTHER_NAMES if name not in taken] or [prop.name]))
            kept = (prop.name,) if draw(st.booleans()) and name != prop.name else ()
            prop = replace(prop, name=name, aliases=(*prop.aliases, *kept))
        case "alias":
            prop = replace(prop, aliases=() if prop.aliases else (f"{prop.name}_also",))
        case "new type":
            prop = replace(prop, type=draw(kinds(1)))
        case "type":
            prop = replace(prop, type=_edited(draw, prop.type))
    return (*rest[0], prop, *rest[1])


def _edited(draw: st.DrawFn, kind: Type) -> Type:  # noqa: PLR0911 - a table of kinds reads best as one
    if draw(st.integers(0, 9)) == 9:
        return replace(kind, nullable=not kind.nullable)
    match kind.kind:
        case "array":
            assert kind.items is not None
            if draw(st.booleans()):
                return replace(kind, items=_edited(draw, kind.items))
            low = draw(st.integers(0, 3))
            return replace(kind, min_items=low, max_items=draw(st.sampled_from((None, low, low + 2))))
        case "map":
            assert kind.values is not None
            if draw(st.booleans()):
                return replace(kind, values=_edited(draw, kind.values))
            return replace(kind, max_properties=draw(st.sampled_from((None, 1, 2, 3))))
        case "object":
            return replace(kind, properties=mutate(draw, kind.properties))
        case "union":
            at = draw(st.integers(0, len(kind.members) - 1))
            edit = draw(st.sampled_from(("member", "member", "drop", "order")))
            if edit == "member":
                members = list(kind.members)
                members[at] = replace(_edited(draw, members[at]), nullable=False, enum=None)
                return replace(kind, members=tuple(members))
            if edit == "order":
                return replace(kind, members=kind.members[::-1])
            left = kind.members[:at] + kind.members[at + 1 :]
            return replace(left[0], nullable=kind.nullable) if len(left) == 1 else replace(kind, members=left)
        case "boolean" | "date" | "datetime":
            return kind
    return _edited_scalar(draw, kind)


def _edited_scalar(draw: st.DrawFn, kind: Type) -> Type:
    if kind.enum is not None and draw(st.booleans()):
        pool: list[str | int] = [*WORDS] if kind.kind == "string" else [*range(-2, 6)]
        word = draw(st.sampled_from(pool))
        listed = tuple(value for value in kind.enum if value != word)
        return replace(kind, enum=(*kind.enum, word) if len(listed) == len(kind.enum) else listed or kind.enum)
    fresh = _plain(draw, kind.kind)
    if draw(st.booleans()):  # one keyword only, which is what people edit
        fields = sorted(EDITED[kind.kind])
        field = draw(
            st.sampled_from([name for name in fields if getattr(fresh, name) != getattr(kind, name)] or fields)
        )
        changed = replace(kind, **{field: getattr(fresh, field)})
        if field in ("pattern", "format"):
            return replace(changed, pattern=fresh.pattern, format=fresh.format, regex=fresh.regex)
        sided = {"minimum": "exclusive_minimum", "maximum": "exclusive_maximum"}
        sided |= {other: side for side, other in sided.items()}
        return replace(changed, **{sided[field]: None}) if field in sided else changed
    return replace(fresh, nullable=kind.nullable)


NUMERIC = {"minimum", "maximum", "exclusive_minimum", "exclusive_maximum", "multiple_of"}
EDITED = {
    "string": {"min_length", "max_length", "pattern", "format", "enum"},
    "integer": {*NUMERIC, "enum"},
    "number": NUMERIC,
    "decimal": {*NUMERIC, "precision", "scale"},
}


# Events


class Drawn:
    """Values drawn from the edges of a type."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def members(self, properties: tuple[Property, ...]) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for prop in properties:
            if prop.required or self.dice.random() < 0.6:
                words = [prop.name, prop.name, *prop.aliases]
                document[self.dice.choice(words)] = self.value(prop.type)
                if prop.aliases and self.dice.random() < 0.1:
                    document[self.dice.choice(words)] = self.value(prop.type)
        return document

    def value(self, kind: Type) -> Any:  # noqa: PLR0911 - one line a kind
        if kind.nullable and self.dice.random() < 0.25:
            return None
        match kind.kind:
            case "string":
                return self.text(kind)
            case "integer" | "number" | "decimal":
                return self.number(kind)
            case "boolean":
                return self.dice.random() < 0.5
            case "date":
                return self.dice.choice(DATES)
            case "datetime":
                return self.dice.choice(TIMES)
            case "union":
                return self.value(self.dice.choice(kind.members))
            case "object":
                return self.members(kind.properties)
            case "array":
                assert kind.items is not None
                return [self.value(kind.items) for _ in range(self.count(kind.min_items, kind.max_items))]
        assert kind.values is not None
        return {f"k{index}": self.value(kind.values) for index in range(self.count(0, kind.max_properties))}

    def count(self, low: int, high: int | None) -> int:
        return self.dice.choice((low, low + 1, low + 2) if high is None else (low, high, high))

    def text(self, kind: Type) -> str:
        if kind.enum is not None:
            return str(self.dice.choice(kind.enum))
        if kind.pattern is not None:
            return self.dice.choice(PATTERNS[kind.pattern])
        if kind.format is not None:
            return self.dice.choice(FORMATTED[kind.format])
        high = 8 if kind.max_length is None else kind.max_length
        if self.dice.random() < 0.4:
            return self.dice.choice(WORDS)
        return "é" * self.dice.choice((kind.min_length, min(kind.min_length + 1, high), high))

    def number(self, kind: Type) -> Any:
        if kind.enum is not None:
            return self.dice.choice(kind.enum)
        steps = (0, 1, -1) if kind.kind == "integer" else (0, 0, 1, -1, 0.05, -0.05, 0.001, -0.001)
        stated = (kind.minimum, kind.maximum, kind.exclusive_minimum, kind.exclusive_maximum, kind.multiple_of, 0)
        edges = [bound for bound in stated if bound is not None]
        number = self.dice.choice(edges) + self.dice.choice(steps)
        if kind.multiple_of is not None and self.dice.random() < 0.7:
            number = round(number / kind.multiple_of) * kind.multiple_of
            number = number if kind.kind == "integer" else round(number, 4)
        if kind.kind == "decimal":
            widest = 10 ** min(kind.precision - kind.scale, 15) - 1
            number = self.dice.choice((number, number, widest))
            return f"{number:.4f}" if self.dice.random() < 0.3 else number
        return number


def valid_by(properties: tuple[Property, ...]) -> Callable[[dict[str, Any]], bool]:
    """Is a document valid, whatever the class of violation?"""
    walk = members_of(properties)
    policy = policy_of_all(Action.QUARANTINE)

    def valid(document: dict[str, Any]) -> bool:
        out = Findings(policy, VIOLATIONS_MAX)
        walk(document, "/properties", out)
        return not out.listed

    return valid


def plan_of(properties: tuple[Property, ...]) -> Plan:
    """A plan of one event."""
    event = EventPlan(name="e", version="1.0.0", major=1, properties=properties, rules=RULES_NOW)
    return Plan(name="fuzz", version="1.0.0", events={"e": event}, history={}, rules=RULES_NOW)


@st.composite
def edits(draw: st.DrawFn) -> tuple[tuple[Property, ...], list[tuple[Property, ...]], int]:
    """Properties, what several edits make of them, and a seed for events."""
    old = draw(members_drawn())
    edited = [mutate(draw, old) for _ in range(EDITS)]
    edited = [mutate(draw, new) if draw(st.integers(0, 4)) == 4 else new for new in edited]
    return old, edited, draw(st.integers(0, 2**32))


def test_no_event_that_was_valid_is_refused_after_a_patch_or_minor() -> None:
    verdicts: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    count: Counter[str] = Counter()

    def events(drawn: Drawn, properties: tuple[Property, ...], number: int) -> list[Any]:
        return [decode_exact(msgspec.json.encode(drawn.members(properties))) for _ in range(number)]

    @given(drawn_edits=edits())
    @settings(max_examples=-(-MUTATIONS // EDITS), deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def fuzz(drawn_edits: tuple[tuple[Property, ...], list[tuple[Property, ...]], int]) -> None:
        old, edited, seed = drawn_edits
        before, drawn = valid_by(old), Drawn(seed)
        documents = events(drawn, old, OF_OLD)
        fitting = [document for document in documents if before(document)]
        for new in edited:
            changes = compare(plan_of(old), plan_of(new))
            after = valid_by(new)
            others = [document for document in events(drawn, new, OF_NEW) if before(document)]
            refused = [document for document in (*fitting, *others) if not after(document)]
            count["events"] += OF_OLD + OF_NEW
            count["valid"] += len(fitting) + len(others)
            verdicts[changes.bump.word] += 1
            rules.update({finding.rule for finding in changes.findings})
            if changes.bump is Bump.MAJOR:
                count["witnessed"] += bool(refused)
            else:
                assert not refused, (changes.findings, refused[0])
            assert changes.bump is not Bump.ERROR
            assert (changes.bump is Bump.NONE) == (old == new)

    fuzz()
    made = sum(verdicts.values())
    share = count["witnessed"] / max(verdicts["major"], 1)
    print(f"\n{made:,} mutations, {count['events']:,} events ({count['valid']:,} valid before), 0 unsound")
    print(f"verdicts {dict(verdicts)}; {share:.1%} of majors have an event that was valid and is refused")
    print(f"{len(rules)} rules met: {', '.join(f'{rule} {times:,}' for rule, times in rules.most_common())}")
    # A test that draws only refused events, or only majors, would promise nothing.
    assert made >= MUTATIONS
    assert count["valid"] > 0.3 * count["events"]
    assert verdicts["minor"] > 0.1 * made
    assert share > 0.5
    assert set(rules) <= set(RULES)


@pytest.mark.parametrize("seed", range(3))
def test_the_events_above_reach_both_verdicts(seed: int) -> None:
    properties = (
        Property(name="a", type=Type(kind="integer", minimum=1, maximum=3), required=True),
        Property(name="b", type=Type(kind="string", enum=("x", "y"))),
    )
    drawn, valid = Drawn(seed), valid_by(properties)
    found = {valid(decode_exact(msgspec.json.encode(drawn.members(properties)))) for _ in range(100)}
    assert found == {True, False}
