"""What a context says: merged, read with patience, and kept without the visitor's address."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET, Raw, UnsetType

from collector.enrichment.enrich import (
    NO_CONTEXT,
    Context,
    Request,
    country_of,
    device_of,
    object_bytes,
    pixels,
    read_context,
    read_page,
    without_address,
    without_secrets,
)
from collector.enrichment.geo import Geo

DEEP = b"[" * 900 + b"]" * 900


def raw(value: Any) -> Raw | UnsetType:
    return UNSET if value is UNSET else Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("batch", "event", "merged"),
    [
        (UNSET, UNSET, {}),
        (None, None, {}),
        ({"a": 1}, UNSET, {"a": 1}),
        (UNSET, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 1}, {"b": 2, "c": 2}, {"a": 1, "b": 2, "c": 2}),
        ({"page": {"url": "x", "title": "t"}}, {"page": {"url": "y"}}, {"page": {"url": "y"}}),
        ({"a": 1}, None, {"a": 1}),
        ({"a": 1}, [1], {"a": 1}),
        ("text", {"a": 1}, {"a": 1}),
        (7, True, {}),
        ({}, {}, {}),
    ],
)
def test_an_event_s_context_lies_over_its_batch_s(batch: Any, event: Any, merged: Any) -> None:
    assert json.loads(read_context(object_bytes(raw(batch)), raw(event)).text) == merged


def test_a_large_context_is_read_like_a_small_one() -> None:
    large = {"locale": "fr", "filler": "x" * 10_000}
    facts = read_context(object_bytes(raw(large)), raw({"timezone": "Europe/Paris"}))
    assert (facts.known.locale, facts.known.timezone) == ("fr", "Europe/Paris")


def test_no_context_is_the_same_for_all() -> None:
    assert read_context(b"", UNSET) is NO_CONTEXT


def test_one_odd_field_costs_only_itself() -> None:
    context = {
        "locale": None,
        "timezone": "Asia/Tokyo",
        "page": {"url": "https://a.example/", "title": None, "referrer": ["x"]},
        "screen": {"width": "1920", "height": 1080},
        "library": "mine",
        "campaign": {"source": "news", "name": 7, "medium": {"deep": 1}},
        "userAgent": 5,
    }
    known = read_context(object_bytes(raw(context)), UNSET).known
    assert (known.locale, known.timezone) == ("", "Asia/Tokyo")
    assert (known.page.url, known.page.title, known.page.referrer) == ("https://a.example/", "", "")
    assert (known.screen.width, known.screen.height) == (0, 1080)
    assert not isinstance(known.campaign, str)
    assert (known.campaign.source, known.campaign.name, known.campaign.medium) == ("news", "", "")
    assert (known.library.name, known.userAgent) == ("", "")


def test_nesting_beyond_reading_costs_no_event() -> None:
    facts = read_context(object_bytes(Raw(b'{"locale":"fr","page":{"url":' + DEEP + b'},"x":' + DEEP + b"}")), UNSET)
    assert facts.known.locale == "fr"


@pytest.mark.parametrize(
    ("properties", "url", "title"),
    [
        ({"url": "https://a.example/", "title": "T"}, "https://a.example/", "T"),
        ({"url": "https://a.example/", "title": 7}, "https://a.example/", ""),
        ({"url": None}, "", ""),
        ([], "", ""),
        (None, "", ""),
        ("x", "", ""),
    ],
)
def test_a_page_in_properties(properties: Any, url: str, title: str) -> None:
    page = read_page(json.dumps(properties).encode())
    assert (page.url, page.title) == (url, title)


@pytest.mark.parametrize(
    ("sent", "stored"), [(0, 0), (1920, 1920), (390.9, 390), (65_535, 65_535), (65_536, 0), (-1, 0), (1e308, 0)]
)
def test_pixels_fit_their_column(sent: float, stored: int) -> None:
    assert pixels(sent) == stored


def test_only_a_server_speaks_for_its_visitor() -> None:
    iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
    context = Context(ip="2.2.2.2", userAgent=iphone)
    geo = Geo("test", lambda address: "DE" if address == "2.2.2.2" else "FR")
    for is_server, country, system in ((True, "DE", "iOS"), (False, "FR", "")):
        request = Request(0, "s", is_server, "1.1.1.1", "")
        assert country_of(request, context, geo) == country
        assert device_of(request, context).os == system


@pytest.mark.parametrize(
    "context",
    [
        b'{"ip":"192.0.2.7"}',
        b'{ "ip" : "192.0.2.7" , "a":1}',
        b'{"ip":["192.0.2.7"]}',
        b'{"ip":"1","ip":"192.0.2.7"}',
        b'{"\\u0069p":"192.0.2.7"}',
        b'{"i\\u0070":"192.0.2.7"}',
        b'{"ip":"192.0.2.7","a":' + DEEP + b"}",
        b'{"a":' + DEEP + b',"ip":"192.0.2.7"}',
    ],
)
def test_an_address_is_taken_out_however_it_is_spelled(context: bytes) -> None:
    assert b"192.0.2.7" not in without_address(context)
    assert "192.0.2.7" not in read_context(object_bytes(Raw(context)), UNSET).text
    assert "192.0.2.7" not in read_context(b'{"locale":"fr"}', Raw(context)).text
    event = b'{"event":"e","context":' + context + b',"properties":{"ip":"mine"}}'
    kept = without_secrets(event)
    assert b"192.0.2.7" not in kept
    assert json.loads(kept)["properties"] == {"ip": "mine"}, "what people measure is theirs"


@pytest.mark.parametrize(
    "event",
    [
        b'[{"context":{"ip":"192.0.2.7"}}]',
        b'"\\"ip\\""',
        b'{"context":[{"ip":"192.0.2.7"}]}',
        b'{"context":null,"ip":"192.0.2.7"}',
        b"[" * 5_000 + b'{"ip":"192.0.2.7"}' + b"]" * 5_000,
    ],
)
def test_an_address_is_taken_out_of_what_is_no_event(event: bytes) -> None:
    assert b"192.0.2.7" not in without_secrets(event)


def test_a_write_key_is_not_kept() -> None:
    assert json.loads(without_secrets(b'{"event":5,"writeKey":"fs_secret","a":1.50}')) == {"event": 5, "a": 1.5}
    assert b"fs_secret" not in without_secrets(b'[{"writeKey":"fs_secret"}]')


@pytest.mark.parametrize("event", [b'{"a": 1.50, "properties":{"ip":"x"}}', b'{"t":"\\u00e9"}', b"5", b'{"b":1,"b":2}'])
def test_what_holds_no_secret_is_kept_to_the_byte(event: bytes) -> None:
    assert without_secrets(event) == event
