"""The page an event stands on, handled as the plan declares the properties that say the same.

A page's address is sent twice: as a property of the page view, and in the context of every event. What the plan does to
`url`, `referrer`, `search`, `title` and `path` it must do to both, and to the parameters of the landing page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from collector.plan.model import Property
from collector.plan.pii import Handler, Stripper, handler_of, over_members

# What else holds the value of a property, where that is not declared itself: a query, and the page visited before.
_SAME = {"search": "url", "referrer": "url"}
_NAMES = ("url", "referrer", "search", "title", "path")


CACHED_BYTES_MAX = 4_096  # a larger context is handled anew each time, so that a cache stays under 2 MB
_CONTEXTS_CACHED = 256

_decode_text = msgspec.json.Decoder(str).decode


class PageHandling:
    """What is done to the page of an event; all events of one plan share a few of these."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        """`handlers` are those of the page's parts, by the names of their properties."""
        self._handlers = handlers
        self._texts = tuple(_of_text(handlers.get(name)) for name in ("url", "referrer", "title"))
        self._cached = lru_cache(maxsize=_CONTEXTS_CACHED)(self._context)

    def page(self, url: str, referrer: str, title: str) -> tuple[str, str, str]:
        """What is kept of a page's address, of the one before it, and of its title; empty where it is dropped."""
        of_url, of_referrer, of_title = self._texts
        return (
            of_url(url) if of_url is not None else url,
            of_referrer(referrer) if of_referrer is not None else referrer,
            of_title(title) if of_title is not None else title,
        )

    def context(self, text: str) -> str:
        """A context's JSON with its page handled, and its campaign, which is a part of the first page's query."""
        return self._cached(text) if len(text) <= CACHED_BYTES_MAX else self._context(text)

    def raw_context(self, raw: bytes) -> bytes:
        """The same for the bytes of an event that is rejected, which may be anything."""
        known: dict[str, Handler] = {"page": self._page}
        if "search" in self._handlers:
            known["campaign"] = self._campaign
        return over_members(raw, known) if raw.startswith(b"{") else raw

    def _context(self, text: str) -> str:
        return self.raw_context(text.encode()).decode()

    def _page(self, raw: bytes) -> bytes:
        return over_members(raw, self._handlers) if raw.startswith(b"{") else raw

    def _campaign(self, raw: bytes) -> bytes | None:
        """A query, mostly without its question mark; Segment's clients send an object of known parts instead."""
        if not raw.startswith(b'"'):
            return raw
        kept = self._handlers["search"](raw if raw.startswith(b'"?') else b'"?' + raw[1:])
        return kept if kept is None or not kept.startswith(b'"?') else b'"' + kept[2:]


def page_handling(properties: tuple[Property, ...]) -> PageHandling | None:
    """What is done to the page of an event with these properties; None when nothing is."""
    declared = {prop.name: prop for prop in properties if prop.name in _NAMES}
    found: dict[str, Handler] = {}
    for name in _NAMES:
        prop = declared.get(name)
        if prop is None or prop.type.pii is None:
            prop = declared.get(_SAME.get(name, name))
        if prop is not None and (handle := handler_of(prop.type)) is not None:
            found[name] = handle
    return PageHandling(found) if found else None


def _of_text(handle: Handler | None) -> Callable[[str], str] | None:
    """The same for a decoded text; what is dropped is empty."""
    if handle is None:
        return None
    if isinstance(handle, Stripper):
        return handle.text

    def change(value: str) -> str:
        kept = handle(msgspec.json.encode(value)) if value else b"null"
        return "" if kept is None or kept == b"null" else _decode_text(kept)

    return change
