"""What the visitor's device is, from the user agent and from client hints.

    user agent, Sec-CH-UA-Mobile, Sec-CH-UA-Platform, Sec-CH-UA --parse_device--> Device
    Device, hints that a script asked for --with_hints--> Device

Browsers send the first hints by default, and what they say wins over the user agent, which Chromium has frozen (Windows
10, macOS 10.15, Android 10; K). Exact versions and the model are there when the page has the tag ask for them.

ua-parser's Rust engine names browser, system and device; user-agents keeps its rules that turn those names into phone,
tablet or computer (its own parse is 25 times slower, so it is never called); the crawler-user-agents list names the
bots. That list, too, is run by the Rust engine: 1,500 patterns are searched at once in 3 us where Python's `re` takes
120 us or more, with the same answers (tests/enrich/test_device_bots.py compares them on the whole list).

Bots are flagged and kept, never dropped: views decide. `is_bot` is true exactly when `device_class` is "bot".

Known limit: an iPad that asks for desktop pages says it is a Mac.
"""

from __future__ import annotations

import re
import sys
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import msgspec
import ua_parser_rs
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser import Domain, PartialResult, Resolver
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver as RustResolver

_OLD_INTERFACE = "ua_parser.user_agent_parser"


def _user_agents() -> Any:
    """The module of user-agents' rules, without what it imports for its own parse.

    That is ua-parser's old interface, which compiles 1,200 patterns by `re`: 0.3 of the 1.0 s of CPU in which a
    worker starts, for something that is never called. An empty module stands in its place for the length of the import.
    """
    stands_in = _OLD_INTERFACE not in sys.modules
    if stands_in:
        sys.modules[_OLD_INTERFACE] = ModuleType(_OLD_INTERFACE)
    try:
        return import_module("user_agents.parsers")
    finally:
        if stands_in:
            del sys.modules[_OLD_INTERFACE]


_rules = _user_agents()
_Base: Any = _rules.UserAgent

# A real user agent is 80-300 characters. A 64 KB one costs over a second of regular expressions (CVE-2020-5243), so it
# is cut before it is parsed and before it becomes a cache key.
USER_AGENT_MAX = 512
MOBILE_HINT_MAX = 8
PLATFORM_HINT_MAX = 32
BRANDS_HINT_MAX = 256
VERSIONS_HINT_MAX = 512

# Names and versions come out of attacker-controlled text; no real one is longer.
NAME_MAX = 64

# A busy site sees some thousand user agents a day. At most 10,000 x about 1 KB (4 KB in the widest text) stay.
DEVICE_CACHE_MAX = 10_000
HINTED_CACHE_MAX = 2_000  # x about 2 KB
BRANDS_MAX = 16  # of one list; browsers name three

WINDOWS_11 = 13  # the platform version that its first release states

# Programs that the crawler list does not name. `node` and its kin are what server scripts send when nobody set a name.
_HEADLESS = ("HeadlessChrome", "PhantomJS", "SlimerJS", "jsdom/", "Cypress/", "Playwright", "Puppeteer", "[wW]ebDriver")
_HTTP_CLIENTS = (
    "^(?:node|undici|Deno|Bun|Ruby)(?:/|$)",
    "^(?:GuzzleHttp|PostmanRuntime|insomnia|Java|Java-http-client|rest-client|reqwest|hyper|fasthttp|go-resty)/",
    "^PycURL",
)

# Listed as a crawler, but the network library of Android and React Native apps: people's phones send it.
_NOT_CRAWLERS = frozenset({"okhttp"})
# Listed too, but what loads an e-mail's images for its reader: without them nobody with Gmail would open an e-mail.
# They name a system and a browser that are nobody's.
_MAIL_PROXIES = re.compile("GoogleImageProxy|YahooMailProxy")
_REASON_OF_TAG = {"http-library": "http_client", "browser-automation": "headless"}

# What a television says, or a console plugged into one. Fire TV sticks say AFT and a model; Web0S is LG's spelling.
_TELEVISIONS = (
    "(?i)smart-?tv|google ?tv|android ?tv|apple ?tv|hbbtv|netcast|web0s|webos[.]tv|bravia|crkey|vidaa",
    "(?i)tizen.{0,40}[^a-z]tv|playstation [345]|xbox|wiiu",
    "Roku|[^A-Za-z]AFT[A-Z]",
)

