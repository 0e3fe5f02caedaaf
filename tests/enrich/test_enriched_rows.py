"""What enrichment makes of whole events: rows with device, place and page; and of bad input, which costs none."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.app.head import exact_hints_of, read_head
from collector.enrichment.channels import shipped_table
from collector.enrichment.enrich import NO_CONTEXT, Context, Request
from collector.enrichment.geo import Geo, LiveGeo, Place
from collector.enrichment.identity import Salts
from collector.enrichment.location import Locator
from collector.enrichment.referrer import Addresses
from collector.ingest.packed import encode_packed
from collector.ingest.pipeline import Outcome, Tools, process
from collector.limits import EVENT_BYTES_MAX
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.record import EventRow
from collector.wire.decode import decode_batch, raw_events

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
    from collector.enrichment.networks import Networks

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
        ({}, {"userAgentData": {"model": 5, "platformVersion": [], "fullVersionList": "x"}}, "hints_malformed", ""),
        ({}, {"userAgentData": {"fullVersionList": [{"brand": "a", "version": "1"}] * 1_000}}, "", ""),
        ({}, {"page": {"url": "javascript:alert(1)"}}, "", "url_unreadable"),
        ({}, {"page": {"url": "data:text/html,<script>"}}, "", "url_unreadable"),
        ({}, {"page": {"url": "https://a.example/?" + "&q=b" * 7_000}}, "", "url_cut"),
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
    started = time.thread_time()
    found = row(tools, as_sent_from(BROWSER, **changes), context=context)
    assert time.thread_time() - started < 0.1  # a few ms; unbounded, a second
    assert (found.sender_flags, found.page_flags) == (sender_flags, page_flags)
    if "url_unreadable" in page_flags:
        assert (found.url, found.host, found.path, found.channel) == ("", "", "", found.channel)
    if "address" in sender_flags:
        assert (found.country, found.city, found.asn) == ("", "", 0)


def test_a_missing_database_flags_events_and_loses_none(tools: Tools, tmp_path: Path) -> None:
    without = Tools(plan=tools.plan, geo=LiveGeo(str(tmp_path / "none.mmdb")), salts=tools.salts)
    found = row(without, as_sent_from(BROWSER, address="8.8.8.8"))
    assert (found.country, found.city, found.sender_flags) == ("US", "", "geo_missing")


def test_what_is_kept_of_a_visitor_ends_with_the_database_it_came_from(tools: Tools, tmp_path: Path) -> None:
    networks = tmp_path / "networks.txt"
    geo = LiveGeo("registry", bot_networks=str(networks))
    live = Tools(plan=tools.plan, geo=geo, salts=tools.salts)
    before = [row(live, BROWSER) for _ in range(2)]
    networks.write_text("81.2.69.0/24\n")
    assert [geo.look(), geo.look()] == [False, True]
    after = row(live, BROWSER)
    assert {(found.bot_reason, found.sender_flags) for found in before} == {("", "geo_missing")}
    assert (after.bot_reason, after.sender_flags, after.country) == ("bot_network", "", before[0].country)


@pytest.mark.parametrize("hints", [("?0" * 500, '"Windows"', ""), ("?0", '"' + "w" * 2_000 + '"', "x" * 9_000)])
def test_hints_too_long_to_be_kept_are_read_all_the_same(tools: Tools, hints: tuple[str, str, str]) -> None:
    found = row(tools, msgspec.structs.replace(BROWSER, hints=hints))
    assert (found.browser, found.os, found.country) == ("Chrome", "Windows", "GB")
    assert found.sender_flags == "hints_malformed"


def test_an_address_or_a_user_agent_beyond_all_limits_costs_itself_and_not_the_event(tools: Tools) -> None:
    long = "https://shop.example/?utm_source=news&" + "&".join(f"q={n}" for n in range(10_000))
    page = {"url": long, "referrer": long, "search": long}
    server = as_sent_from(BROWSER, is_server=True)
    events: list[dict[str, Any]] = [
        {"type": "track", "event": "e", "context": {"page": page, "timezone": "UTC"}},
        {"type": "page", "properties": {**page, "title": "T" * 40_000, "kept": 1}},
        {"type": "track", "event": "e", "context": {"userAgent": f"{CHROME} " + "x" * 65_536}},
    ]
    outcome = judge(tools, *events, request=server)
    assert outcome.rejected == []
    rows = outcome.rows.events
    assert [(found.host, found.utm_source, found.page_flags) for found in rows] == [
        *[("shop.example", "news", "url_cut referrer_cut")] * 2,
        ("", "", ""),
    ]
    assert (rows[0].time_zone, json.loads(rows[1].properties)["kept"], rows[2].browser) == ("UTC", 1, "Chrome")
    assert "user_agent_cut" in rows[2].sender_flags
    assert max(len(found.context) + len(found.properties) for found in rows) < EVENT_BYTES_MAX
    # What was cut off is missing, also where the plan then leaves little of the rest: the campaign stood at the end.
    late = f"https://shop.example/?{'&'.join(f'a{n}={n}' for n in range(10_000))}&utm_source=news"
    pages: list[dict[str, Any]] = [
        {"type": "page", "properties": {"url": late, "referrer": late}},
        {"type": "page", "properties": {"url": "https://shop.example/", "referrer": late}},
        {"type": "track", "event": "e", "context": {"page": {"url": late, "referrer": "javascript:x"}}},
        {"type": "page", "properties": {"url": late[:7_000] + "&utm_source=news"}},
    ]
    assert [(found.url, found.utm_source, found.page_flags) for found in judge(tools, *pages).rows.events] == [
        ("https://shop.example/", "", "url_cut referrer_cut"),
        ("https://shop.example/", "", "referrer_cut"),
        ("https://shop.example/", "", "url_cut referrer_unreadable"),
        ("https://shop.example/?utm_source=news", "news", ""),
    ]
    middling = judge(tools, {"type": "page", "properties": {"url": f"https://shop.example/?{'q=b&' * 2_500}"}})
    assert [(found.host, found.page_flags) for found in middling.rows.events] == [("shop.example", "url_cut")]


def test_a_batch_s_context_may_be_as_large_as_an_event_s_and_no_larger(tools: Tools) -> None:
    small: list[dict[str, Any]] = [{"type": "track", "event": "e"}] * 3
    long = {"page": {"url": "https://shop.example/?" + "q=b&" * 20_000}}
    rows = judge(tools, *small, context=long).rows.events
    assert [(found.host, found.page_flags) for found in rows] == [("shop.example", "url_cut")] * 3
    assert max(len(found.context) for found in rows) < EVENT_BYTES_MAX
    for no_object in ({"properties": "x" * 40_000}, {"context": "x" * 40_000}):
        assert [one.reason for one in judge(tools, {"type": "page", **no_object}).rejected] == ["event_too_large"]
    refused = judge(tools, *small, context={"mine": "x" * EVENT_BYTES_MAX})
    assert refused.rows.events == []
    assert {one.pointer for one in refused.rejected} == {"/context"}


def test_of_queries_only_campaigns_clicks_and_searches_are_stored_wherever_an_address_stands(tools: Tools) -> None:
    url, referrer = "https://shop.example/find?q=red&name=ANN&utm_source=news#x?name=ANN", "https://b.example/?who=ANN"
    page = {"url": url, "search": "?q=red&name=ANN", "referrer": referrer}
    outcome = judge(
        tools,
        {"type": "page", "properties": page},
        {"type": "page", "properties": page | {"mine": {"n": 1}}},
        {"type": "track", "event": "click", "properties": {"href": referrer}},
        {"type": "track", "event": "unplanned", "properties": {"url": url}},
        {"type": "track", "event": "purchase", "properties": {"order_id": 7}},
        context={"page": page},
    )
    assert (len(outcome.rows.events), len(outcome.rows.failed)) == (4, 1)
    assert {(found.query, found.utm_source) for found in outcome.rows.events} == {("q=red&utm_source=news", "news")}
    assert json.loads(outcome.rows.events[0].properties) == {
        "url": "https://shop.example/find?q=red&utm_source=news", "search": "?q=red", "referrer": "https://b.example/",
    }  # fmt: skip
    assert b"ANN" not in msgspec.json.encode([outcome.rows.events, outcome.rows.failed])
    assert b"ANN" not in encode_packed(outcome.packed), "what is not to be stored is not spooled either"


@pytest.mark.parametrize(
    "sent",
    [
        '{"url":"https://a.example/?n=ANN&q=1","title":"a?b"}',
        '{"url" : "https://a.example/?n=ANN&q=1", "title": "a?b"}',
        '{"url":"https:\\/\\/a.example/?n=ANN\\u0026q=1","title":"a?b"}',
        '{"url":"https://b.example/?n=ANN","title":"a?b","url":"https://a.example/?n=ANN&q=1"}',
        '{"url":"https://b.example/?n=ANN","title":"a?b","url":"https://a.example/?q=1"}',
        '{"\\u0075rl":"https://b.example/#ANN","title":"a?b","url":"https://a.example/?q=1"}',
        '{"url":"https://a.example/?q=1&n=ANN","title":"a?b","referrer":"/?ANN","referrer":"/"}',
        '{"url":"https://b.example/?n=ANN","title":"a?b","url":"https://a.example/?q=1","load_ms":"of another type"}',
        '{"url":"https://a.example/?n=ANN&q=1","title":"a?b","search":null,"keywords":["url"]}',
        '{"url":"https://a.example/?n=ANN&q=1","title":"a?b","load_ms":"of another type"}',
    ],
    ids=[
        "compact",
        "blanks",
        "escapes",
        "twice",
        "twice, the last clean",
        "twice, once with an escape",
        "twice, beside one that is edited",
        "twice, and rejected",
        "other members",
        "another type",
    ],
)
def test_an_address_is_stripped_however_it_is_spelled_and_its_neighbours_are_not(tools: Tools, sent: str) -> None:
    body = b'{"batch":[{"type":"page","properties":%b}]}' % sent.encode()
    decoded = decode_batch(body)
    outcome = process(decoded, BROWSER, tools, lambda: list(raw_events(body)))
    (kept,) = [found.properties for found in outcome.rows.events] or [found.raw for found in outcome.rows.failed]
    assert "ANN" not in kept
    fields = json.loads(kept).get("properties") or json.loads(kept)
    assert (fields["url"], fields["title"]) == ("https://a.example/?q=1", "a?b")


def test_of_a_rejected_event_the_properties_that_nobody_read_are_not_kept(tools: Tools) -> None:
    unread, read = '"properties":{"url":"https://b.example/?n=ANN"}', '"properties":{"url":7}'
    body = f'{{"batch":[{{"type":"page",{unread},{read}}}]}}'.encode()
    (failed,) = process(decode_batch(body), BROWSER, tools, lambda: list(raw_events(body))).rows.failed
    assert json.loads(failed.raw)["properties"] == {"url": 7}
    assert "ANN" not in failed.raw


def test_what_is_kept_of_queries_are_the_campaigns_and_all_click_ids_of_the_table_of_channels() -> None:
    kept = {
        name
        for event in load_plan(DEFAULT_PLAN_DIR).events.values()
        for prop in event.properties
        if prop.name == "url" and prop.type.pii is not None
        for name in prop.type.pii.keep
    }
    assert {"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", *shipped_table().click_ids} <= kept


def test_client_hints_that_are_none_are_flagged_wherever_they_stand(tools: Tools) -> None:
    sent: list[Any] = [{"platform": 5}, {"brands": "no"}, {"fullVersionList": [{"brand": 7}]}, []]
    for broken in sent:
        found = row(tools, context={"userAgentData": broken, "timezone": "UTC"})
        assert (found.browser, found.time_zone, found.sender_flags) == ("Chrome", "UTC", "hints_malformed"), broken
    brands = ", ".join(['"Chromium";v="156"'] * 40)
    for hint, flags in (("x" * 9_000, "hints_malformed"), (brands, "")):
        assert row(tools, as_sent_from(BROWSER, hints=("?0", '"Windows"', hint))).sender_flags == flags


def test_secrets_in_addresses_are_stored_nowhere(tools: Tools) -> None:
    secret = "https://me:HUSH@shop.example/reset?token=HUSH&utm_source=news"
    context = {
        "page": {"url": secret, "referrer": "https://login.example/?q=1&password=HUSH", "search": "?token=HUSH&b=1"}
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
    assert first.referrer == "https://login.example/?q=1"
    assert json.loads(outcome.rows.failed[0].raw)["properties"]["page"] == first.url


@pytest.mark.parametrize(
    "properties",
    [
        {"url": "https://a.example/?utm_source=x", "search_query": "?token=HUSH"},
        {"url": "https://a.example/?utm_source=x", "search_query": "https://me:HUSH@a.example"},
        {"url": "https://a.example/?utm_source=x", "search_query": "?token%3dHUSH"},
        {"url": "https://a.example/?utm_source=x", "search_query": "?token=HUSH", "referrer": "https://b.example/?q=1"},
        {"url": "https://a.example/?utm_source=x", "not_planned": "?token=HUSH"},
        {"url": 5, "search_query": "?token=HUSH"},
        {"referrer": "https://b.example/?q=1", "search_query": "?token=HUSH"},
        {"url": None, "referrer": "", "search_query": "?token=HUSH"},
        {"url": "?token=HUSH&utm_source=x", "title": "a=b"},
    ],
)
def test_secrets_beside_the_addresses_of_a_page_are_stored_nowhere(tools: Tools, properties: dict[str, Any]) -> None:
    context = {"page": {"url": "https://a.example/?utm_source=x", "referrer": "https://a.example/"}}
    outcome = judge(tools, {"type": "page", "properties": properties}, context=context)
    assert len(outcome.rows.events) + len(outcome.rows.failed) == 1
    assert b"HUSH" not in msgspec.json.encode([outcome.rows.events, outcome.rows.failed])


def test_what_holds_no_secret_is_stored_as_sent(tools: Tools) -> None:
    sent = {"href": "https://a.example/?q=1&s=2", "formula": "a=b&c=d", "n": 1.50}
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
    table = msgspec.structs.replace(shipped_table(), click_ids={"epik": "display"})
    own = Tools(plan=tools.plan, geo=tools.geo, salts=tools.salts, locator=Locator(Addresses(table)))
    found = row(own, context={"campaign": "utm_source=news&epik=7&gclid=8"})
    assert (found.utm_source, found.click_id_type, found.click_id) == ("news", "epik", "7")
    assert row(tools, context={"campaign": "utm_source=news&epik=7&gclid=8"}).click_id == "8"


def test_a_context_without_hints_costs_no_look_at_them() -> None:
    """device_of and noted tell by identity that there are none."""
    assert NO_CONTEXT.known.userAgentData is msgspec.json.decode(b'{"locale":"fr"}', type=Context).userAgentData


def hinted(versions: str = "", system_version: str = "", model: str = "", platform: str = '"Windows"') -> Request:
    """A request of Chrome with these exact hints in its headers."""
    sent = {"platform": platform, "full-version-list": versions, "platform-version": system_version, "model": model}
    headers = [(f"sec-ch-ua-{name}".encode(), value.encode("latin-1", "replace")) for name, value in sent.items()]
    exact = exact_hints_of(read_head(headers, b""))
    return msgspec.structs.replace(BROWSER, hints=("?0", platform, ""), exact=exact)


VERSIONS = '"Chromium";v="156.0.6000.1", "Google Chrome";v="156.1.6000.1", "Not A(Brand";v="99.0"'


def test_exact_hints_in_headers_count_for_more_than_the_frozen_user_agent(tools: Tools) -> None:
    told = row(tools, hinted(VERSIONS, '"15.0.0"', '""'))
    assert (told.browser, told.browser_version, told.os, told.os_version) == ("Chrome", "156.1", "Windows", "11")
    assert "hints_malformed" not in told.sender_flags
    phone = row(tools, hinted(VERSIONS, '"14.0"', '"Pixel 8"', '"Android"'))
    assert (phone.os, phone.os_version, phone.device_model) == ("Android", "14.0", "Pixel 8")
    by_script = {"userAgentData": {"platform": "Windows", "platformVersion": "10.0.0"}}
    assert row(tools, hinted(VERSIONS, '"15.0.0"'), context=by_script).os_version == "10", "a script asked just now"
    server = msgspec.structs.replace(hinted(VERSIONS, '"15.0.0"'), is_server=True)
    assert row(tools, server, context={"userAgent": CHROME}).os_version == "10", "its own browser is nobody's"


@pytest.mark.parametrize(
    ("versions", "system_version", "model"),
    [
        ("Chrome 156", "", ""),
        (VERSIONS, "15.0.0", ""),
        (VERSIONS, '"fifteen"', ""),
        (VERSIONS, '"15', '"'),
        ("", "", '"a" "b"'),
        ('"', "\xff\x00", '"\\""'),
    ],
)
def test_malformed_exact_hints_are_flagged_and_cost_no_event(
    tools: Tools, versions: str, system_version: str, model: str
) -> None:
    told = row(tools, hinted(versions, system_version, model))
    assert (told.browser, told.os, told.device_class) == ("Chrome", "Windows", "desktop")
    assert "hints_malformed" in told.sender_flags.split()


def test_long_exact_hints_are_cut_and_bounded(tools: Tools) -> None:
    begun = time.thread_time()
    for n in range(50):
        told = row(tools, hinted(f'"B{n}";v="1", ' * 4_000, f'"{n}' + "1" * 60_000, f'"M{n}' + "x" * 60_000 + '"'))
        assert told.device_model == ""
    assert time.thread_time() - begun < 5.0
