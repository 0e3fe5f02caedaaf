"""What clients are answered: status, headers and body, as ASGI has them or as bytes for a connection.

Any page may read any answer, without credentials. Where a source has a cookie domain, the pages of its listed origins
there may send with credentials, and their answers set the visitor's id as a cookie: one that a server sets lives for
400 days where browsers end a script's after seven. No origin is ever echoed that is not listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from itertools import cycle
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from collector.app.head import Head, Headers, key_in
from collector.app.throttle import Throttled
from collector.app.unpack import ACCEPTED_CODINGS
from collector.limits import EVENTS_MAX
from collector.reason import Reason, Refused
from collector.record import Envelope
from collector.sources import Access, Directory
from collector.wire.decode import Batch

# Those that are refused in the same moment must not all come back in one; each is told the next of these.
RETRY_AFTER_SECONDS = (3, 5, 7, 4, 6)
COOKIE_NAME = "footfall_id"
COOKIE_SECONDS = 34_560_000  # 400 days, the most that browsers keep one (RFC 6265bis, section 5.5)
# What may stand in a cookie and is an id as tags make them; any other id is not put there.
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9._~:@+/-]{1,128}")

CORS = (b"access-control-allow-origin", b"*")
JSON = (b"content-type", b"application/json")
PREFLIGHT: Headers = [
    CORS,
    (b"access-control-allow-methods", b"POST, GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding"),
    (b"access-control-max-age", b"86400"),
]

_LATER = (Reason.SPOOL_UNAVAILABLE, Reason.TOO_BUSY, Reason.RATE_LIMITED)
_retry_after_seconds = cycle(RETRY_AFTER_SECONDS)

INTERNAL = Refused(Reason.INTERNAL, "the collector failed on this request; its log says why; send it again")


class Answer(NamedTuple):
    """A whole answer; `headers` are all of its own, with content-length."""

    status: int
    headers: Headers
    body: bytes


class _Accepted(Struct):
    accepted: int
    rejected: list[Any]


def answer(status: int, headers: Headers, body: bytes) -> Answer:
    """An answer of known length."""
    return Answer(status, [*headers, (b"content-length", b"%d" % len(body))], body)


def verdict_body(accepted: int, rejected: list[Any]) -> bytes:
    """The JSON of a judged batch."""
    return msgspec.json.encode(_Accepted(accepted, rejected))


@lru_cache(maxsize=EVENTS_MAX + 1)
def all_accepted(count: int) -> Answer:
    """The answer to a batch whose events were all accepted, for pages without cookies: nearly every answer."""
    return answer(200, [JSON, CORS], verdict_body(count, []))


@lru_cache(maxsize=EVENTS_MAX + 1)
def all_accepted_bytes(count: int) -> bytes:
    """The same as it goes out, from behind the status line and the server's own headers on."""
    made = all_accepted(count)
    return _lines(made.headers) + b"\r\n" + made.body


def as_bytes(made: Answer, server_lines: bytes, *, keep_alive: bool) -> bytes:
    """An answer as it goes out on a connection."""
    close = b"" if keep_alive or (b"connection", b"close") in made.headers else b"connection: close\r\n"
    return b"".join((_status_line(made.status), server_lines, _lines(made.headers), close, b"\r\n", made.body))


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


def refusal(refused: Refused, cors: Sequence[tuple[bytes, bytes]] = (CORS,), allow: bytes = b"POST, OPTIONS") -> Answer:
    """The answer to a request that was refused whole."""
    reason = refused.reason
    headers = [JSON, *cors]
    if reason in _LATER:
        seconds = refused.retry_after_seconds if isinstance(refused, Throttled) else next(_retry_after_seconds)
        headers.append((b"retry-after", b"%d" % seconds))
        headers.append((b"access-control-expose-headers", b"retry-after"))  # or a page's script cannot read it
    if reason is Reason.WRONG_ENCODING:
        headers.append((b"accept-encoding", ACCEPTED_CODINGS))  # RFC 9110, section 15.5.16
    if reason is Reason.METHOD_NOT_ALLOWED:
        headers.append((b"allow", allow))
    if reason in (Reason.BODY_TOO_LARGE, Reason.BODY_TOO_SLOW, Reason.TOO_BUSY):
        # The rest of the body is not worth reading, or others may have the place.
        headers.append((b"connection", b"close"))
    return answer(reason.status, headers, msgspec.json.encode({"error": refused.sentence, "reason": reason.word}))


def cors_of(access: Access | None, head: Head, directory: Directory) -> Headers:
    """Who may read the answer: any page without credentials, or a page of a source with cookies, also with them.

    A refusal before the body was read (`access` is None) knows its source only by a key in the query; without one a
    page that sent with credentials cannot read why.
    """
    if not head.origin:
        return [CORS]
    if access is None and head.query:
        try:
            access = directory.access(key_in(head.query))
        except Refused:
            access = None
    if access is None or head.origin.decode("latin-1").lower() not in access.cookie_origins:
        return [CORS]
    return [
        (b"access-control-allow-origin", head.origin),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"origin"),
    ]


def cookie(batch: Batch, access: Access, lacks: Callable[[Envelope], str]) -> Headers:
    """The visitor's id as a cookie that the tag can read; none where `lacks` names a consent that an event lacks.

    The id is the last one of the batch: a visitor who was reset within it is the new one now.
    """
    visitor_id = ""
    for event in batch.events:
        if isinstance(event, Envelope):
            visitor_id = str(event.anonymousId or visitor_id)
            if lacks(event):
                return []
    if not _COOKIE_VALUE.fullmatch(visitor_id):
        return []
    attributes = f"Domain={access.cookie_domain}; Max-Age={COOKIE_SECONDS}; Path=/; Secure; SameSite=Lax"
    return [(b"set-cookie", f"{COOKIE_NAME}={visitor_id}; {attributes}".encode("ascii"))]
