"""What the collector adds to an event: the facts of its request, of its context and of its page.

Each is found once and kept for the next event that shares it: the request's for a whole batch, a context's behind a
bounded cache, a page's inside `referrer`. Nothing here rejects: what cannot be read is left empty.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, UnsetType, structs

from collector.consent import NOTHING_STATED, Rules, Stated, read_stated
from collector.enrichment.device import NO_HINTS, Device, Hints, as_bot, parse_device, with_hints
from collector.enrichment.geo import Geo, Place
from collector.enrichment.location import Campaign
from collector.enrichment.referrer import URL_MAX
from collector.enrichment.sensitive import without_secrets as without_secret_parameters
from collector.wire.malformed import UNREADABLE, decode_fields, salvage

CONTEXT_CACHE_BYTES_MAX = 4_096  # a larger context is decoded each time, so that 1,024 of them stay under 10 MB
CUT_CHARS = URL_MAX + 1  # of a text in an event that is too large: so much that its reader still says that it was cut
TEXT_CHARS_MAX = 512
TITLE_CHARS_MAX = 512
PLAIN_CACHE_MAX = 10_000  # visitors of some minutes, each with half a KB of columns beside its texts
PLAIN_CHARS_MAX = 1_024  # of these texts together: real ones have some 300, and a flood stays under 20 MB
LOCALE_CHARS_MAX = 64  # of language, time zone, and a library's name and version
PIXELS_MAX = 65_535

SenderColumns: TypeAlias = tuple[str | int | bool, ...]


class Request(Struct, frozen=True, gc=False):
    """What one HTTP request says of all its events. The address is used and never written."""

    received_ms: int
    source_id: str
    is_server: bool
    address: str
    user_agent: str
    hints: tuple[str, str, str] = ("", "", "")
    environment: str = "prod"
    purpose: str = ""
    """Sec-Purpose, or Purpose, as sent: "prefetch", "prefetch;prerender"."""
    signals: tuple[str, ...] = ()
    """What the browser says of privacy, in the words of consent.py."""
    consent: Rules | None = None
    """The source's own rules; None for those of the settings."""
    exact: Hints = NO_HINTS
    """The exact client hints of its headers."""


class PageContext(Struct, frozen=True, gc=False):
    """Where the event happened, as context.page or the properties of a page call state it."""

    url: str = ""
    referrer: str = ""
    title: str = ""


class _Screen(Struct, frozen=True, gc=False):
    width: int | float = 0
    height: int | float = 0
    innerWidth: int | float = 0
    innerHeight: int | float = 0


class _Library(Struct, frozen=True, gc=False):
    name: str = ""
    version: str = ""


class _Campaign(Struct, frozen=True, gc=False):
    source: str = ""
    medium: str = ""
    name: str = ""
    term: str = ""
    content: str = ""


class Context(Struct, frozen=True, gc=False):
    """The parts of a Segment context that become columns, or that the collector acts on."""

    page: PageContext = PageContext()
    screen: _Screen = _Screen()
    library: _Library = _Library()
    campaign: _Campaign | str = _Campaign()
    consent: Any = None
    consentManagement: Any = None
    webdriver: bool = False
    userAgentData: Hints = NO_HINTS
    locale: str = ""
    timezone: str = ""
    ip: str = ""
    userAgent: str = ""


class ContextFacts(Struct, frozen=True, gc=False):
    """A context, read: what is known of it, its JSON without the visitor's address, the columns that follow, and what
    it states of consent.

    `campaign` is None where it names none, and the landing page's parameters where our tag sent it. `columns` are
    language, time_zone, screen_width, screen_height, viewport_width, viewport_height, library, context.
    """

    known: Context
    text: str
    campaign: Campaign | str | None
    columns: tuple[str, str, int, int, int, int, str, str]
    stated: Stated = NOTHING_STATED


_UNREADABLE_HINTS = Hints(malformed=True)
_decode_context = msgspec.json.Decoder(Context).decode
_decode_page = msgspec.json.Decoder(PageContext).decode


def object_bytes(raw: Raw | UnsetType) -> bytes:
    """The bytes of a JSON object; empty for an absent one, for null and for what is no object."""
    if isinstance(raw, UnsetType):
        return b""
    data = bytes(raw)
    return data if data.startswith(b"{") else b""


def read_context(outer: bytes, event: Raw | UnsetType) -> ContextFacts:
    """The context of an event: its own fields laid over those of its batch, whose `object_bytes` are `outer`."""
    inner = object_bytes(event)
    if not outer and not inner:
        return NO_CONTEXT
    if len(outer) + len(inner) <= CONTEXT_CACHE_BYTES_MAX:
        return _read_context_cached(outer, inner)
    return _read_context(outer, inner)


LONG_PAGE_BYTES = 8_192  # beyond that, the addresses in a page call's properties are looked at
_LONG_TEXTS = {"userAgent": CUT_CHARS, "campaign": CUT_CHARS}
_LONG_PAGE_TEXTS = dict.fromkeys(("url", "referrer", "search", "path"), CUT_CHARS) | {"title": TITLE_CHARS_MAX}


