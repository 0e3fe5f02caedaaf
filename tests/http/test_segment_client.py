"""Segment's own Python client, unchanged, pointed at the collector."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import segment.analytics
from serving import Serving

from collector.sources import add_source

EVENTS = 250


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_nothing_that_the_client_sends_is_lost(collector: Serving, compressed: bool) -> None:
    source, _ = add_source(collector.data_dir, f"Client {uuid.uuid4().hex[:8]}", [])
    problems: list[Any] = []
    client = segment.analytics.Client(
        source.write_key,
        host=collector.url,
        gzip=compressed,
        on_error=lambda error, items: problems.append((error, items)),
        max_retries=0,
    )
    for number in range(EVENTS):
        client.track(user_id=f"user {number % 10}", event="Item Bought", properties={"number": number, "name": "Grün"})
    client.identify("user 0", {"plan": "pro"})
    client.page("user 0", "Docs", "Python", {"url": "https://shop.example/docs"})
    client.group("user 0", "group 0")
    client.alias("user 0", "user 00")
    client.screen("user 0", "Home", "Main")
    client.shutdown()
    assert problems == []
    collector.until_loaded()
    rows = collector.sql(f"SELECT * FROM events WHERE source_id = '{source.id}'")
    bought = [row for row in rows if row["event"] == "item_bought"]
    assert sorted(json.loads(row["properties"])["number"] for row in bought) == list(range(EVENTS))
    others = sorted(row["event"] for row in rows if row["event"] != "item_bought")
    assert others == ["alias", "group", "identify", "page_view", "screen_view"]
    assert len({row["message_id"] for row in rows}) == EVENTS + 5
    assert {row["library"].split()[0] for row in bought} == {"analytics-python"}
    assert {row["visitor_id"] for row in bought} == {f"u_user {number}" for number in range(10)}
    assert all(row["event_time"] <= row["received_at"] for row in rows)
    assert {row["host"] for row in rows if row["event"] == "page_view"} == {"shop.example"}
