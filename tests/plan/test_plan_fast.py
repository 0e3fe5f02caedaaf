"""The shortcuts of the fast path say what the rules say: texts of numbers, remembered words, remembered verdicts."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs
from plan.built import compiled, text
from plan.plan_examples import examples

from collector.plan import CompiledPlan, compile_plan, load_plan
from collector.plan.check import VERDICTS_MAX, EventCheck
from collector.plan.fast import WORD_CHARS_MAX, WORDS_MAX, Words, plain_text
from collector.plan.model import Property, Semantic, Type
from collector.plan.rules import decimal_text

SCHEMAS = Path(__file__).parent.parent.parent / "schemas"
CODE: dict[str, Any] = {"regex": r"\A[A-Z]{3}\Z", "pattern": "^[A-Z]{3}$", "max_length": 40}
MONEY = Property(name="value", type=Type(kind="decimal", minimum=0), required=True)
WORTH = Semantic(conversion="macro", value="value", currency="currency")

PLACES = st.integers(0, 6).flatmap(
    lambda places: st.integers(-(10**13), 10**13).map(lambda digits: digits / 10**places)
)


@given(
    number=st.one_of(
        PLACES, st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 1e-4, 9e-5, 1.5e-7, -1.5e-7])
    )
)
@settings(max_examples=examples(150), deadline=None, derandomize=True)
def test_the_text_of_a_float_is_the_number_as_it_was_sent(number: float) -> None:
    found = plain_text(number)
    exact = Decimal(repr(number))
    few_places = exact == exact.quantize(Decimal("0.0001")) if abs(exact) < 10**9 else False
    assert (found is not None) == few_places
    if found is not None:
        assert re.fullmatch(r"-?[0-9]+(\.[0-9]{1,4})?", found)
        assert Decimal(found) == exact


@given(whole=st.integers(0, 10**16), places=st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,6}", fullmatch=True)))
@settings(max_examples=examples(60), deadline=None, derandomize=True)
def test_a_number_sent_as_text_is_taken_as_it_is_or_left_to_the_rules(whole: int, places: str) -> None:
    found, exact = plain_text(f"{whole}{places}"), decimal_text(f"{whole}{places}")
    assert found is None or (exact is not None and Decimal(found) == Decimal(exact))
    if exact is not None and len(places) <= 5:
        assert found is not None


@pytest.mark.parametrize("number", [float("inf"), float("nan"), "-1.5", 10**14, True])
def test_other_numbers_are_left_to_the_rules(number: Any) -> None:
    assert plain_text(number) is None


def test_words_remember_what_matched_and_no_more_than_they_may() -> None:
    words = Words(CODE["regex"])
    assert (words["EUR"], words["eur"], words["EUR\n"], words[UNSET], words[None]) == ("EUR", None, None, "", "")
    assert "EUR" in words
    assert "eur" not in words
    many = Words(None)
    assert many["x" * (WORD_CHARS_MAX + 1)]
    assert len(many) == 2
    assert all(many[str(number)] == str(number) for number in range(2 * WORDS_MAX))
    assert len(many) == WORDS_MAX + 2


def walks(check: EventCheck, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Counts the walks of the rules from now on."""
    counted: list[object] = []
    walk = check._walk

    def counting(*arguments: Any) -> Any:
        counted.append(arguments[0])
        return walk(*arguments)

    monkeypatch.setattr(check, "_walk", counting)
    return counted


def check_of(*properties: Property, **facts: Any) -> EventCheck:
    found = compiled(*properties, **facts).find("e", None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sent", "valid"), [("ABC", True), ("ABCD", False), ("abc", False), ("ABC\n", False), ("", False)]
)
@pytest.mark.parametrize("name", ["code", "old", "second", "currency"])
def test_a_pattern_holds_under_every_name_the_first_time_and_again(name: str, sent: str, valid: bool) -> None:
    code = structs.replace(text("code", **CODE), aliases=("old",))
    check = check_of(
        code, text("second", "mask", **CODE), text("currency", **CODE), structs.replace(MONEY, required=False),
        semantic=WORTH,
    )  # fmt: skip
    for _ in range(3):
        document = msgspec.json.encode({"code": "XYZ", name: sent})
        assert check.check(document).violations == check._walked(document).violations
        assert (not check.check(document).violations) == valid


def test_verdicts_of_equal_worth_are_shared_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    check = check_of(MONEY, text("currency", **CODE), semantic=WORTH)
    walked = walks(check, monkeypatch)
    found = [
        check.check(msgspec.json.encode(document))
        for document in (
            {"value": 9.5, "currency": "EUR"}, {"value": 9.5, "currency": "USD"}, {"value": 9.5}, {"value": "9.50"},
            {"value": 9.5, "currency": "EUR"},
        )
    ]  # fmt: skip
    assert [(checked.value, checked.currency) for checked in found] == [
        ("9.5", "EUR"), ("9.5", "USD"), ("9.5", ""), ("9.50", ""), ("9.5", "EUR"),
    ]  # fmt: skip
    assert found[0] is found[-1]
    assert not walked


def test_no_sender_makes_the_memory_of_verdicts_grow() -> None:
    check = check_of(MONEY, text("currency", max_length=4_000), semantic=WORTH)
    for number in range(2 * VERDICTS_MAX + 10):
        checked = check.check(b'{"value":%d.25,"currency":"EUR"}' % number)
        assert checked.value == f"{number}.25"
    assert 0 < len(check._known) <= VERDICTS_MAX
    check._known.clear()
    check.check(msgspec.json.encode({"value": 1.25, "currency": "E" * 4_000}))
    assert not check._known


def test_what_is_personal_is_not_remembered() -> None:
    check = check_of(MONEY, text("currency", "keep", **CODE), text("iban", "keep", **CODE), semantic=WORTH)
    assert not check.check(b'{"value":1.5,"currency":"EUR","iban":"ABC"}').violations
    assert not check._known
    assert all(set(words) == {UNSET, None} for words in [check._currencies, *(words for _, words in check._patterns)])


PLAN = load_plan(SCHEMAS)
COMPILED: CompiledPlan = compile_plan(PLAN)


@pytest.mark.parametrize("event", sorted(PLAN.events))
def test_a_valid_event_of_the_default_plan_never_walks_the_rules(event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check = COMPILED.find(event, None)
    assert check is not None
    walked = walks(check, monkeypatch)
    documents = [test.document for test in PLAN.events[event].tests if not test.violates]
    # 9.0 for a whole number is valid JSON Schema; only the rules know that.
    plain = [
        found
        for found in documents
        if not any(type(value) is float and value == int(value) for value in found.values())
    ]
    assert plain
    for document in plain:
        assert not check.check(msgspec.json.encode(document)).violations
    assert not walked
