"""What a stranger can send, each with an oracle: a function from bytes that raises where something is not as promised.

    decode   bodies, all the way into the spool's format      unpack   compressed bodies
    head     a connection's bytes, to a real Collector        pixel    the query of an image
    frame    a segment's bytes after whatever happened to the disk

Both fuzzers use them: hypothesis in the suite, atheris in `make fuzz`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import os
import re
import socket
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]  # it ships no types
import msgspec
import uvicorn
from uvicorn.server import ServerState

from collector.app.intake import COUNTER_NAMES
from collector.app.protocol import Protocol
from collector.app.receive import Collector
from collector.app.unpack import coding_of, unpack
from collector.enrichment.enrich import Request, without_secrets
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.pipeline import Tools, process
from collector.limits import BODY_BYTES_MAX
from collector.metrics import Counters
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.reason import Refused
from collector.record import CLOCK_STEP_MS, EVENT_COLUMNS, FAILED_COLUMNS, decode_rows, encode_rows
from collector.sources import Directory, add_source
from collector.spooling.spool import (
    SEGMENT_MAGIC,
    SUFFIX,
    Damage,
    Record,
    SpoolWriter,
    count_spooled,
    frame,
    read_records,
)
from collector.wire.decode import Batch, decode_batch, decode_single, raw_events
from collector.wire.pixel import decode_pixel

RECEIVED_MS = 1_790_000_000_000
ANSWER_SECONDS_MAX = 20.0  # of a connection whose client has said all; far beyond, so that only a hang is one
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
CODINGS = ("gzip", "deflate", "br", "zstd")
GOOD_EVENT = {"type": "track", "event": "fresh", "messageId": "fresh", "anonymousId": "v"}


@cache
def folder() -> Path:
    """A directory of this process, gone with it."""
    held = tempfile.TemporaryDirectory(prefix="footfall-fuzz-")
    _held.append(held)
    return Path(held.name)


_held: list[tempfile.TemporaryDirectory[str]] = []


@cache
def tools() -> Tools:
    """The plan that ships, the registry's countries, salts of our own."""
    plan = compile_plan(load_plan(Path(DEFAULT_PLAN_DIR)))
    return Tools(plan=plan, geo=open_geo("registry"), salts=Salts(folder() / "salts.json"))


def judge(batch: Batch, body: bytes, tools: Tools, *, is_server: bool) -> None:
    """Take a batch all the way into the spool's format, and check that nothing of it got lost."""
    request = Request(RECEIVED_MS, "s", is_server, "8.8.8.8", "agent \xff")
    try:
        outcome = process(batch, request, tools, lambda: list(batch.raws or raw_events(body)))
    except Refused:
        return
    rows = decode_rows(encode_rows(outcome.rows))
    assert len(rows.events) + len(rows.failed) == len(batch.events)
    assert [verdict.index for verdict in outcome.rejected] == sorted({verdict.index for verdict in outcome.rejected})
    assert len(outcome.rejected) == len(rows.failed)
    msgspec.json.encode(outcome.rejected)
    for event in rows.events:
        row = dict(zip(EVENT_COLUMNS, event, strict=True))
        assert row["message_id"]
        assert row["visitor_id"]
        assert row["event"]
        assert 0 <= int(str(row["event_time"])) <= RECEIVED_MS + CLOCK_STEP_MS // 2
        assert 0 <= int(str(row["sequence"])) < 2**32
        for column in ("properties", "traits", "context"):
            json.loads(str(row[column]))
    # An event that is no JSON is kept as it was sent, but for what is never kept.
    as_sent = {
        kept.decode("utf-8", "backslashreplace")
        for raw in map(bytes, batch.raws)
        for kept in (raw, without_secrets(raw))
    }
    for failed in rows.failed:
        row = dict(zip(FAILED_COLUMNS, failed, strict=True))
        assert row["message_id"]
        assert row["reason"]
        if row["raw"] not in as_sent:
            json.loads(str(row["raw"]))


def decode(data: bytes) -> None:
    """A body, of which the first byte says by which path it came."""
    kind = ("batch", "track", "page", "")[data[0] & 3] if data else "batch"
    body = data[1:]
    with contextlib.suppress(Refused):
        batch = decode_batch(body) if kind == "batch" else decode_single(body, kind)
        judge(batch, body, tools(), is_server=bool(data) and data[0] & 4 > 0)