def shortened_context(raw: bytes) -> bytes:
    """A context that is too large, with its user agent, its campaign and the texts of its page cut.

    An address of ten thousand parameters is some visitor's all the same. What cannot be read stays as it is.
    """
    cut = _shortened(raw, _LONG_TEXTS)
    try:
        fields = decode_fields(cut)
        page = bytes(fields["page"])
    except (*UNREADABLE, KeyError):
        return cut
    return msgspec.json.encode({**fields, "page": Raw(shortened_page(page))})


def shortened_page(raw: bytes) -> bytes:
    """The properties of a page call, or a context's page, with the texts cut that tell where it is."""
    return _shortened(raw, _LONG_PAGE_TEXTS)


def _shortened(raw: bytes, limits: dict[str, int]) -> bytes:
    try:
        fields: dict[str, Any] = dict(decode_fields(raw))
        for name, limit in limits.items():
            if name in fields and len(bytes(fields[name])) > limit and bytes(fields[name]).startswith(b'"'):
                fields[name] = msgspec.json.decode(fields[name], type=str)[:limit]
        return msgspec.json.encode(fields)
    except UNREADABLE:
        return raw


def read_page(properties: Raw | bytes) -> PageContext:
    """The page a page call describes in its properties; empty where it does not."""
    try:
        return _decode_page(properties)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return salvage(bytes(properties), PageContext)


def sender_columns(request: Request, context: Context, geo: Geo) -> SenderColumns:
    """The columns of packed.SENDER_COLUMNS that tell of device and place: from browser to sender_flags.

    What the script has asked for wins over the exact hints of the request's headers.
    """
    if (
        context.userAgentData is NO_HINTS
        and request.exact is NO_HINTS
        and not (request.is_server or request.purpose or context.webdriver)
    ):
        # Most events by far: what follows from the request's own texts alone is found in one piece.
        agent, address = request.user_agent, request.address
        mobile, platform, brands = request.hints
        if len(agent) + len(address) + len(mobile) + len(platform) + len(brands) <= PLAIN_CHARS_MAX:
            return _plain_columns(geo, geo.edition, address, agent, mobile, platform, brands)
        return _columns(parse_device(agent, mobile, platform, brands), geo.place(address))
    device = device_of(request, context)
    if context.userAgentData is NO_HINTS and not request.is_server:
        device = with_hints(device, request.exact)
    return _columns(noted(device, request, context), place_of(request, context, geo))


@lru_cache(maxsize=PLAIN_CACHE_MAX)
def _plain_columns(geo: Geo, _edition: int, address: str, *agent: str) -> SenderColumns:
    """The columns of a visitor who says no more than any browser's request, kept as long as the places are the same."""
    return _columns(parse_device(*agent), geo.place(address))


def _columns(device: Device, place: Place) -> SenderColumns:
    if place.is_bot_network:
        device = as_bot(device, "bot_network")
    flags = f"{device.flags} {place.flags}" if device.flags and place.flags else device.flags or place.flags
    return (
        device.browser,
        device.browser_version,
        device.os,
        device.os_version,
        device.device_class,
        device.is_bot,
        device.bot_reason,
        device.device_brand,
        device.device_model,
        *place.columns,
        flags,
    )


def device_of(request: Request, context: Context) -> Device:
    """Browser, system and class. A server key speaks for its visitor: its own agent, perhaps curl, is nobody's."""
    hints = context.userAgentData
    if request.is_server:
        return (
            parse_device(context.userAgent)
            if hints is NO_HINTS
            else parse_device(context.userAgent, *hints.as_headers())
        )
    if hints is not NO_HINTS and not any(request.hints):
        return parse_device(request.user_agent, *hints.as_headers())
    return parse_device(request.user_agent, *request.hints)


def noted(device: Device, request: Request, context: Context) -> Device:
    """The device, with what only the request and the page's own script say of it.

    That a program drives it (context.webdriver), or that the page is fetched ahead and nobody looks at it, which makes
    it a bot; its exact system and browser, and its model.
    """
    if context.webdriver:
        device = as_bot(device, "webdriver")
    if request.purpose and (reason := _ahead(request.purpose)):
        device = as_bot(device, reason)
    return device if context.userAgentData is NO_HINTS else with_hints(device, context.userAgentData)


def _ahead(purpose: str) -> str:
    """How a page was fetched ahead of its visitor, by Sec-Purpose (Fetch) or what browsers sent before it."""
    said = purpose[:TEXT_CHARS_MAX].lower()
    return "prerender" if "prerender" in said else "prefetch" if "prefetch" in said or "preview" in said else ""


def place_of(request: Request, context: Context, geo: Geo) -> Place:
    """Where the visitor is; a server key speaks for its visitor's address, its own is nobody's."""
    return geo.place(context.ip if request.is_server else request.address)


def country_of(request: Request, context: Context, geo: Geo) -> str:
    """ISO code of the country, or empty."""
    return place_of(request, context, geo).country


