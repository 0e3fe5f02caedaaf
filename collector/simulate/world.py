"""The world the synthetic visitors live in: what the shop sells, and where, with what and by which way people come.

Only tables. Weights are relative within their table; they are chosen to look like a mid-sized European shop and to give
every report something to show, not to describe any real one. The shop's host ends in .example (RFC 2606), so that no
real site is named; search engines, networks and browsers are real, because the collector's look-ups need real ones.
"""

from __future__ import annotations

from typing import NamedTuple

SHOP = "https://shop.example/demo/"
CURRENCY = "EUR"


class Product(NamedTuple):
    """One article. Prices are cents, so that totals are exact."""

    sku: str
    name: str
    price_cents: int
    category: str


# Most popular first: the rank is the Zipf rank.
PRODUCTS: tuple[Product, ...] = (
    Product("bag-01", "Roll-top backpack", 8900, "bags"),
    Product("mug-01", "Stoneware mug", 1450, "kitchen"),
    Product("lamp-01", "Reading lamp", 6400, "living"),
    Product("bottle-01", "Steel bottle 0.75 l", 2490, "outdoor"),
    Product("note-01", "Dotted notebook", 1290, "desk"),
    Product("bag-02", "Canvas tote", 1990, "bags"),
    Product("press-01", "French press", 3900, "kitchen"),
    Product("throw-01", "Wool throw", 7900, "living"),
    Product("pen-01", "Brass pen", 3400, "desk"),
    Product("tent-01", "Two-person tent", 21900, "outdoor"),
    Product("knife-01", "Chef's knife", 9900, "kitchen"),
    Product("bag-03", "Weekender", 14900, "bags"),
    Product("mat-01", "Desk mat", 4500, "desk"),
    Product("stove-01", "Camping stove", 5600, "outdoor"),
    Product("vase-01", "Clay vase", 3200, "living"),
    Product("board-01", "Oak board", 4200, "kitchen"),
    Product("bag-04", "Hip bag", 3900, "bags"),
    Product("torch-01", "Head torch", 3750, "outdoor"),
    Product("tray-01", "Letter tray", 2850, "desk"),
    Product("candle-01", "Beeswax candle", 1150, "living"),
)
CATEGORIES: tuple[str, ...] = ("bags", "kitchen", "living", "outdoor", "desk")
SEARCHES: tuple[str, ...] = (
    "backpack",
    "mug",
    "gift",
    "lamp",
    "tent",
    "notebook",
    "bottle",
    "coffee",
    "sale",
    "umbrella",
)


class Country(NamedTuple):
    """Where a visitor lives. `networks` are IPv4 /16s allocated there as a whole, checked by a test."""

    code: str
    weight: float
    locales: tuple[str, ...]
    time_zone: str
    # Standard time; summer time would shift the daily rhythm by one hour and needs zone data a slim host may lack.
    utc_offset_hours: int
    networks: tuple[str, ...]


COUNTRIES: tuple[Country, ...] = (
    Country("DE", 34, ("de-DE", "de-DE", "en-GB"), "Europe/Berlin", 1, ("84.132", "91.64", "80.187", "217.224")),
    Country("FR", 12, ("fr-FR",), "Europe/Paris", 1, ("90.8", "82.64", "86.200")),
    Country("GB", 11, ("en-GB",), "Europe/London", 0, ("86.128", "82.30")),
    Country("AT", 8, ("de-AT", "de-DE"), "Europe/Vienna", 1, ("80.108", "84.112", "62.178")),
    Country("CH", 6, ("de-CH", "fr-CH"), "Europe/Zurich", 1, ("84.72", "85.0", "178.192")),
    Country("NL", 6, ("nl-NL", "en-GB"), "Europe/Amsterdam", 1, ("82.72", "84.24", "77.160")),
    Country("US", 6, ("en-US",), "America/New_York", -5, ("24.5", "73.10", "98.20")),
    Country("PL", 5, ("pl-PL",), "Europe/Warsaw", 1, ("83.8", "83.20", "79.184")),
    Country("IT", 4, ("it-IT",), "Europe/Rome", 1, ("79.0", "87.0", "93.32")),
    Country("ES", 4, ("es-ES",), "Europe/Madrid", 1, ("88.0", "83.32", "79.144")),
    Country("SE", 3, ("sv-SE",), "Europe/Stockholm", 1, ("81.224", "83.248", "78.64")),
    Country("BR", 1, ("pt-BR",), "America/Sao_Paulo", -3, ("189.4", "177.32")),
)
# Crawlers come from their operators' own networks, all in this country's allocations.
BOT_COUNTRY = Country("US", 1, ("en-US",), "UTC", 0, ("40.77", "64.233", "20.171"))


