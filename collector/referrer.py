"""Where a visit came from, read from the page's own address and from its referrer.

    page url --parse_page--> Page (host, path, query, utm, click id)
    referrer, Page --classify--> (referrer_host, channel)

The page's own words win over the referrer: a tagged link says what the marketer meant, a referrer only which site
happened to carry it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

import msgspec

# Browsers and search engines treat longer addresses as broken. Cut before parsing, so the worst URL costs about 0.1 ms.
URL_MAX = 2_048
UTM_MAX = 256
CLICK_ID_MAX = 512

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

# Apps that open a page in a browser name themselves as android-app://package.
_APP = re.compile(r"(?:android|ios)-app://([A-Za-z0-9._-]{1,253})")

# Control characters and lone surrogates: never part of an address, and the latter cannot be stored as UTF-8.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# Click ids by the name advertising networks give them, the most telling first: a page may carry several, and the last
# few are put on ordinary links too.
_CHANNEL_OF_CLICK_ID = {
    "gclid": "paid_search",
    "gbraid": "paid_search",
    "wbraid": "paid_search",
    "msclkid": "paid_search",
    "yclid": "paid_search",
    "dclid": "display",
    "tblci": "display",
    "dicbo": "display",
    "ttclid": "paid_social",
    "twclid": "paid_social",
    "li_fat_id": "paid_social",
    "rdt_cid": "paid_social",
    "ScCid": "paid_social",
    "epik": "paid_social",
    "qclid": "paid_social",
    "irclickid": "affiliate",
    "awc": "affiliate",
    "cjevent": "affiliate",
    "fbclid": "organic_social",
    "igshid": "organic_social",
}
_CLICK_ID_RANK = {name: rank for rank, name in enumerate(_CHANNEL_OF_CLICK_ID)}
_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

# Parameters we read. The "amp;" spelling is what a link becomes when its & was escaped twice, common in e-mail.
_WANTED = {prefix + name: name for name in (*_UTM, *_CHANNEL_OF_CLICK_ID) for prefix in ("", "amp;")}

# The sites behind each channel, with their subdomains; the longest entry that fits decides. Written for this project
# from the addresses that the sites and apps themselves use; extend it freely.
_SITES = {
    "organic_search": """
        ask.com baidu.com bing.com coccoc.com com.google.android.googlequicksearchbox duckduckgo.com ecosia.org
        go.mail.ru kagi.com metager.org mojeek.com naver.com petalsearch.com presearch.com qwant.com
        search.aol.com search.brave.com search.daum.net search.marginalia.nu search.yahoo.co.jp search.yahoo.com
        searchencrypt.com seznam.cz sm.cn so.com sogou.com startpage.com swisscows.com ya.ru""",
    "organic_social": """
        blog.naver.com bsky.app cafe.naver.com com.facebook.katana com.facebook.orca com.instagram.android
        com.linkedin.android com.pinterest com.reddit.frontpage com.twitter.android com.whatsapp
        com.zhiliaoapp.musically discord.com discord.gg douban.com facebook.com fb.com fb.me flipboard.com
        instagram.com line.me linkedin.com livejournal.com lnkd.in lobste.rs mastodon.online mastodon.social
        messenger.com news.ycombinator.com nextdoor.com ok.ru org.telegram.messenger pin.it quora.com redd.it
        reddit.com snapchat.com t.co t.me t.umblr.com telegram.org threads.com threads.net tieba.baidu.com
        tiktok.com tumblr.com twitter.com vk.com wa.me weibo.cn weibo.com weixin.qq.com whatsapp.com wl.co x.com
        xiaohongshu.com xing.com zhihu.com""",
    "video": """
        bilibili.com com.google.android.youtube dailymotion.com odysee.com rumble.com twitch.tv vimeo.com
        youku.com youtu.be youtube-nocookie.com youtube.com""",
    "email": """
        app.fastmail.com com.google.android.gm com.microsoft.office.outlook deref-gmx.net deref-web.de e.mail.ru
        email.seznam.cz mail.google.com mail.naver.com navigator.gmx.net outlook.cloud.microsoft outlook.com
        outlook.live.com outlook.office.com outlook.office365.com""",
    "ai_assistant": """
        chat.deepseek.com chat.mistral.ai chat.openai.com chat.qwen.ai chatgpt.com claude.ai com.openai.chatgpt
        copilot.cloud.microsoft copilot.microsoft.com deepseek.com doubao.com duck.ai gemini.google.com grok.com
        kimi.com kimi.moonshot.cn m365.cloud.microsoft meta.ai notebooklm.google.com perplexity.ai phind.com
        pi.ai poe.com qwen.ai you.com""",
}
_CHANNEL_OF_SITE = {site: channel for channel, sites in _SITES.items() for site in sites.split()}

# Sites with one address per country. Only their front doors: docs.google.com is a page like any other, and a longer
# name such as google.example.com is somebody else's.
_WORLDWIDE = re.compile(
    r"(?:(?:m|images|search|[a-z]{2})\.)?(google|yandex|pinterest)\.(?:com|[a-z]{2}|com?\.[a-z]{2})"
)
_CHANNEL_OF_BRAND = {"google": "organic_search", "yandex": "organic_search", "pinterest": "organic_social"}

# What people write into utm_source where it is not a host name.
_CHANNEL_OF_SOURCE = {
    source: channel
    for channel, sources in {
        "organic_search": "google bing yahoo duckduckgo yandex baidu ecosia qwant brave startpage naver seznam kagi",
        "organic_social": """bluesky facebook fb instagram ig twitter x linkedin reddit pinterest tiktok snapchat
            threads mastodon vk weibo wechat whatsapp telegram discord quora tumblr hackernews social""",
        "video": "youtube yt vimeo twitch dailymotion",
        "email": "email e-mail mail newsletter mailchimp klaviyo sendgrid brevo substack",
        "affiliate": "affiliate awin cj shareasale partnerize rakuten",
        "display": "taboola outbrain criteo doubleclick dv360 adroll",
        "ai_assistant": "chatgpt openai claude perplexity gemini copilot deepseek grok",
    }.items()
    for source in sources.split()
}

# utm_medium, lower-cased with - and blanks as _. Mediums that name no channel (referral, link, app, sms) are not here:
# the source or the referrer decides.
_CHANNEL_OF_MEDIUM = {
    medium: channel
    for channel, mediums in {
        "paid_search": "paid_search paidsearch sem",
        "paid_social": "paid_social paidsocial social_paid social_cpc cpc_social social_ads",
        "organic_social": "social social_media social_network organic_social sm",
        "email": "email e_mail mail newsletter",
        "affiliate": "affiliate affiliates",
        "display": "display banner cpm programmatic native interstitial expandable",
        "video": "video cpv",
        "organic_search": "organic_search",
        "ai_assistant": "ai ai_assistant llm",
    }.items()
    for medium in mediums.split()
}
_PAID_MEDIUMS = frozenset({"cpc", "ppc", "cpa", "cpi", "paid", "ads", "ad", "retargeting", "remarketing"})

# Where a click was paid for, given what kind of site it came from; paid_search for all others.
_PAID_CHANNEL = {"organic_social": "paid_social", "paid_social": "paid_social"} | {
    channel: channel for channel in ("video", "display", "affiliate", "email")
}


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


NO_PAGE = Page()


def parse_page(url: str) -> Page:
    """Take a page's address apart. Never raises.

    Fragment, credentials and default port are removed, the host is lower-cased (international names stay as sent), an
    empty path becomes "/". utm values are decoded; of several the first that is not empty counts.

    Args:
        url: An absolute http or https address; all after 2,048 characters is ignored.
    Returns:
        The page; NO_PAGE for anything that is not such an address.
    """
    return _page_cached(url) if len(url) <= CACHED_URL_MAX else _page(url[:URL_MAX])


def read_parameters(query: str) -> Page:
    """The campaign parameters of a query string alone, as context.campaign carries a landing page's. Never raises.

    Args:
        query: Such as `utm_source=news&gclid=Cj0K`, still encoded; all after 2,048 characters is ignored.
    Returns:
        A page of nothing but utm values and click id.
    """
    if "=" not in query:
        return NO_PAGE
    text = _UNSTORABLE.sub("", query[:URL_MAX]).removeprefix("?")
    return msgspec.structs.replace(_page_of("", "", "", text), query="")


def classify(referrer: str, page: Page) -> tuple[str, str]:
    """Name the site a page view came from, and its channel. Never raises.

    Args:
        referrer: The referring address as the browser gives it, or "".
        page: The page that was opened, from parse_page.
    Returns:
        (referrer_host, channel). The host is "" without a referrer and when it is the page's own ("www." ignored). The
        channel is one of direct, internal, referral, organic_search, paid_search, organic_social, paid_social, email,
        display, affiliate, video, ai_assistant. These decide, in this order: utm_medium, a paid click id, utm_source,
        any other click id, the referrer.
    """
    if len(referrer) <= CACHED_URL_MAX:
        return _classify_cached(referrer, page.host, page.utm_source, page.utm_medium, page.click_id_type)
    return _classify(referrer[:URL_MAX], page.host, page.utm_source, page.utm_medium, page.click_id_type)


def _page(url: str) -> Page:
    text = url if url.isascii() and url.isprintable() else _UNSTORABLE.sub("", url)
    match = _URL.match(text.strip())
    if match is None:
        return NO_PAGE
    scheme, host, port, path, query = match.groups()
    scheme = scheme.lower()
    host = host.lower()
    if port and port != _DEFAULT_PORT[scheme]:
        host = f"{host}:{port}"
    path = path or "/"
    if not query:
        return Page(f"{scheme}://{host}{path}", host, path)
    return _page_of(f"{scheme}://{host}{path}?{query}", host, path, query)


def _page_of(url: str, host: str, path: str, query: str) -> Page:
    """A page whose parameters stand in its query."""
    found = _parameters(query)
    click_id_type = min(found.keys() & _CLICK_ID_RANK.keys(), key=_CLICK_ID_RANK.__getitem__, default="")
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
    )


_page_cached = lru_cache(maxsize=PAGE_CACHE_MAX)(_page)


def _parameters(query: str) -> dict[str, str]:
    """The parameters we read, still encoded. Written by hand: parse_qsl costs four times as much."""
    found: dict[str, str] = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        name = _WANTED.get(key)
        if name is not None and value and name not in found:
            found[name] = value
    return found


def _decoded(value: str, limit: int) -> str:
    if not value:
        return ""
    text = value.replace("+", " ")
    if "%" in text:
        text = _UNSTORABLE.sub("", unquote(text, errors="replace"))
    return text.strip()[:limit]


def _referrer_host(referrer: str) -> str:
    if app := _APP.match(referrer):
        return app[1].lower()
    return _page(referrer).host


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def _classify(referrer: str, page_host: str, utm_source: str, utm_medium: str, click_id_type: str) -> tuple[str, str]:
    host = _referrer_host(referrer)
    own = host != "" and _without_www(host) == _without_www(page_host)
    if own:
        host = ""
    return host, _channel(host, own, utm_source, utm_medium, click_id_type)


_classify_cached = lru_cache(maxsize=CHANNEL_CACHE_MAX)(_classify)


def _channel(host: str, own: bool, utm_source: str, utm_medium: str, click_id_type: str) -> str:
    """The channel, from all that was said about the visit; `host` is that of another site, or ""."""
    source = utm_source.lower()
    medium = utm_medium.lower().replace("-", "_").replace(" ", "_")
    of_source = _CHANNEL_OF_SOURCE.get(source) or _channel_of_host(source)
    of_click = _CHANNEL_OF_CLICK_ID.get(click_id_type, "")
    of_host = _channel_of_host(host)
    if medium in _CHANNEL_OF_MEDIUM:
        return _CHANNEL_OF_MEDIUM[medium]
    if medium in _PAID_MEDIUMS:
        return _PAID_CHANNEL.get(of_source or of_click or of_host, "paid_search")
    paid_click = of_click if of_click != "organic_social" else ""
    organic = "organic_search" if medium == "organic" else ""
    unnamed = "referral" if host or source or medium else "internal" if own else "direct"
    return paid_click or of_source or organic or of_click or of_host or unnamed


def _channel_of_host(host: str) -> str:
    """The channel of a site or of the site it is a subdomain of; "" for one that no table knows."""
    name = _without_www(host.partition(":")[0])
    rest = name
    while "." in rest:
        if channel := _CHANNEL_OF_SITE.get(rest):
            return channel
        rest = rest.partition(".")[2]
    if name.startswith(("mail.", "webmail.")) and name.count(".") > 1:
        return "email"  # what webmail is called nearly everywhere; mail.ru itself is a portal
    brand = _WORLDWIDE.fullmatch(name)
    return _CHANNEL_OF_BRAND[brand[1]] if brand else ""
