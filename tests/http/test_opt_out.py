"""The page on which a visitor opts out: without script, from nobody else's page, and honoured by every way in."""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from hashlib import sha256
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import pytest
from serving import Serving

from collector.app.optout import OPT_OUT_PATH, _cookies, _shared
from collector.sources import add_source

SITE = "https://www.optout.example"
HOST = "t.optout.example"
FORM = {"content-type": "application/x-www-form-urlencoded"}
AS_JSON = {"content-type": "text/plain", "accept": "application/json"}


@pytest.fixture(scope="module")
def key(collector: Serving) -> str:
    return add_source(collector.data_dir, "With an opt-out", [SITE])[0].write_key


def ask(collector: Serving, method: str, body: str = "", **headers: str) -> tuple[int, list[tuple[str, str]], str]:
    """Status, headers as a list, for there are several cookies, and body."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, OPT_OUT_PATH, body or None, {"host": HOST, **named})
        answer = connection.getresponse()
        return answer.status, [(k.lower(), v) for k, v in answer.getheaders()], answer.read().decode()
    finally:
        connection.close()


def cookies(headers: list[tuple[str, str]]) -> dict[str, tuple[str, int]]:
    """Value and age by domain."""
    found = {}
    for name, value in headers:
        if name == "set-cookie":
            morsel = SimpleCookie(value)["footfall_optout"]
            assert (morsel["secure"], morsel["samesite"], morsel["path"]) == (True, "None", "/")
            assert not morsel["httponly"], "the tag reads it"
            found[morsel["domain"]] = (morsel.value, int(morsel["max-age"]))
    return found


def test_the_page_shows_the_state_and_needs_no_script(collector: Serving, key: str) -> None:
    status, headers, page = ask(collector, "GET", sec_gpc="1")
    said = dict(headers)
    assert (status, said["content-type"], said["cache-control"]) == (200, "text/html; charset=utf-8", "no-store")
    assert "<script" not in page
    assert 'name="state" value="out"' in page
    assert "Global Privacy Control" in page
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in said["content-security-policy"]
    assert "default-src 'none'" in said["content-security-policy"]
    assert "set-cookie" not in said
    _, _, page = ask(collector, "GET", cookie="a=b; footfall_optout=1")
    assert 'name="state" value="in"' in page
    assert ask(collector, "HEAD")[2] == ""


def test_the_form_sets_the_cookie_for_the_domain_that_the_sites_share_and_takes_it_back(
    collector: Serving, key: str
) -> None:
    status, headers, body = ask(collector, "POST", "state=out", origin=f"https://{HOST}", **FORM)
    assert (status, body, dict(headers)["location"]) == (303, "", "opt-out")
    assert cookies(headers) == {"": ("1", 34_560_000), "optout.example": ("1", 34_560_000)}
    status, headers, _ = ask(collector, "POST", "state=in", sec_fetch_site="same-origin", origin="null", **FORM)
    assert (status, cookies(headers)) == (303, {"": ("", 0), "optout.example": ("", 0)})


def test_a_listed_site_may_ask_and_change_it_by_script(collector: Serving, key: str) -> None:
    preflight = dict(ask(collector, "OPTIONS", origin=SITE, access_control_request_method="POST")[1])
    assert preflight["access-control-allow-origin"] == SITE
    assert preflight["access-control-allow-credentials"] == "true"
    status, headers, body = ask(collector, "POST", '{"opted_out": true}', origin=SITE, **AS_JSON)
    assert (status, json.loads(body)) == (200, {"opted_out": True})
    assert dict(headers)["access-control-allow-credentials"] == "true"
    assert cookies(headers)[""][0] == "1"
    _, headers, body = ask(collector, "GET", origin=SITE, cookie="footfall_optout=1", **AS_JSON)
    assert json.loads(body) == {"opted_out": True}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://optout.example.evil"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "origin": "https://blog.optout.example"},
    ],
    ids=str,
)
def test_nobody_else_s_page_may_change_it(collector: Serving, key: str, headers: dict[str, str]) -> None:
    for kind, body in ((FORM, "state=out"), (AS_JSON, '{"opted_out": false}')):
        status, sent, answered = ask(collector, "POST", body, **kind, **headers)
        assert (status, json.loads(answered)["reason"]) == (403, "origin_not_allowed")
        assert cookies(sent) == {}
        assert dict(sent).get("access-control-allow-credentials") is None


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("state=perhaps", FORM),
        ("", FORM),
        ("{}", AS_JSON),
        ("[1]", AS_JSON),
        ('{"opted_out": "yes"}', AS_JSON),
        ("\x00", AS_JSON),
    ],
)
def test_a_choice_that_says_neither_is_refused_in_words(
    collector: Serving, key: str, body: str, headers: dict[str, str]
) -> None:
    status, sent, answered = ask(collector, "POST", body, **headers)
    assert (status, json.loads(answered)["reason"]) == (400, "not_json")
    assert cookies(sent) == {}
    assert ask(collector, "PUT")[0] == 405


def test_batches_and_pixels_of_a_browser_that_has_opted_out_are_dropped_and_counted(
    collector: Serving, key: str
) -> None:
    before = collector.metric('footfall_dropped_total{reason="opt_out"}')
    out = {"cookie": "footfall_optout=1"}
    sent: dict[str, Any] = {"type": "track", "event": "e", "messageId": "out-1", "context": {"consent": "granted"}}
    body = json.dumps({"batch": [sent], "writeKey": key})
    answer = collector.request("POST", "/v1/b?debug=1", body, {"content-type": "text/plain", "origin": SITE, **out})
    assert answer.status == 200
    (verdict,) = answer.json["verdicts"]
    assert (verdict["outcome"], verdict["violations"][0]["reason"]) == ("dropped", "opt_out")
    data = quote(json.dumps({**sent, "messageId": "out-2", "writeKey": key}))
    assert collector.request("GET", f"/v1/p.gif?data={data}", headers=out).body.startswith(b"GIF")
    assert collector.metric('footfall_dropped_total{reason="opt_out"}') == before + 2
    collector.until_loaded()
    assert collector.sql("SELECT count() AS n FROM events WHERE message_id LIKE 'out-%'") == [{"n": 0}]


def test_cookies_are_for_few_domains_and_for_none_that_is_no_domain() -> None:
    assert _shared("t.shop.example", "www.shop.example") == "shop.example"
    assert _shared("t.shop.example", "brand.example") == ""
    assert _shared("10.0.0.1", "10.1.0.1") == ""
    assert _shared("localhost", "localhost") == ""
    many = frozenset(f"https://a.{'x.' * n}shop.example" for n in range(20))
    assert len(_cookies(f"t.{'x.' * 20}shop.example:8443", many, opted_out=True)) == 5
    assert len(_cookies("", many, opted_out=True)) == 1
