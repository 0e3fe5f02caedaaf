"""Where an event happened and where its visit came from: the columns that follow from a page's address and referrer.

url, referrer, campaign of the context --Locator.locate--> Located
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeAlias

from collector.enrichment.referrer import CACHED_URL_MAX, URL_MAX, Addresses, fragment_of, shipped_addresses
from collector.enrichment.sensitive import harmless_signs

# utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id_type, click_id
Campaign: TypeAlias = tuple[str, str, str, str, str, str, str]
_NO_CAMPAIGN: Campaign = ("", "", "", "", "", "", "")

# Events of a visit name the same few pages one after another. 4,096 x at most about 4 KB.
LOCATED_CACHE_MAX = 4_096

HOSTS_CACHED = 1_024  # pages stand on few; x at most 2 KB

_LOCAL_HOST = re.compile(r"(?:localhost|[a-z0-9.-]{1,200}\.localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")


class Located:
    """A place. `columns` are those of packed.PAGE_COLUMNS; compared by identity, because most are cached.

    `signs` are the `harmless_signs` of address and referrer as they were sent.
    """

    __slots__ = ("_signs", "columns", "is_local", "is_spam")

    def __init__(self, columns: tuple[str, ...], *, is_local: bool, is_spam: bool, signs: int = -1) -> None:
        self.columns = columns
        self.is_local = is_local
        self.is_spam = is_spam
        self._signs = signs

    def vouches_for(self, text: str) -> bool:
        """Is this JSON, in which address and referrer stand as they were sent, known to hold no secret?"""
        return text.count("=") == self._signs and "@" not in text and "%3" not in text and "\\" not in text


@lru_cache(maxsize=HOSTS_CACHED)
def is_local(host: str) -> bool:
    """True for a page on the machine it is looked at on."""
    return _LOCAL_HOST.fullmatch(host) is not None


class Locator:
    """Locates events by one table of channels. `keeps_fragments` is the operator's choice."""

    def __init__(self, addresses: Addresses, *, keeps_fragments: bool = False) -> None:
        self.keeps_fragments = keeps_fragments
        self._addresses = addresses
        self._located_cached = lru_cache(maxsize=LOCATED_CACHE_MAX)(self._located)

    def locate(self, url: str, referrer: str, campaign: Campaign | str | None, fragment: str = "") -> Located:
        """The place of an event. Never raises.

        Args:
            url: The page's address as sent, or empty.
            referrer: The address before it, or empty.
            campaign: What the context says of it: its parts, or the landing page's parameters as our tag keeps them;
                None for nothing. The page's own parameters win.
            fragment: What `fragment` finds in the address.
        """
        if len(url) <= CACHED_URL_MAX and len(referrer) <= CACHED_URL_MAX:
            return self._located_cached(url, referrer, campaign, fragment)
        return self._located(url, referrer, campaign, fragment)

    def caches(self) -> tuple[Callable[[], Any], ...]:
        """What tells how the caches are doing: of whole places, of pages, of channels."""
        return self._located_cached.cache_info, *self._addresses.caches()

    def fragment(self, url: str) -> str:
        """The fragment of an address, as far as one is kept."""
        return fragment_of(url) if self.keeps_fragments and "#" in url else ""

    def _located(self, url: str, referrer: str, campaign: Campaign | str | None, fragment: str) -> Located:
        addresses = self._addresses
        page = addresses.parse_page(url)
        before = addresses.parse_page(referrer)
        referrer_host, channel = addresses.classify(referrer, page)
        stated = self._parameters(campaign) if isinstance(campaign, str) else campaign or _NO_CAMPAIGN
        columns = (
            page.url,
            page.host,
            page.path,
            page.query,
            before.url,
            referrer_host,
            channel,
            page.utm_source or stated[0],
            page.utm_medium or stated[1],
            page.utm_campaign or stated[2],
            page.utm_term or stated[3],
            page.utm_content or stated[4],
            page.click_id_type or stated[5],
            page.click_id or stated[6],
            fragment,
            _flags(page.problem, "" if referrer_host and before.problem == "unreadable" else before.problem),
        )
        return Located(
            columns,
            is_local=is_local(page.host),
            is_spam=addresses.is_spam(referrer_host),
            signs=harmless_signs(url, referrer),
        )

    def _parameters(self, query: str) -> Campaign:
        page = self._addresses.read_parameters(query[:URL_MAX])
        return (
            page.utm_source,
            page.utm_medium,
            page.utm_campaign,
            page.utm_term,
            page.utm_content,
            page.click_id_type,
            page.click_id,
        )


def said_cut(located: Located, *, url: bool, referrer: bool) -> Located:
    """The same place, with what was cut before the plan took most of the rest away, so that it does not show."""
    known = located.columns[-1].split()
    words = [
        next((word for word in known if word.startswith(name)), f"{name}_cut" if is_cut else "")
        for name, is_cut in (("url", url), ("referrer", referrer))
    ]
    columns = (*located.columns[:-1], " ".join(filter(None, words)))
    return Located(columns, is_local=located.is_local, is_spam=located.is_spam)


@cache
def shipped_locator() -> Locator:
    """Locates by the table that ships."""
    return Locator(shipped_addresses())


def _flags(of_page: str, of_referrer: str) -> str:
    """Words such as `url_cut referrer_unreadable`; the referrer of an app is none that can be read, and known all the
    same.
    """
    if not of_page and not of_referrer:
        return ""
    words = (f"url_{of_page}" if of_page else "", f"referrer_{of_referrer}" if of_referrer else "")
    return " ".join(filter(None, words))