_SYSTEM_OF_HINT = {
    "windows": "Windows",
    "macos": "Mac OS X",
    "android": "Android",
    "ios": "iOS",
    "linux": "Linux",
    "chrome os": "Chrome OS",
    "chromium os": "Chrome OS",
}
_POCKET_SYSTEMS = frozenset({"Android", "iOS"})

_VERSION = re.compile(r"([0-9]{1,5})(?:\.([0-9]{1,5}))?(?![0-9])")

# Browsers whose user agent says Chrome and whose brand list says who they are.
_UNNAMED = (
    "Brave",
    "Vivaldi",
    "DuckDuckGo",
    "Opera GX",
    "Whale",
    "Avast Secure Browser",
    "AVG Secure Browser",
    "Norton",
)
_BRAND = re.compile(rf'"({"|".join(_UNNAMED)})";\s*v="(\d{{1,5}})')
# All brands of a full list that are names of browsers, and what ua-parser calls those that it knows.
_BROWSER_OF_BRAND = {
    **{name: name for name in _UNNAMED},
    "Google Chrome": "Chrome",
    "Microsoft Edge": "Edge",
    "Opera": "Opera",
    "Samsung Internet": "Samsung Internet",
    "YaBrowser": "Yandex Browser",
    "Android WebView": "Chrome Mobile WebView",
}
# Of the forms that the structured fields of the hints may have (RFC 8941), those that browsers send.
_MOBILE_HINT = re.compile(r"\?[01]")
_PLATFORM_HINT = re.compile(r'"[^"\\]{0,30}"')
_TEXT_HINT = re.compile(r'"([^"\\]{0,62})"')
_VERSIONS = re.compile(r'"([^"]{0,60})";\s?v="([^"]{0,30})"')
_BRANDS_HINT = re.compile(r'"[^"]{0,60}";\s?v="[^"]{0,30}"(?:\s*,\s*"[^"]{0,60}";\s?v="[^"]{0,30}")*')


class Device(msgspec.Struct, frozen=True, gc=False):
    """What one user agent says. Texts are "" where it says nothing; versions are major.minor.

    `flags` are words about what was sent: user_agent_cut, hints_malformed; not a column of its own.
    """

    browser: str = ""
    browser_version: str = ""
    os: str = ""
    os_version: str = ""
    device_class: str = "unknown"
    is_bot: bool = False
    bot_reason: str = ""
    device_brand: str = ""
    device_model: str = ""
    flags: str = ""


class Brand(msgspec.Struct, frozen=True, gc=False):
    """One line of a brand list."""

    brand: str = ""
    version: str = ""


class Hints(msgspec.Struct, frozen=True, gc=False):
    """Client hints that a script has read, by their names in NavigatorUAData.getHighEntropyValues."""

    platform: str = ""
    platformVersion: str = ""
    model: str = ""
    malformed: bool = False  # of headers: one of them is no structured field as browsers write it
    mobile: bool | None = None
    brands: tuple[Brand, ...] = ()
    fullVersionList: tuple[Brand, ...] = ()

    def as_headers(self) -> tuple[str, str, str]:
        """The low-entropy ones, as Sec-CH-UA-Mobile, Sec-CH-UA-Platform and Sec-CH-UA would say them."""
        return (
            "" if self.mobile is None else f"?{self.mobile:d}",
            f'"{self.platform[:PLATFORM_HINT_MAX]}"' if self.platform else "",
            ", ".join(f'"{each.brand[:NAME_MAX]}";v="{each.version[:16]}"' for each in self.brands[:BRANDS_MAX]),
        )


NO_HINTS = Hints()

# What asks for the exact ones, in a page's head or answer. Architecture and bitness have no column: not asked for.
EXACT_HINTS = ("Sec-CH-UA-Full-Version-List", "Sec-CH-UA-Platform-Version", "Sec-CH-UA-Model")


