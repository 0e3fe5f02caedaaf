"""Whatever is sent: check never raises, and the fast path never accepts what the rules refuse."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.plan_examples import examples

from collector.plan import Checked, CompiledPlan, compile_plan, load_plan
from collector.plan.model import EventPlan, Property, Type
from collector.plan.pattern import PatternError, translate
from collector.plan.rules import complaints_of

EXAMPLE = Path(__file__).parent / "example"
PLAN = load_plan(EXAMPLE)
COMPILED: CompiledPlan = compile_plan(PLAN)

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
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


FITTING = ["A-1", "EUR", "banner_shown", "https://a.example/", "a@b.example", "2026-09-01T10:00:00Z"]


def mixed(likely: st.SearchStrategy[Any], seldom: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in sixteen of the second: enough to meet every mistake, seldom enough to leave whole events valid."""
    return st.integers(0, 15).flatmap(lambda dice: seldom if dice == 15 else likely)


def near(kind: Type) -> st.SearchStrategy[Any]:
    """Mostly valid values, many of them at a bound, and now and then its neighbours or something else altogether."""
    bounds = [b for b in (kind.minimum, kind.maximum, kind.exclusive_minimum, kind.exclusive_maximum) if b is not None]
    about = [bound + step for bound in [*bounds, 1] for step in (-1, -0.00001, 0, 0.0, 0.5, 1)]
    match kind.kind:
        case "array":
            assert kind.items is not None
            fewest, most = kind.min_items, min(3, kind.max_items or 3)
            return mixed(st.lists(near(kind.items), min_size=fewest, max_size=most), st.one_of(st.just([]), VALUES))
        case "object":
            return members(kind.properties)
        case "map":
            assert kind.values is not None
            return mixed(st.dictionaries(NAMES, near(kind.values), max_size=kind.max_properties or 3), VALUES)
        case "union":
            return st.one_of([near(member) for member in kind.members])
    pool: list[Any] = [*about, *(kind.enum or ()), *FITTING, True, False]
    fitting = [value for value in pool if not complaints_of(kind, value)]
    numbers = kind.kind in ("integer", "number", "decimal")
    return mixed(
        st.sampled_from(fitting or pool), st.one_of(st.sampled_from(pool), NUMBERS if numbers else WORDS, SCALARS)
    )


def members(properties: tuple[Property, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that hold what is required, some of the rest, and now and then an alias or a stranger."""
    required = {prop.name: near(prop.type) for prop in properties if prop.required}
    optional = {prop.name: near(prop.type) for prop in properties if not prop.required}
    optional |= {alias: near(prop.type) for prop in properties for alias in prop.aliases}
    known = st.fixed_dictionaries(required, optional=optional)
    stranger: st.SearchStrategy[dict[str, Any]] = mixed(st.just({}), st.dictionaries(NAMES, SCALARS, max_size=1))
    return st.tuples(known, stranger).map(lambda parts: {**parts[0], **parts[1]})


PLANS: dict[tuple[str, int | None], EventPlan] = {(name, None): event for name, event in PLAN.events.items()}
PLANS.update({(name, major): event for (name, major), event in PLAN.history.items()})
SENT = st.sampled_from(list(PLANS)).flatmap(
    lambda key: st.tuples(
        st.just(key), st.one_of(members(PLANS[key].properties), members(PLANS[key].properties), VALUES)
    )
)


def both_ways(event: str, major: int | None, document: bytes) -> tuple[Checked, Checked]:
    """The verdict of check, and that of the rules alone."""
    one = COMPILED.newest[event] if major is None else COMPILED._majors[event, major]
    return COMPILED.check(event, major, document), one._walked(document)


def encoded(document: Any) -> bytes:
    """JSON bytes; what UTF-8 cannot hold becomes a question mark."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


@given(sent=SENT)
@settings(max_examples=examples(50), deadline=None, derandomize=True)
def test_the_fast_path_says_what_the_rules_say(sent: tuple[tuple[str, int | None], Any]) -> None:
    fast, slow = both_ways(*sent[0], encoded(sent[1]))
    assert fast.violations == slow.violations
    assert fast.rejected == slow.rejected
    assert Decimal(fast.value) == Decimal(slow.value)
    assert (fast.currency, fast.conversion, fast.event_version) == (slow.currency, slow.conversion, slow.event_version)


@pytest.mark.parametrize("key", list(PLANS), ids=str)
def test_the_documents_above_reach_both_paths(key: tuple[str, int | None]) -> None:
    check = COMPILED.newest[key[0]] if key[1] is None else COMPILED._majors[key[0], key[1]]
    taken = {True: 0, False: 0}

    @given(document=members(PLANS[key].properties))
    @settings(max_examples=examples(100), deadline=None, derandomize=True, database=None)
    def count(document: Any) -> None:
        try:
            check._decode(encoded(document))
        except Exception:
            taken[False] += 1
        else:
            taken[True] += 1

    count()
    assert min(taken.values()) >= 3, taken


@given(
    event=st.sampled_from(list(PLANS)), document=st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode))
)
@settings(max_examples=examples(40), deadline=None, derandomize=True)
def test_any_bytes_end_as_a_verdict(event: tuple[str, int | None], document: bytes) -> None:
    assert isinstance(COMPILED.check(*event, document), Checked)


@given(sent=SENT, cut=st.integers(0, 60), byte=st.integers(0, 255))
@settings(max_examples=examples(40), deadline=None, derandomize=True)
def test_a_damaged_document_ends_as_a_verdict(sent: tuple[tuple[str, int | None], Any], cut: int, byte: int) -> None:
    event, document = sent
    data = bytearray(json.dumps(document).encode())
    data[cut % len(data)] = byte
    for damaged in (bytes(data), bytes(data[: cut % len(data)])):
        checked = COMPILED.check(*event, damaged)
        assert isinstance(checked, Checked)
        assert checked.rejected is None or checked.rejected in checked.violations


@given(pattern=st.text(alphabet="ab^$|()[]{},*+?.\\d-1", max_size=8))
@settings(max_examples=examples(100), deadline=None, derandomize=True)
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
