"""Goals and key figures answer as a plain computation does, in any period and zone; what is not known is NULL."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.questions import call, meets, units, value_of
from sql.reckoning import PLAN, Sql, Z, approximately, compared, in_order, repeats, wilson

from collector.database.publish import record_version
from collector.database.store import Store, StoreError

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """250 visitors over 80 days with a change to summer time, who buy, ask for help and answer surveys."""
    chance = random.Random(7)
    events: list[Event] = []
    for visitor in range(250):
        at = chance.randrange(50 * DAY_MS)
        for _ in range(chance.choice((1, 2, 4, 8))):
            name = chance.choice(
                ("page_view", "page_view", "purchase", "sign_up", "support_contacted", "survey_answered")
            )
            # Receipts are loaded anew, by the same visitor or on another device of the user.
            order = chance.choice((f"O-{visitor // 2}-{chance.randrange(4)}", "", f"O-{len(events)}"))
            facts: dict[str, Any] = {}
            if name == "purchase":
                facts = chance.choice(({"order_id": order}, {"order": order}, {"id": order}))
            if name == "survey_answered":
                facts = {
                    "survey": chance.choice(("nps", "csat")),
                    "score": chance.choice((0, 3, 4, 6, 7, 9, 10, 11, "x")),
                }
            paid = name == "purchase" and chance.random() < 0.9
            events.append(
                filled(
                    {
                        "message_id": f"{chance.randrange(10**6):06}-{len(events)}",
                        "at": at,
                        "visitor_id": f"visitor-{visitor}",
                        "user_id": chance.choice(("", f"user-{visitor // 2}")),
                        "type": "page" if name == "page_view" else "track",
                        "event": name,
                        "event_version": 1 if "id" in facts else 2,
                        "properties": json.dumps(facts),
                        "conversion": {"purchase": "macro", "sign_up": "micro"}.get(name, ""),
                        "value": chance.choice(("10", "0.1", "19.99", "0")) if paid else "0",
                        "currency": chance.choice(("EUR", "EUR", "USD")) if paid else "",
                        "is_bot": chance.random() < 0.03,
                    }
                )
            )
            at += chance.choice((0, 1_000, DAY_MS // 2, DAY_MS, 5 * DAY_MS, 16 * DAY_MS))
    return events


class Calendar:
    """Periods of a zone."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.period, self.zone = asked["period"], ZoneInfo(asked["time_zone"])
        self.until = asked["until"]
        self.first, self.last = self.of(asked["since"]), self.of(asked["until"] - 1)

    def of(self, ms: int) -> date:
        day = datetime.fromtimestamp(ms / 1000, UTC).astimezone(self.zone).date()
        if self.period == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self.period == "month" else day

    def before(self, start: date) -> date:
        return (start - timedelta(days=1)).replace(day=1) if self.period == "month" else start - self.step

    def after(self, start: date) -> date:
        return (start + timedelta(days=32)).replace(day=1) if self.period == "month" else start + self.step

    @property
    def step(self) -> timedelta:
        return timedelta(days=7 if self.period == "week" else 1)

    def all(self) -> list[date]:
        """The one before, and then those of the range."""
        starts = [self.before(self.first)]
        while starts[-1] < self.last:
            starts.append(self.after(starts[-1]))
        return starts

    def is_whole(self, start: date) -> bool:
        end = datetime.combine(self.after(start), time(), tzinfo=self.zone)
        return end.timestamp() * 1000 <= int(self.until)


