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

WRONG = ["wrong_type:/properties/a"]
BROKEN = ["constraint:/properties/a"]

# name of the edge: type, documents that are valid for property `a`, {invalid document: violations}
CASES: dict[str, tuple[str, list[str], dict[str, list[str]]]] = {
    "string": ("{type: string}", ['"x"', '""'], dict.fromkeys(("1", "null", "true", "[]", "{}"), WRONG)),
    "max_string": ("{type: string}", ['"' + "x" * 4096 + '"'], {'"' + "x" * 4097 + '"': BROKEN}),
    "lengths count characters, not bytes": (
        "{type: string, minLength: 2, maxLength: 3}",
        ['"ab"', '"éèê"', '"😀😀😀"'],
        {'"a"': BROKEN, '"abcd"': BROKEN, '"😀"': BROKEN},
    ),
    "pattern": (
        '{type: string, pattern: "^[A-Z]{3}$", maxLength: 9}',
        ['"EUR"'],
        dict.fromkeys(('"eur"', '"EUR\\n"', '"EURO"', '""'), BROKEN),
    ),
    "pattern without anchors": (
        '{type: string, pattern: "b+|c", maxLength: 9}',
        ['"abba"', '"xcx"'],
        {'"xyz"': BROKEN},
    ),
    "digits are ASCII digits": (
        '{type: string, pattern: "^\\\\d[\\\\w-]$", maxLength: 9}',
        ['"1_"', '"1-"'],
        {'"٣_"': BROKEN, '"1é"': BROKEN},
    ),
    "dot stops at a line's end": (
        '{type: string, pattern: "^a.b$", maxLength: 9}',
        ['"a b"'],
        {'"a\\nb"': BROKEN, '"a\\rb"': BROKEN},
    ),
    "email": (
        "{type: string, format: email}",
        ['"a@b.example"'],
        {'"ab"': BROKEN, '"a@b@c"': BROKEN, '"a @b"': BROKEN},
    ),
    "uri": (
        "{type: string, format: uri}",
        ['"https://a.example/"', '"mailto:a@b"'],
        {'"/p"': BROKEN, '"https://a b"': BROKEN},
    ),
    "uuid": (
        "{type: string, format: uuid}",
        ['"00000000-0000-4000-8000-00000000000A"'],
        {'"00000000000040008000000000000000"': BROKEN},
    ),
    "date": ("{type: date}", ['"2024-02-29"'], {'"2023-02-29"': WRONG, '"2024-2-9"': WRONG, "20240229": WRONG}),
    "format date is a date": ("{type: string, format: date}", ['"2024-02-29"'], {'"x"': WRONG}),
    "datetime needs its offset": (
        "{type: datetime}",
        ['"2026-09-01T10:00:00Z"', '"2026-09-01T10:00:00.5+02:00"'],
        {'"2026-09-01T10:00:00"': WRONG, '"2026-09-01"': WRONG, "1790000000": WRONG},
    ),
    "format date-time is a datetime": ("{type: string, format: date-time}", ['"2026-09-01T10:00:00Z"'], {'"x"': WRONG}),
    "integer": (
        "{type: integer}",
        [
            "5",
            "-5",
            "5.0",
            "1e2",
            "-0.0",
            "0e99999999",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775807.0",
        ],
        {
            "5.5": WRONG,
            '"5"': WRONG,
            "true": WRONG,
            "9223372036854775808": BROKEN,
            "-9223372036854775809": BROKEN,
            "1e19": BROKEN,
            "1e999999999": BROKEN,
            "1e-999999999": WRONG,
        },
    ),
    "integer bounds": (
        "{type: integer, minimum: -1, exclusiveMaximum: 3}",
        ["-1", "2", "2.0"],
        {"-2": BROKEN, "3": BROKEN, "3.0": BROKEN},
    ),
    "integer exclusive": ("{type: integer, exclusiveMinimum: 0, maximum: 2}", ["1", "2"], {"0": BROKEN, "3": BROKEN}),
    "multipleOf": ("{type: integer, multipleOf: 5}", ["-10", "0", "5.0"], {"7": BROKEN}),
    "number": (
        "{type: number}",
        ["1", "1.5", "-1e300", "9007199254740993", "1e-999"],
        {"1e400": BROKEN, "-1e99999999999999999999": BROKEN, '"1"': WRONG, "false": WRONG},
    ),
    "number bounds": (
        "{type: number, exclusiveMinimum: 0, maximum: 1.5}",
        ["0.1", "1.5", "1"],
        {"0": BROKEN, "0.0": BROKEN, "1.6": BROKEN},
    ),
    "multipleOf of a fraction is exact": (
        "{type: number, multipleOf: 0.1}",
        ["0.3", "0.7", "1", "1e30", "-1e300"],
        {"0.35": BROKEN},
    ),
    "boolean": ("{type: boolean}", ["true", "false"], {"1": WRONG, '"true"': WRONG}),
    "decimal": (
        "{type: decimal}",
        ["1", "1.5", '"1.50"', '"-1"', "-0.00001", "99999999999999", "1e13", '"1e2"'],
        {
            '"abc"': WRONG,
            '"NaN"': WRONG,
            '"1_0"': WRONG,
            '" 1"': WRONG,
            '"Infinity"': WRONG,
            '"１"': WRONG,
            "true": WRONG,
            "100000000000000": BROKEN,
            '"100000000000000"': BROKEN,
            "-1e14": BROKEN,
            "1e999999999": BROKEN,
        },
    ),
    "decimal precision": (
        "{type: decimal, precision: 4, scale: 2, minimum: 0}",
        ["99.99", "99.999", '"0.5"'],
        {"100": BROKEN, "-1": BROKEN, '"-1"': BROKEN},
    ),
    "decimal maximum": (
        "{type: decimal, minimum: 1, maximum: 10, multipleOf: 0.05}",
        ["1.05", '"10"'],
        {"0.95": BROKEN, "10.05": BROKEN, "1.01": BROKEN},
    ),
    "enum": ('{type: string, enum: ["no", "1"]}', ['"no"', '"1"'], {'"yes"': BROKEN, "1": WRONG, "false": WRONG}),
    "enum of integers": ("{type: integer, enum: [1, 2]}", ["1", "2.0"], {"3": BROKEN, "true": WRONG}),
    "const": ("{type: string, const: x}", ['"x"'], {'"y"': BROKEN}),
    "nullable": ("{type: integer, minimum: 1, nullable: true}", ["null", "1"], {"0": BROKEN}),
    "nullable object": ("{type: line, nullable: true}", ["null", '{"sku":"ab"}'], {"[]": WRONG}),
    "union": (
        "{type: [string, number, boolean], maxLength: 2, maximum: 5}",
        ['"ab"', "5", "true"],
        {'"abc"': BROKEN, "6": BROKEN, "null": WRONG, "[]": WRONG},
    ),
    "union with integer": ("{type: [integer, string], nullable: true}", ["5.0", "null", '"x"'], {"5.5": WRONG}),
    "array": (
        "{type: array, items: {type: integer}, minItems: 1, maxItems: 2}",
        ["[1]", "[1,2.0]"],
        {
            "[]": BROKEN,
            "[1,2,3]": BROKEN,
            '["x",1.5]': ["wrong_type:/properties/a/0", "wrong_type:/properties/a/1"],
            "{}": WRONG,
        },
    ),
    "array of anything": ("{type: array}", ['[1,"x",null,[[]],{"a":1e400}]'], {'"x"': WRONG}),
    "array of a union": (
        "{type: array, items: [string, integer]}",
        ['["x",1]'],
        {"[null]": ["wrong_type:/properties/a/0"]},
    ),
    "array of entities": (
        "{type: array, items: line}",
        ["[]", '[{"sku":"ab","note":null}]'],
        {
            '[{"sku":"ab"},{"sku":"a","note":1,"more":2,"extra":{"deep":"x"}},{}]': [
                "constraint:/properties/a/1/sku",
                "wrong_type:/properties/a/1/note",
                "unknown_property:/properties/a/1/more",
                "wrong_type:/properties/a/1/extra/deep",
                "missing_required:/properties/a/2/sku",
            ]
        },
    ),
    "object": (
        "{type: object, properties: {b: {type: integer, required: true}}}",
        ['{"b":1}'],
        {
            "{}": ["missing_required:/properties/a/b"],
            '{"b":1,"c":2}': ["unknown_property:/properties/a/c"],
            "[]": WRONG,
        },
    ),
    "properties imply an object": ("{properties: {b: {type: integer}}}", ["{}"], {"1": WRONG}),
    "any object": (
        "{type: object, maxProperties: 2}",
        ['{"x":[1],"y":null}'],
        {'{"x":1,"y":2,"z":3}': BROKEN, "[]": WRONG},
    ),
    "map": (
        "{type: map, values: {type: integer}, maxProperties: 2}",
        ['{"x":1,"a/b":2}'],
        {
            '{"a/b":"x","c~d":null}': ["wrong_type:/properties/a/a~1b", "wrong_type:/properties/a/c~0d"],
            '{"x":1,"y":2,"z":3}': BROKEN,
            "[]": WRONG,
        },
    ),
    "named type": ("{type: code}", ['"ab"', '"abc"'], {'"abcd"': BROKEN}),
    "named type, narrowed twice": ("{type: short_code, minLength: 1}", ['"a"', '"ab"'], {'"abc"': BROKEN}),
    "name alone": ("code", ['"ab"'], {"1": WRONG}),
}


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
    assert words == BROKEN
