"""Each keyword of the plan: what it lets through, what it finds, and where."""

from __future__ import annotations

import json

import pytest
from plan.plan_types import CompileEvent

TYPES = """
types:
  code: {type: string, minLength: 2, maxLength: 3}
  short_code: {type: code, maxLength: 2}
entities:
  line:
    properties:
      sku: {type: code, required: true}
      note: {type: string, nullable: true}
      extra: {type: object, properties: {deep: {type: integer}}}
"""

# name of the edge: type, documents that are valid for property `a`, {invalid document: violations}
CASES: dict[str, tuple[str, list[str], dict[str, list[str]]]] = {
    "string": ("{type: string}", ['"x"', '""'], {v: ["wrong_type:/properties/a"] for v in ("1", "null", "true", "[]", "{}")}),
    "max_string": ("{type: string}", ['"' + "x" * 4096 + '"'], {'"' + "x" * 4097 + '"': ["constraint:/properties/a"]}),
    "lengths count characters, not bytes": (
        "{type: string, minLength: 2, maxLength: 3}",
        ['"ab"', '"éèê"', '"😀😀😀"'],
        {'"a"': ["constraint:/properties/a"], '"abcd"': ["constraint:/properties/a"], '"😀"': ["constraint:/properties/a"]},
    ),
    "pattern": (
        '{type: string, pattern: "^[A-Z]{3}$", maxLength: 9}',
        ['"EUR"'],
        {v: ["constraint:/properties/a"] for v in ('"eur"', '"EUR\\n"', '"EURO"', '""')},
    ),
    "pattern without anchors": (
        '{type: string, pattern: "b+|c", maxLength: 9}',
        ['"abba"', '"xcx"'],
        {'"xyz"': ["constraint:/properties/a"]},
    ),
    "digits are ASCII digits": (
        '{type: string, pattern: "^\\\\d[\\\\w-]$", maxLength: 9}',
        ['"1_"', '"1-"'],
        {'"٣_"': ["constraint:/properties/a"], '"1é"': ["constraint:/properties/a"]},
    ),
    "dot stops at a line's end": ('{type: string, pattern: "^a.b$", maxLength: 9}', ['"a b"'], {
        '"a\\nb"': ["constraint:/properties/a"], '"a\\rb"': ["constraint:/properties/a"]}),
    "email": ("{type: string, format: email}", ['"a@b.example"'], {'"ab"': ["constraint:/properties/a"],
        '"a@b@c"': ["constraint:/properties/a"], '"a @b"': ["constraint:/properties/a"]}),
    "uri": ("{type: string, format: uri}", ['"https://a.example/"', '"mailto:a@b"'], {
        '"/p"': ["constraint:/properties/a"], '"https://a b"': ["constraint:/properties/a"]}),
    "uuid": ("{type: string, format: uuid}", ['"00000000-0000-4000-8000-00000000000A"'], {
        '"00000000000040008000000000000000"': ["constraint:/properties/a"]}),
    "date": ("{type: date}", ['"2024-02-29"'], {
        '"2023-02-29"': ["wrong_type:/properties/a"], '"2024-2-9"': ["wrong_type:/properties/a"],
        "20240229": ["wrong_type:/properties/a"]}),
    "format date is a date": ("{type: string, format: date}", ['"2024-02-29"'], {'"x"': ["wrong_type:/properties/a"]}),
    "datetime needs its offset": ("{type: datetime}", ['"2026-09-01T10:00:00Z"', '"2026-09-01T10:00:00.5+02:00"'], {
        '"2026-09-01T10:00:00"': ["wrong_type:/properties/a"], '"2026-09-01"': ["wrong_type:/properties/a"],
        "1790000000": ["wrong_type:/properties/a"]}),
    "format date-time is a datetime": ("{type: string, format: date-time}", ['"2026-09-01T10:00:00Z"'], {
        '"x"': ["wrong_type:/properties/a"]}),
    "integer": ("{type: integer}", ["5", "-5", "5.0", "1e2", "-0.0", "0e99999999", "9223372036854775807",
                                    "-9223372036854775808", "9223372036854775807.0"], {
        "5.5": ["wrong_type:/properties/a"], '"5"': ["wrong_type:/properties/a"], "true": ["wrong_type:/properties/a"],
        "9223372036854775808": ["constraint:/properties/a"], "-9223372036854775809": ["constraint:/properties/a"],
        "1e19": ["constraint:/properties/a"], "1e999999999": ["constraint:/properties/a"],
        "1e-999999999": ["wrong_type:/properties/a"]}),
    "integer bounds": ("{type: integer, minimum: -1, exclusiveMaximum: 3}", ["-1", "2", "2.0"], {
        "-2": ["constraint:/properties/a"], "3": ["constraint:/properties/a"], "3.0": ["constraint:/properties/a"]}),
    "integer exclusive": ("{type: integer, exclusiveMinimum: 0, maximum: 2}", ["1", "2"], {
        "0": ["constraint:/properties/a"], "3": ["constraint:/properties/a"]}),
    "multipleOf": ("{type: integer, multipleOf: 5}", ["-10", "0", "5.0"], {"7": ["constraint:/properties/a"]}),
    "number": ("{type: number}", ["1", "1.5", "-1e300", "9007199254740993", "1e-999"], {
        "1e400": ["constraint:/properties/a"], "-1e99999999999999999999": ["constraint:/properties/a"],
        '"1"': ["wrong_type:/properties/a"], "false": ["wrong_type:/properties/a"]}),
    "number bounds": ("{type: number, exclusiveMinimum: 0, maximum: 1.5}", ["0.1", "1.5", "1"], {
        "0": ["constraint:/properties/a"], "0.0": ["constraint:/properties/a"], "1.6": ["constraint:/properties/a"]}),
    "multipleOf of a fraction is exact": ("{type: number, multipleOf: 0.1}", ["0.3", "0.7", "1", "1e30", "-1e300"], {
        "0.35": ["constraint:/properties/a"]}),
    "boolean": ("{type: boolean}", ["true", "false"], {"1": ["wrong_type:/properties/a"], '"true"': ["wrong_type:/properties/a"]}),
    "decimal": ("{type: decimal}", ["1", "1.5", '"1.50"', '"-1"', "-0.00001", "99999999999999", "1e13", '"1e2"'], {
        '"abc"': ["wrong_type:/properties/a"], '"NaN"': ["wrong_type:/properties/a"], '"1_0"': ["wrong_type:/properties/a"],
        '" 1"': ["wrong_type:/properties/a"], '"Infinity"': ["wrong_type:/properties/a"], '"１"': ["wrong_type:/properties/a"],
        "true": ["wrong_type:/properties/a"], "100000000000000": ["constraint:/properties/a"],
        '"100000000000000"': ["constraint:/properties/a"], "-1e14": ["constraint:/properties/a"],
        "1e999999999": ["constraint:/properties/a"]}),
    "decimal precision": ("{type: decimal, precision: 4, scale: 2, minimum: 0}", ["99.99", "99.999", '"0.5"'], {
        "100": ["constraint:/properties/a"], "-1": ["constraint:/properties/a"], '"-1"': ["constraint:/properties/a"]}),
    "decimal maximum": ("{type: decimal, minimum: 1, maximum: 10, multipleOf: 0.05}", ["1.05", '"10"'], {
        "0.95": ["constraint:/properties/a"], "10.05": ["constraint:/properties/a"], "1.01": ["constraint:/properties/a"]}),
    "enum": ('{type: string, enum: [no, "1"]}', ['"no"', '"1"'], {
        '"yes"': ["constraint:/properties/a"], "1": ["wrong_type:/properties/a"], "false": ["wrong_type:/properties/a"]}),
    "enum of integers": ("{type: integer, enum: [1, 2]}", ["1", "2.0"], {
        "3": ["constraint:/properties/a"], "true": ["wrong_type:/properties/a"]}),
    "const": ("{type: string, const: x}", ['"x"'], {'"y"': ["constraint:/properties/a"]}),
    "nullable": ("{type: integer, minimum: 1, nullable: true}", ["null", "1"], {"0": ["constraint:/properties/a"]}),
    "nullable object": ("{type: line, nullable: true}", ["null", '{"sku":"ab"}'], {"[]": ["wrong_type:/properties/a"]}),
    "union": ("{type: [string, number, boolean], maxLength: 2, maximum: 5}", ['"ab"', "5", "true"], {
        '"abc"': ["constraint:/properties/a"], "6": ["constraint:/properties/a"], "null": ["wrong_type:/properties/a"],
        "[]": ["wrong_type:/properties/a"]}),
    "union with integer": ("{type: [integer, string], nullable: true}", ["5.0", "null", '"x"'], {
        "5.5": ["wrong_type:/properties/a"]}),
    "array": ("{type: array, items: {type: integer}, minItems: 1, maxItems: 2}", ["[1]", "[1,2.0]"], {
        "[]": ["constraint:/properties/a"], "[1,2,3]": ["constraint:/properties/a"], '["x",1.5]': [
            "wrong_type:/properties/a/0", "wrong_type:/properties/a/1"], "{}": ["wrong_type:/properties/a"]}),
    "array of anything": ("{type: array}", ['[1,"x",null,[[]],{"a":1e400}]'], {'"x"': ["wrong_type:/properties/a"]}),
    "array of a union": ("{type: array, items: [string, integer]}", ['["x",1]'], {"[null]": ["wrong_type:/properties/a/0"]}),
    "array of entities": ("{type: array, items: line}", ["[]", '[{"sku":"ab","note":null}]'], {
        '[{"sku":"ab"},{"sku":"a","note":1,"more":2,"extra":{"deep":"x"}},{}]': [
            "constraint:/properties/a/1/sku", "wrong_type:/properties/a/1/note", "unknown_property:/properties/a/1/more",
            "wrong_type:/properties/a/1/extra/deep", "missing_required:/properties/a/2/sku"]}),
    "object": ("{type: object, properties: {b: {type: integer, required: true}}}", ['{"b":1}'], {
        "{}": ["missing_required:/properties/a/b"], '{"b":1,"c":2}': ["unknown_property:/properties/a/c"],
        "[]": ["wrong_type:/properties/a"]}),
    "properties imply an object": ("{properties: {b: {type: integer}}}", ["{}"], {"1": ["wrong_type:/properties/a"]}),
    "any object": ("{type: object, maxProperties: 2}", ['{"x":[1],"y":null}'], {
        '{"x":1,"y":2,"z":3}': ["constraint:/properties/a"], "[]": ["wrong_type:/properties/a"]}),
    "map": ("{type: map, values: {type: integer}, maxProperties: 2}", ['{"x":1,"a/b":2}'], {
        '{"a/b":"x","c~d":null}': ["wrong_type:/properties/a/a~1b", "wrong_type:/properties/a/c~0d"],
        '{"x":1,"y":2,"z":3}': ["constraint:/properties/a"], "[]": ["wrong_type:/properties/a"]}),
    "named type": ("{type: code}", ['"ab"', '"abc"'], {'"abcd"': ["constraint:/properties/a"]}),
    "named type, narrowed twice": ("{type: short_code, minLength: 1}", ['"a"', '"ab"'], {'"abc"': ["constraint:/properties/a"]}),
    "name alone": ("code", ['"ab"'], {"1": ["wrong_type:/properties/a"]}),
}  # fmt: skip


