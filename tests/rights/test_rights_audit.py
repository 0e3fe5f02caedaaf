"""`footfall privacy audit`: personal data that no plan declares is found where it is, and no value is repeated."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import msgspec
import pytest
from sql.events import filled, insert

from collector.database.query import answer
from collector.database.store import Store
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import read_plan
from collector.plan.model import Pii
from collector.rights.audit import audit

CARD, EMAIL, PHONE = "4111 1111 1111 1111", "ann@example.org", "+49 170 1234567"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlMDA"


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_undeclared_personal_data_is_found_where_it_is(store: Store, dsn: str) -> None:
    plan = read_plan(DEFAULT_PLAN_DIR)
    purchase = plan.events["purchase"]
    prop = purchase.properties[0]
    declared = msgspec.structs.replace(
        prop, type=msgspec.structs.replace(prop.type, pii=Pii(pii_class="contact.email"))
    )
    own = msgspec.structs.replace(purchase, properties=(declared, *purchase.properties[1:]))
    plan = msgspec.structs.replace(plan, events={**plan.events, "purchase": own})
    events = [
        {"at": 1, "message_id": "1", "event": "note", "properties": json.dumps({"a": {"b": [f"call {PHONE}"]}})},
        {
            "at": 2,
            "message_id": "2",
            "event": "note",
            "properties": json.dumps({"pay": CARD, "order": "4111111111111112"}),
        },
        {"at": 3, "message_id": "3", "traits": json.dumps({"email": EMAIL, "mobile": "0170 1234567"})},
        {"at": 4, "message_id": "4", "url": f"https://shop.example/?token={JWT}", "user_id": EMAIL},
        {"at": 5, "message_id": "5", "event": "purchase", "properties": json.dumps({prop.name: EMAIL})},
        {"at": 6, "message_id": "6", "properties": json.dumps({"total": "19.90", "sku": "A-1234567890"})},
        {"at": 7, "message_id": "7", "visitor_id": EMAIL, "previous_id": EMAIL, "group_id": EMAIL, "fragment": EMAIL},
        {"at": 8, "message_id": "8", "event_original": EMAIL, "utm_source": EMAIL, "utm_campaign": EMAIL},
    ]
    insert(store, [filled(event) for event in events], "batch")
    names = ("message_id", "source_id", "event", "received_at", "raw", "fix")
    raw = [json.dumps({"properties": {"email": EMAIL, "also": [EMAIL, EMAIL]}}), '{"broken": "' + EMAIL]
    fixes = ["", f"cannot parse '{EMAIL}'"]
    store.insert("failed_events", names, [["1", "2"], ["shop"] * 2, ["note"] * 2, [1, 2], raw, fixes], token="f")
    counted = ("source_id", "event", "path", "events")
    store.insert("counted_events", counted, [["shop"], ["page_view"], [f"/of/{EMAIL}"], [3]], token="c")
    with closing(Store(dsn, read_only=True)) as lane:
        found = audit(lambda sql: answer(lane, sql, "JSON"), plan, None)
        few = audit(lambda sql: answer(lane, sql, "JSON"), plan, 1, 90)
    where = {(one.table, one.column, one.path, one.event, one.kind): one.rows for one in found.findings}
    assert dict.fromkeys(where, 1) == where
    assert set(where) == {
        ("events", "properties", "/a/b/*", "note", "phone"),
        ("events", "properties", "/pay", "note", "card"),
        ("events", "traits", "/email", "page_view", "email"),
        ("events", "traits", "/mobile", "page_view", "phone"),
        ("events", "url", "", "page_view", "token"),
        ("events", "user_id", "", "page_view", "email"),
        *(("events", column, "", "page_view", "email") for column in ("visitor_id", "previous_id", "group_id")),
        *(("events", column, "", "page_view", "email") for column in ("fragment", "utm_source", "utm_campaign")),
        ("events", "event_original", "", "page_view", "email"),
        ("failed_events", "fix", "", "note", "email"),
        ("counted_events", "path", "", "page_view", "email"),
        ("failed_events", "raw", "/properties/email", "note", "email"),
        ("failed_events", "raw", "/properties/also/*", "note", "email"),
        ("failed_events", "raw", "", "note", "email"),
    }
    assert not found.ok
    assert {table: count for table, count in found.looked_at.items() if count} == {
        "events": 8,
        "failed_events": 2,
        "counted_events": 1,
    }
    assert few.looked_at["events"] < 8
    assert found.files["load/refused/"].endswith("kept until you delete it")
    assert few.files["load/refused/"].endswith("deleted after 90 days (set_aside_days)")
    told = msgspec.json.encode(found).decode() + "".join(one.says for one in found.findings)
    assert not [value for value in (CARD, EMAIL, PHONE, JWT) if value in told]
    assert found.kept["events"] == "for ever"
    assert found.kept["audience_snapshots"] == "until its audience was refreshed twice more"
    assert found.kept["erased_ids"].startswith("TTL ")
    columns = {
        str(row[0])
        for row in store.rows(
            f"SELECT concat(table, '.', name) FROM system.columns WHERE database = '{store.database}'"
        )
    }
    named = {f"{table}.{name}" for table, of in found.columns.items() for names in of for name in names.split(", ")}
    assert named <= columns
    holders = {
        column.partition(".")[0] for column in columns if column.endswith(("visitor_id", "user_id", "person_id"))
    }
    tables = {
        str(name)
        for (name,) in store.rows(
            f"SELECT name FROM system.tables WHERE database = '{store.database}' AND engine LIKE '%MergeTree'"
        )
    }
    assert holders & tables <= set(found.columns), "each table that names somebody is told"


def test_what_audiences_keep_is_looked_at_too(store: Store, dsn: str) -> None:
    """More members than one page holds, of both refreshes that are kept; what the plan declares is no finding."""
    plan = read_plan(DEFAULT_PLAN_DIR)
    purchase = plan.events["purchase"]
    mail = msgspec.structs.replace(purchase.properties[0], name="contact")
    mail = msgspec.structs.replace(mail, type=msgspec.structs.replace(mail.type, pii=Pii(pii_class="contact.email")))
    own = msgspec.structs.replace(purchase, properties=(*purchase.properties, mail))
    plan = msgspec.structs.replace(plan, events={**plan.events, "purchase": own})
    members = 6_000
    for refresh_id in (9, 10):  # as text, 10 is less
        store.command(
            f"INSERT INTO {store.database}.audience_snapshots SELECT 'lapsing', {refresh_id}, 'shop', "
            "concat('user:', toString(number)), concat('{\"email\":\"n', toString(number), '@example.org\",\"n\":1}') "
            f"FROM numbers({members})"
        )
    declared = json.dumps({"contact": EMAIL})
    moves: dict[str, list[Any]] = {
        "audience": ["lapsing"] * 3,
        "refresh_id": [9, 10, 11],
        "source_id": ["shop", "", "shop"],
        "person_id": ["user:1", f"user:{EMAIL}", "user:2"],
        "attributes": [json.dumps({"pay": [CARD]}), "{}", declared],
    }
    store.insert("audience_moves", list(moves), list(moves.values()), token="m")
    told = {"audience": ["lapsing"], "failure": [f"the webhook answered 400: no such contact {EMAIL}"]}
    store.insert("audience_deliveries", list(told), list(told.values()), token="d")
    told = {
        "audience": ["lapsing"],
        "query": [f"SELECT '{EMAIL}' AS person_id"],
        "failure": [f"cannot parse '{EMAIL}'"],
    }
    store.insert("audience_refreshes", list(told), list(told.values()), token="r")
    with closing(Store(dsn, read_only=True)) as lane:
        found = audit(lambda sql: answer(lane, sql, "JSON"), plan, None)
        few = audit(lambda sql: answer(lane, sql, "JSON"), plan, 100)
    assert {one.audience for one in found.findings} == {"lapsing"}
    assert [(one.table, one.column, one.path, one.source_id, one.kind, one.rows) for one in found.findings] == [
        ("audience_deliveries", "failure", "", "", "email", 1),
        ("audience_moves", "attributes", "/pay/*", "shop", "card", 1),
        ("audience_moves", "person_id", "", "", "email", 1),
        ("audience_refreshes", "failure", "", "", "email", 1),
        ("audience_refreshes", "query", "", "", "email", 1),
        ("audience_snapshots", "attributes", "/email", "shop", "email", 2 * members),
    ]
    assert found.findings[-1].says == (
        "audience_snapshots.attributes at /email holds e-mail addresses (12,000 rows of audience lapsing, source "
        "shop); select it no more in the audience's query if you do not need it"
    )
    assert found.looked_at["audience_snapshots"] == found.stored["audience_snapshots"] == 2 * members
    assert 0 < few.looked_at["audience_snapshots"] < members
    assert EMAIL not in msgspec.json.encode(found).decode()
