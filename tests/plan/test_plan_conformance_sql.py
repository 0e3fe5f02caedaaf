"""The plan's own tests once more, in SQL: what the database says of each document is what its editor expects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.database.store import Store
from collector.enrichment.enrich import Request
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.pipeline import Tools, process
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.plan.model import EventTest
from collector.record import EVENT_COLUMNS, FAILED_COLUMNS, decode_rows, encode_rows
from collector.wire.decode import decode_batch, raw_events

# Before any sunset of the worked example.
NOW_MS = 1_790_000_000_000
FOLDERS = {"shipped": DEFAULT_PLAN_DIR, "worked": Path(__file__).parent / "worked"}


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_sql_gives_every_test_of_the_plan_the_verdict_it_states(store: Store, tmp_path: Path, folder: Path) -> None:
    plan = load_plan(folder)
    stated: dict[str, EventTest] = {}
    batch = []
    for event in [*plan.events.values(), *plan.history.values()]:
        for number, test in enumerate(event.tests):
            message_id = f"{event.name}@{event.major}-{number}"
            stated[message_id] = test
            batch.append(
                {
                    "type": "track",
                    "event": f"{event.name}@{event.major}",
                    "messageId": message_id,
                    "anonymousId": "visitor",
                    "properties": test.document,
                }
            )
    body = json.dumps({"batch": batch}).encode()
    tools = Tools(plan=compile_plan(plan), geo=open_geo("registry"), salts=Salts(tmp_path / "salts.json"))
    # One that is sampled away has no row to ask for: events of `dev` are never sampled.
    request = Request(NOW_MS, "shop", False, "8.8.8.8", "agent", environment="dev")
    decoded = decode_batch(body)
    outcome = process(decoded, request, tools, lambda: list(decoded.raws or raw_events(body)))
    rows = decode_rows(encode_rows(outcome.rows))  # as the loader reads them
    for table, columns, found in (
        ("events", EVENT_COLUMNS, rows.events),
        ("failed_events", FAILED_COLUMNS, rows.failed),
    ):
        store.insert(table, columns, [list(column) for column in zip(*found, strict=True)], token=table)

    answer = store.rows(
        "SELECT message_id, arrayJoin(if(empty(violations), [''], violations)) AS violation FROM "
        f"(SELECT message_id, violations FROM {store.database}.events "
        f"UNION ALL SELECT message_id, violations FROM {store.database}.failed_events)"
    )
    said: dict[str, set[tuple[str, str]]] = {}
    for message_id, violation in answer:
        word, _, pointer = str(violation).partition(":")
        said.setdefault(str(message_id), set()).update({(word, pointer)} if word else set())
    assert said == {message_id: set(test.violates) for message_id, test in stated.items()}