class Screen(NamedTuple):
    """CSS pixels of screen and viewport, and the pixel ratio."""

    width: int
    height: int
    inner_width: int
    inner_height: int
    density: float


class Device(NamedTuple):
    """A browser on a machine. `kind` is the device class the collector must find for `user_agent`."""

    kind: str
    weight: float
    user_agent: str
    screens: tuple[Screen, ...]


_WINDOWS = (Screen(1920, 1080, 1903, 953, 1), Screen(1536, 864, 1519, 730, 1.25), Screen(2560, 1440, 2543, 1313, 1))
_MAC = (Screen(1512, 982, 1512, 857, 2), Screen(1728, 1117, 1728, 992, 2), Screen(1440, 900, 1440, 775, 2))
_IPHONE = (Screen(393, 852, 393, 660, 3), Screen(402, 874, 402, 681, 3), Screen(430, 932, 430, 739, 3))
_ANDROID = (Screen(412, 915, 412, 785, 2.625), Screen(384, 854, 384, 726, 2.8125), Screen(360, 780, 360, 650, 3))
_IPAD = (Screen(820, 1180, 820, 1106, 2), Screen(834, 1194, 834, 1120, 2))
_TAB = (Screen(800, 1280, 800, 1150, 2),)
_HEADLESS = (Screen(1280, 1024, 1280, 1024, 1),)

_WINDOWS_NT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MACINTOSH = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_ANDROID_10 = "Mozilla/5.0 (Linux; Android 10; K)"
_IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X)"
_IPAD_OS = "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X)"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
_CRAWLER = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible;"
_RENDERER = "Chrome/155.0.0.0 Safari/537.36"

# Current in November 2026. Chrome freezes its minor version and Android's model, Safari the operating system's version.
DEVICES: tuple[Device, ...] = (
    Device("mobile", 24, f"{_ANDROID_10} {_BLINK} Chrome/157.0.0.0 Mobile Safari/537.36", _ANDROID),
    Device("mobile", 17, f"{_IOS} {_WEBKIT} Version/26.6 Mobile/15E148 Safari/604.1", _IPHONE),
    Device("mobile", 7, f"{_IOS} {_WEBKIT} Version/27.1 Mobile/15E148 Safari/604.1", _IPHONE),
    Device("mobile", 4, f"{_ANDROID_10} {_BLINK} SamsungBrowser/30.0 Chrome/143.0.0.0 Mobile Safari/537.36", _ANDROID),
    Device("desktop", 20, f"{_WINDOWS_NT} {_BLINK} Chrome/156.0.0.0 Safari/537.36", _WINDOWS),
    Device("desktop", 6, f"{_WINDOWS_NT} {_BLINK} Chrome/155.0.0.0 Safari/537.36 Edg/155.0.0.0", _WINDOWS),
    Device("desktop", 5, f"{_MACINTOSH} {_BLINK} Chrome/157.0.0.0 Safari/537.36", _MAC),
    Device("desktop", 5, f"{_MACINTOSH} {_WEBKIT} Version/26.6 Safari/605.1.15", _MAC),
    Device("desktop", 4, f"{_WINDOWS_NT[:-1]}; rv:158.0) Gecko/20100101 Firefox/158.0", _WINDOWS),
    Device("desktop", 1, "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", _WINDOWS),
    Device("tablet", 3, f"{_IPAD_OS} {_WEBKIT} Version/26.6 Mobile/15E148 Safari/604.1", _IPAD),
    Device("tablet", 2, f"Mozilla/5.0 (Linux; Android 14; SM-X200) {_BLINK} Chrome/157.0.0.0 Safari/537.36", _TAB),
)
BOTS: tuple[Device, ...] = (
    Device("bot", 3, f"{_CRAWLER} Googlebot/2.1; +http://www.google.com/bot.html) {_RENDERER}", _HEADLESS),
    Device("bot", 2, f"{_CRAWLER} bingbot/2.0; +http://www.bing.com/bingbot.htm) {_RENDERER}", _HEADLESS),
    Device("bot", 2, f"{_CRAWLER} GPTBot/1.2; +https://openai.com/gptbot)", _HEADLESS),
    Device("bot", 1, "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", _HEADLESS),
)