def pixel(data: bytes) -> None:
    """The query of an image's address."""
    with contextlib.suppress(Refused):
        judge(decode_pixel(data.decode("latin-1"), "https://a.example/"), b"", tools(), is_server=False)


def unpacked(data: bytes) -> None:
    """A compressed body, of which the first byte names the coding; also one that was compressed well."""
    if not data:
        return
    coding = CODINGS[data[0] & 3]
    with contextlib.suppress(Refused):
        assert len(unpack(data[1:], coding)) <= BODY_BYTES_MAX
    with contextlib.suppress(Refused):
        assert coding_of(data[1:41]) in (*CODINGS, "")
    assert unpack(packed(data[1:], coding), coding) == data[1:]


def packed(body: bytes, coding: str) -> bytes:
    """A body as a client compresses it."""
    if coding == "zstd":
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # since Python 3.14
        except ImportError:
            from backports import zstd
        compressed: bytes = zstd.compress(body)
    elif coding == "br":
        compressed = brotli.compress(body, quality=1)
    else:
        compressed = gzip.compress(body, 1) if coding == "gzip" else zlib.compress(body, 1)
    return compressed


def framed(data: bytes) -> None:
    """A segment, read as the loader does: call after call, each from where the one before ended."""
    if len(data) < 2:
        return
    sealed, bytes_max = data[0] & 1 > 0, 1 + data[0] // 2 + data[1] * 16
    path = folder() / f"w-0-0{SUFFIX}"
    content = SEGMENT_MAGIC + data[2:]
    path.write_bytes(content)
    position = len(SEGMENT_MAGIC)
    while items := list(read_records(path, position, bytes_max, sealed=sealed)):
        for item in items:
            assert item.start == position, "reading skipped bytes or read some twice"
            assert item.end > item.start, "reading made no progress"
            position = item.end
            if isinstance(item, Record):
                again = frame(item.payload, item.accepted, item.rejected, item.dropped)
                assert again == content[item.start : item.end]
            else:
                assert isinstance(item, Damage)
                assert sealed, "damage of a segment that may still grow"
    assert position == len(content) or not sealed
    assert count_spooled(folder(), {}) >= 0


class Edge:
    """A real Collector in an event loop that is run as far as each connection needs it."""

    def __init__(self) -> None:
        data_dir = folder() / "edge"
        (data_dir / "run").mkdir(parents=True)
        self.source, _ = add_source(data_dir, "Fuzz", [])
        self.loop = asyncio.new_event_loop()
        self.wrong: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.wrong.append(context))
        # Nothing is to survive this process, so nothing waits for the disk.
        self.loop.run_until_complete(self._start(data_dir))

    async def _start(self, data_dir: Path) -> None:
        spool = SpoolWriter(data_dir / "spool", "w", lambda *_: None, sync=lambda _: None)
        counters = Counters(data_dir / "run" / "w.counters", COUNTER_NAMES)
        directory = Directory(data_dir, lambda: RECEIVED_MS)
        app = Collector(tools(), spool, directory, counters, _not_found, lambda: RECEIVED_MS)
        self.config = uvicorn.Config(
            app, http=Protocol, lifespan="off", ws="none", log_config=None, access_log=False, server_header=False
        )
        self.config.load()
        self.state = ServerState()

    def answers(self, data: bytes, split: int) -> bytes:
        """What a client reads who sends these bytes in two writes and then has said all."""
        return self.loop.run_until_complete(asyncio.wait_for(self._answers(data, split), ANSWER_SECONDS_MAX))

    async def _answers(self, data: bytes, split: int) -> bytes:
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            await self.loop.connect_accepted_socket(
                lambda: Protocol(self.config, self.state, {}),
                theirs,
            )
            received = b""
            with contextlib.suppress(ConnectionError, BrokenPipeError):  # it need not listen to the end
                await self.loop.sock_sendall(ours, data[:split])
                await asyncio.sleep(0)
                await self.loop.sock_sendall(ours, data[split:])
                ours.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while more := await self.loop.sock_recv(ours, 65_536):
                    received += more
        return received


