"""Question: what does a worker still get done that is asked for ten times what it can do, and how long do clients wait?

Budget: with ten times the connections that saturate it, at least 90% of its peak of stored events a second, and bounded
memory; what it cannot take in time it refuses with 503 and Retry-After.
Method: one worker on one core, loaded from the other in a closed loop. SATURATING connections, each with one request on
its way, keep it busy all the time: that is the peak. Then ten times as many, and the same beside SLOW clients that have
begun a body and do not go on. Bodies of 1, of 20 and of 200 events; of the last, so many wait for longer than a turn of
the loop may take. In turn, REPEATS times. Goodput is answers of 200 per second of the server's own CPU time, so that
other work on the machine does not count; median (min to max) of the repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
from collections.abc import Iterator

from benchmarks import load_client
from benchmarks.collector import spread
from benchmarks.servers import CLIENT_CPU, Server, footfall, post, resident_mb

REPEATS = 3
SECONDS = 8.0
SATURATING = 32
OVERLOAD = 10
SLOW = 500
BODIES = {1: 300, 20: 100, 200: 10}


def main() -> None:
    """Measure and print the table."""
    os.sched_setaffinity(0, {CLIENT_CPU})
    with footfall(loading=False) as server:
        heads = f"{'200 per CPU second':>24} {'of peak':>8} {'503':>7} {'p99 ms':>8} {'MB':>5}"
        print(f"{'events':>6}  {'connections':<24} {heads}")
        for size, bodies in BODIES.items():
            requests = [post(number * size, size, server.write_key) for number in range(bodies)]
            cases = {"peak": (SATURATING, 0), "overload": (OVERLOAD * SATURATING, 0)}
            cases["overload, slow ones"] = (OVERLOAD * SATURATING, SLOW)
            found: dict[str, list[tuple[float, load_client.Result]]] = {name: [] for name in cases}
            for _ in range(REPEATS):
                for name, (connections, slow) in cases.items():
                    with slow_clients(server, slow):
                        found[name].append(measure(server, requests, connections))
            peak = statistics.median(goodput for goodput, _ in found["peak"])
            for name, results in found.items():
                goodput = [each for each, _ in results]
                refused = sum(result.statuses.get(503, 0) for _, result in results)
                tail = statistics.median(result.p99_ms for _, result in results)
                print(
                    f"{size:>6}  {name:<24} {spread(goodput):>24} {statistics.median(goodput) / peak:>8.2f} "
                    f"{refused:>7,} {tail:>8.1f} {resident_mb(server.pids[0]):>5.0f}"
                )


def measure(server: Server, requests: list[bytes], connections: int) -> tuple[float, load_client.Result]:
    """Answers of 200 per second of the server's CPU, and what the client saw."""
    before = server.cpu_seconds()
    result = asyncio.run(load_client.run("127.0.0.1", server.port, requests, connections, SECONDS))
    return result.statuses.get(200, 0) / (server.cpu_seconds() - before), result


@contextlib.contextmanager
def slow_clients(server: Server, count: int) -> Iterator[None]:
    """Connections that have announced a body, sent a part of it and wait."""
    begun = b"POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b" " * 10_000
    with contextlib.ExitStack() as held:
        for _ in range(count):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(begun)
        yield


if __name__ == "__main__":
    main()