class Way(NamedTuple):
    """One link into the shop: the page it stood on, and what it adds to the query; `{id}` becomes a random click id."""

    weight: float
    referrer: str
    query: str


class Source(NamedTuple):
    """A kind of traffic: how often it brings new and returning people, how many bounce, how eager the others are."""

    name: str
    weight: float
    return_weight: float
    bounce_share: float
    # Multiplies the chance of each funnel step; 1 is the average visitor.
    intent: float
    # Weights of landing on the home, a category and a product page.
    landing: tuple[float, float, float]
    ways: tuple[Way, ...]


_ADS = "utm_source=google&utm_medium=cpc"
_NEWSLETTER = "utm_source=newsletter&utm_medium=email"

SOURCES: tuple[Source, ...] = (
    Source("organic_search", 33, 20, 0.45, 1.0, (20, 35, 45), (
        Way(82, "https://www.google.com/", ""),
        Way(8, "https://www.bing.com/", ""),
        Way(6, "https://duckduckgo.com/", ""),
        Way(4, "https://www.ecosia.org/", ""),
    )),
    Source("paid_search", 15, 8, 0.40, 1.25, (5, 50, 45), (
        Way(6, "https://www.google.com/", f"{_ADS}&utm_campaign=brand&utm_term=demo+shop&gclid={{id}}"),
        Way(4, "https://www.google.com/", f"{_ADS}&utm_campaign=backpacks&utm_term=roll-top+backpack&gclid={{id}}"),
    )),
    Source("social", 13, 6, 0.60, 0.5, (15, 25, 60), (
        Way(5, "https://l.instagram.com/", "utm_source=instagram&utm_medium=social&utm_campaign=autumn"),
        Way(3, "https://www.facebook.com/", "fbclid={id}"),
        Way(2, "https://www.reddit.com/", ""),
        Way(1, "https://t.co/", ""),
    )),
    Source("email", 8, 26, 0.30, 1.6, (15, 60, 25), (
        Way(6, "", f"{_NEWSLETTER}&utm_campaign=autumn-sale&utm_content=header"),
        Way(4, "", f"{_NEWSLETTER}&utm_campaign=new-arrivals&utm_content=grid"),
    )),
    Source("direct", 18, 34, 0.38, 1.2, (75, 10, 15), (Way(1, "", ""),)),
    Source("referral", 8, 4, 0.48, 0.8, (15, 20, 65), (
        Way(5, "https://gear-reviews.example/best-backpacks", ""),
        Way(3, "https://slow-coffee.example/posts/french-press", ""),
        Way(2, "https://forum.example/t/desk-setups/412", ""),
    )),
    Source("ai_assistant", 5, 2, 0.35, 1.5, (10, 20, 70), (
        Way(7, "https://chatgpt.com/", "utm_source=chatgpt.com"),
        Way(2, "https://www.perplexity.ai/", ""),
        Way(1, "https://gemini.google.com/", ""),
    )),
)  # fmt: skip

# Share of visits by hour of the visitor's own day: asleep at four, a lunch hump, an evening peak.
HOURS: tuple[float, ...] = (
    1.2, 0.7, 0.4, 0.3, 0.3, 0.6, 1.5, 2.8, 4.0, 4.8, 5.2, 5.4,
    6.0, 5.6, 5.0, 4.8, 5.0, 5.6, 6.4, 7.4, 8.2, 7.6, 5.2, 2.6,
)  # fmt: skip
