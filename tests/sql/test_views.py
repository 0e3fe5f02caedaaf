"""Each view answers what its header promises: golden rows for the edges, an independent computation for the rest."""

from __future__ import annotations

import json
import random
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sql import oracle
from sql.events import Event, filled, insert

from collector.database.store import QUESTION_SETTINGS, Store

HERE = Path(__file__).parent
CASES = sorted(path.stem for path in (HERE / "cases").glob("*.json"))

# What is compared. Columns that a view passes on from events unchanged are compared where they decide something.
COLUMNS: dict[str, tuple[str, ...]] = {
    "human_events": ("source_id", "visitor_id", "message_id", "event_time", "received_at", "event", "path"),
    "visitors": ("source_id", "visitor_id", "user_id", "person_id", "first_seen_at", "last_seen_at", "events"),
    "sessions": (
        *("source_id", "visitor_id", "session_number", "session_id", "user_id", "started_at", "ended_at"),
        *("duration_ms", "events", "pageviews", "page_paths", "entry_path", "exit_path", "referrer_host", "channel"),
        *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
        *("device_class", "browser", "os", "country"),
        *("conversions", "micro_conversions", "revenue", "revenue_currency", "is_bounce", "is_engaged"),
    ),
    "session_events": (
        *("source_id", "visitor_id", "session_number", "session_id", "session_started_at", "position"),
        *("message_id", "event", "event_time", "previous_event_time", "next_event_time"),
    ),
    "pageviews": (
        *("source_id", "visitor_id", "session_number", "session_id", "session_started_at", "message_id", "user_id"),
        *("event_time", "path", "position", "previous_path", "next_path", "is_entry", "is_exit", "time_on_page_ms"),
    ),
    "paths": (
        *("source_id", "visitor_id", "session_number", "session_id", "started_at"),
        *("steps", "converted", "revenue"),
    ),
    "transitions": ("source_id", "from", "to", "count", "sessions", "share"),
}

Answers = dict[str, list[dict[str, Any]]]


def answers(store: Store) -> Answers:
    """The rows of every view, in a fixed order, in the types of JSON."""
    found: Answers = {}
    for view, columns in COLUMNS.items():
        names = ", ".join(f"`{name}`" for name in columns)
        rows = store.rows(f"SELECT {names} FROM {store.database}.{view}")
        found[view] = in_order([dict(zip(columns, map(plain, row), strict=True)) for row in rows])
    return found


def plain(value: Any) -> Any:
    """Times as ISO 8601, decimals as text with four digits: what JSON cannot hold."""
    match value:
        case datetime():
            return value.replace(tzinfo=UTC).isoformat(timespec="milliseconds")
        case Decimal():
            return f"{value:.4f}"
        case _:
            return value


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def of_oracle(events: list[Event]) -> Answers:
    """The same from the independent computation, which knows no session ids and leaves human_events to the goldens."""
    computed = oracle.expected(events)
    return {
        view: in_order([{name: plain(value) for name, value in row.items()} for row in computed[view]])
        for view in COLUMNS
        if view != "human_events"
    }


def without_ids(found: Answers) -> Answers:
    return {
        view: in_order([{name: value for name, value in row.items() if name != "session_id"} for row in rows])
        for view, rows in found.items()
        if view != "human_events"
    }


def batches_of(case: str) -> list[list[Event]]:
    given = json.loads((HERE / "cases" / f"{case}.json").read_text(encoding="utf-8"))
    return [[filled(event) for event in batch] for batch in given["batches"]]


def load(store: Store, batches: list[list[Event]]) -> None:
    for number, batch in enumerate(batches):
        if batch:
            insert(store, batch, f"batch-{number}")


@pytest.mark.parametrize("case", CASES)
def test_views_answer_the_golden_rows(store: Store, case: str, request: pytest.FixtureRequest) -> None:
    load(store, batches_of(case))
    found = answers(store)
    for view, rows in found.items():
        golden = HERE / view / f"{case}.json"
        if request.config.getoption("--golden"):
            golden.parent.mkdir(exist_ok=True)
            body = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
            golden.write_text(f"[\n{body}\n]\n" if rows else "[]\n", encoding="utf-8")
        assert rows == json.loads(golden.read_text(encoding="utf-8")), f"{view} differs from {golden}"


