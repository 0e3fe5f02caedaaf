"""The HTTP edge. A plain ASGI callable takes the events; everything else goes to a small Starlette app behind it.

    POST /v1/batch, /v1/b                      Segment batch
    POST /v1/{track,page,identify,…}, /v1/{t,p,…}   one event
    GET  /v1/p.gif                             pixel
    POST, GET /v1/link                         a visitor's id on its way to another site
    GET, POST /v1/opt-out                      who does not want to be counted
    GET  /footfall.js, /demo/, /livez, /readyz, /metrics, /version

The callable stands in front because a Starlette route costs as much CPU as all the rest of a bare request. Even ASGI
costs more than half of one: a task, a dictionary and two messages for what is, nearly always, one whole body and one
prepared answer. So protocol.py hands whole POSTs of events to `take_whole`, and only the others come by ASGI.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar

from collector.app.address import X_FORWARDED_FOR
from collector.app.answers import (
    CORS,
    INTERNAL,
    PREFLIGHT,
    Answer,
    all_accepted_bytes,
    answer,
    refusal,
)
from collector.app.head import Headers, check_body, too_large
from collector.app.intake import Asked, Intake
from collector.app.lane import Exchange
from collector.app.linking import LINK_PATH, link_answer
from collector.app.optout import OPT_OUT_PATH, opt_out_answer
from collector.app.throttle import Throttle
from collector.ingest.pipeline import Tools
from collector.limits import BODY_BYTES_MAX
from collector.metrics import Counters
from collector.reason import Reason, Refused
from collector.sources import Directory
from collector.spooling.spool import SpoolWriter

log = logging.getLogger("footfall.app")

_ASKS_ACK = re.compile(rb"(?:^|&)ack=1(?:&|$)")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_SECONDS_MAX = 10.0  # a browser on a bad line sends 512 KB in less; a slower client is holding a place

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

# One transparent pixel, 43 bytes: the smallest GIF whose image data is whole.
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
_PIXEL_HEADERS: Headers = [
    (b"content-type", b"image/gif"),
    (b"content-length", str(len(PIXEL)).encode()),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    CORS,
]


class Collector:
    """The ASGI application of one worker, and the one object that holds its state.

    `whole_paths` are those whose POSTs protocol.py may hand to `take_whole`, with the type of their one event.
    """

    whole_paths: ClassVar[dict[bytes, str | None]] = {
        **dict.fromkeys(path.encode() for path in BATCH_PATHS),
        **{path.encode(): kind for path, kind in SINGLE_PATHS.items()},
    }
    whole_seconds_max = BODY_SECONDS_MAX

    def __init__(
        self,
        tools: Tools,
        spool: SpoolWriter,
        directory: Directory,
        counters: Counters,
        behind: Callable[[Scope, Receive, Send], Awaitable[None]],
        now_ms: Callable[[], int],
        trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (),
        proxy_header: bytes = X_FORWARDED_FOR,
        throttle: Throttle | None = None,
    ) -> None:
        """Take over the parts of a worker.

        Args:
            tools: Plan, geo and salts.
            spool: Where rows go.
            directory: Who may send.
            counters: With the names of COUNTER_NAMES.
            behind: Answers what is not an event.
            now_ms: The wall clock in milliseconds.
            trusted_proxies: Whose `proxy_header`, in lower case, says where a request comes from.
            proxy_header: See there.
            throttle: How much each source and address may send; None for as much as comes.
        """
        self._intake = Intake(tools, spool, directory, counters, now_ms, trusted_proxies, proxy_header, throttle)
        self._behind = behind
        self.pressure = self._intake.pressure
        self.count_refusal = self._intake.count_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one ASGI connection."""
        if scope["type"] != "http":
            await self._behind(scope, receive, send)
            return
        path: str = scope["path"]
        if path in BATCH_PATHS or path in SINGLE_PATHS:
            await _send(send, await self._take(scope, receive, SINGLE_PATHS.get(path)))
        elif path == PIXEL_PATH:
            await _send(send, await self._take_pixel(scope))
        elif path == LINK_PATH:
            await _send(send, await self._link(scope, receive))
        elif path == OPT_OUT_PATH:
            await _send(send, await self._opt_out(scope, receive))
        elif path.startswith("/v1/"):
            unknown = Refused(Reason.NOT_FOUND, f"there is no {path[:64]}; send events to /v1/batch")
            await _send(send, self._refusal(unknown))
        else:
            await self._behind(scope, receive, send)

    def take_whole(self, exchange: Exchange) -> None:
        """A POST of events that has arrived whole: judged at once, answered when it is on the disk. Never raises."""
        intake = self._intake
        intake.count_request()
        asked = Asked(exchange.headers, exchange.query, exchange.peer)
        try:
            check_body(asked.head)
            intake.take(asked, exchange.kind, exchange.body)
            intake.store(asked, partial(self._answer_whole, exchange, asked))
        except Refused as refused:
            self._answer_whole(exchange, asked, refused)
        except Exception:
            log.exception("a request failed")
            self._answer_whole(exchange, asked, INTERNAL)

    def _answer_whole(self, exchange: Exchange, asked: Asked, refused: Refused | None) -> None:
        if refused is not None:
            exchange.answer(self._intake.refusal(asked, refused))
        elif asked.is_plain:
            exchange.answer_ok(all_accepted_bytes(asked.outcome.accepted))
        else:
            exchange.answer(self._intake.answer(asked))

    async def _take(self, scope: Scope, receive: Receive, kind: str | None) -> Answer:
        """Events by POST: read, judge, make durable, answer."""
        method = scope["method"]
        if method == "OPTIONS":
            return answer(204, PREFLIGHT, b"")
        intake = self._intake
        intake.count_request()
        if method != "POST":
            return self._refusal(Refused(Reason.METHOD_NOT_ALLOWED, f"{method} is not for events; use POST"))
        asked = Asked(scope["headers"], scope["query_string"], _peer(scope))
        try:
            check_body(asked.head)
            intake.take(asked, kind, await self._read_body(receive))
            await self._stored(asked)
            return intake.answer(asked)
        except Refused as refused:
            return intake.refusal(asked, refused)
        except Exception:
            log.exception("a request failed")
            return intake.refusal(asked, INTERNAL)

    async def _take_pixel(self, scope: Scope) -> Answer:
        """One event by GET. An image is the answer, whatever becomes of the event, unless the page asks with `ack`."""
        method = scope["method"]
        self._intake.count_request()
        if method not in ("GET", "HEAD"):
            refused = Refused(Reason.METHOD_NOT_ALLOWED, f"{method} is not for the pixel; use GET")
            return self._refusal(refused, allow=b"GET, HEAD")
        problem: Refused | None = None
        try:
            if method == "GET":
                asked = Asked(scope["headers"], scope["query_string"], _peer(scope))
                self._intake.take_pixel(asked)
                await self._stored(asked)
        except Refused as refused:
            problem = refused
        except Exception:
            log.exception("a pixel failed")
            problem = INTERNAL
        if problem is not None:
            if _ASKS_ACK.search(scope["query_string"]):
                return self._refusal(problem, allow=b"GET, HEAD")
            self.count_refusal(problem.reason)
        return Answer(200, _PIXEL_HEADERS, PIXEL if method == "GET" else b"")

    async def _link(self, scope: Scope, receive: Receive) -> Answer:
        """A token for a visitor's id (POST), or the id for a token (GET)."""
        method = scope["method"]
        if method == "OPTIONS":
            return answer(204, PREFLIGHT, b"")
        if method not in ("GET", "POST"):
            sentence = f"{method} is not for links; use POST to make one, GET to follow one"
            return self._refusal(Refused(Reason.METHOD_NOT_ALLOWED, sentence), b"GET, POST, OPTIONS")
        asked = Asked(scope["headers"], scope["query_string"], _peer(scope))
        try:
            if method == "POST":
                check_body(asked.head)
                return link_answer(self._intake, asked, await self._read_body(receive))
            return link_answer(self._intake, asked, None)
        except Refused as refused:
            return self._refusal(refused)
        except Exception:
            log.exception("a link failed")
            return self._refusal(INTERNAL)

    async def _opt_out(self, scope: Scope, receive: Receive) -> Answer:
        """The page where a visitor opts out (GET), and the choice (POST)."""
        method = scope["method"]
        if method not in ("GET", "HEAD", "POST", "OPTIONS"):
            sentence = f"{method} is not for opting out; use GET to see, POST to change it"
            return self._refusal(Refused(Reason.METHOD_NOT_ALLOWED, sentence), b"GET, HEAD, POST, OPTIONS")
        asked = Asked(scope["headers"], scope["query_string"], _peer(scope))
        try:
            body = await self._read_body(receive) if method == "POST" else None
            return opt_out_answer(self._intake, asked, method, body)
        except Refused as refused:
            return self._refusal(refused)
        except Exception:
            log.exception("an opt-out failed")
            return self._refusal(INTERNAL)

    async def _stored(self, asked: Asked) -> None:
        """Spool the rows and wait for the disk. Raises Refused."""
        stored: asyncio.Future[Refused | None] = asyncio.get_running_loop().create_future()
        self._intake.store(asked, partial(_resolve, stored))
        refused = await stored
        if refused is not None:
            raise refused

    async def _read_body(self, receive: Receive) -> bytes:
        """The body as sent, at most BODY_BYTES_MAX and BODY_SECONDS_MAX long. Raises Refused."""
        parts: list[bytes] = []
        size = 0
        more = True
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(Reason.BODY_TOO_SLOW, "the client went away before its body had arrived")
                    part = message.get("body", b"")
                    if size + len(part) > BODY_BYTES_MAX:
                        raise too_large(size + len(part))
                    self.pressure.hold(len(part))
                    parts.append(part)
                    size += len(part)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise Refused(
                Reason.BODY_TOO_SLOW, f"the body did not arrive within {BODY_SECONDS_MAX:.0f} s; send it again"
            ) from error
        finally:
            self.pressure.release(size)
        return b"".join(parts)

    def _refusal(self, refused: Refused, allow: bytes = b"POST, OPTIONS") -> Answer:
        self.count_refusal(refused.reason)
        return refusal(refused, allow=allow)


def _resolve(stored: asyncio.Future[Refused | None], refused: Refused | None) -> None:
    if not stored.done():  # a request that is cancelled, as at a stop that takes too long, waits no more
        stored.set_result(refused)


def _peer(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


async def _send(send: Send, made: Answer) -> None:
    await send({"type": "http.response.start", "status": made.status, "headers": made.headers})
    await send({"type": "http.response.body", "body": made.body})
