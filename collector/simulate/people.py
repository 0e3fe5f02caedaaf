"""Seeded synthetic visitors: who they are, when and from where they come, and how they walk through the shop.

    person --visits at--> walk: page -> step -> page -> ... -> leaves --> Segment events

A walk is a chain of pages. Each kind of page has one step below: it sends what happens on the page and answers with
the page that follows, or None when the visitor leaves. Randomness and the clock are arguments: one seed is one world.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl

from collector.simulate.world import (
    BOT_COUNTRY,
    BOTS,
    CATEGORIES,
    COUNTRIES,
    CURRENCY,
    DEVICES,
    HOURS,
    PRODUCTS,
    SEARCHES,
    SHOP,
    SOURCES,
    Country,
    Device,
    Product,
    Screen,
    Source,
)

# More would not make a better demo, and a typing slip should not fill a disk.
VISITORS_MAX = 1_000_000
DAYS = 14
# The session rule of the views: a longer gap starts a new one. Waits stay below it, pauses between visits above it.
SESSION_GAP_MS = 1_800_000
_WAIT_MAX_S = 1_500.0
_PAGES_MAX = 40
_VISITS_MAX = 8

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BOT_SHARE = 0.03
_CUSTOMER_SHARE = 0.12  # came with an account that is older than the window
_RETURN_CHANCE = 0.34
_PHONE_INTENT = 0.75  # buying on a small screen is done less often
# Popularity falls with the rank to this power: 1 is Zipf's own law, and shops are close to it.
_PRODUCT_WEIGHTS = [1 / rank for rank in range(1, len(PRODUCTS) + 1)]


class _Weighted(Protocol):
    @property
    def weight(self) -> float: ...


T = TypeVar("T", bound=_Weighted)


def visitors(count: int, seed: int, now_ms: int) -> Iterator[list[dict[str, Any]]]:
    """Yield `count` visitors, each as the list of all its events in the order of time.

    The events are Segment `page`, `track` and `identify` calls with ids, past timestamps and the context (ip,
    userAgent) that only a server key may set. All lie within the 14 days before `now_ms`. A smaller count gives the
    same first visitors; nothing is kept from one visitor to the next.

    Args:
        count: 0..1,000,000.
        seed: Any integer; the same seed and `now_ms` give identical events.
        now_ms: Milliseconds since the epoch, at least 14 days after it.
    Raises:
        ValueError: `count` or `now_ms` is out of range.
    """
    for visits in visits_of_visitors(count, seed, now_ms):
        yield [event for visit in visits for event in visit]


def visits_of_visitors(count: int, seed: int, now_ms: int) -> Iterator[list[list[dict[str, Any]]]]:
    """As `visitors`, with each visitor's events still cut into visits: one to eight, none of them empty."""
    if not 0 <= count <= VISITORS_MAX:
        raise ValueError(f"{count:,} visitors asked for, the limit is {VISITORS_MAX:,}; ask for fewer")
    if now_ms < (DAYS + 1) * _DAY_MS:
        raise ValueError(f"now is {now_ms} ms, which leaves no {DAYS} days since 1970; pass milliseconds, not seconds")
    rng = Random(seed)  # noqa: S311 - a repeatable world, not a secret
    for _ in range(count):
        yield _visits(rng, now_ms)


class Page(NamedTuple):
    """A page of the shop. `about` is the product on a product page."""

    kind: str
    title: str
    query: str = ""
    about: Product | None = None

    @property
    def path(self) -> str:
        """Path below the host."""
        return f"/demo/{_FILES[self.kind]}"

    @property
    def url(self) -> str:
        """Address with the query."""
        return f"{SHOP}{_FILES[self.kind]}{'?' if self.query else ''}{self.query}"


_FILES = {
    "home": "index.html",
    "category": "category.html",
    "search": "category.html",
    "product": "product.html",
    "cart": "cart.html",
    "checkout": "checkout.html",
    "confirmation": "confirmation.html",
}
HOME = Page("home", "Demo shop")
CART = Page("cart", "Cart · Demo shop")
CHECKOUT = Page("checkout", "Checkout · Demo shop")
CONFIRMATION = Page("confirmation", "Thank you · Demo shop")


def _category_page(category: str) -> Page:
    return Page("category", f"{category.capitalize()} · Demo shop", f"c={category}")


def _product_page(product: Product) -> Page:
    return Page("product", f"{product.name} · Demo shop", f"id={product.sku}", product)


