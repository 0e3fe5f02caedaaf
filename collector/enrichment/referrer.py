"""Where a visit came from, read from the page's own address and from its referrer.

    page url --parse_page--> Page (host, path, query, utm, click id)
    referrer, Page --classify--> (referrer_host, channel)

The page's own words win over the referrer: a tagged link says what the marketer meant, a referrer only which site
happened to carry it. Which sites, words and click ids mean what stands in channels.toml.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, unquote

import idna
import msgspec

from collector.enrichment.channels import Table, medium_word, shipped_table
from collector.enrichment.sensitive import without_secrets

# Browsers and search engines treat longer addresses as broken. Cut before parsing, so the worst URL costs about 0.1 ms.
URL_MAX = 2_048
UTM_MAX = 256
CLICK_ID_MAX = 512
FRAGMENT_MAX = 512

# Addresses repeat within a site; those above 512 characters carry one-off ids and would only fill the cache, which thus
# holds at most 4,096 x about 2 KB.
PAGE_CACHE_MAX = 4_096
CACHED_URL_MAX = 512
CHANNEL_CACHE_MAX = 10_000  # x about 1 KB

# http and https only. An authority ends at / ? or #; its last @ ends the credentials (WHATWG URL, section 4.4). A host
# is 253 characters (RFC 1035) of anything but the characters that the URL standard forbids in one.
_URL = re.compile(
    r"([hH][tT][tT][pP][sS]?)://(?:[^/?#]*@)?"
    r"(\[[0-9a-fA-F:.]{2,45}\]|[^\s/?#@:\[\]<>\"\\^`{|}%]{1,253})(?::([0-9]{0,5}))?"
    r"(/[^?#]*)?(?:\?([^#]*))?(?=#|\Z)"
)
_DEFAULT_PORT = {"http": "80", "https": "443"}
PORT_MAX = 65_535
LABEL_MAX = 63  # of a host name (RFC 1035)

# What browsers never send, because they have put it right: such an address is put right here, too.
_ODD = re.compile(r"[^!-~]|[\\\"<>`{}]|/(?:\.|%2[eE]){1,2}(?:[/?#]|\Z)")
_PARTS = re.compile(r"([a-zA-Z]{4,5}):[/\\]*([^/\\?#]*)([^?#]*)(\?[^#]*)?", re.DOTALL)
# What stays as it is in a path and in a query: printable ASCII but for what section 1.3 of the URL standard encodes.
_SAFE_IN_PATH = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"#<>?`{}')
_SAFE_IN_QUERY = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"#<>')

# Apps that open a page in a browser name themselves as android-app://package.
_APP = re.compile(r"(?:android|ios)-app://([A-Za-z0-9._-]{1,253})")

# Control characters and lone surrogates: never part of an address, and the latter cannot be stored as UTF-8.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

# Sites with one address per country. Only their front doors: docs.google.com is a page like any other, and a longer
# name such as google.example.com is somebody else's.
_WORLDWIDE = r"(?:(?:m|images|search|[a-z]{2})\.)?(BRANDS)\.(?:com|[a-z]{2}|com?\.[a-z]{2})"

# Where a click was paid for, given what kind of site it came from; paid_search for all others.
_PAID_CHANNEL = {"organic_social": "paid_social", "paid_social": "paid_social"} | {
    channel: channel for channel in ("video", "display", "affiliate", "email")
}
_ORGANIC = frozenset({"organic_social", "organic_search"})  # click ids that are put on ordinary links too


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page address, taken apart. Every text is "" where the address holds nothing and can be stored as UTF-8."""

    url: str = ""
    host: str = ""
    path: str = ""
    query: str = ""
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_term: str = ""
    utm_content: str = ""
    click_id_type: str = ""
    click_id: str = ""
    problem: str = ""
    """"unreadable" for what is no web address, "cut" for one that is too long."""


NO_PAGE = Page()
_UNREADABLE = Page(problem="unreadable")


