"""`footfall privacy audit`: personal data that no plan declares is found where it is, and no value is repeated."""

from __future__ import annotations

import json
from contextlib import closing

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
    ]
    insert(store, [filled(event) for event in events], "batch")
    names = ("message_id", "source_id", "event", "received_at", "raw")
    raw = [json.dumps({"properties": {"email": EMAIL}}), '{"broken": "' + EMAIL]
    store.insert("failed_events", names, [["1", "2"], ["shop"] * 2, ["note"] * 2, [1, 2], raw], token="f")
    with closing(Store(dsn, read_only=True)) as lane:
        found = audit(lambda sql: answer(lane, sql, "JSON"), plan, None)
        few = audit(lambda sql: answer(lane, sql, "JSON"), plan, 1, 90)
    where = {(one.table, one.column, one.path, one.event, one.kind) for one in found.findings}
    assert where == {
        ("events", "properties", "/a/b/*", "note", "phone"),
        ("events", "properties", "/pay", "note", "card"),
        ("events", "traits", "/email", "page_view", "email"),
        ("events", "traits", "/mobile", "page_view", "phone"),
        ("events", "url", "", "page_view", "token"),
        ("events", "user_id", "", "page_view", "email"),
        ("failed_events", "raw", "/properties/email", "note", "email"),
        ("failed_events", "raw", "", "note", "email"),
    }
    assert (found.ok, found.looked_at) == (False, {"events": 6, "failed_events": 2})
    assert few.looked_at["events"] < 6
    assert found.files["load/refused/"].endswith("kept until you delete it")
    assert few.files["load/refused/"].endswith("deleted after 90 days (set_aside_days)")
    told = msgspec.json.encode(found).decode() + "".join(one.says for one in found.findings)
    assert not [value for value in (CARD, EMAIL, PHONE, JWT) if value in told]
    assert found.kept["events"] == "for ever"
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
