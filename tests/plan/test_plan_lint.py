"""Every mistake an editor can make is named with its file, line and column, and all of them at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plan import built
from plan.plan_types import WriteFolder

from collector.plan import PlanError, load_plan
from collector.plan.against import working_plan

HEAD = "format: 1\nplan: test\nversion: 1.0.0\n"
EVENT = "event: e\nversion: 1.0.0\n"


def prop(text: str) -> dict[str, str]:
    """One event with one property `a`, in line 4 of the file; the value starts in column 6."""
    return {"events/core/e.yaml": EVENT + "properties:\n  a: " + text + "\n"}


def event(text: str) -> dict[str, str]:
    """One event with further lines, from line 3 of the file."""
    return {"events/core/e.yaml": EVENT + text + "\n"}


def head(text: str) -> dict[str, str]:
    """A plan.yaml with further lines, from line 4."""
    return {"plan.yaml": HEAD + text + "\n"}


def upcast(text: str) -> dict[str, str]:
    """An event with an older major, whose `upcast:` starts in line 3, column 29. a, b and d are texts, c a number."""
    return {
        E: "event: e\nversion: 2.0.0\naccept: [{major: 1, upcast: " + text + "}]\n"
        "properties:\n  b: {type: string}\n  c: {type: integer}\n",
        "history/e@1.yaml": "event: e@1\nversion: 1.0.0\nproperties:\n  a: {type: string}\n  d: {type: string}\n",
    }


def journey(text: str) -> dict[str, str]:
    """A journey over an event with a text `a` and a number `n`; its `steps:` start in line 3, column 8."""
    return {J: f"journey: j\nkey: user_id\nsteps: {text}\n"} | event(
        "properties:\n  a: {type: string}\n  n: {type: integer}"
    )


E = "events/core/e.yaml"
J = "journeys/j.yaml"

CASES: dict[str, tuple[dict[str, str], str, str]] = {
    # name of the edge: files, place, part of the sentence
    "unknown keyword": (prop("{type: string, maxLenght: 3}"), f"{E}:4:21", 'did you mean "maxLength"?'),
    "unknown event keyword": (
        event("ownr: me"),
        f"{E}:3:1",
        '"ownr" is not a keyword of an event; did you mean "owner"?',
    ),
    "unknown plan keyword": (head("enforced: {}"), "plan.yaml:4:1", 'did you mean "enforce"?'),
    "unknown type": (prop("{type: strng}"), f"{E}:4:13", 'the type "strng" is not known; did you mean "string"?'),
    "unknown type in items": (prop("{type: array, items: produkt}"), f"{E}:4:27", '"produkt" is not known'),
    "unknown group": (event("use: [pages]"), f"{E}:3:7", 'the group "pages" is not known'),
    "no type": (prop("{maxLength: 3}"), f"{E}:4:6", "a has no type"),
    "not a mapping": (prop("3"), f"{E}:4:6", "must be a mapping of keywords"),
    "shape": (prop("{type: string, maxLength: ten}"), f"{E}:4:32", '"maxLength" must be a whole number'),
    "bool is no number": (prop("{type: integer, minimum: true}"), f"{E}:4:31", '"minimum" must be a number'),
    "keyword of another type": (prop("{type: integer, maxLength: 3}"), f"{E}:4:33", '"maxLength" does not apply to a'),
    "union of containers": (prop("{type: [string, array]}"), f"{E}:4:13", '"array" cannot be one of several types'),
    "union keyword": (prop("{type: [string, boolean], minimum: 1}"), f"{E}:4:41", '"minimum" does not apply'),
    "empty union": (prop("{type: []}"), f"{E}:4:13", "is empty"),
    "low above high": (
        prop("{type: integer, minimum: 5, maximum: 1}"),
        f"{E}:4:31",
        "lower bound 5 above the upper bound 1",
    ),
    "lengths swapped": (
        prop("{type: string, minLength: 5, maxLength: 1}"),
        f"{E}:4:32",
        "minLength 5 above maxLength 1",
    ),
    "items swapped": (prop("{type: array, minItems: 5, maxItems: 1}"), f"{E}:4:30", "minItems 5 above maxItems 1"),
    "two lower bounds": (prop("{type: number, minimum: 1, exclusiveMinimum: 1}"), f"{E}:4:51", "keep one"),
    "fraction for an integer": (prop("{type: integer, minimum: 0.5}"), f"{E}:4:31", "must be a whole number"),
    "bound above 64 bits": (prop("{type: integer, maximum: 9223372036854775808}"), f"{E}:4:31", "at most 64 bits"),
    "multipleOf zero": (prop("{type: integer, multipleOf: 0}"), f"{E}:4:34", "must be above 0"),
    "bound not finite": (prop("{type: number, maximum: 1.0e+999}"), f"{E}:4:30", "too large"),
    "scale above precision": (
        prop("{type: decimal, precision: 2, scale: 3}"),
        f"{E}:4:43",
        "scale above its precision",
    ),
    "boolean in enum": (prop("{type: string, enum: [a, true]}"), f"{E}:4:31", "True is not a string"),
    "number in enum": (prop("{type: string, enum: [12]}"), f"{E}:4:28", "12 is not a string"),
    "text in integer enum": (prop("{type: integer, enum: [one]}"), f"{E}:4:29", "without quotes"),
    "enum twice": (prop("{type: string, enum: [a, a]}"), f"{E}:4:31", "listed twice"),
    "enum empty": (prop("{type: string, enum: []}"), f"{E}:4:27", "no value would be valid"),
    "enum and const": (prop("{type: string, enum: [a], const: a}"), f"{E}:4:39", "keep one"),
    "enum of numbers": (prop("{type: number, enum: [1.5]}"), f"{E}:4:27", '"enum" does not apply'),
    "pattern without maxLength": (prop('{type: string, pattern: "^a+$"}'), f"{E}:4:30", "no maxLength; add one"),
    "nested repetition": (prop('{type: string, pattern: "^(a+)+$", maxLength: 9}'), f"{E}:4:30", "repeats a group"),
    "repeated alternative": (prop('{type: string, pattern: "^(a|b)*$", maxLength: 9}'), f"{E}:4:30", "repeats a group"),
    "costly pattern": (
        prop('{type: string, pattern: "a*b*c*", maxLength: 500}'),
        f"{E}:4:30",
        "steps on a text of 500",
    ),
    "look-ahead": (prop('{type: string, pattern: "^(?=a)", maxLength: 9}'), f"{E}:4:30", "only (?:…) is supported"),
    "back-reference": (prop('{type: string, pattern: "^(a)\\\\1", maxLength: 9}'), f"{E}:4:30", "it uses \\1"),
    "lazy": (prop('{type: string, pattern: "^a*?", maxLength: 9}'), f"{E}:4:30", "repeats a repetition"),
    "open group": (prop('{type: string, pattern: "^(a", maxLength: 9}'), f"{E}:4:30", "ends in the middle"),
    "open class": (prop('{type: string, pattern: "^[a", maxLength: 9}'), f"{E}:4:30", "ends in the middle"),
    "bad range": (prop('{type: string, pattern: "^[z-a]", maxLength: 9}'), f"{E}:4:30", "not a regular expression"),
    "stray )": (prop('{type: string, pattern: "^a)", maxLength: 9}'), f"{E}:4:30", ") without a ("),
    "stray +": (prop('{type: string, pattern: "+", maxLength: 9}'), f"{E}:4:30", "nothing before it to repeat"),
    "format and pattern": (prop('{type: string, format: email, pattern: "a", maxLength: 9}'), f"{E}:4:45", "keep one"),
    "unknown format": (
        prop("{type: string, format: ipv4}"),
        f"{E}:4:29",
        "must be one of email, uri, uuid, date, date-time",
    ),
    "example not valid": (
        prop("{type: integer, maximum: 3, examples: [1, 4]}"),
        f"{E}:4:48",
        "the example is not valid",
    ),
    "maxProperties of a closed object": (
        prop("{type: object, properties: {b: string}, maxProperties: 1}"),
        f"{E}:4:61",
        '"maxProperties" does not apply',
    ),
    "pii shape": (prop("{type: string, pii: {clas: email}}"), f"{E}:4:27", 'did you mean "class"?'),
    "property name": (event("properties:\n  orderId: {type: string}"), f"{E}:4:3", '"orderId" does not match naming'),
    "nested property name": (
        prop("{type: object, properties: {bB: string}}"),
        f"{E}:4:34",
        '"bB" does not match naming',
    ),
    "long name": (
        event(f"properties:\n  {'a' * 129}: {{type: string}}"),
        f"{E}:4:3",
        "129 characters, the limit is 128",
    ),
    "quote in a name": (event("properties:\n  'a\"b': {type: string}"), f"{E}:4:3", "cannot be a property name"),
    "event name": (
        {"events/e/Ev.yaml": "event: Ev\nversion: 1.0.0\n"},
        "events/e/Ev.yaml:1:8",
        "does not match naming.events",
    ),
    "reserved": (
        head("naming: {reserved: [user_id]}") | event("properties:\n  user_id: {type: string}"),
        f"{E}:4:3",
        '"user_id" is reserved',
    ),
    "alike properties": (
        head('naming: {properties: "^.*$"}')
        | event("properties:\n  product_id: {type: string}\n  productId: {type: string}"),
        f"{E}:5:3",
        "the same but for case and separators",
    ),
    "alias of another property": (
        event("properties:\n  a: {type: string}\n  b: {type: string, aliases: [a]}"),
        f"{E}:5:3",
        "the same but for case",
    ),
    "alike events": (
        {f"events/x/{name}.yaml": f"event: {name}\nversion: 1.0.0\n" for name in ("sign_up", "signup")},
        "events/x/signup.yaml:1:8",
        'the events "sign_up" and "signup"',
    ),
    "event named otherwise": ({E: "event: f\nversion: 1.0.0\n"}, f"{E}:1:8", 'named e.yaml, its event is "f"'),
    "event without a name": ({E: "version: 1.0.0\n"}, f"{E}:1:1", "add `event: e`"),
    "event twice": (
        {E: EVENT, "events/other/e.yaml": EVENT},
        "events/other/e.yaml:1:1",
        "the event e also stands in",
    ),
    "no version": ({E: "event: e\n"}, f"{E}:1:1", 'has no "version"'),
    "version not three numbers": ({E: "event: e\nversion: 1.0\n"}, f"{E}:2:10", "three numbers such as 1.0.0"),
    "major zero": ({E: "event: e\nversion: 0.1.0\n"}, f"{E}:2:10", "from 1 to 65535"),
    "property of a group again": (
        {"groups/g.yaml": "group: g\nproperties:\n  a: {type: string}\n"}
        | event("use: [g]\nproperties:\n  a: {type: string}"),
        f"{E}:5:3",
        "e has a from a group it uses",
    ),
    "two groups overlap": (
        {f"groups/{g}.yaml": f"group: {g}\nproperties:\n  a: {{type: string}}\n" for g in "gh"} | event("use: [g, h]"),
        f"{E}:3:10",
        "e already has a when it uses h",
    ),
    "group without properties": ({"groups/g.yaml": "group: g\n"}, "groups/g.yaml:1:1", 'has no "properties"'),
    "type cycle": (
        {"types.yaml": "types:\n  a: {type: b}\n  b: {type: a}\n"},
        "types.yaml:3:13",
        "contains itself (a -> b -> a)",
    ),
    "entity cycle": (
        {"entities.yaml": "entities:\n  node:\n    properties:\n      next: {type: array, items: node}\n"}
        | prop("node"),
        "entities.yaml:4:34",
        "the type node contains itself",
    ),
    "built-in type": ({"types.yaml": "types:\n  map: {type: string}\n"}, "types.yaml:2:3", "built-in type"),
    "type and entity": (
        {"types.yaml": "types:\n  a: {type: string}\nentities:\n  a: {properties: {}}\n"},
        "types.yaml:4:3",
        "already defined at",
    ),
    "format": (
        {"plan.yaml": "format: 2\nplan: x\nnew: 1\n"},
        "plan.yaml:1:9",
        "format 2, this Footfall reads format 1",
    ),
    "no plan.yaml keyword": ({"plan.yaml": "format: 1\nplan: x\n"}, "plan.yaml:1:1", 'has no "version"'),
    "naming not a pattern": (head('naming: {events: "("}'), "plan.yaml:4:18", "naming.events cannot be used"),
    "naming that can take forever": (head('naming: {events: "^(a+)+$"}'), "plan.yaml:4:18", "repeats a group"),
    "drop of what is no personal data": (
        event("enforce: {constraint: drop}"),
        f"{E}:3:23",
        'constraint cannot be "drop": it loses data',
    ),
    "strip of what is not there": (
        head("enforce: {missing_required: strip}"),
        "plan.yaml:4:29",
        "there is no value to strip; use allow, flag, quarantine",
    ),
    "no action": (head("enforce: {constraint: refuse}"), "plan.yaml:4:23", "use allow, flag, strip, quarantine"),
    "rule without an action": (head("enforce: {constraint: {from: 2027-01-01}}"), "plan.yaml:4:23", 'has no "action"'),
    "rule with a strange keyword": (
        head("enforce: {constraint: {action: strip, form: 2027-01-01}}"),
        "plan.yaml:4:39",
        '"form" is not a keyword of a rule; did you mean "from"?',
    ),
    "from is no day": (
        head("enforce: {constraint: {action: quarantine, from: 2027-02-30}}"),
        "plan.yaml:4:50",
        '"from" must be a date such as 2027-01-31',
    ),
    "from for what is milder": (
        event("enforce: {constraint: {action: flag, from: 2027-01-01}}"),
        f"{E}:3:23",
        "constraint is quarantine already, and flag is not stricter",
    ),
    "two dates for one rule": (
        head("enforce: {unknown_property: {action: strip, from: 2027-01-01}}")
        | event("enforce: {unknown_property: {action: quarantine, from: 2028-01-01}}"),
        f"{E}:3:29",
        'has a "from" of its own',
    ),
    "no class": (head("enforce: {constraints: flag}"), "plan.yaml:4:11", 'did you mean "constraint"?'),
    "unknown_event in an event": (event("enforce: {unknown_event: flag}"), f"{E}:3:11", "is not a class of violation"),
    "prod as an environment": (head("environments: {prod: {}}"), "plan.yaml:4:16", "speaks of prod already"),
    "environment of a strange name": (head("environments: {Dev: {}}"), "plan.yaml:4:16", "a word of at most 32"),
    "report": (head("environments: {dev: {report: mail}}"), "plan.yaml:4:30", "must be one of browser_console, ci"),
    "environment": (head("environments: {dev: {enforce: {a: flag}}}"), "plan.yaml:4:32", "is not a class of violation"),
    "limits": (head("limits: {max_string: 0}"), "plan.yaml:4:22", '"max_string" must be a whole number from 1'),
    "semantic names nothing": (event("semantic: {value: total}"), f"{E}:3:19", 'names "total", which is no property'),
    "semantic of the wrong type": (
        event("semantic: {value: a}\nproperties:\n  a: {type: string}"),
        f"{E}:3:19",
        "of type string; it must be decimal or integer or number",
    ),
    "semantic of a list": (
        event("semantic: {dedupe_by: a}\nproperties:\n  a: {type: array}"),
        f"{E}:3:23",
        "names a, which is of type array; it must be string or integer",
    ),
    "semantic of what is masked": (
        event("semantic: {dedupe_by: a}\nproperties:\n  a: {type: string, pii: {class: phone, handling: mask}}"),
        f"{E}:3:23",
        "of which mask leaves nothing",
    ),
    "currency of nothing": (
        event("semantic: {currency: a}\nproperties:\n  a: {type: string}"),
        f"{E}:3:22",
        "a currency and no value",
    ),
    "conversion": (event("semantic: {conversion: big}"), f"{E}:3:24", "must be one of macro, micro"),
    "sampling above all": (event("sampling: {rate: 1.5}"), f"{E}:3:18", '"rate" must be a number above 0'),
    "sampling of nothing": (event("sampling: {rate: 0}"), f"{E}:3:18", '"rate" must be a number above 0'),
    "sampling without a rate": (event("sampling: {by: event}"), f"{E}:3:11", 'has no "rate"'),
    "sampling by session": (event("sampling: {rate: 1, by: session}"), f"{E}:3:25", "one of visitor, event"),
    "sunset is no date": (event("sunset: soon"), f"{E}:3:9", '"sunset" must be a date'),
    "sunset on a day that is not": (event("sunset: 2027-02-29"), f"{E}:3:9", '"sunset" must be a date'),
    "consent": (event("consent: [All of it]"), f"{E}:3:10", "a list of words of small letters"),
    "expect of a stranger": (event("expect: {ratio: {of: f, min: 1}}"), f"{E}:3:22", 'names "f", which is no event'),
    "expect of itself": (event("expect: {ratio: {of: e, min: 1}}"), f"{E}:3:22", "which is always 1"),
    "expect without of": (event("expect: {ratio: {min: 1}}"), f"{E}:3:17", 'has no "of"'),
    "expect swapped": (event("expect: {daily: {min: 9, max: 1}}"), f"{E}:3:23", "min 9 above max 1"),
    "pii without a class": (prop("{type: string, pii: {handling: mask}}"), f"{E}:4:26", 'has no "class"'),
    "pii handling": (
        prop("{type: string, pii: {class: email, handling: hide}}"),
        f"{E}:4:51",
        "must be one of keep, sha256, mask, mask_detected, strip_query_except, drop",
    ),
    "pii handling of a number": (
        prop("{type: integer, pii: {class: age, handling: sha256}}"),
        f"{E}:4:50",
        "sha256 is for texts and a is of type integer",
    ),
    "pii keeps parameters of no address": (
        prop("{type: string, pii: {class: url, handling: mask, keep: [gclid]}}"),
        f"{E}:4:61",
        "needs strip_query_except",
    ),
    "column that is no type": (
        prop('{type: string, column: {type: "String, x String"}}'),
        f"{E}:4:36",
        "is not a ClickHouse type",
    ),
    "column of another type": (prop("{type: string, column: {type: Int8}}"), f"{E}:4:36", "use String, FixedString"),
    "column too narrow": (
        prop("{type: integer, minimum: 0, maximum: 300, column: {type: UInt8}}"),
        f"{E}:4:63",
        "UInt8 holds 0 to 255, and its values are 0 to 300",
    ),
    "column name": (prop("{type: string, column: {name: 'a b'}}"), f"{E}:4:36", "must be a column name"),
    "accept without history": (event("accept: [{major: 0}]"), f"{E}:3:18", "must be a whole number from 1"),
    "accept newer": (event("accept: [{major: 1}]"), f"{E}:3:10", "not older than its own major 1"),
    "history missing": (
        {E: "event: e\nversion: 2.0.0\naccept: [{major: 1}]\n"},
        f"{E}:3:10",
        "history/e@1.yaml is missing; add it",
    ),
    "history of another major": (
        {"history/e@1.yaml": "event: e@1\nversion: 2.0.0\n"},
        "history/e@1.yaml:2:10",
        "the file is for major 1, its version is 2.0.0",
    ),
    "history without a major": (
        {"history/e.yaml": EVENT},
        "history/e.yaml:1:8",
        "does not fit history/<event>@<major>.yaml",
    ),
    "major in events": (
        {"events/c/e@1.yaml": "event: e@1\nversion: 1.0.0\n"},
        "events/c/e@1.yaml:1:8",
        "does not fit events/",
    ),
    "accept twice": (
        {E: "event: e\nversion: 3.0.0\naccept: [{major: 1}, {major: 1}]\n"},
        f"{E}:3:22",
        "accepts major 1 twice",
    ),
    "upcast of a stranger": (upcast("{rename: {z: b}}"), f"{E}:3:39", '"z" is no property of e@1'),
    "upcast to a stranger": (upcast("{rename: {a: z}}"), f"{E}:3:42", '"z" is no property of e'),
    "upcast of another type": (upcast("{rename: {a: c}}"), f"{E}:3:42", "one column cannot hold both"),
    "upcast twice to one": (upcast("{rename: {a: b, d: b}}"), f"{E}:3:48", "both renamed to b"),
    "default of a stranger": (upcast("{default: {z: 1}}"), f"{E}:3:40", '"z" is no property of e'),
    "default that is not valid": (upcast("{default: {c: x}}"), f"{E}:3:43", "the default of c is not valid"),
    "test without violates": (
        event("tests: [{invalid: {}}]"),
        f"{E}:3:9",
        "either valid, or invalid together with violates",
    ),
    "test class": (event("tests: [{invalid: {}, violates: {missing: a}}]"), f"{E}:3:34", '"missing" is not a class'),
    "violates nothing": (event("tests: [{invalid: {}, violates: {}}]"), f"{E}:3:33", "violates is empty"),
    "duplicate key": (event("owner: a\nowner: b"), f"{E}:4:1", "stands here twice (first in line 3)"),
    "key not text": (event("1: a"), f"{E}:3:1", "this key is the number 1, not text"),
    "key that is a boolean elsewhere": (event("on: a"), f"{E}:3:1", "on without quotes is true to YAML 1.1"),
    "boolean elsewhere": (
        event("owner: no"),
        f"{E}:3:8",
        "no without quotes is false to YAML 1.1 and text to YAML 1.2",
    ),
    "octal elsewhere": (
        prop("{type: integer, maximum: 012}"),
        f"{E}:4:31",
        "012 without quotes is 10 to YAML 1.1 and 12",
    ),
    "time elsewhere": (event("owner: 12:30"), f"{E}:3:8", "12:30 without quotes is 750 to YAML 1.1 and text"),
    "separated digits": (event("owner: 1_000"), f"{E}:3:8", "1_000 without quotes is a number to YAML 1.1"),
    "exponent": (prop("{type: number, maximum: 1e3}"), f"{E}:4:30", "1e3 without quotes is text to YAML 1.1"),
    "infinity": (prop("{type: number, maximum: .inf}"), f"{E}:4:30", "a number that JSON does not have"),
    "more than 64 bits": (event("tests: [{valid: {a: 99999999999999999999}}]"), f"{E}:3:21", "more than 64 bits"),
    "tab": (event("properties:\n\ta: {type: string}"), f"{E}:4:1", "indent with spaces, not with tabs"),
    "number for a text": (event("owner: 12"), f"{E}:3:8", "this is a number; put it in quotes if it is text"),
    "anchor": (event("tags: &t [a]"), f"{E}:3:7", "anchors (&)"),
    "tag": (event("owner: !x a"), f"{E}:3:8", "tags (!)"),
    "tag of YAML's own": (event("owner: !!str a"), f"{E}:3:8", "tags (!)"),
    "merge key": (event("properties:\n  <<: {a: {type: string}}"), f"{E}:4:3", "merge keys (<<)"),
    "two documents": ({E: EVENT + "---\nevent: f\n"}, f"{E}:3:1", "remove the line ---"),
    "colon in a text": (event("description: Paid: once"), f"{E}:3:18", "put a text that holds a colon and a blank"),
    "number for a version": ({E: "event: e\nversion: 1.0\n"}, f"{E}:2:10", "such as 1.0.0, this is a number"),
    "not yaml": (event("tags: [a"), f"{E}:4:1", "this is not YAML"),
    "no mapping": ({E: "- a\n"}, f"{E}:1:1", "does not hold a mapping"),
    "empty file": ({E: ""}, f"{E}:1:1", "the file is empty"),
    "control character": ({E: "event: e\x07\n"}, f"{E}:1:1", "this is not YAML"),
    "nested deeply": ({E: "event: " + "[" * 400 + "]" * 400}, f"{E}:1:107", "nested too deeply"),
    "large file": ({E: "#" * 300_000}, f"{E}:1:1", "300,000 bytes, the limit is 262,144"),
    "yml": ({"events/core/e.yml": EVENT}, "events/core/e.yml:1:1", "rename this one to e.yaml"),
    "unknown folder": ({"event/e.yaml": EVENT}, "event/e.yaml:1:1", 'did you mean "events"?'),
    "unknown file": ({"type.yaml": "types: {}\n"}, "type.yaml:1:1", 'did you mean "types.yaml"?'),
    "journey without a key": (
        {"journeys/j.yaml": "journey: j\nsteps: [{event: e}]\n"},
        "journeys/j.yaml:1:1",
        'no "key"',
    ),
    "journey of a stranger": (journey("[{event: f}]"), f"{J}:3:17", '"f" is not an event of the plan'),
    "journey without steps": (journey("[]"), f"{J}:3:8", "from 1 to 32 steps"),
    "step without an event": (journey("[{times: 1}]"), f"{J}:3:9", 'the step has no "event"'),
    "step of no time": (journey("[{event: e}, {event: e, within: soon}]"), f"{J}:3:40", '"within" must be a time'),
    "first step within": (journey("[{event: e, within: 3m}]"), f"{J}:3:28", "this is the first; remove it"),
    "step where nothing is": (journey("[{event: e, where: {z: 1}}]"), f"{J}:3:28", '"z" is no property of e'),
    "step where nothing can be": (journey("[{event: e, where: {a: 12}}]"), f"{J}:3:31", "no e that follows the plan"),
    "invariant": (journey('[{event: e}]\ninvariants: ["e.n = 1"]'), f"{J}:4:14", '"=" in column 5 of it means nothing'),
    "alike journeys": (
        {f"journeys/{name}.yaml": f"journey: {name}\nkey: user_id\nsteps: [{{event: e}}]\n" for name in ("a_b", "ab")}
        | {E: EVENT},
        "journeys/ab.yaml:1:10",
        'the journeys "a_b" and "ab"',
    ),
    "alike groups": (
        {f"groups/{name}.yaml": f"group: {name}\nproperties: {{}}\n" for name in ("a_b", "ab")},
        "groups/ab.yaml:1:8",
        'the groups "a_b" and "ab"',
    ),
}


@pytest.mark.parametrize(("files", "place", "sentence"), CASES.values(), ids=CASES.keys())
def test_a_mistake_is_named_with_its_place(
    write_plan: WriteFolder, files: dict[str, str], place: str, sentence: str
) -> None:
    folder = write_plan(files)
    with pytest.raises(PlanError) as raised:
        load_plan(folder)
    lines = str(raised.value).splitlines()
    assert [line for line in lines if line.startswith(f"{folder}/{place}: ") and sentence in line], lines


def test_all_mistakes_are_listed_at_once_in_the_order_of_files_and_lines(write_plan: WriteFolder) -> None:
    folder = write_plan(
        {
            "events/a/one.yaml": "event: one\nversion: 1\n"
            "properties:\n  a: {type: strin}\n  b: {type: string, max: 1}\n",
            "events/a/two.yaml": "event: two\nversion: 1.0.0\nuse: [nothing]\n",
            "types.yaml": "types:\n  t: {type: integer, minLength: 1}\n",
        }
    )
    with pytest.raises(PlanError) as raised:
        load_plan(folder)
    places = [line.removeprefix(f"{folder}/").split(": ")[0] for line in str(raised.value).splitlines()]
    assert places == [
        "events/a/one.yaml:2:10",
        "events/a/one.yaml:4:13",
        "events/a/one.yaml:5:21",
        "events/a/two.yaml:3:7",
        "types.yaml:2:33",
    ]


def nested(levels: int) -> str:
    """An object in an object, each on lines of its own."""
    return "".join(f"{'  ' * level}properties:\n{'  ' * level} a:\n" for level in range(levels)) + (
        "  " * levels + "type: string\n"
    )


GOODS = "group: goods\nproperties:\n  worth: {{type: {}}}\n"

ONE_ERROR: dict[str, tuple[dict[str, str], str, str]] = {
    # What follows from a mistake, or says it again, is not told.
    "minimum nan": (prop("{type: number, minimum: .nan}"), f"{E}:4:30", "a number that JSON does not have"),
    "minimum inf": (prop("{type: integer, minimum: -.inf}"), f"{E}:4:31", "a number that JSON does not have"),
    "long minimum": (prop(f"{{type: integer, minimum: {'9' * 23}}}"), f"{E}:4:31", "more than 64 bits"),
    "sampling of nothing": (event("sampling: {rate: 0}"), f"{E}:3:18", "above 0 and at most 1, this is 0"),
    "sampling of too much": (event("sampling: {rate: 1.5}"), f"{E}:3:18", "above 0 and at most 1, this is 1.5"),
    "properties but for case": (
        event("properties:\n  productId: {type: string}\n  product_id: {type: string}"),
        f"{E}:4:3",
        'the properties "productId" and "product_id" are the same but for case',
    ),
    "properties of a nested object": (
        event("properties:\n  a: {type: object, properties: {b_c: {type: string}, bC: {type: string}}}"),
        f"{E}:4:55",
        'the properties "b_c" and "bC" are the same but for case',
    ),
    "events but for case": (
        {f"events/{folder}/{name}.yaml": f"event: {name}\nversion: 1.0.0\n" for folder, name in
         (("a", "Sign_up"), ("b", "sign_up"))},
        "events/a/Sign_up.yaml:1:8",
        'the events "Sign_up" and "sign_up" are the same but for case',
    ),
    "200 levels": ({E: EVENT + nested(200)}, f"{E}:105:", "deeper than 50 levels"),
    "60 levels": (
        {E: EVENT + "properties: " + "{a: {properties: " * 60 + "{}" + "}}" * 60}, f"{E}:3:", "deeper than 50 levels"
    ),
    "60 types": (
        {"types.yaml": "types:\n" + "".join(f"  t{n:02}: {{type: array, items: t{n + 1:02}}}\n" for n in range(60))
         + "  t60: {type: string}\n"},
        "types.yaml:",
        "deeper than 50 levels",
    ),
    "a group that is not known, with what it would have": (
        event("use: [goods]\nsemantic: {value: worth}"), f"{E}:3:7", 'the group "goods" is not known',
    ),
    "a type that is not known, of a value": (
        {"groups/goods.yaml": GOODS.format("mony")} | event("use: [goods]\nsemantic: {value: worth}"),
        "groups/goods.yaml:3:17", 'the type "mony" is not known',
    ),
    "types that cannot be read, with a journey": (
        {"types.yaml": "types: {\n  x: [", "groups/goods.yaml": GOODS.format("money"),
         "journeys/j.yaml": "journey: j\nkey: user_id\nsteps: [{event: e}]\ninvariants: ['e.worth > 1']\n"}
        | event("use: [goods]\nsemantic: {value: worth}"),
        "types.yaml:2:", "this is not YAML",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "place", "sentence"), ONE_ERROR.values(), ids=ONE_ERROR.keys())
def test_one_mistake_is_one_error(write_plan: WriteFolder, files: dict[str, str], place: str, sentence: str) -> None:
    folder = write_plan(files)
    with pytest.raises(PlanError) as raised:
        load_plan(folder)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{folder}/{place}")
    assert sentence in line
    assert ":1:1:" not in line


def test_a_faulty_type_is_named_once_however_often_it_is_used(write_plan: WriteFolder) -> None:
    files = {"types.yaml": "types:\n  t: {type: strin}\n"} | event("properties:\n  a: {type: t}\n  b: {type: t}")
    with pytest.raises(PlanError) as raised:
        load_plan(write_plan(files))
    assert len(str(raised.value).splitlines()) == 1


def test_a_file_that_is_not_utf8_is_named_with_its_line(write_plan: WriteFolder) -> None:
    folder = write_plan({})
    (folder / "types.yaml").write_bytes(b"types:\n  a: {description: caf\xe9}\n")
    with pytest.raises(PlanError, match=r"types.yaml:2:1: the file is not UTF-8"):
        load_plan(folder)


def test_a_file_that_cannot_be_read_is_named(write_plan: WriteFolder) -> None:
    folder = write_plan({})
    (folder / "types.yaml").mkdir()
    with pytest.raises(PlanError, match=r"types.yaml:1:1: the file cannot be read"):
        load_plan(folder)


UNREADABLE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "folder": (Path.mkdir, "(it is a folder); put a file there, or rename it"),
    "pipe": (os.mkfifo, "(it is no regular file); put a file there"),
    "link to nothing": (lambda path: path.symlink_to("nowhere.yaml"), "it is a link to nothing: correct or delete it"),
    "link to itself": (lambda path: path.symlink_to(path.name), "it is a link that leads back to itself"),
    "not UTF-8": (lambda path: path.write_bytes(b"event: e\n# \xff\n"), "the file is not UTF-8 here"),
    "tabs": (lambda path: path.write_text("event: e\n\tversion: 1.0.0\n"), "not with tabs"),
    "no version": (lambda path: path.write_text("event: e\n"), 'has no "version"'),
}


@pytest.mark.parametrize(("make", "sentence"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_cannot_be_used_is_one_mistake_also_where_others_speak_of_it(
    write_plan: WriteFolder, make: Callable[[Path], Any], sentence: str
) -> None:
    journey = "journey: j\nkey: visitor_id\nsteps:\n  - {event: e}\ninvariants: ['e.a > 1']\n"
    folder = write_plan({E: EVENT, "journeys/j.yaml": journey})
    (folder / E).unlink()
    make(folder / E)
    for read in (load_plan, lambda folder: working_plan(folder, built.plan_of(built.event(name="e", major=1)))):
        with pytest.raises(PlanError) as raised:
            read(folder)
        (line,) = str(raised.value).splitlines()
        assert line.startswith(f"{folder / E}:")
        assert sentence in line


def test_a_cycle_is_one_mistake_wherever_it_is_entered(write_plan: WriteFolder) -> None:
    types = "types:\n  a: {type: b}\n  b: {type: array, items: c}\n  c: {type: a}\n"
    with pytest.raises(PlanError) as raised:
        load_plan(write_plan({"types.yaml": types} | event("properties:\n  x: {type: b}\n  y: {type: c}")))
    (line,) = str(raised.value).splitlines()
    assert line.endswith("types.yaml:4:13: the type a contains itself (a -> b -> c -> a); break the cycle")


@pytest.mark.parametrize("lost", ["types.yaml", "groups/g.yaml"])
def test_what_a_file_would_have_defined_is_not_missed_while_it_cannot_be_read(
    write_plan: WriteFolder, lost: str
) -> None:
    body = event("use: [g]\nproperties:\n  a: {type: money}")
    group = "group: g\nproperties: {b: {type: string}}\n"
    files = {"types.yaml": "types: {money: {type: decimal}}\n", "groups/g.yaml": group} | body
    with pytest.raises(PlanError) as raised:
        load_plan(write_plan(files | {lost: "a: [\n"}))
    (line,) = str(raised.value).splitlines()
    assert "this is not YAML" in line


def test_names_that_are_alike_are_told_once(write_plan: WriteFolder) -> None:
    text = "event: {}\nversion: 1.0.0\nproperties:\n  order_id: {{type: string}}\n  orderid: {{type: string}}\n"
    with pytest.raises(PlanError) as raised:
        load_plan(write_plan({E: text.format("e")}))
    assert len(str(raised.value).splitlines()) == 1


def test_yaml_is_read_as_1_2_whatever_the_file_says(write_plan: WriteFolder) -> None:
    text = EVENT + "tags: ['no', \"on\", '12:30', 2027-01-31, '1_000', y, n, 1.0.0, 10:00:00Z]\n"
    plan = load_plan(
        write_plan({E: text, "events/core/f.yaml": "%YAML 1.1\n---\n" + text.replace("event: e", "event: f")})
    )
    tags = ("no", "on", "12:30", "2027-01-31", "1_000", "y", "n", "1.0.0", "10:00:00Z")
    assert plan.events["e"].tags == plan.events["f"].tags == tags


def test_hidden_files_and_the_readme_are_not_the_plan(write_plan: WriteFolder) -> None:
    plan = load_plan(write_plan({".git/x.yaml": "a: [", "README.md": "# hello", "events/core/e.yaml": EVENT}))
    assert list(plan.events) == ["e"]


def test_a_plan_without_a_folder_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"plan.yaml:1:1: the file is missing"):
        load_plan(tmp_path)