@dataclass
class Person:
    """What stays the same from visit to visit, and the cart and account that a visit may change."""

    visitor_id: str
    is_bot: bool
    country: Country
    ip: str
    locale: str
    device: Device
    screen: Screen
    user_id: str | None = None
    cart: dict[Product, int] = field(default_factory=dict)


@dataclass
class Visit:
    """One visit in the making: its clock, the open page, and what has been sent."""

    rng: Random
    person: Person
    intent: float
    clock_ms: int
    referrer: str
    campaign: dict[str, str]
    page: Page = HOME
    context: dict[str, Any] = field(default_factory=dict)  # of the open page; its events share it
    sequence: int = 0
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def open(self, page: Page) -> None:
        """Load a page and send its page view. The page left becomes the referrer, and the campaign is over."""
        if self.events:
            self.referrer, self.campaign = self.page.url, {}
        self.page, self.sequence = page, 0
        self.context = self._context()
        self._send({"type": "page", "name": page.title, "properties": self._about_page()})

    def track(self, event: str, properties: dict[str, Any]) -> None:
        """Send a `track` call."""
        self._send({"type": "track", "event": event, "properties": properties})

    def click(self, element_id: str) -> None:
        """Send a click on an element of the open page."""
        screen = self.person.screen
        place = {"x": self.rng.randrange(screen.inner_width), "y": self.rng.randrange(screen.inner_height)}
        self.track("click", {**self._about_page(), "element_id": element_id, **place})

    def identify(self, user_id: str) -> None:
        """The visitor becomes a known person; all later events carry the id."""
        self.person.user_id = user_id
        self._send({"type": "identify", "traits": {"member": True, "language": self.person.locale}})

    def wait(self, median_s: float) -> None:
        """Let time pass: log-normal, as reading times are, and shorter than what would end the visit."""
        seconds = min(self.rng.lognormvariate(math.log(median_s), 0.8), _WAIT_MAX_S)
        self.clock_ms += max(1, round(seconds * 1000))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.rng.random() < probability

    def _about_page(self) -> dict[str, Any]:
        page: dict[str, Any] = {"url": self.page.url, "title": self.page.title, "page_type": self.page.kind}
        return page | ({"referrer": self.referrer} if self.referrer else {})

    def _send(self, call: dict[str, Any]) -> None:
        # Two events never share a millisecond, so that time alone orders a visitor's events.
        self.clock_ms += 1
        self.sequence += 1
        person = self.person
        envelope = {
            **call,
            "messageId": _uuid7(self.rng, self.clock_ms),
            "anonymousId": person.visitor_id,
            **({"userId": person.user_id} if person.user_id else {}),
            "timestamp": _iso(self.clock_ms),
            "sequence": self.sequence,
            "context": self.context,
        }
        self.events.append((self.clock_ms, envelope))

    def _context(self) -> dict[str, Any]:
        person, page, screen = self.person, self.page, self.person.screen
        context = {
            "ip": person.ip,
            "userAgent": person.device.user_agent,
            "locale": person.locale,
            "timezone": person.country.time_zone,
            "page": {
                "url": page.url,
                "path": page.path,
                "search": f"?{page.query}" if page.query else "",
                "title": page.title,
                "referrer": self.referrer,
            },
            "screen": {
                "width": screen.width,
                "height": screen.height,
                "innerWidth": screen.inner_width,
                "innerHeight": screen.inner_height,
                "density": screen.density,
            },
            "library": {"name": "footfall-simulate", "version": "1"},
        }
        return context | ({"campaign": self.campaign} if self.campaign else {})


def _visits(rng: Random, now_ms: int) -> list[list[dict[str, Any]]]:
    is_bot = rng.random() < _BOT_SHARE
    device = _pick(rng, BOTS if is_bot else DEVICES)
    country = BOT_COUNTRY if is_bot else _pick(rng, COUNTRIES)
    starts = sorted(_start_ms(rng, now_ms, country) for _ in range(_visit_count(rng)))
    person = Person(
        visitor_id=_uuid7(rng, starts[0]),
        is_bot=is_bot,
        country=country,
        ip=f"{rng.choice(country.networks)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
        locale=rng.choice(country.locales),
        device=device,
        screen=rng.choice(device.screens),
    )
    if not is_bot and rng.random() < _CUSTOMER_SHARE:
        person.user_id = _user_id(rng)
    visits: list[list[dict[str, Any]]] = []
    free_ms = 0
    for start_ms in starts:
        if start_ms < free_ms:
            continue  # the visitor is still here, or back too soon for a visit of its own
        visit = _crawl(rng, person, start_ms) if is_bot else _walk(rng, person, start_ms, returning=bool(visits))
        # What lies ahead of now has not happened: the last visit may still be going on.
        visits.append([event for at_ms, event in visit.events if at_ms < now_ms])
        free_ms = visit.clock_ms + SESSION_GAP_MS + _MINUTE_MS
    return visits


