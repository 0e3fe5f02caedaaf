"""The pixel: an image whatever happens, and an event when it can be one."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from serving import Serving

from collector.sources import add_source

pytestmark = pytest.mark.xdist_group("http_pixel")


def encoded(event: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(event).encode()).decode().rstrip("=")


TRACK = {"event": "Order Completed", "userId": "ü1", "properties": {"n": 1, "t": "??>>"}}
PERSON = {"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}
STORED = {
    "plain": "event=Order+Completed&userId=%C3%BC1&messageId=plain&value=5",
    "page": "url=https://a.example/x%3Futm_source%3Dnews&referrer=https://www.bing.com/&title=T&messageId=page&anonymousId=a",
    "typed": "type=identify&userId=u2&messageId=typed",
    "repeated": "event=first&event=second&messageId=repeated",
    "dated": "event=e&messageId=dated&timestamp=1711122300000",
    "acknowledged": "event=e&messageId=acknowledged&ack=1",
    "base64": "data=" + encoded({**TRACK, "messageId": "base64"}),
    "standard base64": "data="
    + base64.b64encode(json.dumps({**TRACK, "messageId": "standard base64"}).encode()).decode(),
    "json": "data=" + quote(json.dumps({**TRACK, "messageId": "json"})),
    "person": "data=" + encoded({**PERSON, "messageId": "person"}),
    "page in data": "data=" + encoded({"properties": {"url": "https://a.example/"}, "messageId": "page in data"}),
}
KEPT_AS_FAILED = {
    "unknown type": "type=nonsense&messageId=unknown+type",
    "wrong shape": "data=" + encoded({"event": 5, "messageId": "wrong shape"}),
}
# As `footfall snippet` prints them, with what a template or AMP puts in. The page is that of the request's Referer.
EMBEDDED = "https://shop.example/sale?utm_source=letter"
EMBEDDING = {
    "noscript": "messageId=noscript",
    "noscript titled": "title=Sale&messageId=noscript+titled",
    "opened": "event=email_opened&userId=u7&campaign=may+letter&messageId=opened",
    "amp": "url=https%3A%2F%2Fshop.example%2Famp&title=T&referrer=https%3A%2F%2Fwww.bing.com%2F&anonymousId=amp-1"
    "&messageId=amp",
    "unreplaced": "url=&messageId=unreplaced",
    "in data": "data=" + encoded({"event": "e", "messageId": "in data"}),
    "own page in data": "data="
    + encoded({"event": "e", "messageId": "own page in data", "context": {"page": {"url": "https://own.example/"}}}),
}
LOST = {
    "not base64": "data=%FF%FE%00",
    "no JSON": "data=" + base64.b64encode(b"{no").decode(),
    "no object": "data=bnVsbA",
    "no data": "data=",
    "too many parameters": "a=1&" * 300,
    "a batch": "data=" + encoded({"batch": []}),
}


@pytest.fixture(scope="module")
def key(collector: Serving) -> str:
    return add_source(collector.data_dir, "Pixel", [])[0].write_key


@pytest.mark.parametrize("query", [*STORED.values(), *KEPT_AS_FAILED.values(), *LOST.values(), ""])
@pytest.mark.parametrize("writer", ["known", "unknown"])
def test_the_answer_is_always_the_same_image(collector: Serving, key: str, query: str, writer: str) -> None:
    used = key if writer == "known" else "fw_unknown"
    query = query.replace("messageId=", "messageId=image-").replace("&ack=1", "")
    answer = collector.request("GET", f"/v1/p.gif?{query}&writeKey={used}")
    assert answer.status == 200
    assert len(answer.body) == 43
    assert answer.body.startswith(b"GIF89a\x01\x00\x01\x00")
    assert answer.body.endswith(b"\x00;")
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == "43"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin", "for pages that isolate themselves"


@pytest.mark.parametrize("query", [*LOST.values(), ""])
def test_who_asks_with_ack_is_told_what_was_not_stored(collector: Serving, key: str, query: str) -> None:
    answer = collector.request("GET", f"/v1/p.gif?{query}&ack=1&writeKey={key if query else 'fw_unknown'}")
    assert 400 <= answer.status < 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"]
    counted = f'footfall_refused_total{{reason="{answer.json["reason"]}"}}'
    assert collector.metric(counted) >= 1


def test_who_asks_with_ack_gets_the_image_for_what_is_stored_or_kept(collector: Serving, key: str) -> None:
    for name, query in {**STORED, **KEPT_AS_FAILED}.items():
        asked = query.replace("messageId=", "messageId=ack-")
        answer = collector.request("GET", f"/v1/p.gif?{asked}&ack=1&writeKey={key}")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/gif"), name


def test_head_has_the_image_s_headers_and_makes_no_event(collector: Serving, key: str) -> None:
    before = collector.metric("footfall_received_total")
    answer = collector.request("HEAD", f"/v1/p.gif?event=e&writeKey={key}")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "43")
    assert collector.metric("footfall_received_total") == before


def test_what_the_image_cannot_say_is_counted(collector: Serving) -> None:
    name = 'footfall_refused_total{reason="key_missing"}'
    before = collector.metric(name)
    collector.request("GET", "/v1/p.gif?event=e")
    assert collector.metric(name) == before + 1


@pytest.fixture(scope="module")
def rows(collector: Serving) -> dict[str, dict[str, Any]]:
    source, _ = add_source(collector.data_dir, "Pixel rows", [])
    headers = {"cookie": "a=b", "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
    for number, query in enumerate([*STORED.values(), *KEPT_AS_FAILED.values(), *LOST.values()]):
        named = "write_key" if number % 2 else "writeKey"
        both = f"{named}={source.write_key}&writeKey={source.write_key}"
        collector.request("GET", f"/v1/p.gif?{query}&{both}", headers=headers)
    for query in EMBEDDING.values():
        asked = {**headers, "referer": EMBEDDED}
        collector.request("GET", f"/v1/p.gif?{query}&writeKey={source.write_key}", headers=asked)
    collector.until_loaded()
    stored = collector.sql("SELECT * FROM events WHERE source_id = 'pixel-rows'")
    failed = collector.sql("SELECT * FROM failed_events WHERE source_id = 'pixel-rows'")
    assert {row["message_id"] for row in stored} == STORED.keys() | EMBEDDING.keys()
    assert {row["message_id"] for row in failed} == KEPT_AS_FAILED.keys()
    return {row["message_id"]: row for row in [*stored, *failed]}


@pytest.mark.parametrize("form", ["plain", "base64", "standard base64", "json"])
def test_a_track_by_pixel_is_stored(rows: dict[str, dict[str, Any]], form: str) -> None:
    row = rows[form]
    assert (row["type"], row["event"], row["user_id"]) == ("track", "order_completed", "ü1")
    expected = {"value": "5"} if form == "plain" else TRACK["properties"]
    assert json.loads(row["properties"]) == expected, "and no key among its properties"
    assert row["browser"] == "Firefox"


def test_a_pixel_without_a_name_is_a_page_view(rows: dict[str, dict[str, Any]]) -> None:
    for form in ("page", "page in data"):
        assert (rows[form]["type"], rows[form]["event"], rows[form]["host"]) == ("page", "page_view", "a.example")
    assert (rows["page"]["utm_source"], rows["page"]["referrer_host"]) == ("news", "www.bing.com")


@pytest.mark.parametrize("form", ["typed", "person"])
def test_a_pixel_may_name_its_type(rows: dict[str, dict[str, Any]], form: str) -> None:
    assert (rows[form]["type"], rows[form]["event"]) == ("identify", "identify")


def test_ack_is_no_property(rows: dict[str, dict[str, Any]]) -> None:
    assert json.loads(rows["acknowledged"]["properties"]) == {}


def test_the_last_of_a_repeated_parameter_counts(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["repeated"]["event"] == "second"


def test_a_time_in_milliseconds_is_no_day_of_the_year_1711(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["dated"]["occurred_at"] == "2024-03-22 15:45:00.000"


def test_a_bad_event_by_pixel_is_kept(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["unknown type"]["reason"] == "event_type_unknown"
    assert rows["wrong shape"]["pointer"] == "/event"


@pytest.mark.parametrize("form", ["noscript", "noscript titled", "unreplaced"])
def test_a_page_without_script_is_viewed_under_its_own_address(rows: dict[str, dict[str, Any]], form: str) -> None:
    row = rows[form]
    assert (row["event"], row["url"], row["utm_source"]) == ("page_view", EMBEDDED, "letter")
    assert row["title"] == ("Sale" if form == "noscript titled" else "")
    assert row["visitor_id"].startswith("c_")


def test_an_e_mail_that_is_opened_is_its_reader_s_event(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["opened"]
    assert (row["type"], row["event"], row["user_id"]) == ("track", "email_opened", "u7")
    assert json.loads(row["properties"]) == {"campaign": "may letter"}


def test_an_amp_page_states_its_own_facts(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["amp"]
    assert (row["event"], row["url"], row["title"]) == ("page_view", "https://shop.example/amp", "T")
    assert (row["referrer_host"], row["visitor_id"]) == ("www.bing.com", "amp-1")


def test_an_event_in_data_has_the_page_it_states_or_else_the_one_it_stands_in(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["in data"]["url"] == EMBEDDED
    assert rows["own page in data"]["url"] == "https://own.example/"
