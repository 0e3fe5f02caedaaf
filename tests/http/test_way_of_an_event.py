"""What becomes of an event: everything is sent first, asked for once, and then held against what was promised."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from serving import Answer, Serving

from collector.sources import add_source

pytestmark = pytest.mark.xdist_group("http_way")

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
ADDRESS = "8.8.4.4"  # in the registry as US; as a text it stands nowhere else in these tests
SINGLE_PATHS = {
    "/v1/track": ("track", "order_completed"),
    "/v1/t": ("track", "order_completed"),
    "/v1/page": ("page", "page_view"),
    "/v1/p": ("page", "page_view"),
    "/v1/screen": ("screen", "screen_view"),
    "/v1/s": ("screen", "screen_view"),
    "/v1/identify": ("identify", "identify"),
    "/v1/i": ("identify", "identify"),
    "/v1/group": ("group", "group"),
    "/v1/g": ("group", "group"),
    "/v1/alias": ("alias", "alias"),
    "/v1/a": ("alias", "alias"),
}
ITEMS = [{"sku": "A-1", "price": 10, "quantity": 1}]


class World(NamedTuple):
    collector: Serving
    server_key: str
    answers: dict[str, Answer]
    events: dict[str, dict[str, Any]]
    failed: dict[str, dict[str, Any]]


def track(message_id: str, event: str = "Something Done", **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "messageId": message_id, "anonymousId": "v1", **more}


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


@pytest.fixture(scope="module")
def world(collector: Serving) -> World:
    source, server_key = add_source(collector.data_dir, "Way", [])
    key, answers = source.write_key, {}
    for path in SINGLE_PATHS:
        event = {
            "messageId": f"path:{path}",
            "event": "Order Completed",
            "anonymousId": "v1",
            "userId": "u1",
            "groupId": "g1",
            "previousId": "p1",
            "traits": {"plan": "pro"},
            "writeKey": key,
        }
        answers[path] = collector.request("POST", path, json.dumps(event), {"content-type": "application/json"})
    answers["/v1/b"] = collector.request("POST", "/v1/b", json.dumps({"batch": [track("path:/v1/b")]}), basic(key))
    answers["verdicts"] = send_verdicts(collector, key)
    send_identities(collector, key)
    send_pages(collector, key)
    send_as_server(collector, key, server_key)
    send_odd(collector, key)
    return ask(collector, server_key, answers)


def send_verdicts(collector: Serving, key: str) -> Answer:
    no_object: Any = "no object"
    bought = {"order_id": "O-1", "currency": "EUR", "value": 99.5, "items": ITEMS}
    return collector.send(
        track("good-1", "purchase", properties=bought),
        track("bad-value", "purchase", properties={**bought, "value": "free"}, userId="u7"),
        track("unplanned", "Never Planned", properties={"deep": {"n": 1.50}}),
        track("extra", "search", properties={"query": "shoes", "results": 3, "colour": "red"}),
        track("old-version", "purchase@1", properties={"id": "O-1", "total": 5}),
        track("no-version", "purchase@99", properties=bought),
        {"type": "track", "event": 5, "messageId": "bad-event", "anonymousId": "v9", "context": {"locale": "de"}},
        {"type": "track", "event": "x", "messageId": 5},
        {"type": "trakc", "event": "x", "messageId": "bad-type"},
        track("no-name", " "),
        track("m" * 101),
        track("long-id", userId="u" * 257),
        track("heavy", properties={"text": "x" * 33_000}),
        no_object,
        track("missing", "search", properties={"results": 3}),
        track("good-2", "Something Done"),
        key=key,
        context={"library": {"name": "shop", "version": "1"}},
        sentAt=1_700_000_000_000,
    )


def send_identities(collector: Serving, key: str) -> None:
    def bare(message_id: str, **more: Any) -> dict[str, Any]:
        return {"type": "track", "event": "e", "messageId": message_id, **more}

    body = json.dumps({"batch": [bare("user-only", userId=77), bare("nobody-1"), bare("nobody-2")], "writeKey": key})
    collector.request("POST", "/v1/batch", body, {"user-agent": IPHONE})
    body = json.dumps({"batch": [bare("nobody-3")], "writeKey": key})
    collector.request("POST", "/v1/batch", body, {"user-agent": FIREFOX})


def send_pages(collector: Serving, key: str) -> None:
    url = "https://shop.example/p?utm_source=news&utm_medium=email&utm_campaign=may&gclid=abc#top"
    page = {"url": url, "referrer": "https://www.google.com/search", "title": "Shoes"}
    screen = {"width": 390.5, "height": 844, "innerWidth": -1, "innerHeight": 1e300}
    context = {"page": page, "locale": "pt-BR", "timezone": "America/Recife", "screen": screen}
    event_page = {"url": "https://shop.example/other", "title": None}
    batch = [
        track("in-batch-context"),
        track("in-event-context", context={"page": event_page, "locale": "fr"}),
        track("null-context", context=None),
        {**track("page-properties", properties={"url": "https://a.example/", "title": "A"}), "type": "page"},
        track("skewed", timestamp="2020-01-01T00:00:04Z"),
        track("future", timestamp="2020-01-01T00:01:10Z"),
        track("no-time", timestamp="2020-02-30T00:00:00Z"),
        track("original", originalTimestamp="2020-01-01T00:00:09.500+00:00", timestamp="2020-01-01T00:00:01Z"),
        track("stale", timestamp="2015-01-01T00:00:00Z"),
    ]
    body = {"batch": batch, "context": context, "sentAt": "2020-01-01T00:00:10Z", "writeKey": key}
    compressed = gzip.compress(json.dumps(body).encode())
    headers = {"user-agent": IPHONE, "content-encoding": "gzip", "content-type": "text/plain;charset=UTF-8"}
    assert collector.request("POST", "/v1/batch", compressed, headers).json == {"accepted": 9, "rejected": []}


def send_as_server(collector: Serving, key: str, server_key: str) -> None:
    context = {"ip": ADDRESS, "userAgent": IPHONE, "locale": "sv"}
    events = [
        track("server", context=context, timestamp="2015-01-01T00:00:00Z"),
        {"type": "track", "event": "e", "messageId": "server-nobody", "context": context},
        {"type": "track", "event": 7, "messageId": "server-bad", "context": context, "writeKey": server_key},
        track("server-bad-purchase", "purchase", context={"IP": 1, "\u0069p": ADDRESS}, properties={}),
    ]
    for body in ({"batch": events}, {"batch": [track("server-2")], "context": context}):
        collector.request("POST", "/v1/batch", json.dumps(body), {**basic(server_key), "user-agent": FIREFOX})
    single = {"messageId": "server-single-bad", "event": 5, "writeKey": server_key, "context": context}
    collector.request("POST", "/v1/track", json.dumps(single))
    collector.send(track("browser", context=context), key=key)


def send_odd(collector: Serving, key: str) -> None:
    names = {"odd:arabic": "شراء مكتمل", "odd:hindi": "खरीद पूरी", "odd:case": "HTMLParser usedTwice", "odd:at": "a@b"}
    batch = [track(message_id, name) for message_id, name in names.items()]
    batch += [
        track("odd:sequence-float", sequence=3.0),
        track("odd:sequence-text", sequence="first"),
        track("odd:sequence-huge", sequence=10**30),
        track("odd:sequence-negative", sequence=-4),
        track("odd:huge-time", timestamp=1e308),
        track("odd:context-list", context=[1]),
        track("odd:context-text", context="x"),
        track("odd:null-traits", traits=None, properties=None),
        track("odd:quotes", properties={"sql": "'; DROP TABLE events; --", "nul": "a\0b", "csv": "=cmd"}),
        track("odd:'; SELECT 1 --\n\0"),
        track("odd:javascript", context={"page": {"url": "javascript:alert(1)"}}),
        track("odd:prototype", properties={"__proto__": {"admin": True}, "constructor": 1}),
    ]
    answer = collector.send(*batch, key=key)
    assert answer.json == {"accepted": len(batch), "rejected": []}
    cut = json.dumps({"batch": [track("odd:surrogate", properties={"t": "@half@"})], "writeKey": key}).replace(
        "@half@", "\\ud83d"
    )
    assert collector.request("POST", "/v1/batch", cut).json == {"accepted": 1, "rejected": []}


def ask(collector: Serving, server_key: str, answers: dict[str, Answer]) -> World:
    collector.until_loaded()
    events = collector.sql("SELECT * FROM events WHERE source_id = 'way'")
    failed = collector.sql("SELECT * FROM failed_events WHERE source_id = 'way'")
    by_id = {row["message_id"]: row for row in events}
    assert len(by_id) == len(events)
    return World(collector, server_key, answers, by_id, {row["message_id"]: row for row in failed})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("path", "expected"), SINGLE_PATHS.items(), ids=SINGLE_PATHS.keys())
def test_each_path_takes_one_event_of_its_type(world: World, path: str, expected: tuple[str, str]) -> None:
    assert world.answers[path].status == 200
    assert world.answers[path].json == {"accepted": 1, "rejected": []}
    row = world.events[f"path:{path}"]
    assert (row["type"], row["event"]) == expected
    assert (row["visitor_id"], row["user_id"], row["group_id"], row["previous_id"]) == ("v1", "u1", "g1", "p1")
    assert json.loads(row["traits"]) == {"plan": "pro"}


def test_the_short_batch_path_takes_a_batch(world: World) -> None:
    assert world.answers["/v1/b"].json == {"accepted": 1, "rejected": []}
    assert world.events["path:/v1/b"]["event"] == "something_done"


def test_a_track_keeps_the_name_it_was_sent_under(world: World) -> None:
    assert world.events["path:/v1/track"]["event_original"] == "Order Completed"


def test_every_rejected_event_has_its_place_id_reason_pointer_and_fix(world: World) -> None:
    answer = world.answers["verdicts"]
    assert answer.status == 200
    assert answer.json["accepted"] == 6
    found = [(v["index"], v["message_id"], v["reason"], v["pointer"]) for v in answer.json["rejected"]]
    generated = {v["index"]: v["message_id"] for v in answer.json["rejected"]}
    assert found == [
        (1, "bad-value", "wrong_type", "/properties/value"),
        (6, "bad-event", "event_field_invalid", "/event"),
        (7, generated[7], "event_field_invalid", "/messageId"),
        (8, "bad-type", "event_type_unknown", "/type"),
        (9, "no-name", "event_name_missing", "/event"),
        (10, "m" * 100, "event_field_invalid", "/messageId"),
        (11, "long-id", "event_field_invalid", "/userId"),
        (12, "heavy", "event_too_large", "/properties"),
        (13, generated[13], "event_not_object", ""),
        (14, "missing", "missing_required", "/properties/query"),
    ]
    for verdict in answer.json["rejected"]:
        assert len(verdict["fix"]) > 10
        assert "\n" not in verdict["fix"]


def test_neighbours_of_a_bad_event_are_stored(world: World) -> None:
    assert world.events["good-1"]["event_version"] == 2
    assert float(world.events["good-1"]["value"]) == 99.5
    assert world.events["good-2"]["library"] == "shop 1"


def test_neighbours_of_a_bad_event_keep_the_batch_s_clock(world: World) -> None:
    assert world.events["good-2"]["sent_at"] == "2023-11-14 22:13:20.000"


def test_a_failed_row_has_what_a_replay_needs(world: World) -> None:
    row = world.failed["bad-value"]
    assert (row["reason"], row["pointer"]) == ("wrong_type", "/properties/value")
    assert row["violations"] == ["wrong_type:/properties/value"]
    assert (row["event"], row["visitor_id"], row["user_id"]) == ("purchase", "v1", "u7")
    assert json.loads(row["raw"])["properties"]["value"] == "free"
    assert json.loads(row["context"]) == {"library": {"name": "shop", "version": "1"}}
    assert row["plan_version"] == "1.0.0"
    assert row["sent_at"] == "2023-11-14 22:13:20.000"


def test_a_failed_row_keeps_what_could_be_read_of_an_event_of_the_wrong_shape(world: World) -> None:
    row = world.failed["bad-event"]
    assert (row["type"], row["visitor_id"], row["reason"]) == ("track", "v9", "event_field_invalid")
    assert json.loads(row["context"])["locale"] == "de"
    assert row["raw"] == json.dumps(json.loads(row["raw"])), "the event's own bytes, not a copy"


def test_an_unplanned_event_is_stored_and_flagged(world: World) -> None:
    row = world.events["unplanned"]
    assert (row["event"], row["event_version"]) == ("never_planned", 0)
    assert row["violations"] == ["unknown_event:/event"]
    assert row["properties"] == '{"deep": {"n": 1.5}}'


def test_an_unplanned_property_is_stored_and_flagged(world: World) -> None:
    row = world.events["extra"]
    assert row["violations"] == ["unknown_property:/properties/colour"]
    assert json.loads(row["properties"])["colour"] == "red"


def test_an_older_version_is_held_against_its_own_plan(world: World) -> None:
    row = world.events["old-version"]
    assert (row["event"], row["event_version"], row["event_original"]) == ("purchase", 1, "purchase")
    assert float(row["value"]) == 5


def test_a_version_that_the_plan_lacks_is_stored_and_flagged(world: World) -> None:
    row = world.events["no-version"]
    assert (row["event"], row["event_version"], row["violations"]) == ("purchase", 0, ["event_version_unknown:/event"])


def test_a_person_without_a_device_id_is_one_visitor(world: World) -> None:
    row = world.events["user-only"]
    assert (row["visitor_id"], row["user_id"]) == ("u_77", "77")


def test_without_any_id_one_browser_is_one_visitor_of_the_day(world: World) -> None:
    first, second, other = (world.events[f"nobody-{number}"]["visitor_id"] for number in (1, 2, 3))
    assert first == second
    assert first.startswith("c_")
    assert other != first


def test_the_page_of_the_batch_fills_the_columns(world: World) -> None:
    row = world.events["in-batch-context"]
    assert row["host"] == "shop.example"
    assert row["path"] == "/p"
    assert "#" not in row["url"]
    assert (row["utm_source"], row["utm_medium"], row["utm_campaign"]) == ("news", "email", "may")
    assert (row["click_id_type"], row["click_id"], row["channel"]) == ("gclid", "abc", "email")
    assert (row["referrer_host"], row["title"]) == ("www.google.com", "Shoes")
    assert (row["language"], row["time_zone"]) == ("pt-BR", "America/Recife")
    assert (row["screen_width"], row["screen_height"]) == (390, 844)
    assert (row["viewport_width"], row["viewport_height"]) == (0, 0)
    assert (row["browser"], row["os"], row["device_class"]) == ("Mobile Safari", "iOS", "mobile")


def test_an_event_s_context_lies_over_that_of_its_batch(world: World) -> None:
    row = world.events["in-event-context"]
    assert (row["path"], row["language"], row["time_zone"]) == ("/other", "fr", "America/Recife")
    assert row["title"] == "", "a null title costs the title and not the page"
    assert json.loads(row["context"])["screen"]["height"] == 844


def test_a_null_context_leaves_that_of_the_batch(world: World) -> None:
    assert world.events["null-context"]["path"] == "/p"


def test_a_page_call_may_describe_the_page_in_its_properties(world: World) -> None:
    row = world.events["page-properties"]
    assert (row["event"], row["host"], row["title"]) == ("page_view", "a.example", "A")


@pytest.mark.parametrize(
    ("message_id", "seconds_before"), [("skewed", 6.0), ("future", 0.0), ("original", 0.5), ("stale", 30 * 86_400.0)]
)
def test_a_wrong_clock_is_corrected_to_the_half_minute(world: World, message_id: str, seconds_before: float) -> None:
    row = world.events[message_id]
    passed = (moment(row["received_at"]) - moment(row["event_time"])).total_seconds()
    assert abs(passed - seconds_before) <= 30


def test_the_client_s_own_claim_of_the_time_is_kept(world: World) -> None:
    assert world.events["skewed"]["occurred_at"] == "2020-01-01 00:00:04.000"
    assert world.events["skewed"]["sent_at"] == "2020-01-01 00:00:10.000"


def test_a_day_that_never_was_counts_as_now(world: World) -> None:
    row = world.events["no-time"]
    assert row["event_time"] == row["occurred_at"] == row["received_at"]


def test_a_server_speaks_for_its_visitor(world: World) -> None:
    for message_id in ("server", "server-2"):
        row = world.events[message_id]
        assert (row["country"], row["os"], row["language"]) == ("US", "iOS", "sv")
    assert world.events["server"]["event_time"] == "2015-01-01 00:00:00.000"


def test_a_browser_s_key_cannot_choose_address_and_user_agent(world: World) -> None:
    row = world.events["browser"]
    assert (row["country"], row["os"]) == ("", "")


def test_an_address_is_written_nowhere(world: World) -> None:
    stored = json.dumps([*world.events.values(), *world.failed.values()])
    assert {"server-bad", "server-bad-purchase", "server-single-bad"} <= world.failed.keys()
    assert ADDRESS not in stored
    assert not files_with(world.collector.data_dir, ADDRESS)


def test_a_secret_key_is_written_nowhere(world: World) -> None:
    assert world.server_key not in json.dumps(list(world.failed.values()))
    assert not files_with(world.collector.data_dir, world.server_key)


def test_addresses_would_be_found_where_they_were_written(world: World) -> None:
    """The two tests above look where they should: what was sent with the address is there."""
    assert any(path.suffix == ".segment" for path in files_with(world.collector.data_dir, "server-nobody"))


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("message_id", "event"),
    [
        ("odd:arabic", "شراء_مكتمل"),
        ("odd:hindi", "खरीद_पूरी"),
        ("odd:case", "html_parser_used_twice"),
        ("odd:at", "a_b"),
    ],
)
def test_names_of_any_script_become_snake_case(world: World, message_id: str, event: str) -> None:
    assert world.events[message_id]["event"] == event


@pytest.mark.parametrize(("kind", "sequence"), [("float", 3), ("text", 0), ("huge", 4_294_967_295), ("negative", 0)])
def test_an_odd_sequence_costs_no_event(world: World, kind: str, sequence: int) -> None:
    assert world.events[f"odd:sequence-{kind}"]["sequence"] == sequence


def test_what_is_absent_is_an_empty_object(world: World) -> None:
    row = world.events["odd:null-traits"]
    assert (row["properties"], row["traits"]) == ("{}", "{}")


def test_text_of_any_kind_is_data(world: World) -> None:
    assert json.loads(world.events["odd:quotes"]["properties"])["nul"] == "a\0b"
    assert "odd:'; SELECT 1 --\n\0" in world.events
    assert world.events["odd:javascript"]["url"] == ""
    assert json.loads(world.events["odd:prototype"]["properties"])["__proto__"] == {"admin": True}


def test_half_an_emoji_is_replaced(world: World) -> None:
    assert json.loads(world.events["odd:surrogate"]["properties"]) == {"t": "\ufffd"}


def test_the_store_process_that_loaded_them_carries_no_pandas(world: World) -> None:
    mapped = Path(f"/proc/{world.collector.children()['storekeeper']}/maps").read_text()
    assert "libarrow" in mapped
    assert "pandas" not in mapped