async def _not_found(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@cache
def edge() -> Edge:
    """The one of this process."""
    return Edge()


def head(data: bytes) -> None:
    """All the bytes of a connection; the first says where they are split."""
    if not data:
        return
    content = data[1:].replace(b"KEY-OF-OURS", edge().source.write_key.encode())
    answered = edge().answers(content, len(content) * data[0] // 256)
    assert not edge().wrong, edge().wrong
    statuses = [int(status) for status in _STATUS.findall(answered)]
    assert all(status < 500 for status in statuses), answered
    assert not answered or answered.startswith(b"HTTP/1.1 "), answered


def fresh_event_flows() -> None:
    """Whatever came before, a good event is still judged, and still answered on a new connection."""
    body = json.dumps({"batch": [GOOD_EVENT], "writeKey": edge().source.write_key}).encode()
    outcome = process(decode_batch(body), Request(RECEIVED_MS, "s", False, "8.8.8.8", ""), tools(), list)
    assert len(decode_rows(encode_rows(outcome.rows)).events) == 1
    answered = edge().answers(post(body), 0)
    assert answered.startswith(b"HTTP/1.1 200 "), answered
    assert answered.endswith(b'{"accepted":1,"rejected":[]}'), answered


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/batch") -> bytes:
    """A request as it goes over the wire."""
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decode": decode,
    "unpack": unpacked,
    "head": head,
    "frame": framed,
    "pixel": pixel,
}
RICH = {
    "type": "page",
    "name": "Größe",
    "messageId": "m",
    "anonymousId": "a",
    "userId": "u",
    "timestamp": "2026-09-21T14:13:19.000Z",
    "sequence": 7,
    "properties": {"value": 1.5, "currency": "EUR", "items": [{"id": "1"}], "text": "\U0001f600"},
    "context": {"page": {"url": "https://a.example/?utm_source=x", "referrer": "https://b.example/"}, "ip": "::1"},
}


def seeds(name: str) -> list[bytes]:
    """Inputs that are as they should be, to begin with."""
    batch = {"batch": [GOOD_EVENT, RICH], "context": {"locale": "de"}, "sentAt": 1_790_000_000_000}
    body = json.dumps({**batch, "writeKey": "KEY-OF-OURS"}, ensure_ascii=False).encode()
    if name == "decode":
        singles = [bytes([kind]) + json.dumps(RICH).encode() for kind in (1, 2, 3, 7)]
        return [b"\0" + body, b"\4" + body, *singles, b'\0{"batch":[]}', b"\0{}", b"\0"]
    if name == "unpack":
        return [bytes([kind]) + packed(body, coding) for kind, coding in enumerate(CODINGS)] + [
            b"\0" + gzip.compress(b"a") * 3,
            b"\1" + zlib.compress(b"a" * 600_000),
            b"\2gzip, br",
        ]
    if name == "head":
        single = json.dumps({**GOOD_EVENT, "writeKey": "KEY-OF-OURS"}).encode()
        chunked = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        requests = [
            post(body),
            post(body) + post(single, path=b"/v1/t"),
            post(gzip.compress(body), b"Content-Encoding: gzip"),
            post(body, b"Expect: 100-continue"),
            post(body, b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings"),
            post(body, b"Authorization: Basic a2V5Og==", b"Origin: https://a.example", b"User-Agent: " + b"a" * 300),
            chunked % (len(body), body),
            b"GET /v1/p.gif?event=e&writeKey=KEY-OF-OURS HTTP/1.1\r\nHost: x\r\n\r\n",
            b"OPTIONS /v1/batch HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n",
            b"GET /nothing HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        ]
        return [bytes([split]) + request for request in requests for split in (0, 120)]
    if name == "frame":
        records = [frame(os.urandom(size), 1, 0) for size in (0, 5, 300)]
        nested = frame(b"FREC" + frame(b"inner", 1, 0), 1, 1, 1)
        return [
            b"\1\0" + b"".join(records),
            b"\0\xff" + b"".join(records),
            b"\1\1" + nested + records[1],
            b"\xff\2FREC",
        ]
    data = base64.b64encode(json.dumps(RICH).encode())
    return [
        b"data=" + data,
        b"event=e&writeKey=k&url=https%3A%2F%2Fa.example&n=%F0%9F%98%80",
        b"type=page&ack=1",
        b"data={}",
    ]