def _visit_count(rng: Random) -> int:
    visits = 1
    while visits < _VISITS_MAX and rng.random() < _RETURN_CHANCE:
        visits += 1
    return visits


def _start_ms(rng: Random, now_ms: int, country: Country) -> int:
    """A moment of the last 14 days, by the rhythm of the visitor's own day; at least two milliseconds before now."""
    offset_ms = country.utc_offset_hours * _HOUR_MS
    midnight_ms = (now_ms + offset_ms) // _DAY_MS * _DAY_MS - offset_ms
    hour = rng.choices(range(24), HOURS)[0]
    start_ms = midnight_ms - rng.randrange(DAYS) * _DAY_MS + hour * _HOUR_MS + rng.randrange(_HOUR_MS)
    return start_ms if start_ms < now_ms - 1 else start_ms - _DAY_MS


def _crawl(rng: Random, person: Person, start_ms: int) -> Visit:
    """A crawler's visit: a few pages at machine speed, nothing else."""
    visit = Visit(rng, person, 0, start_ms, "", {})
    for _ in range(rng.randint(1, 5)):
        visit.open(rng.choice((HOME, _category_page(rng.choice(CATEGORIES)), _product_page(rng.choice(PRODUCTS)))))
        visit.clock_ms += rng.randint(300, 3_000)
    return visit


def _walk(rng: Random, person: Person, start_ms: int, *, returning: bool) -> Visit:
    """A person's visit, from the landing page until it leaves."""
    source = _pick(rng, SOURCES, [each.return_weight if returning else each.weight for each in SOURCES])
    way = _pick(rng, source.ways)
    query = way.query.replace("{id}", f"{rng.getrandbits(192):048x}") if way.query else ""
    intent = source.intent * (_PHONE_INTENT if person.device.kind == "mobile" else 1) * (1.2 if person.user_id else 1)
    visit = Visit(rng, person, intent, start_ms, way.referrer, _campaign(query))
    page: Page | None = _landing(rng, source, query)
    bounces = visit.chance(source.bounce_share)
    for _ in range(_PAGES_MAX):
        assert page is not None
        visit.open(page)
        page = None if bounces else _STEPS[visit.page.kind](visit)
        if page is None:
            break
    return visit


def _landing(rng: Random, source: Source, query: str) -> Page:
    home, category, product = HOME, _category_page(rng.choice(CATEGORIES)), _product_page(_popular(rng))
    page = rng.choices((home, category, product), source.landing)[0]
    return page._replace(query="&".join(part for part in (page.query, query) if part))


def _campaign(query: str) -> dict[str, str]:
    """The campaign as Segment's clients name it: utm_source becomes source, and utm_campaign name."""
    utm = {key[4:]: value for key, value in parse_qsl(query) if key.startswith("utm_")}
    return {"name" if key == "campaign" else key: value for key, value in utm.items()}


def _at_home(visit: Visit) -> Page | None:
    visit.wait(9)
    if len(visit.events) > 1 and visit.chance(0.2):
        return None
    if visit.person.cart and visit.chance(0.3):
        return CART
    if visit.chance(0.2):
        return _search(visit)
    category = visit.rng.choice(CATEGORIES)
    visit.click(f"nav-{category}")
    return _category_page(category)


def _search(visit: Visit) -> Page:
    query = visit.rng.choice(SEARCHES)
    hits = 0 if query == "umbrella" else 1 + len(query) % 7
    visit.track("search", {"query": query, "results": hits})
    return Page("search", "Search · Demo shop", f"q={query}")


def _at_list(visit: Visit) -> Page | None:
    visit.wait(14)
    if len(visit.events) > 1 and visit.chance(0.17):
        return None
    draw = visit.rng.random()
    if draw < 0.12:
        return _category_page(visit.rng.choice(CATEGORIES))
    if draw < 0.17:
        return HOME
    product = _popular(visit.rng)
    visit.click(f"product-{product.sku}")
    return _product_page(product)


