"""Persons are stitched as union-find stitches them, in any order of arrival, and their profiles say what they did."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.persons import Who, place

from collector.database.store import Store

DAY_MS = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(ms: int) -> datetime:
    """As the driver gives it: UTC without a zone."""
    return (EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None)


def made(rows: list[dict[str, Any]]) -> list[Event]:
    """Filled events, numbered in the order given; `type` decides the event's name."""
    return [
        filled(
            {
                "message_id": f"{number:05}",
                **({} if row.get("type", "page") == "page" else {"event": row["type"]}),
                **row,
            }
        )
        for number, row in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """Devices that are shared and devices that nobody signs in on, users renamed in chains, circles and branches."""
    chance = random.Random(31)
    rows: list[dict[str, Any]] = []
    for _ in range(900):
        source = chance.choice(("shop", "shop", "blog"))
        # Few devices have several users; a name's neighbours in the list are those it is renamed to.
        device = chance.randrange(90)
        owner = device if device % 4 else chance.randrange(device, device + 3)
        kind = chance.choice(("page", "page", "page", "track", "identify", "identify", "group", "alias"))
        bought = kind == "track" and chance.random() < 0.5
        row: dict[str, Any] = {
            "at": chance.randrange(20) * DAY_MS // 4 + chance.choice((0, 0, 1, 60_000)),
            "source_id": source,
            "visitor_id": f"device-{device}",
            "user_id": "" if device % 5 == 0 or chance.random() < 0.5 else f"user-{owner}",
            "sequence": chance.randrange(2),
            "type": kind,
            "path": chance.choice(("/", "/a")),
            "channel": chance.choice(("internal", "email", "direct", "organic_search")),
            "country": chance.choice(("DE", "FR", "")),
            "device_class": chance.choice(("desktop", "mobile")),
            "is_bot": chance.random() < 0.03,
            "conversion": "macro" if bought else "",
            "value": chance.choice(("10", "2.5")) if bought else "0",
            "currency": chance.choice(("EUR", "EUR", "USD")) if bought else "",
        }
        if kind != "page":
            row["event"] = "purchase" if bought else kind
        if kind in ("identify", "group"):
            row["group_id"] = chance.choice(("acme", "umbrella", "")) if kind == "group" else ""
            stated = {"plan": chance.choice(("free", "pro", None)), "seats": chance.choice((1, 2)), "tags": ["a", {}]}
            row["traits"] = json.dumps(dict(chance.sample(list(stated.items()), 2)), separators=(",", ":"))
        if kind == "alias" and chance.random() < 0.6:
            user = chance.randrange(0, 90, 3)
            row["user_id"] = f"user-{user}"
            row["previous_id"] = chance.choice((f"user-{user - 3}", f"old-{user}", f"device-{user}", "guest", ""))
        rows.append(row)
    # A device that only an alias call says whose it is.
    rows.append({"at": 7, "type": "alias", "visitor_id": "server", "user_id": "user-1", "previous_id": "tablet"})
    rows.append({"at": 5, "visitor_id": "tablet"})
    # A circle, and a branch: one old id that two names replaced.
    for at, (old, new) in enumerate((("r1", "r2"), ("r2", "r3"), ("r3", "r1"), ("b1", "b2"), ("b1", "b3"))):
        rows.append({"at": at, "type": "alias", "visitor_id": "server", "user_id": new, "previous_id": old})
    return made(rows)


@pytest.fixture(scope="module")
def who(crowd: list[Event]) -> Who:
    return Who(crowd)


def load(store: Store, events: list[Event], seed: int) -> None:
    """In an order drawn by chance, in two batches, every tenth once more."""
    mixed = random.Random(seed).sample(events, len(events))
    insert(store, mixed[: len(mixed) // 2], f"first-{seed}")
    insert(store, mixed[len(mixed) // 2 :] + mixed[::10], f"second-{seed}")


def table(store: Store, columns: str, view: str, where: str = "1") -> list[tuple[Any, ...]]:
    rows = store.rows(f"SELECT {columns} FROM {store.database}.{view} WHERE {where} ORDER BY ALL")
    return [tuple(cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell for cell in row) for row in rows]


def test_identity_agrees_with_union_find_in_any_order_of_arrival(store: Store, crowd: list[Event], who: Who) -> None:
    load(store, crowd, seed=1)
    found = {view: table(store, "*", view) for view in ("user_aliases", "visitor_users", "identities")}

    sizes = Counter((source, name) for (source, _), name in who.names.items())
    since: dict[tuple[str, str], int] = {}
    for call in sorted(who.of_users, key=place):
        for name in (call["user_id"], call["previous_id"]):
            since.setdefault((call["source_id"], name), call["event_time"])
    assert len(sizes) > 10
    assert max(sizes.values()) > 4
    assert found["user_aliases"] == sorted(
        (source, user, name, time_of(since[source, user]), sizes[source, name])
        for (source, user), name in who.names.items()
    )

    events = table(store, "source_id, visitor_id, message_id, person_id", "person_events")
    assert events == sorted((e["source_id"], e["visitor_id"], e["message_id"], who.of_event(e)) for e in who.events)

    visits = table(store, "source_id, person_id, person_session_number, visitor_id, started_at", "person_sessions")
    assert visits == sorted(
        (source, person, number, visit[0]["visitor_id"], time_of(visit[0]["event_time"]))
        for (source, person), sessions in who.visits_of_persons().items()
        for number, visit in enumerate(sessions, start=1)
    )

    # A visitor as a whole is of whoever signed in on it last, alias calls of any source's visitors included.
    visitors = table(store, "source_id, visitor_id, user_id, person_id", "visitors")
    expected = []
    for source, visitor in who.histories:
        user = max(who.turns.get((source, visitor), []), default=(0, 0, "", ""))[3]
        expected.append((source, visitor, user, who.of_user(source, user) if user else f"visitor:{visitor}"))
    assert visitors == sorted(expected)

    store.command(f"TRUNCATE TABLE {store.database}.events")
    load(store, crowd, seed=2)
    assert {view: table(store, "*", view) for view in found} == found


def test_identities_say_who_and_why(store: Store, crowd: list[Event], who: Who) -> None:
    load(store, crowd, seed=1)
    met: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in who.events:
        met[event["source_id"], event["visitor_id"], who.of_event(event)].append(event)
    named_on = Counter((e["source_id"], e["visitor_id"]) for e in who.events if e["user_id"])
    persons_on = Counter((source, visitor) for source, visitor, _ in met)
    expected: list[tuple[Any, ...]] = []
    for (source, visitor, person), events in met.items():
        named = [event for event in events if event["user_id"]]
        called = [
            call["event_time"]
            for call in who.of_visitors
            if (call["source_id"], call["previous_id"]) == (source, visitor)
        ]
        if named:
            reason = "identify" if any(event["type"] == "identify" for event in named) else "user_id"
            since = min(event["event_time"] for event in named)
        elif person.startswith("visitor:"):
            reason, since = "anonymous", min(event["event_time"] for event in events)
        else:
            reason, since = "alias", min(called)
        confidence = len(named) / named_on[source, visitor] if named_on[source, visitor] else 1
        shared = persons_on[source, visitor] > 1
        expected.append((source, "visitor", visitor, person, reason, time_of(since), len(events), shared, confidence))
    users: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in who.events:
        if event["user_id"]:
            users[event["source_id"], event["user_id"]].append(event["event_time"])
    for source, user in {*users, *who.names}:
        called = [
            call["event_time"]
            for call in who.of_users
            if call["source_id"] == source and user in (call["user_id"], call["previous_id"])
        ]
        person = who.of_user(source, user)
        reason = "user_id" if person == f"user:{user}" else "alias"
        times = users[source, user]
        expected.append((source, "user", user, person, reason, time_of(min(times + called)), len(times), False, 1))
    columns = "source_id, kind, id, person_id, reason, since, events, is_shared, confidence"
    found = table(store, columns, "identities")
    assert found == sorted(expected)
    assert {row[4] for row in found if row[1] == "visitor"} == {"identify", "user_id", "alias", "anonymous"}
    assert sum(row[7] for row in found) > 10


def test_a_chain_of_two_thousand_names_is_one_person_and_no_other_source_is_touched(store: Store) -> None:
    names = [f"name-{number}" for number in range(2_001)]
    random.Random(4).shuffle(names)
    calls = list(pairwise(names))
    rows = [
        {"at": at, "type": "alias", "visitor_id": "server", "user_id": new, "previous_id": old}
        for at, (old, new) in enumerate(calls)
    ]
    rows.append({"at": 1, "type": "page", "visitor_id": "d", "user_id": names[0], "source_id": "blog"})
    load(store, made(rows), seed=3)
    found = store.rows(
        f"SELECT count(), any(person_user_id), uniqExact(person_user_id) FROM {store.database}.user_aliases"
    )
    assert found == [(2_001, names[-1], 1)]
    assert table(store, "person_id", "person_events", "source_id = 'blog'") == [(f"user:{names[0]}",)]


def test_a_device_of_two_people_is_divided_between_them(store: Store) -> None:
    """By hand: ann signs in, then ben, then ann again; what was before belongs to ann, and nobody is merged."""
    rows = [
        {"at": 0, "visitor_id": "kiosk"},
        {"at": 10, "visitor_id": "kiosk", "type": "identify", "user_id": "ann"},
        {"at": 20, "visitor_id": "kiosk"},
        {"at": 30, "visitor_id": "kiosk", "type": "identify", "user_id": "ben"},
        {"at": 40, "visitor_id": "kiosk"},
        {"at": 40, "visitor_id": "kiosk", "type": "track", "event": "late", "user_id": "ann", "sequence": 1},
        {"at": 50, "visitor_id": "kiosk"},
        {"at": 5, "visitor_id": "phone", "user_id": "ben"},
        {"at": 1, "visitor_id": "phone"},
        # Renamed, by a server that knows the phone's id only.
        {"at": 60, "visitor_id": "server", "type": "alias", "user_id": "benjamin", "previous_id": "ben"},
        {"at": 61, "visitor_id": "server", "type": "alias", "user_id": "ann", "previous_id": "tablet"},
        {"at": 62, "visitor_id": "server", "type": "alias", "user_id": "null", "previous_id": "ann"},
        {"at": 2, "visitor_id": "tablet"},
    ]
    insert(store, made(rows), "one")
    found = table(store, "visitor_id, toUnixTimestamp64Milli(event_time), sequence, person_id", "person_events")
    persons = [(visitor, at - START_MS, person) for visitor, at, _, person in found if visitor != "server"]
    ann, ben = "user:ann", "user:benjamin"
    assert persons == [
        *(("kiosk", 0, ann), ("kiosk", 10, ann), ("kiosk", 20, ann), ("kiosk", 30, ben)),
        # Ann's event is of the same millisecond as the page view at 40, which is therefore hers, too.
        *(("kiosk", 40, ann), ("kiosk", 40, ann), ("kiosk", 50, ann)),
        *(("phone", 1, ben), ("phone", 5, ben), ("tablet", 2, ann)),
    ]
    shared = "id, person_id, reason, round(confidence, 3)"
    assert table(store, shared, "identities", "is_shared AND id = 'kiosk'") == [
        ("kiosk", ann, "identify", 0.667),
        ("kiosk", ben, "identify", 0.333),
    ]


def test_traits_are_those_that_were_said_last_whenever_they_arrived(store: Store, crowd: list[Event], who: Who) -> None:
    load(store, crowd, seed=1)
    changes = who.changes()
    columns = "source_id, kind, id, trait, since, ifNull(value, '-'), ifNull(previous_value, '-'), until"
    expected = []
    for key, values in changes.items():
        befores = [None, *(value for value, _ in values)]
        untils = [time_of(since) for _, since in values[1:]] + [None]
        for (value, since), before, until in zip(values, befores, untils, strict=False):
            expected.append((*key, time_of(since), value or "-", before or "-", until))
    in_order = sorted(expected, key=repr)
    assert sorted(table(store, columns, "profile_history"), key=repr) == in_order
    profiles: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    updated: dict[tuple[str, str, str], int] = defaultdict(int)
    for (source, kind, name, trait), values in changes.items():
        updated[source, kind, name] = max(updated[source, kind, name], values[-1][1])
        if values[-1][0] is not None:
            profiles[source, kind, name][trait] = values[-1][0]
    found = {row[:3]: row[3:] for row in table(store, "source_id, kind, id, traits, updated_at", "profiles")}
    assert found == {key: (traits, time_of(updated[key])) for key, traits in profiles.items()}
    assert any(value is None for values in changes.values() for value, _ in values)


def profile(events: list[Event], visits: list[list[Event]], as_of: int) -> dict[str, Any]:
    """The columns of persons_at that events decide, of one person."""
    known = sorted((e for e in events if e["event_time"] < as_of), key=lambda e: e["event_time"])
    orders = [e for e in known if e["conversion"] == "macro"]
    began = [visit for visit in visits if visit[0]["event_time"] < as_of]
    channels = [
        next((e["channel"] for e in visit if e["channel"] not in ("", "internal")), "direct") for visit in began
    ]
    days = {e["event_time"] // DAY_MS for e in known}
    idle = (as_of - known[-1]["event_time"]) / DAY_MS
    gap = (max(days) - min(days)) / (len(days) - 1) if len(days) > 1 else None
    value: dict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        value[order["currency"]] += Decimal(order["value"])
    return {
        "first_seen_at": time_of(known[0]["event_time"]),
        "last_seen_at": time_of(known[-1]["event_time"]),
        "visitors": len({e["visitor_id"] for e in known}),
        "sessions": len(began),
        "active_days": len(days),
        "events": len(known),
        "pageviews": sum(e["event"] == "page_view" for e in known),
        "first_channel": channels[0] if channels else "",
        "last_channel": channels[-1] if channels else "",
        "channels": sorted(set(channels)),
        "countries": sorted({e["country"] for e in known} - {""}),
        "device_classes": sorted({e["device_class"] for e in known}),
        "group_ids": sorted({e["group_id"] for e in known} - {""}),
        "orders": len(orders),
        "first_order_at": time_of(orders[0]["event_time"]) if orders else None,
        "last_order_at": time_of(orders[-1]["event_time"]) if orders else None,
        "value_by_currency": dict(value),
        "idle_days": pytest.approx(idle),
        "mean_gap_days": pytest.approx(gap) if gap else None,
        "churn_risk": pytest.approx(1 - math.exp(-idle / gap)) if gap else None,
    }


def test_a_customer_profile_says_what_the_person_did_until_then(store: Store, crowd: list[Event], who: Who) -> None:
    load(store, crowd, seed=1)
    histories, visits = who.histories_of_persons(), who.visits_of_persons()
    then, later = START_MS + 3 * DAY_MS, START_MS + 100 * DAY_MS
    expected = {
        key: profile(events, visits[key], then)
        for key, events in histories.items()
        if key[0] == "shop" and any(event["event_time"] < then for event in events)
    }
    names = list(next(iter(expected.values())))
    view = f"persons_at(source_id = 'shop', as_of = fromUnixTimestamp64Milli({then}, 'UTC'))"
    rows = table(store, f"source_id, person_id, {', '.join(names)}", view)
    assert {row[:2]: dict(zip(names, row[2:], strict=True)) for row in rows} == expected
    assert len(rows) > 20

    # Of now, of all sources; and what other views say of a person stands there.
    expected = {key: profile(events, visits[key], later) for key, events in histories.items()}
    steady = ("sessions", "channels", "events", "orders", "value_by_currency")
    columns = f"source_id, person_id, user_id, traits, rfm_segment, {', '.join(steady)}"
    now = table(store, columns, "persons")
    assert {row[:2]: row[5:] for row in now} == {
        key: tuple(facts[name] for name in steady) for key, facts in expected.items()
    }
    traits: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for (source, kind, name, trait), values in who.changes().items():
        if kind == "person" and values[-1][0] is not None:
            traits[source, name][trait] = values[-1][0]
    for source, person, user, stated, segment, _, _, _, orders, _ in now:
        assert stated == traits.get((source, person), {})
        assert bool(segment) == (orders > 0)
        assert person == f"user:{user}" if user else person.startswith("visitor:")


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_a_filter_on_the_source_reaches_the_table_and_views_are_empty_without_events(store: Store) -> None:
    assert store.rows(f"SELECT * FROM {store.database}.persons") == []
    insert(store, made([{"at": 0, "source_id": "shop"}, {"at": 0, "source_id": "blog"}]), "one")
    plan = store.rows(f"EXPLAIN indexes = 1 SELECT * FROM {store.database}.persons WHERE source_id = 'shop'")
    conditions = [line.strip() for (line,) in plan if "Condition:" in line]
    # What persons did, their visits, their orders (twice) and what they said of themselves.
    assert sum("source_id in ['shop', 'shop']" in line for line in conditions) >= 5, conditions
