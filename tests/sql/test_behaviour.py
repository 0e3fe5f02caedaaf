"""Clicks, forms, searches, vitals, reading and errors: hand-counted stories, and a crowd counted again in Python."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import pairwise
from statistics import mean, median, quantiles
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.oracle import by_visitor, cut, moment, people
from sql.questions import call, meets, units

from collector.database.store import Store, StoreError

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
PERIOD: dict[str, Any] = {"source_id": "shop", "since": START_MS, "until": START_MS + 10 * DAY_MS}
VIEWS = (
    *("click_map", "forms", "form_fields", "searches", "vitals", "page_engagement", "rage_clicks", "links", "media"),
    *("script_errors", "broken_pages"),
)
Row = dict[str, Any]


def ask(store: Store, view: str, columns: str = "*", asked: Row = PERIOD, rest: str = "") -> list[tuple[Any, ...]]:
    return store.rows(f"SELECT {columns} FROM {store.database}.{call(view, asked)} {rest}")


class Story:
    """Events of visitors, told one after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, visitor: str, at: int, name: str, properties: Row | None = None, **columns: Any) -> None:
        self.events.append(
            filled(
                {
                    "message_id": f"m{len(self.events):05}",
                    "sequence": len(self.events) % 1000,
                    "visitor_id": visitor,
                    "at": at,
                    "type": "page" if name == "page_view" else "track",
                    "event": name,
                    "path": "/",
                    "properties": json.dumps(properties or {}),
                    **columns,
                }
            )
        )


def test_behaviour_is_counted_as_its_headers_say(store: Store) -> None:
    """Small stories, counted by hand."""
    story = Story()
    tell = story.tell
    buy = {"selector": "#buy", "element_role": "button", "element_name": "Buy"}
    # Clicks: ann in the middle of a window of 1,280 px, ben on its right edge and beyond, cat without a place.
    tell("ann", 0, "page_view")
    tell("ann", 10, "click", buy | {"x": 640, "y": 33}, viewport_width=1280)
    tell("ann", 20, "click", buy | {"x": 641, "y": 63}, viewport_width=1280)
    tell("ben", 0, "page_view")
    tell("ben", 10, "click", buy | {"x": 1280, "y": 0}, viewport_width=1280)
    tell("ben", 20, "click", buy | {"x": 5000, "y": 31, "element_name": "Buy now"}, viewport_width=1280)
    tell("cat", 10, "rage_click", {"selector": "#buy"})
    tell("cat", 11, "dead_click", {"selector": "#buy"})
    tell("dan", 0, "page_view")
    tell("bot", 0, "click", buy, is_bot=True)
    tell("ann", 10, "click", buy, source_id="blog")
    # Links.
    tell("ann", 30, "click", {"link_kind": "download", "href": "https://x.example/a.pdf"}, path="/docs")
    tell("ben", 31, "click", {"link_kind": "download", "href": "https://x.example/a.pdf"}, path="/docs")
    tell("ben", 32, "click", {"link_kind": "download", "href": "https://x.example/a.pdf"}, path="/about")
    # Pages that are not there.
    tell("eve", 0, "page_view", {"status": 404}, path="/gone", referrer="https://shop.example/list")
    tell("eve", 1, "page_view", {"status": 404}, path="/gone", referrer="https://b.example/", referrer_host="b.example")
    insert(store, story.events, "story")

    places = "path, selector, x_share, y_px, clicks, rage_clicks, dead_clicks, visitors, page_visitors, element_name"
    assert ask(store, "click_map", places, rest="WHERE selector != ''") == [
        ("/", "#buy", 0.5, 32, 2, 0, 0, 1, 3, "Buy"),
        ("/", "#buy", 63 / 64, 0, 2, 0, 0, 1, 3, "Buy now"),
        ("/", "#buy", None, None, 0, 1, 1, 1, 3, ""),
    ]
    assert ask(store, "rage_clicks", "selector, rage_clicks, dead_clicks, sessions, page_visitors, left") == [
        ("#buy", 1, 1, 1, 3, 1)
    ]
    assert ask(store, "links", "kind, href, clicks, visitors, pages, top_path") == [
        ("download", "https://x.example/a.pdf", 3, 2, 2, "/docs")
    ]
    assert ask(store, "broken_pages", "path, status, pageviews, visitors, from_own, from_others, top_referrer") == [
        ("/gone", 404, 2, 1, 1, 1, "https://b.example/")
    ]


