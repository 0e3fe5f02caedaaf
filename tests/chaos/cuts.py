"""Part `cuts`: a bad network between clients and collector, and between the store process and ClickHouse."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from chaos.ground import ground
from tcp_proxy import Fault, Kind

CLIENT_KINDS: tuple[Kind, ...] = ("cut", "drop", "short", "slow", "away")
STORE_KINDS: tuple[Kind, ...] = ("cut", "drop", "short", "error", "slow", "away")
REQUEST = b"POST /v1/batch"
INSERT = b"INSERT INTO"  # begins the body, and stays readable in its compression
SLOW_SECONDS_MAX = 1.0


def fault(rng: random.Random, kinds: tuple[Kind, ...], word: bytes) -> Fault:
    """Any of these kinds, at any point of the request or the answer."""
    return Fault(rng.choice(kinds), word, rng.random(), rng.uniform(0.05, SLOW_SECONDS_MAX))


def cuts(engine: str, folder: Path, count: int, seed: int) -> str:
    """Cut between clients and the collector and, where there is one, between it and the database server, in turn."""
    with ground(engine, folder, seed) as on:
        for number in range(count):
            at_store = on.behind is not None and number % 2
            proxy = on.behind if on.behind is not None and at_store else on.front
            before = proxy.happened.total()
            proxy.arm(fault(on.rng, STORE_KINDS, INSERT) if at_store else fault(on.rng, CLIENT_KINDS, REQUEST))
            proxy.until_happened(before + 1)
            if on.rng.random() < 0.5:  # sometimes the next one comes while this one is being overcome
                on.senders.until_acked(20)
    told = f"clients: {_each(on.front.happened)}"
    if on.behind is not None:
        told += f"; ClickHouse: {_each(on.behind.happened)}"
    return f"{count} faults ({told}), {on.acked()}"


def _each(happened: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(happened.items()))
