"""Retention answers as a plain computation over dates does, in time zones with summer time and with odd offsets."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.questions import call, meets, period_of, units, value_of

from collector.database.store import Store, StoreError

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
                        "country": chance.choice(("DE", "FR")),
                        "properties": chance.choice(('{"plan":"pro"}', "{}")),
                    }
                )
            )
            day += chance.choice((0, 0, 1, 1, 2, 7, 30))
    return events


def between(first: date, later: date, period: str) -> int:
    if period == "month":
        return (later.year - first.year) * 12 + later.month - first.month
    return (later - first).days // (7 if period == "week" else 1)


def expected(events: list[Event], asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of retention_by: cohort, dimension, first and last number, size, returned, share."""
    zone, period = ZoneInfo(asked["time_zone"]), asked["period"]

    def moment(ms: int) -> date:
        return period_of(datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).date(), period)

    cohorts: dict[tuple[date, str], list[set[int]]] = defaultdict(list)
    for history in units(events, asked["counted_by"]).values():
        known = [event for event in history if event["event_time"] < asked["until"]]
        starts = [event for event in known if meets(event, asked["start_event"])]
        if not starts or min(event["event_time"] for event in starts) < asked["since"]:
            continue
        dimension = (
            asked["breakdown"]
            and min((event["event_time"], event["sequence"], value_of(event, asked["breakdown"])) for event in starts)[
                2
            ]
        )
        cohort = moment(min(event["event_time"] for event in starts))
        back = {
            between(cohort, moment(event["event_time"]), period)
            for event in known
            if meets(event, asked["return_event"])
        }
        cohorts[cohort, dimension].append(back)
    rows: list[tuple[Any, ...]] = []
    for (cohort, dimension), members in sorted(cohorts.items()):
        over = between(cohort, moment(asked["until"]), period)
        spans = [(first, later - 1) for first, later in pairwise(asked["brackets"])]
        for first, last in [(0, 0), *(spans or [(number, number) for number in range(1, over)])]:
            if last >= over and last:
                continue
            if last == 0:
                returned = len(members)
            elif asked["kind"] == "on":
                returned = sum(any(first <= number <= last for number in back) for back in members)
            else:
                returned = sum(any(number >= first for number in back) for back in members)
            rows.append((cohort, dimension, first, last, len(members), returned, returned / len(members)))
    return rows


ASKED: dict[str, Any] = {
    **{"source_id": "shop", "start_event": "sign_up", "return_event": "*", "period": "week", "kind": "on"},
    **{"since": START_MS - DAY_MS, "until": START_MS + 100 * DAY_MS, "time_zone": "UTC", "counted_by": "visitor"},
}
BY: dict[str, Any] = {"brackets": [], "breakdown": ""}
# Brackets are given as [1, 4, 8, 31]: days 1 to 3, 4 to 7, 8 to 30.
VARIATIONS: tuple[dict[str, Any], ...] = (
    {},
    {"period": "day", "time_zone": "Europe/Berlin", "brackets": [1, 4, 8, 31], "breakdown": "country"},
    {"period": "month", "kind": "on_or_after"},
    {"kind": "on_or_after", "return_event": "purchase", "breakdown": "plan", "brackets": [2, 3, 6]},
    {"period": "day", "time_zone": "Asia/Kathmandu", "start_event": "page_view"},
    {"period": "week", "time_zone": "America/St_Johns", "counted_by": "person", "breakdown": "event"},
    {"since": START_MS + 20 * DAY_MS, "until": START_MS + 40 * DAY_MS},
    {"start_event": "*", "return_event": "purchase", "counted_by": "person", "kind": "on_or_after"},
)


def test_retention_agrees_with_an_independent_computation(store: Store, place: str, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    for number, changed in enumerate(VARIATIONS):
        # The server answers every other one: planning takes an engine longer than answering.
        if place.startswith("chdb") or number % 2:
            asked = ASKED | BY | changed
            rows = store.rows(f"SELECT * FROM {store.database}.{call('retention_by', asked)}")
            assert rows == expected(crowd, asked), changed
            assert len(rows) > 3
            assert any(0 < returned < size for _, _, first, _, size, returned, _ in rows if first)
    rows = store.rows(f"SELECT * FROM {store.database}.{call('retention', ASKED)}")
    assert rows == [(cohort, *rest) for cohort, _, _, *rest in expected(crowd, ASKED | BY)]
    assert {share for _, number, *_, share in rows if number == 0} == {1.0}


@pytest.mark.parametrize("place", ["chdb"], indirect=True)  # sentences of the view, which every engine says
def test_what_retention_cannot_do_is_said(store: Store) -> None:
    assert store.rows(f"SELECT * FROM {store.database}.{call('retention', ASKED)}") == []
    insert(store, [filled({"message_id": "1", "at": 0, "event": "sign_up", "type": "track"})], "one")
    for changed, sentence in (
        ({"period": "year"}, "period is day, week or month"),
        ({"kind": "before"}, "kind is on or on_or_after"),
        ({"counted_by": "session"}, "counted_by is visitor or person"),
        ({"brackets": [3]}, "brackets are at least two ascending numbers"),
        ({"brackets": [0, 3]}, "brackets are at least two ascending numbers"),
        ({"brackets": [7, 3]}, "brackets are at least two ascending numbers"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call('retention_by', ASKED | BY | changed)}")
