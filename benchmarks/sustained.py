"""Question: at a steady rate, how long until an event is acknowledged and visible, and does anything grow?

Budget: 50,000 events/s for five minutes on two cores with flat memory and no growing backlog; answers within 25 ms at
the 99th percentile at 70% of that; visible in SQL within 2 s of the answer at the 99th percentile; 150 MB a worker,
600 MB the store process.
Method: `footfall serve` with one worker and embedded chDB. Requests of BATCH page views of one visitor, who sends
REQUESTS_OF_A_VISITOR of them, each event with an id of its own, are sent when they are due, RATE events a second for
SECONDS, over CONNECTIONS connections, whatever came of those before: an answer's time counts from when its request
was due. The ledger is asked LOOKS times a second; an event is visible when as many are stored as had been
acknowledged when it was. CPU is user and system time of each process by the kernel's count; this client takes part of
the same two cores, which its own column says.
Run: python -m benchmarks sustained; FOOTFALL_BENCH_RATE (events/s) and FOOTFALL_BENCH_SECONDS.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, cast

import uvloop

from benchmarks import table
from benchmarks.servers import CONTEXT, USER_AGENT, Server, cpu_seconds, event, footfall, resident_mb
from collector.loading.ledger import read_positions

RATE = int(os.environ.get("FOOTFALL_BENCH_RATE", "20000"))
SECONDS = int(os.environ.get("FOOTFALL_BENCH_SECONDS", "60"))
BATCH = 20
CONNECTIONS = 64
TICK_SECONDS = 0.005
LOOKS = 5
ROWS = 10  # of the table
DRAIN_SECONDS_MAX = 300.0
TEMPLATES = 50
REQUESTS_OF_A_VISITOR = 5


class Look(NamedTuple):
    """What was seen at a moment of the run."""

    at: float
    acknowledged: int
    stored: int


class Run:
    """One load: what is sent, and what came back."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.requests = _requests(server.write_key)
        self.due: deque[float] = deque()  # of requests that wait for a connection
        self.idle: deque[Connection] = deque()
        self.acknowledged = 0
        self.latencies_ms: list[float] = []
        self.looks: list[Look] = []
        self.refused = 0

    async def play(self) -> None:
        """Send for SECONDS, and wait until all is stored."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.server.port)
        sent, begun = 0, time.monotonic()
        looking = asyncio.ensure_future(self._look(begun))
        while (passed := time.monotonic() - begun) < SECONDS:
            for number in range(sent, int(passed * RATE / BATCH)):
                self.due.append(begun + number * BATCH / RATE)
                sent += 1
            self.dispatch()
            await asyncio.sleep(TICK_SECONDS)
        deadline = time.monotonic() + DRAIN_SECONDS_MAX
        while not self.looks or self.looks[-1].stored < sent * BATCH:
            self.dispatch()
            if time.monotonic() > deadline or self.refused:
                break
            await asyncio.sleep(0.05)
        looking.cancel()

    def dispatch(self) -> None:
        """Send what is due over the connections that are free."""
        while self.due and self.idle:
            self.idle.popleft().send(self.due.popleft(), next(self.requests))

    async def _look(self, begun: float) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as aside:
            while True:
                acknowledged = self.acknowledged
                stored = await loop.run_in_executor(aside, _stored, self.server)
                self.looks.append(Look(time.monotonic() - begun, acknowledged, stored))
                await asyncio.sleep(1 / LOOKS)


class Connection(asyncio.Protocol):
    """One connection, with at most one request on its way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._answer = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It may be used."""
        self._transport = cast("asyncio.Transport", transport)
        self._run.idle.append(self)

    def send(self, due: float, request: bytes) -> None:
        """Send a request that was to be sent then."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count a whole answer."""
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]):
            return
        run = self._run
        if head.startswith(b"HTTP/1.1 200"):
            run.acknowledged += BATCH
            run.latencies_ms.append((time.monotonic() - self._due) * 1_000)
        else:
            run.refused += 1
        self._answer = b""
        run.idle.append(self)
        run.dispatch()


