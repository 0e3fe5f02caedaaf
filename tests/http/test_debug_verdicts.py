"""`?debug=1`: every event's verdict, for the developer who looks at the page."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from serving import Serving, serving

from collector.paths import DEFAULT_PLAN_DIR
from collector.sources import add_source

GOOD = {"type": "track", "event": "add_to_cart", "messageId": "good", "anonymousId": "v"}
GOOD["properties"] = {"currency": "EUR", "value": 1, "items": [{"sku": "A", "price": 1, "quantity": 1}]}  # type: ignore[assignment]  # a dict among texts
ODD = {"type": "track", "event": "Nobody Planned This", "messageId": "odd", "anonymousId": "v"}
BAD = {"type": "track", "event": "add_to_cart", "messageId": "bad", "anonymousId": "v", "properties": {"value": "x"}}
NONSENSE = {"type": "nonsense", "messageId": "nonsense"}


def debug(collector: Serving, *events: Any, key: str = "", path: str = "/v1/b?debug=1") -> Any:
    body = json.dumps({"batch": events, "writeKey": key or collector.write_key})
    answer = collector.request("POST", path, body, {"content-type": "text/plain", "origin": "https://shop.example"})
    assert answer.status == 200, answer.body
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer.json


def test_every_event_has_its_verdict_in_the_order_of_the_batch(collector: Serving) -> None:
    told = debug(collector, GOOD, ODD, BAD, NONSENSE, 5)
    assert [(one["index"], one["message_id"], one["event"], one["outcome"]) for one in told["verdicts"]][:4] == [
        (0, "good", "add_to_cart", "accepted"),
        (1, "odd", "Nobody Planned This", "flagged"),
        (2, "bad", "add_to_cart", "rejected"),
        (3, "nonsense", "nonsense", "rejected"),
    ]
    assert (told["verdicts"][4]["index"], told["verdicts"][4]["outcome"]) == (4, "rejected")
    assert told["verdicts"][0]["violations"] == []
    (odd,) = told["verdicts"][1]["violations"]
    assert (odd["reason"], odd["pointer"]) == ("unknown_event", "/event")
    assert odd["fix"]
    bad = told["verdicts"][2]["violations"]
    assert bad
    assert {"reason", "pointer", "fix"} == bad[0].keys()
    assert told["accepted"] == 2
    assert [one["index"] for one in told["rejected"]] == [2, 3, 4], "what is said without debug is said with it"


def test_debug_says_whose_rules_hold_and_what_time_it_is(collector: Serving) -> None:
    source, _ = add_source(collector.data_dir, "Staged", [], environment="staging")
    told = debug(collector, GOOD, key=source.write_key)
    assert told["source"] == {"id": "staged", "environment": "staging"}
    assert told["received_at"].endswith("Z")
    assert abs(datetime.fromisoformat(told["received_at"]) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("path", ["/v1/batch?debug=1", "/v1/b?writeKey=x&debug=1"])
def test_debug_is_for_both_batch_paths(collector: Serving, path: str) -> None:
    assert debug(collector, GOOD, path=path)["verdicts"]


def test_one_event_may_be_debugged_too(collector: Serving) -> None:
    body = json.dumps({**ODD, "writeKey": collector.write_key})
    told = collector.request("POST", "/v1/track?debug=1", body).json
    assert [one["outcome"] for one in told["verdicts"]] == ["flagged"]


@pytest.mark.parametrize("query", ["", "?debug=0", "?debug", "?nodebug=1"])
def test_without_it_the_answer_is_short(collector: Serving, query: str) -> None:
    assert debug(collector, GOOD, ODD, path=f"/v1/b{query}") == {"accepted": 2, "rejected": []}


def test_a_debug_query_of_too_many_parameters_is_refused(collector: Serving) -> None:
    body = json.dumps({"batch": [GOOD], "writeKey": collector.write_key})
    answer = collector.request("POST", "/v1/b?debug=1&" + "a=1&" * 60, body)
    assert (answer.status, answer.json["reason"]) == (400, "bad_query")


def test_what_the_plan_samples_away_is_dropped_and_accounted_for(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    shutil.copytree(DEFAULT_PLAN_DIR, plan)
    (plan / "plan.lock").unlink()  # so that the files count
    rare = (
        "event: mouse_moved\ndescription: The pointer moved.\nversion: 1.0.0\nsampling: {rate: 0.000001, by: event}\n"
    )
    (plan / "events" / "mouse_moved.yaml").write_text(rare)
    with serving(tmp_path / "data", "--plan", str(plan)) as running:
        told = debug(running, {"type": "track", "event": "mouse_moved", "messageId": "moved", "anonymousId": "v"})
        assert (told["accepted"], told["rejected"]) == (0, [])
        (verdict,) = told["verdicts"]
        assert (verdict["message_id"], verdict["outcome"]) == ("moved", "dropped")
        assert verdict["violations"][0]["fix"]
        assert running.metric('footfall_dropped_total{reason="sampled"}') == 1
        running.until_loaded()
        assert running.metric("footfall_ledger_dropped") == running.metric("footfall_ledger_received") == 1
