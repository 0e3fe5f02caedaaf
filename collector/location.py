"""Where an event happened and where its visit came from: the columns that follow from a page's address and referrer.

url, referrer, campaign of the context --locate--> Located
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from collector.referrer import CACHED_URL_MAX, classify, parse_page

# utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id_type, click_id
Campaign: TypeAlias = tuple[str, str, str, str, str, str, str]
_NO_CAMPAIGN: Campaign = ("", "", "", "", "", "", "")

# Events of a visit name the same few pages one after another. 4,096 x at most about 4 KB.
LOCATED_CACHE_MAX = 4_096

_LOCAL_HOST = re.compile(r"(?:localhost|[a-z0-9.-]{1,200}\.localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")


class Located:
    """A place. `columns` are those of packed.PAGE_COLUMNS; compared by identity, because most are cached."""

    __slots__ = ("columns", "is_local")

    def __init__(self, columns: tuple[str, ...], *, is_local: bool) -> None:
        self.columns = columns
        self.is_local = is_local


def is_local(host: str) -> bool:
    """True for a page on the machine it is looked at on."""
    return _LOCAL_HOST.fullmatch(host) is not None


def locate(url: str, referrer: str, campaign: Campaign | None) -> Located:
    """The place of an event. Never raises.

    Args:
        url: The page's address as sent, or empty.
        referrer: The address before it, or empty.
        campaign: What the context says of it, None for nothing; the page's own parameters win.
    """
    if len(url) <= CACHED_URL_MAX and len(referrer) <= CACHED_URL_MAX:
        return _located_cached(url, referrer, campaign)
    return _located(url, referrer, campaign)


def _located(url: str, referrer: str, campaign: Campaign | None) -> Located:
    page = parse_page(url)
    referrer_host, channel = classify(referrer, page)
    stated = campaign or _NO_CAMPAIGN
    columns = (
        page.url,
        page.host,
        page.path,
        page.query,
        parse_page(referrer).url,
        referrer_host,
        channel,
        page.utm_source or stated[0],
        page.utm_medium or stated[1],
        page.utm_campaign or stated[2],
        page.utm_term or stated[3],
        page.utm_content or stated[4],
        page.click_id_type or stated[5],
        page.click_id or stated[6],
    )
    return Located(columns, is_local=is_local(page.host))


_located_cached = lru_cache(maxsize=LOCATED_CACHE_MAX)(_located)