class Addresses:
    """Reads addresses by one table of channels. Two instances share nothing; all calls are pure and cached."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rank = {name: rank for rank, name in enumerate(table.click_ids)}
        # The "amp;" spelling is what a link becomes when its & was escaped twice, common in e-mail.
        self._wanted = {prefix + name: name for name in (*_UTM, *table.click_ids) for prefix in ("", "amp;")}
        brands = "|".join(map(re.escape, table.brands)) or r"(?!)"
        self._worldwide = re.compile(_WORLDWIDE.replace("BRANDS", brands))
        self._page_cached = lru_cache(maxsize=PAGE_CACHE_MAX)(self._page)
        self._classify_cached = lru_cache(maxsize=CHANNEL_CACHE_MAX)(self._classify)
        self._spam_cached = lru_cache(maxsize=CHANNEL_CACHE_MAX)(lambda host: _fitting(host, table.spam) != "")

    def caches(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """What tells how the caches are doing: of pages, and of channels."""
        return self._page_cached.cache_info, self._classify_cached.cache_info

    def parse_page(self, url: str) -> Page:
        """Take a page's address apart. Never raises.

        As browsers do (WHATWG URL): fragment, credentials and default port are removed, the host is in lower case and
        international names in punycode, an empty path is "/", . and .. are resolved, what is not ASCII is encoded.
        Parameters that hold secrets are left out (sensitive.py). utm values are decoded; of several the first that is
        not empty counts.

        Args:
            url: An absolute http or https address; all after 2,048 characters is ignored.
        Returns:
            The page; an empty one for anything that is not such an address, with its `problem` but for "".
        """
        return self._page_cached(url) if len(url) <= CACHED_URL_MAX else self._page(url)

    def read_parameters(self, query: str) -> Page:
        """The campaign parameters of a query string alone, as context.campaign carries a landing page's. Never raises.

        Args:
            query: Such as `utm_source=news&gclid=Cj0K`, still encoded; all after 2,048 characters is ignored.
        Returns:
            A page of nothing but utm values and click id.
        """
        if "=" not in query:
            return NO_PAGE
        text = _UNSTORABLE.sub("", query[:URL_MAX]).removeprefix("?")
        return msgspec.structs.replace(self._page_of("", "", "", text, ""), query="")

    def classify(self, referrer: str, page: Page) -> tuple[str, str]:
        """Name the site a page view came from, and its channel. Never raises.

        Args:
            referrer: The referring address as the browser gives it, or "".
            page: The page that was opened, from parse_page.
        Returns:
            (referrer_host, channel). The host is "" without a referrer and when it is the page's own ("www." ignored).
            The channel is one of channels.CHANNELS. These decide, in this order: utm_medium, a paid click id,
            utm_source, any other click id, the referrer.
        """
        if len(referrer) <= CACHED_URL_MAX:
            return self._classify_cached(referrer, page.host, page.utm_source, page.utm_medium, page.click_id_type)
        return self._classify(referrer[:URL_MAX], page.host, page.utm_source, page.utm_medium, page.click_id_type)

    def is_spam(self, host: str) -> bool:
        """True for a site that is known to make visits up, and for its subdomains."""
        return bool(host) and self._spam_cached(host)

    def _page(self, url: str) -> Page:
        if not url or url.isspace():
            return NO_PAGE
        problem = "cut" if len(url) > URL_MAX else ""
        text = without_secrets(url[:URL_MAX]).strip(" ")
        match = _URL.match(text)
        if match is None or _ODD.search(text):
            text = _put_right(text)
            match = _URL.match(text)
            if match is None:
                return _UNREADABLE
        scheme, host, port, path, query = match.groups()
        scheme = scheme.lower()
        host = host.lower()
        if "xn--" in host and not _is_international(host):
            return _UNREADABLE
        if port:
            if int(port) > PORT_MAX:
                return _UNREADABLE
            if port != _DEFAULT_PORT[scheme]:
                host = f"{host}:{port}"
        path = path or "/"
        if not query:
            return Page(f"{scheme}://{host}{path}", host, path, problem=problem)
        return self._page_of(f"{scheme}://{host}{path}?{query}", host, path, query, problem)

    def _page_of(self, url: str, host: str, path: str, query: str, problem: str) -> Page:
        """A page whose parameters stand in its query."""
        found = self._parameters(query)
        click_id_type = min(found.keys() & self._rank.keys(), key=self._rank.__getitem__, default="")
        click_id = _decoded(found[click_id_type], CLICK_ID_MAX) if click_id_type else ""
        return Page(
            url,
            host,
            path,
            query,
            _decoded(found.get("utm_source", ""), UTM_MAX),
            _decoded(found.get("utm_medium", ""), UTM_MAX),
            _decoded(found.get("utm_campaign", ""), UTM_MAX),
            _decoded(found.get("utm_term", ""), UTM_MAX),
            _decoded(found.get("utm_content", ""), UTM_MAX),
            click_id_type,
            click_id,
            problem,
        )

    def _parameters(self, query: str) -> dict[str, str]:
        """The parameters we read, still encoded. Written by hand: parse_qsl costs four times as much."""
        found: dict[str, str] = {}
        wanted = self._wanted
        for pair in query.split("&"):
            key, _, value = pair.partition("=")
            name = wanted.get(key)
            if name is not None and value and name not in found:
                found[name] = value
        return found

    def _classify(
        self, referrer: str, page_host: str, utm_source: str, utm_medium: str, click_id_type: str
    ) -> tuple[str, str]:
        app = _APP.match(referrer)
        host = app[1].lower() if app else self.parse_page(referrer).host
        own = host != "" and _without_www(host) == _without_www(page_host)
        if own:
            host = ""
        return host, self._channel(host, own, utm_source, utm_medium, click_id_type)

    def _channel(self, host: str, own: bool, utm_source: str, utm_medium: str, click_id_type: str) -> str:
        """The channel, from all that was said about the visit; `host` is that of another site, or ""."""
        table = self._table
        source = utm_source.lower()
        medium = medium_word(utm_medium)
        of_source = table.sources.get(source) or self._channel_of_host(source)
        of_click = table.click_ids.get(click_id_type, "")
        of_host = self._channel_of_host(host)
        if medium in table.mediums:
            return table.mediums[medium]
        if medium in table.paid_mediums:
            return _PAID_CHANNEL.get(of_source or of_click or of_host, "paid_search")
        paid_click = of_click if of_click not in _ORGANIC else ""
        organic = "organic_search" if medium == "organic" else ""
        unnamed = "referral" if host or source or medium else "internal" if own else "direct"
        return paid_click or of_source or organic or of_click or of_host or unnamed

    def _channel_of_host(self, host: str) -> str:
        """The channel of a site or of the site it is a subdomain of; "" for one that no table knows."""
        if site := _fitting(host, self._table.hosts):
            return self._table.hosts[site]
        name = _without_www(host.partition(":")[0])
        if name.startswith(("mail.", "webmail.")) and name.count(".") > 1:
            return "email"  # what webmail is called nearly everywhere; mail.ru itself is a portal
        brand = self._worldwide.fullmatch(name)
        return self._table.brands[brand[1]] if brand else ""


@cache
def shipped_addresses() -> Addresses:
    """Reads by the table that ships."""
    return Addresses(shipped_table())


def parse_page(url: str) -> Page:
    """Addresses.parse_page by the table that ships."""
    return shipped_addresses().parse_page(url)


def classify(referrer: str, page: Page) -> tuple[str, str]:
    """Addresses.classify by the table that ships."""
    return shipped_addresses().classify(referrer, page)


def fragment_of(url: str) -> str:
    """What stands behind the # of an address, without secrets; "" without one. Never raises."""
    at = url.find("#", 0, URL_MAX)
    if at < 0:
        return ""
    return without_secrets(_UNSTORABLE.sub("", url[at : at + FRAGMENT_MAX]))[1:]