def test_forms_and_searches_are_counted_as_their_headers_say(store: Store) -> None:
    story = Story()
    tell = story.tell
    pay = {"form_id": "pay", "form_name": "x"}
    # ann gives up at `card`, comes back and sends it; ben gives up at `card`, cat at `name`.
    tell("ann", 0, "form_abandoned", pay | {"fields": ["name", "card"], "last_field": "card"}, path="/checkout")
    tell("ann", 9, "form_submit", pay | {"fields": ["name", "card"], "last_field": "card"}, path="/checkout")
    tell("ben", 0, "form_abandoned", pay | {"fields": ["card"], "last_field": "card"}, path="/checkout/2")
    tell("cat", 0, "form_abandoned", pay | {"fields": ["name"], "last_field": "name"}, path="/checkout")
    tell("dan", 0, "form_submit", {"form_name": "news", "fields": []}, path="/")
    tell("dan", 1, "form_submit", {"fields": []}, path="/contact")
    # dan searches on a page of results, opens a product, buys; eve finds nothing, tries other words, and leaves.
    tell("dan", 10, "page_view", {"search_query": "Red  Shoes "}, path="/find")
    tell("dan", 11, "search", {"query": "red shoes", "results": 12}, path="/find")
    tell("dan", 12, "page_view", {"search_query": "red shoes"}, path="/find")
    tell("dan", 13, "page_view", path="/p/1")
    tell("dan", 14, "purchase", conversion="macro", path="/thanks")
    tell("eve", 10, "search", {"query": "rde shoes", "results": 0})
    tell("eve", 20, "search", {"query": "Red shoes", "results": 12})
    # fay's session ends; the page she opens the next day is none of it.
    tell("fay", 10, "page_view", {"search_query": "rde shoes"}, path="/find")
    tell("fay", DAY_MS, "page_view", path="/p/1")
    insert(store, story.events, "story")

    assert ask(
        store, "forms",
        "form, pages, started, submitted, abandoned, visitors, visitors_submitted, last_field, "
        "round(last_field_share, 3), fields_touched",
    ) == [
        ("pay", 2, 4, 1, 3, 3, 1, "card", 0.667, pytest.approx(4 / 3)),
        ("(/contact)", 1, 1, 1, 0, 1, 1, "", None, None),
        ("news", 1, 1, 1, 0, 1, 1, "", None, None),
    ]  # fmt: skip
    assert ask(
        store, "form_fields", "form, field, touched, submitted, abandoned, left_at, left_at_share, position"
    ) == [
        ("pay", "card", 3, 1, 2, 2, 2 / 3, pytest.approx(5 / 3)),
        ("pay", "name", 3, 1, 2, 1, 1 / 3, 1.0),
    ]
    assert ask(
        store, "searches",
        "query, searches, visitors, counted, results, zero_results, zero_result_share, "
        "clicked, refined, left, converted",
    ) == [
        ("rde shoes", 2, 2, 1, 0, 1, 1.0, 0, 1, 1, 0),
        ("red shoes", 2, 2, 2, 12, 0, 0.0, 1, 0, 1, 1),
    ]  # fmt: skip


