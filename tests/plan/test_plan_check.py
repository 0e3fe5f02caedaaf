"""CompiledPlan.check: verdicts, versions, values, sentences, and bytes made to break it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from plan.plan_types import CompileEvent, WriteFolder

from collector.plan import CompiledPlan, Violation, compile_plan, load_plan
from collector.plan.rules import VIOLATIONS_MAX
from collector.reason import Reason

MONEY = """
value: {type: decimal, minimum: 0, aliases: [total]}
currency: {type: string, pattern: "^[A-Z]{3}$", maxLength: 3, examples: [EUR]}
"""
SEMANTIC = "semantic: {conversion: macro, value: value, currency: currency}\n"


def words(plan: CompiledPlan, text: str, event: str = "e", major: int | None = None) -> list[str]:
    """The violations of one document."""
    return [violation.word() for violation in plan.check(event, major, text.encode()).violations]


# Versions and unknown events


@pytest.fixture
def two_majors(write_plan: WriteFolder) -> CompiledPlan:
    return compile_plan(
        load_plan(
            write_plan(
                {
                    "events/a/e.yaml": "event: e\nversion: 3.1.0\naccept: [{major: 2}]\n"
                    "properties: {new: {type: string}}\n",
                    "history/e@2.yaml": "event: e@2\nversion: 2.0.0\nproperties: {old: {type: string}}\n",
                    "history/e@1.yaml": "event: e@1\nversion: 1.0.0\n",
                }
            )
        )
    )


def test_an_event_without_a_version_is_of_the_newest_major(two_majors: CompiledPlan) -> None:
    checked = two_majors.check("e", None, b'{"new":"x"}')
    assert (checked.event_version, checked.violations, checked.rejected) == (3, (), None)


def test_an_accepted_major_is_checked_by_its_own_file(two_majors: CompiledPlan) -> None:
    assert two_majors.check("e", 2, b'{"old":"x"}').violations == ()
    assert two_majors.check("e", 2, b'{"old":"x"}').event_version == 2
    assert words(two_majors, '{"new":"x"}', major=2) == ["unknown_property:/properties/new"]


@pytest.mark.parametrize(
    "major", [1, 4, 0, -1, 10**30], ids=["no longer accepted", "future", "zero", "negative", "huge"]
)
def test_an_unknown_major_is_stored_and_named(two_majors: CompiledPlan, major: int) -> None:
    checked = two_majors.check("e", major, b'{"old":1}')
    assert checked.event_version == 0
    assert checked.rejected is None
    (violation,) = checked.violations
    assert violation.reason is Reason.EVENT_VERSION_UNKNOWN
    assert violation.word() == "event_version_unknown:/event"
    assert f"no e@{major}; send version 2, 3" in violation.fix


@pytest.mark.parametrize(
    ("action", "listed", "rejected"), [("allow", 0, False), ("flag", 1, False), ("quarantine", 1, True)]
)
def test_unknown_events_follow_the_plan(compile_event: CompileEvent, action: str, listed: int, rejected: bool) -> None:
    plan = compile_event("a: {type: string}", head=f"enforce: {{unknown_event: {action}}}")
    for event, major in (("banner", None), ("banner", 1), ("e", 7)):
        checked = plan.check(event, major, b"{}")
        assert len(checked.violations) == listed
        assert (checked.rejected is not None) == rejected
        assert checked.event_version == 0
    assert plan.check("e", None, b"{}").violations == ()


def test_the_name_of_an_unknown_event_is_cut_in_the_message(compile_event: CompileEvent) -> None:
    (violation,) = compile_event("a: {type: string}").check("x" * 10_000, None, b"{}").violations
    assert violation.pointer == "/event"
    assert len(violation.fix) < 200


def test_the_plan_version_is_at_hand(compile_event: CompileEvent) -> None:
    assert compile_event("a: {type: string}").version == "1.0.0"


# Enforcement


@pytest.mark.parametrize("reason", ["unknown_property", "missing_required", "wrong_type", "constraint"])
@pytest.mark.parametrize("action", ["allow", "flag", "quarantine"])
@pytest.mark.parametrize("place", ["plan", "event"])
def test_each_class_has_the_action_its_plan_or_event_gives_it(
    compile_event: CompileEvent, reason: str, action: str, place: str
) -> None:
    enforce = f"enforce: {{{reason}: {action}}}\n"
    properties = "a: {type: integer, maximum: 3}\nb: {type: integer, required: true}"
    opposite = "flag" if action == "quarantine" else "quarantine"
    if place == "plan":
        plan = compile_event(properties, head=enforce)
    else:
        plan = compile_event(properties, head=f"enforce: {{{reason}: {opposite}}}\n", more=enforce)
    text = {
        "unknown_property": '{"b":1,"c":2}',
        "missing_required": "{}",
        "wrong_type": '{"b":"x"}',
        "constraint": '{"a":4,"b":1}',
    }[reason]
    checked = plan.check("e", None, text.encode())
    assert [violation.reason.word for violation in checked.violations] == ([] if action == "allow" else [reason])
    assert (checked.rejected is not None) == (action == "quarantine")
    assert checked.event_version == 2


def test_the_first_quarantined_violation_rejects_whatever_was_flagged_before_it(compile_event: CompileEvent) -> None:
    plan = compile_event("a: {type: integer}\nb: {type: integer, maximum: 1}")
    checked = plan.check("e", None, b'{"x":1,"b":2,"a":"y"}')
    assert [violation.word() for violation in checked.violations] == [
        "unknown_property:/properties/x",
        "constraint:/properties/b",
        "wrong_type:/properties/a",
    ]
    assert checked.rejected == checked.violations[1]


# Values


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("99.5", "99.5"),
        ("19.90", "19.9"),
        ('"19.90"', "19.9"),
        ("0", "0"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("99999999999999.9999", "99999999999999.9999"),
        ("12345678901234.5678", "12345678901234.5678"),
        ('"12345678901234.5678"', "12345678901234.5678"),
        ("999999999.9999", "999999999.9999"),
        ("1000000000.0001", "1000000000.0001"),
        ("59.699999999999996", "59.7"),
        ("0.00005", "0"),
        ("0.00015", "0.0002"),
        ("1e-400", "0"),
        ("1e-99999999999999999999", "0"),
        ("0e999999999", "0"),
    ],
)
def test_the_value_is_the_exact_decimal_that_was_sent(compile_event: CompileEvent, sent: str, stored: str) -> None:
    plan = compile_event(MONEY, more=SEMANTIC)
    for name in ("value", "total"):
        checked = plan.check("e", None, f'{{"{name}":{sent},"currency":"EUR"}}'.encode())
        assert checked.violations == ()
        assert Decimal(checked.value) == Decimal(stored)
        assert "e" not in checked.value.lower()
        assert len(checked.value.partition(".")[2]) <= 4
        assert (checked.currency, checked.conversion) == ("EUR", "macro")


@pytest.mark.parametrize(
    ("kind", "sent", "stored"),
    [
        ("integer", "5", "5"),
        ("integer", "5.0", "5"),
        ("integer", "99999999999999", "99999999999999"),
        ("number", "5", "5"),
        ("number", "-5.25", "-5.25"),
        ("number", "1e-300", "0"),
        ("{type: number, multipleOf: 0.05}", "0.15", "0.15"),
        ("{type: decimal, nullable: true}", "null", "0"),
    ],
)
def test_a_value_may_be_of_any_numeric_type(compile_event: CompileEvent, kind: str, sent: str, stored: str) -> None:
    plan = compile_event(f"value: {kind}", more="semantic: {conversion: micro, value: value}")
    checked = plan.check("e", None, f'{{"value":{sent}}}'.encode())
    assert checked.violations == ()
    assert Decimal(checked.value) == Decimal(stored)
    assert (checked.currency, checked.conversion) == ("", "micro")


@pytest.mark.parametrize(
    ("kind", "sent"),
    [("number", "1e14"), ("number", "1e300"), ("integer", "100000000000000"), ("decimal", "99999999999999.99999")],
)
def test_a_value_that_its_column_cannot_hold_is_a_constraint(compile_event: CompileEvent, kind: str, sent: str) -> None:
    plan = compile_event(f"value: {kind}", more="semantic: {conversion: macro, value: value}")
    checked = plan.check("e", None, f'{{"value":{sent}}}'.encode())
    assert [violation.word() for violation in checked.violations] == ["constraint:/properties/value"]
    assert checked.value == "0"


def test_an_invalid_value_or_currency_that_is_only_flagged_is_stored_as_none(compile_event: CompileEvent) -> None:
    plan = compile_event(MONEY, more=SEMANTIC + "enforce: {wrong_type: flag, constraint: flag}")
    checked = plan.check("e", None, b'{"value":"free","currency":"eur"}')
    assert checked.rejected is None
    assert (checked.value, checked.currency) == ("0", "")
    assert len(checked.violations) == 2


def test_an_event_without_value_has_none(compile_event: CompileEvent) -> None:
    checked = compile_event(MONEY, more=SEMANTIC).check("e", None, b"{}")
    assert (checked.value, checked.currency, checked.conversion) == ("0", "", "macro")


def test_a_valid_event_without_meaning_shares_one_verdict(compile_event: CompileEvent) -> None:
    plan = compile_event("a: {type: integer}")
    assert plan.check("e", None, b'{"a":1}') is plan.check("e", None, b'{"a":2}')


# Sentences


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ('{"currency":"eur"}', 'currency is "eur", it must match ^[A-Z]{3}$; send a value such as "EUR"'),
        ('{"n":7}', "n is 7, it must be at most 5; send 5 or less"),
        ('{"n":"7"}', 'n is "7", it must be a whole number; send a whole number'),
        ('{"n":null}', "n is null, it must be a whole number; leave it out when there is no value"),
        ('{"kind":"c"}', 'kind is "c", it must be one of "a", "b"; send one of them, or add it to the plan'),
        ('{"lines":[{}]}', "lines[0].sku is missing, it is required; send a string"),
        ('{"lines":[{"sku":"x","Sku":1}]}', 'lines[0].Sku is not in the plan; send it as "sku"'),
        ('{"other":1}', "other is not in the plan; add it to the plan or stop sending it"),
        ('{"mail":"secret"}', "mail has a value that must be a valid email; correct it at the sender"),
        ("[1]", "properties is a list of 1, it must be an object; send {} when there are none"),
    ],
)
def test_a_violation_says_what_was_found_the_limit_and_what_to_do(
    compile_event: CompileEvent, sent: str, sentence: str
) -> None:
    plan = compile_event(
        """
        currency: {type: string, pattern: "^[A-Z]{3}$", maxLength: 3, examples: [EUR]}
        n: {type: integer, maximum: 5}
        kind: {type: string, enum: [a, b]}
        lines: {type: array, items: {properties: {sku: {type: string, required: true}}}}
        mail: {type: string, format: email, pii: {class: email}}
    """.strip("\n")
    )
    (violation,) = plan.check("e", None, sent.encode()).violations
    assert violation.fix == sentence


def test_a_long_value_is_cut_in_the_message(compile_event: CompileEvent) -> None:
    plan = compile_event("a: {type: integer}\nb: {type: string, maxLength: 3}")
    for text in ('{"a":"' + "x" * 9_000 + '"}', '{"b":"' + "x" * 9_000 + '"}', '{"a":' + "1" * 4_000 + "}"):
        (violation,) = plan.check("e", None, text.encode()).violations
        assert len(violation.fix) < 200


# Hostile input


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", ["wrong_type:/properties"]),
        ("[]", ["wrong_type:/properties"]),
        ('"x"', ["wrong_type:/properties"]),
        ("1" * 5_000, ["wrong_type:/properties"]),
        ('{"a":' + "1" * 5_000 + ',"b":"x"}', ["wrong_type:/properties/a", "wrong_type:/properties/b"]),
        ('{"a":1.' + "1" * 5_000 + "}", ["wrong_type:/properties/a"]),
        ('{"x":' + "1" * 5_000 + "}", ["unknown_property:/properties/x"]),
        ('{"a":1,"a":"x"}', ["wrong_type:/properties/a"]),
        ('{"a/b~c":1}', ["unknown_property:/properties/a~1b~0c"]),
        ('{"":1}', ["unknown_property:/properties/"]),
        ('{"\\u0061":1.5}', ["wrong_type:/properties/a"]),
    ],
    ids=[
        "null",
        "list",
        "text",
        "digits",
        "digits inside",
        "long fraction",
        "unknown digits",
        "twice",
        "escapes",
        "empty",
        "u",
    ],
)
def test_strange_documents_have_exact_pointers(compile_event: CompileEvent, text: str, expected: list[str]) -> None:
    assert words(compile_event("a: {type: integer}\nb: {type: integer}"), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"a":' + b'{"x":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a":"\\ud83d"}',
        b'{"\\ud83d":1}',
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":1',
        b"",
        b"\x00",
    ],
    ids=[
        "deep list",
        "deep object",
        "deep root",
        "surrogate",
        "surrogate key",
        "bytes",
        "bytes key",
        "cut",
        "empty",
        "nul",
    ],
)
@pytest.mark.parametrize("action", ["allow", "flag", "quarantine"])
def test_what_cannot_be_decoded_is_a_violation_and_never_an_exception(
    compile_event: CompileEvent, text: bytes, action: str
) -> None:
    plan = compile_event("a: {type: integer, required: true}", head=f"enforce: {{wrong_type: {action}}}")
    for document in (text, msgspec.Raw(text)):
        checked = plan.check("e", None, document)
        assert all(isinstance(violation, Violation) for violation in checked.violations)
        assert checked.violations or action == "allow"
        assert (checked.rejected is not None) == (action == "quarantine")


def test_a_deep_value_that_the_plan_does_not_look_into_hides_nothing_else(compile_event: CompileEvent) -> None:
    plan = compile_event("a: {type: integer}\nb: {type: array}")
    deep = b"[" * 50_000 + b"]" * 50_000
    assert plan.check("e", None, b'{"a":"x","b":' + deep + b"}").violations


def test_the_list_of_violations_is_bounded_and_still_finds_what_rejects(compile_event: CompileEvent) -> None:
    plan = compile_event("a: {type: integer}\nl: {type: array, items: {type: integer}}")
    unknown = ",".join(f'"x{n}":1' for n in range(2_000))
    checked = plan.check("e", None, f'{{{unknown},"a":"y"}}'.encode())
    assert len(checked.violations) == 64 + 1
    assert checked.rejected is not None
    assert checked.rejected.pointer == "/properties/a"

    many = plan.check("e", None, b'{"l":[' + b",".join([b'"x"'] * 5_000) + b"]}")
    assert len(many.violations) == VIOLATIONS_MAX
    assert many.rejected == many.violations[0]


def test_long_keys_are_cut_in_pointers(compile_event: CompileEvent) -> None:
    plan = compile_event("m: {type: map, values: {type: map, values: {type: integer}}}")
    inner = ",".join(f'"{n}":"x"' for n in range(50))
    checked = plan.check("e", None, f'{{"m":{{"{"k" * 10_000}":{{{inner}}}}}}}'.encode())
    assert len(checked.violations) == 50
    assert all(len(violation.pointer) < 300 for violation in checked.violations)
