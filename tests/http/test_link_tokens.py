"""Tokens that carry a visitor's id to another site: made, followed once in time, and worthless otherwise."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from serving import Answer, Serving

from collector.app.link import TOKEN_SECONDS, make_token, read_token
from collector.enrichment.identity import DAY_MS, Salts
from collector.reason import Reason, Refused
from collector.sources import add_source, disable_source

VISITOR = "0191e0b4-8c3a-7e60-9f5e-0d6b3f1c2a77"
NOON = 20_000 * DAY_MS + DAY_MS // 2


def make(collector: Serving, key: str | None = None, visitor_id: Any = VISITOR, **headers: str) -> Answer:
    body = json.dumps({"writeKey": key or collector.write_key, "anonymousId": visitor_id})
    return collector.request("POST", "/v1/link", body, {"content-type": "text/plain", **headers})


def follow(collector: Serving, token: str, key: str | None = None, **headers: str) -> Answer:
    path = f"/v1/link?writeKey={key or collector.write_key}&token={quote(token)}"
    return collector.request("GET", path, headers=headers)


def test_the_other_site_gets_the_visitor_under_its_own_key(collector: Serving) -> None:
    other, _ = add_source(collector.data_dir, "The other site", ["https://other.example"])
    made = make(collector)
    assert (made.status, made.json["expires_in"]) == (200, TOKEN_SECONDS)
    assert len(made.json["token"]) < 90, "it goes into an address"
    assert made.json["token"] == quote(made.json["token"], safe=""), "as it is"
    found = follow(collector, made.json["token"], other.write_key, origin="https://other.example")
    assert (found.status, found.json) == (200, {"anonymousId": VISITOR})
    for answer in (made, found):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-credentials" not in answer.headers


def test_a_token_ends(collector: Serving) -> None:
    salts, now_ms = Salts(collector.data_dir / "salts.json"), time.time_ns() // 1_000_000
    assert follow(collector, make_token(salts, now_ms - 60_000, VISITOR)).json == {"anonymousId": VISITOR}
    answer = follow(collector, make_token(salts, now_ms - (TOKEN_SECONDS + 10) * 1_000, VISITOR))
    assert (answer.status, answer.json["reason"]) == (403, "link_invalid")
    assert "over 120 s old" in answer.json["error"]
    assert answer.headers["access-control-allow-origin"] == "*", "the page may read why"


@pytest.mark.parametrize("change", ["first", "middle", "last byte", "other salt", "from tomorrow"])
def test_a_forged_token_names_nobody(collector: Serving, change: str, tmp_path: Path) -> None:
    content = bytearray(base64.urlsafe_b64decode(make(collector).json["token"] + "=="))
    now_ms = time.time_ns() // 1_000_000
    if change == "first":  # a later end
        content[4] ^= 0x02 if content[4] & 0x02 == 0 else 0x01
    elif change == "middle":
        content[10] ^= 1
    elif change == "last byte":
        content[-1] ^= 1
    token = base64.urlsafe_b64encode(content).decode().rstrip("=")
    if change == "other salt":
        token = make_token(Salts(tmp_path / "salts"), now_ms, VISITOR)
    if change == "from tomorrow":
        token = make_token(Salts(tmp_path / "salts"), now_ms + DAY_MS, VISITOR)
    answer = follow(collector, token)
    assert (answer.status, answer.json["reason"]) == (403, "link_invalid")
    assert set(answer.json) == {"error", "reason"}


@pytest.mark.parametrize("token", ["", "x", "!!!!", "é", "AAAA", "A" * 27, "A" * 5_000, "\x00", "=" * 40])
def test_what_is_no_token_is_refused_in_one_sentence(collector: Serving, token: str) -> None:
    answer = follow(collector, token)
    assert (answer.status, answer.json["reason"]) == (400, "bad_query")
    assert "POST /v1/link" in answer.json["error"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("", 400, "not_json"),
        ("{", 400, "not_json"),
        ("[]", 400, "not_json"),
        ('{"writeKey": "x"}', 400, "not_json"),
        ('{"anonymousId": 5}', 400, "not_json"),
        ("\xff", 400, "not_json"),
        ("[" * 3_000, 400, "not_json"),
        ('{"anonymousId": "v"}', 401, "key_missing"),
        ('{"anonymousId": "v", "writeKey": "fw_nobody"}', 401, "key_unknown"),
        ("x" * 600_000, 413, "body_too_large"),
    ],
)
def test_nonsense_makes_no_token(collector: Serving, body: str, status: int, reason: str) -> None:
    answer = collector.request("POST", "/v1/link", body.encode("latin-1"), {"content-type": "text/plain"})
    assert (answer.status, answer.json["reason"]) == (status, reason)


@pytest.mark.parametrize("visitor_id", ["", "x" * 257])
def test_an_id_of_no_or_too_many_characters_is_not_signed(collector: Serving, visitor_id: str) -> None:
    answer = make(collector, visitor_id=visitor_id)
    assert (answer.status, answer.json["reason"]) == (403, "link_invalid")


@pytest.mark.parametrize("visitor_id", ["v", "Jürgen 😀", "x" * 256, "a\x00b"])
def test_any_other_id_comes_back_as_it_was(collector: Serving, visitor_id: str) -> None:
    token = make(collector, visitor_id=visitor_id).json["token"]
    assert follow(collector, token).json == {"anonymousId": visitor_id}


def test_links_are_for_the_pages_of_a_source_alone(collector: Serving) -> None:
    bound, _ = add_source(collector.data_dir, "Bound for links", ["https://a.example"])
    token = make(collector, bound.write_key, origin="https://a.example").json["token"]
    for answer in (
        make(collector, bound.write_key, origin="https://evil.example"),
        follow(collector, token, bound.write_key, origin="https://evil.example"),
    ):
        assert (answer.status, answer.json["reason"]) == (403, "origin_not_allowed")
    disable_source(collector.data_dir, bound.id)
    assert collector.request("GET", "/v1/link?token=x").json["reason"] == "key_missing"
    assert follow(collector, token, "fw_nobody").json["reason"] == "key_unknown"  # and the worker reads the file anew
    assert follow(collector, token, bound.write_key).json["reason"] == "source_disabled"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH"])
def test_other_methods_are_named_and_refused(collector: Serving, method: str) -> None:
    answer = collector.request(method, "/v1/link")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST, OPTIONS"


def test_a_preflight_is_answered(collector: Serving) -> None:
    answer = collector.request("OPTIONS", "/v1/link", headers={"origin": "https://a.example"})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")


def test_all_workers_of_a_directory_take_each_other_s_tokens_and_no_other_directory_does(tmp_path: Path) -> None:
    one, two = Salts(tmp_path / "salts"), Salts(tmp_path / "salts")
    token = make_token(one, NOON, VISITOR)
    assert read_token(two, NOON + 1_000, token) == VISITOR
    with pytest.raises(Refused, match="another collector"):
        read_token(Salts(tmp_path / "others"), NOON, token)


def test_a_link_may_cross_midnight_and_its_key_is_gone_two_days_later(tmp_path: Path) -> None:
    salts = Salts(tmp_path / "salts")
    midnight = NOON + DAY_MS // 2
    token = make_token(salts, midnight - 30_000, VISITOR)
    assert read_token(salts, midnight + 30_000, token) == VISITOR
    key = salts.secret(midnight - 30_000, b"link")
    salts.expire(midnight + 2 * DAY_MS)
    assert Salts(tmp_path / "salts").secret(midnight - 30_000, b"link") != key


def test_a_token_of_any_day_leaves_today_s_salt_alone(tmp_path: Path) -> None:
    salts = Salts(tmp_path / "salts")
    today = salts.visitor_id(NOON, "s", "192.0.2.1", "agent")
    for end_s in (0, 1, NOON // 1_000 - DAY_MS, NOON // 1_000 + DAY_MS, 2**40 - 1):
        token = base64.urlsafe_b64encode(end_s.to_bytes(5, "big") + b"v" + bytes(16)).decode().rstrip("=")
        with pytest.raises(Refused) as refused:
            read_token(salts, NOON, token)
        assert refused.value.reason is Reason.LINK_INVALID
    assert Salts(tmp_path / "salts").visitor_id(NOON, "s", "192.0.2.1", "agent") == today


def test_the_secret_of_a_purpose_is_no_visitor_s_and_no_other_purpose_s(tmp_path: Path) -> None:
    salts = Salts(tmp_path / "salts")
    assert salts.secret(NOON, b"link") != salts.secret(NOON, b"other")
    assert salts.secret(NOON, b"link") == salts.secret(NOON + 1, b"link")
    assert salts.secret(NOON, b"link") != salts.secret(NOON + DAY_MS, b"link")


def test_where_salts_cannot_be_kept_a_link_is_to_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_token(Salts(tmp_path / "missing" / "salts"), NOON, VISITOR)