# The frequent ones stand here more than once.
KINDS = (
    *("page_view", "page_view", "page_view", "click", "click", "rage_click", "dead_click", "form_submit"),
    *("form_abandoned", "search", "search", "web_vital", "web_vital", "engagement", "engagement", "error"),
    *("media_progress", "purchase"),
)


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """150 visitors over 12 days, of which 10 are asked for, doing all that the tag tells of."""
    chance = random.Random(7)
    story = Story()
    for visitor in range(150):
        name, at = f"v{visitor}", chance.randrange(11 * DAY_MS)
        for _ in range(chance.randrange(1, 25)):
            at += chance.choice((0, 1, 500, 60_000, 2_000_000))
            columns = {
                "path": chance.choice(("/", "/a", "/b")),
                "device_class": chance.choice(("desktop", "mobile")),
                "browser": chance.choice(("Firefox", "Chrome")),
                "viewport_width": chance.choice((0, 400, 1280)),
                "is_bot": visitor % 30 == 29,
                "source_id": "blog" if visitor % 30 == 28 else "shop",
                "sequence": chance.randrange(3),
            }
            kind = chance.choice(KINDS)
            fields = chance.sample(("name", "mail", "card"), chance.randrange(4))
            element = {"selector": chance.choice(("#a", "#b")), "x": chance.randrange(1500), "y": chance.randrange(99)}
            properties: Row = {
                "page_view": chance.choice(({}, {}, {"search_query": chance.choice("XYz")}, {"status": 404})),
                "click": element | chance.choice(({}, {"link_kind": "outbound", "href": chance.choice("hi")})),
                "rage_click": {"selector": element["selector"]},
                "dead_click": {"selector": element["selector"]},
                "form_submit": {
                    "form_id": chance.choice(("", "f")),
                    "fields": fields,
                    "last_field": (fields or [""])[-1],
                },
                "form_abandoned": {"form_id": "f", "fields": fields, "last_field": (fields or [""])[-1]},
                "search": {"query": chance.choice(" xyz "), "results": chance.choice((0, 0, 3, 4))},
                "web_vital": {
                    "name": chance.choice(("LCP", "CLS")),
                    "value": chance.choice((0.1, 0.2, 2500, 2501, 9e3)),
                },
                "engagement": {"engaged_ms": chance.choice((0, 5_000, 9_999, 12_000))}
                | chance.choice(({}, {"scroll_depth": chance.choice((0.1, 0.25, 0.5, 0.75, 0.995, 1))})),
                "error": {"message": chance.choice("mn"), "source": "s.js", "line": chance.choice((None, 3))},
                "media_progress": {
                    "media_kind": "video",
                    "src": "v.mp4",
                    "percent": chance.choice((0, 0, 25, 50, 75, 100)),
                },
                "purchase": {},
            }[kind]
            if kind == "purchase":
                columns |= {"conversion": "macro"}
            story.tell(name, at, kind, properties, **columns)
    return story.events


