"""Journeys answer as their definitions do, for random people whose steps repeat, tie and lie on the edge of a period.

What a journey consists of is computed once, by `computed`; each view's numbers are counted from that. Every
view is asked on both engines; but not every question, as to plan one takes half a second.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.oracle import by_visitor, cut, expected, moment, people
from sql.questions import call, meets, person_of

from collector.database.store import Store, StoreError

Row = dict[str, Any]

HOUR_MS = 3_600_000
SINCE_MS, UNTIL_MS = START_MS + HOUR_MS, START_MS + 30 * HOUR_MS
PAGES = ["/", "/product/1", "/product/2", "/blog/2026/a", "/blog/2026/b", "/a_b", "/a-b", "/100%"]
RULES = ["product=/product/*", "/a_*", "*%", "2"]
EVENTS = ["add_to_cart", "search & term=shoe*"]
ASKED: Row = {
    **{"source_id": "shop", "start_event": "", "end_event": "", "goal": "purchase", "events": [], "pages": []},
    **{"collapse": True, "counted_by": "session", "since": SINCE_MS, "until": UNTIL_MS},
}
WAY = ("taken", "share", "converted", "conversion_rate", "conversions", "revenue", "currency", "median_ms")
ENTRY = (
    *("page", "dimension", "entrances", "share", "visitors", "bounces", "bounce_rate", "engaged", "engagement_rate"),
    *("pageviews", "median_duration_ms", "converted", "conversion_rate", "conversions", "revenue", "currency"),
)
EXIT = (
    *("page", "pageviews", "sessions", "exits", "share", "visitors", "exit_rate", "bounces", "bounce_rate"),
    *("converted", "lost", "median_position"),
)
QUESTIONS: dict[str, Row] = {
    "sessions": {},
    "from an event": {"start_event": "add_to_cart", "events": EVENTS, "pages": RULES, "collapse": False},
    "between two": {"start_event": "page_view & path=/product/*", "end_event": "*", "events": ["search"]},
    "of visitors, to a page": {"end_event": "page_view & path=/blog/*", "counted_by": "visitor", "pages": ["1"]},
    "of persons, to the goal": {"end_event": "purchase", "counted_by": "person", "events": ["*"], "pages": RULES},
}


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """160 visitors, every two of them a person, with many events of one moment and visits across the period's edges."""
    chance = random.Random(42)
    gaps = (0, 0, 1, 900, 60_000, 1_799_999, 1_800_000, 1_800_001, 7 * HOUR_MS)
    events: list[Event] = []
    for visitor in range(160):
        at = chance.choice((0, HOUR_MS - 1, HOUR_MS, HOUR_MS + 5_000, 28 * HOUR_MS, 29 * HOUR_MS + 1_800_000))
        for number in range(chance.choice((1, 2, 5, 9, 14))):
            at += chance.choice(gaps)
            name = chance.choice(("page_view",) * 6 + ("add_to_cart", "search", "purchase", "scroll"))
            events.append(
                filled(
                    {
                        "message_id": f"{chance.randrange(1000):03}-{visitor:03}-{number}",
                        "at": at,
                        "visitor_id": f"visitor-{visitor}",
                        "user_id": chance.choice(("", f"user-{visitor // 2}")),
                        "sequence": chance.randrange(2),
                        "source_id": chance.choice(("shop",) * 15 + ("other",)),
                        "type": "page" if name == "page_view" else "track",
                        "event": name,
                        "path": chance.choice(PAGES),
                        "channel": chance.choice(("email", "internal", "internal")),
                        "value": chance.choice(("10", "0.5")) if name == "purchase" else "0",
                        "currency": chance.choice(("EUR", "EUR", "USD")) if name == "purchase" else "",
                        "conversion": "macro" if name == "purchase" else "",
                        "properties": chance.choice(('{"term":"shoes"}', '{"term":"hat"}', "{}")),
                        "is_bot": chance.random() < 0.02,
                    }
                )
            )
    return events


@pytest.fixture
def shop(store: Store, crowd: list[Event]) -> Store:
    insert(store, crowd, "crowd")
    return store


