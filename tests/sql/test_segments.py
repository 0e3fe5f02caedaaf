"""Scores and segments are what their definitions say, computed again in plain Python and by other software."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.persons import Who

from collector.database.store import Store, StoreError

DAY_MS = 86_400_000
AS_OF = START_MS + 60 * DAY_MS
HORIZON_DAYS = 14

# r, alpha, a and b that Fader, Hardie and Lee (2005) estimate for the CDNOW customers.
MODEL = [0.243, 4.414, 0.793, 2.426]

# What BetaGeoFitter.conditional_probability_alive of lifetimes 0.11.3 answers for MODEL: x, t_x, T -> probability.
LIFETIMES = {
    (0, 0, 38): 1.0,
    (1, 1, 2): 0.7124870214856667,
    (2, 30, 38): 0.7299767714662408,
    (5, 10, 38): 0.02748157966307605,
    (3, 38, 38): 0.8480551829852462,
    (12, 200, 260): 0.42022741488706616,
    (1, 3, 300): 0.029323837746070603,
    (40, 300, 301): 0.9786235912231146,
}

SEGMENTS = {
    "champion": {(5, 4), (5, 5)},
    "loyal": {(3, 4), (3, 5), (4, 4), (4, 5)},
    "potential_loyal": {(4, 2), (4, 3), (5, 2), (5, 3)},
    "new": {(5, 1)},
    "promising": {(4, 1)},
    "needs_attention": {(3, 3)},
    "about_to_sleep": {(3, 1), (3, 2)},
    "at_risk": {(1, 3), (1, 4), (2, 3), (2, 4)},
    "cannot_lose": {(1, 5), (2, 5)},
    "hibernating": {(1, 1), (1, 2), (2, 1), (2, 2)},
}


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """100 persons on 120 devices over 90 days: some come daily, some weekly, some once; some buy, in two currencies."""
    chance = random.Random(17)
    rows: list[dict[str, Any]] = []
    for device in range(120):
        person = device % 100
        rhythm = chance.choice((1, 1, 2, 7, 30))
        likes = chance.random()
        day = chance.randrange(70)
        while day < 90 and len(rows) < 10_000:
            at = day * DAY_MS + chance.choice((0, 3_600_000, 12 * 3_600_000 - 1, 12 * 3_600_000, 23 * 3_600_000))
            for _ in range(chance.choice((1, 1, 2, 4))):
                kind = chance.choice(("page", "page", "track", "order" if chance.random() < likes else "page"))
                rows.append(
                    {
                        "at": at,
                        "visitor_id": f"device-{device}",
                        "user_id": f"user-{person}" if person % 3 and chance.random() < 0.4 else "",
                        "type": "page" if kind == "page" else "track",
                        "path": chance.choice(("/", "/a", "/b", "/c")),
                        **({"event": chance.choice(("login", "search", "add_to_cart"))} if kind == "track" else {}),
                        **({"conversion": chance.choice(("micro", ""))} if kind == "track" else {}),
                        **({"event": "purchase", "conversion": "macro"} if kind == "order" else {}),
                        "value": chance.choice(("5", "20", "12.25")) if kind == "order" else "0",
                        "currency": chance.choice(("EUR", "EUR", "USD")) if kind == "order" else "",
                    }
                )
                at += chance.choice((1_000, 60_000, 2_000_000))
            if chance.random() < 0.12:
                break
            day += chance.choice((rhythm, rhythm, rhythm + 1, 2 * rhythm))
    return [filled({"message_id": f"{number:06}", **row}) for number, row in enumerate(rows)]


@pytest.fixture(scope="module")
def who(crowd: list[Event]) -> Who:
    return Who(crowd)


@pytest.fixture(scope="module")
def histories(who: Who) -> dict[str, list[Event]]:
    """The events of each person, in order."""
    return {
        person: sorted(events, key=lambda event: event["event_time"])
        for (_, person), events in who.histories_of_persons().items()
    }


def before(histories: dict[str, list[Event]], moment: int) -> dict[str, list[Event]]:
    known = {person: [e for e in events if e["event_time"] < moment] for person, events in histories.items()}
    return {person: events for person, events in known.items() if events}


def orders_of(events: list[Event]) -> list[Event]:
    return [event for event in events if event["conversion"] == "macro"]


def at(ms: int) -> str:
    return f"fromUnixTimestamp64Milli({ms}, 'UTC')"


def ask(store: Store, columns: str, view: str, **asked: Any) -> list[tuple[Any, ...]]:
    literals = ", ".join(
        f"{name} = {value if str(value).startswith('from') else repr(value)}" for name, value in asked.items()
    )
    return [tuple(row) for row in store.rows(f"SELECT {columns} FROM {store.database}.{view}({literals})")]


SHOP: dict[str, Any] = {"source_id": "shop", "as_of": at(AS_OF)}


def score_of(value: int | Decimal, all_values: Sequence[int | Decimal]) -> int:
    return 1 + 5 * sum(1 for other in all_values if other < value) // len(all_values)


def test_rfm_ranks_customers_and_names_every_cell(
    store: Store, crowd: list[Event], histories: dict[str, list[Event]]
) -> None:
    insert(store, crowd, "crowd")
    bought = {p: orders_of(events) for p, events in before(histories, AS_OF).items() if orders_of(events)}
    for currency, counted in (("", "EUR"), ("USD", "USD")):
        last = {person: orders[-1]["event_time"] for person, orders in bought.items()}
        money = {
            person: sum((Decimal(o["value"]) for o in orders if o["currency"] == counted), Decimal(0))
            for person, orders in bought.items()
        }
        expected = {}
        for person, orders in bought.items():
            r = score_of(last[person], list(last.values()))
            f = score_of(len(orders), [len(other) for other in bought.values()])
            m = score_of(money[person], list(money.values()))
            segment = next(name for name, cells in SEGMENTS.items() if (r, f) in cells)
            recency = pytest.approx((AS_OF - last[person]) / DAY_MS)
            expected[person] = (recency, len(orders), money[person], counted, r, f, m, f"{r}{f}{m}", segment)
        columns = "person_id, recency_days, frequency, monetary, currency, r, f, m, cell, segment"
        found = ask(store, columns, "rfm", **SHOP, currency=currency)
        assert {row[0]: row[1:] for row in found} == expected
        assert len({row[-1] for row in found}) > 7
    assert sum(len(cells) for cells in SEGMENTS.values()) == 25 == len(set().union(*SEGMENTS.values()))


def p_alive(x: int, t_x: float, age: float) -> float:
    """Fader, Hardie and Lee (2005), equation 8, from the two likelihoods: alive, and gone after the last order."""
    r, alpha, a, b = MODEL
    if x == 0:
        return 1.0
    beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    alive = math.lgamma(a) + math.lgamma(b + x) - math.lgamma(a + b + x) - beta - (r + x) * math.log(alpha + age)
    gone = math.lgamma(a + 1) + math.lgamma(b + x - 1) - math.lgamma(a + b + x) - beta - (r + x) * math.log(alpha + t_x)
    return 1 / (1 + math.exp(gone - alive))


def test_churn_risk_is_that_of_the_definition_and_of_lifetimes(
    store: Store, crowd: list[Event], histories: dict[str, list[Event]]
) -> None:
    for (x, t_x, age), probability in LIFETIMES.items():
        assert p_alive(x, t_x, age) == pytest.approx(probability, abs=1e-9)
    # A customer for each row of LIFETIMES: orders on the first day, on the last, and on days between.
    known = []
    for number, (x, t_x, age) in enumerate(LIFETIMES):
        days = sorted({0, t_x, *range(1, x)}) if x else [0]
        assert len(days) == x + 1
        known += [
            filled(
                {
                    "message_id": f"k{number}-{day}",
                    "source_id": "known",
                    "visitor_id": f"customer-{number}",
                    "at": 60 * DAY_MS - (age - day) * DAY_MS,
                    "type": "track",
                    "event": "purchase",
                    "conversion": "macro",
                }
            )
            for day in days
        ]
    insert(store, crowd + known, "crowd")
    of_lifetimes = ask(store, "person_id, p_alive", "churn_risk", source_id="known", as_of=at(AS_OF + 1), model=MODEL)
    assert dict(of_lifetimes) == {
        f"visitor:customer-{number}": pytest.approx(probability, abs=1e-9)
        for number, probability in enumerate(LIFETIMES.values())
    }

    expected = {}
    for person, events in before(histories, AS_OF).items():
        days = sorted({event["event_time"] // DAY_MS for event in events})
        idle = (AS_OF - events[-1]["event_time"]) / DAY_MS
        gap = (days[-1] - days[0]) / (len(days) - 1) if len(days) > 1 else None
        ordered = sorted({order["event_time"] // DAY_MS for order in orders_of(events)})
        facts = (len(ordered) - 1, ordered[-1] - ordered[0], AS_OF // DAY_MS - ordered[0]) if ordered else (None,) * 3
        expected[person] = (
            pytest.approx(idle),
            pytest.approx(gap) if gap else None,
            pytest.approx(1 - math.exp(-idle / gap)) if gap else None,
            *facts,
            pytest.approx(p_alive(*facts), abs=1e-9) if ordered else None,
        )
    columns = "person_id, idle_days, mean_gap_days, churn_risk, repeat_orders, recency_days, age_days, p_alive"
    found = ask(store, columns, "churn_risk", **SHOP, model=MODEL)
    assert {row[0]: row[1:] for row in found} == expected
    assert {row[6] for row in found} != {None}
    for model in ([0.1, 1.0, 1.0], [0.1, 0.0, 1.0, 1.0]):
        with pytest.raises(StoreError, match="four numbers above 0"):
            ask(store, "*", "churn_risk", **SHOP, model=model)


def percentile(value: float, values: list[float]) -> float:
    less = sum(other < value for other in values)
    as_much = sum(other == value for other in values)
    middle: float = less + as_much / 2
    return middle / len(values)


def test_engagement_is_the_mean_of_four_percentiles_of_what_was_done_lately(
    store: Store, crowd: list[Event], who: Who, histories: dict[str, list[Event]]
) -> None:
    insert(store, crowd, "crowd")
    half_life, lookback = 14.0, 50
    today, since = AS_OF // DAY_MS, AS_OF - lookback * DAY_MS

    def weight(ms: int) -> float:
        return math.exp2(-(today - ms // DAY_MS) / half_life)

    visits: dict[str, list[list[Event]]] = {p: found for (_, p), found in who.visits_of_persons().items()}
    facts: dict[str, tuple[float, ...]] = {}
    for person, all_events in before(histories, AS_OF).items():
        events = [event for event in all_events if event["event_time"] >= since]
        if not events:
            continue
        things: dict[tuple[str, str], float] = {}
        for event in events:
            thing = (event["event"], event["path"] if event["event"] == "page_view" else "")
            things[thing] = max(things.get(thing, 0), weight(event["event_time"]))
        began = [visit for visit in visits.get(person, []) if since <= visit[0]["event_time"] < AS_OF]
        weights = [weight(visit[0]["event_time"]) for visit in began]
        depth = sum(w * len(visit) for w, visit in zip(weights, began, strict=True)) / sum(weights) if began else 0
        active = sum({e["event_time"] // DAY_MS: weight(e["event_time"]) for e in events}.values())
        facts[person] = tuple(round(fact, 6) for fact in (active, sum(weights), depth, sum(things.values())))
    columns = list(zip(*facts.values(), strict=True))
    found = {
        row[0]: row[1:]
        for row in ask(
            store,
            "person_id, active_days, sessions, depth, breadth, score",
            "engagement_scores",
            **SHOP,
            lookback_days=lookback,
            half_life_days=half_life,
        )
    }
    assert {person: tuple(round(fact, 6) for fact in row[:4]) for person, row in found.items()} == facts
    for person, row in facts.items():
        score = 25 * sum(percentile(fact, list(column)) for fact, column in zip(row, columns, strict=True))
        assert found[person][4] == pytest.approx(score, abs=1e-6), person
    assert len(facts) > 50
    with pytest.raises(StoreError, match="half_life_days must be more than 0"):
        ask(store, "*", "engagement_scores", **SHOP, lookback_days=30, half_life_days=0.0)


def test_usage_patterns_are_of_the_hours_and_days_of_the_time_zone(
    store: Store, crowd: list[Event], histories: dict[str, list[Event]]
) -> None:
    insert(store, crowd, "crowd")
    since, zone = START_MS + 10 * DAY_MS, ZoneInfo("Asia/Kathmandu")
    expected = {}
    for person, all_events in before(histories, AS_OF).items():
        events = [event for event in all_events if event["event_time"] >= since]
        if not events:
            continue
        moments = [datetime.fromtimestamp(event["event_time"] / 1000, UTC).astimezone(zone) for event in events]
        days = sorted({moment.toordinal() for moment in moments})
        gaps = sorted(later - day for day, later in pairwise(days))
        gap = gaps[(len(gaps) - 1) // 2] if gaps else None
        pattern = (
            "once"
            if gap is None
            else "daily"
            if gap <= 2
            else "weekly"
            if gap <= 8
            else "monthly"
            if gap <= 35
            else "rare"
        )
        logins = [event["event_time"] for event in events if event["event"] == "login"]
        signed_in = {m.toordinal() for m, event in zip(moments, events, strict=True) if event["user_id"]}
        hours, weekdays = Counter(m.hour for m in moments), Counter(m.isoweekday() for m in moments)
        expected[person] = (
            *(len(days), len(signed_in), len(logins), logins[-1] if logins else None, gap, pattern),
            [hours[hour] for hour in range(24)],
            [weekdays[day] for day in range(1, 8)],
            min(hour for hour in hours if hours[hour] == max(hours.values())),
            min(day for day in weekdays if weekdays[day] == max(weekdays.values())),
            pytest.approx((weekdays[6] + weekdays[7]) / len(moments)),
        )
    columns = (
        "person_id, active_days, signed_in_days, logins, toUnixTimestamp64Milli(last_login_at), median_gap_days, "
        "pattern, hours, weekdays, top_hour, top_weekday, weekend_share"
    )
    asked = {
        "source_id": "shop",
        "since": at(since),
        "until": at(AS_OF),
        "time_zone": "Asia/Kathmandu",
        "logins": ["login"],
    }
    found = {row[0]: row[1:] for row in ask(store, columns, "usage_patterns", **asked)}
    assert found == expected
    assert {row[5] for row in expected.values()} >= {"once", "daily", "weekly"}


def situation(events: list[Event], moment: int) -> tuple[str, str, str]:
    idle = (moment - max(event["event_time"] for event in events)) / DAY_MS
    recency = next((f"{days}d" for days in (1, 3, 7, 14, 30, 90) if idle <= days), "older")
    orders = len(orders_of(events))
    intents = sum(e["conversion"] == "micro" and e["event_time"] >= moment - 14 * DAY_MS for e in events)
    buyer = "4+" if orders >= 4 else "2-3" if orders >= 2 else str(orders)
    return recency, buyer, "2+" if intents >= 2 else str(intents)


def propensities(histories: dict[str, list[Event]], moment: int) -> dict[str, tuple[Any, ...]]:
    earlier = moment - HORIZON_DAYS * DAY_MS
    known = before(histories, moment)
    then: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for person, events in before(histories, earlier).items():
        bought = any(order["event_time"] >= earlier for order in orders_of(known[person]))
        then[situation(events, earlier)].append(bought)
    everybody = [bought for group in then.values() for bought in group]
    base = sum(everybody) / len(everybody)
    found: dict[str, tuple[Any, ...]] = {}
    for person, events in known.items():
        words = situation(events, moment)
        group = then.get(words, [])
        found[person] = (*words, (sum(group) + 20 * base) / (len(group) + 20), len(group), sum(group), base)
    return found


def test_propensity_is_counted_and_its_calibration_is_what_happened(
    store: Store, crowd: list[Event], histories: dict[str, list[Event]]
) -> None:
    insert(store, crowd, "crowd")
    expected = propensities(histories, AS_OF)
    columns = "person_id, recency, buyer, intent, propensity, persons_then, ordered, base_rate"
    rows = ask(store, columns, "purchase_propensity", **SHOP, horizon_days=HORIZON_DAYS)
    assert {row[0]: row[1:] for row in rows} == {
        person: tuple(pytest.approx(cell) if isinstance(cell, float) else cell for cell in row)
        for person, row in expected.items()
    }
    assert len({row[3] for row in expected.values()}) > 10

    end = AS_OF + HORIZON_DAYS * DAY_MS
    following = {
        person: [event for event in events if AS_OF <= event["event_time"] < end]
        for person, events in histories.items()
    }
    risks = {}
    for person, events in before(histories, AS_OF).items():
        days = {event["event_time"] // DAY_MS for event in events}
        if len(days) > 1:
            gap = (max(days) - min(days)) / (len(days) - 1)
            risks[person] = 1 - math.exp(-(AS_OF - events[-1]["event_time"]) / DAY_MS / gap)
    asked_of: dict[str, tuple[dict[str, float], Callable[[list[Event]], bool]]] = {
        "purchase_propensity": ({p: row[3] for p, row in expected.items()}, lambda events: bool(orders_of(events))),
        "churn_risk": (risks, lambda events: not events),
    }
    for score, (scores, happened) in asked_of.items():
        deciles: dict[int, list[tuple[float, bool]]] = defaultdict(list)
        exact = {person: round(value, 12) for person, value in scores.items()}
        for person, value in exact.items():
            lower = sum(other < value for other in exact.values())
            deciles[1 + 10 * lower // len(exact)].append((value, happened(following[person])))
        rate = sum(did for group in deciles.values() for _, did in group) / len(exact)
        found = ask(store, "*", "score_calibration", **SHOP, horizon_days=HORIZON_DAYS, score=score)
        assert [row[0] for row in found] == sorted(deciles)
        for decile, persons, lowest, highest, predicted, count, observed, low, high, lift in found:
            values = [value for value, _ in deciles[decile]]
            did = sum(yes for _, yes in deciles[decile])
            assert (persons, count) == (len(values), did)
            assert (lowest, highest) == (pytest.approx(min(values)), pytest.approx(max(values)))
            assert (predicted, observed) == (pytest.approx(sum(values) / persons), did / persons)
            assert lift == pytest.approx(observed / rate)
            # Wilson: the two rates from which `observed` is 1.96 standard errors away.
            for bound in (low, high):
                error = math.sqrt(max(bound * (1 - bound), 0) / persons)
                assert abs(observed - bound) == pytest.approx(1.959963984540054 * error, abs=1e-6)
        # Both scores tell persons apart: the highest decile does it more often than the lowest.
        assert found[-1][6] > found[0][6]


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_what_a_score_cannot_say_is_refused_and_without_events_it_says_nothing(
    store: Store, crowd: list[Event]
) -> None:
    asked: dict[str, Any] = {**SHOP, "horizon_days": HORIZON_DAYS}
    assert ask(store, "*", "score_calibration", **asked, score="purchase_propensity") == []
    insert(store, crowd[:20], "some")
    for view, changed, sentence in (
        ("score_calibration", {"score": "beauty"}, "score is purchase_propensity or churn_risk"),
        (
            "score_calibration",
            {"score": "churn_risk", "as_of": at(START_MS + 85 * DAY_MS)},
            "no event after the horizon",
        ),
        ("purchase_propensity", {"horizon_days": 0}, "horizon_days must be at least 1"),
    ):
        with pytest.raises(StoreError, match=sentence):
            ask(store, "*", view, **asked | changed)
