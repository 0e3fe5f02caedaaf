"""Question: how many prepared requests per second does a server on this machine answer, and how long does each take?

Budget: the client must cost well under the server's 32 us of CPU per request (a bare uvicorn application); `cpu_us` in
the result says what it cost, so that a benchmark can show that the client was not the bottleneck.
Method: closed loop. Each of N keep-alive connections has one request on its way and sends the next when the answer is
complete, so a slow server is asked less often: latencies are those of N patient clients, not of an open crowd. Requests
are bytes made beforehand and sent in turn; answers are counted by status and their bodies are skipped.

Loopback only: this is an instrument for one's own server, not a weapon. Pin it to a core of its own (`taskset -c 1`).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ipaddress
import itertools
import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

CONNECTIONS_MAX = 1_000  # below the usual 1,024 open files of a shell
SECONDS_MAX = 600.0
REQUESTS_MAX_BYTES = 256 * 1024 * 1024  # prepared requests are held in memory
HEAD_MAX_BYTES = 65_536  # of one answer
# A connection that is cut is opened again this often in all; a server that cuts more is not worth measuring.
REOPENED_MAX = 10_000
# Closing takes a turn of the event loop; only a connection that is just being opened may take longer.
CLOSE_MAX_S = 5.0
_STATUS = re.compile(rb"http/1\.1 ([2-5][0-9]{2})")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,12})")
_BODILESS = (b"204", b"304")
# Latencies fall into buckets 1 % wide, from 1 us up: 2,000 buckets reach beyond an hour, in constant memory.
_GROWTH = math.log(1.01)
_BUCKETS = 2_000


class LoadError(Exception):
    """The load could not be run. The text is one sentence: what happened and what to do."""


@dataclass(frozen=True)
class Result:
    """What was measured. Latencies are milliseconds, exact to 1 %; they are 0 when nothing was answered."""

    requests: int
    seconds: float
    statuses: dict[int, int]
    # Requests whose connection was cut before the answer was complete. They are not in `requests`.
    cut: int
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    # CPU of this process per answered request.
    cpu_us: float


async def run(host: str, port: int, requests: list[bytes], connections: int, seconds: float) -> Result:
    """Send `requests` in turn, again and again, over `connections` connections for `seconds`.

    Args:
        host: A loopback address, or localhost.
        port: 1..65535.
        requests: Whole HTTP/1.1 requests, head and body, as bytes; each must be answered with a Content-Length.
        connections: 1..1,000.
        seconds: 0 < seconds <= 600.
    Raises:
        LoadError: an argument is out of its range, the server cannot be reached, cuts too often, or answers something
            that is not HTTP/1.1 with a Content-Length.
    """
    _check(host, requests, connections, seconds)
    loop = asyncio.get_running_loop()
    load = _Load(itertools.cycle(requests), loop.create_future())
    clients = [_Client(load) for _ in range(connections)]
    openings = [asyncio.ensure_future(_keep_open(loop, host, port, client)) for client in clients]
    cpu_s, started_s = time.process_time(), time.perf_counter()
    timer = loop.call_later(seconds, load.stop)
    try:
        await load.stopped
        elapsed_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    finally:
        timer.cancel()
        load.stop()
        for client in clients:
            client.close()
        _, late = await asyncio.wait(openings, timeout=CLOSE_MAX_S)
        for opening in late:
            opening.cancel()
    if load.failure:
        raise LoadError(load.failure)
    return load.result(elapsed_s, cpu_s)


def _check(host: str, requests: list[bytes], connections: int, seconds: float) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise LoadError(f"{host!r} is not a loopback address; run the server to be measured on this machine")
    if not 1 <= connections <= CONNECTIONS_MAX:
        raise LoadError(f"{connections} connections asked for, the range is 1 to {CONNECTIONS_MAX:,}")
    if not 0 < seconds <= SECONDS_MAX:
        raise LoadError(f"{seconds} seconds asked for, the range is above 0 to {SECONDS_MAX:g}")
    size = sum(map(len, requests))
    if not 0 < size <= REQUESTS_MAX_BYTES:
        raise LoadError(f"the prepared requests are {size:,} bytes, the range is 1 to {REQUESTS_MAX_BYTES:,}")


async def _keep_open(loop: asyncio.AbstractEventLoop, host: str, port: int, client: _Client) -> None:
    """Hold one connection open until the load stops, opening it again when it is cut."""
    load = client.load
    while not load.stopped.done():
        try:
            await loop.create_connection(lambda: client, host, port)
        except OSError as error:
            return load.fail(f"cannot connect to {host}:{port} ({error}); start the server first")
        await client.lost
        load.reopened += 1
        if load.reopened > REOPENED_MAX:
            return load.fail(f"{host}:{port} cut more than {REOPENED_MAX:,} connections; look into the server's log")
    return None


class _Load:
    """What all connections share: the requests, the end, and the counts."""

    def __init__(self, requests: Iterator[bytes], stopped: asyncio.Future[None]) -> None:
        self.requests = requests
        self.stopped = stopped
        self.running = True
        self.failure = ""
        self.statuses: Counter[int] = Counter()
        self.buckets = [0] * _BUCKETS
        self.max_s = 0.0
        self.cut = 0
        self.reopened = 0

    def stop(self) -> None:
        self.running = False
        if not self.stopped.done():
            self.stopped.set_result(None)

    def fail(self, sentence: str) -> None:
        """Stop, and let `run` raise the first such sentence."""
        self.failure = self.failure or sentence
        self.stop()

    def answered(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.buckets[min(max(int(math.log(max(seconds, 1e-6) * 1e6) / _GROWTH), 0), _BUCKETS - 1)] += 1
        self.max_s = max(self.max_s, seconds)

    def percentile_ms(self, share: float) -> float:
        """Upper edge of the bucket that holds this share of the latencies, at most the longest one seen."""
        rank, seen = math.ceil(share * sum(self.buckets)), 0
        for bucket, count in enumerate(self.buckets):
            seen += count
            if seen >= rank > 0:
                return min(math.exp((bucket + 1) * _GROWTH) / 1e3, self.max_s * 1e3)
        return 0.0

    def result(self, seconds: float, cpu_s: float) -> Result:
        answered = sum(self.statuses.values())
        return Result(
            requests=answered,
            seconds=seconds,
            statuses=dict(sorted(self.statuses.items())),
            cut=self.cut,
            per_second=answered / seconds,
            p50_ms=self.percentile_ms(0.5),
            p90_ms=self.percentile_ms(0.9),
            p99_ms=self.percentile_ms(0.99),
            p999_ms=self.percentile_ms(0.999),
            max_ms=self.max_s * 1e3,
            cpu_us=cpu_s * 1e6 / answered if answered else 0.0,
        )


class _Client(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, load: _Load) -> None:
        self.load = load
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._pending = b""
        self._skip_bytes = 0  # of the body that is still to come
        self._status = 0  # of the answer whose body is being skipped; 0 while a head is awaited
        self._sent_s = 0.0
        self._waiting = False
        self._closing = False  # this answer is the connection's last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the first request of this connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the ancestry
        self.lost = asyncio.get_running_loop().create_future()
        self._pending, self._skip_bytes, self._status = b"", 0, 0
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take in a piece of an answer; when the answer is complete, count it and send the next request."""
        if self._status:
            self._skip_bytes -= len(data)
        else:
            data = self._pending + data if self._pending else data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._pending = data
                if len(data) > HEAD_MAX_BYTES:
                    self._fail(f"an answer's head is longer than {HEAD_MAX_BYTES:,} bytes")
                return
            self._pending = b""
            length = self._head(data[:end])
            self._skip_bytes = length - (len(data) - end - 4)
        if self._skip_bytes <= 0 and self._status and self._waiting:
            self._complete()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Count the request that was on its way, and let the connection be opened again."""
        if self._waiting and self.load.running:
            self.load.cut += 1
        self._waiting = False
        if not self.lost.done():
            self.lost.set_result(None)

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        if not self.load.running:
            self.close()
            return
        assert self._transport is not None
        self._waiting = True
        self._sent_s = time.perf_counter()
        self._transport.write(next(self.load.requests))

    def _complete(self) -> None:
        if self._skip_bytes < 0:
            self._fail("an answer is longer than its Content-Length")
            return
        if self.load.running:
            self.load.answered(self._status, time.perf_counter() - self._sent_s)
        self._status, self._waiting = 0, False
        if self._closing:
            self.close()  # the server is about to; asking it once more would count as cut
        else:
            self._send()

    def _head(self, head: bytes) -> int:
        """Read status and Content-Length of an answer's head; the length is 0 where the status has no body."""
        lower = head.lower()
        known = _STATUS.match(lower)
        length = _LENGTH.search(lower)
        if known is None or (length is None and known[1] not in _BODILESS):
            self._fail(f"an answer is not HTTP/1.1 with a Content-Length: {head[:80]!r}")
            return 0
        self._status = int(known[1])
        self._closing = b"\r\nconnection: close" in lower
        return 0 if length is None or known[1] in _BODILESS else int(length[1])

    def _fail(self, failure: str) -> None:
        self._waiting = False
        self.load.fail(f"{failure}; send requests that are answered so")
        self.close()