# What must come out


def page_of(path: str, rules: list[str]) -> str:
    for rule in rules:
        if rule.isdigit():
            return "/".join(path.split("/")[: int(rule) + 1])
        name, pattern = rule.split("=", 1) if "=" in rule else ("", rule)
        if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), path):
            return name or rule
    return path


def histories(events: Iterable[Event], asked: Row) -> list[list[Event]]:
    """The events of each session that began in the period, or those in the period of each visitor or person."""
    visitors = by_visitor([event for event in people(events) if event["source_id"] == asked["source_id"]])
    if asked["counted_by"] == "session":
        visits = [visit for history in visitors.values() for visit in cut(history)]
        return [visit for visit in visits if asked["since"] <= visit[0]["event_time"] < asked["until"]]
    units: dict[str, list[Event]] = defaultdict(list)
    for (_, visitor), history in visitors.items():
        unit = person_of(visitor, history) if asked["counted_by"] == "person" else visitor
        units[unit] += [event for event in history if asked["since"] <= event["event_time"] < asked["until"]]
    return [sorted(history, key=moment) for history in units.values() if history]


def steps_of(history: list[Event], asked: Row) -> list[tuple[str, int]]:
    """(step, time) of those events that are steps."""
    steps = []
    for event in history:
        met = [condition for condition in asked["events"] if meets(event, condition)]
        if event["event"] == "page_view":
            steps.append((page_of(event["path"], asked["pages"]), event["event_time"]))
        elif met:
            steps.append((min(met), event["event_time"]))
    return steps


def computed(events: Iterable[Event], asked: Row) -> list[Row]:
    """The rows of journey_steps, without ids."""
    rows = []
    for history in histories(events, asked):
        starts = [
            i for i, event in enumerate(history) if not asked["start_event"] or meets(event, asked["start_event"])
        ]
        if not starts:
            continue
        first = starts[0]
        later = first + 1 if asked["start_event"] else 0
        ends = [i for i in range(later, len(history)) if asked["end_event"] and meets(history[i], asked["end_event"])]
        steps = steps_of(history[first : ends[0] + 1 if ends else len(history)], asked)
        if asked["collapse"]:
            steps = [next(same) for _, same in groupby(steps, key=lambda step: step[0])]
        goals = [event for event in history[first:] if asked["goal"] and meets(event, asked["goal"])]
        currencies = {event["currency"] for event in goals}
        rows.append(
            {
                "steps": [step for step, _ in steps],
                "step_times": [time for _, time in steps],
                "started_at": history[first]["event_time"],
                "step_before": ([""] + [step for step, _ in steps_of(history[:first], asked)])[-1],
                "start_is_step": bool(asked["start_event"] and steps_of(history[first : first + 1], asked)),
                "reached": bool(ends) or not asked["end_event"],
                "conversions": len(goals),
                "revenue": sum((Decimal(event["value"]) for event in goals), Decimal(0)),
                "currency": "mixed" if len(currencies) > 1 else "".join(currencies),
            }
        )
    return rows


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def currency_of(rows: list[Row], name: str = "currency") -> str:
    currencies = {row[name] for row in rows if row["conversions"]}
    return "mixed" if len(currencies) > 1 else "".join(currencies)


def low_median(values: Iterable[int]) -> int:
    ordered = sorted(values)
    return ordered[(len(ordered) + 1) // 2 - 1]


# What comes out


def asked_of(store: Store, view: str, asked: Row, *names: str) -> list[Row]:
    """These columns of a view's rows; times in milliseconds."""
    columns = ", ".join(f"`{name}`" for name in names)
    rows = store.rows(f"SELECT {columns} FROM {store.database}.{call(view, asked)}")
    return [dict(zip(names, map(plain, row), strict=True)) for row in rows]


def plain(value: Any) -> Any:
    match value:
        case datetime():
            return round(value.replace(tzinfo=UTC).timestamp() * 1000)
        case list():
            return [plain(one) for one in value]
        case _:
            return value


def keyed(rows: list[Row], *names: str) -> dict[Any, Row]:
    found = {
        tuple(tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names): row for row in rows
    }
    assert len(found) == len(rows)
    return found


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=repr)


