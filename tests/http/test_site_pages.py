"""Health, metrics, version and the tag."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import Serving

from collector import __version__
from collector.paths import DEFAULT_PLAN_DIR, TAG_DIR
from collector.plan import load_plan


def sample(collector: Serving) -> dict[tuple[str, str], float]:
    text = collector.request("GET", "/metrics").body.decode()
    return {
        (sample.name, sample.labels.get("reason", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_health(collector: Serving) -> None:
    assert collector.request("GET", "/livez").json == {"alive": True}
    ready = collector.request("GET", "/readyz")
    assert (ready.status, ready.json) == (200, {"ready": True, "reason": None})


def test_version(collector: Serving) -> None:
    told = collector.request("GET", "/version").json
    plan = load_plan(DEFAULT_PLAN_DIR)
    assert told == {
        "name": "footfall",
        "version": __version__,
        "plan": {"name": plan.name, "version": plan.version, "hash": plan.hash},
    }


def test_every_metric_is_documented_and_has_the_project_s_name(collector: Serving) -> None:
    text = collector.request("GET", "/metrics").body.decode()
    families = list(text_string_to_metric_families(text))
    assert len(families) > 10
    for family in families:
        assert family.name.startswith("footfall_")
        assert family.documentation


def test_metrics_count_what_was_sent(collector: Serving) -> None:
    before = sample(collector)
    no_object: Any = "y"
    collector.send({"type": "track", "event": "e"}, {"type": "track", "event": "e"}, {"type": "x"}, no_object)
    collector.request("POST", "/v1/batch", "{")
    after = sample(collector)
    grown = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert grown["footfall_received_total", ""] == 4
    assert grown["footfall_accepted_total", ""] == 2
    assert grown["footfall_requests_total", ""] == 2
    assert grown["footfall_rejected_total", "event_type_unknown"] == 1
    assert grown["footfall_rejected_total", "event_not_object"] == 1
    assert grown["footfall_refused_total", "not_json"] == 1


def test_what_was_received_is_accounted_for_to_the_last_event(collector: Serving) -> None:
    event = {"type": "track", "event": "e", "messageId": "sent-twice"}
    collector.send(event, {"type": "x", "messageId": "bad-twice"})
    collector.send(event, {"type": "x", "messageId": "bad-twice"})
    for _ in range(20):
        now = sample(collector)
        parts = ("stored", "spooled", "deduplicated", "rejected", "dropped")
        assert now["footfall_ledger_received", ""] == sum(now[f"footfall_ledger_{part}", ""] for part in parts)
    collector.until_loaded()
    loaded = sample(collector)
    assert loaded["footfall_ledger_deduplicated", ""] >= 2
    assert loaded["footfall_ledger_received", ""] == loaded["footfall_received_total", ""]


def test_the_tag_is_the_built_file(collector: Serving) -> None:
    answer = collector.request("GET", "/footfall.js")
    assert answer.body == (TAG_DIR / "footfall.js").read_bytes()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("form", "status"), [("{}", 304), ("W/{}", 304), ('"x", {}', 304), ('"x"', 200)])
def test_a_browser_that_has_the_tag_is_not_sent_it_again(collector: Serving, form: str, status: int) -> None:
    etag = collector.request("GET", "/footfall.js").headers["etag"]
    answer = collector.request("GET", "/footfall.js", headers={"if-none-match": form.format(etag)})
    assert answer.status == status
    assert answer.headers["etag"] == etag
    assert (answer.body == b"") == (status == 304)


@pytest.mark.parametrize("path", ["/footfall.js", "/livez", "/metrics", "/version"])
def test_head_is_get_without_its_body(collector: Serving, path: str) -> None:
    answer = collector.request("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", ["/nothing", "/demo/", "/footfall.js/x", "/v2/batch"])
def test_what_is_not_there_is_said_in_json(collector: Serving, path: str) -> None:
    answer = collector.request("GET", path)
    assert answer.status == 404
    told = json.loads(answer.body)
    assert told["reason"] == "not_found"
    assert path in told["error"]