class _Classes(_Base):  # type: ignore[misc]  # user_agents ships no types
    """user-agents' rules for phone, tablet and computer, over a result that ua-parser already has."""

    def __init__(self, text: str, found: PartialResult) -> None:
        # The parent's constructor would parse `text` again, in Python; its rules read only these four attributes.
        system = found.os
        self.ua_string = text
        self.browser = _rules.Browser(found.user_agent.family if found.user_agent else "Other", (), "")
        self.os = _rules.OperatingSystem(system.family if system else "Other", (), (system and system.major) or "")
        self.device = _rules.Device(found.device.family if found.device else "Other", None, None)

    def device_class(self) -> str:
        """Return desktop, mobile, tablet, tv or unknown."""
        text = self.ua_string
        if _televisions().extract(text):
            return "tv"
        if text.startswith("Dalvik/"):
            return "mobile"  # an Android app's own user agent; it lacks the word that tells phones from tablets
        if self.is_tablet or "; Tablet;" in text:
            return "tablet"
        if self.is_mobile:
            return "mobile"
        return "desktop" if self.is_pc else "unknown"


def parse_device(user_agent: str, mobile_hint: str = "", platform_hint: str = "", brands_hint: str = "") -> Device:
    """Name the device behind a request. Never raises, whatever the texts hold.

    Args:
        user_agent: The User-Agent; all after 512 characters is ignored. An empty one is no bot, only unknown: server
            libraries send events on behalf of people whose user agent they do not know.
        mobile_hint: Sec-CH-UA-Mobile as sent: "?0" or "?1"; anything else is ignored.
        platform_hint: Sec-CH-UA-Platform as sent, such as '"Windows"'; an unknown one is ignored.
        brands_hint: Sec-CH-UA as sent, such as '"Chromium";v="156", "Brave";v="156"'.
    Returns:
        The device. `bot_reason` is "", "crawler", "headless" or "http_client"; enrich adds those that the request, the
        address and the page give away.
    """
    if len(user_agent) <= USER_AGENT_MAX:
        # Looked at first: slices that cut nothing, as nearly all would be, take as long as the cache's answer.
        if len(brands_hint) > BRANDS_HINT_MAX or len(platform_hint) > PLATFORM_HINT_MAX:
            platform_hint, brands_hint = platform_hint[:PLATFORM_HINT_MAX], brands_hint[:BRANDS_HINT_MAX]
        if len(mobile_hint) > MOBILE_HINT_MAX:
            mobile_hint = mobile_hint[:MOBILE_HINT_MAX]
        return _parse_cached(user_agent, mobile_hint, platform_hint, brands_hint)
    device = parse_device(user_agent[:USER_AGENT_MAX], mobile_hint, platform_hint, brands_hint)
    return msgspec.structs.replace(device, flags=f"user_agent_cut {device.flags}".rstrip())


@lru_cache(maxsize=HINTED_CACHE_MAX)
def exact_hints(platform: str, versions: str, platform_version: str, model: str) -> Hints:
    """The hints that a browser sends in headers where a page has asked for them, as a script would have read them.

    Args:
        platform: Sec-CH-UA-Platform as sent; the versions are of this system.
        versions: Sec-CH-UA-Full-Version-List as sent, cut to VERSIONS_HINT_MAX.
        platform_version: Sec-CH-UA-Platform-Version as sent, such as '"15.0.0"'; cut to NAME_MAX, as is the next.
        model: Sec-CH-UA-Model as sent, such as '"Pixel 9"'; '""' on computers.
    Returns:
        What can be read of them; `malformed` where something cannot.
    """
    malformed = len(versions) < VERSIONS_HINT_MAX and bool(versions) and not _BRANDS_HINT.fullmatch(versions.strip())
    texts = []
    for sent in (platform_version, model):
        found = _TEXT_HINT.fullmatch(sent.strip())
        malformed = malformed or (found is None and sent != "")
        texts.append(found.group(1) if found else "")
    brands = _VERSIONS.findall(versions)[:BRANDS_MAX]
    return Hints(
        platform=platform.strip(' "'),
        platformVersion=texts[0],
        model=texts[1],
        malformed=malformed,
        fullVersionList=tuple(Brand(brand, version) for brand, version in brands),
    )


