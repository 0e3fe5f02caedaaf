"""The quality of data: counted again in Python from the definitions, and told in sentences when something is wrong."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, median_low
from typing import Any

import pytest
from sql.events import START_MS, Event, filled, insert

from collector.cli.doctor_data import DataDiagnosis, examine_data
from collector.cli.main import command
from collector.database.query import answer
from collector.database.store import Store
from collector.record import FAILED_COLUMNS
from collector.wire.names import snake_case

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
# Six weeks and a half, of which the last 14 days are asked for.
DAYS = 45
NOW_MS = START_MS + DAYS * DAY_MS
ASKED_DAYS = 14
Row = dict[str, Any]


def ask(store: Store, view: str, columns: str = "*", days: float = ASKED_DAYS) -> list[tuple[Any, ...]]:
    since, until = (f"fromUnixTimestamp64Milli({ms}, 'UTC')" for ms in (NOW_MS - int(days * DAY_MS), NOW_MS))
    return store.rows(f"SELECT {columns} FROM {store.database}.{view}(since = {since}, until = {until})")


def insert_failed(store: Store, rows: list[Row]) -> None:
    empty: Row = dict.fromkeys(FAILED_COLUMNS, "") | {"sent_at": None, "violations": [], "source_id": "shop"}
    filled_rows = [empty | row for row in rows]
    names = list(FAILED_COLUMNS)
    store.insert("failed_events", names, [[row[name] for row in filled_rows] for name in names], token="failed")


def back_of(ms: int) -> int:
    return (NOW_MS - ms - 1) // DAY_MS


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """Three kinds over 45 days: one has gaps; some of bots, late, twice, with wrong clocks, or without properties."""
    chance = random.Random(3)
    events: list[Event] = []
    for back in range(DAYS):
        for name, source, least, most in (
            *(("page_view", "shop", *{5: (3, 6), 6: (120, 130)}.get(back, (30, 45))), ("page_view", "blog", 0, 3)),
            ("purchase", "shop", *((0, 1) if back in (2, 3, 16) else (12, 16) if back < 33 else (0, 1))),
        ):
            for _ in range(chance.randrange(least, most)):
                received = NOW_MS - back * DAY_MS - 1 - chance.randrange(DAY_MS)
                skew = chance.choice((0, 0, 0, 31_000, 4 * 60_000, 5 * 60_000, -7 * HOUR_MS, 400 * DAY_MS))
                properties = {
                    key: chance.choice((None, 1))
                    for key in ("a", "b", "c")
                    if chance.random() < (0.1 if back < 4 else 0.9)
                }
                events.append(
                    filled(
                        {
                            "message_id": f"m{len(events) - chance.choice((0, 0, 0, 1))}",
                            "at": received - START_MS - chance.choice((10, 5_000, HOUR_MS, HOUR_MS + 1)),
                            "received_at": received,
                            "sent_at": chance.choice((None, received + skew)),
                            "source_id": source,
                            "visitor_id": f"v{len(events) % 50}",
                            "user_id": chance.choice(("", "u")),
                            "country": chance.choice(("", "DE")) if back > 3 else "",
                            "path": "/",
                            "event": name,
                            "type": "page" if name == "page_view" else "track",
                            "is_bot": chance.random() < 0.1,
                            "sample_rate": chance.choice((1.0, 1.0, 0.5)),
                            "properties": json.dumps(properties),
                        }
                    )
                )
    return events


@pytest.fixture(scope="module")
def failures(crowd: list[Event]) -> list[Row]:
    chance = random.Random(4)
    names = ("page_view", "Purchase", "purchase@2", "Order Completed", "orderCompleted", "HTTPError", "", "Größe é")
    failed = [
        {
            "message_id": f"f{number}", "event": chance.choice(names), "visitor_id": "w",
            "received_at": NOW_MS - 1 - chance.randrange(20 * DAY_MS), "violations": ["wrong_type:/properties/x"],
        }
        for number in range(120)
    ]  # fmt: skip
    # Some were sent again, corrected, and are stored.
    purchases = [event for event in crowd if event["event"] == "purchase"]
    chosen = {event["message_id"]: event for event in chance.sample(purchases, 30)}
    return failed + [
        {
            "message_id": event["message_id"], "event": "purchase", "visitor_id": event["visitor_id"],
            "received_at": event["received_at"] - 10,
        }
        for event in chosen.values()
    ]  # fmt: skip


def expected_days(events: list[Event], failed: list[Row]) -> Iterable[tuple[Any, ...]]:
    stored: dict[tuple[str, str], dict[int, list[Event]]] = defaultdict(lambda: defaultdict(list))
    lost: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    ids = {(event["source_id"], event["message_id"]): event["event"] for event in events}
    for event in events:
        for name in (event["event"], "*"):
            stored[event["source_id"], name][back_of(event["received_at"])].append(event)
    for row in failed:
        name = snake_case(row["event"].removesuffix("@2")) or "(no name)"
        again = ids.get(("shop", row["message_id"]))
        if again is None:
            for one in (name, "*"):
                lost["shop", one][back_of(row["received_at"])] += 1
    for key in stored.keys() | lost.keys():
        days, first = stored[key], max([*stored[key], *lost[key]])
        volumes = {back: sum(1 / e["sample_rate"] for e in days[back] if not e["is_bot"]) for back in range(DAYS + 8)}
        for back in range(min(ASKED_DAYS, first + 1)):
            rows = days[back]
            weeks = [volumes[back + 7 * n] for n in range(1, 5) if back + 7 * n < first]
            before = [volumes[back + n] for n in range(1, 8) if back + n < first]
            expected = median(weeks) if len(weeks) > 1 else None
            usual = median(before) if len(before) > 2 else None
            skews = [
                max(-1440, min(1440, round((e["sent_at"] - e["received_at"]) / 60_000))) for e in rows if e["sent_at"]
            ]
            yield (
                *(*key, datetime.fromtimestamp((NOW_MS - (back + 1) * DAY_MS) / 1000, UTC).replace(tzinfo=None)),
                *(len(rows), volumes[back], expected, state_of(volumes[back], expected, usual), lost[key][back]),
                sum(e["received_at"] - e["event_time"] > HOUR_MS for e in rows),
                repeats(rows) if key[1] != "*" else sum(repeats(e for e in rows if e["event"] == n) for n in EVENTS),
                *(sum(e["is_bot"] for e in rows), sum(abs(minutes) >= 5 for minutes in skews)),
                median_low(skews) if skews else None,
            )


EVENTS = ("page_view", "purchase")


def repeats(rows: Iterable[Event]) -> int:
    ids = [event["message_id"] for event in rows]
    return len(ids) - len(set(ids))


def state_of(volume: float, expected: float | None, usual: float | None) -> str:
    likely = usual if expected is None else expected
    if volume == 0 and likely is not None and likely >= 10:
        return "stopped"
    if expected is None:
        return "unknown"
    far = abs(volume - expected) > 4 * math.sqrt(expected)
    return "low" if far and volume < expected / 2 else "high" if far and volume > 2 * expected else "ok"


def expected_properties(events: list[Event]) -> Iterable[tuple[Any, ...]]:
    totals: Counter[tuple[str, str, int]] = Counter()
    present: Counter[tuple[str, str, str, int]] = Counter()
    for event in events:
        key, back = (event["source_id"], event["event"]), back_of(event["received_at"])
        if event["is_bot"] or back >= ASKED_DAYS + 14:
            continue
        totals[*key, back] += 1
        held = {name for name, value in json.loads(event["properties"]).items() if value is not None}
        for name in held | {f"({name})" for name in ("user_id", "country", "path") if event[name]}:
            present[*key, name, back] += 1
    for source, called, name in {key[:3] for key in present}:
        for back in (back for back in range(ASKED_DAYS) if totals[source, called, back]):
            n, there = totals[source, called, back], present[source, called, name, back]
            before = range(back + 1, back + 15)
            n_before = sum((totals[source, called, day] for day in before), 0)
            p = sum((present[source, called, name, day] for day in before), 0) / n_before if n_before >= 50 else None
            yield source, called, name, back, n, there, p, property_state(n, there, p)


def property_state(n: int, present: int, p: float | None) -> str:
    if p is None:
        return "unknown"
    if present == 0 and n * p >= 10:
        return "gone"
    fell = p - present / n
    far = fell > 4 * math.sqrt(max(p * (1 - p), 0.01) / n)
    return "rarer" if far and (fell >= 0.2 or present / n < p / 2) else "ok"


def test_days_agree_with_an_independent_computation(store: Store, crowd: list[Event], failures: list[Row]) -> None:
    assert ask(store, "dq_daily") == ask(store, "dq_properties") == []
    insert(store, crowd, "crowd")
    insert_failed(store, failures)
    found = ask(
        store, "dq_daily",
        "source_id, event, day, events, volume, expected, state, failed, late, duplicates, bots, skewed, skew_minutes",
    )  # fmt: skip
    wanted = sorted(expected_days(crowd, failures), key=lambda row: row[:3])
    assert len(found) == len(wanted)
    for row, right in zip(sorted(found, key=lambda row: row[:3]), wanted, strict=True):
        assert (*row[:2], row[2].replace(tzinfo=None)) == right[:3]
        assert row[3:] == pytest.approx(right[3:]), row
    assert {row[6] for row in found} == {"ok", "unknown", "stopped", "low", "high"}

    columns = "source_id, event, property, day, events, present, expected_null_share, state"
    properties = {
        (*row[:3], back_of(row[3].replace(tzinfo=UTC).timestamp() * 1000)): row[4:]
        for row in ask(store, "dq_properties", columns)
    }
    counted = {
        row[:4]: (*row[4:6], None if row[6] is None else 1 - row[6], row[7]) for row in expected_properties(crowd)
    }
    assert properties.keys() == counted.keys()
    for key, row in properties.items():
        assert row == pytest.approx(counted[key]), key
    assert {row[3] for row in properties.values()} == {"ok", "unknown", "gone", "rarer"}
    # A reversed period has no days; one that begins within a day has all of that day.
    assert ask(store, "dq_properties", days=-1) == []
    two_days = [row for row in found if back_of(row[2].replace(tzinfo=UTC).timestamp() * 1000) < 2]
    assert len(ask(store, "dq_daily", "1", days=1.5)) == len(two_days) > 0


def steady(back: int, name: str = "page_view", times: int = 40, **columns: Any) -> list[Event]:
    """So many sound events on one day, one by one through its hours."""
    return [
        filled(
            {
                "message_id": f"{name}-{back}-{n}",
                "at": NOW_MS - START_MS - back * DAY_MS - 1_000 - n * (DAY_MS // times),
                "visitor_id": f"v{n}",
                "event": name,
                "type": "page" if name == "page_view" else "track",
                **{key: value[n] if isinstance(value, list) else value for key, value in columns.items()},
            }
        )
        for n in range(times)
    ]


def examined(store: Store) -> DataDiagnosis:
    return examine_data(lambda sql: answer(store, sql, "JSON"), NOW_MS)


@pytest.fixture
def questions(store: Store, dsn: str) -> Store:
    """The same database as people ask it: names without a database are the project's."""
    return Store(dsn, read_only=True)


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_doctor_says_what_is_wrong_with_the_data_and_since_when(store: Store, questions: Store) -> None:
    assert examined(questions).says == ["there is no data yet, so nothing can be wrong with it"]
    events: list[Event] = []
    for back in range(DAYS):
        gone, clock = '{"plan": null}' if back < 2 else '{"plan": "pro"}', 3 * HOUR_MS if back < 4 else 0
        events += steady(back, properties=gone)
        events += steady(back, "sign_up", 0 if back < 3 else 20)
        events += steady(back, "wish", 60 if back == 0 else 20)
        events += steady(back, source_id="app", is_bot=[n < (30 if back < 1 else 2) for n in range(40)])
        held = {"received_at": NOW_MS - back * DAY_MS - 1}
        sent = [NOW_MS - back * DAY_MS + clock - n * (DAY_MS // 40) for n in range(40)]
        events += steady(back, source_id="kiosk", sent_at=sent)
        events += steady(back, source_id="old", times=40 if back > 5 else 0)
        events += steady(back, source_id="thin", times=40 if back > 2 else 6)
        events += steady(back, "twice", 20, source_id="web", message_id=[f"{back}-{n // 2}" for n in range(20)])
        events += steady(back, "late", 20, source_id="web", received_at=NOW_MS - back * DAY_MS - 1)
        events += steady(back, "page_view", 20, source_id="slow", **held if back < 2 else {})
    insert(store, events, "steady")
    insert_failed(
        store,
        [
            {
                "message_id": f"{back}-{n}", "event": "Wish", "reason": "wrong_type", "fix": "send a text",
                "received_at": NOW_MS - back * DAY_MS - 10, "violations": ["wrong_type:/properties/colour"],
            }
            for back in range(2) for n in range(30)
        ],
    )  # fmt: skip
    found = examined(questions)
    assert not found.ok
    assert found.says == SAYS
    assert [(one.event, one.problem, one.since_ms) for one in found.findings if one.source_id in ("shop", "web")] == [
        ("page_view", "gone: plan", NOW_MS - 2 * DAY_MS),
        ("sign_up", "stopped", NOW_MS - 3 * DAY_MS),
        ("wish", "failed", NOW_MS - 2 * DAY_MS),
        ("wish", "high", NOW_MS - DAY_MS),
        ("twice", "duplicates", None),
    ]


# Nothing of `late`, which always was; of `old` and `thin` once for all of the source, not for each event too.
SAYS = [
    "app: 75% of its events in 24 hours are of bots (30 events), since 2026-04-14 12:00 UTC; see bot_reason in events",
    "app: its events came 10 times in 24 hours where 38 were to be expected, less than half since 2026-04-14 "
    "12:00 UTC; look at what sends it",
    "kiosk: 100% of its events in 24 hours come from clocks that are off by 5 minutes or more, 180 minutes ahead in "
    "the middle, since 2026-04-11 12:00 UTC; set the clock of what sends them",
    "old: its events stopped coming: the last came 2026-04-09 11:59 UTC, 40 a day were to be expected; "
    "look at what sends it",
    "shop: plan of page_view has no value in all 40 events of 24 hours since 2026-04-13 12:00 UTC, before in 0%; "
    "look at what sends it",
    "shop: sign_up stopped coming: the last came 2026-04-12 11:59 UTC, 20 a day were to be expected; "
    "look at what sends it",
    "shop: 33% of wish failed in 24 hours (30 events), since 2026-04-13 12:00 UTC; "
    "most often wrong_type at /properties/colour; see failed_events",
    "shop: wish came 60 times in 24 hours where 20 were to be expected, more than twice since 2026-04-14 12:00 UTC; "
    "look whether something sends it twice",
    "slow: 95% of its events in 24 hours came more than an hour late (19 events), since 2026-04-13 12:00 UTC; "
    "look at what holds them back",
    "thin: its events came 6 times in 24 hours where 40 were to be expected, less than half since 2026-04-12 "
    "12:00 UTC; look at what sends it",
    "web: 50% of twice in 24 hours were stored before (10 events) and count double, for 14 days or more; "
    "look for what sends one messageId with several timestamps or anonymousIds",
]


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_doctor_finds_nothing_in_sound_data(store: Store, questions: Store) -> None:
    insert(store, [event for back in range(DAYS) for event in steady(back, properties='{"plan": "pro"}')], "steady")
    found = examined(questions)
    assert found.ok
    assert found.findings == []
    assert found.says == ["1 event of 1 source over 14 days; nothing is wrong"]


@pytest.mark.parametrize("place", ["server"], indirect=True)
def test_doctor_exits_1_when_something_is_wrong_with_the_data(
    store: Store, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOOTFALL_CLICKHOUSE", dsn)
    monkeypatch.setenv("FOOTFALL_DATA", str(tmp_path / "none"))
    assert command.main(args=["doctor", "--data"], standalone_mode=False) == 0
    assert capsys.readouterr().out == "ok     there is no data yet, so nothing can be wrong with it\n"
    insert(store, steady(0, at=0, received_at=START_MS - 50 * DAY_MS, times=1), "old")
    assert command.main(args=["doctor", "--data", "--json"], standalone_mode=False) == 1
    assert json.loads(capsys.readouterr().out)["says"] == [
        "no event came in the last 43 days: the last came 2026-01-10 12:00 UTC; look at what sends them"
    ]