@pytest.mark.parametrize(("written", "valid", "invalid"), CASES.values(), ids=CASES.keys())
def test_a_keyword_finds_exactly_what_breaks_it(
    compile_event: CompileEvent, written: str, valid: list[str], invalid: dict[str, list[str]]
) -> None:
    plan = compile_event(f"a: {written}", types=TYPES)
    for text in valid:
        assert plan.check("e", None, b'{"a":' + text.encode() + b"}").violations == (), text
    for text, words in invalid.items():
        checked = plan.check("e", None, b'{"a":' + text.encode() + b"}")
        assert [violation.word() for violation in checked.violations] == words, text


@pytest.mark.parametrize("written", [case[0] for case in CASES.values()], ids=CASES.keys())
def test_an_optional_property_may_be_absent_and_a_required_one_may_not(
    compile_event: CompileEvent, written: str
) -> None:
    body = written if written.startswith("{") else f"{{type: {written}}}"
    assert compile_event(f"a: {body}", types=TYPES).check("e", None, b"{}").violations == ()
    required = compile_event("a: " + body.replace("}", ", required: true}", 1) if body.count("{") == 1 else
                             f"a: {body[:-1]}, required: true}}", types=TYPES)  # fmt: skip
    checked = required.check("e", None, b"{}")
    assert [violation.word() for violation in checked.violations] == ["missing_required:/properties/a"]


