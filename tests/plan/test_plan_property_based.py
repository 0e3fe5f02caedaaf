"""Whatever is sent: check never raises, and the fast path never accepts what the rules refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.plan import Checked, CompiledPlan, compile_plan, load_plan
from collector.plan.pattern import PatternError, translate

EXAMPLE = Path(__file__).parent / "example"
PLAN = load_plan(EXAMPLE)
COMPILED: CompiledPlan = compile_plan(PLAN)
EVENTS = [*((name, None) for name in PLAN.events), *PLAN.history]

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**15), max_value=10**15).map(str),
    st.sampled_from([0, 1, 5.0, 100, 100.00001, 0.00005, 10**14, 99999999999999.99, 1e308, 2**63 - 1, 2**63]),
)
WORDS = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["EUR", "EUR\n", "product", "home", "O-1", "https://a.example/", "a@b.example", "banner_shown"]),
    st.sampled_from(["2026-09-01T10:00:00Z", "2026-09-01", "1.5", "-1", "NaN", "1e5", "100000000000000", "x" * 101]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
NAMES = st.one_of(
    st.text(max_size=4),
    st.sampled_from([
        name
        for event in [*PLAN.events.values(), *PLAN.history.values()]
        for prop in event.properties
        for name in (prop.name, *prop.aliases)
    ]),
)  # fmt: skip
LINES = st.lists(
    st.fixed_dictionaries({"sku": st.just("A"), "price": NUMBERS, "quantity": st.one_of(st.integers(-1, 3), SCALARS)}),
    max_size=4,
)
VALUES = st.recursive(
    st.one_of(SCALARS, LINES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
ORDERS = st.fixed_dictionaries(
    {"currency": st.one_of(st.just("EUR"), SCALARS), "value": NUMBERS, "items": LINES, "order_id": WORDS},
    optional={"tip": NUMBERS, "paid_at": WORDS, "order": WORDS, "more": SCALARS},
)
DOCUMENTS = st.one_of(VALUES, ORDERS, st.dictionaries(NAMES, VALUES, max_size=6))


def both_ways(event: str, major: int | None, document: bytes) -> tuple[Checked, Checked]:
    """The verdict of check, and that of the rules alone."""
    one = COMPILED._newest[event] if major is None else COMPILED._majors[event, major]
    return COMPILED.check(event, major, document), one._walked(document)


@given(event=st.sampled_from(EVENTS), document=DOCUMENTS)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_fast_path_says_what_the_rules_say(event: tuple[str, int | None], document: Any) -> None:
    fast, slow = both_ways(*event, json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    assert fast.violations == slow.violations
    assert fast.rejected == slow.rejected
    assert float(fast.value) == float(slow.value)
    assert (fast.currency, fast.conversion, fast.event_version) == (slow.currency, slow.conversion, slow.event_version)


@given(event=st.sampled_from(EVENTS), document=st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_end_as_a_verdict(event: tuple[str, int | None], document: bytes) -> None:
    assert isinstance(COMPILED.check(*event, document), Checked)


@given(event=st.sampled_from(EVENTS), document=DOCUMENTS, cut=st.integers(0, 60), byte=st.integers(0, 255))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_damaged_document_ends_as_a_verdict(
    event: tuple[str, int | None], document: Any, cut: int, byte: int
) -> None:
    data = bytearray(json.dumps(document).encode())
    data[cut % len(data)] = byte
    for damaged in (bytes(data), bytes(data[: cut % len(data)])):
        checked = COMPILED.check(*event, damaged)
        assert isinstance(checked, Checked)
        assert checked.rejected is None or checked.rejected in checked.violations


@given(pattern=st.text(alphabet="ab^$|()[]{},*+?.\\d-1", max_size=8))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_pattern_is_translated_or_refused(pattern: str) -> None:
    try:
        text = translate(pattern, 20)
    except PatternError as error:
        assert str(error)
    else:
        assert isinstance(text, str)


@pytest.mark.parametrize(
    ("pattern", "matches", "refuses"),
    [
        ("^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"]),
        ("^a{2,}b?$", ["aa", "aaab"], ["ab"]),
        ("^(?:ab){2}c$", ["ababc"], ["abc"]),
        ("^(ab|cd)$", ["ab", "cd"], ["abcd", "a"]),
        ("^[^a-c]$", ["d", "\n"], ["a", "b"]),
        ("^[a\\]\\-]$", ["a", "]", "-"], ["\\"]),
        ("^\\.\\$\\/$", [".$/"], ["x$/"]),
        ("^\\s\\t$", [" \t"], ["\u00a0\t"]),
        ("^[[a]$", ["[", "a"], ["]"]),
    ],
)
def test_a_pattern_means_what_it_says(pattern: str, matches: list[str], refuses: list[str]) -> None:
    import re

    search = re.compile(translate(pattern, 64)).search
    assert all(search(text) for text in matches)
    assert not any(search(text) for text in refuses)
