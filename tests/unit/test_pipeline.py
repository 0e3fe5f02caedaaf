"""The steps of an event: ids, names, time, limits, and what a rejected one leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collector.enrichment.enrich import Request
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.pipeline import CONTEXT_TOTAL_BYTES_MAX, OFFLINE_MS_MAX, Outcome, Tools, process
from collector.limits import EVENT_BYTES_MAX
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.reason import Reason, Refused
from collector.record import EventRow, FailedRow
from collector.wire.decode import decode_batch, decode_single, raw_events

NOW_MS = 1_790_000_000_000
BROWSER = Request(NOW_MS, "shop", False, "8.8.8.8", "agent")
SERVER = Request(NOW_MS, "shop", True, "8.8.8.8", "agent")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    salts = Salts(tmp_path_factory.mktemp("salts") / "salts.json")
    plan = compile_plan(load_plan(DEFAULT_PLAN_DIR))
    return Tools(plan=plan, geo=open_geo("registry"), salts=salts, random=lambda size: b"r" * size)


def judge(tools: Tools, *events: Any, request: Request = BROWSER, **batch: Any) -> Outcome:
    body = json.dumps({"batch": list(events), **batch}).encode()
    decoded = decode_batch(body)
    return process(decoded, request, tools, lambda: list(decoded.raws or raw_events(body)))


def row(tools: Tools, request: Request = BROWSER, sent_at: Any = None, **event: Any) -> EventRow:
    outcome = judge(tools, {"type": "track", "event": "e", **event}, request=request, sentAt=sent_at)
    assert outcome.rejected == []
    return outcome.rows.events[0]


def failed(tools: Tools, **event: Any) -> FailedRow:
    outcome = judge(tools, {"type": "track", "event": "e", **event})
    assert outcome.rows.events == []
    return outcome.rows.failed[0]


def test_an_event_without_an_id_gets_one_that_sorts_by_time(tools: Tools) -> None:
    made = row(tools).message_id
    assert len(made) == 36
    assert int(made.replace("-", "")[:12], 16) == NOW_MS


@pytest.mark.parametrize(
    ("event", "name", "version", "original"),
    [
        ("Order Completed", "order_completed", None, "Order Completed"),
        ("purchase@1", "purchase", 1, "purchase"),
        ("e@12345", "e_12345", None, "e@12345"),
        ("e@", "e", None, "e@"),
        ("a@b", "a_b", None, "a@b"),
        ("a@b@2", "a_b", None, "a@b"),
    ],
)
def test_names_and_versions(tools: Tools, event: str, name: str, version: int | None, original: str) -> None:
    found = row(tools, event=event, properties={"id": "1", "total": 1})
    assert (found.event, found.event_original) == (name, original)
    if version is not None:
        assert found.event_version == version


@pytest.mark.parametrize("event", ["", " ", "!!!", "@5", "🎉", None])
def test_a_track_needs_a_name(tools: Tools, event: str | None) -> None:
    found = failed(tools, event=event)
    assert (found.reason, found.pointer) == ("event_name_missing", "/event")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("messageId", "m" * 101, "event_field_invalid"),
        ("userId", "u" * 257, "event_field_invalid"),
        ("userId", 10**300, "event_field_invalid"),
        ("anonymousId", "a" * 257, "event_field_invalid"),
        ("groupId", "g" * 257, "event_field_invalid"),
        ("previousId", "p" * 257, "event_field_invalid"),
        ("event", "e" * 257, "event_field_invalid"),
        ("type", "x" * 100_000, "event_type_unknown"),
        ("properties", {"t": "x" * EVENT_BYTES_MAX}, "event_too_large"),
        ("traits", {"t": "x" * EVENT_BYTES_MAX}, "event_too_large"),
        ("context", {"t": "x" * EVENT_BYTES_MAX}, "event_too_large"),
    ],
)
def test_what_is_too_long_is_rejected_where_it_stands(tools: Tools, field: str, value: Any, reason: str) -> None:
    found = failed(tools, **{field: value})
    assert (found.reason, found.pointer) == (reason, f"/{field}")
    assert len(found.message_id) <= 100
    assert len(found.type) <= 64
    assert len(found.event) <= 256
    assert len(found.fix) < 300


def test_the_longest_that_is_allowed_is_accepted(tools: Tools) -> None:
    found = row(tools, messageId="m" * 100, userId="u" * 256, anonymousId="a" * 256, event="e" * 256)
    assert (len(found.message_id), len(found.user_id), len(found.visitor_id)) == (100, 256, 256)


def test_who_an_event_belongs_to(tools: Tools) -> None:
    assert row(tools, anonymousId="a", userId="u").visitor_id == "a"
    assert row(tools, anonymousId=7, userId=8).user_id == "8"
    assert row(tools, anonymousId=None, userId="u").visitor_id == "u_u"
    assert row(tools, userId=10**40).user_id == str(10**40)
    daily = row(tools).visitor_id
    assert daily.startswith("c_")
    assert daily == row(tools).visitor_id
    assert daily != row(tools, request=Request(NOW_MS, "shop", False, "8.8.8.8", "other")).visitor_id
    assert daily != row(tools, request=Request(NOW_MS, "other", False, "8.8.8.8", "agent")).visitor_id
    assert daily != row(tools, request=Request(NOW_MS + 86_400_000, "shop", False, "8.8.8.8", "agent")).visitor_id


def test_a_server_s_visitor_without_id_is_told_by_the_address_it_names(tools: Tools) -> None:
    context = {"ip": "9.9.9.9", "userAgent": "theirs"}
    assert row(tools, SERVER, context=context).visitor_id != row(tools, SERVER).visitor_id
    assert row(tools, BROWSER, context=context).visitor_id == row(tools, BROWSER).visitor_id


HOUR = 3_600_000


@pytest.mark.parametrize(
    ("request_", "sent_at", "times", "event_time"),
    [
        (BROWSER, None, {}, NOW_MS),
        (BROWSER, NOW_MS - HOUR, {"timestamp": NOW_MS - HOUR - 500}, NOW_MS - 500),
        (BROWSER, NOW_MS + HOUR, {"timestamp": NOW_MS + HOUR - 500}, NOW_MS - 500),
        (BROWSER, NOW_MS, {"timestamp": NOW_MS + HOUR}, NOW_MS),
        (BROWSER, NOW_MS - 29_000, {"timestamp": NOW_MS - 30_000}, NOW_MS - 30_000),
        (BROWSER, NOW_MS - 31_000, {"timestamp": NOW_MS - 32_000}, NOW_MS + 28_000),
        (BROWSER, NOW_MS + 10_000, {"timestamp": NOW_MS + 9_000}, NOW_MS + 9_000),
        (BROWSER, None, {"timestamp": NOW_MS - 500}, NOW_MS - 500),
        (BROWSER, None, {"timestamp": NOW_MS + HOUR}, NOW_MS),
        (BROWSER, None, {"timestamp": 0}, NOW_MS - OFFLINE_MS_MAX),
        (SERVER, None, {"timestamp": 0}, 0),
        (SERVER, NOW_MS, {"timestamp": "2015-01-01"}, 1_420_070_400_000),
        (BROWSER, "garbage", {"timestamp": NOW_MS - 500}, NOW_MS - 500),
        (BROWSER, "garbage", {"timestamp": NOW_MS - 500, "sentAt": NOW_MS - 100}, NOW_MS - 500),
        (BROWSER, "garbage", {"timestamp": NOW_MS - 500, "sentAt": NOW_MS + HOUR}, NOW_MS - 500 - HOUR),
        (BROWSER, NOW_MS, {"timestamp": "garbage"}, NOW_MS),
        (BROWSER, NOW_MS, {"timestamp": NOW_MS - 1, "originalTimestamp": NOW_MS - 2}, NOW_MS - 2),
        (BROWSER, NOW_MS, {"timestamp": NOW_MS - 1, "originalTimestamp": "garbage"}, NOW_MS - 1),
        (BROWSER, None, {"timestamp": 1e308}, NOW_MS),
    ],
)
def test_when_an_event_happened(tools: Tools, request_: Request, sent_at: Any, times: Any, event_time: int) -> None:
    assert row(tools, request_, sent_at, **times).event_time == event_time


def test_a_retry_claims_the_same_time(tools: Tools) -> None:
    first = row(tools, sent_at=NOW_MS, timestamp=NOW_MS - 500)
    again = row(tools, Request(NOW_MS + HOUR, "shop", False, "8.8.8.8", "agent"), NOW_MS + HOUR, timestamp=NOW_MS - 500)
    assert first.occurred_at == again.occurred_at


def test_absent_parts_are_empty_objects(tools: Tools) -> None:
    nulls: dict[str, Any] = {"properties": None, "traits": None, "context": None}
    for absent in ({}, nulls):
        found = row(tools, **absent)
        assert (found.properties, found.traits, found.context) == ("{}", "{}", "{}")


def test_each_rejected_event_leaves_its_own_bytes(tools: Tools) -> None:
    calls = 0
    body = json.dumps({"batch": [{"type": "x", "n": n} for n in range(5)] + [5]}).encode()
    decoded = decode_batch(body)

    def raws() -> list[bytes]:
        nonlocal calls
        calls += 1
        return raw_events(body)

    outcome = process(decoded, BROWSER, tools, raws)
    assert [json.loads(found.raw) for found in outcome.rows.failed[:5]] == [{"type": "x", "n": n} for n in range(5)]
    assert outcome.rows.failed[5].raw == "5"
    assert [verdict.index for verdict in outcome.rejected] == list(range(6))
    assert calls == 1, "for each event anew it would cost seconds for one batch"


def test_the_bytes_of_a_good_batch_are_not_asked_for(tools: Tools) -> None:
    def raws() -> list[bytes]:
        raise AssertionError("nothing was rejected")

    batch = decode_batch(b'{"batch":[{"type":"track","event":"e"}]}')
    assert len(process(batch, BROWSER, tools, raws).rows.events) == 1


def test_a_failed_event_says_whose_it_is_however_early_it_failed(tools: Tools) -> None:
    for found in (
        failed(tools, event=5, messageId="m", anonymousId="a", userId=7),
        failed(tools, event="", messageId="m"),
    ):
        assert found.message_id == "m"
        assert found.type == "track"
    early = failed(tools, type="x", messageId="m", anonymousId="a", userId=7)
    assert (early.visitor_id, early.user_id) == ("a", "7")


def test_a_failed_event_is_kept_without_key_and_address(tools: Tools) -> None:
    body = json.dumps({"event": 5, "writeKey": "fs_secret", "context": {"ip": "192.0.2.7", "locale": "fr"}}).encode()
    batch = decode_single(body, "track")
    found = process(batch, SERVER, tools, lambda: list(batch.raws)).rows.failed[0]
    assert json.loads(found.raw) == {"event": 5, "context": {"locale": "fr"}}
    assert json.loads(found.context) == {"locale": "fr"}


def test_a_context_may_not_unfold_without_bound(tools: Tools) -> None:
    events = [{"type": "track", "event": "e"}] * 400
    context = {"filler": "x" * (CONTEXT_TOTAL_BYTES_MAX // 400)}
    with pytest.raises(Refused) as caught:
        judge(tools, *events, context=context)
    assert caught.value.reason is Reason.BODY_TOO_LARGE
    assert len(judge(tools, *events[:300], context=context).rows.events) == 300


def test_text_columns_are_bounded(tools: Tools) -> None:
    long = "x" * 2_400
    context = {
        "page": {"url": f"https://a.example/{long}", "title": long, "referrer": f"https://b.example/{long}"},
        "locale": long,
        "timezone": long,
        "library": {"name": long, "version": long},
        "campaign": {"source": long, "medium": long, "name": long, "term": long, "content": long},
    }
    found = row(tools, context=context)
    for name in EventRow.__struct_fields__:
        if name not in ("context", "properties", "traits", "violations"):
            assert len(str(getattr(found, name))) <= 2_048, name


def test_the_salt_file_stands_where_it_was_put(tools: Tools, tmp_path: Path) -> None:
    salts = Salts(tmp_path / "missing" / "salts.json")
    broken = Tools(plan=tools.plan, geo=tools.geo, salts=salts)
    with pytest.raises(OSError, match="missing"):
        judge(broken, {"type": "track", "event": "e"})