@pytest.mark.parametrize("case", CASES)
def test_the_golden_rows_follow_from_the_definitions(case: str) -> None:
    golden = {view: json.loads((HERE / view / f"{case}.json").read_text(encoding="utf-8")) for view in COLUMNS}
    assert without_ids(golden) == of_oracle([event for batch in batches_of(case) for event in batch])


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """400 visitors whose events fall on every edge: ties, gaps of 30 minutes more or less 1 ms, 10 seconds."""
    chance = random.Random(20260301)
    gaps = (0, 0, 1, 500, 9_999, 10_000, 10_001, 1_799_999, 1_800_000, 1_800_001, 86_400_000)
    events: list[Event] = []
    for visitor in range(400):
        at = chance.randrange(40 * 86_400_000)
        for _ in range(chance.randrange(1, 12)):
            at += chance.choice(gaps)
            kind = chance.choice(("page", "page", "page", "track", "screen", "identify", "alias", "group"))
            conversion = chance.choice(("", "", "", "macro", "micro")) if kind in ("page", "track") else ""
            events.append(
                filled(
                    {
                        "message_id": f"{chance.randrange(10**9):09}-{len(events)}",
                        "at": at,
                        "source_id": chance.choice(("shop", "shop", "blog")),
                        "visitor_id": f"visitor-{visitor}",
                        "user_id": chance.choice(("", "", f"user-{visitor}", "other")),
                        "sequence": chance.randrange(3),
                        "type": kind,
                        **({} if kind == "page" else {"event": f"{kind}_event"}),
                        "path": chance.choice(("", "/", "/a", "/b", "/c")),
                        "channel": chance.choice(("", "internal", "internal", "direct", "email", "organic_search")),
                        "referrer_host": chance.choice(("", "search.example")),
                        "utm_source": chance.choice(("", "news")),
                        "utm_content": chance.choice(("", "x")),
                        "device_class": chance.choice(("desktop", "mobile")),
                        "country": chance.choice(("", "DE", "FR")),
                        "conversion": conversion,
                        "value": chance.choice(("0", "12.5", "0.0001", "100000000")),
                        "currency": chance.choice(("EUR", "EUR", "EUR", "USD")),
                        "is_bot": chance.random() < 0.05,
                    }
                )
            )
    return events


@pytest.fixture
def crowded(store: Store, crowd: list[Event]) -> tuple[Store, Answers]:
    load(store, arrivals(crowd, seed=1))
    return store, answers(store)


def arrivals(events: list[Event], seed: int) -> list[list[Event]]:
    """The events in an order drawn by chance, in three batches, every tenth of them once more in a later batch."""
    chance = random.Random(seed)
    mixed = chance.sample(events, len(events))
    third = len(mixed) // 3
    first, second, rest = mixed[:third], mixed[third : 2 * third], mixed[2 * third :]
    return [first, second + first[::10], rest + second[::10]]


def test_views_agree_with_an_independent_computation(crowded: tuple[Store, Answers], crowd: list[Event]) -> None:
    found, computed = without_ids(crowded[1]), of_oracle(crowd)
    for view, rows in computed.items():
        assert found[view] == rows, f"{view} differs from the definition"


def test_views_answer_the_same_in_any_order_of_arrival(crowded: tuple[Store, Answers], crowd: list[Event]) -> None:
    store, found = crowded
    store.command(f"TRUNCATE TABLE {store.database}.events")
    for number, batch in enumerate(reversed(arrivals(crowd, seed=2))):
        insert(store, batch, f"again-{number}")
    assert answers(store) == found


def test_readers_questions_stream_or_spill_and_are_answered_the_same(
    store: Store, dsn: str, crowd: list[Event]
) -> None:
    load(store, arrivals(crowd, seed=3))
    with closing(Store(dsn, read_only=True)) as asking:
        for name, value in QUESTION_SETTINGS.items():
            assert asking.rows(f"SELECT toUInt64(getSetting('{name}'))") == [(value,)]
        assert answers(asking) == answers(store)
        asked = "SELECT * FROM sessions ORDER BY source_id, visitor_id, session_number SETTINGS "
        spilling = "max_bytes_before_external_group_by = 1, max_bytes_before_external_sort = 1"
        assert asking.rows(f"{asked} {spilling}, optimize_aggregation_in_order = 0") == store.rows(
            asked.replace("FROM sessions", f"FROM {store.database}.sessions") + "optimize_aggregation_in_order = 0"
        )


def test_session_ids_name_one_session_each_and_are_the_same_in_every_view(crowded: tuple[Store, Answers]) -> None:
    found = crowded[1]
    ids = {(row["source_id"], row["visitor_id"], row["session_number"]): row["session_id"] for row in found["sessions"]}
    assert len(set(ids.values())) == len(found["sessions"]) > 400
    for view in ("session_events", "pageviews", "paths"):
        for row in found[view]:
            assert row["session_id"] == ids[row["source_id"], row["visitor_id"], row["session_number"]]