def post(path: str, body: bytes, key: str, content_type: str = "application/json") -> bytes:
    """One prepared POST with Basic authentication, ready for `run`."""
    credentials = base64.b64encode(f"{key}:".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure a server on this machine with prepared requests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/v1/batch")
    parser.add_argument("--key", default="", help="write key, sent by Basic authentication")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("bodies", nargs="+", type=Path, help="files, each the body of one request")
    given = parser.parse_args(arguments)
    try:
        requests = [post(given.path, body.read_bytes(), given.key) for body in given.bodies]
        result = uvloop.run(run(given.host, given.port, requests, given.connections, given.seconds))
    except (LoadError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(vars(result)) if given.json else _report(result))
    return 0


def _report(result: Result) -> str:
    statuses = ", ".join(f"{count:,} x {status}" for status, count in result.statuses.items()) or "none"
    return (
        f"{result.per_second:,.0f} requests/s over {result.seconds:.1f} s; answers: {statuses}; cut: {result.cut:,}\n"
        f"latency p50 {result.p50_ms:.2f} ms, p90 {result.p90_ms:.2f}, p99 {result.p99_ms:.2f}, "
        f"p99.9 {result.p999_ms:.2f}, max {result.max_ms:.2f}; client CPU {result.cpu_us:.1f} us per request"
    )


if __name__ == "__main__":
    sys.exit(main())