def test_a_crowd_is_counted_as_an_independent_computation_counts_it(store: Store, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    kept = [event for event in people(crowd) if event["source_id"] == "shop"]
    known = [event | {"p": json.loads(event["properties"])} for event in sorted(kept, key=moment)]
    asked = [event for event in known if START_MS <= event["event_time"] < PERIOD["until"]]
    assert len(known) > len(asked) > 1000
    for view, (columns, computed) in EXPECTED.items():
        found = sorted(ask(store, view, columns), key=repr)
        wanted = sorted(computed(asked, known), key=repr)
        assert len(found) == len(wanted) > 0, view
        for row, right in zip(found, wanted, strict=True):
            assert row == pytest.approx(right), view


def grouped(events: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return groups


def visitors(events: Iterable[Row]) -> int:
    return len({event["visitor_id"] for event in events})


def named(events: Iterable[Row], *names: str) -> list[Row]:
    return [event for event in events if event["event"] in names]


def click_map(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    def bucket(event: Row) -> tuple[Any, ...]:
        x, y, width = event["p"].get("x"), event["p"].get("y"), event["viewport_width"]
        share = None if x is None or not width else min(math.floor(x / width * 64), 63) / 64
        return event["path"], event["device_class"], event["p"]["selector"], share, None if y is None else y // 32 * 32

    for key, events in grouped(named(asked, "click", "rage_click", "dead_click"), bucket).items():
        seen = visitors(e for e in named(asked, "page_view") if (e["path"], e["device_class"]) == key[:2])
        yield (
            *key,
            *(len(named(events, kind)) for kind in ("click", "rage_click", "dead_click")),
            visitors(events),
            seen,
        )


def forms(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    for form, events in grouped(ends(asked), lambda e: e["form"]).items():
        given_up = named(events, "form_abandoned")
        places = Counter(e["p"]["last_field"] for e in given_up if e["p"]["last_field"])
        top = min(places, key=lambda field: (-places[field], field), default="")
        touched = mean(len(e["p"]["fields"]) for e in given_up) if given_up else None
        yield form, len(events), len(given_up), visitors(named(events, "form_submit")) / visitors(events), top, touched


def form_fields(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    for form, events in grouped(ends(asked), lambda e: e["form"]).items():
        for field in ("name", "mail", "card"):
            touched = [e for e in events if field in e["p"]["fields"]]
            left = [e for e in named(touched, "form_abandoned") if e["p"]["last_field"] == field]
            if touched:
                yield form, field, len(touched), len(left), mean(e["p"]["fields"].index(field) + 1 for e in touched)


def ends(asked: list[Row]) -> list[Row]:
    sent_or_left = named(asked, "form_submit", "form_abandoned")
    return [event | {"form": event["p"]["form_id"] or f"({event['path']})"} for event in sent_or_left]


def searches(asked: list[Row], known: list[Row]) -> Iterable[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for (_, visitor), history in by_visitor(known).items():
        for visit in cut(history):
            words = [query_of(event) for event in visit]
            for query in sorted(set(words) - {""}):
                start = words.index(query)
                if not START_MS <= visit[start]["event_time"] < PERIOD["until"]:
                    continue
                others = [i for i in range(start, len(visit)) if words[i] not in ("", query)]
                end = others[0] if others else len(visit)
                own = {e["path"] for e, word in zip(visit, words, strict=True) if word == query}
                opened = [
                    e for e, word in zip(visit[start:end], words[start:end], strict=True)
                    if e["event"] == "page_view" and not word and e["path"] not in own
                ]  # fmt: skip
                results = [
                    e["p"]["results"] for e, word in zip(visit, words, strict=True)
                    if e["event"] == "search" and word == query
                ]  # fmt: skip
                bought = any(e["conversion"] == "macro" for e in visit[start:])
                found.append((query, visitor, max(results, default=None), bool(opened), bool(others), bought))
    for query in {row[0] for row in found}:
        rows = [row for row in found if row[0] == query]
        counts = [row[2] for row in rows if row[2] is not None]
        yield (
            *(query, len(rows), len({row[1] for row in rows}), len(counts), median(counts) if counts else None),
            *(counts.count(0), sum(row[3] for row in rows), sum(row[4] and not row[3] for row in rows)),
            sum(row[5] for row in rows),
        )


def query_of(event: Row) -> str:
    name = {"search": "query", "page_view": "search_query"}.get(event["event"], "")
    return " ".join(event["p"].get(name, "").split()).lower()


def vitals(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    limits = {"LCP": (2500, 4000), "CLS": (0.1, 0.25)}
    for (metric, path, device), events in everywhere(named(asked, "web_vital"), lambda e: e["p"]["name"]).items():
        values = sorted(e["p"]["value"] for e in events)
        p75 = quantiles(values, n=4, method="inclusive")[2] if len(values) > 1 else values[0]
        good, poor = limits[metric]
        rating = "good" if p75 <= good else "needs improvement" if p75 <= poor else "poor"
        shares = (sum(v <= good for v in values) / len(values), sum(v > poor for v in values) / len(values))
        yield metric, path, device, len(values), visitors(events), median(values), p75, rating, *shares


def everywhere(events: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """By key, path and device class, with * for all."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for event in events:
        for path in ("*", event["path"]):
            for device in (event["device_class"], "*"):
                groups[key(event), path, device].append(event)
    return groups


def page_engagement(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    views: list[Row] = []
    for history in grouped(asked, lambda e: (e["visitor_id"], e["path"])).values():
        of_page: list[Row] = []
        for event in named(history, "page_view", "engagement"):
            if event["event"] == "page_view":
                of_page.append(event | {"ms": None, "depth": None})
            elif of_page:
                view = of_page[-1]
                view["ms"] = (view["ms"] or 0) + event["p"]["engaged_ms"]
                depths = [d for d in (view["depth"], event["p"].get("scroll_depth")) if d is not None]
                view["depth"] = max(depths, default=None)
        views += of_page
    for (_, path, device), events in everywhere(views, lambda _: None).items():
        told = [e["ms"] for e in events if e["ms"] is not None]
        depths = [e["depth"] for e in events if e["depth"] is not None]
        yield (
            *(path, device, len(events), visitors(events), len(told), sum(ms >= 10_000 for ms in told)),
            *(mean(told), median(told), len(depths), median(depths)),
            *(sum(depth >= least for depth in depths) / len(depths) for least in (0.25, 0.5, 0.75, 0.99)),
        )


def rage_clicks(asked: list[Row], known: list[Row]) -> Iterable[tuple[Any, ...]]:
    in_period = {event["message_id"] for event in asked}
    rows: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for (_, visitor), history in by_visitor(known).items():
        for visit in cut(history):
            troubles = [
                i for i, e in enumerate(visit)
                if e["event"] in ("rage_click", "dead_click") and e["message_id"] in in_period
            ]  # fmt: skip
            places: dict[tuple[str, str], list[int]] = defaultdict(list)
            for i in troubles:
                places[visit[i]["path"], visit[i]["p"]["selector"]].append(i)
            for place, at in places.items():
                left = not named(visit[at[-1] :], "page_view")
                bought = any(e["conversion"] == "macro" for e in visit[at[0] :])
                rage = len(named((visit[i] for i in at), "rage_click"))
                rows[place].append((visitor, rage, len(at) - rage, left, bought))
    for (path, selector), found in rows.items():
        yield (
            *(path, selector, sum(row[1] for row in found), sum(row[2] for row in found), len(found)),
            *(len({row[0] for row in found}), visitors(e for e in named(asked, "page_view") if e["path"] == path)),
            *(sum(row[3] for row in found), sum(row[4] for row in found)),
        )


def links(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    outside = [event for event in named(asked, "click") if "link_kind" in event["p"]]
    for href, events in grouped(outside, lambda e: e["p"]["href"]).items():
        paths = Counter(event["path"] for event in events)
        yield "outbound", href, len(events), visitors(events), len(paths), min(paths, key=lambda p: (-paths[p], p))


def media(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    played = named(asked, "media_progress")
    marks = Counter(event["p"]["percent"] for event in played)
    yield "v.mp4", visitors(played), *(marks[percent] for percent in (0, 25, 50, 75, 100)), marks[100] / marks[0]


def script_errors(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    for (message, line), events in grouped(
        named(asked, "error"), lambda e: (e["p"]["message"], e["p"]["line"] or 0)
    ).items():
        share = visitors(events) / visitors(asked)
        browsers = sorted({e["browser"] for e in events})
        yield message, line, len(events), visitors(events), share, len({e["path"] for e in events}), *browsers


def broken_pages(asked: list[Row], _: list[Row]) -> Iterable[tuple[Any, ...]]:
    broken = [event for event in named(asked, "page_view") if event["p"].get("status")]
    for path, events in grouped(broken, lambda e: e["path"]).items():
        yield path, 404, len(events), visitors(events)


EXPECTED: dict[str, tuple[str, Callable[[list[Row], list[Row]], Iterable[tuple[Any, ...]]]]] = {
    "click_map": (
        "path, device_class, selector, x_share, y_px, clicks, rage_clicks, dead_clicks, visitors, page_visitors",
        click_map,
    ),
    "forms": ("form, started, abandoned, completed_share, last_field, fields_touched", forms),
    "form_fields": ("form, field, touched, left_at, position", form_fields),
    "searches": ("query, searches, visitors, counted, results, zero_results, clicked, refined, converted", searches),
    "vitals": (
        "metric, path, device_class, samples, visitors, p50, p75, rating, good_share, poor_share",
        vitals,
    ),
    "page_engagement": (
        "path, device_class, pageviews, visitors, measured, engaged_views, engaged_ms_mean, engaged_ms_median, "
        "scrolled, depth_median, reached_25, reached_50, reached_75, reached_100",
        page_engagement,
    ),
    "rage_clicks": (
        "path, selector, rage_clicks, dead_clicks, sessions, visitors, page_visitors, left, converted",
        rage_clicks,
    ),
    "links": ("kind, href, clicks, visitors, pages, top_path", links),
    "media": ("src, visitors, starts, reached_25, reached_50, reached_75, finished, finished_share", media),
    "script_errors": (
        "message, line, errors, visitors, visitor_share, paths, browsers[1], browsers[2]",
        script_errors,
    ),
    "broken_pages": ("path, status, pageviews, visitors", broken_pages),
}


def hours_of(since_ms: int, until_ms: int, zone: ZoneInfo) -> Counter[tuple[int, int]]:
    """How many milliseconds of each hour of the week lie in a period, by asking for the hour minute by minute."""
    spent: Counter[tuple[int, int]] = Counter()
    edges = [since_ms, *range(-(-since_ms // 60_000) * 60_000, until_ms, 60_000), until_ms]
    for begin, end in pairwise(edges):
        local = datetime.fromtimestamp(begin / 1000, UTC).astimezone(zone)
        spent[local.isoweekday(), local.hour] += end - begin
    return spent


@pytest.mark.parametrize(
    ("zone", "days", "counted_by", "condition"),
    [
        # Summer time begins on 29 March, 28 days after START.
        ("Europe/Berlin", (-2, 29), "session", "page_view & device_class=mobile"),
        ("Asia/Kathmandu", (0.1, 0.9), "person", "*"),
    ],
)
def test_hours_of_the_week_are_those_of_the_time_zone(
    store: Store, crowd: list[Event], zone: str, days: tuple[float, float], counted_by: str, condition: str
) -> None:
    insert(store, crowd, "crowd")
    since, until = (START_MS + int(day * DAY_MS) + 777 for day in days)
    asked = {"source_id": "shop", "event": condition, "since": since, "until": until}
    found = ask(store, "activity_hours", asked=asked | {"time_zone": zone, "counted_by": counted_by})
    spent = hours_of(since, until, ZoneInfo(zone))
    counted: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for unit, history in units([e for e in crowd if e["source_id"] == "shop"], counted_by).items():
        for event in history:
            if since <= event["event_time"] < until and meets(event, condition):
                local = datetime.fromtimestamp(event["event_time"] / 1000, UTC).astimezone(ZoneInfo(zone))
                counted[local.isoweekday(), local.hour].append(unit)
    assert len(found) == len(spent)
    assert sum(row[3] for row in found) > 20
    for weekday, hour, hours, events, units_there, per_hour in found:
        there = counted[weekday, hour]
        assert hours == pytest.approx(spent[weekday, hour] / HOUR_MS), (weekday, hour)
        assert (events, units_there) == (len(there), len(set(there)))
        assert per_hour == pytest.approx(events / hours)


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_without_events_there_are_no_rows_and_a_reversed_period_is_empty(store: Store) -> None:
    hours = {"event": "*", "time_zone": "UTC", "counted_by": "visitor"}
    for view in VIEWS:
        assert ask(store, view) == []
    assert store.rows(f"SELECT * FROM {store.database}.form_ends") == []
    assert {row[3:] for row in ask(store, "activity_hours", asked=PERIOD | hours)} == {(0, 0, 0.0)}
    insert(store, [filled({"message_id": "1", "at": 5, "type": "track", "event": "click"})], "one")
    reversed_period = PERIOD | {"since": PERIOD["until"], "until": PERIOD["since"]}
    for view in ("click_map", "rage_clicks"):
        assert ask(store, view, asked=reversed_period) == []
    assert ask(store, "activity_hours", asked=reversed_period | hours) == []
    with pytest.raises(StoreError, match="Nowhere"):
        ask(store, "activity_hours", asked=PERIOD | hours | {"time_zone": "Nowhere/City"})