def test_nothing_is_lost_between_the_views(crowded: tuple[Store, Answers]) -> None:
    found = crowded[1]
    people = len(found["human_events"])
    page_views = sum(row["event"] == "page_view" for row in found["human_events"])
    visits_with_pages = sum(row["pageviews"] > 0 for row in found["sessions"])
    assert sum(row["events"] for row in found["sessions"]) == len(found["session_events"]) == people
    assert sum(row["pageviews"] for row in found["sessions"]) == len(found["pageviews"]) == page_views
    assert sum(row["is_entry"] for row in found["pageviews"]) == visits_with_pages
    assert sum(row["is_exit"] for row in found["pageviews"]) == visits_with_pages
    moves = found["transitions"]
    assert sum(row["count"] for row in moves if row["from"] == "(entrance)") == visits_with_pages
    assert sum(row["count"] for row in moves if row["to"] == "(exit)") == visits_with_pages
    assert sum(row["count"] for row in moves) == page_views + visits_with_pages
    for page in {(row["source_id"], row["from"]) for row in moves}:
        shares = [row["share"] for row in moves if (row["source_id"], row["from"]) == page]
        assert sum(shares) == pytest.approx(1.0)
    assert all(row["time_on_page_ms"] is None for row in found["pageviews"] if row["is_exit"])
    assert all(row["time_on_page_ms"] is not None for row in found["pageviews"] if not row["is_exit"])
    assert len(found["paths"]) == len(found["sessions"])


def test_a_filter_on_the_source_reaches_the_table_through_every_view(store: Store) -> None:
    """So that one source's question never reads another's events."""
    load(store, batches_of("two_sources"))
    for view in COLUMNS:
        plan = store.rows(f"EXPLAIN indexes = 1 SELECT * FROM {store.database}.{view} WHERE source_id = 'shop'")
        conditions = [line.strip() for (line,) in plan if "Condition:" in line]
        assert any("source_id in ['shop', 'shop']" in line for line in conditions), f"{view}: {conditions}"


UNITS = "units(source_id = '{source}', counted_by = '{counted_by}')"


def test_units_are_the_sessions_and_persons_of_one_source(crowded: tuple[Store, Answers]) -> None:
    store, found = crowded
    sources = {row["source_id"] for row in found["sessions"]}
    assert len(sources) > 1
    for source in sources:
        units = {
            counted_by: sorted(
                tuple(map(plain, row))
                for row in store.rows(
                    f"SELECT * FROM {store.database}.{UNITS.format(source=source, counted_by=counted_by)}"
                )
            )
            for counted_by in ("visitor", "person", "session")
        }
        assert units["visitor"] == []
        assert [(visitor, unit) for visitor, _, unit in units["person"]] == sorted(
            (row["visitor_id"], row["person_id"]) for row in found["visitors"] if row["source_id"] == source
        )
        assert units["session"] == sorted(
            (row["visitor_id"], row["started_at"], row["session_id"])
            for row in found["sessions"]
            if row["source_id"] == source
        )


def test_a_question_plans_only_the_units_that_it_counts_by(store: Store) -> None:
    """ClickHouse plans what a condition leaves nothing of, too: all of `visitors` for a funnel by visitor, 60 ms."""
    load(store, batches_of("two_sources"))
    aggregations = {}
    for counted_by in ("visitor", "person", "session"):
        plan = store.rows(
            f"EXPLAIN indexes = 1 SELECT * FROM {store.database}.step_events(source_id = 'shop', "
            f"steps = ['page_view'], counted_by = '{counted_by}', breakdown = '', since = '2026-11-01', "
            "until = '2026-12-01')"
        )
        lines = [line.strip() for (line,) in plan]
        aggregations[counted_by] = sum("Aggregating" in line for line in lines)
        # Of the two halves of unit_events one is false: it is not looked up in any index, and reads nothing.
        reads = sum("Indexes:" in line for line in lines)
        assert sum("ReadFromMergeTree" in line for line in lines) == reads + 1
        of_source = sum("source_id in ['shop', 'shop']" in line for line in lines)
        # Whom an alias call names is looked up by source and visitor.
        assert of_source == reads - (counted_by == "person"), lines
    assert aggregations["visitor"] == 0 < aggregations["session"] < aggregations["person"]
