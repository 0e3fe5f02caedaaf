"""Every mistake an editor can make is named with its file, line and column, and all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan.plan_types import WriteFolder

from collector.plan import PlanError, load_plan

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


E = "events/core/e.yaml"

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
    "bound not finite": (prop("{type: number, maximum: 1e999}"), f"{E}:4:30", "too large"),
    "scale above precision": (
        prop("{type: decimal, precision: 2, scale: 3}"),
        f"{E}:4:43",
        "scale above its precision",
    ),
    "yaml 1.1 boolean in enum": (prop("{type: string, enum: [yes, true]}"), f"{E}:4:33", "put it in quotes"),
    "number in enum": (prop("{type: string, enum: [012]}"), f"{E}:4:28", "12 is not a string"),
    "text in integer enum": (prop("{type: integer, enum: [one]}"), f"{E}:4:29", "without quotes"),
    "enum twice": (prop("{type: string, enum: [a, a]}"), f"{E}:4:31", "listed twice"),
    "enum empty": (prop("{type: string, enum: []}"), f"{E}:4:27", "no value would be valid"),
    "enum and const": (prop("{type: string, enum: [a], const: a}"), f"{E}:4:39", "keep one"),
    "enum of numbers": (prop("{type: number, enum: [1.5]}"), f"{E}:4:27", '"enum" does not apply'),
    "pattern without maxLength": (prop('{type: string, pattern: "^a$"}'), f"{E}:4:30", "no maxLength; add one"),
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
    "pii shape": (prop("{type: string, pii: {clas: email}}"), f"{E}:4:26", 'did you mean "class"?'),
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
        "events/x/signup.yaml:1:1",
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
    "naming not a pattern": (head('naming: {events: "("}'), "plan.yaml:4:18", "not a regular expression"),
    "action of a later issue": (head("enforce: {constraint: strip}"), "plan.yaml:4:23", '"strip" is not supported yet'),
    "drop in an event": (event("enforce: {constraint: drop}"), f"{E}:3:23", '"drop" is not supported yet'),
    "class of a later issue": (
        head("enforce: {undeclared_pii: flag}"),
        "plan.yaml:4:11",
        "not supported yet; remove it",
    ),
    "no action": (head("enforce: {constraint: refuse}"), "plan.yaml:4:23", "use allow, flag or quarantine"),
    "no class": (head("enforce: {constraints: flag}"), "plan.yaml:4:11", 'did you mean "constraint"?'),
    "unknown_event in an event": (event("enforce: {unknown_event: flag}"), f"{E}:3:11", "is not a class of violation"),
    "environment": (head("environments: {dev: {enforce: {a: flag}}}"), "plan.yaml:4:32", "is not a class of violation"),
    "limits": (head("limits: {max_string: 0}"), "plan.yaml:4:22", '"max_string" must be a whole number from 1'),
    "semantic names nothing": (event("semantic: {value: total}"), f"{E}:3:19", 'names "total", which is no property'),
    "semantic of the wrong type": (
        event("semantic: {value: a}\nproperties:\n  a: {type: string}"),
        f"{E}:3:19",
        "of type string; it must be decimal or integer or number",
    ),
    "conversion": (event("semantic: {conversion: big}"), f"{E}:3:24", "must be one of macro, micro"),
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
    "test without violates": (
        event("tests: [{invalid: {}}]"),
        f"{E}:3:9",
        "either valid, or invalid together with violates",
    ),
    "test class": (event("tests: [{invalid: {}, violates: {missing: a}}]"), f"{E}:3:34", '"missing" is not a class'),
    "violates nothing": (event("tests: [{invalid: {}, violates: {}}]"), f"{E}:3:33", "violates is empty"),
    "duplicate key": (event("owner: a\nowner: b"), f"{E}:4:1", "stands here twice (first in line 3)"),
    "key not text": (event("1: a"), f"{E}:3:1", "is not text"),
    "anchor": (event("tags: &t [a]"), f"{E}:3:7", "anchors (&)"),
    "tag": (event("owner: !x a"), f"{E}:3:8", "tags (!)"),
    "not yaml": (event("tags: [a"), f"{E}:4:1", "this is not YAML"),
    "two documents": (event("---\na: 1"), f"{E}:3:1", "this is not YAML"),
    "no mapping": ({E: "- a\n"}, f"{E}:1:1", "does not hold a mapping"),
    "empty file": ({E: ""}, f"{E}:1:1", "does not hold a mapping"),
    "control character": ({E: "event: e\x07\n"}, f"{E}:1:1", "this is not YAML"),
    "nested deeply": ({E: "event: " + "[" * 400 + "]" * 400}, f"{E}:1:1", "nested too deeply"),
    "large file": ({E: "#" * 300_000}, f"{E}:1:1", "300,000 bytes, the limit is 262,144"),
    "yml": ({"events/core/e.yml": EVENT}, "events/core/e.yml:1:1", "rename this one to e.yaml"),
    "unknown folder": ({"event/e.yaml": EVENT}, "event/e.yaml:1:1", 'did you mean "events"?'),
    "unknown file": ({"type.yaml": "types: {}\n"}, "type.yaml:1:1", 'did you mean "types.yaml"?'),
    "journey": (
        {"journeys/j.yaml": "journey: j\nsteps: [{event: e, within: soon}]\n"},
        "journeys/j.yaml:2:8",
        '"steps" must be a list of steps',
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


def test_yaml_is_read_as_1_2_whatever_the_file_says(write_plan: WriteFolder) -> None:
    text = EVENT + "tags: [no, on, 12:30, 2027-01-31, 1_000]\n"
    plan = load_plan(
        write_plan({E: text, "events/core/f.yaml": "%YAML 1.1\n---\n" + text.replace("event: e", "event: f")})
    )
    assert plan.events["e"].tags == plan.events["f"].tags == ("no", "on", "12:30", "2027-01-31", "1_000")


def test_hidden_files_and_the_readme_are_not_the_plan(write_plan: WriteFolder) -> None:
    plan = load_plan(write_plan({".git/x.yaml": "a: [", "README.md": "# hello", "events/core/e.yaml": EVENT}))
    assert list(plan.events) == ["e"]


def test_a_plan_without_a_folder_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"plan.yaml:1:1: the file is missing"):
        load_plan(tmp_path)
