"""compare: which rule each change falls under, and the versions that follow."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, Protocol

import msgspec
import pytest
from msgspec.structs import fields, replace

from collector.plan import load_plan
from collector.plan.changes import RULES, Bump, Changes, next_version
from collector.plan.changes_text import Groups, as_json, as_markdown, as_text, shared
from collector.plan.compat import Retired, Seen, compare
from collector.plan.model import (
    DEFAULT_ACTIONS,
    PROD,
    Accept,
    Action,
    Column,
    Environment,
    EventPlan,
    EventTest,
    Expect,
    Expected,
    Journey,
    Limits,
    Naming,
    Pii,
    Plan,
    Property,
    Rule,
    Sampling,
    Semantic,
    Step,
    Type,
    Upcast,
)
from collector.plan.pattern import translate
from collector.reason import Reason

TODAY = datetime.date(2026, 11, 22)
HEAD = "format: 1\nplan: test\nversion: 1.0.0\n"


def write(folder: Path, files: Mapping[str, str]) -> Plan:
    """The plan of these files."""
    for name, text in {"plan.yaml": HEAD, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return load_plan(folder)


def event(properties: str, more: str = "", version: str = "1.0.0") -> str:
    """The file of the event e."""
    body = f"properties:\n{indent(dedent(properties).strip(), '  ')}\n" if properties.strip() else ""
    return f"event: e\nversion: {version}\n{body}{dedent(more)}"


class Comparing(Protocol):
    """Compare two folders, given as files."""

    def __call__(
        self,
        before: Mapping[str, str],
        after: Mapping[str, str],
        *,
        seen: Seen | None = None,
        retired: Retired | None = None,
    ) -> Changes: ...


@pytest.fixture
def compared(tmp_path: Path) -> Comparing:
    numbers = count()

    def run(
        before: Mapping[str, str], after: Mapping[str, str], *, seen: Seen | None = None, retired: Retired | None = None
    ) -> Changes:
        folder = tmp_path / str(next(numbers))
        old, new = write(folder / "old", before), write(folder / "new", after)
        return compare(old, new, today=TODAY, seen=seen, retired=retired or Retired())

    return run


def rules(changes: Changes) -> list[str]:
    return sorted(finding.rule for finding in changes.findings)


# One property before, the same after, and the rules between them.
PROPERTIES: dict[str, tuple[str, str, list[str]]] = {
    "nothing": ("a: {type: string}", "a: {type: string}", []),
    "a default written out": ("a: {type: string}", "a: {type: string, maxLength: 4096}", []),
    "description": ("a: {type: string}", "a: {type: string, description: An a.}", ["DESCRIPTION_CHANGED"]),
    "owner": ("a: {type: string}", "a: {type: string, owner: team-x}", ["OWNER_CHANGED"]),
    "tags": ("a: {type: string}", "a: {type: string, tags: [core]}", ["TAGS_CHANGED"]),
    "examples": ("a: {type: string}", "a: {type: string, examples: [x]}", ["EXAMPLES_CHANGED"]),
    "deprecated": ("a: {type: string}", "a: {type: string, deprecated: send b}", ["DEPRECATED_CHANGED"]),
    "order": ("a: {type: string}\nb: {type: string}", "b: {type: string}\na: {type: string}", ["WORDS_CHANGED"]),
    "optional added": ("", "a: {type: string}", ["PROPERTY_ADDED"]),
    "required added": ("", "a: {type: string, required: true}", ["REQUIRED_PROPERTY_ADDED"]),
    "removed": ("a: {type: string}", "", ["PROPERTY_REMOVED"]),
    "required to optional": ("a: {type: string, required: true}", "a: {type: string}", ["REQUIRED_REMOVED"]),
    "optional to required": ("a: {type: string}", "a: {type: string, required: true}", ["REQUIRED_ADDED"]),
    "nullable added": ("a: {type: string}", "a: {type: string, nullable: true}", ["NULLABLE_ADDED"]),
    "nullable removed": ("a: {type: string, nullable: true}", "a: {type: string}", ["NULLABLE_REMOVED"]),
    "enum value added": ("a: {enum: [x], type: string}", "a: {enum: [x, y], type: string}", ["ENUM_VALUE_ADDED"]),
    "enum value removed": ("a: {enum: [x, y], type: string}", "a: {enum: [x], type: string}", ["ENUM_VALUE_REMOVED"]),
    "enum value changed": (
        "a: {enum: [x], type: string}",
        "a: {enum: [y], type: string}",
        ["ENUM_VALUE_ADDED", "ENUM_VALUE_REMOVED"],
    ),
    "enum order": ("a: {enum: [x, y], type: string}", "a: {enum: [y, x], type: string}", ["WORDS_CHANGED"]),
    "enum removed": ("a: {enum: [x], type: string}", "a: {type: string}", ["ENUM_REMOVED"]),
    "enum removed, bounds added": (
        "a: {enum: [xxx], type: string}",
        "a: {type: string, maxLength: 2}",
        ["ENUM_VALUE_REMOVED"],
    ),
    "enum added": ("a: {type: string}", "a: {enum: [x], type: string}", ["ENUM_ADDED"]),
    "const to enum": ("a: {const: x, type: string}", "a: {enum: [x, y], type: string}", ["ENUM_VALUE_ADDED"]),
    "enum of integers": ("a: {enum: [1, 2], type: integer}", "a: {enum: [1], type: integer}", ["ENUM_VALUE_REMOVED"]),
    "a listed value that the length forbids": (
        "a: {enum: [x, xxx], type: string}",
        "a: {enum: [x, xxx], type: string, maxLength: 2}",
        ["ENUM_VALUE_REMOVED"],
    ),
    "minimum lowered": ("a: {type: integer, minimum: 2}", "a: {type: integer, minimum: 1}", ["BOUND_WIDENED"]),
    "minimum raised": ("a: {type: integer, minimum: 1}", "a: {type: integer, minimum: 2}", ["BOUND_NARROWED"]),
    "minimum removed": ("a: {type: integer, minimum: 1}", "a: {type: integer}", ["BOUND_REMOVED"]),
    "maximum added": ("a: {type: number}", "a: {type: number, maximum: 1}", ["BOUND_ADDED"]),
    "maximum raised": ("a: {type: number, maximum: 1}", "a: {type: number, maximum: 1.5}", ["BOUND_WIDENED"]),
    "maximum excluded": ("a: {type: number, maximum: 1}", "a: {type: number, exclusiveMaximum: 1}", ["BOUND_NARROWED"]),
    "the same bound of an integer": (
        "a: {type: integer, minimum: 5}",
        "a: {type: integer, exclusiveMinimum: 4}",
        ["WORDS_CHANGED"],
    ),
    "bounds alike as floats": (
        "a: {type: number, minimum: 9007199254740993}",
        "a: {type: number, exclusiveMinimum: 9007199254740992}",
        ["BOUND_NARROWED"],
    ),
    "step added": ("a: {type: integer}", "a: {type: integer, multipleOf: 2}", ["BOUND_ADDED"]),
    "step removed": ("a: {type: integer, multipleOf: 2}", "a: {type: integer}", ["BOUND_REMOVED"]),
    "step divided": ("a: {type: number, multipleOf: 0.1}", "a: {type: number, multipleOf: 0.05}", ["BOUND_WIDENED"]),
    "step multiplied": ("a: {type: number, multipleOf: 0.1}", "a: {type: number, multipleOf: 0.2}", ["BOUND_NARROWED"]),
    "step too small to tell": (
        "a: {type: number, multipleOf: 1}",
        "a: {type: number, multipleOf: 1.0e-200}",
        ["BOUND_NARROWED"],
    ),
    "longer": ("a: {type: string, maxLength: 3}", "a: {type: string, maxLength: 4}", ["BOUND_WIDENED"]),
    "shorter": ("a: {type: string, maxLength: 3}", "a: {type: string, maxLength: 2}", ["BOUND_NARROWED"]),
    "shorter than the limit of the plan": ("a: {type: string}", "a: {type: string, maxLength: 9}", ["BOUND_NARROWED"]),
    "least length added": ("a: {type: string}", "a: {type: string, minLength: 1}", ["BOUND_ADDED"]),
    "more items": ("a: {type: array, maxItems: 3}", "a: {type: array, maxItems: 4}", ["BOUND_WIDENED"]),
    "fewer items": ("a: {type: array, maxItems: 3}", "a: {type: array, maxItems: 2}", ["BOUND_NARROWED"]),
    "least items removed": ("a: {type: array, minItems: 3}", "a: {type: array}", ["BOUND_REMOVED"]),
    "more keys": ("a: {type: map, maxProperties: 3}", "a: {type: map, maxProperties: 4}", ["BOUND_WIDENED"]),
    "keys bounded": ("a: {type: map}", "a: {type: map, maxProperties: 4}", ["BOUND_ADDED"]),
    "pattern added": (
        "a: {type: string, maxLength: 3}",
        "a: {type: string, maxLength: 3, pattern: x}",
        ["PATTERN_ADDED"],
    ),
    "pattern removed": (
        "a: {type: string, maxLength: 3, pattern: x}",
        "a: {type: string, maxLength: 3}",
        ["PATTERN_REMOVED"],
    ),
    "pattern changed": (
        "a: {type: string, maxLength: 3, pattern: x}",
        "a: {type: string, maxLength: 3, pattern: x*}",
        ["PATTERN_CHANGED"],
    ),
    "format changed": (
        "a: {type: string, format: email, maxLength: 9}",
        "a: {type: string, format: uri, maxLength: 9}",
        ["PATTERN_CHANGED"],
    ),
    "a format that is a type": ("a: {type: string}", "a: {type: string, format: date}", ["TYPE_CHANGED"]),
    "integer to number": ("a: {type: integer}", "a: {type: number}", ["TYPE_CHANGED"]),
    "number to decimal": ("a: {type: number}", "a: {type: decimal}", ["TYPE_CHANGED"]),
    "string to union": ("a: {type: string}", "a: {type: [string, integer]}", ["TYPE_CHANGED"]),
    "union widened": ("a: {type: [string, integer]}", "a: {type: [string, integer, boolean]}", ["TYPE_CHANGED"]),
    "union in another order": ("a: {type: [string, integer]}", "a: {type: [integer, string]}", ["WORDS_CHANGED"]),
    "a member of a union": (
        "a: {type: [string, integer], maximum: 3}",
        "a: {type: [string, integer], maximum: 2}",
        ["BOUND_NARROWED"],
    ),
    "object to map": ("a: {properties: {b: {type: string}}}", "a: {type: object}", ["TYPE_CHANGED"]),
    "items": ("a: {items: {type: integer}}", "a: {items: {type: string}}", ["TYPE_CHANGED"]),
    "items of anything": ("a: {type: array}", "a: {items: string}", ["TYPE_CHANGED"]),
    "items nullable": (
        "a: {items: {type: integer}}",
        "a: {items: {type: integer, nullable: true}}",
        ["NULLABLE_ADDED"],
    ),
    "values": ("a: {values: {type: integer, maximum: 3}}", "a: {values: {type: integer}}", ["BOUND_REMOVED"]),
    "a member of an object": (
        "a: {properties: {b: {type: string}}}",
        "a: {properties: {b: {type: string}, c: {type: string}}}",
        ["PROPERTY_ADDED"],
    ),
    "a required member of the items": (
        "a: {items: {properties: {b: {type: string}}}}",
        "a: {items: {properties: {b: {type: string, required: true}}}}",
        ["REQUIRED_ADDED"],
    ),
    "more digits": ("a: {type: decimal}", "a: {type: decimal, precision: 20, scale: 6}", ["PRECISION_WIDENED"]),
    "fewer places": ("a: {type: decimal}", "a: {type: decimal, precision: 18, scale: 2}", ["PRECISION_NARROWED"]),
    "more places, fewer digits": (
        "a: {type: decimal}",
        "a: {type: decimal, precision: 18, scale: 6}",
        ["PRECISION_NARROWED"],
    ),
    "rename with an alias": ("a: {type: string}", "b: {type: string, aliases: [a]}", ["PROPERTY_RENAMED"]),
    "rename without": ("a: {type: string}", "b: {type: string}", ["PROPERTY_ADDED", "PROPERTY_REMOVED"]),
    "rename and type": (
        "a: {type: string}",
        "b: {type: integer, aliases: [a]}",
        ["PROPERTY_RENAMED", "TYPE_CHANGED"],
    ),
    "alias added": ("a: {type: string}", "a: {type: string, aliases: [b]}", ["ALIAS_ADDED"]),
    "alias removed": ("a: {type: string, aliases: [b]}", "a: {type: string}", ["ALIAS_REMOVED"]),
    "alias becomes a property": (
        "a: {type: string, aliases: [b]}",
        "a: {type: string}\nb: {type: string}",
        ["ALIAS_REMOVED", "PROPERTY_ADDED"],
    ),
    "name and alias swapped": (
        "a: {type: string, aliases: [b]}",
        "b: {type: string, aliases: [a]}",
        ["PROPERTY_RENAMED"],
    ),
    "two properties become one": (
        "a: {type: string}\nb: {type: string}",
        "b: {type: string, aliases: [a]}",
        ["ALIAS_ADDED", "PROPERTY_MERGED"],
    ),
    "unit": ("a: {type: integer, unit: s}", "a: {type: integer, unit: ms}", ["UNIT_CHANGED"]),
    "unit of the items": ("a: {items: {type: integer}}", "a: {items: {type: integer, unit: ms}}", ["UNIT_CHANGED"]),
    "column": ("a: {type: string}", "a: {type: string, column: {type: LowCardinality(String)}}", ["COLUMN_CHANGED"]),
    "pii": (
        "a: {type: string, pii: {class: name, handling: keep}}",
        "a: {type: string, pii: {class: name, handling: sha256}}",
        ["PII_CHANGED"],
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), PROPERTIES.values(), ids=PROPERTIES)
def test_a_change_of_a_property_falls_under_its_rule(
    compared: Comparing, before: str, after: str, expected: list[str]
) -> None:
    changes = compared({"events/e.yaml": event(before)}, {"events/e.yaml": event(after)})
    assert rules(changes) == sorted(expected)
    assert changes.bump == max((RULES[rule][0] for rule in expected), default=Bump.NONE)
    assert all(finding.event == "e" and finding.sentence for finding in changes.findings)


# Events: the lines of the file after `properties`, before and after.
A = "a: {type: decimal, minimum: 0, maximum: 100}\nb: {type: decimal}"
EVENTS: dict[str, tuple[str, str, list[str]]] = {
    "description": ("", "description: An e.", ["DESCRIPTION_CHANGED"]),
    "trigger": ("", "trigger: Now.", ["TRIGGER_CHANGED"]),
    "owner": ("owner: x", "owner: y", ["OWNER_CHANGED"]),
    "tags": ("tags: [x]", "tags: [y]", ["TAGS_CHANGED"]),
    "deprecated": ("", "deprecated: true", ["DEPRECATED_CHANGED"]),
    "expect": ("", "expect: {daily: {min: 1}}", ["EXPECT_CHANGED"]),
    "tests": ("", "tests: [{valid: {}}]", ["TESTS_CHANGED"]),
    "sunset set": ("", "sunset: 2027-01-01", ["SUNSET_POSTPONED"]),
    "sunset postponed": ("sunset: 2027-01-01", "sunset: 2027-02-01", ["SUNSET_POSTPONED"]),
    "sunset taken back": ("sunset: 2027-01-01", "", ["SUNSET_POSTPONED"]),
    "sunset brought forward": ("sunset: 2027-02-01", "sunset: 2027-01-01", ["SUNSET_BROUGHT_FORWARD"]),
    "sunset set to a day that has passed": (
        "",
        "sunset: 2026-11-22",
        ["LAST_MAJOR_PAST_SUNSET", "SUNSET_BROUGHT_FORWARD"],
    ),
    "sampling": ("", "sampling: {rate: 0.5}", ["SAMPLING_CHANGED"]),
    "consent": ("", "consent: [analytics]", ["CONSENT_CHANGED"]),
    "enforcement": ("", "enforce: {constraint: flag}", ["ENFORCEMENT_CHANGED"]),
    "enforcement from a day on": (
        "enforce: {unknown_property: quarantine}",
        "enforce: {unknown_property: {action: quarantine, from: 2027-01-01}}",
        ["ENFORCEMENT_CHANGED"],
    ),
    "a conversion": ("", "semantic: {conversion: macro}", ["SEMANTIC_ADDED"]),
    "another conversion": ("semantic: {conversion: micro}", "semantic: {conversion: macro}", ["SEMANTIC_CHANGED"]),
    "no conversion": ("semantic: {conversion: micro}", "", ["SEMANTIC_CHANGED"]),
    "a value that fits its column": ("", "semantic: {value: a}", ["SEMANTIC_ADDED"]),
    "a value that may not fit its column": ("", "semantic: {value: b}", ["SEMANTIC_CHANGED"]),
    "another value": ("semantic: {value: b}", "semantic: {value: a}", ["SEMANTIC_CHANGED"]),
}


@pytest.mark.parametrize(("before", "after", "expected"), EVENTS.values(), ids=EVENTS)
def test_a_change_of_an_event_falls_under_its_rule(
    compared: Comparing, before: str, after: str, expected: list[str]
) -> None:
    changes = compared({"events/e.yaml": event(A, before)}, {"events/e.yaml": event(A, after)})
    assert rules(changes) == expected


PLANS: dict[str, tuple[str, str, list[str]]] = {
    "description": ("", "description: A plan.", ["DESCRIPTION_CHANGED"]),
    "owners": ("", "owners: [x]", ["OWNER_CHANGED"]),
    "naming": ("", "naming: {reserved: [id]}", ["NAMING_CHANGED"]),
    "what happens to unknown events": ("", "enforce: {unknown_event: quarantine}", ["ENFORCEMENT_CHANGED"] * 2),
    "an environment": ("", "environments: {dev: {enforce: {constraint: flag}}}", ["ENFORCEMENT_CHANGED"] * 2),
    "who is told": (
        "environments: {dev: {report: ci}}",
        "environments: {dev: {report: browser_console}}",
        ["WORDS_CHANGED"],
    ),
    "a lower limit": ("", "limits: {max_event_bytes: 1000}", ["LIMIT_LOWERED"]),
    "a higher limit": ("", "limits: {max_event_bytes: 40000}", ["LIMIT_RAISED"]),
    "another limit": ("", "limits: {max_extra_properties: 3}", ["WORDS_CHANGED"]),
    "shorter texts": ("", "limits: {max_string: 100}", ["BOUND_NARROWED", "WORDS_CHANGED"]),
}


@pytest.mark.parametrize(("before", "after", "expected"), PLANS.values(), ids=PLANS)
def test_a_change_of_the_plan_falls_under_its_rule(
    compared: Comparing, before: str, after: str, expected: list[str]
) -> None:
    e = {"events/e.yaml": event("a: {type: string}")}
    changes = compared({"plan.yaml": f"{HEAD}{before}", **e}, {"plan.yaml": f"{HEAD}{after}", **e})
    assert rules(changes) == expected


def test_an_added_event_is_minor_and_a_removed_one_major(compared: Comparing) -> None:
    one, two = {"events/e.yaml": event("a: string")}, {"events/f.yaml": "event: f\nversion: 1.0.0\n"}
    added = compared(one, one | two)
    assert rules(added) == ["EVENT_ADDED"]
    assert (added.plan.next, added.refused) == ("1.1.0", False)


def test_removing_an_event_is_asked_for_in_plan_yaml(compared: Comparing, tmp_path: Path) -> None:
    files = {"events/e.yaml": event("a: {type: string}"), "events/f.yaml": "event: f\nversion: 1.0.0\n"}
    old = write(tmp_path / "a", files)
    new = write(tmp_path / "b", {"events/e.yaml": files["events/e.yaml"]})
    removed = compare(old, new)
    assert rules(removed) == ["EVENT_REMOVED"]
    assert removed.refused
    assert removed.plan.next == "2.0.0"
    asked = compare(old, replace(new, version="2.0.0"))
    assert not asked.refused
    assert asked.plan.next == "2.0.0"


# Versions


@pytest.mark.parametrize(
    ("old", "bump", "expected"),
    [
        ("1.4.2", Bump.NONE, "1.4.2"),
        ("1.4.2", Bump.PATCH, "1.4.3"),
        ("1.4.2", Bump.MINOR, "1.5.0"),
        ("1.4.2", Bump.MAJOR, "2.0.0"),
        ("1.9.0", Bump.MINOR, "1.10.0"),
    ],
)
def test_the_version_is_computed(old: str, bump: Bump, expected: str) -> None:
    assert next_version(old, bump) == expected


OLD = {"events/e.yaml": event("a: {type: string}", version="1.2.0")}
HEAD11 = HEAD.replace("1.0.0", "1.1.0")
FROZEN = "event: e@1\nversion: 1.2.0\nproperties:\n  a: {type: string, maxLength: 4096}\n"


def test_a_major_that_nobody_asked_for_is_refused(compared: Comparing) -> None:
    changes = compared(OLD, {"events/e.yaml": event("b: {type: string}", version="1.2.0")})
    assert changes.refused
    assert [finding.rule for finding in changes.unasked] == ["PROPERTY_REMOVED"]
    assert changes.events["e"].next == "2.0.0"


def test_a_major_is_asked_for_by_the_version_and_accept(compared: Comparing) -> None:
    new = event("b: {type: string}", "accept: [{major: 1}]\n", version="2.0.0")
    changes = compared(OLD, {"events/e.yaml": new, "history/e@1.yaml": FROZEN})
    assert rules(changes) == ["MAJOR_RAISED", "PROPERTY_ADDED", "PROPERTY_REMOVED"]
    assert not changes.refused
    assert (changes.events["e"].asked, changes.events["e"].next, changes.plan.next) == (True, "2.0.0", "2.0.0")


def test_a_new_major_that_drops_the_old_one_is_not_asked_for(compared: Comparing) -> None:
    changes = compared(OLD, {"events/e.yaml": event("b: {type: string}", version="2.0.0")})
    assert "ACCEPT_REMOVED" in rules(changes)
    assert changes.refused


@pytest.mark.parametrize("stated", ["1.2.1", "1.3.1", "1.9.0", "3.0.0", "2.1.0"])
def test_a_version_that_somebody_typed_is_refused_in_a_sentence_that_says_the_computed_one(
    tmp_path: Path, stated: str
) -> None:
    old = write(tmp_path / "a", OLD)
    new = write(tmp_path / "b", {"events/e.yaml": event("a: {type: string}\nb: {type: string}", version="1.2.0")})
    events = {"e": replace(new.events["e"], version=stated, major=int(stated[0]))}
    typed = compare(old, replace(new, events=events), released=old)
    (error,) = typed.errors
    computed = "1.3.0 (minor, after 1.2.0)" if stated.startswith("1") else "2.0.0 (major, after 1.2.0)"
    assert (error.rule, typed.refused) == ("VERSION_TYPED", True)
    assert error.sentence == (
        f"its file states {stated}, computed is {computed}; put 1.2.0 back, as a release writes the next version, or "
        "ask for a new major with 2.0.0"
    )
    (error,) = compare(old, replace(new, version=stated), released=old).errors
    assert error.sentence.startswith(f"plan.yaml states {stated}, computed is ")


def test_versions_are_held_against_the_release_they_follow_not_against_what_is_compared(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"events/e.yaml": event("a: {type: string}")})
    wider = event("a: {type: string}\nb: {type: string}")
    second = write(tmp_path / "b", {"events/e.yaml": wider.replace("1.0.0", "1.1.0"), "plan.yaml": HEAD11})
    words = wider.replace("1.0.0", "1.1.1") + "description: Words.\n"
    third = write(tmp_path / "c", {"events/e.yaml": words, "plan.yaml": HEAD11.replace("1.1.0", "1.1.1")})
    # Two releases lie between: 1.1.1 is right, and it is what the event is at.
    both = compare(first, third, released=third)
    assert (both.refused, both.events["e"].computed, both.events["e"].next) == (False, "1.1.0", "1.1.1")
    assert rules(compare(first, third, released=first)).count("VERSION_TYPED") == 2
    assert rules(compare(first, third, released=second)) == rules(both)  # a cut release wrote what is computed


def test_what_no_rule_names_still_gets_another_version(tmp_path: Path) -> None:
    old = write(tmp_path / "a", {"events/e.yaml": event("n: {type: number, minimum: 1}")})
    same = write(tmp_path / "b", {"events/e.yaml": event("n: {type: number, minimum: 1.0}")})
    changes = compare(old, same, released=old)
    assert rules(changes) == ["WORDS_CHANGED"]
    assert (changes.events["e"].next, changes.plan.next) == ("1.0.1", "1.0.1")


def test_a_lowered_version_is_an_error(compared: Comparing) -> None:
    changes = compared(OLD, {"events/e.yaml": event("a: {type: string}", version="1.1.9")})
    assert rules(changes) == ["VERSION_LOWERED"]
    assert changes.refused
    lowered = compared({"plan.yaml": HEAD.replace("1.0.0", "1.1.0")}, {"plan.yaml": HEAD})
    assert rules(lowered) == ["VERSION_LOWERED"]


# Older majors


def accepting(accept: str, frozen: str = FROZEN) -> dict[str, str]:
    """The event e at 2.0.0, and its first major in history/."""
    new = event("b: {type: string}", f"accept: [{accept}]\n" if accept else "", version="2.0.0")
    return {"events/e.yaml": new, "history/e@1.yaml": frozen}


ACCEPTS: dict[str, tuple[str, str, list[str]]] = {
    "a last day": ("{major: 1}", "{major: 1, until: 2027-01-01}", ["UNTIL_POSTPONED"]),
    "a later day": ("{major: 1, until: 2027-01-01}", "{major: 1, until: 2027-01-02}", ["UNTIL_POSTPONED"]),
    "an earlier day": ("{major: 1, until: 2027-01-02}", "{major: 1, until: 2027-01-01}", ["UNTIL_BROUGHT_FORWARD"]),
    "no longer": ("{major: 1}", "", ["ACCEPT_REMOVED"]),
    "no longer, before its last day": ("{major: 1, until: 2026-11-22}", "", ["ACCEPT_REMOVED"]),
    "no longer, after its last day": ("{major: 1, until: 2026-11-21}", "", ["ACCEPT_ENDED"]),
    "again": ("", "{major: 1}", ["ACCEPT_ADDED"]),
    "upcast": ("{major: 1}", "{major: 1, upcast: {rename: {a: b}}}", ["UPCAST_CHANGED"]),
}


@pytest.mark.parametrize(("before", "after", "expected"), ACCEPTS.values(), ids=ACCEPTS)
def test_a_change_of_accept_falls_under_its_rule(
    compared: Comparing, before: str, after: str, expected: list[str]
) -> None:
    changes = compared(accepting(before), accepting(after))
    assert rules(changes) == expected
    assert changes.refused == (max(RULES[rule][0] for rule in expected) >= Bump.MAJOR)


@pytest.mark.parametrize(
    "edit",
    [
        FROZEN.replace("4096", "100"),
        FROZEN.replace("{type: string, maxLength: 4096}", "{type: string, maxLength: 4096, description: Words.}"),
        FROZEN + "  b: {type: string}\n",
        FROZEN + "semantic: {conversion: macro}\n",
        FROZEN + "description: Words.\n",
        FROZEN + "sampling: {rate: 0.5}\n",
        FROZEN + "enforce: {constraint: flag}\n",
        FROZEN + "tests: [{valid: {a: x}}]\n",
    ],
    ids=["bound", "words", "property", "meaning", "description", "sampling", "rules", "tests"],
)
def test_a_frozen_major_may_not_change(compared: Comparing, edit: str) -> None:
    changes = compared(accepting("{major: 1}"), accepting("{major: 1}", edit))
    assert rules(changes) == ["HISTORY_EDITED"]
    assert changes.refused
    at_once = compared(OLD, accepting("{major: 1}", edit))
    assert "HISTORY_EDITED" in rules(at_once)


def test_a_frozen_major_may_be_written_otherwise(compared: Comparing) -> None:
    commented = "# Words.\n" + FROZEN.replace(", maxLength: 4096", "")
    assert rules(compared(accepting("{major: 1}"), accepting("{major: 1}", commented))) == []


def test_a_removed_name_is_not_used_again_with_another_type(compared: Comparing) -> None:
    before = accepting("{major: 1}")
    for again, expected in (("integer", ["PROPERTY_ADDED", "REMOVED_NAME_REUSED"]), ("string", ["PROPERTY_ADDED"])):
        after = before | {"events/e.yaml": before["events/e.yaml"].replace("  b:", f"  a: {{type: {again}}}\n  b:")}
        assert rules(compared(before, after)) == expected
    retired = Retired(kinds={"e": {"/properties/c/d": ["date"]}})
    files = {"events/e.yaml": event("c: {properties: {x: {type: date}}}")}
    again = files["events/e.yaml"].replace("x: {type: date}", "x: {type: date}, d: {type: string}")
    assert "REMOVED_NAME_REUSED" in rules(compared(files, {"events/e.yaml": again}, retired=retired))


def test_an_event_comes_back_under_a_new_major(compared: Comparing) -> None:
    retired = Retired(majors={"e": [1, 2]})
    for version, expected in (("2.5.0", "MAJOR_REUSED"), ("3.0.0", "EVENT_ADDED")):
        assert rules(compared({}, {"events/e.yaml": event("a: {type: string}", version=version)}, retired=retired)) == [
            expected
        ]


def test_an_event_past_its_sunset_is_an_error_even_if_nothing_changed(compared: Comparing) -> None:
    for day, expected in (("2026-11-22", ["LAST_MAJOR_PAST_SUNSET"]), ("2026-11-23", [])):
        files = {"events/e.yaml": event("a: {type: string}", f"sunset: {day}\n")}
        assert rules(compared(files, files)) == expected


# Names that were seen


@pytest.mark.parametrize(
    ("kind", "seen", "contradicted"),
    [
        ("{type: string}", ["string"], False),
        ("{type: string}", ["string", "integer"], True),
        ("{type: string}", ["null"], True),
        ("{type: string, nullable: true}", ["null", "string"], False),
        ("{type: integer}", ["number"], True),
        ("{type: number}", ["integer", "number"], False),
        ("{type: decimal}", ["string", "integer"], False),
        ("{type: decimal}", ["boolean"], True),
        ("{type: [string, integer]}", ["string", "integer"], False),
        ("{type: array}", ["array"], False),
        ("{type: array}", ["object"], True),
        ("{type: map}", ["object"], False),
        ("{type: datetime}", ["string"], False),
    ],
)
def test_an_optional_property_that_senders_contradict_is_a_major(
    compared: Comparing, kind: str, seen: list[str], contradicted: bool
) -> None:
    after = event(f"a: {{type: string}}\nb: {kind}")
    changes = compared({"events/e.yaml": event("a: {type: string}")}, {"events/e.yaml": after}, seen={"e": {"b": seen}})
    assert ("SEEN_WITH_OTHER_TYPE" in rules(changes)) == contradicted
    assert (changes.bump is Bump.MAJOR) == contradicted
    unrelated = compared(
        {"events/e.yaml": event("a: {type: string}")}, {"events/e.yaml": after}, seen={"f": {"b": seen}}
    )
    assert rules(unrelated) == ["PROPERTY_ADDED"]


@pytest.mark.parametrize(
    ("path", "kind", "contradicted"),
    [
        ("items/*/colour", "string", True),
        ("items/*/colour", "integer", False),
        ("box/colour", "string", True),
        ("colour", "string", False),
        ("items/colour", "string", False),
        ("by_key/red/colour", "string", True),
        ("by_key/*/colour", "string", True),
        ("box/a~1b", "string", True),
    ],
)
def test_a_nested_name_that_was_seen_with_another_type_needs_a_major(
    compared: Comparing, path: str, kind: str, contradicted: bool
) -> None:
    def files(more: str) -> dict[str, str]:
        inner = f"{{type: object, properties: {{a: {{type: string}}{more}}}}}"
        members = f"items: {{type: array, items: {inner}}}\nbox: {inner}\nby_key: {{type: map, values: {inner}}}"
        return {"plan.yaml": HEAD + 'naming: {properties: "^."}\n', "events/e.yaml": event(members)}

    added = files(', colour: {type: integer}, "a/b": {type: integer}')
    changes = compared(files(""), added, seen={"e": {path: [kind]}})
    found = [one for one in changes.findings if one.rule == "SEEN_WITH_OTHER_TYPE"]
    assert (bool(found), changes.refused) == (contradicted, contradicted)
    if found:
        assert found[0].pointer == f"/properties/{path.replace('/red/', '/*/')}"


def test_an_alias_that_was_seen_with_another_type_counts_too(compared: Comparing) -> None:
    after = event("a: {type: string}\nb: {type: integer, aliases: [c]}")
    changes = compared(
        {"events/e.yaml": event("a: {type: string}")}, {"events/e.yaml": after}, seen={"e": {"c": ["string"]}}
    )
    assert "SEEN_WITH_OTHER_TYPE" in rules(changes)
    late = event("a: {type: string, aliases: [c]}")
    changes = compared(
        {"events/e.yaml": event("a: {type: string}")}, {"events/e.yaml": late}, seen={"e": {"c": ["object"]}}
    )
    assert rules(changes) == ["ALIAS_ADDED", "SEEN_WITH_OTHER_TYPE"]


# Edits that several events share

COMMERCE = "group: commerce\nproperties:\n  currency: {type: string}\n  items: {type: array, items: line}\n"
LINE = "entities:\n  line:\n    properties:\n      sku: {type: string}\n"
SHOP = {
    "groups/commerce.yaml": COMMERCE,
    "entities.yaml": LINE,
    **{
        f"events/{name}.yaml": f"event: {name}\nversion: 1.0.0\nuse: [commerce]\n"
        for name in ("cart", "order", "refund")
    },
    "events/view.yaml": "event: view\nversion: 1.0.0\n",
}
USED = Groups(dict.fromkeys(("cart", "order", "refund"), ("commerce",)), {"commerce": frozenset({"currency", "items"})})


def test_a_group_edit_names_every_event_and_is_summed_up_once(compared: Comparing) -> None:
    after = SHOP | {"groups/commerce.yaml": COMMERCE.replace("{type: string}", "{type: string, required: true}")}
    changes = compared(SHOP, after)
    assert [finding.event for finding in changes.findings] == ["cart", "order", "refund"]
    assert set(rules(changes)) == {"REQUIRED_ADDED"}
    (one,) = shared(changes, USED)
    assert one.head() == "group commerce: major for 3 events"
    lines = as_text(changes, USED, "lock")
    assert lines[0] == "group commerce: major for 3 events: cart, order, refund"
    assert sum("currency is required now" in line for line in lines) == 1
    assert as_json(changes, USED)["shared"][0]["group"] == "commerce"


def test_an_edit_of_an_entity_shows_at_the_group_it_reaches_events_through(compared: Comparing) -> None:
    after = SHOP | {"entities.yaml": LINE.replace("{type: string}", "{type: integer}")}
    (one,) = shared(compared(SHOP, after), USED)
    assert (one.head(), one.pointer) == ("group commerce: major for 3 events", "/properties/items/*/sku")


def test_without_groups_an_edit_is_named_by_its_pointer(compared: Comparing) -> None:
    after = SHOP | {"groups/commerce.yaml": COMMERCE.replace("  currency: {type: string}\n", "")}
    changes = compared(SHOP, after)
    assert shared(changes, Groups())[0].head() == "/properties/currency: major for 3 events"
    gone = replace(USED, properties={"commerce": frozenset({"items"})})
    assert shared(changes, gone)[0].head() == "group commerce: major for 3 events"


# What people read


def test_the_text_says_what_to_do(compared: Comparing) -> None:
    lines = as_text(compared(OLD, {"events/e.yaml": event("b: {type: string}", version="1.2.0")}), Groups(), "lock")
    assert lines[0] == "e  1.2.0 -> 2.0.0: major"
    assert lines[1].startswith(
        "  major  /properties/a  a was removed; if it is b now, give that aliases: [a]  [PROPERTY_"
    )
    assert "was not asked for: e; undo it, or ask" in lines[-1]
    assert as_text(compared(OLD, OLD), Groups(), "git:main") == ["nothing changed against git:main"]


def test_markdown_holds_nothing_that_a_plan_could_smuggle_in(compared: Comparing) -> None:
    words = 'a: {type: string, maxLength: 9, pattern: "x"}'
    evil = 'a: {type: string, maxLength: 9, pattern: "<b>|@team"}'
    lines = as_markdown(compared({"events/e.yaml": event(words)}, {"events/e.yaml": event(evil)}), Groups(), "lock")
    (row,) = [line for line in lines if line.startswith("| **major**")]
    assert row.replace("\\|", "").count("|") == 6
    assert "<b>" not in row
    assert "@team" not in row
    assert lines[0] == "### Tracking plan: major, 1.0.0 → 2.0.0"


def test_json_is_whole(compared: Comparing) -> None:
    made = as_json(compared(OLD, {"events/e.yaml": event("b: {type: string}", version="1.2.0")}), Groups())
    msgspec.json.encode(made)
    assert (made["bump"], made["refused"]) == ("major", True)
    assert made["events"]["e"] == {"bump": "major", "old": "1.2.0", "stated": "1.2.0", "next": "2.0.0", "asked": False}
    assert {"rule", "bump", "event", "pointer", "sentence"} == made["findings"][0].keys()


# Nothing is passed over: every field of the model makes a finding when it changes

RULES_OF_ALL = {PROD: {reason: Rule(action=Action.FLAG) for reason in Reason}}
STRING = Type(kind="string", max_length=9)
OBJECT = Type(kind="object", properties=(Property(name="x", type=STRING),))
BASE = EventPlan(name="e", version="1.0.0", major=1, rules=RULES_OF_ALL, properties=(Property(name="a", type=STRING),))
WHOLE = Plan(name="p", version="1.0.0", events={"e": BASE}, history={}, rules=RULES_OF_ALL)

TYPES: dict[str, tuple[Type, Any]] = {
    "kind": (STRING, "integer"),
    "nullable": (STRING, True),
    "enum": (STRING, ("x",)),
    "minimum": (Type(kind="integer"), 1),
    "maximum": (Type(kind="number"), 1),
    "exclusive_minimum": (Type(kind="number"), 1),
    "exclusive_maximum": (Type(kind="decimal"), 1),
    "multiple_of": (Type(kind="integer"), 2),
    "min_length": (STRING, 1),
    "max_length": (STRING, 8),
    "pattern": (STRING, "x"),
    "regex": (STRING, translate("x", 9)),
    "format": (STRING, "email"),
    "precision": (Type(kind="decimal"), 17),
    "scale": (Type(kind="decimal"), 3),
    "min_items": (Type(kind="array", items=STRING), 1),
    "max_items": (Type(kind="array", items=STRING), 1),
    "items": (Type(kind="array", items=STRING), Type(kind="date")),
    "properties": (OBJECT, ()),
    "max_properties": (Type(kind="map", values=STRING), 1),
    "values": (Type(kind="map", values=STRING), Type(kind="date")),
    "members": (Type(kind="union", members=(STRING, Type(kind="integer"))), (STRING, Type(kind="boolean"))),
    "examples": (STRING, ("x",)),
    "pii": (STRING, Pii(pii_class="email")),
    "unit": (STRING, "ms"),
    "column": (STRING, Column(name="x")),
}
MEMBERS: dict[str, Any] = {
    "name": "b",
    "type": Type(kind="date"),
    "required": True,
    "aliases": ("b",),
    "description": "x",
    "owner": "x",
    "tags": ("x",),
    "deprecated": True,
}
FACTS: dict[str, Any] = {
    "version": "1.0.1",
    "major": 2,
    "properties": (),
    "rules": {PROD: {reason: Rule(action=Action.ALLOW) for reason in Reason}},
    "file": "events/e.yaml",
    "semantic": Semantic(conversion="macro"),
    "accept": (Accept(major=1, upcast=Upcast(rename={"a": "b"})),),
    "sampling": Sampling(rate=0.5),
    "consent": ("x",),
    "sunset": TODAY + datetime.timedelta(1),
    "deprecated": True,
    "expect": Expect(daily=Expected(min=1)),
    "description": "x",
    "trigger": "x",
    "owner": "x",
    "tags": ("x",),
    "tests": (EventTest(document={}),),
}
WHOLES: dict[str, Any] = {
    "name": "q",
    "version": "0.9.0",
    "events": {},
    "rules": {PROD: {reason: Rule(action=Action.ALLOW) for reason in Reason}},
    "environments": {"dev": Environment()},
    "limits": Limits(max_event_bytes=1),
    "naming": Naming(events="x"),
    "journeys": {"j": Journey(name="j", key="user_id", steps=(Step(event="e"),))},
    "description": "x",
    "owners": ("x",),
}
# What a release writes, where it was read, and what is compared as frozen majors above. A version alone is no change.
PASSED_OVER = {
    "EventPlan": {"name", "version", "hash"},
    "Plan": {"hash", "folder", "history", "unreleased"},
    "Type": set(),
    "Property": set(),
}


def whole_with(prop: Property) -> Plan:
    return replace(WHOLE, events={"e": replace(BASE, properties=(prop,))})


@pytest.mark.parametrize(
    ("struct", "field"),
    [
        (struct.__name__, field.name)
        for struct in (Type, Property, EventPlan, Plan)
        for field in fields(struct)
        if field.name not in PASSED_OVER[struct.__name__]
    ],
)
def test_every_field_of_the_model_makes_a_finding(struct: str, field: str) -> None:
    if struct == "Type":
        kind, value = TYPES[field]
        old, new = (whole_with(Property(name="a", type=one)) for one in (kind, replace(kind, **{field: value})))
    elif struct == "Property":
        prop = Property(name="a", type=STRING)
        old, new = whole_with(prop), whole_with(replace(prop, **{field: MEMBERS[field]}))
    elif struct == "EventPlan":
        old, new = WHOLE, replace(WHOLE, events={"e": replace(BASE, **{field: FACTS[field]})})
    else:
        old, new = WHOLE, replace(WHOLE, **{field: WHOLES[field]})
    assert compare(old, new, today=TODAY).findings


def test_every_rule_is_met_in_these_tests() -> None:
    met = {rule for table in (PROPERTIES, EVENTS, PLANS, ACCEPTS) for row in table.values() for rule in row[2]}
    text = Path(__file__).read_text("utf-8")
    assert {rule for rule in RULES if rule not in met and text.count(f'"{rule}"') == 0} <= {"JOURNEYS_CHANGED"}


def test_one_edit_in_many_events_is_judged_by_what_each_of_them_had() -> None:
    """What is alike in many events is worked out once; what an event itself had or was seen with is not."""
    object_of = {
        names: Property(name="o", type=Type(kind="object", properties=tuple(map(scalar, names))))
        for names in ("a", "ab")
    }
    old, new = (three(object_of[names], "c", "d", "e") for names in ("a", "ab"))
    retired = Retired(kinds={"d": {"/properties/o/b": ["date"]}})
    found = [(finding.event, finding.rule) for finding in compare(old, new, retired=retired).findings]
    assert found == [
        ("c", "PROPERTY_ADDED"), ("d", "REMOVED_NAME_REUSED"), ("d", "PROPERTY_ADDED"), ("e", "PROPERTY_ADDED"),
    ]  # fmt: skip


def scalar(name: str) -> Property:
    """A text."""
    return Property(name=name, type=Type(kind="string"))


def three(prop: Property, *names: str) -> Plan:
    """Events that have this one property."""
    rules = {PROD: {reason: Rule(action=action) for reason, action in DEFAULT_ACTIONS.items()}}
    events = {name: EventPlan(name=name, version="1.0.0", major=1, properties=(prop,), rules=rules) for name in names}
    return Plan(name="p", version="1.0.0", events=events, history={}, rules=rules)


@pytest.mark.parametrize("example", [["x"], {"a": 1}], ids=["list", "object"])
def test_a_property_whose_examples_are_lists_or_objects_is_compared_too(example: Any) -> None:
    kinds = [Type(kind="array", items=Type(kind="any"), max_items=most, examples=(example,)) for most in (5, 4)]
    old, new = (three(Property(name="p", type=kind), "c") for kind in kinds)
    assert [finding.rule for finding in compare(old, new).findings] == ["BOUND_NARROWED"]
    assert compare(old, old).findings == ()


def test_findings_stand_by_event_worst_first() -> None:
    props = (scalar("a"), scalar("b"), scalar("c"))
    old = replace(three(scalar("a"), "y", "x"), description="Before.")
    changed = (replace(props[0], description="Other."), props[1], replace(props[2], required=True))
    events = {name: replace(one, properties=changed) for name, one in old.events.items()}
    changes = compare(old, replace(old, events=events, description="After."))
    assert [(finding.event, finding.bump.word, finding.pointer) for finding in changes.findings] == [
        ("", "patch", "/description"),
        ("x", "major", "/properties/c"), ("x", "minor", "/properties/b"), ("x", "patch", "/properties/a"),
        ("y", "major", "/properties/c"), ("y", "minor", "/properties/b"), ("y", "patch", "/properties/a"),
    ]  # fmt: skip
    assert {name: change.next for name, change in changes.events.items()} == {"x": "2.0.0", "y": "2.0.0"}
