"""The HTTP edge. A plain ASGI callable takes the events; everything else goes to a small Starlette app behind it.

    POST /v1/batch, /v1/b                      Segment batch
    POST /v1/{track,page,identify,…}, /v1/{t,p,…}   one event
    GET  /v1/p.gif                             pixel
    POST, GET /v1/link                         a visitor's id on its way to another site
    GET  /footfall.js, /demo/, /livez, /readyz, /metrics, /version

The callable stands in front because a Starlette route costs as much CPU as all the rest of a bare request. Every
refusal leaves through `_refuse`, every body is capped while it is read, and every wait has a deadline.

Any page may read any answer, without credentials. Where a source has a cookie domain, the pages of its listed origins
there may send with credentials, and their answers set the visitor's id as a cookie: one that a server sets lives for
400 days where browsers end a script's after seven. No origin is ever echoed that is not listed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from collector.app.link import TOKEN_SECONDS, make_token, read_token
from collector.app.verdicts import explain
from collector.decode import (
    BODY_BYTES_MAX,
    Batch,
    decode_batch,
    decode_pixel,
    decode_single,
    gunzip,
    raw_events,
)
from collector.enrich import Request, object_bytes, read_context
from collector.identity import client_address
from collector.metrics import Counters
from collector.pipeline import COUNTER_NAMES as JUDGED_NAMES
from collector.pipeline import Outcome, Tools, process
from collector.reason import Reason, Refused
from collector.record import Envelope, encode_rows
from collector.sources import Access, Directory
from collector.spool import SpoolUnavailable, SpoolWriter, frame

log = logging.getLogger("footfall.app")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

BODY_SECONDS_MAX = 10.0  # a browser on a bad line sends 512 KB in less; a slower client is holding a place
RETRY_AFTER_SECONDS = 5
QUERY_PARAMETERS_MAX = 50  # of a POST, whose query says no more than the key

BATCH_PATHS = frozenset({"/v1/batch", "/v1/b"})
SINGLE_PATHS = {
    f"/v1/{path}": kind
    for kind, short in (
        ("track", "t"),
        ("page", "p"),
        ("identify", "i"),
        ("group", "g"),
        ("alias", "a"),
        ("screen", "s"),
    )
    for path in (kind, short)
}
PIXEL_PATH = "/v1/p.gif"
LINK_PATH = "/v1/link"

COOKIE_NAME = "footfall_id"
COOKIE_SECONDS = 34_560_000  # 400 days, the most that browsers keep one (RFC 6265bis, section 5.5)
# What may stand in a cookie and is an id as tags make them; any other id is not put there.
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9._~:@+/-]{1,128}")

# One transparent pixel, 43 bytes: the smallest GIF whose image data is whole.
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")

COUNTER_NAMES: tuple[str, ...] = (
    "received_total",
    "accepted_total",
    "requests_total",
    "commits_total",
    "commit_records_total",
    "commit_nanoseconds_total",
    *(f'rejected_total{{reason="{reason.word}"}}' for reason in Reason if reason.rejects_event),
    *(f'refused_total{{reason="{reason.word}"}}' for reason in Reason if not reason.rejects_event),
    *JUDGED_NAMES,
)

_CORS = (b"access-control-allow-origin", b"*")
_JSON = (b"content-type", b"application/json")
_PREFLIGHT: Headers = [
    _CORS,
    (b"access-control-allow-methods", b"POST, GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding"),
    (b"access-control-max-age", b"86400"),
]
_PIXEL_HEADERS: Headers = [
    (b"content-type", b"image/gif"),
    (b"content-length", str(len(PIXEL)).encode()),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    _CORS,
]
_LINK_HEADERS: Headers = [_JSON, _CORS, (b"cache-control", b"no-store")]


class _Answer(Struct):
    accepted: int
    rejected: list[Any]


class _LinkBody(Struct):
    """What POST /v1/link takes."""

    anonymousId: str
    writeKey: str = ""


class _Facts(NamedTuple):
    """The headers that matter."""

    content_type: bytes
    encoding: bytes
    length: bytes
    authorization: bytes
    origin: bytes
    referer: bytes
    user_agent: bytes
    hints: tuple[bytes, bytes, bytes]


_INTERNAL = Refused(Reason.INTERNAL, "the collector failed on this request; its log says why; send it again")


class Collector:
    """The ASGI application of one worker, and the one object that holds its state."""

    def __init__(
        self,
        tools: Tools,
        spool: SpoolWriter,
        directory: Directory,
        counters: Counters,
        behind: Callable[[Scope, Receive, Send], Awaitable[None]],
        now_ms: Callable[[], int],
        trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (),
    ) -> None:
        """`behind` answers what is not an event; `now_ms` is the wall clock in milliseconds."""
        self._tools = tools
        self._spool = spool
        self._directory = directory
        self._counters = counters
        self._behind = behind
        self._now_ms = now_ms
        self._trusted_proxies = trusted_proxies
        self._answers: dict[int, tuple[bytes, Headers]] = {}
        self._requests, self._received, self._accepted = (
            counters.slot(name) for name in ("requests_total", "received_total", "accepted_total")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one ASGI connection."""
        if scope["type"] != "http":
            await self._behind(scope, receive, send)
            return
        path: str = scope["path"]
        if path in BATCH_PATHS or path in SINGLE_PATHS:
            await self._take(scope, receive, send, SINGLE_PATHS.get(path))
        elif path == PIXEL_PATH:
            await self._take_pixel(scope, send)
        elif path == LINK_PATH:
            await self._link(scope, receive, send)
        elif path.startswith("/v1/"):
            await self._refuse(send, Refused(Reason.NOT_FOUND, f"there is no {path[:64]}; send events to /v1/batch"))
        else:
            await self._behind(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send, kind: str | None) -> None:
        """Events by POST: read, judge, make durable, answer."""
        method = scope["method"]
        if method == "OPTIONS":
            await _send(send, 204, _PREFLIGHT, b"")
            return
        self._counters.slots[self._requests] += 1
        if method != "POST":
            await self._refuse(send, Refused(Reason.METHOD_NOT_ALLOWED, f"{method} is not for events; use POST"))
            return
        facts = _facts(scope["headers"])
        query: bytes = scope["query_string"]
        access: Access | None = None
        try:
            debug = _asks_debug(query)
            _check_type(facts.content_type)
            body = await _read_body(receive, facts)
            batch = decode_batch(body) if kind is None else decode_single(body, kind)
            key = _presented_key(facts, query, batch)
            access = self._admit(key, facts)
            request = self._request(scope, facts, access)
            outcome = self._judge(batch, request, lambda: list(batch.raws or raw_events(body)))
            await self._make_durable(outcome)
        except Refused as refused:
            await self._refuse(send, refused, cors=self._cors(access, facts, query))
            return
        except Exception:
            log.exception("a request failed")
            await self._refuse(send, _INTERNAL, cors=self._cors(access, facts, query))
            return
        accepted = len(outcome.rows.events)
        if outcome.rejected or debug or access.cookie_origins:
            headers = [_JSON, *self._cors(access, facts, b"")]
            if accepted and len(headers) > 2:
                headers += _cookie(batch, access)
            if debug:
                answer = explain(batch, outcome, request)
            else:
                answer = msgspec.json.encode(_Answer(accepted, outcome.rejected))
            await _send(send, 200, headers, answer)
            return
        prepared = self._answers.get(accepted)
        if prepared is None:
            answer = msgspec.json.encode(_Answer(accepted, []))
            prepared = self._answers[accepted] = (answer, [_JSON, _CORS, _length(answer)])
        await send({"type": "http.response.start", "status": 200, "headers": prepared[1]})
        await send({"type": "http.response.body", "body": prepared[0]})

    async def _take_pixel(self, scope: Scope, send: Send) -> None:
        """One event by GET. An image is what the page gets, whatever becomes of the event."""
        method = scope["method"]
        self._counters.slots[self._requests] += 1
        if method not in ("GET", "HEAD"):
            refused = Refused(Reason.METHOD_NOT_ALLOWED, f"{method} is not for the pixel; use GET")
            await self._refuse(send, refused, allow=b"GET, HEAD")
            return
        try:
            if method == "GET":
                facts = _facts(scope["headers"])
                batch = decode_pixel(scope["query_string"].decode("latin-1"), facts.referer.decode("latin-1"))
                access = self._admit(_presented_key(facts, b"", batch), facts)
                outcome = self._judge(batch, self._request(scope, facts, access), lambda: list(batch.raws))
                await self._make_durable(outcome)
        except Refused as refused:
            self.count_refusal(refused.reason)
        except Exception:
            log.exception("a pixel failed")
            self.count_refusal(Reason.INTERNAL)
        await send({"type": "http.response.start", "status": 200, "headers": _PIXEL_HEADERS})
        await send({"type": "http.response.body", "body": PIXEL if method == "GET" else b""})

    async def _link(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A token for a visitor's id (POST), or the id for a token (GET)."""
        method = scope["method"]
        if method == "OPTIONS":
            await _send(send, 204, _PREFLIGHT, b"")
            return
        if method not in ("GET", "POST"):
            sentence = f"{method} is not for links; use POST to make one, GET to follow one"
            await self._refuse(send, Refused(Reason.METHOD_NOT_ALLOWED, sentence), b"GET, POST, OPTIONS")
            return
        try:
            answer = await self._link_answer(scope, receive)
        except Refused as refused:
            await self._refuse(send, refused)
        except Exception:
            log.exception("a link failed")
            await self._refuse(send, _INTERNAL)
        else:
            await _send(send, 200, _LINK_HEADERS, msgspec.json.encode(answer))

    async def _link_answer(self, scope: Scope, receive: Receive) -> dict[str, str | int]:
        facts = _facts(scope["headers"])
        query: bytes = scope["query_string"]
        salts, now_ms = self._tools.salts, self._now_ms()
        try:
            if scope["method"] == "GET":
                self._admit(_key_in(query), facts)
                return {"anonymousId": read_token(salts, now_ms, _query(query).get("token", ""))}
            _check_type(facts.content_type)
            asked = _link_body(await _read_body(receive, facts))
            self._admit(asked.writeKey or _key_in(query), facts)
            return {"token": make_token(salts, now_ms, asked.anonymousId), "expires_in": TOKEN_SECONDS}
        except OSError as problem:
            raise Refused(
                Reason.SPOOL_UNAVAILABLE, f"links cannot be signed now ({problem.strerror}); try it again"
            ) from problem

    def _cors(self, access: Access | None, facts: _Facts, query: bytes) -> Headers:
        """Who may read the answer: any page without credentials, or a page of a source with cookies, also with them.

        A refusal before the body was read knows its source only by a key in the query; without one a page that sent
        with credentials cannot read why.
        """
        if not facts.origin:
            return [_CORS]
        if access is None and query:
            try:
                access = self._directory.access(_key_in(query))
            except Refused:
                access = None
        if access is None or facts.origin.decode("latin-1").lower() not in access.cookie_origins:
            return [_CORS]
        return [
            (b"access-control-allow-origin", facts.origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"origin"),
        ]

    def _admit(self, key: str, facts: _Facts) -> Access:
        """The source this key opens to this page."""
        if not key:
            raise Refused(
                Reason.KEY_MISSING, "no write key; send it by Basic auth, as writeKey in the body, or as ?writeKey="
            )
        access = self._directory.access(key)
        if access is None:
            raise Refused(Reason.KEY_UNKNOWN, "no source has this write key; `footfall sources list` shows the keys")
        if not access.enabled:
            raise Refused(Reason.SOURCE_DISABLED, f"source {access.source_id} is disabled; use another write key")
        if access.origins and facts.origin and not access.is_server:
            origin = facts.origin.decode("latin-1").lower()
            if origin not in access.origins:
                raise Refused(
                    Reason.ORIGIN_NOT_ALLOWED,
                    f"origin {origin[:200]} is not among those of source {access.source_id}; add it to the source",
                )
        return access

    def _request(self, scope: Scope, facts: _Facts, access: Access) -> Request:
        peer = scope["client"][0] if scope.get("client") else ""
        if self._trusted_proxies:
            # Each proxy may add a header of its own (RFC 9110, section 5.3).
            hops = b",".join(value for header, value in scope["headers"] if header == b"x-forwarded-for")
            if hops:
                peer = client_address(peer, hops.decode("latin-1"), self._trusted_proxies)
        mobile, platform, brands = facts.hints
        return Request(
            received_ms=self._now_ms(),
            source_id=access.source_id,
            is_server=access.is_server,
            address=peer,
            user_agent=facts.user_agent.decode("latin-1"),
            hints=(mobile.decode("latin-1"), platform.decode("latin-1"), brands.decode("latin-1")),
            environment=access.environment,
        )

    def _judge(self, batch: Batch, request: Request, raws: Callable[[], list[bytes]]) -> Outcome:
        """Take the batch through the pipeline, whose one contact with the disk is the salt of a new day."""
        try:
            return process(batch, request, self._tools, raws)
        except OSError as problem:
            raise Refused(
                Reason.SPOOL_UNAVAILABLE, f"visitors cannot be told apart now ({problem.strerror}); send it again"
            ) from problem

    async def _make_durable(self, outcome: Outcome) -> None:
        """Spool the rows and wait for the disk: from here on they are ours."""
        accepted, rejected, dropped = len(outcome.rows.events), len(outcome.rows.failed), len(outcome.dropped)
        if not accepted and not rejected and not dropped:
            return
        try:
            await self._spool.append(frame(encode_rows(outcome.rows), accepted, rejected, dropped))
        except SpoolUnavailable as problem:
            raise Refused(
                Reason.SPOOL_UNAVAILABLE, f"events cannot be stored now ({problem}); send them again"
            ) from problem
        self._counters.slots[self._received] += accepted + rejected + dropped
        self._counters.slots[self._accepted] += accepted
        for verdict in outcome.rejected:
            self._counters.add(f'rejected_total{{reason="{verdict.reason}"}}')
        for name, count in outcome.counts.items():
            self._counters.add(name, count)

    def count_refusal(self, reason: Reason) -> None:
        """Count one request that was refused whole, here or before it was a request."""
        self._counters.add(f'refused_total{{reason="{reason.word}"}}')

    async def _refuse(
        self,
        send: Send,
        refused: Refused,
        allow: bytes = b"POST, OPTIONS",
        cors: Sequence[tuple[bytes, bytes]] = (_CORS,),
    ) -> None:
        reason = refused.reason
        self.count_refusal(reason)
        headers = [_JSON, *cors]
        if reason is Reason.SPOOL_UNAVAILABLE:
            headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
            headers.append((b"access-control-expose-headers", b"retry-after"))  # or a page's script cannot read it
        if reason is Reason.METHOD_NOT_ALLOWED:
            headers.append((b"allow", allow))
        if reason in (Reason.BODY_TOO_LARGE, Reason.BODY_TOO_SLOW):
            headers.append((b"connection", b"close"))  # the rest of the body is not worth reading
        body = msgspec.json.encode({"error": refused.sentence, "reason": reason.word})
        await _send(send, reason.status, headers, body)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers, _length(body)]})
    await send({"type": "http.response.body", "body": body})


