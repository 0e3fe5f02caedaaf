"""Lifecycle, active users, stickiness, frequency and recency answer as sets of dates do, and their balances hold."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.questions import Unit, call, meets, period_after, period_before, period_of, units

from collector.database.store import Store, StoreError

DAY_MS = 86_400_000
Row = tuple[Any, ...]
Days = dict[Unit, list[date]]

HOUR_MS = 3_600_000
# Midnights of St. John's, which is offset by :30 and had summer time from 8 March 2026 on; Berlin had it from the 29th.
SECOND_OF_MARCH = START_MS + 15 * HOUR_MS + HOUR_MS // 2
FIRST_OF_MAY = SECOND_OF_MARCH + 60 * DAY_MS - HOUR_MS
LIFECYCLES: tuple[dict[str, Any], ...] = (
    {"period": "week", "time_zone": "Europe/Berlin"},
    {"period": "day", "time_zone": "Asia/Kathmandu", "counted_by": "person"},
    {"period": "month", "time_zone": "America/St_Johns", "since": START_MS - 60 * DAY_MS, "event": "a"},
    {"period": "day", "time_zone": "America/St_Johns", "since": SECOND_OF_MARCH, "until": FIRST_OF_MAY},
)
ACTIVE: tuple[dict[str, Any], ...] = (
    {"time_zone": "Europe/Berlin"},
    {"time_zone": "Asia/Kathmandu", "event": "b", "since": START_MS + 50 * DAY_MS},
)
STICKY: tuple[dict[str, Any], ...] = (
    {"period": "week", "time_zone": "Asia/Kathmandu", "since": START_MS + 15 * DAY_MS},
    {"period": "month", "time_zone": "America/St_Johns", "counted_by": "person", "until": FIRST_OF_MAY},
)
FREQUENT: tuple[dict[str, Any], ...] = (
    {"measure": "events", "time_zone": "UTC", "event": "a"},
    {"measure": "days", "time_zone": "Asia/Kathmandu", "counted_by": "person"},
)
RECENT: dict[str, Any] = {"time_zone": "Europe/Berlin", "event": "b"}


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """200 visitors over 100 days; most events are within a second of some midnight."""
    chance = random.Random(17)
    midnights = [DAY_MS // 2 + quarters * HOUR_MS // 4 for quarters in (0, -4, -8, 4 * 3 + 2, -(4 * 5 + 3))]
    events: list[Event] = []
    for visitor in range(200):
        day = chance.randrange(60)
        for number in range(chance.choice((1, 2, 4, 8, 16))):
            moment = chance.choice((*midnights, chance.randrange(DAY_MS))) + chance.choice((-1000, -1, 0, 1, 999))
            events.append(
                filled(
                    {
                        "message_id": f"{visitor:03}-{number}",
                        "at": day * DAY_MS + moment,
                        "visitor_id": f"visitor-{visitor}",
                        "user_id": chance.choice(("", f"user-{visitor // 2}")),
                        "type": "track",
                        "event": chance.choice("aab"),
                    }
                )
            )
            day += chance.choice((0, 1, 1, 1, 2, 7, 8, 31))
    return events


def parameters(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        **{"source_id": "shop", "event": "*", "counted_by": "visitor"},
        **{"since": START_MS - 10 * DAY_MS, "until": START_MS + 100 * DAY_MS},
        **asked,
    }


def day_of(ms: int, zone: str) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone)).date()


def start_ms(day: date, zone: str) -> int:
    """When a day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def days_of(events: list[Event], given: dict[str, Any], since: int | None = None) -> Days:
    """The day of each event that counts, of each who has one."""
    found: Days = {}
    for unit, history in units(events, given["counted_by"]).items():
        days = [
            day_of(event["event_time"], given["time_zone"])
            for event in history
            if meets(event, given["event"])
            and event["event_time"] < given["until"]
            and (since is None or event["event_time"] >= since)
        ]
        if days:
            found[unit] = days
    return found


def lifecycle(events: list[Event], given: dict[str, Any]) -> list[Row]:
    kind, zone = given["period"], given["time_zone"]
    active = {unit: {period_of(day, kind) for day in days} for unit, days in days_of(events, given).items()}
    period = period_of(day_of(given["since"], zone), kind)
    if start_ms(period, zone) < given["since"]:
        period = period_after(period, kind)
    period = max(period, min(min(periods) for periods in active.values()))
    rows: list[Row] = []
    while start_ms(period_after(period, kind), zone) <= given["until"]:
        here = {unit for unit, periods in active.items() if period in periods}
        before = {unit for unit, periods in active.items() if period_before(period, kind) in periods}
        ever = {unit for unit, periods in active.items() if min(periods) < period}
        new, returning, back, dormant = here - ever, here & before, (here & ever) - before, before - here
        ratio = (len(new) + len(back)) / len(dormant) if dormant else None
        rows.append((period, len(here), len(new), len(returning), len(back), len(dormant), ratio))
        period = period_after(period, kind)
    return rows


def active_users(events: list[Event], given: dict[str, Any]) -> list[Row]:
    zone = given["time_zone"]
    days = {unit: set(found) for unit, found in days_of(events, given).items()}
    day, rows = day_of(given["since"], zone), []
    while day < day_of(given["until"], zone):
        daily, weekly, monthly = (
            sum(any(day - timedelta(length) < active <= day for active in found) for found in days.values())
            for length in (1, 7, 30)
        )
        ratios = (daily / weekly if weekly else None, daily / monthly if monthly else None)
        rows.append((day, daily, weekly, monthly, *ratios, weekly / monthly if monthly else None))
        day += timedelta(1)
    return rows