def main() -> None:
    """Measure and print."""
    with footfall(loading=True, pinned=False) as server:
        pids = {"worker": server.pids[0], "store": server.store_pid}
        run = Run(server)
        cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
        own = time.process_time()
        grown = _Memory(pids)
        uvloop.run(_watched(run, grown))
        own = time.process_time() - own
        cpu = {name: cpu_seconds(pid) - cpu[name] for name, pid in pids.items()}
    events = max(run.acknowledged, 1)
    print(
        f"{RATE:,} events/s for {SECONDS} s: {run.acknowledged:,} acknowledged, {run.looks[-1].stored:,} stored, ",
        end="",
    )
    print(f"{run.refused:,} requests refused")
    spent = {**cpu, "client": own}
    print("CPU us per event: " + ", ".join(f"{name} {seconds / events * 1e6:.1f}" for name, seconds in spent.items()))
    print(f"answered after {_of(run.latencies_ms, 50):.1f} ms, {_of(run.latencies_ms, 99):.1f} at the 99th percentile")
    visible = _visible(run.looks)
    print(f"visible {_of(visible, 50):.1f} s after that, {_of(visible, 99):.1f} at the 99th percentile")
    most = (max(each) for each in zip(*(held for _, held in grown.seen), strict=True))
    print("at most {:,.0f} MB in the worker and {:,.0f} in the store process, looked at each second\n".format(*most))
    table.head("after s", "acknowledged", "not yet stored", "worker MB", "store MB")
    for at, (worker, store) in grown.seen[:: max(len(grown.seen) // ROWS, 1)]:
        look = min(run.looks, key=lambda one: abs(one.at - at))
        table.row(
            f"{at:.0f}",
            f"{look.acknowledged:,}",
            f"{look.acknowledged - look.stored:,}",
            f"{worker:.0f}",
            f"{store:.0f}",
        )


class _Memory:
    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self.seen: list[tuple[float, tuple[float, float]]] = []

    async def watch(self) -> None:
        begun = time.monotonic()
        while True:
            at = time.monotonic() - begun
            self.seen.append((at, (resident_mb(self._pids["worker"]), resident_mb(self._pids["store"]))))
            await asyncio.sleep(1)


async def _watched(run: Run, memory: _Memory) -> None:
    watching = asyncio.ensure_future(memory.watch())
    await run.play()
    watching.cancel()


def _requests(key: str) -> Iterator[bytes]:
    """Requests without end, each of one visitor, all events with ids of their own; the pages are the same few."""
    templates = []
    for number in range(TEMPLATES):
        events = [event(number * BATCH + at) | {"messageId": "%b", "anonymousId": "%b"} for at in range(BATCH)]
        batch = {"batch": events, "context": CONTEXT, "writeKey": key, "sentAt": "2026-11-22T12:00:01.000Z"}
        body = json.dumps(batch, separators=(",", ":")).encode()
        size = len(body) + 2 * BATCH * (36 - len(b"%b"))
        head = (
            "POST /v1/b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
            f"User-Agent: {USER_AGENT}\r\nOrigin: https://shop.example\r\nContent-Length: {size}\r\n\r\n"
        )
        assert b"%" not in body.replace(b"%b", b"")
        templates.append(head.encode() + body)
    for number in itertools.count():
        visitor = b"01976f5e-93a1-7c31-9000-%012x" % (number // REQUESTS_OF_A_VISITOR)
        ids = ((b"01976f5e-93a1-7c31-8%03x-%012x" % (at, number), visitor) for at in range(BATCH))
        yield templates[number % TEMPLATES] % tuple(itertools.chain.from_iterable(ids))


def _stored(server: Server) -> int:
    """What the ledger says is stored; asked of its file, so that the worker has nothing to do with it."""
    return read_positions(server.data_dir).ledger.stored


def _visible(looks: list[Look]) -> list[float]:
    """Seconds from each look to the first at which what had been acknowledged then was stored."""
    found, later = [], 0
    for look in looks:
        while later < len(looks) and looks[later].stored < look.acknowledged:
            later += 1
        if later == len(looks):
            break
        found.append(max(looks[later].at - look.at, 0.0))
    return found


def _of(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