@pytest.mark.parametrize(
    ("place", "names"),
    [("chdb", ["sessions", "between two"]), ("server", ["sessions", "of visitors, to a page"])],
    indirect=["place"],
)
def test_steps_between_events_agree_with_an_independent_computation(
    shop: Store, crowd: list[Event], names: list[str]
) -> None:
    for name in names:
        asked = ASKED | QUESTIONS[name]
        wanted = computed(crowd, asked)
        rows = asked_of(shop, "journey_steps", asked, "counted_id", *wanted[0])
        ids = [row.pop("counted_id") for row in rows]
        assert in_order(rows) == in_order(wanted), name
        assert len(rows) > 40, name
        if name == "sessions":
            started = (
                f"SELECT session_id FROM {shop.database}.sessions WHERE source_id = 'shop' "
                f"AND toUnixTimestamp64Milli(started_at) BETWEEN {SINCE_MS} AND {UNTIL_MS - 1}"
            )
            assert sorted(ids) == sorted(id_ for (id_,) in shop.rows(started))


@pytest.mark.parametrize(
    ("place", "name"), [("chdb", "from an event"), ("server", "of persons, to the goal")], indirect=["place"]
)
def test_journeys_and_sankeys_count_each_way(shop: Store, crowd: list[Event], name: str) -> None:
    asked = ASKED | QUESTIONS[name]
    depth = 3 if name == "from an event" else -3
    shown = [row for row in computed(crowd, asked) if row["reached"] and row["steps"]]
    ways = grouped(shown, lambda row: tuple(row["steps"][:3] if depth > 0 else row["steps"][-3:]))
    found = keyed(asked_of(shop, "journeys", asked | {"depth": depth}, "steps", *WAY), "steps")
    assert {steps for (steps,) in found} == set(ways)
    for (steps,), row in found.items():
        rows = ways[steps]
        converted = [one for one in rows if one["conversions"]]
        times = [one["step_times"][:3] if depth > 0 else one["step_times"][-3:] for one in rows]
        assert row["taken"] == len(rows)
        assert row["share"] == pytest.approx(len(rows) / len(shown))
        assert row["converted"] == len(converted)
        assert row["conversion_rate"] == pytest.approx(len(converted) / len(rows))
        assert row["conversions"] == sum(one["conversions"] for one in rows)
        assert row["revenue"] == sum(one["revenue"] for one in rows)
        assert row["currency"] == currency_of(rows)
        assert row["median_ms"] == low_median(time[-1] - time[0] for time in times)

    moves: Counter[tuple[int, str, str]] = Counter()
    source, sink = ("(start)", "(exit)") if depth > 0 else ("(entrance)", "(end)")
    for row in shown:
        stops = [source, *row["steps"], sink]
        for i, (before, after) in enumerate(pairwise(stops)):
            step = i if depth > 0 else i - len(stops) + 1
            if step < 3 if depth > 0 else step >= -3:
                moves[step, before, after] += 1
    flows = keyed(
        asked_of(shop, "sankey", asked | {"depth": depth}, "step", "from", "to", "taken"), "step", "from", "to"
    )
    assert {key: row["taken"] for key, row in flows.items()} == moves
    inner = range(1, 3) if depth > 0 else range(-2, 0)
    for step in inner:
        comes, goes = Counter[str](), Counter[str]()
        for (number, before, after), row in flows.items():
            comes[after] += row["taken"] if number == step - 1 and after != sink else 0
            goes[before] += row["taken"] if number == step and before != source else 0
        assert comes == goes


