"""Attribution gives the credit that the definitions give, and never more or less than there were conversions."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.oracle import by_visitor, cut, people
from sql.questions import call, meets, person_of

from collector.store import Store, StoreError

DAY_MS = 86_400_000
ASKED: dict[str, Any] = {
    **{"source_id": "shop", "goal": "purchase", "touch": "channel", "lookback_days": 30, "half_life_days": 7.0},
    **{"since": START_MS, "until": START_MS + 100 * DAY_MS, "counted_by": "visitor"},
}


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """300 visitors with visits days apart, from several channels, who buy now and then."""
    chance = random.Random(5)
    events: list[Event] = []
    for visitor in range(300):
        at = chance.randrange(40 * DAY_MS)
        for visit in range(chance.choice((1, 1, 2, 3, 6))):
            for number in range(chance.choice((1, 2, 4))):
                buys = chance.random() < 0.2
                events.append(
                    filled(
                        {
                            "message_id": f"{visitor:03}-{visit}-{number}",
                            "at": at,
                            "visitor_id": f"visitor-{visitor}",
                            "user_id": chance.choice(("", "", f"user-{visitor // 2}")),
                            "type": "track" if buys else "page",
                            **({"event": "purchase"} if buys else {}),
                            "channel": chance.choice(("email", "direct", "organic_search"))
                            if number == 0
                            else "internal",
                            "utm_campaign": chance.choice(("", "spring", "sale")) if number == 0 else "",
                            "value": chance.choice(("10", "0.5", "0")) if buys else "0",
                            "currency": chance.choice(("EUR", "USD")) if buys else "",
                            "properties": chance.choice(('{"plan":"pro"}', "{}")),
                        }
                    )
                )
                at += chance.choice((0, 1_000, 600_000))
            at += chance.choice((2 * 3_600_000, DAY_MS, 10 * DAY_MS, 30 * DAY_MS))
    return events


def expected(events: list[Event], asked: dict[str, Any]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """(model, touch, currency) -> (conversions, revenue)."""
    visits: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)
    bought: dict[str, list[Event]] = defaultdict(list)
    for (_, visitor), history in by_visitor(people(events)).items():
        unit = person_of(visitor, history) if asked["counted_by"] == "person" else visitor
        for visit in cut(history):
            outside = next((e for e in visit if e["channel"] not in ("", "internal")), None)
            channel = outside["channel"] if outside else "direct"
            touch = channel if asked["touch"] == "channel" else (outside or visit[0])[asked["touch"]]
            visits[unit].append((visit[0]["event_time"], touch, channel == "direct"))
        bought[unit] += [
            e for e in history if meets(e, asked["goal"]) and asked["since"] <= e["event_time"] < asked["until"]
        ]
    given: dict[tuple[str, str, str], tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for unit, purchases in bought.items():
        for purchase in purchases:
            at = purchase["event_time"]
            before = sorted(visit for visit in visits[unit] if visit[0] <= at)
            touches = [v for v in before if v[0] >= at - asked["lookback_days"] * DAY_MS] or before[-1:]
            for model, weights in weights_of(touches, at, asked["half_life_days"]).items():
                for (_, touch, _), weight in zip(touches, weights, strict=True):
                    if weight:
                        key = (model, touch, purchase["currency"])
                        conversions, revenue = given[key]
                        given[key] = (conversions + weight, revenue + weight * float(purchase["value"]))
    return dict(given)


def weights_of(touches: list[tuple[int, str, bool]], at: int, half_life_days: float) -> dict[str, list[float]]:
    n = len(touches)
    named = [i for i, (_, _, is_direct) in enumerate(touches) if not is_direct]
    credited = named[-1] if named else n - 1
    decayed = [0.5 ** ((at - started) / (half_life_days * DAY_MS)) for started, _, _ in touches]
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
        {"since": START_MS + 10 * DAY_MS, "until": START_MS + 30 * DAY_MS},
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


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"half_life_days": 0.0}, "half_life_days must be more than 0"),
        ({"counted_by": "session"}, "counted_by is visitor or person"),
        ({"touch": "colour"}, "touch is channel"),
    ],
)
def test_what_attribution_cannot_do_is_said(store: Store, changed: dict[str, Any], sentence: str) -> None:
    insert(store, [filled({"message_id": "1", "at": 0, "event": "purchase", "type": "track"})], "one")
    with pytest.raises(StoreError, match=sentence):
        store.rows(f"SELECT * FROM {store.database}.{call('attribution', ASKED | changed)}")


def test_no_conversions_no_rows(store: Store) -> None:
    insert(store, [filled({"message_id": "1", "at": 0})], "one")
    assert store.rows(f"SELECT * FROM {store.database}.{call('attribution', ASKED)}") == []
