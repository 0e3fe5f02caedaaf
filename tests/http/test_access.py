"""Who may send: keys, origins, and what a browser is told of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from serving import Answer, Serving

from collector.sources import add_source, disable_source

EVENT = {"type": "track", "event": "e", "anonymousId": "v"}
ACCEPTED = {"accepted": 1, "rejected": []}


def post(collector: Serving, body: Any, path: str = "/v1/batch", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return collector.request("POST", path, json.dumps(body), named)


def encoded(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("form", ["basic", "no colon", "password", "lower case", "body", "query", "event", "bearer"])
def test_a_key_is_taken_wherever_segment_s_clients_put_it(collector: Serving, form: str) -> None:
    key = collector.write_key
    batch: dict[str, Any] = {"batch": [EVENT]}
    answer = {
        "basic": lambda: post(collector, batch, authorization=encoded(f"{key}:")),
        "no colon": lambda: post(collector, batch, authorization=encoded(key)),
        "password": lambda: post(collector, batch, authorization=encoded(f"{key}:ignored")),
        "lower case": lambda: post(collector, batch, authorization=encoded(key).replace("Basic", "basic")),
        "body": lambda: post(collector, {**batch, "writeKey": key}),
        "query": lambda: post(collector, batch, f"/v1/batch?writeKey={key}"),
        "event": lambda: post(collector, {"batch": [{**EVENT, "writeKey": key}]}),
        "bearer": lambda: post(collector, {**batch, "writeKey": key}, authorization="Bearer x"),
    }[form]()
    assert answer.json == ACCEPTED


@pytest.mark.parametrize("authorization", ["Basic !!!", "Basic Og==", "Basic", "Digest x", "\xff"])
def test_a_useless_authorization_does_not_hide_the_key_of_the_body(collector: Serving, authorization: str) -> None:
    answer = post(collector, {"batch": [EVENT], "writeKey": collector.write_key}, authorization=authorization)
    assert answer.json == ACCEPTED


def test_the_first_of_a_repeated_key_in_the_query_counts(collector: Serving) -> None:
    assert post(collector, {"batch": [EVENT]}, f"/v1/batch?writeKey={collector.write_key}&writeKey=x").json == ACCEPTED


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key_missing"),
        ("", "key_missing"),
        (5, "key_missing"),
        ("fw_unknown", "key_unknown"),
        ("é\0", "key_unknown"),
    ],
)
def test_without_a_known_key_nothing_is_taken(collector: Serving, key: Any, reason: str) -> None:
    answer = post(collector, {"batch": [EVENT], "writeKey": key})
    assert (answer.status, answer.json["reason"]) == (401, reason)
    assert "www-authenticate" not in answer.headers, "a browser would ask its user for a password"


def test_a_query_of_too_many_parameters_is_refused(collector: Serving) -> None:
    answer = post(collector, {"batch": [EVENT]}, "/v1/batch?" + "a=1&" * 60)
    assert (answer.status, answer.json["reason"]) == (400, "bad_query")


def test_a_source_is_known_at_once(collector: Serving) -> None:
    source, server_key = add_source(collector.data_dir, "At once", [])
    assert collector.send(EVENT, key=source.write_key).json == ACCEPTED
    assert collector.send(EVENT, key=server_key).json == ACCEPTED


def test_the_hash_of_a_server_key_opens_nothing(collector: Serving) -> None:
    source, _ = add_source(collector.data_dir, "Hashed", [])
    assert collector.send(EVENT, key=source.write_key).status == 200
    assert collector.send(EVENT, key=source.server_key_hash).json["reason"] == "key_unknown"


def test_a_disabled_source_is_refused(collector: Serving) -> None:
    source, server_key = add_source(collector.data_dir, "Going", [])
    assert collector.send(EVENT, key=source.write_key).status == 200
    disable_source(collector.data_dir, source.id)
    add_source(collector.data_dir, "Makes workers look", [])
    assert collector.send(EVENT, key="fw_nobody").status == 401  # an unknown key makes the worker read the file
    for key in (source.write_key, server_key):
        answer = collector.send(EVENT, key=key)
        assert (answer.status, answer.json["reason"]) == (403, "source_disabled")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://shop.example", 200),
        ("HTTPS://Shop.Example", 200),
        ("http://[::1]:8080", 200),
        ("https://xn--bcher-kva.example", 200),
        (None, 200),
        ("http://shop.example", 403),
        ("https://shop.example:8443", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("\xff", 403),
    ],
)
def test_a_browser_key_is_bound_to_its_origins(collector: Serving, origin: str | None, status: int) -> None:
    key, server_key = bound(collector)
    headers = {} if origin is None else {"origin": origin}
    answer = post(collector, {"batch": [EVENT], "writeKey": key}, **headers)
    assert answer.status == status
    if status == 403:
        assert answer.json["reason"] == "origin_not_allowed"
        assert post(collector, {"batch": [EVENT], "writeKey": server_key}, **headers).status == 200


_BOUND: dict[int, tuple[str, str]] = {}


def bound(collector: Serving) -> tuple[str, str]:
    """Write key and server key of a source with origins, made once for each collector."""
    if collector.port not in _BOUND:
        origins = ["https://Shop.example:443/", "http://[::1]:8080", "https://bücher.example"]
        source, server_key = add_source(collector.data_dir, "Bound", origins)
        _BOUND[collector.port] = (source.write_key, server_key)
    return _BOUND[collector.port]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/batch"),
        ("PUT", "/v1/batch"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/p.gif"),
        ("DELETE", "/v1/p.gif"),
        ("GET", "/footfall.js"),
        ("GET", "/v1/link"),
        ("POST", "/v1/link"),
        ("GET", "/footfall.0123456789ab.js"),
        ("GET", "/nothing"),
        ("POST", "/livez"),
        ("OPTIONS", "/v1/track"),
    ],
)
def test_every_answer_may_be_read_by_any_page_and_none_with_credentials(
    collector: Serving, method: str, path: str
) -> None:
    answer = collector.request(method, path, headers={"origin": "https://any.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_a_preflight_allows_what_segment_s_browser_clients_send(collector: Serving) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    answer = collector.request("OPTIONS", "/v1/b", headers={"origin": "https://any.example", **asked})
    assert (answer.status, answer.body) == (204, b"")
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed == {"authorization", "content-type", "content-encoding"}