@lru_cache(maxsize=HINTED_CACHE_MAX)
def with_hints(device: Device, hints: Hints) -> Device:
    """The device with what a script has asked for: the exact system, the browser's brand and version, the model.

    Args:
        device: As parse_device names it; a bot stays what it is.
        hints: A version of another system than the device's is not believed.
    Returns:
        The device; with the flag hints_malformed where a version is none.
    Source: the User-Agent Client Hints specification, section 3.7, and Microsoft's table of Windows versions for it.
    """
    if device.is_bot:
        return device
    if any(each.brand == "HeadlessChrome" for each in hints.fullVersionList[:BRANDS_MAX]):
        return as_bot(device, "headless")
    changes = _browser_of(hints) | _model_of(hints)
    if hints.malformed:
        changes["flags"] = _with_flag(device.flags, "hints_malformed")
    if hints.platformVersion:
        numbers = _VERSION.match(hints.platformVersion[:NAME_MAX])
        if numbers is None:
            changes["flags"] = _with_flag(device.flags, "hints_malformed")
        elif _SYSTEM_OF_HINT.get(hints.platform[:PLATFORM_HINT_MAX].lower()) == device.os:
            changes |= _system_version(device.os, numbers)
    return msgspec.structs.replace(device, **changes) if changes else device


def as_bot(device: Device, reason: str) -> Device:
    """The device of a bot, for a reason that the user agent does not tell; the first reason stays."""
    if device.is_bot:
        return device
    return msgspec.structs.replace(device, device_class="bot", is_bot=True, bot_reason=reason)


def _browser_of(hints: Hints) -> dict[str, str]:
    for each in hints.fullVersionList[:BRANDS_MAX]:
        name = _BROWSER_OF_BRAND.get(each.brand)
        numbers = _VERSION.match(each.version[:NAME_MAX])
        if name in _UNNAMED and numbers is not None:
            return {"browser": name, "browser_version": ".".join(filter(None, numbers.groups()))}
        if name and numbers is not None:
            # ua-parser's own names tell phones from computers, as Chrome Mobile does.
            return {"browser_version": ".".join(filter(None, numbers.groups()))}
    return {}


def _model_of(hints: Hints) -> dict[str, str]:
    """The model, and the brand that ua-parser knows it by: what an unfrozen user agent would have said."""
    model = "".join(filter(str.isprintable, hints.model[:NAME_MAX])).strip()
    if not model:
        return {}
    unfrozen = (
        f"Mozilla/5.0 (Linux; Android 13; {model}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Mobile"
    )
    device = _parse_cached(f"{unfrozen} Safari/537.36", "", "", "")
    return {"device_brand": device.device_brand, "device_model": model.encode("utf-8", "ignore").decode()}


def _system_version(system: str, numbers: re.Match[str]) -> dict[str, str]:
    """Windows counts its API: 13 and later are Windows 11, 1 to 10 are Windows 10."""
    major, minor = numbers.groups()
    if system != "Windows":
        return {"os_version": f"{major}.{minor}" if minor else major}
    if int(major) == 0:
        return {}  # 7 or 8, which the user agent tells apart
    return {"os_version": "11" if int(major) >= WINDOWS_11 else "10"}


def _with_flag(flags: str, flag: str) -> str:
    return flags if flag in flags else f"{flags} {flag}".lstrip()


def prepare() -> None:
    """Load the pattern engines now (0.2 s, 30 MB), so that the first visitor does not wait for them."""
    _engine()
    _bots()
    _televisions()


@cache
def _engine() -> Resolver:
    return RustResolver(load_lazy_builtins())


@cache
def _bots() -> ua_parser_rs.UserAgentExtractor:
    """All bot patterns in one search, which answers our reason."""
    patterns = [(pattern, "headless") for pattern in _HEADLESS] + [
        (pattern, "http_client") for pattern in _HTTP_CLIENTS
    ]
    for entry in CRAWLER_USER_AGENTS_DATA:
        reasons = [_REASON_OF_TAG[tag] for tag in entry.get("tags", ()) if tag in _REASON_OF_TAG]
        if entry["pattern"] not in _NOT_CRAWLERS:
            patterns.append((entry["pattern"], reasons[0] if reasons else "crawler"))
    return _search(patterns)


@cache
def _televisions() -> ua_parser_rs.UserAgentExtractor:
    return _search([(pattern, "tv") for pattern in _TELEVISIONS])