def _length(body: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", str(len(body)).encode())


def _facts(headers: Headers) -> _Facts:
    """Look the headers up. Of one that is repeated the last counts; those that may be are read elsewhere."""
    get = dict(headers).get
    return _Facts(
        content_type=get(b"content-type", b""),
        encoding=get(b"content-encoding", b""),
        length=get(b"content-length", b""),
        authorization=get(b"authorization", b""),
        origin=get(b"origin", b""),
        referer=get(b"referer", b""),
        user_agent=get(b"user-agent", b""),
        hints=(get(b"sec-ch-ua-mobile", b""), get(b"sec-ch-ua-platform", b""), get(b"sec-ch-ua", b"")),
    )


def _check_type(content_type: bytes) -> None:
    """JSON under its own name, or as text/plain, which browsers send without a preflight."""
    kind = content_type.split(b";", 1)[0].strip().lower()
    if kind not in (b"", b"application/json", b"text/plain"):
        shown = content_type[:80].decode("latin-1")
        raise Refused(
            Reason.WRONG_CONTENT_TYPE, f"content type is {shown}; send application/json or text/plain with JSON in it"
        )


async def _read_body(receive: Receive, facts: _Facts) -> bytes:
    """The body, unpacked, at most BODY_BYTES_MAX and BODY_SECONDS_MAX long."""
    encoding = facts.encoding.strip().lower()
    if encoding not in (b"", b"identity", b"gzip", b"x-gzip"):  # RFC 9110, section 8.4.1.3, has the two as one
        raise Refused(
            Reason.WRONG_ENCODING,
            f"content encoding {encoding[:40].decode('latin-1')} is not known; send gzip or no encoding",
        )
    if facts.length.isdigit() and int(facts.length[:20]) > BODY_BYTES_MAX:
        raise _too_large(int(facts.length[:20]))
    parts: list[bytes] = []
    size = 0
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
    more = True
    while more:
        message = await _receive(receive, deadline - asyncio.get_running_loop().time())
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            raise _too_large(size)
        more = message.get("more_body", False)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return gunzip(body) if encoding.endswith(b"gzip") else body


async def _receive(receive: Receive, seconds: float) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            message = await receive()
    except TimeoutError as error:
        raise Refused(
            Reason.BODY_TOO_SLOW, f"the body did not arrive within {BODY_SECONDS_MAX:.0f} s; send it again"
        ) from error
    if message["type"] == "http.disconnect":
        raise Refused(Reason.BODY_TOO_SLOW, "the client went away before its body had arrived")
    return message


def _too_large(size: int) -> Refused:
    return Refused(
        Reason.BODY_TOO_LARGE, f"body is {size:,} bytes, the limit is {BODY_BYTES_MAX:,}; send smaller batches"
    )


def _presented_key(facts: _Facts, query: bytes, batch: Batch) -> str:
    """The write key: by Basic auth (as user name, the colon may be missing), in the body, in the query, in an event."""
    scheme, _, value = facts.authorization.partition(b" ")
    if scheme.lower() == b"basic":
        try:
            name = base64.b64decode(value.strip(), validate=True).split(b":", 1)[0].decode("latin-1")
        except (binascii.Error, ValueError):
            name = ""
        if name:
            return name
    if batch.write_key:
        return batch.write_key
    if query and (key := _key_in(query)):
        return key
    first = batch.events[0] if batch.events else None
    return getattr(first, "writeKey", None) or ""


def _query(query: bytes) -> dict[str, str]:
    """The parameters of a query string, of a repeated one the first."""
    try:
        found = parse_qs(query.decode("latin-1"), max_num_fields=QUERY_PARAMETERS_MAX)
    except ValueError as error:
        raise Refused(
            Reason.BAD_QUERY, f"query has over {QUERY_PARAMETERS_MAX} parameters; send the event in the body"
        ) from error
    return {name: values[0] for name, values in found.items()}


def _key_in(query: bytes) -> str:
    found = _query(query)
    return found.get("writeKey") or found.get("write_key") or ""


def _asks_debug(query: bytes) -> bool:
    return b"debug" in query and _query(query).get("debug") == "1"


def _link_body(body: bytes) -> _LinkBody:
    try:
        return msgspec.json.decode(body, type=_LinkBody)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(
            Reason.NOT_JSON, f'body asks for no link ({error}); send {{"writeKey": …, "anonymousId": …}}'
        ) from error


def _cookie(batch: Batch, access: Access) -> Headers:
    """The visitor's id as a cookie that the tag can read; none where an event says that it was not agreed to.

    The id is the last one of the batch: a visitor who was reset within it is the new one now.
    """
    visitor_id = ""
    outer = object_bytes(batch.context)
    for event in batch.events:
        if isinstance(event, Envelope):
            visitor_id = str(event.anonymousId or visitor_id)
            if read_context(outer, event.context).known.consent.analytics is not True:
                return []
    if not _COOKIE_VALUE.fullmatch(visitor_id):
        return []
    attributes = f"Domain={access.cookie_domain}; Max-Age={COOKIE_SECONDS}; Path=/; Secure; SameSite=Lax"
    return [(b"set-cookie", f"{COOKIE_NAME}={visitor_id}; {attributes}".encode("ascii"))]