def test_an_alias_stands_for_its_property_and_is_checked_like_it(compile_event: CompileEvent) -> None:
    plan = compile_event("order_id: {type: integer, required: true, aliases: [order, orderId]}")
    for text in ('{"order":1}', '{"orderId":1}', '{"order_id":1,"order":2}'):
        assert plan.check("e", None, text.encode()).violations == ()
    wrong = plan.check("e", None, b'{"order_id":1,"order":"x"}')
    assert [violation.word() for violation in wrong.violations] == ["wrong_type:/properties/order"]
    assert plan.check("e", None, b"{}").violations[0].pointer == "/properties/order_id"


@pytest.mark.parametrize("name", ["$set", "user-id", "type", "self", "p0", "a.b", "класс", "a b"])
def test_a_property_may_have_a_name_that_is_no_python_name(compile_event: CompileEvent, name: str) -> None:
    plan = compile_event(f"'{name}': {{type: integer, required: true}}", head='naming: {properties: "^.+$"}')
    assert plan.check("e", None, json.dumps({name: 1}).encode()).violations == ()
    assert plan.check("e", None, json.dumps({name: "x"}).encode()).violations[0].pointer == f"/properties/{name}"


def test_an_event_may_have_no_properties(compile_event: CompileEvent) -> None:
    plan = compile_event("a: {type: integer}")
    assert plan.check("e", None, b" {} ").violations == ()


def test_max_string_is_the_length_of_strings_that_state_none(compile_event: CompileEvent) -> None:
    plan = compile_event("a: {type: string}\nb: {type: string, maxLength: 9}", head="limits: {max_string: 3}")
    words = [violation.word() for violation in plan.check("e", None, b'{"a":"four","b":"four"}').violations]
    assert words == ["constraint:/properties/a"]
