"""Retention answers as a plain computation over dates does, in time zones with summer time and with odd offsets."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.questions import call, meets, units

from collector.store import Store, StoreError

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """400 visitors over 90 days with the change to summer time of 2026-03-29, many events around midnights."""
    chance = random.Random(11)
    events: list[Event] = []
    for visitor in range(400):
        day = chance.randrange(60)
        for number in range(chance.choice((1, 2, 3, 5, 9))):
            # START is noon UTC; half of the events are within a second of some midnight, in some zone.
            moment = day * DAY_MS + chance.choice(
                (chance.randrange(DAY_MS), DAY_MS // 2 + chance.randrange(-1000, 1000))
            )
            name = chance.choice(("sign_up", "page_view", "page_view", "purchase"))
            events.append(
                filled(
                    {
                        "message_id": f"{visitor:03}-{number}",
                        "at": moment,
                        "visitor_id": f"visitor-{visitor}",
                        "user_id": chance.choice(("", f"user-{visitor // 2}")),
                        "type": "page" if name == "page_view" else "track",
                        "event": name,
                    }
                )
            )
            day += chance.choice((0, 0, 1, 1, 2, 7, 30))
    return events


def start_of(day: date, period: str) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def between(first: date, later: date, period: str) -> int:
    if period == "month":
        return (later.year - first.year) * 12 + later.month - first.month
    return (later - first).days // (7 if period == "week" else 1)


def expected(events: list[Event], asked: dict[str, Any]) -> list[tuple[date, int, int, int]]:
    zone, period = ZoneInfo(asked["time_zone"]), asked["period"]

    def period_of(ms: int) -> date:
        return start_of(datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).date(), period)

    cohorts: dict[date, list[set[int]]] = defaultdict(list)
    for history in units(events, asked["counted_by"]).values():
        known = [event for event in history if event["event_time"] < asked["until"]]
        starts = [event["event_time"] for event in known if meets(event, asked["start_event"])]
        if not starts or min(starts) < asked["since"]:
            continue
        cohort = period_of(min(starts))
        back = {
            between(cohort, period_of(event["event_time"]), period)
            for event in known
            if meets(event, asked["return_event"])
        }
        cohorts[cohort].append(back)
    rows = []
    for cohort in sorted(cohorts):
        members = cohorts[cohort]
        for number in range(max(1, between(cohort, period_of(asked["until"]), period))):
            if number == 0:
                returned = len(members)
            elif asked["kind"] == "on":
                returned = sum(number in back for back in members)
            else:
                returned = sum(any(later >= number for later in back) for back in members)
            rows.append((cohort, number, len(members), returned))
    return rows


ASKED: dict[str, Any] = {
    **{"source_id": "shop", "start_event": "sign_up", "return_event": "*", "period": "week", "kind": "on"},
    **{"since": START_MS - DAY_MS, "until": START_MS + 100 * DAY_MS, "time_zone": "UTC", "counted_by": "visitor"},
}


def test_retention_agrees_with_an_independent_computation(store: Store, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    for changed in (
        {},
        {"period": "day"},
        {"period": "month", "kind": "on_or_after"},
        {"kind": "on_or_after", "return_event": "purchase"},
        {"period": "day", "time_zone": "Europe/Berlin"},
        {"period": "day", "time_zone": "Asia/Kathmandu", "start_event": "page_view"},
        {"period": "week", "time_zone": "America/St_Johns", "counted_by": "person"},
        {"since": START_MS + 20 * DAY_MS},
        {"until": START_MS + 30 * DAY_MS},
        {"start_event": "*", "return_event": "purchase", "counted_by": "person", "kind": "on_or_after"},
    ):
        asked = ASKED | changed
        rows = store.rows(f"SELECT cohort, number, size, returned FROM {store.database}.{call('retention', asked)}")
        assert rows == expected(crowd, asked), changed
        assert len(rows) > 3


def test_a_share_is_of_the_cohort(store: Store, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    rows = store.rows(f"SELECT number, size, returned, share FROM {store.database}.{call('retention', ASKED)}")
    assert all(share == pytest.approx(returned / size) for _, size, returned, share in rows)
    assert {share for number, _, _, share in rows if number == 0} == {1.0}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [({"period": "year"}, "period is day, week or month"), ({"kind": "before"}, "kind is on or on_or_after")],
)
def test_what_retention_cannot_do_is_said(store: Store, changed: dict[str, Any], sentence: str) -> None:
    insert(store, [filled({"message_id": "1", "at": 0, "event": "sign_up", "type": "track"})], "one")
    with pytest.raises(StoreError, match=sentence):
        store.rows(f"SELECT * FROM {store.database}.{call('retention', ASKED | changed)}")


def test_no_events_no_rows(store: Store) -> None:
    assert store.rows(f"SELECT * FROM {store.database}.{call('retention', ASKED)}") == []
