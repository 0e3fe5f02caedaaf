"""Which user agents count as bots: the whole public crawler list does, people and Segment's server libraries do not."""

from __future__ import annotations

import pytest
import ua_parser_rs
from crawleruseragents import CRAWLER_USER_AGENTS_DATA, is_crawler

from collector.enrichment.device import Device, parse_device

CATALOGUE = sorted({ua[:512] for entry in CRAWLER_USER_AGENTS_DATA for ua in entry["instances"]})

SYSTEMS = [
    "Windows NT 10.0; Win64; x64",
    "Windows NT 6.1; WOW64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "X11; CrOS x86_64 14541.0.0",
    "Linux; Android 10; K",
    "Linux; Android 14; SM-S918B",
    "Linux; Android 13; CUBOT_X18_Plus",
    "Linux; Android 12; Robot 7",
    "Linux; Android 11; Redmi Note 9 Pro",
    "iPhone; CPU iPhone OS 17_4_1 like Mac OS X",
    "iPad; CPU OS 16_6 like Mac OS X",
    "Web0S; Linux/SmartTV",
]
PROGRAMS = [
    "Chrome/156.0.0.0 Safari/537.36",
    "Chrome/156.0.0.0 Mobile Safari/537.36",
    "Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0",
    "Chrome/156.0.0.0 Safari/537.36 OPR/120.0.0.0",
    "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
    "Version/17.4 Mobile/15E148 Safari/604.1",
    "Version/4.0 Chrome/120.0.6099.43 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/440.0;]",
    "Mobile/15E148 Instagram 320.0.0.0",
    "Electron/28.0.0 Chrome/120.0.0.0 Safari/537.36",
    "YaBrowser/24.1.0.0 Safari/537.36",
]


def test_every_user_agent_of_the_crawler_list_is_a_bot() -> None:
    missed = [ua for ua in CATALOGUE if not parse_device(ua).is_bot]
    left_out = ("okhttp", "GoogleImageProxy", "YahooMailProxy")  # on purpose, see collector/enrichment/device.py
    assert [ua for ua in missed if not any(name in ua for name in left_out)] == []
    assert len(missed) < 10 < len(CATALOGUE)


def test_the_engine_answers_as_the_packages_own_search_does() -> None:
    engine = ua_parser_rs.UserAgentExtractor(
        (entry["pattern"], "listed", None, None, None, None) for entry in CRAWLER_USER_AGENTS_DATA
    )
    people = [f"Mozilla/5.0 ({system}) {program}" for system in SYSTEMS for program in PROGRAMS]
    for number, ua in enumerate(CATALOGUE + people):
        changed = (ua, ua.lower(), ua[: len(ua) // 2], ua[len(ua) // 2 :], f"x{ua}x")[number % 5]
        assert (engine.extract(changed) is not None) == is_crawler(changed), changed


@pytest.mark.parametrize("system", SYSTEMS)
def test_people_are_not_bots(system: str) -> None:
    for program in PROGRAMS:
        device = parse_device(f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) {program}")
        assert (device.is_bot, device.bot_reason) == (False, ""), program


@pytest.mark.parametrize(
    ("user_agent", "reason"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawler"),
        ("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", "crawler"),
        ("Mozilla/5.0 (compatible; NobodyKnowsThisBot/0.1; +http://example.com/bot)", "crawler"),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "crawler"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36", "headless"),
        ("Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 PhantomJS/2.1.1 Safari/538.1", "headless"),
        ("Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/22.1.0", "headless"),
        ("python-requests/2.32.3", "http_client"),
        ("Python/3.11 aiohttp/3.9", "http_client"),
        ("curl/8.5.0", "http_client"),
        ("Wget/1.21", "http_client"),
        ("Go-http-client/2.0", "http_client"),
        ("axios/1.7.2", "http_client"),
        ("node", "http_client"),
        ("node-fetch/1.0", "http_client"),
        ("Java-http-client/17.0.1", "http_client"),
        ("Java/17.0.1", "http_client"),
        ("PostmanRuntime/7.36", "http_client"),
    ],
)  # fmt: skip
def test_a_bot_says_why(user_agent: str, reason: str) -> None:
    device = parse_device(user_agent)
    assert (device.is_bot, device.device_class, device.bot_reason) == (True, "bot", reason)


@pytest.mark.parametrize(
    "user_agent",
    [
        "",
        "analytics-python/2.4.0",
        "analytics-node/3.1.0",
        "analytics-node-next/latest",
        "analytics-go (version: 3.0.0)",
        "analytics-ruby/2.4.0",
        "AnalyticsRuby/2.4.0",
        "analytics-java/3.4.0",
        "analytics-php/3.8.1",
        "analytics.net/2.0",
        "analytics-kotlin/1.14",
        "analytics-ios/1.5",
        "RudderLabs/1.0",
        "okhttp/4.12.0",
        "Dart/3.2 (dart:io)",
        "MyApp/1 CFNetwork/1410.0.3 Darwin/22.6.0",
        "node-red-visitor/1.0",
    ],
)
def test_libraries_that_speak_for_people_are_not_bots(user_agent: str) -> None:
    assert not parse_device(user_agent).is_bot


@pytest.mark.parametrize(
    ("user_agent", "browser"),
    [
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "GmailImageProxy",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "YahooMailProxy"),
    ],
)
def test_the_reader_of_an_e_mail_is_no_bot_though_a_proxy_loads_its_images(user_agent: str, browser: str) -> None:
    assert parse_device(user_agent) == Device(browser=browser)
