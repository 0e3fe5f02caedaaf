"""What people paste: into their pages, e-mails and AMP pages, and into their Content-Security-Policy.

Everything is HTML or a header's value as it is to be pasted, escaped. Words in capitals are for whoever fills in the
e-mail's template, or for AMP, which replaces its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
from urllib.parse import quote, urlsplit

from msgspec import Struct

from collector.app.tag import TAG_FILE, TagFile
from collector.enrichment.device import EXACT_HINTS

# Calls before the tag has arrived wait in `q`, with their arguments.
STUB = "window.footfall=window.footfall||function(){(footfall.q=footfall.q||[]).push(arguments)}"


class SnippetError(Exception):
    """There is no such snippet; the text is one sentence."""


class Choices(Struct, frozen=True, kw_only=True):
    """How a page's snippet may differ from the plain one.

    Attributes:
        file: Name of the tag's file.
        pinned: The file itself, to be named by its content and checked by the browser; None for the stable name.
        extras: Names of the extras to load, such as vitals.
        collector_cookie: The collector sets the visitor's id as a cookie (the source has a cookie domain).
        nonce: What the page's template puts there, for a Content-Security-Policy with nonces; empty for none.
        noscript: Count pages without script, by an image.
        hints: Have browsers send exact versions and the device's model to the collector.
    """

    file: str = TAG_FILE
    pinned: TagFile | None = None
    extras: tuple[str, ...] = ()
    collector_cookie: bool = False
    nonce: str = ""
    noscript: bool = True
    hints: bool = False


PLAIN = Choices()


def snippet(base_url: str, write_key: str, choices: Choices = PLAIN) -> str:
    """The HTML for the head of every page."""
    base = base_url.rstrip("/")
    attributes = {"src": f"{base}/{choices.pinned.hashed_name if choices.pinned else choices.file}"}
    if choices.pinned:
        attributes |= {"integrity": choices.pinned.integrity, "crossorigin": "anonymous"}
    if choices.nonce:
        attributes["nonce"] = choices.nonce
    attributes["data-write-key"] = write_key
    if choices.extras:
        attributes["data-extras"] = " ".join(choices.extras)
    if choices.collector_cookie:
        attributes["data-cookie"] = "collector"
    inline = f' nonce="{_escaped(choices.nonce)}"' if choices.nonce else ""
    lines = [f"<script{inline}>{STUB}</script>", f"<script defer {_written(attributes)}></script>"]
    if choices.hints:
        # It must stand in the head as the server sends it: browsers look at no other (Client Hints Infrastructure).
        asked = "; ".join(f"{name.lower()} {_origin(base)}" for name in EXACT_HINTS)
        lines.insert(0, f'<meta http-equiv="delegate-ch" content="{_escaped(asked)}">')
    if choices.noscript:
        lines.append(f"<noscript>{page_pixel(base_url, write_key)}</noscript>")
    return "\n".join(lines)


def page_pixel(base_url: str, write_key: str) -> str:
    """A page view without script. The page's whole address comes as the image's referrer, which is to be allowed."""
    return _image(_pixel(base_url, write_key), 'referrerpolicy="no-referrer-when-downgrade"')


def email_pixel(base_url: str, write_key: str) -> str:
    """An e-mail's opening, by its reader: USER_ID and CAMPAIGN are for the template to fill in, percent-encoded."""
    return _image(_pixel(base_url, write_key, event="email_opened", userId="USER_ID", campaign="CAMPAIGN"))


def amp_pixel(base_url: str, write_key: str) -> str:
    """A page view of an AMP page, which allows no script of ours; AMP replaces the words in capitals.

    Its CLIENT_ID is the tag's own id where the page lies on the site, and one of AMP's where a cache serves it.

    Raises:
        SnippetError: AMP loads over https only.
    """
    if not base_url.startswith("https://"):
        raise SnippetError(f"AMP pages load from https only, the collector is at {base_url}; name its https --url")
    facts = {
        "url": "SOURCE_URL",
        "title": "TITLE",
        "referrer": "DOCUMENT_REFERRER",
        "anonymousId": "CLIENT_ID(footfall_id)",
    }
    return f'<amp-pixel src="{_escaped(_pixel(base_url, write_key, **facts))}" layout="nodisplay"></amp-pixel>'


def policy(base_url: str, nonce: str = "") -> str:
    """The directives that the snippet needs of a Content-Security-Policy, to be joined with those of the page.

    Without a nonce the inline stub is allowed by its hash, so that 'unsafe-inline' never is.
    """
    base = base_url.rstrip("/")
    stub = base64.b64encode(hashlib.sha256(STUB.encode()).digest()).decode()
    scripts = f"'nonce-{nonce}' 'strict-dynamic'" if nonce else f"'sha256-{stub}' {base}"
    return f"script-src {scripts}; connect-src {base}; img-src {base}"


def _pixel(base_url: str, write_key: str, **parameters: str) -> str:
    # Words for templates stay as they are: braces, parentheses and all.
    query = "".join(f"&{name}={quote(value, safe='(){}')}" for name, value in parameters.items())
    return f"{base_url.rstrip('/')}/v1/p.gif?writeKey={write_key}{query}"


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _image(url: str, more: str = "") -> str:
    written = [f'<img src="{_escaped(url)}"', more, 'alt="" width="1" height="1">']
    return " ".join(part for part in written if part)


def _written(attributes: dict[str, str]) -> str:
    return " ".join(f'{name}="{_escaped(value)}"' for name, value in attributes.items())


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
