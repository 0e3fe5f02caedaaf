"""Attribution gives the credit that the definitions give, and never more or less than there were conversions."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from sql import touches
from sql.events import START_MS, Event, filled, insert
from sql.oracle import people
from sql.questions import call
from sql.touches import DAY_MS, Touch, paths_of

from collector.database.store import Store, StoreError

ASKED: dict[str, Any] = touches.ASKED | {"half_life_days": 7.0}


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    return touches.crowd()


def expected(events: list[Event], asked: dict[str, Any]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """(model, touch, currency) -> (conversions, revenue)."""
    given: dict[tuple[str, str, str], tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for path in paths_of(events, asked):
        if path.converted:
            for model, weights in weights_of(path.touches, path.at, asked["half_life_days"]).items():
                for name, weight in zip(path.names, weights, strict=True):
                    if weight:
                        key = (model, name, path.currency)
                        conversions, revenue = given[key]
                        given[key] = (conversions + weight, revenue + weight * path.value)
    return dict(given)


def weights_of(touched: tuple[Touch, ...], at: int, half_life_days: float) -> dict[str, list[float]]:
    n = len(touched)
    named = [i for i, (_, _, is_direct) in enumerate(touched) if not is_direct]
    credited = named[-1] if named else n - 1
    decayed = [0.5 ** ((at - started) / (half_life_days * DAY_MS)) for started, _, _ in touched]
    position = [1.0] if n == 1 else [0.5, 0.5] if n == 2 else [0.4, *[0.2 / (n - 2)] * (n - 2), 0.4]
    return {
        "first": [float(i == 0) for i in range(n)],
        "last": [float(i == n - 1) for i in range(n)],
        "last_non_direct": [float(i == credited) for i in range(n)],
        "linear": [1 / n] * n,
        "position": position,
        "time_decay": [weight / sum(decayed) for weight in decayed],
    }


def test_attribution_agrees_with_an_independent_computation(store: Store, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    for changed in (
        {},
        {"lookback_days": 5},
        {"lookback_days": 0},
        {"half_life_days": 0.5, "goal": "purchase & plan=pro"},
        {"touch": "utm_campaign", "counted_by": "person"},
        {"since": START_MS + 10 * DAY_MS, "until": START_MS + 30 * DAY_MS, "touch": "entry_path"},
    ):
        asked = ASKED | changed
        found = {
            (model, touch, currency): (conversions, revenue)
            for model, touch, currency, conversions, revenue in store.rows(
                f"SELECT * FROM {store.database}.{call('attribution', asked)}"
            )
        }
        computed = expected(crowd, asked)
        assert set(found) == set(computed), changed
        for key, row in computed.items():
            assert found[key] == pytest.approx(row, abs=1e-9), (changed, key)


def test_every_model_gives_away_each_conversion_once(store: Store, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    purchases = [e for e in people(crowd) if e["event"] == "purchase" and START_MS <= e["event_time"] < ASKED["until"]]
    revenue = sum(float(e["value"]) for e in purchases)
    credits = f"{store.database}.{call('attribution', ASKED)}"
    rows = store.rows(f"SELECT model, sum(conversions), sum(revenue) FROM {credits} GROUP BY model")
    assert {model: pytest.approx((conversions, value), abs=1e-6) for model, conversions, value in rows} == {
        model: (len(purchases), revenue)
        for model in ("first", "last", "last_non_direct", "linear", "position", "time_decay")
    }


def test_what_attribution_cannot_do_is_said_and_without_conversions_it_has_no_rows(store: Store) -> None:
    insert(store, [filled({"message_id": "1", "at": 0})], "visit")
    assert store.rows(f"SELECT * FROM {store.database}.{call('attribution', ASKED)}") == []
    insert(store, [filled({"message_id": "2", "at": 1, "event": "purchase", "type": "track"})], "purchase")
    for changed, sentence in (
        ({"half_life_days": 0.0}, "half_life_days must be more than 0"),
        ({"counted_by": "session"}, "counted_by is visitor or person"),
        ({"touch": "colour"}, "touch is channel"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call('attribution', ASKED | changed)}")