def _at_product(visit: Visit) -> Page | None:
    product = visit.page.about
    assert product is not None
    # Sent when the details have come into view, so that leaving at once is still a bounce.
    visit.wait(5)
    visit.track("product_viewed", {**_line(product), "currency": CURRENCY})
    visit.wait(24)
    if visit.chance(min(0.15 * visit.intent, 0.8)):
        return _put_in_cart(visit, product)
    draw = visit.rng.random()
    if draw < 0.34:
        return None
    if draw < 0.64:
        return _category_page(product.category)
    if draw < 0.94:
        return _product_page(_popular(visit.rng))
    return HOME


def _put_in_cart(visit: Visit, product: Product) -> Page | None:
    cart = visit.person.cart
    quantity = visit.rng.choices((1, 2, 3), (85, 12, 3))[0]
    cart[product] = min(cart.get(product, 0) + quantity, 10)
    visit.click("add-to-cart")
    visit.track("add_to_cart", _money({product: quantity}))
    visit.wait(4)
    draw = visit.rng.random()
    if draw < 0.6:
        return CART
    if draw < 0.9:
        return _category_page(product.category)
    return None


def _at_cart(visit: Visit) -> Page | None:
    visit.wait(15)
    if not visit.person.cart:
        return HOME
    draw = visit.rng.random()
    if draw < min(0.47 * visit.intent, 0.85):
        visit.click("checkout")
        return CHECKOUT
    if draw < 0.87:
        return _category_page(visit.rng.choice(CATEGORIES)) if visit.chance(0.35) else None
    return _product_page(visit.rng.choice(list(visit.person.cart)))


def _at_checkout(visit: Visit) -> Page | None:
    visit.track("checkout_started", _money(visit.person.cart))
    visit.wait(20)
    if visit.person.user_id is None and visit.chance(0.4):
        visit.track("sign_up", {"method": visit.rng.choices(("email", "google", "apple"), (6, 3, 1))[0]})
        visit.identify(_user_id(visit.rng))
    visit.wait(45)
    if visit.chance(min(0.52 * visit.intent, 0.85)):
        visit.click("pay")
        return CONFIRMATION
    return CART if visit.chance(0.2) else None


def _at_confirmation(visit: Visit) -> Page | None:
    order_id = f"O-{visit.rng.getrandbits(40):010X}"
    visit.track("purchase", {"order_id": order_id, **_money(visit.person.cart)})
    visit.person.cart.clear()
    visit.wait(10)
    if visit.chance(0.3):
        score = visit.rng.choices(range(11), (1, 1, 1, 2, 2, 4, 6, 12, 24, 25, 22))[0]
        visit.track("nps_response", {"score": score, "survey_id": "after-purchase"})
    return HOME if visit.chance(0.12) else None


_STEPS: dict[str, Callable[[Visit], Page | None]] = {
    "home": _at_home,
    "category": _at_list,
    "search": _at_list,
    "product": _at_product,
    "cart": _at_cart,
    "checkout": _at_checkout,
    "confirmation": _at_confirmation,
}


def _line(product: Product) -> dict[str, Any]:
    price = product.price_cents / 100
    return {"sku": product.sku, "name": product.name, "price": price, "category": product.category}


def _money(cart: dict[Product, int]) -> dict[str, Any]:
    cents = sum(product.price_cents * quantity for product, quantity in cart.items())
    items = [{**_line(product), "quantity": quantity} for product, quantity in cart.items()]
    return {"currency": CURRENCY, "value": cents / 100, "items": items}


def _popular(rng: Random) -> Product:
    return rng.choices(PRODUCTS, _PRODUCT_WEIGHTS)[0]


def _pick(rng: Random, table: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One entry of a table by its own `weight`, or by the weights given."""
    return rng.choices(table, weights or [entry.weight for entry in table])[0]


def _user_id(rng: Random) -> str:
    return f"u-{rng.getrandbits(40):010x}"


def _uuid7(rng: Random, at_ms: int) -> str:
    """A UUID version 7 (RFC 9562): 48 bits of milliseconds, version, 12 random bits, variant, 62 random bits."""
    value = at_ms << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _iso(at_ms: int) -> str:
    """ISO 8601 with milliseconds and Z, by integer arithmetic: a float would lose the last digit now and then."""
    text = (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
