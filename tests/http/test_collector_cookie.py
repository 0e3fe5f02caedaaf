"""The visitor's id as a first-party cookie that the collector sets: for listed origins of its domain, and no other."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from typing import Any

import pytest
from serving import Answer, Serving

from collector.sources import Source, add_source, change_source

PAGE = "https://www.shop.example"
VISITOR = "0191e0b4-8c3a-7e60-9f5e-0d6b3f1c2a77"
ORIGINS = [
    PAGE,
    "https://shop.example",
    "https://shop.example:8443",
    "https://partner.example",
    "https://ashop.example",
]


@pytest.fixture(scope="module")
def source(collector: Serving) -> Source:
    return add_source(collector.data_dir, "With a cookie", ORIGINS, ".Shop.example")[0]


def event(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "e", "anonymousId": VISITOR, **fields}


def send(
    collector: Serving, key: str, *events: Any, origin: str | None = PAGE, path: str = "/v1/b", **batch: Any
) -> Answer:
    body = json.dumps({"batch": events, "writeKey": key, **batch})
    headers = {"content-type": "text/plain"} | ({"origin": origin} if origin else {})
    return collector.request("POST", path, body, headers)


def has_no_credentials(answer: Answer) -> bool:
    return answer.headers["access-control-allow-origin"] == "*" and not (
        answer.headers.keys() & {"set-cookie", "access-control-allow-credentials"}
    )


@pytest.mark.parametrize("origin", ORIGINS[:3])
def test_a_page_of_the_domain_gets_the_id_of_its_visitor(collector: Serving, source: Source, origin: str) -> None:
    answer = send(collector, source.write_key, event(), origin=origin)
    assert (answer.status, answer.json) == (200, {"accepted": 1, "rejected": []})
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "origin"
    cookie = SimpleCookie(answer.headers["set-cookie"])["footfall_id"]
    assert (cookie.value, cookie["domain"], cookie["path"]) == (VISITOR, "shop.example", "/")
    assert (cookie["max-age"], cookie["samesite"], cookie["secure"]) == ("34560000", "Lax", True)
    assert not cookie["httponly"], "the tag reads it"


@pytest.mark.parametrize("origin", ["https://partner.example", "https://ashop.example", None])
def test_a_listed_page_of_another_domain_gets_none(collector: Serving, source: Source, origin: str | None) -> None:
    answer = send(collector, source.write_key, event(), origin=origin)
    assert answer.status == 200
    assert has_no_credentials(answer)


@pytest.mark.parametrize(
    "origin", ["https://evil.shop.example", "http://www.shop.example", "null", "https://shop.example.evil"]
)
def test_an_origin_that_is_not_listed_is_never_echoed(collector: Serving, source: Source, origin: str) -> None:
    for path in ("/v1/b", f"/v1/b?writeKey={source.write_key}"):
        answer = send(collector, source.write_key, event(), origin=origin, path=path)
        assert answer.status == 403
        assert has_no_credentials(answer)


def test_a_server_key_and_a_source_without_domain_get_none(collector: Serving) -> None:
    plain, _ = add_source(collector.data_dir, "No cookie", [PAGE])
    _, server_key = add_source(collector.data_dir, "Server with a cookie", [PAGE], "shop.example")
    for key in (plain.write_key, server_key, collector.write_key):
        answer = send(collector, key, event())
        assert answer.status == 200
        assert has_no_credentials(answer)


@pytest.mark.parametrize(
    "denied",
    [
        {"context": {"consent": {"analytics": False}}},
        {"context": {"consent": {"analytics": "denied"}}},
        {"context": {"consent": {"analytics": None}}},
    ],
    ids=["false", "text", "null"],
)
@pytest.mark.parametrize("where", ["event", "batch", "another event"])
def test_without_consent_no_cookie_is_set(
    collector: Serving, source: Source, denied: dict[str, Any], where: str
) -> None:
    if where == "event":
        answer = send(collector, source.write_key, event(**denied))
    elif where == "batch":
        answer = send(collector, source.write_key, event(), **denied)
    else:
        answer = send(collector, source.write_key, event(), event(**denied), event())
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE, "the page may read the answer all the same"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("consent", [{"analytics": True}, {"marketing": False}, {}])
def test_consent_to_analytics_or_none_asked_for_sets_it(
    collector: Serving, source: Source, consent: dict[str, bool]
) -> None:
    assert "set-cookie" in send(collector, source.write_key, event(context={"consent": consent})).headers


@pytest.mark.parametrize(
    "odd", ["", None, "a;b", "a\r\nset-cookie: x=y", "a b", "é", '"', "x" * 129, "a,b", "\x00"], ids=ascii
)
def test_an_id_that_is_no_cookie_s_value_is_put_into_none(collector: Serving, source: Source, odd: Any) -> None:
    answer = send(collector, source.write_key, event(anonymousId=odd))
    assert answer.status == 200
    assert "set-cookie" not in answer.headers


def test_after_a_reset_within_the_batch_the_new_visitor_counts(collector: Serving, source: Source) -> None:
    answer = send(collector, source.write_key, event(), event(anonymousId="new"), event(anonymousId=None))
    assert SimpleCookie(answer.headers["set-cookie"])["footfall_id"].value == "new"


def test_nothing_stored_sets_nothing(collector: Serving, source: Source) -> None:
    answer = send(collector, source.write_key, {"type": "nonsense", "anonymousId": VISITOR})
    assert answer.json["accepted"] == 0
    assert "set-cookie" not in answer.headers


def test_a_refusal_may_be_read_with_credentials_where_the_query_has_the_key(collector: Serving, source: Source) -> None:
    for body, status in (("{", 400), ("x" * 600_000, 413)):
        path = f"/v1/b?writeKey={source.write_key}"
        answer = collector.request("POST", path, body, {"origin": PAGE})
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert has_no_credentials(collector.request("POST", "/v1/b", body, {"origin": PAGE}))


def test_a_debugged_batch_sets_it_too(collector: Serving, source: Source) -> None:
    answer = send(collector, source.write_key, event(), path="/v1/b?debug=1")
    assert answer.json["verdicts"][0]["outcome"] in ("accepted", "flagged")
    assert "set-cookie" in answer.headers


def test_a_changed_source_is_followed(collector: Serving) -> None:
    source, _ = add_source(collector.data_dir, "Changing", [PAGE])
    assert has_no_credentials(send(collector, source.write_key, event()))
    change_source(collector.data_dir, "Changing", cookie_domain="shop.example")
    assert send(collector, "fw_nobody", event()).status == 401  # an unknown key makes the worker read the file
    assert "set-cookie" in send(collector, source.write_key, event()).headers
