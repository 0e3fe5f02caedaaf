"""Question: what does taking events durably cost beside a server that only reads them?

Budget: one validated, enriched, fsynced event at most 1.5 times the CPU of a bare uvicorn application that reads the
body and answers 204; a batch of 20 at most 3.1 times it.
Method: both servers run at once, each with one process on one core, loaded in turn from another core by the same client
with the same bodies over 32 connections, REPEATS times. CPU is user and system time of the serving process by the
kernel's count, per request. The store process is stopped meanwhile: loading has a benchmark of its own. Median (min to
max) of the repeats.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from collections.abc import Iterable

from benchmarks import load_client
from benchmarks.servers import CLIENT_CPU, Server, bare, footfall, post

REPEATS = 5
SECONDS = 3.0
CONNECTIONS = 32
BODIES = 500
SIZES = (1, 20)


def main() -> None:
    """Measure and print the table."""
    os.sched_setaffinity(0, {CLIENT_CPU})
    with bare() as plain, footfall(loading=False) as collector:
        print(f"{'events':>6}  {'server':<9} {'CPU us/request':>24} {'us/event':>9} {'requests/s':>11} {'p99 ms':>7}")
        for size in SIZES:
            requests = [post(number * size, size, collector.write_key) for number in range(BODIES)]
            sides = {"bare": plain, "footfall": collector}
            costs: dict[str, list[float]] = {name: [] for name in sides}
            rates: dict[str, list[float]] = {name: [] for name in sides}
            tails: dict[str, list[float]] = {name: [] for name in sides}
            for _ in range(REPEATS):
                for name, server in sides.items():
                    cost, result = measure(server, requests)
                    costs[name].append(cost)
                    rates[name].append(result.per_second)
                    tails[name].append(result.p99_ms)
            for name in sides:
                cost = statistics.median(costs[name])
                print(
                    f"{size:>6}  {name:<9} {spread(costs[name]):>24} {cost / size:>9.1f} "
                    f"{statistics.median(rates[name]):>11,.0f} {statistics.median(tails[name]):>7.2f}"
                )
            ratios = [ours / theirs for ours, theirs in zip(costs["footfall"], costs["bare"], strict=True)]
            print(f"{size:>6}  ratio     {spread(ratios):>24}")


def measure(server: Server, requests: list[bytes]) -> tuple[float, load_client.Result]:
    """CPU microseconds per request of the server, and what the client saw."""
    before = server.cpu_seconds()
    result = asyncio.run(load_client.run("127.0.0.1", server.port, requests, CONNECTIONS, SECONDS))
    spent = server.cpu_seconds() - before
    failed = {status: count for status, count in result.statuses.items() if status >= 300}
    if failed or result.cut:
        sys.exit(f"the server answered {failed} and cut {result.cut} connections: nothing was measured")
    return spent / result.requests * 1e6, result


def spread(values: Iterable[float]) -> str:
    """Median (min to max)."""
    ordered = sorted(values)
    return f"{statistics.median(ordered):.2f} ({ordered[0]:.2f} to {ordered[-1]:.2f})"


if __name__ == "__main__":
    main()
