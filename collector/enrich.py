"""What the collector adds to an event: the facts of its request, of its context and of its page.

Each is found once and kept for the next event that shares it: the request's for a whole batch, a context's behind a
bounded cache, a page's inside `referrer`. Nothing here rejects: what cannot be read is left empty.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec
from msgspec import Raw, Struct, UnsetType

from collector.device import Device, parse_device, with_system_version
from collector.geo import Geo
from collector.location import Campaign
from collector.malformed import decode_fields, salvage
from collector.referrer import read_parameters

CONTEXT_CACHE_BYTES_MAX = 4_096  # a larger context is decoded each time, so that 1,024 of them stay under 10 MB
TEXT_CHARS_MAX = 512
TITLE_CHARS_MAX = 512
LOCALE_CHARS_MAX = 64  # of language, time zone, and a library's name and version
PIXELS_MAX = 65_535


class Request(Struct, frozen=True, gc=False):
    """What one HTTP request says of all its events. The address is used and never written."""

    received_ms: int
    source_id: str
    is_server: bool
    address: str
    user_agent: str
    hints: tuple[str, str, str] = ("", "", "")
    environment: str = "prod"


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


class _Consent(Struct, frozen=True, gc=False):
    """What was agreed to, as far as the collector acts on it: unstated is no refusal."""

    analytics: bool | str | int | float | None = True


class _Hints(Struct, frozen=True, gc=False):
    """High-entropy client hints, which a page may have the tag ask for."""

    platform: str = ""
    platformVersion: str = ""


class Context(Struct, frozen=True, gc=False):
    """The parts of a Segment context that become columns, or that the collector acts on."""

    page: PageContext = PageContext()
    screen: _Screen = _Screen()
    library: _Library = _Library()
    campaign: _Campaign | str = _Campaign()
    consent: _Consent = _Consent()
    webdriver: bool = False
    userAgentData: _Hints = _Hints()
    locale: str = ""
    timezone: str = ""
    ip: str = ""
    userAgent: str = ""


class ContextFacts(Struct, frozen=True, gc=False):
    """A context, read: what is known of it, its JSON without the visitor's address, and the columns that follow.

    `campaign` is None where it names none. `columns` are language, time_zone, screen_width, screen_height,
    viewport_width, viewport_height, library, context.
    """

    known: Context
    text: str
    campaign: Campaign | None
    columns: tuple[str, str, int, int, int, int, str, str]


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


def read_page(properties: Raw | bytes) -> PageContext:
    """The page a page call describes in its properties; empty where it does not."""
    try:
        return _decode_page(properties)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return salvage(bytes(properties), PageContext)


def device_of(request: Request, context: Context) -> Device:
    """Browser, system and class. A server key speaks for its visitor: its own agent, perhaps curl, is nobody's."""
    if request.is_server:
        return parse_device(context.userAgent)
    return parse_device(request.user_agent, *request.hints)


def noted(device: Device, context: Context) -> Device:
    """The device, with what its browser says of itself only when a script asks.

    That a program drives it (context.webdriver), which makes it a bot, and its system's true version.
    """
    if device.is_bot:
        return device
    if context.webdriver:
        return msgspec.structs.replace(device, device_class="bot", is_bot=True, bot_reason="webdriver")
    hints = context.userAgentData
    return with_system_version(device, hints.platform, hints.platformVersion) if hints.platformVersion else device


def country_of(request: Request, context: Context, geo: Geo) -> str:
    """ISO code of the country, or empty; a server key speaks for its visitor's address."""
    return geo.country(context.ip if request.is_server and context.ip else request.address)


def pixels(value: float) -> int:
    """A screen measure as a UInt16; what is no sensible number counts as 0."""
    return int(value) if 0 <= value <= PIXELS_MAX else 0


def without_address(raw: bytes) -> bytes:
    """A context's JSON without `ip`: an address is never written."""
    return _without(raw, ("ip",)) if _may_hold(raw) else raw


def without_secrets(raw: bytes) -> bytes:
    """An event's JSON as it is kept: without its context's address and its write key, which may be a secret one."""
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
    try:
        known = _decode_context(merged)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        known = salvage(merged, Context)
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
    return ContextFacts(known, text, _campaign(known.campaign), columns)


def _campaign(stated: _Campaign | str) -> Campaign | None:
    """A campaign as Segment's clients state it, by its parts, or as our tag does, as the landing page's parameters."""
    if isinstance(stated, str):
        page = read_parameters(stated)
        found: Campaign = (
            page.utm_source,
            page.utm_medium,
            page.utm_campaign,
            page.utm_term,
            page.utm_content,
            page.click_id_type,
            page.click_id,
        )
        return found if any(found) else None
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