def paths_to_a_purchase_are_ranked(shop: Store, crowd: list[Event]) -> None:
    asked = ASKED | {"end_event": "purchase", "pages": RULES, "counted_by": "visitor"}
    shown = [row for row in computed(crowd, asked) if row["reached"] and row["steps"]]
    ways = Counter(tuple(row["steps"][-2:]) for row in shown)
    given = {key: value for key, value in asked.items() if key not in ("start_event", "end_event")}
    found = keyed(asked_of(shop, "purchase_paths", given | {"depth": 2}, "steps", "buyers", "rank"), "steps")
    assert {steps: row["buyers"] for (steps,), row in found.items()} == ways
    assert {steps: row["rank"] for (steps,), row in found.items()} == {
        steps: 1 + sum(other > buyers for other in ways.values()) for steps, buyers in ways.items()
    }


def loops_are_found(shop: Store, crowd: list[Event]) -> None:
    asked = ASKED | {"collapse": False, "events": ["search"], "pages": RULES, "counted_by": "visitor"}
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    converted: Counter[tuple[str, str, str]] = Counter()
    having: Counter[str] = Counter()
    for row in computed(crowd, asked):
        steps = row["steps"]
        stops = [step for step, _ in groupby(steps)]
        loops = Counter(("repeat", after, "") for before, after in pairwise(steps) if before == after)
        for i, page in enumerate(stops):
            if page in stops[:i]:
                back = i >= 2 and stops[i - 2] == page
                loops[("back_and_forth", page, stops[i - 1]) if back else ("return", page, "")] += 1
        having.update(set(steps))
        for loop, count in loops.items():
            counts[loop].append(count)
            converted[loop] += row["conversions"] > 0
    given = {key: asked[key] for key in ("source_id", "events", "pages", "goal", "counted_by", "since", "until")}
    names = ("kind", "page", "through")
    found = keyed(asked_of(shop, "loops", given, *names, "count", "sessions", "share", "converted"), *names)
    assert set(found) == set(counts)
    assert {kind for kind, _, _ in found} == {"repeat", "back_and_forth", "return"}
    for key, row in found.items():
        assert (row["count"], row["sessions"], row["converted"]) == (sum(counts[key]), len(counts[key]), converted[key])
        assert row["share"] == pytest.approx(len(counts[key]) / having[key[1]])


def drop_offs_say_where_and_what_instead(shop: Store, crowd: list[Event]) -> None:
    asked = ASKED | {"start_event": "page_view & path=/product/*", "end_event": "purchase", "goal": ""}
    begun = [
        row
        | {
            "next": (row["steps"][1:] or ["(exit)"])[0],
            "last": (row["steps"] or [row["step_before"]])[-1],
            "after": len(row["steps"]) - 1,
        }
        for row in computed(crowd, asked)
    ]
    lost = grouped((row for row in begun if not row["reached"]), lambda row: (row["next"], row["last"]))
    given = {key: asked[key] for key in ("source_id", "events", "pages", "counted_by", "since", "until")}
    found = keyed(
        asked_of(
            shop,
            "drop_offs",
            given | {"begun": asked["start_event"], "wanted": "purchase"},
            *("next_step", "last_step", "lost", "share", "steps_after", "next_step_loss"),
        ),
        *("next_step", "last_step"),
    )
    assert set(found) == set(lost)
    for (following, last), row in found.items():
        same = [one for one in begun if one["next"] == following]
        rows = lost[following, last]
        assert row["lost"] == len(rows)
        assert row["share"] == pytest.approx(len(rows) / sum(map(len, lost.values())))
        assert row["steps_after"] == pytest.approx(sum(one["after"] for one in rows) / len(rows))
        assert row["next_step_loss"] == pytest.approx(sum(not one["reached"] for one in same) / len(same))