def figures(events: list[Event], asked: dict[str, Any]) -> dict[tuple[date, str, str], tuple[Any, ...]]:
    """(period_start, kpi, currency) -> (value, n, low, high) for each period, that before the range too."""
    calendar, again = Calendar(asked), repeats(events)
    came: dict[date, set[Any]] = defaultdict(set)
    bought: dict[date, dict[Any, int]] = defaultdict(dict)
    paid: dict[tuple[date, str], list[float]] = defaultdict(list)
    orders: dict[date, int] = defaultdict(int)
    contacts: dict[date, list[Any]] = defaultdict(list)
    scores: dict[tuple[str, date], dict[Any, float]] = defaultdict(dict)
    for unit, history in units(events, asked["counted_by"]).items():
        number = 0
        for event in in_order(e for e in history if e["event_time"] < asked["until"]):
            start = calendar.of(event["event_time"])
            came[start].add(unit)
            if event["conversion"] == "macro" and event["message_id"] not in again:
                number += 1
                bought[start][unit] = number
                orders[start] += 1
                if event["currency"]:
                    paid[start, event["currency"]].append(float(event["value"]))
            if asked["support"] and meets(event, asked["support"]):
                contacts[start].append(unit)
            for kind in answered(event, asked):
                scores[kind, start][unit] = float(value_of(event, asked["score"]))
    shown = calendar.all()
    found: dict[tuple[date, str, str], tuple[Any, ...]] = {}
    for start in shown:

        def share(kpi: str, hits: int, n: int, start: date = start) -> None:
            found[start, kpi, ""] = (hits / n, n, *wilson(hits, n)) if n else (None, 0, None, None)

        def plain(kpi: str, value: float | None, n: int, currency: str = "", start: date = start) -> None:
            found[start, kpi, currency] = (value, n, None, None)

        here, before = came[start], came[calendar.before(start)]
        plain("visitors", len(here), len(here))
        plain("conversions", orders[start], orders[start])
        share("conversion_rate", len(bought[start]), len(here))
        share("repeat_rate", sum(number > 1 for number in bought[start].values()), len(bought[start]))
        share("churn_rate", len(before - here), len(before))
        plain("support_contacts", len(contacts[start]) if asked["support"] else None, len(contacts[start]))
        share("support_rate", len(set(contacts[start])), len(here))
        if not asked["support"]:
            found[start, "support_rate", ""] = (None, len(here), None, None)
        answers = list(scores["csat", start].values())
        share("csat", sum(score >= asked["csat_from"] for score in answers), len(answers))
        found[start, "nps", ""] = nps(list(scores["nps", start].values()))
        for currency in {currency for at, currency in paid if at in shown}:
            sums = paid[start, currency]
            plain("revenue", math.fsum(sums), len(sums), currency)
            plain("average_value", math.fsum(sums) / len(sums) if sums else None, len(sums), currency)
        if not here:
            for at, kpi, currency in list(found):
                if at == start:
                    found[at, kpi, currency] = (None, found[at, kpi, currency][1], None, None)
    return found


def answered(event: Event, asked: dict[str, Any]) -> set[str]:
    """Which of the two questions the event answers."""
    score = value_of(event, asked["score"])
    kinds = {kind for kind in ("nps", "csat") if asked[kind] and meets(event, asked[kind]) and score.isdigit()}
    return kinds - {"nps"} if kinds and int(score) > 10 else kinds


def nps(scores: list[float]) -> tuple[Any, ...]:
    """As the mean of -1, 0 and 1, and its interval as that of a sample with three more answers."""
    votes = [1.0 if score >= 9 else -1.0 if score <= 6 else 0.0 for score in scores]
    if not votes:
        return None, 0, None, None
    if len(votes) == 1:
        return 100 * votes[0], 1, None, None
    weights = [(vote, 1.0) for vote in votes] + [(-1.0, 0.75), (0.0, 1.5), (1.0, 0.75)]
    n = sum(weight for _, weight in weights)
    mean = sum(vote * weight for vote, weight in weights) / n
    error = math.sqrt(sum(weight * (vote - mean) ** 2 for vote, weight in weights) / n / n)
    low, high = max(-1.0, mean - Z * error), min(1.0, mean + Z * error)
    return 100 * sum(votes) / len(votes), len(votes), 100 * low, 100 * high


ASKED: dict[str, Any] = {
    **{"source_id": "shop", "period": "week", "since": START_MS + 3 * DAY_MS, "until": START_MS + 60 * DAY_MS},
    **{"time_zone": "UTC", "counted_by": "visitor", "support": "support_contacted"},
    **{
        "nps": "survey_answered & survey=nps",
        "csat": "survey_answered & survey=csat",
        "score": "score",
        "csat_from": 4.0,
    },
}


def kpis_agree(store: Store, crowd: list[Event]) -> None:
    for changed in (
        {"time_zone": "Asia/Kathmandu", "counted_by": "person", "support": "", "csat_from": 7.0},
        {"time_zone": "Europe/Berlin", "period": "month"},
    ):
        asked = ASKED | changed
        computed, calendar = figures(crowd, asked), Calendar(asked)
        rows = store.rows(f"SELECT * FROM {store.database}.{call('kpis', asked)}")
        assert {row[:3] for row in rows} == {key for key in computed if key[0] != calendar.all()[0]}, changed
        for start, kpi, currency, value, n, low, high, previous, difference, change, is_whole in rows:
            wanted, (earlier, *_) = computed[start, kpi, currency], computed[calendar.before(start), kpi, currency]
            assert (value, n, low, high) == approximately(wanted), (changed, start, kpi, currency)
            assert previous == approximately(earlier), (changed, start, kpi, currency)
            unknown = value is None or previous is None
            assert difference == (None if unknown else approximately(value - previous))
            assert change == (None if unknown or not previous else approximately((value - previous) / previous))
            assert is_whole == calendar.is_whole(start)