def _put_right(text: str) -> str:
    """An http address as a browser would send it; "" for what is none."""
    parts = _PARTS.match(_UNSTORABLE.sub("", text).strip())
    if parts is None:
        return ""
    scheme, authority, path, query = parts.groups()
    _, at, place = authority.rpartition("@")
    host, colon, port = place.rpartition(":") if re.search(r":[0-9]*\Z", place) else (place, "", "")
    if not host.isascii() or "%" in host:
        host = _host_name(host)
    path = quote(_resolved(path.replace("\\", "/")), safe=_SAFE_IN_PATH)
    asked = quote(query, safe=_SAFE_IN_QUERY) if query else ""
    right = f"{scheme}://{at and 'x@'}{host}{colon}{port}{path}{asked}"
    return right if len(right) <= URL_MAX else right[:URL_MAX].rpartition("%")[0] or right[:URL_MAX]


def _host_name(host: str) -> str:
    """A host with international characters as DNS has it (UTS 46); "" for one that cannot be."""
    host = unquote(host, errors="replace")
    if len(host) > 253:
        return ""
    try:
        return idna.encode(host, uts46=True, std3_rules=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return ""


def _is_international(host: str) -> bool:
    """Whether labels in punycode (RFC 3492) stand for something: browsers open no address of others."""
    for label in host.split("."):
        if label.startswith("xn--"):
            try:
                name = label[4:].encode().decode("punycode") if len(label) <= LABEL_MAX else ""
            except UnicodeError:
                return False
            if name.isascii() or not name.isprintable():
                return False
    return True


def _resolved(path: str) -> str:
    """A path without . and .. segments."""
    if "." not in path and "%2" not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for at, segment in enumerate(segments):
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            if len(kept) > 1:
                kept.pop()
        elif plain != ".":
            kept.append(segment)
            continue
        if at == len(segments) - 1:
            kept.append("")
    return "/".join(kept)


def _decoded(value: str, limit: int) -> str:
    if not value:
        return ""
    text = value.replace("+", " ")
    if "%" in text:
        text = _UNSTORABLE.sub("", unquote(text, errors="replace"))
    return text.strip()[:limit]


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def _fitting(host: str, names: dict[str, str] | frozenset[str]) -> str:
    """The longest of the names that is this host, or a domain it lies in; "" for none."""
    rest = _without_www(host.partition(":")[0])
    while "." in rest:
        if rest in names:
            return rest
        rest = rest.partition(".")[2]
    return ""
