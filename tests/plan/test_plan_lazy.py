"""What is put off until it is needed, or left out because it is known to find nothing, changes no verdict."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from plan.built import event, number, plan_of, text
from plan.plan_examples import examples

from collector.plan import Checked, CompiledPlan, Plan, compile_plan, load_plan
from collector.plan.check import EventCheck
from collector.plan.model import Property, Type

SCHEMAS = Path(__file__).parent.parent.parent / "schemas"
PLAN = load_plan(SCHEMAS)


def checks(compiled: CompiledPlan, plan: Plan) -> dict[str, EventCheck]:
    """The check of each event's newest major."""
    return {name: check for name in plan.events if (check := compiled.find(name, None)) is not None}


def test_a_process_makes_the_structs_of_the_events_it_sees_and_no_others() -> None:
    compiled = CompiledPlan(PLAN)
    assert not any(check.prepared for check in checks(compiled, PLAN).values())
    assert compiled.check("click", None, b"{}").violations == ()
    assert [name for name, check in checks(compiled, PLAN).items() if check.prepared] == ["click"]
    assert all(check.prepared for check in checks(compile_plan(PLAN), PLAN).values())


def test_an_event_in_use_is_ready_again_before_the_new_plan_is_handed_over() -> None:
    old = plan_of(event(number("n"), name="used", hash="1"), event(number("n"), name="rare", hash="2"))
    new = plan_of(event(text("n"), name="used", hash="3"), event(text("n"), name="rare", hash="4"))
    first = CompiledPlan(old)
    first.check("used", None, b'{"n":1}')
    second = CompiledPlan(new, first)
    assert {name: check.prepared for name, check in checks(second, new).items()} == {"used": True, "rare": False}
    assert second.check("used", None, b'{"n":1}').violations
    assert not second.check("rare", None, b'{"n":"x"}').violations


def test_threads_that_ask_first_at_the_same_time_get_the_same_verdicts() -> None:
    for _ in range(20):
        compiled, start, found = CompiledPlan(PLAN), threading.Barrier(4), list[Checked]()

        def ask(
            compiled: CompiledPlan = compiled, start: threading.Barrier = start, found: list[Checked] = found
        ) -> None:
            start.wait()
            found.append(compiled.check("page_view", None, b'{"load_ms":1}'))
            found.append(compiled.check("page_view", None, b'{"load_ms":"fast"}'))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(len(checked.violations) for checked in found) == [0] * 4 + [1] * 4


def test_an_event_for_which_msgspec_makes_no_struct_is_judged_by_its_rules_and_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The plan's own files cannot say this: bounds of more than 64 bits are an error there.
    huge = Property(name="n", type=Type(kind="integer", minimum=-(2**70)))
    compiled = CompiledPlan(plan_of(event(huge)))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert not compiled.check("e", None, b'{"n":1}').violations
            assert compiled.check("e", None, b'{"n":"x"}').violations
    assert [record.getMessage() for record in caplog.records] == [
        "e@2 is judged by its rules alone: Integer bounds constraints (`ge`, `le`, ...) that don't fit in an int64 are "
        "currently not supported. If you need this feature, please open an issue on GitHub"
    ]


EVERYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**65), 2**65),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", "EUR", "eur", "A-1", "99.50", "2026-09-01T10:00:00Z", "a@shop.example", "x" * 300]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["sku", "price", "q"]), inner)
    ),
    max_leaves=6,
)
NAMES = sorted({word for one in PLAN.events.values() for prop in one.properties for word in (prop.name, *prop.aliases)})
# What no decoder takes, in the place of a value.
BROKEN = (b'"\\ud83d"', b'"\xff"', b"1e999", b"9" * 5_000, b"[" * 2_000 + b"]" * 2_000, b"9007199254740993", b"19.90")


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, bytes]:
    """An event of the default plan, and properties: some of a valid document, some of anything, some unreadable."""
    name = draw(st.sampled_from(sorted(PLAN.events)))
    own = [prop.name for prop in PLAN.events[name].properties]
    members = [(key, msgspec.json.encode(value)) for key, value in draw(st.sampled_from(valid_of(name))).items()]
    names = st.one_of(st.sampled_from(own), st.sampled_from(NAMES), st.sampled_from(["x", "a/b", "orderId"]))
    values = st.one_of(EVERYTHING.map(msgspec.json.encode), st.sampled_from(BROKEN))
    members = draw(st.permutations(members + draw(st.lists(st.tuples(names, values), max_size=4))))
    return name, b"{" + b",".join(msgspec.json.encode(key) + b":" + part for key, part in members) + b"}"


def valid_of(name: str) -> list[dict[str, Any]]:
    """Valid documents of an event, from its own tests."""
    return [test.document for test in PLAN.events[name].tests if not test.violates] or [{}]


STRICT = compile_plan(PLAN)
WALKING = compile_plan(PLAN)
for one in checks(WALKING, PLAN).values():
    one.__dict__["_accepted"] = {}  # no decoder says beforehand where there is nothing to find


@given(sent=documents(), handled=st.booleans())
@settings(max_examples=examples(100), deadline=None, derandomize=True)
def test_where_a_decoder_finds_nothing_the_rules_find_nothing(sent: tuple[str, bytes], handled: bool) -> None:
    name, document = sent
    mine, theirs = STRICT.find(name, None), WALKING.find(name, None)
    assert mine is not None
    assert theirs is not None
    assert mine._walked(document, handled=handled) == theirs._walked(document, handled=handled)


def test_only_what_may_be_wrong_is_decoded_again() -> None:
    check = STRICT.find("purchase", None)
    assert check is not None
    document = valid_of("purchase")[0] | {"currency": "eur", "colour": "red"}
    parts = {key: msgspec.Raw(msgspec.json.encode(value)) for key, value in document.items()}
    assert check._doubtful(parts) == {"currency": "eur", "colour": "red"}


def test_a_valid_value_beside_a_bad_one_still_fills_its_column() -> None:
    sent = {"order_id": "", "currency": "EUR", "value": "99.50", "items": [{"sku": "A", "price": 1, "quantity": 1}]}
    checked = STRICT.check("purchase", None, msgspec.json.encode(sent))
    assert [found.word() for found in checked.violations] == ["constraint:/properties/order_id"]
    assert (checked.value, checked.currency) == ("99.50", "EUR")


def test_one_value_in_two_currencies_is_two_verdicts() -> None:
    sent = {"order_id": "O-1", "items": [{"sku": "A", "price": 1, "quantity": 1}], "value": 5.5}
    found = [
        STRICT.check("purchase", None, msgspec.json.encode(sent | {"currency": code}))
        for code in ("EUR", "USD", "EUR", "USD", "eur")
    ]
    assert [(checked.value, checked.currency, bool(checked.violations)) for checked in found] == [
        ("5.5", "EUR", False), ("5.5", "USD", False), ("5.5", "EUR", False), ("5.5", "USD", False), ("5.5", "", True),
    ]  # fmt: skip


def test_facts_that_differ_are_judged_anew() -> None:
    old = plan_of(event(number("n"), hash="1"))
    first = CompiledPlan(old)
    for new in (
        structs.replace(old, limits=structs.replace(old.limits, max_extra_properties=1)),
        plan_of(event(number("n"), hash="2")),
        plan_of(event(number("n"))),
    ):
        assert CompiledPlan(new, first).find("e", None) is not first.find("e", None)
    assert CompiledPlan(structs.replace(old, version="9.9.9"), first).find("e", None) is first.find("e", None)
