"""`/v1/opt-out`: where a visitor says not to be counted, and may take it back. A page with a form, or JSON.

    GET   the state, from the cookie
    POST  sets or removes the cookie that the tag and every route for events look for

The page has no script and asks nothing else. The cookie holds no id: it is the same for everybody. A page of another
site may change it for its visitor only where its origin is listed with a source; a form of any other is refused.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from collector.app.answers import COOKIE_SECONDS, CORS, JSON, Answer, answer
from collector.app.head import OPT_OUT_COOKIE, Headers, check_body
from collector.app.intake import Asked, Intake
from collector.app.unpack import unpack_as
from collector.reason import Reason, Refused

OPT_OUT_PATH = "/v1/opt-out"
FORM = b"application/x-www-form-urlencoded"
DOMAINS_MAX = 4  # a browser keeps 50 cookies of a domain; a collector for more sites than this has a host of its own

_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem}small{color:#555}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}small{color:#aaa}}"
)
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),  # `no-referrer` would make the form's own Origin null
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
]
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
<p>{says}</p>
<form method="post" action="opt-out">
<button name="state" value="{state}">{button}</button>
</form>
<p><small>Your choice is kept in a cookie of this browser for {days} days, without any number or name of yours. It holds
for {host} and the sites of the same domain that are counted there, until you delete your cookies.{gpc}</small></p>
</html>
"""
_GPC = " Your browser sends Global Privacy Control, which sites take as a refusal already unless you agreed to them."
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def opt_out_answer(intake: Intake, asked: Asked, method: str, body: bytes | None) -> Answer:
    """Show the state, or change it.

    Args:
        intake: Knows the sources.
        asked: The request.
        method: GET, HEAD, POST or OPTIONS.
        body: Of a POST.
    Raises:
        Refused: the form is of a page that may not, or unreadable.
    """
    headers = dict(asked.headers)
    host = headers.get(b"host", b"").decode("latin-1").lower()
    cors = _cors(intake, asked)
    if method == "OPTIONS":
        allowed: Headers = [
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", b"content-type"),
        ]
        return answer(204, [*cors, *allowed], b"")
    opted_out = OPT_OUT_COOKIE in asked.head.cookie
    cookies: Headers = []
    if body is not None:
        _check_origin(intake, asked, headers, host)
        opted_out = _wish(asked, body)
        cookies = _cookies(host, intake.directory.sites(), opted_out=opted_out)
        if _content_type(asked) == FORM and not _wants_json(headers):
            return answer(303, [*_PAGE_HEADERS[1:], *cookies, (b"location", b"opt-out")], b"")
    if body is not None or _wants_json(headers):
        vary = (b"vary", b"origin, accept, cookie")
        kept = [each for each in cors if each[0] != b"vary"]
        content = msgspec.json.encode({"opted_out": opted_out})
        return answer(200, [JSON, (b"cache-control", b"no-store"), vary, *kept, *cookies], content)
    page = _page(host, opted_out=opted_out, gpc=asked.head.gpc == b"1").encode()
    made = answer(200, [*_PAGE_HEADERS, (b"vary", b"accept, cookie")], page)
    return made._replace(body=b"") if method == "HEAD" else made


def _page(host: str, *, opted_out: bool, gpc: bool) -> str:
    return _PAGE.format(
        title="You are not counted" if opted_out else "Statistics about visits",
        style=_STYLE,
        says=(
            "This browser's visits are not counted: what it sends is thrown away unread."
            if opted_out
            else "Visits of this browser are counted: which pages are seen, and how they are used. You may say no."
        ),
        state="in" if opted_out else "out",
        button="Count me again" if opted_out else "Do not count me",
        days=COOKIE_SECONDS // 86_400,
        host=escape(host.partition(":")[0][:253]) or "this site",
        gpc=_GPC if gpc else "",
    )


def _wants_json(headers: dict[bytes, bytes]) -> bool:
    accepts = headers.get(b"accept", b"").lower()
    return b"application/json" in accepts and b"text/html" not in accepts


def _content_type(asked: Asked) -> bytes:
    return asked.head.content_type.split(b";", 1)[0].strip().lower()


def _wish(asked: Asked, body: bytes) -> bool:
    """Whether the visitor wants out. Raises Refused."""
    if _content_type(asked) == FORM:
        said = parse_qs(body[:1_024].decode("latin-1")).get("state", [""])[0]
        wish: object = {"out": True, "in": False}.get(said)
    else:
        check_body(asked.head)
        try:
            wish = _decode(unpack_as(asked.head.encoding, body)).get("opted_out")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            wish = None
    if not isinstance(wish, bool):
        raise Refused(Reason.NOT_JSON, 'body says neither in nor out; send {"opted_out": true} or {"opted_out": false}')
    return wish


def _check_origin(intake: Intake, asked: Asked, headers: dict[bytes, bytes], host: str) -> None:
    """Nobody else's page may change it behind a visitor's back. Raises Refused.

    Browsers say where a form comes from by Sec-Fetch-Site, all of them by Origin; what says neither is no browser.
    """
    origin = asked.head.origin.decode("latin-1").lower()
    if headers.get(b"sec-fetch-site") == b"same-origin" or (origin and origin in intake.directory.sites()):
        return
    if origin and urlsplit(origin).netloc == host:
        return
    if origin or headers.get(b"sec-fetch-site") not in (None, b"none"):
        raise Refused(
            Reason.ORIGIN_NOT_ALLOWED,
            f"a page of {origin[:200] or 'another site'} may not change this; list its origin with a source, "
            f"or link to {OPT_OUT_PATH}",
        )


def _cors(intake: Intake, asked: Asked) -> Headers:
    if asked.head.origin.decode("latin-1").lower() in intake.directory.sites():
        return [
            (b"access-control-allow-origin", asked.head.origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"origin"),
        ]
    return [CORS]


def _cookies(host: str, sites: frozenset[str], *, opted_out: bool) -> Headers:
    """The cookie, for the collector's own host and for the domains that it shares with the sites it counts.

    A browser refuses one for a domain that is everybody's, such as co.uk, and keeps the others.
    """
    value = "1" if opted_out else ""
    age = COOKIE_SECONDS if opted_out else 0
    shared = {_shared(host.partition(":")[0], urlsplit(site).hostname or "") for site in sites} - {""}
    widest = sorted(shared, key=lambda domain: (len(domain), domain))[:DOMAINS_MAX]
    domains = ["", *(f" Domain={domain};" for domain in widest)]
    name = OPT_OUT_COOKIE.partition(b"=")[0].decode()
    return [
        (b"set-cookie", f"{name}={value};{domain} Max-Age={age}; Path=/; Secure; SameSite=None".encode("latin-1"))
        for domain in domains
    ]


def _shared(host: str, other: str) -> str:
    """The domain that two hosts are under, of two labels at least; empty for none, and for addresses."""
    labels: list[str] = []
    for ours, theirs in zip(reversed(host.split(".")), reversed(other.split(".")), strict=False):
        if ours != theirs or not ours:
            break
        labels.insert(0, ours)
    return ".".join(labels) if len(labels) >= 2 and not labels[-1].isdigit() else ""