def test_entries_and_exits_agree_with_the_sessions(shop: Store, crowd: list[Event]) -> None:
    pages_fall_into_the_first_group_that_fits(shop, crowd)
    began = [
        session | {"page": page_of(session["entry_path"], RULES), "left": page_of(session["exit_path"], RULES)}
        for session in expected(crowd)["sessions"]
        if session["source_id"] == "shop"
        and SINCE_MS <= plain(session["started_at"]) < UNTIL_MS
        and session["pageviews"]
    ]
    given = {"source_id": "shop", "pages": RULES, "since": SINCE_MS, "until": UNTIL_MS}
    entered = grouped(began, lambda session: (session["page"], session["channel"]))
    found = keyed(asked_of(shop, "entries", given | {"breakdown": "channel"}, *ENTRY), "page", "dimension")
    assert set(found) == set(entered)
    for key, row in found.items():
        sessions = entered[key]
        assert row["entrances"] == len(sessions)
        assert row["share"] == pytest.approx(len(sessions) / len(began))
        assert row["visitors"] == len({one["visitor_id"] for one in sessions})
        assert row["bounces"] == sum(one["is_bounce"] for one in sessions)
        assert row["engaged"] == sum(one["is_engaged"] for one in sessions)
        assert row["pageviews"] == sum(one["pageviews"] for one in sessions)
        assert row["median_duration_ms"] == low_median(one["duration_ms"] for one in sessions)
        assert row["converted"] == sum(one["conversions"] > 0 for one in sessions)
        assert row["conversions"] == sum(one["conversions"] for one in sessions)
        assert row["revenue"] == sum(one["revenue"] for one in sessions)
        assert row["currency"] == currency_of(sessions, "revenue_currency")
        for rate, of in (("bounce_rate", "bounces"), ("engagement_rate", "engaged"), ("conversion_rate", "converted")):
            assert row[rate] == pytest.approx(row[of] / len(sessions))

    pages = [(session, page_of(path, RULES)) for session in began for path in session["page_paths"]]
    viewed = Counter(page for _, page in pages)
    left = {(key,): row for (key,), row in keyed(asked_of(shop, "exits", given, *EXIT), "page").items()}
    assert {page for (page,) in left} == set(viewed)
    for (page,), row in left.items():
        sessions = [session for session in began if session["left"] == page]
        entrances = sum(session["page"] == page for session in began)
        bounces = sum(session["is_bounce"] for session in sessions)
        assert row["pageviews"] == viewed[page]
        assert row["sessions"] == sum(page in {page_of(path, RULES) for path in one["page_paths"]} for one in began)
        assert row["exits"] == len(sessions)
        assert row["share"] == pytest.approx(len(sessions) / len(began))
        assert row["exit_rate"] == pytest.approx(len(sessions) / viewed[page])
        assert row["visitors"] == len({one["visitor_id"] for one in sessions})
        assert (row["bounces"], row["bounce_rate"]) == (bounces, bounces / entrances if entrances else None)
        assert row["converted"] == sum(one["conversions"] > 0 for one in sessions)
        assert row["lost"] == len(sessions) - row["converted"]
        assert not sessions or row["median_position"] == low_median(one["pageviews"] for one in sessions)


def pages_fall_into_the_first_group_that_fits(shop: Store, crowd: list[Event]) -> None:
    views = Counter(
        event["path"] for event in people(crowd) if event["source_id"] == "shop" and event["event"] == "page_view"
    )
    rows = asked_of(shop, "page_groups", {"source_id": "shop", "pages": RULES}, "path", "page", "pageviews")
    assert {row["path"]: (row["page"], row["pageviews"]) for row in rows} == {
        path: (page_of(path, RULES), count) for path, count in views.items()
    }
    assert {row["path"]: row["page"] for row in rows} == {
        **{"/": "/", "/product/1": "product", "/product/2": "product", "/100%": "*%"},
        **{"/a_b": "/a_*", "/a-b": "/a-b", "/blog/2026/a": "/blog/2026", "/blog/2026/b": "/blog/2026"},
    }


