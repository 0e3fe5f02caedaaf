"""parse_device: browsers, systems and classes of real user agents, client hints, and hostile text."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrichment.device import (
    DEVICE_CACHE_MAX,
    HINTED_CACHE_MAX,
    Brand,
    Device,
    Hints,
    _parse_cached,
    as_bot,
    parse_device,
    with_hints,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))
quick = settings(derandomize=True, database=None, deadline=None, max_examples=80)

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS_CHROME = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/156.0.0.0 Safari/537.36"
MAC_CHROME = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/156.0.0.0 Safari/537.36"
LINUX_CHROME = f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/156.0.0.0 Safari/537.36"
PHONE_CHROME = f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/156.0.0.0 Mobile Safari/537.36"
TABLET_CHROME = f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/156.0.0.0 Safari/537.36"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

DEVICES = [
    (WINDOWS_CHROME, "Chrome", "156.0", "Windows", "10", "desktop"),
    (f"{WINDOWS_CHROME} Edg/156.0.0.0", "Edge", "156.0", "Windows", "10", "desktop"),
    (f"{WINDOWS_CHROME} OPR/120.0.0.0", "Opera", "120.0", "Windows", "10", "desktop"),
    (MAC_CHROME, "Chrome", "156.0", "Mac OS X", "10.15", "desktop"),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/17.4 Safari/605.1.15",
        *("Safari", "17.4", "Mac OS X", "10.15", "desktop"),
    ),
    (LINUX_CHROME, "Chrome", "156.0", "Linux", "", "desktop"),
    (
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
        *("Firefox", "130.0", "Ubuntu", "", "desktop"),
    ),
    (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/156.0.0.0 Safari/537.36",
        *("Chrome", "156.0", "Chrome OS", "14541.0", "desktop"),
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        *("IE", "11.0", "Windows", "7", "desktop"),
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) {APPLE} Version/17.4 Mobile/15E148 Safari/604.1",
        *("Mobile Safari", "17.4", "iOS", "17.4", "mobile"),
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {APPLE} Mobile/15E148 [FBAN/FBIOS;FBAV/440.0]",
        *("Facebook", "440.0", "iOS", "17.0", "mobile"),
    ),
    (
        f"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {APPLE} Version/16.6 Mobile/15E148 Safari/604.1",
        *("Mobile Safari", "16.6", "iOS", "16.6", "tablet"),
    ),
    (PHONE_CHROME, "Chrome Mobile", "156.0", "Android", "10", "mobile"),
    (TABLET_CHROME, "Chrome", "156.0", "Android", "10", "tablet"),
    (
        "Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0",
        *("Firefox Mobile", "130.0", "Android", "14", "mobile"),
    ),
    (
        "Mozilla/5.0 (Android 14; Tablet; rv:130.0) Gecko/130.0 Firefox/130.0",
        *("Firefox Mobile", "130.0", "Android", "14", "tablet"),
    ),
    (
        "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A)",
        *("Android", "13", "Android", "13", "mobile"),
    ),
    ("MyApp/1 CFNetwork/1410.0.3 Darwin/22.6.0", "MyApp", "1", "iOS", "16", "mobile"),
    (
        "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10",
        *("Opera Mini", "7.1", "", "", "mobile"),
    ),
    (
        f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {WEBKIT} 76.0.3809.146/6.0 TV Safari/537.36",
        *("Safari", "", "Tizen", "6.0", "tv"),
    ),
    (
        f"Mozilla/5.0 (Web0S; Linux/SmartTV) {WEBKIT} Chrome/79.0.3945.79 Safari/537.36 WebAppManager",
        *("Chrome", "79.0", "Web0S", "", "tv"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 9; AFTSSS) {WEBKIT} Silk/92.2.11 like Chrome/92.0.4515.159 Safari/537.36",
        *("Amazon Silk", "92.2", "Android", "9", "tv"),
    ),
    ("Roku/DVP-9.10 (519.10E04111A)", "Roku", "9.10", "Roku", "9.10", "tv"),
    ("okhttp/4.12.0", "okhttp", "4.12", "", "", "unknown"),
    ("", "", "", "", "", "unknown"),
    ("gibberish", "", "", "", "", "unknown"),
]


@pytest.mark.parametrize("row", DEVICES)
def test_a_user_agent_names_browser_system_and_class(row: tuple[str, ...]) -> None:
    device = parse_device(row[0])
    assert (device.browser, device.browser_version, device.os, device.os_version, device.device_class) == row[1:]
    assert (device.is_bot, device.bot_reason) == (False, "")


@pytest.mark.parametrize(
    ("user_agent", "mobile", "platform", "expected"),
    [
        (WINDOWS_CHROME, "?0", '"Windows"', ("Windows", "10", "desktop")),
        (MAC_CHROME, "?0", '"macOS"', ("Mac OS X", "10.15", "desktop")),
        (PHONE_CHROME, "?1", '"Android"', ("Android", "10", "mobile")),
        (PHONE_CHROME, "?0", '"Android"', ("Android", "10", "tablet")),
        (TABLET_CHROME, "?1", '"Android"', ("Android", "10", "mobile")),
        (LINUX_CHROME, "?1", '"Android"', ("Android", "", "mobile")),
        (LINUX_CHROME, "?0", '"Android"', ("Android", "", "tablet")),
        (LINUX_CHROME, "?0", '"Chrome OS"', ("Chrome OS", "", "desktop")),
        (LINUX_CHROME.replace("X11;", "X11; Ubuntu;"), "?0", '"Linux"', ("Ubuntu", "", "desktop")),
        ("", "?0", '"Windows"', ("Windows", "", "desktop")),
        ("", "?1", '"Android"', ("Android", "", "mobile")),
        ("", "?1", "", ("", "", "mobile")),
        (WINDOWS_CHROME, "?2", '"Unknown"', ("Windows", "10", "desktop")),
        (WINDOWS_CHROME, "\x00" * 99, "\ud800", ("Windows", "10", "desktop")),
        (WINDOWS_CHROME, "1", "Windows", ("Windows", "10", "desktop")),
        ("Roku/DVP-9.10 (519.10E04111A)", "?1", '"Android"', ("Roku", "9.10", "tv")),
    ],
)
def test_client_hints_refine_system_and_class(
    user_agent: str, mobile: str, platform: str, expected: tuple[str, str, str]
) -> None:
    device = parse_device(user_agent, mobile, platform)
    assert (device.os, device.os_version, device.device_class) == expected


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        ('"Chromium";v="156", "Google Chrome";v="156", "Not?A_Brand";v="99"', ("Chrome", "156.0", "")),
        ('"Chromium";v="156", "Brave";v="156", "Not?A_Brand";v="99"', ("Brave", "156", "")),
        ('"Vivaldi";v="7", "Chromium";v="156"', ("Vivaldi", "7", "")),
        ('"HeadlessChrome";v="156", "Chromium";v="156"', ("Chrome", "156.0", "headless")),
        ('"Brave";v="', ("Chrome", "156.0", "")),
        ("\x00\ud800" * 999, ("Chrome", "156.0", "")),
    ],
)
def test_the_brand_list_names_browsers_that_call_themselves_chrome(brands: str, expected: tuple[str, str, str]) -> None:
    device = parse_device(WINDOWS_CHROME, "?0", '"Windows"', brands)
    assert (device.browser, device.browser_version, device.bot_reason) == expected


@pytest.mark.parametrize(
    "user_agent",
    [
        "A" * 65_536,
        "Mozilla/5.0 (" * 5_000,
        WINDOWS_CHROME + " x/1.0" * 10_000,
        "Mozilla/5.0 (Linux; Android 9; " + "a" * 65_536,
        "\x00" * 65_536,
        "\ud800" * 65_536,
        "\U0001f600" * 65_536,
        "1" * 65_536,
        "; " * 32_768,
    ],
    ids=["letters", "(", "products", "model", "NUL", "surrogates", "emoji", "digits", ";"],
)
def test_64_kb_cost_no_more_than_the_512_characters_that_count(user_agent: str) -> None:
    parse_device("engines are loaded")
    started = time.thread_time()
    device = parse_device(user_agent, user_agent, user_agent, user_agent)
    assert time.thread_time() - started < 0.1  # below 1 ms; uncut, a second
    short = parse_device(user_agent[:512], user_agent[:8], user_agent[:32], user_agent[:256])
    assert device == msgspec.structs.replace(short, flags="user_agent_cut hints_malformed")


@quick
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_makes_it_raise_or_give_what_cannot_be_stored(ua: str, mobile: str, platform: str, brands: str) -> None:
    for text in (ua, f"Mozilla/5.0 ({ua}) {platform}/{mobile} {ua}"):
        device = parse_device(text, mobile, platform, brands)
        assert device.device_class in {"desktop", "mobile", "tablet", "tv", "bot", "unknown"}
        assert device.is_bot == (device.device_class == "bot") == (device.bot_reason != "")
        for name in (device.browser, device.browser_version, device.os, device.os_version):
            assert len(name.encode("utf-8")) <= 4 * 64


def test_a_flood_of_user_agents_stays_within_the_cache() -> None:
    for number in range(DEVICE_CACHE_MAX + 100):
        parse_device(f"flood/{number}")
    assert _parse_cached.cache_info().currsize == DEVICE_CACHE_MAX


@pytest.mark.parametrize(
    ("system", "platform", "version", "named"),
    [
        ("Windows NT 10.0; Win64; x64", "Windows", "15.0.0", "11"),
        ("Windows NT 10.0; Win64; x64", "Windows", "13.0.0", "11"),
        ("Windows NT 10.0; Win64; x64", "Windows", "10.0.0", "10"),
        ("Windows NT 6.1; Win64; x64", "Windows", "0.1.0", "7"),
        ("Macintosh; Intel Mac OS X 10_15_7", "macOS", "14.5.0", "14.5"),
        ("Linux; Android 10; K", "Android", "16", "16"),
        ("Linux; Android 10; K", "Windows", "15.0.0", "10"),
        ("Linux; Android 10; K", "Android", "sixteen", "10"),
        ("Linux; Android 10; K", "Android", "9" * 1_000, "10"),
        ("Linux; Android 10; K", "x" * 1_000, "16", "10"),
        ("X11; Linux x86_64", "Linux", "6.8.0", "6.8"),
    ],
)
def test_a_stated_platform_version_is_truer_than_the_frozen_user_agent(
    system: str, platform: str, version: str, named: str
) -> None:
    device = parse_device(
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
    )
    known = with_hints(device, Hints(platform=platform, platformVersion=version))
    assert known.os_version == named
    assert known.flags == ("" if version[:1].isdigit() and len(version) < 100 else "hints_malformed")
    assert msgspec.structs.replace(known, os_version=device.os_version, flags="") == device


@pytest.mark.parametrize(
    ("brands", "user_agent", "expected"),
    [
        ((("Chromium", "156.0"), ("Google Chrome", "156.3.7"), ("Not?A", "99")), WINDOWS_CHROME, ("Chrome", "156.3")),
        ((("Not A;Brand", "8.0"), ("Google Chrome", "157.0.1")), PHONE_CHROME, ("Chrome Mobile", "157.0")),
        ((("Brave", "156.1.70.117"), ("Chromium", "156.0.0.0")), WINDOWS_CHROME, ("Brave", "156.1")),
        ((("Microsoft Edge", "156.0.3400.2"),), f"{WINDOWS_CHROME} Edg/156.0.0.0", ("Edge", "156.0")),
        ((("Google Chrome", "newest"),), WINDOWS_CHROME, ("Chrome", "156.0")),
        ((("Google Chrome", "9" * 999),), WINDOWS_CHROME, ("Chrome", "156.0")),
        ((("x", "1"),) * 5_000, WINDOWS_CHROME, ("Chrome", "156.0")),
    ],
)  # fmt: skip
def test_a_full_list_of_brands_names_the_browser_and_its_version(
    brands: tuple[tuple[str, str], ...], user_agent: str, expected: tuple[str, str]
) -> None:
    device = parse_device(user_agent)
    known = with_hints(device, Hints(fullVersionList=tuple(Brand(*each) for each in brands)))
    assert (known.browser, known.browser_version) == expected
    assert (known.os, known.device_class, known.is_bot) == (device.os, device.device_class, False)


def test_a_headless_brand_in_the_full_list_is_a_bot_s() -> None:
    known = with_hints(parse_device(WINDOWS_CHROME), Hints(fullVersionList=(Brand("HeadlessChrome", "156.0.0.0"),)))
    assert (known.is_bot, known.bot_reason, known.device_class) == (True, "headless", "bot")


@pytest.mark.parametrize(
    ("user_agent", "brand", "model"),
    [
        (PHONE_CHROME, "", ""),
        (PHONE_CHROME.replace("10; K", "13; SM-S918B"), "Samsung", "SM-S918B"),
        (PHONE_CHROME.replace("10; K", "13; Pixel 8 Pro"), "Google", "Pixel 8 Pro"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X)", "Apple", "iPhone"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0", "", ""),
        (WINDOWS_CHROME, "", ""),
    ],
)
def test_a_user_agent_names_the_maker_and_the_model_unless_they_are_frozen(
    user_agent: str, brand: str, model: str
) -> None:
    device = parse_device(user_agent)
    assert (device.device_brand, device.device_model) == (brand, model)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("SM-S918B", ("Samsung", "SM-S918B")),
        ("Pixel 8 Pro", ("Google", "Pixel 8 Pro")),
        ("Unheard-Of 3", ("", "Unheard-Of 3")),
        ("", ("", "")),
        ("\x00\ud800\n", ("", "")),
        ("x" * 999, ("", "x" * 64)),
        (") bot crawler", ("", ") bot crawler")),
    ],
)
def test_a_model_that_a_script_asked_for_is_told_and_its_maker_with_it(model: str, named: tuple[str, str]) -> None:
    known = with_hints(parse_device(PHONE_CHROME), Hints(model=model))
    assert (known.device_brand, known.device_model) == named
    assert not known.is_bot
    known.device_model.encode()


def test_low_entropy_hints_of_a_script_say_what_headers_say() -> None:
    hints = Hints(platform="Android", mobile=True, brands=(Brand("Brave", "156"), Brand("Chromium", "156")))
    assert hints.as_headers() == ("?1", '"Android"', '"Brave";v="156", "Chromium";v="156"')
    device = parse_device(LINUX_CHROME, *hints.as_headers())
    assert (device.browser, device.os, device.device_class, device.flags) == ("Brave", "Android", "mobile", "")
    assert Hints().as_headers() == ("", "", "")


@pytest.mark.parametrize(
    "hints",
    [
        ("yes", "", ""),
        ("?2", "", ""),
        ("", "Windows", ""),
        ("", '"Win"dows"', ""),
        ("", "", "Chrome 156"),
        ("", "", '"Chromium";v=156'),
        ("", "", '"Chromium";v="156",'),
        ("\x00", "\ud800", '"' * 300),
        ("?1" * 5_000, '"' + "x" * 5_000 + '"', "a" * 5_000),
    ],
)
def test_malformed_client_hints_are_flagged_and_cost_nothing_else(hints: tuple[str, str, str]) -> None:
    device = parse_device(WINDOWS_CHROME, *hints)
    assert device.flags == "hints_malformed"
    assert msgspec.structs.replace(device, flags="") == parse_device(WINDOWS_CHROME)


def test_hints_of_browsers_are_not_taken_for_malformed() -> None:
    brands = '"Not)A;Brand";v="8", "Chromium";v="138", "Microsoft Edge";v="138", "Microsoft Edge WebView2";v="138"'
    assert parse_device(WINDOWS_CHROME, "?0", '"Chrome OS"', brands).flags == ""


def test_the_first_reason_for_a_bot_stays() -> None:
    bot = parse_device("Googlebot/2.1 (+http://www.google.com/bot.html)")
    assert as_bot(bot, "webdriver") is bot
    assert with_hints(bot, Hints(model="Pixel 8")) is bot
    assert as_bot(Device(browser="Chrome"), "prefetch") == Device(
        "Chrome", device_class="bot", is_bot=True, bot_reason="prefetch"
    )


def test_a_flood_of_hints_stays_within_the_cache() -> None:
    device = parse_device(WINDOWS_CHROME)
    for number in range(HINTED_CACHE_MAX + 100):
        with_hints(device, Hints(platform="Windows", platformVersion=f"15.0.{number}"))
    assert with_hints.cache_info().currsize == HINTED_CACHE_MAX
