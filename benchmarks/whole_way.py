"""Question: how fast do events get from the wire into the embedded database, and what does each process spend on it?

Budget: 50,000 events/s sustained and 5 us of CPU per loaded row are goals still ahead; this states where we are.
Method: EVENTS page views with ids of their own, in batches of 20, from one client over 16 connections, into
`footfall serve` with one worker; then the time until nothing is left in the spool. CPU is user and system time of the
worker and of the store process, by the kernel's count. One run: it shows an order of magnitude, not a ratio.
"""

from __future__ import annotations

import asyncio
import http.client
import time

from benchmarks.servers import cpu_seconds, footfall, post, resident_mb

EVENTS = 200_000
BATCH = 20
CONNECTIONS = 16
DRAIN_SECONDS_MAX = 120.0


def main() -> None:
    """Measure and print."""
    with footfall(loading=True, pinned=False) as server:
        requests = [post(first, BATCH, server.write_key) for first in range(0, EVENTS, BATCH)]
        pids = {"worker": server.pids[0], "store": server.store_pid}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        begun = time.monotonic()
        asyncio.run(_send_all(server.port, requests))
        sent = time.monotonic() - begun
        stored = _await_stored(server.port, EVENTS)
        loaded = time.monotonic() - begun
        print(f"{stored:,} events acknowledged in {sent:.1f} s: {EVENTS / sent:,.0f} events/s")
        print(f"{stored:,} events in the database after {loaded:.1f} s: {EVENTS / loaded:,.0f} events/s")
        for name, pid in pids.items():
            spent = cpu_seconds(pid) - before[name]
            print(f"{name:<6} {spent / EVENTS * 1e6:5.1f} us CPU per event, {resident_mb(pid):,.0f} MB resident")


async def _send_all(port: int, requests: list[bytes]) -> None:
    """Send each request once; every answer must be 200."""
    waiting = iter(requests)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"answered {head[:40]!r}")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(connection())


def _await_stored(port: int, expected: int) -> int:
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        stored = next(int(float(line.split()[1])) for line in lines if line.startswith("footfall_ledger_stored "))
        if stored >= expected:
            return stored
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {stored:,} of {expected:,} events were stored after {DRAIN_SECONDS_MAX:.0f} s")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