def pixels(value: float) -> int:
    """A screen measure as a UInt16; what is no sensible number counts as 0."""
    return int(value) if 0 <= value <= PIXELS_MAX else 0


def without_address(raw: bytes) -> bytes:
    """A context's JSON without `ip`: an address is never written."""
    return _without(raw, ("ip",)) if _may_hold(raw) else raw


def without_secrets(raw: bytes) -> bytes:
    """An event's JSON as it is kept: without its context's address, its write key, which may be a secret one, and the
    parameters of addresses that are never stored.
    """
    if b"=" in raw or b"@" in raw:
        raw = without_secret_parameters(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if not _may_hold(raw):
        return raw
    kept = _without(raw, ("ip", "writeKey"))
    try:
        fields = decode_fields(kept)
        context = bytes(fields["context"])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return kept
    cleaned = _without(context, ("ip",))
    return kept if cleaned == context else msgspec.json.encode({**fields, "context": Raw(cleaned)})


# Of a context without consent. An id that a client puts anywhere else, or one of its traits, goes.
_IMPERSONAL = ("page", "screen", "library", "locale", "timezone", "consent", "consentManagement")
_IMPERSONAL_PAGE = ("path", "title")


def without_identity(text: str) -> str:
    """A context's JSON with nothing in it that tells one visitor from another."""
    try:
        fields = decode_fields(text.encode())
        page = decode_fields(fields["page"]) if "page" in fields else {}
    except UNREADABLE:
        return "{}"
    kept: dict[str, Any] = {name: fields[name] for name in _IMPERSONAL if name in fields}
    if page:
        kept["page"] = {name: page[name] for name in _IMPERSONAL_PAGE if name in page}
    return msgspec.json.encode(kept).decode()


def without_addresses(text: str) -> str:
    """A page view's properties without the whole addresses, whose queries hold ids of clicks and more."""
    try:
        fields = decode_fields(text.encode())
    except UNREADABLE:
        return "{}"
    return msgspec.json.encode({k: v for k, v in fields.items() if k not in ("url", "referrer", "search")}).decode()


# The names, whole or spelled with an escape, as in "\u0069p".
_HOLDING = (b'"ip"', b'"writeKey"', b"\\u00")
_NAMED = {name: re.compile(rb'("%b"\s*:\s*)"[^"]*"' % name.encode()) for name in ("ip", "writeKey")}


def _may_hold(raw: bytes) -> bool:
    return any(word in raw for word in _HOLDING)


def _without(raw: bytes, names: tuple[str, ...]) -> bytes:
    """An object's JSON without these fields, untouched when it has none of them; what is no object has them blanked."""
    try:
        fields = decode_fields(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        for name in names:
            raw = _NAMED[name].sub(rb'\1""', raw)
        return raw
    found = [fields.pop(name, None) for name in names]
    return msgspec.json.encode(fields) if any(value is not None for value in found) else raw


def _read_context(outer: bytes, inner: bytes) -> ContextFacts:
    merged = _merged(outer, inner)
    if b"=" in merged or b"@" in merged:
        merged = without_secret_parameters(merged.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    try:
        known = _decode_context(merged)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        known = salvage(merged, Context)
        if known.userAgentData == NO_HINTS and b'"userAgentData"' in merged:
            known = structs.replace(known, userAgentData=_UNREADABLE_HINTS)
    return _facts(known, without_address(merged).decode())


def _facts(known: Context, text: str) -> ContextFacts:
    screen, library = known.screen, known.library
    columns = (
        known.locale[:LOCALE_CHARS_MAX],
        known.timezone[:LOCALE_CHARS_MAX],
        pixels(screen.width),
        pixels(screen.height),
        pixels(screen.innerWidth),
        pixels(screen.innerHeight),
        f"{library.name[:LOCALE_CHARS_MAX]} {library.version[:LOCALE_CHARS_MAX]}".strip(),
        text,
    )
    stated = NOTHING_STATED
    if known.consent is not None or known.consentManagement is not None:
        stated = read_stated(known.consent, known.consentManagement)
    return ContextFacts(known, text, _campaign(known.campaign), columns, stated)


def _campaign(stated: _Campaign | str) -> Campaign | str | None:
    """A campaign as Segment's clients state it, by its parts, or as our tag does, as the landing page's parameters."""
    if isinstance(stated, str):
        return stated[:URL_MAX] if "=" in stated else None
    source, medium, name, term, content = (
        part[:TEXT_CHARS_MAX] for part in (stated.source, stated.medium, stated.name, stated.term, stated.content)
    )
    return (source, medium, name, term, content, "", "") if source or medium or name or term or content else None


NO_CONTEXT = _facts(Context(), "{}")
_read_context_cached = lru_cache(maxsize=1_024)(_read_context)


def _merged(outer: bytes, inner: bytes) -> bytes:
    if not outer or not inner:
        return outer or inner
    try:
        return msgspec.json.encode({**decode_fields(outer), **decode_fields(inner)})
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return inner
