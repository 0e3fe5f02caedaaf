"""What enrichment makes of whole events: rows with device, place and page; and of bad input, which costs none."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.channels import shipped_table
from collector.decode import decode_batch, raw_events
from collector.enrich import NO_CONTEXT, Context, Request
from collector.geo import Geo, LiveGeo, Place
from collector.identity import Salts
from collector.location import Locator
from collector.paths import DEFAULT_PLAN_DIR
from collector.pipeline import Outcome, Tools, process
from collector.plan import compile_plan, load_plan
from collector.record import EventRow
from collector.referrer import Addresses

NOW_MS = 1_790_000_000_000
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
BROWSER = Request(NOW_MS, "shop", False, "81.2.69.160", CHROME)
LONDON = Place("GB", "England", "London", "SW1A", "Europe/London", 20712, "Andrews & Arnold")
CLOUD = "52.95.1.1"


def lookup(address: str) -> object:
    if address == CLOUD:
        return Place("US", asn=16509, network="Amazon")
    return LONDON if address == "81.2.69.160" else None


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    from collector.networks import Networks

    networks = Networks()
    networks.add("AS16509")
    return Tools(
        plan=compile_plan(load_plan(DEFAULT_PLAN_DIR)),
        geo=Geo("test", lookup, networks=networks),
        salts=Salts(tmp_path_factory.mktemp("salts") / "salts.json"),
    )


def judge(tools: Tools, *events: Any, request: Request = BROWSER, **batch: Any) -> Outcome:
    body = json.dumps({"batch": list(events), **batch}).encode("utf-8", "surrogatepass")
    decoded = decode_batch(body)
    return process(decoded, request, tools, lambda: list(decoded.raws or raw_events(body)))


def row(tools: Tools, request: Request = BROWSER, **event: Any) -> EventRow:
    outcome = judge(tools, {"type": "track", "event": "e", **event}, request=request)
    assert outcome.rejected == []
    return outcome.rows.events[0]


def as_sent_from(request: Request, **changes: Any) -> Request:
    return msgspec.structs.replace(request, **changes)


def test_a_visitor_s_place_and_device_stand_in_the_row(tools: Tools) -> None:
    hints = {"model": "Pixel 8", "platform": "Windows", "platformVersion": "15.0.0", "fullVersionList": []}
    found = row(tools, context={"userAgentData": hints})
    assert (found.country, found.region, found.city, found.postal_code) == ("GB", "England", "London", "SW1A")
    assert (found.place_time_zone, found.asn, found.network) == ("Europe/London", 20712, "Andrews & Arnold")
    assert (found.os, found.os_version, found.device_brand, found.device_model) == (
        "Windows",
        "11",
        "Google",
        "Pixel 8",
    )
    assert (found.sender_flags, found.page_flags, found.is_bot) == ("", "", False)


@pytest.mark.parametrize(
    ("changes", "context", "reason"),
    [
        ({"user_agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}, {}, "crawler"),
        ({"user_agent": CHROME.replace("Chrome/", "HeadlessChrome/")}, {}, "headless"),
        ({"user_agent": "curl/8.5.0"}, {}, "http_client"),
        ({}, {"webdriver": True}, "webdriver"),
        ({"purpose": "prefetch"}, {}, "prefetch"),
        ({"purpose": "Prefetch;anonymous-client-ip"}, {}, "prefetch"),
        ({"purpose": "prefetch;prerender"}, {}, "prerender"),
        ({"purpose": "preview"}, {}, "prefetch"),
        ({"address": CLOUD}, {}, "bot_network"),
        ({}, {"page": {"url": "https://shop.example/", "referrer": "https://www.semalt.com/x"}}, "referrer_spam"),
        ({"purpose": "prefetch", "user_agent": "Googlebot/2.1"}, {"webdriver": True}, "crawler"),
        ({"purpose": "fetch"}, {"webdriver": False}, ""),
        ({"purpose": "\x00" * 9_999}, {}, ""),
    ],
)
def test_bots_are_flagged_with_a_reason_and_kept(
    tools: Tools, changes: dict[str, Any], context: dict[str, Any], reason: str
) -> None:
    found = row(tools, as_sent_from(BROWSER, **changes), context=context)
    assert (found.bot_reason, found.is_bot, found.device_class == "bot") == (reason, reason != "", reason != "")


def test_referrer_spam_flags_its_own_events_and_no_other_of_the_batch(tools: Tools) -> None:
    spam = {"page": {"url": "https://shop.example/", "referrer": "https://semalt.com/"}}
    pages = [
        {"type": "page", "properties": {"url": "https://shop.example/", "referrer": referrer}}
        for referrer in ("https://semalt.com/", "https://www.bing.com/", "https://a.darodar.com/")
    ]
    outcome = judge(tools, *pages, {"type": "track", "event": "e"}, {"type": "track", "event": "e", "context": spam})
    rows = outcome.rows.events
    assert [found.bot_reason for found in rows] == ["referrer_spam", "", "referrer_spam", "", "referrer_spam"]
    assert rows[0].referrer_host == "semalt.com"
    assert len(outcome.packed.senders) <= 4
    assert {found.country for found in rows} == {"GB"}
    bot = as_sent_from(BROWSER, user_agent="Googlebot/2.1")
    assert row(tools, bot, context=spam).bot_reason == "crawler", "the first reason stays"


def test_a_server_speaks_for_its_visitor_s_address_and_device_and_its_own_are_nobody_s(tools: Tools) -> None:
    server = Request(NOW_MS, "shop", True, CLOUD, "curl/8.5.0", purpose="")
    hints = {"platform": "Android", "mobile": True, "brands": [{"brand": "Brave", "version": "156"}]}
    linux = CHROME.replace("Windows NT 10.0; Win64; x64", "X11; Linux x86_64")
    found = row(tools, server, context={"ip": "81.2.69.160", "userAgent": linux, "userAgentData": hints})
    assert (found.city, found.browser, found.os, found.device_class) == ("London", "Brave", "Android", "mobile")
    silent = row(tools, server)
    assert (silent.country, silent.asn, silent.is_bot, silent.sender_flags) == ("", 0, False, "address_missing")


@pytest.mark.parametrize(
    ("changes", "context", "sender_flags", "page_flags"),
    [
        ({"address": "garbage"}, {}, "address_unreadable", ""),
        ({"address": "1" * 65_536}, {}, "address_unreadable", ""),
        ({"address": ""}, {}, "address_missing", ""),
        ({"address": "10.0.0.1"}, {}, "address_not_public", ""),
        ({"address": "9.9.9.9"}, {}, "place_unknown", ""),
        ({"user_agent": "Mozilla/5.0 (" + "a; " * 21_840}, {}, "user_agent_cut", ""),
        ({"hints": ("yes", "Windows", "x" * 9_999)}, {}, "hints_malformed", ""),
        ({}, {"userAgentData": {"platformVersion": "new", "platform": "Windows"}}, "hints_malformed", ""),
        ({}, {"userAgentData": {"model": 5, "platformVersion": [], "fullVersionList": "x"}}, "", ""),
        ({}, {"userAgentData": {"fullVersionList": [{"brand": "a", "version": "1"}] * 1_000}}, "", ""),
        ({}, {"page": {"url": "javascript:alert(1)"}}, "", "url_unreadable"),
        ({}, {"page": {"url": "data:text/html,<script>"}}, "", "url_unreadable"),
        ({}, {"page": {"url": "https://a.example/?" + "&a=b" * 7_000}}, "", "url_cut"),
        ({}, {"page": {"url": "https://xn--mller-kva.example/", "referrer": "https://müller.example/"}}, "", ""),
        ({}, {"page": {"url": "https://a.example/", "referrer": "javascript:x"}}, "", "referrer_unreadable"),
        ({}, {"page": {"url": "x", "referrer": "https://b.example/" + "x" * 9_000}}, "", "url_unreadable referrer_cut"),
        ({}, {"page": {"url": "https://a.example/", "referrer": "android-app://com.google.android.gm/"}}, "", ""),
        ({"address": "x", "user_agent": "a" * 600}, {"page": {"url": "x"}}, "user_agent_cut address_unreadable",
         "url_unreadable"),
    ],
)  # fmt: skip
def test_bad_input_keeps_the_event_leaves_the_field_empty_says_why_and_costs_little(
    tools: Tools, changes: dict[str, Any], context: dict[str, Any], sender_flags: str, page_flags: str
) -> None:
    row(tools)
    started = time.process_time()
    found = row(tools, as_sent_from(BROWSER, **changes), context=context)
    assert time.process_time() - started < 0.1  # a few ms; unbounded, a second
    assert (found.sender_flags, found.page_flags) == (sender_flags, page_flags)
    if "url_unreadable" in page_flags:
        assert (found.url, found.host, found.path, found.channel) == ("", "", "", found.channel)
    if "address" in sender_flags:
        assert (found.country, found.city, found.asn) == ("", "", 0)


def test_a_missing_database_flags_events_and_loses_none(tools: Tools, tmp_path: Path) -> None:
    without = Tools(plan=tools.plan, geo=LiveGeo(str(tmp_path / "none.mmdb")), salts=tools.salts)
    found = row(without, as_sent_from(BROWSER, address="8.8.8.8"))
    assert (found.country, found.city, found.sender_flags) == ("US", "", "geo_missing")


def test_secrets_in_addresses_are_stored_nowhere(tools: Tools) -> None:
    secret = "https://shop.example/reset?token=HUSH&utm_source=news"
    context = {
        "page": {"url": secret, "referrer": "https://login.example/?a=1&password=HUSH", "search": "?token=HUSH&b=1"}
    }
    events: list[dict[str, Any]] = [
        {"type": "track", "event": "e", "properties": {"href": secret, "n": 1}, "extra": {"seen": secret}},
        {"type": "page", "properties": {"url": secret, "path": "/reset", "search": "?token=HUSH&utm_source=news"}},
        {"type": "track", "event": "purchase", "properties": {"page": secret}},
        {"type": "identify", "userId": "u", "traits": {"site": "https://me.example/"}},
    ]
    outcome = judge(tools, *events, context=context)
    assert len(outcome.rows.failed) == 1
    assert len(outcome.rows.events) == 3
    stored = msgspec.json.encode([outcome.rows.events, outcome.rows.failed])
    assert b"HUSH" not in stored
    first = outcome.rows.events[0]
    assert first.url == "https://shop.example/reset?utm_source=news"
    assert json.loads(first.properties) == {"href": "https://shop.example/reset?utm_source=news", "n": 1}
    assert first.referrer == "https://login.example/?a=1"
    assert json.loads(outcome.rows.failed[0].raw)["properties"]["page"] == first.url


def test_what_holds_no_secret_is_stored_as_sent(tools: Tools) -> None:
    sent = {"href": "https://a.example/?q=1&page=2#x", "formula": "a=b&c=d", "n": 1.50}
    assert json.loads(row(tools, properties=sent).properties) == sent


def keeping_fragments(tools: Tools) -> Tools:
    locator = Locator(Addresses(shipped_table()), keeps_fragments=True)
    return Tools(plan=tools.plan, geo=tools.geo, salts=tools.salts, locator=locator)


def test_a_fragment_is_stored_by_choice_only_and_without_secrets(tools: Tools) -> None:
    url = "https://shop.example/app#/cart?step=2&token=HUSH"
    for choice, fragment in ((tools, ""), (keeping_fragments(tools), "/cart?step=2")):
        page = {"type": "page", "properties": {"url": url}}
        outcome = judge(choice, page, {"type": "track", "event": "e", "context": {"page": {"url": url}}})
        for found in outcome.rows.events:
            assert (found.fragment, found.url, found.path) == (fragment, "https://shop.example/app", "/app")
    plain = judge(keeping_fragments(tools), {"type": "page", "properties": {"url": "https://shop.example/app"}})
    assert plain.rows.events[0].fragment == ""


def test_the_tag_s_campaign_is_read_by_the_operator_s_table(tools: Tools) -> None:
    table = msgspec.structs.replace(shipped_table(), click_ids={"zzclid": "display"})
    own = Tools(plan=tools.plan, geo=tools.geo, salts=tools.salts, locator=Locator(Addresses(table)))
    found = row(own, context={"campaign": "utm_source=news&zzclid=7&gclid=8"})
    assert (found.utm_source, found.click_id_type, found.click_id) == ("news", "zzclid", "7")
    assert row(tools, context={"campaign": "utm_source=news&zzclid=7&gclid=8"}).click_id == "8"


def test_a_context_without_hints_costs_no_look_at_them() -> None:
    """device_of and noted tell by identity that there are none."""
    assert NO_CONTEXT.known.userAgentData is msgspec.json.decode(b'{"locale":"fr"}', type=Context).userAgentData