def goals_agree(store: Store, crowd: list[Event]) -> None:
    asked = {name: ASKED[name] for name in ("source_id", "period", "since", "until")}
    asked |= {"time_zone": "America/St_Johns", "counted_by": "person"}
    calendar, again = Calendar(asked), repeats(crowd)
    reached: dict[tuple[date, str], list[Any]] = defaultdict(list)
    came: dict[date, set[Any]] = defaultdict(set)
    for unit, history in units(crowd, "person").items():
        for event in (e for e in history if e["event_time"] < asked["until"]):
            start = calendar.of(event["event_time"])
            came[start].add(unit)
            if event["conversion"] and event["message_id"] not in again:
                reached[start, event["event"]].append(unit)
    expected: list[Any] = []
    for before, start in zip(calendar.all(), calendar.all()[1:], strict=False):
        for goal, kind in (("purchase", "macro"), ("sign_up", "micro")):
            hits, n = len(set(reached[start, goal])), len(came[start])
            hits_before, n_before = len(set(reached[before, goal])), len(came[before])
            rate, previous = hits / n, hits_before / n_before
            difference, less, more, _, chance = compared(hits, n, hits_before, n_before)
            expected.append(
                (
                    *(start, goal, kind, len(reached[start, goal]), hits, n, rate, *wilson(hits, n), previous),
                    *(difference, less, more, chance, calendar.is_whole(start)),
                )
            )
    rows = store.rows(f"SELECT * FROM {store.database}.{call('goals', asked)}")
    assert [row[:6] for row in rows] == [row[:6] for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        assert row[6:] == approximately(wanted[6:])
    assert len(rows) == 18


def orders_agree(store: Store) -> None:
    said = [
        (1, {"id": "O-1", "order_id": "not this"}, 1),
        (2, {"order_id": "O-1"}, 2),
        (3, {"order": "O-1"}, 2),
        (4, {"id": "O-1"}, 2),
        (5, {}, 2),
        (6, {"order_id": "O-2"}, 0),
        (7, {"order_id": "O-2"}, 2),
    ]
    insert(
        store,
        [
            filled(
                {"message_id": str(n), "at": n, "event": "purchase", "type": "track", "conversion": "macro"}
                | {"event_version": major, "properties": json.dumps(facts), "visitor_id": f"visitor-{n % 2}"}
            )
            for n, facts, major in said
        ],
        "one",
    )
    view = f"{store.database}.conversions WHERE source_id = 'shop'"
    assert store.rows(f"SELECT message_id, order_id, is_repeat FROM {view} ORDER BY message_id") == [
        *(("1", "O-1", False), ("2", "O-1", True), ("3", "O-1", True), ("4", "", False), ("5", "", False)),
        *(("6", "O-2", False), ("7", "O-2", True)),
    ]
    plan = store.rows(f"EXPLAIN indexes = 1 SELECT * FROM {view}")
    assert any("source_id in ['shop', 'shop']" in line for (line,) in plan)


def before_after(changed_at: int, days: int, **changed: Any) -> str:
    asked = {"source_id": "shop", "among": "page_view", "goal": "purchase"} | changed
    moment = Sql(f"fromUnixTimestamp64Milli({changed_at}, 'UTC')")
    return call("before_after", asked | {"changed_at": moment, "days": days, "counted_by": "visitor"} | changed)


def before_and_after_agree(store: Store, crowd: list[Event]) -> None:
    """Compared by visitors, who may be on both sides."""
    changed_at, days = START_MS + 25 * DAY_MS, 20
    sides: list[tuple[bool, bool, bool, bool]] = []
    for history in units(crowd, "visitor").values():
        facts: list[bool] = []
        for low in (changed_at - days * DAY_MS, changed_at):
            within = [e for e in history if low <= e["event_time"] < low + days * DAY_MS]
            starts = [e["event_time"] for e in within if e["event"] == "page_view"]
            goals = [e["event_time"] for e in within if e["event"] == "purchase"]
            facts += [bool(starts), bool(starts and goals and max(goals) >= min(starts))]
        sides.append((facts[0], facts[1], facts[2], facts[3]))
    counts = [sum(side[i] for side in sides) for i in range(4)]
    both = [side for side in sides if side[0] and side[2]]
    (before, before_hits, after, after_hits), n = counts, len(both)
    rates = before_hits / before, after_hits / after
    # The variance of a difference of two means is that of a sum over all visitors of independent terms.
    mean = [sum(side[1] for side in both) / n, sum(side[3] for side in both) / n]
    covariance = sum((side[1] - mean[0]) * (side[3] - mean[1]) for side in both)
    variance = rates[0] * (1 - rates[0]) / before + rates[1] * (1 - rates[1]) / after - 2 * covariance / before / after
    difference, error = rates[1] - rates[0], math.sqrt(variance)
    (row,) = store.rows(f"SELECT * EXCEPT (is_over) FROM {store.database}.{before_after(changed_at, days)}")
    assert n > 10
    assert covariance != 0
    assert row == approximately(
        (
            *(before, before_hits, rates[0], *wilson(before_hits, before)),
            *(after, after_hits, rates[1], *wilson(after_hits, after), n),
            *(difference, difference - Z * error, difference + Z * error, difference / rates[0], difference / error),
            math.erfc(abs(difference / error) / math.sqrt(2)),
        )
    )


def two_shares_agree(store: Store) -> None:
    # statsmodels 0.15.0: test_proportions_2indep(33, 110, 20, 100, method="wald", compare="diff") gives z and p,
    # confint_proportions_2indep(33, 110, 20, 100, method="wald", compare="diff") the interval.
    golden = (1.6881175707404046, 0.09138866219041861, -0.016103523742153722, 0.2161035237421537)
    visits = [("before", 100, 20, -DAY_MS), ("after", 110, 33, DAY_MS)]
    events = []
    for side, n, hits, at in visits:
        for i in range(n):
            facts = {"visitor_id": f"{side}-{i}", "at": at + i}
            events.append(filled(facts | {"message_id": f"{side}-{i}-0"}))
            if i < hits:
                events.append(filled(facts | {"message_id": f"{side}-{i}-1", "type": "track", "event": "purchase"}))
    insert(store, events, "two")
    (row,) = store.rows(
        "SELECT before, after, in_both, z, p, difference_low, difference_high, is_over "
        f"FROM {store.database}.{before_after(START_MS, 7)}"
    )
    assert row == (100, 110, 0, *approximately(golden), True)
    # A change of tomorrow is not over, and nothing is known of it.
    (row,) = store.rows(
        "SELECT before_rate, difference, difference_low, p, is_over "
        f"FROM {store.database}.{before_after(4_000_000_000_000, 7)}"
    )
    assert row == (None, None, None, None, False)


# A database costs as much as its questions: those that can be asked of one are asked of one.
def test_goals_and_kpis_agree_with_an_independent_computation(store: Store, crowd: list[Event]) -> None:
    record_version(store, PLAN, START_MS)
    insert(store, crowd, "crowd")
    kpis_agree(store, crowd)
    goals_agree(store, crowd)
    before_and_after_agree(store, crowd)


def test_orders_count_once_by_every_name_of_their_id_and_shares_are_tested_as_statsmodels_does(store: Store) -> None:
    record_version(store, PLAN, START_MS)
    orders_agree(store)
    store.command(f"TRUNCATE TABLE {store.database}.events")
    two_shares_agree(store)


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_what_is_not_known_is_null_and_what_cannot_be_asked_is_said(store: Store) -> None:
    rows = store.rows(f"SELECT value, n, low, high, previous FROM {store.database}.{call('kpis', ASKED)}")
    assert set(rows) == {(None, 0, None, None, None)}
    asked = {name: ASKED[name] for name in ("source_id", "period", "since", "until", "time_zone", "counted_by")}
    assert store.rows(f"SELECT * FROM {store.database}.{call('goals', asked)}") == []
    range_ = {name: ASKED[name] for name in ("period", "time_zone")} | {
        "since": ASKED["until"],
        "until": ASKED["since"],
    }
    assert store.rows(f"SELECT * FROM {store.database}.{call('periods', range_)}") == []
    insert(store, [filled({"message_id": "1", "at": 0, "conversion": "macro"})], "one")
    for question, sentence in (
        (call("periods", range_ | {"period": "year", "until": range_["since"] + 1}), "period is day, week or month"),
        (call("goals", asked | {"counted_by": "session"}), "counted_by is visitor or person"),
        (before_after(START_MS, 0), "days must be at least 1"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{question}")