def test_purchase_paths_loops_and_drop_offs_are_those_of_the_journeys(shop: Store, crowd: list[Event]) -> None:
    paths_to_a_purchase_are_ranked(shop, crowd)
    loops_are_found(shop, crowd)
    drop_offs_say_where_and_what_instead(shop, crowd)


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_what_cannot_be_answered_is_said_and_an_empty_table_has_no_rows(store: Store) -> None:
    period = {"source_id": "shop", "pages": [], "since": SINCE_MS, "until": UNTIL_MS}
    for view, asked in (("journeys", ASKED | {"depth": 3}), ("exits", period)):
        assert store.rows(f"SELECT * FROM {store.database}.{call(view, asked)}") == [], view
    insert(store, [filled({"message_id": "1", "at": HOUR_MS})], "one")
    reversed_ = ASKED | {"since": UNTIL_MS, "until": SINCE_MS}
    assert store.rows(f"SELECT * FROM {store.database}.{call('journey_steps', reversed_)}") == []
    for view, asked, sentence in (
        ("page_groups", {"source_id": "shop", "pages": ["product"]}, "a rule is a path"),
        ("journey_steps", ASKED | {"counted_by": "group"}, "counted_by is session, visitor or person"),
        ("journeys", ASKED | {"depth": 0}, "depth is 1 to 100 or -100 to -1"),
        ("entries", period | {"breakdown": "colour"}, "breakdown is empty, channel"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call(view, asked)}")


WALKS = ["hpcb", "hpph", "hsphpcb", "sp", "h", "hshsc", "phcpcb", "hpcc", "sphs", "hpcb", "cb", "hsp"]


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_other_tools_count_the_same_ways(store: Store) -> None:
    """Twelve visits, a letter a page, a minute apart, were given to two other tools; these are their answers.

    pm4py 2.7.23: `discover_dfg` (the moves, and how many begin and end where) and `get_variants` (whole ways).
    retentioneering 5.2.0: `step_sankey_data(max_steps=4)`, and with `anchor={"pattern": "c", "occurrence": "first"}`.
    It gives shares, which are here times the 12 and 7 paths, and its `path_end` counts all that are over.
    """
    visits = [
        filled({"message_id": str(i), "at": HOUR_MS + i * 60_000, "visitor_id": f"v{number}", "path": page})
        for number, walk in enumerate(WALKS)
        for i, page in enumerate(walk)
    ]
    insert(store, visits, "walks")
    moves = store.rows(f"SELECT concat(`from`, `to`), `count` FROM {store.database}.transitions")
    assert dict(moves) == {
        **{"cb": 5, "cc": 1, "cp": 1, "hc": 1, "hp": 5, "hs": 5, "pc": 5, "ph": 4, "pp": 1, "sc": 1, "sh": 1, "sp": 4},
        **{"(entrance)c": 1, "(entrance)h": 8, "(entrance)p": 1, "(entrance)s": 2},
        **{"b(exit)": 5, "c(exit)": 2, "h(exit)": 2, "p(exit)": 2, "s(exit)": 1},
    }
    ways = asked_of(store, "journeys", ASKED | {"collapse": False, "depth": 100}, "steps", "taken")
    assert {"".join(row["steps"]): row["taken"] for row in ways} == {
        **{"hpcb": 2, "hpph": 1, "hsphpcb": 1, "sp": 1, "h": 1, "hshsc": 1, "phcpcb": 1, "hpcc": 1, "sphs": 1},
        **{"cb": 1, "hsp": 1},
    }
    matrices = {
        "": {
            1: {"c": 1, "h": 8, "p": 1, "s": 2},
            2: {"b": 1, "h": 1, "p": 6, "s": 3, "(exit)": 1},
            3: {"c": 4, "h": 2, "p": 3, "(exit)": 3},
            4: {"b": 2, "c": 1, "h": 2, "p": 1, "s": 2, "(exit)": 4},
        },
        "page_view & path=c": {
            1: {"c": 7},
            2: {"b": 4, "c": 1, "p": 1, "(exit)": 1},
            3: {"c": 1, "(exit)": 6},
            4: {"b": 1, "(exit)": 6},
        },
    }
    for start, matrix in matrices.items():
        asked = ASKED | {"collapse": False, "depth": 4, "start_event": start}
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for row in asked_of(store, "sankey", asked, "step", "to", "taken"):
            later = range(row["step"] + 1, 5 if row["to"] == "(exit)" else row["step"] + 2)
            for step in later:
                found[step][row["to"]] += row["taken"]
        assert found == matrix