def stickiness(events: list[Event], given: dict[str, Any]) -> list[Row]:
    kind, zone = given["period"], given["time_zone"]
    numbers: dict[date, list[int]] = {}
    for days in days_of(events, given, given["since"]).values():
        for period, number in Counter(period_of(day, kind) for day in set(days)).items():
            if (
                start_ms(period, zone) >= given["since"]
                and start_ms(period_after(period, kind), zone) <= given["until"]
            ):
                numbers.setdefault(period, []).append(number)
    return [
        (
            *(period, number, found.count(number), found.count(number) / len(found)),
            *(sum(n >= number for n in found), sum(n >= number for n in found) / len(found)),
        )
        for period, found in sorted(numbers.items())
        for number in range(1, (period_after(period, kind) - period).days + 1)
    ]


def distribution(values: list[int], *, downwards: bool) -> list[Row]:
    """Each value, how many and which share have it, and how many and which share have it or a larger (smaller) one."""
    rows = []
    for value in sorted(set(values)):
        beyond = sum(other >= value if downwards else other <= value for other in values)
        rows.append((value, values.count(value), values.count(value) / len(values), beyond, beyond / len(values)))
    return rows


def asked_of(store: Store, view: str, given: dict[str, Any]) -> list[Row]:
    return store.rows(f"SELECT * FROM {store.database}.{call(view, given)}")


def test_every_view_agrees_with_an_independent_computation(store: Store, place: str, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    # In the suite the server answers the second of each: planning takes an engine longer than answering.
    chosen = slice(None) if place.startswith("chdb") else slice(1, 2)
    for given in map(parameters, LIFECYCLES[chosen]):
        rows = asked_of(store, "lifecycle", given)
        assert rows == lifecycle(crowd, given), given
        assert len(rows) > 2
        for earlier, later in pairwise(rows):
            active, new, returning, resurrecting, dormant = later[1:6]
            assert active == new + returning + resurrecting
            assert returning + dormant == earlier[1]
    for given in map(parameters, ACTIVE[chosen]):
        rows = asked_of(store, "active_users", given)
        assert rows == active_users(crowd, given), given
        assert max(monthly for _, _, _, monthly, *_ in rows) > max(daily for _, daily, *_ in rows) > 1
    for given in map(parameters, STICKY[chosen]):
        rows = asked_of(store, "stickiness", given)
        assert rows == stickiness(crowd, given), given
        assert len(rows) > 28
    for given in map(parameters, FREQUENT[chosen]):
        days = days_of(crowd, given, given["since"]).values()
        times = [len(found) if given["measure"] == "events" else len(set(found)) for found in days]
        assert asked_of(store, "frequency", given) == distribution(times, downwards=True), given
    given = parameters(RECENT)
    until = day_of(given["until"], given["time_zone"])
    ago = [(until - max(found)).days for found in days_of(crowd, given, given["since"]).values()]
    assert asked_of(store, "recency", given) == distribution(ago, downwards=False)


@pytest.mark.parametrize("place", ["server"], indirect=True)  # a law of what the other test has compared
def test_all_who_were_ever_active_were_new_once(store: Store, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    given = parameters(LIFECYCLES[0])
    rows = asked_of(store, "lifecycle", given)
    last_day = rows[-1][0] + timedelta(7)
    came = [days for days in days_of(crowd, given).values() if min(days) < last_day]
    assert sum(new for _, _, new, *_ in rows) == len(came) > 150


NONSENSE: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("lifecycle", LIFECYCLES[0] | {"period": "year"}, "period is day, week or month"),
    ("lifecycle", LIFECYCLES[0] | {"counted_by": "session"}, "counted_by is visitor or person"),
    ("stickiness", STICKY[1] | {"period": "day"}, "period is week or month"),
    ("frequency", FREQUENT[0] | {"measure": "hours"}, "measure is events or days"),
    ("recency", RECENT | {"counted_by": "session", "event": "a"}, "counted_by is visitor or person"),
)


@pytest.mark.parametrize("place", ["chdb"], indirect=True)  # sentences of the views, which every engine says
def test_without_events_there_are_no_rows_and_nonsense_is_refused(store: Store) -> None:
    examples = {"lifecycle": LIFECYCLES, "active_users": ACTIVE, "stickiness": STICKY, "frequency": FREQUENT}
    for view, (first, *_) in (examples | {"recency": (RECENT,)}).items():
        assert asked_of(store, view, parameters(first)) == [], view
    insert(store, [filled({"message_id": "1", "at": 0, "event": "a", "type": "track"})], "one")
    reversed_range = {"since": START_MS + DAY_MS, "until": START_MS - DAY_MS}
    assert asked_of(store, "lifecycle", parameters(LIFECYCLES[0] | reversed_range)) == []
    assert asked_of(store, "active_users", parameters(ACTIVE[0] | reversed_range)) == []
    for view, changed, sentence in NONSENSE:
        with pytest.raises(StoreError, match=sentence):
            asked_of(store, view, parameters(changed))