def _search(patterns: list[tuple[str, str]]) -> ua_parser_rs.UserAgentExtractor:
    """A search for (pattern, word) pairs, of which the first that matches answers its word as a browser's family."""
    return ua_parser_rs.UserAgentExtractor((pattern, word, None, None, None, None) for pattern, word in patterns)


@lru_cache(maxsize=DEVICE_CACHE_MAX)
def _parse_cached(user_agent: str, mobile_hint: str, platform_hint: str, brands_hint: str) -> Device:
    text = user_agent.strip()
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")  # the engines take UTF-8, which has no lone surrogates
    found = _engine()(text, Domain.ALL)
    browser, browser_version = _named(found.user_agent)
    system, system_version = _named(found.os)
    flags = "" if _well_formed(mobile_hint, platform_hint, brands_hint) else "hints_malformed"
    if _MAIL_PROXIES.search(text):
        return Device(browser, flags=flags)
    if reason := _bot_reason(text, found, brands_hint):
        return Device(browser, browser_version, system, system_version, "bot", True, reason, flags=flags)

    device_class = _Classes(text, found).device_class()
    if brand := _BRAND.search(brands_hint):
        browser, browser_version = brand.groups()
    hinted = _SYSTEM_OF_HINT.get(platform_hint.strip(' "').lower(), "")
    if hinted and device_class != "tv" and not _agrees(system, hinted, text):
        system, system_version = hinted, ""
        device_class = "tablet" if hinted in _POCKET_SYSTEMS else "desktop"
    return Device(
        browser,
        browser_version,
        system,
        system_version,
        _hinted(device_class, mobile_hint, system),
        False,
        "",
        *_maker(found.device),
        flags,
    )


def _well_formed(mobile_hint: str, platform_hint: str, brands_hint: str) -> bool:
    return (
        (not mobile_hint or _MOBILE_HINT.fullmatch(mobile_hint.strip()) is not None)
        and (not platform_hint or _PLATFORM_HINT.fullmatch(platform_hint.strip()) is not None)
        and (
            not brands_hint
            or _BRANDS_HINT.fullmatch(brands_hint.strip()) is not None
            or (len(brands_hint) == BRANDS_HINT_MAX and _BRANDS_HINT.match(brands_hint.strip()) is not None)  # was cut
        )
    )


def _maker(device: object) -> tuple[str, str]:
    """(brand, model) of a device that ua-parser found; what it calls generic, or Chromium K, is none."""
    brand, model = getattr(device, "brand", None) or "", getattr(device, "model", None) or ""
    if brand.startswith("Generic"):
        brand, model = "", "" if brand == "Generic" else model
    return brand[:NAME_MAX], "" if model == "K" else model[:NAME_MAX]


def _bot_reason(text: str, found: PartialResult, brands_hint: str) -> str:
    if "HeadlessChrome" in brands_hint:
        return "headless"
    if listed := _bots().extract(text):
        return listed.family
    return "crawler" if found.device and found.device.family == "Spider" else ""


def _agrees(system: str, hinted: str, text: str) -> bool:
    """True when the user agent already names the hinted system, perhaps more exactly: Ubuntu is a Linux."""
    return system == hinted or (hinted == "Linux" and system not in ("", *_POCKET_SYSTEMS) and "Linux" in text)


def _hinted(device_class: str, mobile_hint: str, system: str) -> str:
    """The class after Sec-CH-UA-Mobile: a phone asking for desktop pages says ?1, an Android tablet says ?0."""
    hint = mobile_hint.strip()
    if hint == "?1" and device_class in ("desktop", "tablet", "unknown"):
        return "mobile"
    if hint == "?0" and device_class == "mobile" and system == "Android":
        return "tablet"
    return device_class


def _named(part: object) -> tuple[str, str]:
    """(name, "major.minor") of a browser or a system that ua-parser found, ("", "") for none."""
    if part is None:
        return "", ""
    major, minor = getattr(part, "major", None) or "", getattr(part, "minor", None) or ""
    version = f"{major}.{minor}" if major and minor else major
    return str(getattr(part, "family", ""))[:NAME_MAX], version[:NAME_MAX]
