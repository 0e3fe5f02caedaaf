"""What the database shows of a plan: typed views that unify majors, their comments, the plan itself. Both engines."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs
from plan.built import event, rules
from sql.events import Event, filled, insert

from collector.cli.publisher import Publisher
from collector.database.migrate import migrate, pending
from collector.database.publish import record_version
from collector.database.store import Store, StoreError
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import Plan, load_plan
from collector.plan.lock import sealed, write_lock
from collector.plan.model import Accept, Column, Pii, Property, Semantic, Type, Upcast
from collector.plan.values import literal
from collector.plan.views import ENVELOPE

UTC = dt.UTC


def prop(name: str, kind: str = "string", **facts: Any) -> Property:
    about = {key: facts.pop(key) for key in ("description", "aliases", "required", "deprecated") if key in facts}
    return Property(name=name, type=Type(kind=kind, **facts), **about)


def plan_of(*events: Any, history: tuple[Any, ...] = (), version: str = "1.0.0") -> Plan:
    return Plan(
        name="shop",
        version=version,
        events={one.name: one for one in events},
        history={(one.name, one.major): one for one in history},
        rules=rules(),
    )


def sent(name: str, number: int, properties: Any, version: int = 2, **columns: Any) -> Event:
    text = properties if isinstance(properties, str) else json.dumps(properties)
    return filled(
        {"message_id": f"{name}-{number}", "at": number, "type": "track", "event": name, "event_version": version}
        | {"properties": text}
        | columns
    )


def rows(store: Store, view: str, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(f"`{name}`" for name in columns)
    return store.rows(f"SELECT {names} FROM {store.database}.`{view}` ORDER BY event_time")


def views(store: Store) -> set[str]:
    found = store.rows(
        "SELECT name FROM system.tables WHERE database = {d:String} AND name LIKE 'event\\_%'", {"d": store.database}
    )
    return {name for (name,) in found}


PRODUCT = (
    prop("sku", required=True),
    prop("price", "decimal", aliases=("cost",)),
    prop("quantity", "integer"),
    prop("tags", "array", items=Type(kind="string")),
)
PURCHASE = event(
    prop("order_id", description="The shop's number; it's shown to people."),
    prop("value", "decimal", unit="currency"),
    prop("currency"),
    prop("items", "array", items=Type(kind="object", properties=PRODUCT)),
    name="purchase",
    description="An order was paid.",
    owner="team-checkout",
    accept=(Accept(major=1, upcast=Upcast(rename={"id": "order_id", "total": "value"}, default={"currency": "EUR"})),),
)
PURCHASE_1 = event(
    prop("id", aliases=("number",)), prop("total", "decimal"), prop("gift_note"), name="purchase", major=1
)


@pytest.fixture
def purchases(store: Store) -> Store:
    """Orders of both majors, one of a bot, and one that was sent twice."""
    migrate(store, plan=plan_of(PURCHASE, history=(PURCHASE_1,)))
    line = {"sku": "A", "cost": 5, "quantity": 2.0, "tags": ["x", 1]}
    events = [
        sent("purchase", 1, {"id": "O-1", "total": 19.9, "gift_note": "hi", "order_id": "not this"}, version=1),
        sent("purchase", 2, {"number": "O-2", "total": "7", "currency": "USD"}, version=1),
        sent("purchase", 3, {"order_id": "O-3", "value": 10, "currency": "SEK", "items": [line, {"sku": "B"}]}),
        sent("purchase", 4, {"order_id": "O-4", "id": "not this", "value": 1}, is_bot=True),
    ]
    insert(store, events, "one")
    insert(store, [events[2] | {"received_at": events[2]["received_at"] + 9_000}], "two")
    return store


def test_all_majors_stand_in_one_view_by_the_names_of_the_newest(purchases: Store) -> None:
    found = rows(purchases, "event_purchase", "event_version", "order_id", "value", "currency", "gift_note")
    assert found == [
        (1, "O-1", Decimal("19.9"), "EUR", "hi"),
        (1, "O-2", Decimal(7), "USD", None),
        (2, "O-3", Decimal(10), "SEK", None),
    ]


def test_a_typed_view_has_the_rows_of_human_events(purchases: Store) -> None:
    both = "SELECT message_id, received_at FROM {}.{} WHERE {} ORDER BY message_id"
    views_rows = purchases.rows(both.format(purchases.database, "event_purchase", "1"))
    assert len(views_rows) == 3
    assert views_rows == purchases.rows(both.format(purchases.database, "human_events", "event = 'purchase'"))


def test_what_is_sent_again_under_another_id_is_told_by_the_key_of_the_plan(store: Store) -> None:
    """A confirmation page that is opened twice sends two events of one order."""
    once = Semantic(conversion="macro", value="value", dedupe_by="order_id")
    paid = event(*PURCHASE.properties, name="purchase", accept=PURCHASE.accept, semantic=once)
    migrate(store, plan=plan_of(paid, history=(PURCHASE_1,)))
    events = [
        sent("purchase", 1, {"order_id": "O-1", "value": 10}),
        sent("purchase", 2, {"order_id": "O-2", "value": 5}),
        sent("purchase", 3, {"id": "O-1", "total": 11}, version=1),
        sent("purchase", 4, {"order_id": "O-1", "value": 12}, source_id="another"),
        sent("purchase", 5, {"value": 1}),
        sent("purchase", 6, {"value": 1}),
    ]
    insert(store, events, "one")
    found = rows(store, "event_purchase", "order_id", "value", "is_repeat")
    assert [one[2] for one in found] == [False, False, True, False, False, False]
    total = f"SELECT sum(value) FROM {store.database}.event_purchase"
    assert store.rows(f"{total} WHERE NOT is_repeat") == [(Decimal(29),)]
    # Whoever does not ask for it does not pay for it.
    plan = "\n".join(str(line) for (line,) in store.rows(f"EXPLAIN {total} WHERE event_time > '2026-01-01'"))
    assert "Window" not in plan


def test_lists_of_objects_are_joined_and_counted(purchases: Store) -> None:
    found = purchases.rows(
        f"SELECT order_id, item.sku, item.price * item.quantity, item.tags FROM {purchases.database}.event_purchase "
        "ARRAY JOIN items AS item ORDER BY item.sku"
    )
    assert found == [("O-3", "A", Decimal(10), ["x", "1"]), ("O-3", "B", None, [])]


def test_what_the_plan_says_stands_in_the_comments(purchases: Store) -> None:
    found = dict(
        purchases.rows(
            "SELECT name, comment FROM system.columns WHERE database = {d:String} AND table = 'event_purchase'",
            {"d": purchases.database},
        )
    )
    assert found["order_id"] == "The shop's number; it's shown to people."
    assert found["value"] == "Unit: currency."
    assert found["gift_note"] == "Only in major 1."
    assert found["visitor_id"].startswith("The device")
    [(about,)] = purchases.rows(
        "SELECT comment FROM system.tables WHERE database = {d:String} AND name = 'event_purchase'",
        {"d": purchases.database},
    )
    assert about.startswith("An order was paid. Owner: team-checkout. With major 1 read as major 2. Made by Footfall")


def test_the_columns_of_the_envelope_are_those_of_events(store: Store) -> None:
    found = dict(
        store.rows("SELECT name, type FROM system.columns WHERE database = {d:String} AND table = 'events'",
                   {"d": store.database})
    )  # fmt: skip
    assert {name: found[name] for name, _, _ in ENVELOPE} == {name: kind for name, kind, _ in ENVELOPE}


# Of each kind: its type, the type of its column, pairs of what is sent and what is read.
KINDS: dict[str, tuple[Type, str, list[tuple[Any, Any]]]] = {
    "string": (Type(kind="string"), "Nullable(String)", [('é"\\', 'é"\\'), (7, "7"), (None, None), ("", "")]),
    "in_a_dictionary": (
        Type(kind="string", column=Column(type="LowCardinality(String)")),
        "LowCardinality(Nullable(String))",
        [("EUR", "EUR"), (None, None)],
    ),
    "uuid": (
        Type(kind="string", column=Column(type="UUID")),
        "Nullable(UUID)",
        [("61f0c404-5cb3-11e7-907b-a6006ad3dba0", UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0")), ("x", None)],
    ),
    "integer": (
        Type(kind="integer"),
        "Nullable(Int64)",
        [(5, 5), (5.0, 5), (5.5, None), (-(2**63), -(2**63)), (2**63, None), (10**30, None), ("5", 5), (True, None),
         (2**53 + 1, 2**53 + 1), ("x", None), ([1], None), ({}, None)],
    ),
    "short": (
        Type(kind="integer", column=Column(type="UInt8")),
        "Nullable(UInt8)",
        [(255, 255), (256, None), (-1, None)],
    ),
    "number": (Type(kind="number"), "Nullable(Float64)", [(0.1, 0.1), (3, 3.0), ("nan", None), (False, None)]),
    "single": (Type(kind="number", column=Column(type="Float32")), "Nullable(Float32)", [(0.5, 0.5), ("inf", None)]),
    "decimal": (
        Type(kind="decimal"),
        "Nullable(Decimal(18, 4))",
        [(19.9, Decimal("19.9")), ("1.23455", Decimal("1.2346")), ("1.23445", Decimal("1.2344")),
         (123456789012345678, None), (1e300, None), ("-0.00005", Decimal(0)), (True, None), ("", None)],
    ),
    "wide": (
        Type(kind="decimal", precision=60, scale=20),
        "Nullable(Decimal(60, 20))",
        [("1234567890123456789012345678901234567890.5", Decimal("1234567890123456789012345678901234567890.5"))],
    ),
    "boolean": (Type(kind="boolean"), "Nullable(Bool)", [(True, True), (False, False), (1, None), ("yes", None)]),
    "date": (
        Type(kind="date"),
        "Nullable(Date32)",
        [("2026-02-28", dt.date(2026, 2, 28)), ("2026-02-31", None), ("2026-02-28T10:00:00Z", None), (12, None)],
    ),
    "day": (
        Type(kind="date", column=Column(type="Date")),
        "Nullable(Date)",
        [("2026-02-28", dt.date(2026, 2, 28)), ("1890-02-28", None)],
    ),
    "datetime": (
        Type(kind="datetime"),
        "Nullable(DateTime64(3, 'UTC'))",
        [("2026-09-01T10:00:00.123+02:00", dt.datetime(2026, 9, 1, 8, 0, 0, 123_000, UTC)), ("12", None),
         ("2026-13-01T10:00:00Z", None), ("2500-01-01T10:00:00Z", None), (1_700_000_000, None)],
    ),
    "second": (
        Type(kind="datetime", column=Column(type="DateTime('UTC')")),
        "Nullable(DateTime('UTC'))",
        [("2026-09-01T10:00:00Z", dt.datetime(2026, 9, 1, 10, tzinfo=UTC)), ("1890-09-01T10:00:00Z", None)],
    ),
    "union": (
        Type(kind="union", members=(Type(kind="string"), Type(kind="number"))),
        "Nullable(String)",
        [("a", "a"), (1.5, "1.5"), (True, "true")],
    ),
    "any": (Type(kind="any"), "Nullable(String)", [({"a": [1]}, '{"a":[1]}'), ("a", "a")]),
    "array": (
        Type(kind="array", items=Type(kind="integer")),
        "Array(Nullable(Int64))",
        [([1, "x", 2.5, None], [1, None, None, None]), ("no", []), (None, []), ({"a": 1}, [])],
    ),
    "array_as_text": (
        Type(kind="array", items=Type(kind="integer"), column=Column(type="String")),
        "Nullable(String)",
        [([1, 2], "[1,2]")],
    ),
    "array_of_short": (
        Type(kind="array", items=Type(kind="integer"), column=Column(type="Array(UInt8)")),
        "Array(Nullable(UInt8))",
        [([1, 256], [1, None])],
    ),
    "map": (
        Type(kind="map", values=Type(kind="number")),
        "Map(String, Nullable(Float64))",
        [({"a": 1, "b": "x"}, {"a": 1.0, "b": None}), ([1], {})],
    ),
    "object": (
        Type(kind="object", properties=(prop("n", "integer"), prop("o", "object", properties=(prop("d", "date"),)))),
        "Tuple(n Nullable(Int64), o Tuple(d Nullable(Date32)))",
        [({"n": 1, "o": {"d": "2026-01-01"}}, {"n": 1, "o": {"d": dt.date(2026, 1, 1)}}),
         (["no"], {"n": None, "o": {"d": None}})],
    ),
}  # fmt: skip


@pytest.fixture
def kinds(store: Store) -> Store:
    properties = tuple(Property(name=name, type=kind) for name, (kind, _, _) in KINDS.items())
    migrate(store, plan=plan_of(event(*properties, name="kinds")))
    return store


def test_every_kind_has_its_column_and_what_does_not_convert_is_null(kinds: Store) -> None:
    tried = [(name, value, read) for name, (_, _, pairs) in KINDS.items() for value, read in pairs]
    insert(kinds, [sent("kinds", i, {name: value}) for i, (name, value, _) in enumerate(tried)], "b")
    found = rows(kinds, "event_kinds", *KINDS)
    names = list(KINDS)
    got = [row[names.index(name)] for row, (name, _, _) in zip(found, tried, strict=True)]
    aware = [one.replace(tzinfo=UTC) if isinstance(one, dt.datetime) else one for one in got]
    assert [(name, value, one) for (name, value, _), one in zip(tried, aware, strict=True)] == tried
    types = kinds.rows(f"DESCRIBE TABLE {kinds.database}.event_kinds SETTINGS print_pretty_type_names = 0")
    assert {row[0]: row[1] for row in types if row[0] in KINDS} == {name: kind for name, (_, kind, _) in KINDS.items()}


@pytest.mark.parametrize(
    "text", ["", "no", "[]", "null", '"x"', '{"integer": 1', '{"integer": 1e999}', '{"string": "\\ud800"}', '{"": 1}']
)
def test_what_is_no_json_costs_no_query(kinds: Store, text: str) -> None:
    insert(kinds, [sent("kinds", 1, text), sent("kinds", 2, {"integer": 2})], "b")
    assert [row[0] for row in rows(kinds, "event_kinds", "integer", *KINDS)] == [None, 2]


def test_of_a_name_that_stands_twice_the_last_counts(kinds: Store) -> None:
    insert(kinds, [sent("kinds", 1, '{"integer": 1, "integer": 2}')], "b")
    assert rows(kinds, "event_kinds", "integer") == [(2,)]


def test_merged_parts_answer_as_fresh_ones_do(purchases: Store) -> None:
    """They keep the properties in another form: in buckets."""
    every = f"SELECT * FROM {purchases.database}.event_purchase ORDER BY ALL"
    before = purchases.rows(every)
    purchases.command(f"OPTIMIZE TABLE {purchases.database}.events FINAL")
    assert purchases.rows(every) == before
    assert len(before) == 3


def test_an_empty_database_has_views_without_rows(store: Store) -> None:
    plan = load_plan(DEFAULT_PLAN_DIR)
    migrate(store, plan=plan)
    assert views(store) == {f"event_{name}" for name in plan.events}
    for view in views(store):
        assert store.rows(f"SELECT * FROM {store.database}.{view}") == []


def test_names_that_clash_or_look_odd_have_columns(store: Store) -> None:
    odd = "q`'\"\\-$ é"
    named = event(
        *(prop("url"), prop("event"), prop("is_bot", "boolean"), prop("a.b"), prop(odd, aliases=("older",))),
        *(prop("list", column=Column(name="list_id")), prop("secret", pii=Pii(pii_class="x", handling="drop"))),
        name="named",
    )
    migrate(store, plan=plan_of(named))
    values = {"url": "/mine", "event": "e", "is_bot": True, "a.b": "c", "list": "l", "secret": "s"}
    insert(
        store,
        [sent("named", 1, values | {odd: "1"}, url="https://shop.example/"), sent("named", 2, {"older": "2"})],
        "b",
    )
    names = [name for (name, *_) in store.rows(f"DESCRIBE TABLE {store.database}.event_named")][len(ENVELOPE) :]
    assert names == ["url_property", "event", "is_bot", "a_b", odd, "list_id"]
    quoted = [name.replace("\\", "\\\\").replace("`", "\\`") for name in names]
    assert rows(store, "event_named", "url", *quoted) == [
        ("https://shop.example/", "/mine", "e", True, "c", "1", "l"),
        ("", None, None, None, None, "2", None),
    ]


def test_rows_from_before_the_plan_knew_them_are_typed_too(store: Store) -> None:
    insert(store, [sent("purchase", 1, {"order_id": "O-1", "value": 2}, version=0)], "b")
    migrate(store, plan=plan_of(PURCHASE, history=(PURCHASE_1,)))
    assert rows(store, "event_purchase", "order_id", "value") == [("O-1", Decimal(2))]


def test_rows_from_before_an_upgrade_are_typed_too(store: Store) -> None:
    """As an older version left them: without the column in which properties are taken apart."""
    store.command(f"ALTER TABLE {store.database}.events DROP COLUMN property")
    insert(store, [sent("purchase", 1, {"order_id": "O-1"})], "b")
    store.command(f"TRUNCATE TABLE {store.database}.migrations")
    migrate(store, plan=plan_of(PURCHASE))
    assert rows(store, "event_purchase", "order_id") == [("O-1",)]


def test_a_second_run_does_nothing_and_another_plan_only_what_changed(store: Store) -> None:
    click = event(prop("x", "integer"), name="click")
    first = plan_of(PURCHASE, click, history=(PURCHASE_1,))
    assert pending(store, plan=first) == ["event_click", "event_purchase"] == migrate(store, plan=first)
    assert pending(store, plan=first) == [] == migrate(store, plan=first)
    wider = event(prop("x", "integer"), prop("y", "integer", description="Down."), name="click")
    insert(store, [sent("click", 1, {"x": 1, "y": 2})], "b")
    assert migrate(store, plan=plan_of(PURCHASE, wider, history=(PURCHASE_1,))) == ["event_click"]
    assert rows(store, "event_click", "x", "y") == [(1, 2)]
    assert migrate(store) == [], "without a plan, views of plans stay"


def test_a_view_goes_when_no_version_of_its_event_is_accepted(store: Store) -> None:
    migrate(store, plan=plan_of(PURCHASE, history=(PURCHASE_1,)))
    assert migrate(store, plan=plan_of(history=(PURCHASE_1,))) == ["event_purchase"], "an older major is still accepted"
    said = ["removal of event_purchase: the plan accepts no version of the event any more"]
    assert pending(store, plan=plan_of()) == said == migrate(store, plan=plan_of())
    assert views(store) == set()


def test_views_made_by_hand_are_left_alone(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("event_purchase", "event_mine"):
        store.command(f"CREATE VIEW {store.database}.{name} AS SELECT 1 AS one COMMENT {literal('my own')}")
    with caplog.at_level(logging.WARNING):
        assert migrate(store, plan=plan_of(PURCHASE)) == []
    assert "event_purchase was made by hand and is left alone" in caplog.text
    assert views(store) == {"event_purchase", "event_mine"}
    assert store.rows(f"SELECT * FROM {store.database}.event_purchase") == [(1,)]


@pytest.fixture
def shipped() -> Iterator[Plan]:
    yield load_plan(DEFAULT_PLAN_DIR)


def test_a_version_is_written_once_and_again_when_it_comes_back(
    store: Store, dsn: str, shipped: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    other = plan_of(PURCHASE, version="9.0.0")
    assert record_version(store, shipped, 1_000) is True
    assert record_version(store, shipped, 2_000) is False
    with closing(Store(dsn)) as second:
        assert record_version(second, other, 500) is True, "a clock that went back does not hide the newer row"
    assert record_version(store, other, 3_000) is False
    assert record_version(store, shipped, 4_000) is True
    found = store.rows(
        f"SELECT version, toUnixTimestamp64Milli(live_from) FROM {store.database}.plan_versions ORDER BY 2"
    )
    assert found == [(shipped.version, 1_000), ("9.0.0", 1_001), (shipped.version, 4_000)]

    # No version stands for two plans unseen: what nobody released has its hash in its version, two releases that never
    # met are told.
    edits = [sealed(plan_of(event(prop(name)))) for name in ("x", "y")]
    for plan in edits:
        assert record_version(store, structs.replace(plan, unreleased=True), 5_000)
    assert record_version(store, edits[1], 5_000), "the same content, released"
    assert caplog.messages == []
    assert record_version(store, edits[0], 5_000)
    (said,) = caplog.messages
    assert "two branches were released on their own" in said
    labels = [f"1.0.0+unreleased.{plan.hash[:12]}" for plan in edits]
    found = store.rows(f"SELECT version FROM {store.database}.plan_versions ORDER BY live_from LIMIT 3, 9")
    assert [version for (version,) in found] == [*labels, "1.0.0", "1.0.0"]


def test_the_live_plan_can_be_selected(store: Store, shipped: Plan) -> None:
    assert store.rows(f"SELECT * FROM {store.database}.plan_events") == []
    record_version(store, plan_of(event(prop("x"), name="gone")), 1_000)
    record_version(store, shipped, 2_000)
    found = store.rows(
        f"SELECT event, major, is_newest, property, property_type, property_description, owner, description "
        f"FROM {store.database}.plan_events ORDER BY ALL"
    )
    majors = [(one, True) for one in shipped.events.values()] + [(one, False) for one in shipped.history.values()]
    assert found == sorted(
        (one.name, one.major, newest, p.name, p.type.kind, p.description, one.owner, one.description)
        for one, newest in majors
        for p in one.properties or (prop("", ""),)
    )


def test_the_view_that_the_plan_names_is_there(store: Store, shipped: Plan) -> None:
    migrate(store, plan=shipped)
    record_version(store, shipped, 1_000)
    named = {name for (name,) in store.rows(f"SELECT DISTINCT view FROM {store.database}.plan_events")}
    assert named == views(store)


def test_collectors_that_publish_at_once_all_come_up(store: Store, dsn: str, shipped: Plan) -> None:
    """Where tables and views are there; that they may start on an empty database, tests/test_migrate.py shows."""

    def start(_: int) -> None:
        with closing(Store(dsn)) as one:
            migrate(one, plan=shipped)
            record_version(one, shipped, 1_000)

    with ThreadPoolExecutor(max_workers=3) as pool:
        list(pool.map(start, range(3)))
    assert pending(store, plan=shipped) == []
    assert store.rows(f"SELECT count() FROM {store.database}.plan_versions") == [(1,)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "plan"
    made.mkdir()
    write_lock(plan_of(PURCHASE), made / "plan.lock")
    return made


def test_a_plan_released_while_the_collector_runs_is_shown(store: Store, folder: Path, tmp_path: Path) -> None:
    publisher = Publisher(folder, tmp_path / "kept.lock", iter(range(1_000, 2_000)).__next__)
    assert publisher.look(store) == ["event_purchase"]
    assert publisher.look(store) == []
    click = event(prop("x", "integer"), name="click")
    write_lock(plan_of(click, version="2.0.0"), folder / "plan.lock")
    assert publisher.look(store) == [
        "event_click",
        "removal of event_purchase: the plan accepts no version of the event any more",
    ]
    since = "toUnixTimestamp64Milli(live_from)"
    found = store.rows(f"SELECT version, {since} FROM {store.database}.plan_versions ORDER BY live_from")
    assert found == [("1.0.0", 1_000), ("2.0.0", 1_001)]


def test_a_released_plan_that_cannot_be_read_changes_nothing(
    store: Store, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(folder, tmp_path / "kept.lock", lambda: 1_000)
    publisher.look(store)
    (folder / "plan.lock").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert publisher.look(store) == publisher.look(store) == []
    assert caplog.text.count("stay as they are") == 1, "it is said once"
    assert views(store) == {"event_purchase"}
    store.command(f"DROP VIEW {store.database}.event_purchase")
    assert publisher.publish(store) == ["event_purchase"], "the plan that was read is still known"


def test_a_start_with_a_broken_plan_shows_the_last_good_one(store: Store, folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.lock"
    (folder / "plan.lock").write_text("{")
    assert Publisher(folder, kept, lambda: 1_000).look(store) == []
    write_lock(plan_of(PURCHASE), kept)
    assert Publisher(folder, kept, lambda: 1_000).look(store) == ["event_purchase"]


def test_a_failure_of_the_database_is_tried_again(store: Store, folder: Path, tmp_path: Path) -> None:
    publisher = Publisher(folder, tmp_path / "kept.lock", lambda: 1_000)
    store.command(f"RENAME TABLE {store.database}.plan_versions TO {store.database}.away")
    with pytest.raises(StoreError):
        publisher.look(store)
    store.command(f"RENAME TABLE {store.database}.away TO {store.database}.plan_versions")
    publisher.look(store)
    assert views(store) == {"event_purchase"}
    assert store.rows(f"SELECT version FROM {store.database}.plan_versions") == [("1.0.0",)]
