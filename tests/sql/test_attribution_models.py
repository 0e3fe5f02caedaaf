"""Markov chains and Shapley values are those of their definitions, costs meet their credits, the audit finds a fault.

The definitions are followed the long way: a touch is removed and the chain solved anew in fractions, and all orders of
all touches are gone through one by one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, permutations
from typing import Any

import pytest
from sql.events import Event, filled, insert
from sql.questions import call
from sql.touches import ASKED, DAY_MS, Path, crowd, paths_of

from collector.database.store import Store, StoreError
from collector.paths import SQL_DIR

MINUTE_MS = 60_000
START, CONVERSION, LOST = "(start)", "(conversion)", "(lost)"


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return crowd()


# The definitions


def removal_effects(paths: Sequence[Path]) -> dict[str, Fraction]:
    """Of each touch: the share of the probability of a conversion that is gone without it."""
    moves: dict[str, Counter[str]] = defaultdict(Counter)
    for path in paths:
        for before, after in pairwise([START, *path.names, CONVERSION if path.converted else LOST]):
            moves[before][after] += 1
    whole = probability(moves, removed=None)
    return {touch: 1 - probability(moves, touch) / whole for touch in sorted(moves) if touch != START}


def probability(moves: dict[str, Counter[str]], removed: str | None) -> Fraction:
    """That a walk from the start ends in a conversion, when all that come to the removed state are lost."""
    states = [state for state in moves if state != removed]
    rows = []
    for state in states:
        total = sum(moves[state].values())
        row = [Fraction(int(state == other)) - Fraction(moves[state][other], total) for other in states]
        rows.append([*row, Fraction(moves[state][CONVERSION], total)])
    for pivot in range(len(states)):  # Gauss
        for lower in range(pivot + 1, len(states)):
            factor = rows[lower][pivot] / rows[pivot][pivot]
            rows[lower] = [x - factor * above for x, above in zip(rows[lower], rows[pivot], strict=True)]
    solved: dict[int, Fraction] = {}
    for i in reversed(range(len(states))):
        known = sum((rows[i][j] * solved[j] for j in solved), Fraction(0))
        solved[i] = (rows[i][-1] - known) / rows[i][i]
    return solved[states.index(START)]


def shapley_values(paths: Sequence[Path], worth: str) -> dict[str, Fraction]:
    """What each touch adds to those before it, on average over all orders."""
    counts = Counter((frozenset(path.names), path.converted) for path in paths)
    touches = sorted({name for path in paths for name in path.names})

    def worth_of(coalition: frozenset[str]) -> Fraction:
        won = sum(n for (names, converted), n in counts.items() if converted and names <= coalition)
        if worth == "conversions":
            return Fraction(won)
        return Fraction(won * len(paths), sum(n for (names, _), n in counts.items() if names <= coalition) or 1)

    values: dict[str, Fraction] = defaultdict(Fraction)
    orders = list(permutations(touches))
    for order in orders:
        for i, touch in enumerate(order):
            values[touch] += worth_of(frozenset(order[: i + 1])) - worth_of(frozenset(order[:i]))
    return {touch: value / len(orders) for touch, value in values.items()}


# The views


def credits_of(store: Store, view: str, asked: dict[str, Any]) -> dict[tuple[str, str], tuple[float, float]]:
    rows = store.rows(f"SELECT touch, currency, conversions, revenue FROM {store.database}.{call(view, asked)}")
    return {(touch, currency): (conversions, revenue) for touch, currency, conversions, revenue in rows}


def shared_out(paths: Sequence[Path], shares: dict[str, Fraction]) -> dict[tuple[str, str], Any]:
    """Conversions and revenue of each currency, divided in proportion."""
    return {
        (touch, currency): pytest.approx(
            (
                sum(path.converted and path.currency == currency for path in paths) * float(share),
                sum(path.value for path in paths if path.currency == currency) * float(share),
            ),
            abs=1e-9,
            rel=1e-9,
        )
        for touch, share in shares.items()
        for currency in ("EUR", "USD")
    }


def test_markov_and_shapley_agree_with_their_definitions(store: Store, events: list[Event]) -> None:
    """The paths themselves are compared first, so that a difference after that is one of the models."""
    insert(store, events, "crowd")
    asked = ASKED | {"lookback_days": 20, "counted_by": "person", "touch": "utm_campaign"}
    asked |= {"since": ASKED["since"] + 5 * DAY_MS, "until": ASKED["since"] + 60 * DAY_MS}
    paths = paths_of(events, asked)
    rows = store.rows(
        "SELECT converted, toUnixTimestamp64Milli(event_time), toFloat64(value), currency, "
        f"arrayMap(touch -> touch.3, touches) FROM {store.database}.{call('conversion_paths', asked)}"
    )
    assert sorted((*rest, tuple(names)) for *rest, names in rows) == sorted(
        (path.converted, path.at, path.value, path.currency, path.names) for path in paths
    )
    assert 40 < sum(path.converted for path in paths) < len(paths) - 40

    effects = removal_effects(paths)
    assert len(effects) == 3
    assert credits_of(store, "attribution_markov", asked) == shared_out(
        paths, {touch: effect / sum(effects.values()) for touch, effect in effects.items()}
    )
    won = sum(path.converted for path in paths)
    rate = shapley_values(paths, "rate")
    assert sum(rate.values()) == won
    assert credits_of(store, "attribution_shapley", asked | {"worth": "rate"}) == shared_out(
        paths, {touch: value / won for touch, value in rate.items()}
    )


def walk(names: str, buys: bool, value: str = "0", currency: str = "EUR") -> list[Event]:
    """Visits from these channels, a letter each, an hour apart, and perhaps a purchase a minute after the last."""
    visitor = f"{names}-{buys}-{value}-{currency}"
    visits = [
        {"message_id": str(i), "at": i * 60 * MINUTE_MS, "visitor_id": visitor, "channel": name}
        for i, name in enumerate(names)
    ]
    at = (len(names) - 1) * 60 * MINUTE_MS + MINUTE_MS
    purchase = {"type": "track", "event": "purchase", "value": value, "currency": currency}
    bought = [{"message_id": "buys", "at": at, "visitor_id": visitor, "channel": "internal", **purchase}]
    return [filled(event) for event in visits + (bought if buys else [])]


def test_credits_are_those_computed_by_hand(store: Store) -> None:
    """The example that writings on Markov attribution begin with: a, b, c ends in a purchase; a does not, nor b, c.

    From the start 2 of 3 go to a and 1 to b, from a one half goes on to b, from b all to c, from c one half buys: that
    is 1/3. Without a it is 1/6, without b or c nothing: effects of 1/2, 1 and 1, of 2.5 together.
    """
    walks = [*walk("abc", True, "30"), *walk("a", False), *walk("bc", False)]
    insert(store, walks, "walks")
    rows = store.rows(
        "SELECT touch, currency, removal_effect, conversions, revenue "
        f"FROM {store.database}.{call('attribution_markov', ASKED)} ORDER BY touch"
    )
    assert [row[:2] for row in rows] == [("a", "EUR"), ("b", "EUR"), ("c", "EUR")]
    assert [row[2:] for row in rows] == [
        pytest.approx(row) for row in ((0.5, 0.2, 6.0), (1.0, 0.4, 12.0), (1.0, 0.4, 12.0))
    ]
    # Shared equally among the three, and when one more is bought by c alone, c has that too.
    insert(store, walk("c", True, "8", "USD"), "more")
    third = pytest.approx((1 / 3, 10.0))
    assert credits_of(store, "attribution_shapley", ASKED | {"worth": "conversions"}) == {
        **{("a", "EUR"): third, ("b", "EUR"): third, ("c", "EUR"): third},
        **{("a", "USD"): (0, 0), ("b", "USD"): (0, 0), ("c", "USD"): (1, 8)},
    }
    costs = [("a", 4.0), ("c", 2.5), ("c", 2.5), ("tv", 7.0)]
    returned = ASKED | {"half_life_days": 7, "model": "linear", "costs": costs, "currency": "EUR"}
    rows = store.rows(
        "SELECT touch, currency, cost, conversions, revenue, cost_per_conversion, return_on_cost, profit "
        f"FROM {store.database}.{call('attribution_return', returned)} ORDER BY touch, currency"
    )
    assert rows == [
        ("a", "EUR", 4.0, *third.expected, pytest.approx(12.0), pytest.approx(2.5), pytest.approx(6.0)),
        ("b", "EUR", 0.0, *third.expected, pytest.approx(0.0), None, pytest.approx(10.0)),
        ("c", "EUR", 5.0, *third.expected, pytest.approx(15.0), pytest.approx(2.0), pytest.approx(5.0)),
        ("c", "USD", None, 1.0, 8.0, None, None, None),
        ("tv", "EUR", 7.0, 0.0, 0.0, None, 0.0, -7.0),
    ]


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_what_the_models_cannot_do_is_said_and_without_conversions_they_have_no_rows(store: Store) -> None:
    shapley = call("attribution_shapley", ASKED | {"worth": "rate"})
    insert(store, walk("abcdefghijklm", False), "thirteen")
    assert store.rows(f"SELECT * FROM {store.database}.{call('attribution_markov', ASKED)}") == []
    insert(store, walk("ab", True), "bought")
    with pytest.raises(StoreError, match="more than 12 different touches"):
        store.rows(f"SELECT * FROM {store.database}.{shapley}")


def test_the_audit_finds_the_view_that_is_wrong_and_only_that(store: Store, events: list[Event]) -> None:
    bots = [filled({"message_id": "bot", "at": 0, "visitor_id": "bot", "is_bot": True})]
    insert(store, [*events, *bots], "crowd")
    right = (SQL_DIR / "views" / "journeys" / "transitions.sql").read_text(encoding="utf-8")
    wrong = right.replace("session.pageviews > 0", "session.pageviews > 1")  # as if who leaves at once had not been
    assert wrong != right
    store.command(wrong.replace("{database}", store.database))
    rows = store.rows(
        "SELECT law, left_value, right_value, difference, holds "
        f"FROM {store.database}.audit(source_id = 'shop', goal = 'purchase')"
    )
    laws = {law: values for law, *values in rows}
    assert {law for law, (*_, holds) in laws.items() if not holds} == {
        "entrances of transitions = sessions with page views",
        "exits of transitions = sessions with page views",
        "moves of transitions = page views + sessions with them",
    }
    assert len(laws) == 30
    assert laws["credits by markov = conversions"][1] == sum(event["event"] == "purchase" for event in events)
    assert laws["page views of exits = page views"][0] == sum(event["event"] == "page_view" for event in events)
    assert all(difference == left - right for left, right, difference, _ in laws.values())
