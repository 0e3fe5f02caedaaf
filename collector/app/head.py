"""What the head of a request says: the few headers that matter, the query of a POST, and the write key."""

from __future__ import annotations

import base64
import binascii
from typing import TypeAlias
from urllib.parse import parse_qs

from msgspec import Struct

from collector.app.unpack import coding_of
from collector.consent import DNT, GPC, OPT_OUT
from collector.enrichment.device import NAME_MAX, NO_HINTS, PLATFORM_HINT_MAX, VERSIONS_HINT_MAX, Hints, exact_hints
from collector.limits import BODY_BYTES_MAX
from collector.reason import Reason, Refused
from collector.wire.decode import Batch

Headers: TypeAlias = list[tuple[bytes, bytes]]

# Of whoever does not want to be counted (optout.py).
OPT_OUT_COOKIE = b"footfall_optout=1"
QUERY_PARAMETERS_MAX = 50  # of a POST, whose query says no more than the key

_NO_HINTS = ("", "", "")
_TYPES = frozenset({b"", b"application/json", b"text/plain"})


class Head(Struct, frozen=True, gc=False):
    """The headers that matter, and the query."""

    content_type: bytes
    encoding: bytes
    length: bytes
    authorization: bytes
    origin: bytes
    referer: bytes
    user_agent: bytes
    mobile_hint: bytes
    platform_hint: bytes
    brands_hint: bytes
    versions_hint: bytes
    system_version_hint: bytes
    model_hint: bytes
    purpose: bytes
    gpc: bytes
    dnt: bytes
    cookie: bytes
    query: bytes


def read_head(headers: Headers, query: bytes) -> Head:
    """Look the headers up. Of one that is repeated the last counts; those that may be are read elsewhere."""
    get = dict(headers).get
    return Head(
        get(b"content-type", b""),
        get(b"content-encoding", b""),
        get(b"content-length", b""),
        get(b"authorization", b""),
        get(b"origin", b""),
        get(b"referer", b""),
        get(b"user-agent", b""),
        get(b"sec-ch-ua-mobile", b""),
        get(b"sec-ch-ua-platform", b""),
        get(b"sec-ch-ua", b""),
        get(b"sec-ch-ua-full-version-list", b""),
        get(b"sec-ch-ua-platform-version", b""),
        get(b"sec-ch-ua-model", b""),
        get(b"sec-purpose") or get(b"purpose") or get(b"x-moz", b""),  # today's browsers, and those of before
        get(b"sec-gpc", b""),
        get(b"dnt", b""),
        get(b"cookie", b""),
        query,
    )


def hints_of(head: Head) -> tuple[str, str, str]:
    """The client hints that browsers send unasked: mobile, platform, brands; each empty where it was not sent."""
    if not (head.mobile_hint or head.platform_hint or head.brands_hint):
        return _NO_HINTS
    return head.mobile_hint.decode("latin-1"), head.platform_hint.decode("latin-1"), head.brands_hint.decode("latin-1")


def exact_hints_of(head: Head) -> Hints:
    """The exact client hints, which browsers send where a page has asked them to; NO_HINTS for none."""
    if not (head.versions_hint or head.system_version_hint or head.model_hint):
        return NO_HINTS
    return exact_hints(
        head.platform_hint[:PLATFORM_HINT_MAX].decode("latin-1"),
        head.versions_hint[:VERSIONS_HINT_MAX].decode("latin-1"),
        head.system_version_hint[:NAME_MAX].decode("latin-1"),
        head.model_hint[:NAME_MAX].decode("latin-1"),
    )


def signals_of(head: Head) -> tuple[str, ...]:
    """What the browser says of privacy, in the words of consent.py.

    The opt-out's cookie is looked for as text: a browser sends a cookie's value only where one was set, and nothing
    else of cookies is read.
    """
    found = []
    if head.gpc == b"1":
        found.append(GPC)
    if head.dnt == b"1":
        found.append(DNT)
    if OPT_OUT_COOKIE in head.cookie:
        found.append(OPT_OUT)
    return tuple(found)


def check_body(head: Head) -> None:
    """Refuse a body that will not be read, before it is: of another type or encoding, or announced as too large.

    An unreadable query is refused with it.

    JSON comes under its own name, or as text/plain, which browsers send without a preflight.

    Raises:
        Refused: BAD_QUERY, WRONG_CONTENT_TYPE, WRONG_ENCODING or BODY_TOO_LARGE.
    """
    if head.query:
        asks_debug(head.query)
    if head.content_type not in _TYPES and head.content_type.split(b";", 1)[0].strip().lower() not in _TYPES:
        shown = head.content_type[:80].decode("latin-1")
        raise Refused(
            Reason.WRONG_CONTENT_TYPE, f"content type is {shown}; send application/json or text/plain with JSON in it"
        )
    if head.encoding:
        coding_of(head.encoding)
    if head.length.isdigit() and int(head.length[:20]) > BODY_BYTES_MAX:
        raise too_large(int(head.length[:20]))


def too_large(size: int) -> Refused:
    """The refusal of a body that is, or says that it is, too large."""
    return Refused(
        Reason.BODY_TOO_LARGE, f"body is {size:,} bytes, the limit is {BODY_BYTES_MAX:,}; send smaller batches"
    )


def presented_key(head: Head, batch: Batch) -> str:
    """The write key: by Basic auth (as user name, the colon may be missing), in the body, in the query, in an event."""
    if head.authorization and (name := _basic_name(head.authorization)):
        return name
    if batch.write_key:
        return batch.write_key
    if head.query and (key := key_in(head.query)):
        return key
    first = batch.events[0] if batch.events else None
    return getattr(first, "writeKey", None) or ""


def _basic_name(authorization: bytes) -> str:
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).split(b":", 1)[0].decode("latin-1")
    except (binascii.Error, ValueError):
        return ""


def parameters(query: bytes) -> dict[str, str]:
    """The parameters of a query string, of a repeated one the first. Raises Refused: BAD_QUERY."""
    try:
        found = parse_qs(query.decode("latin-1"), max_num_fields=QUERY_PARAMETERS_MAX)
    except ValueError as error:
        raise Refused(
            Reason.BAD_QUERY, f"query has over {QUERY_PARAMETERS_MAX} parameters; send the event in the body"
        ) from error
    return {name: values[0] for name, values in found.items()}


def key_in(query: bytes) -> str:
    """The write key that a query holds, or nothing. Raises Refused: BAD_QUERY."""
    found = parameters(query)
    return found.get("writeKey") or found.get("write_key") or ""


def asks_debug(query: bytes) -> bool:
    """True for `?debug=1`. Raises Refused: BAD_QUERY."""
    return b"debug" in query and parameters(query).get("debug") == "1"
