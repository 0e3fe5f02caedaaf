"""Part `database`: it is down, too slow, has too many parts, loses a table; and the loader is killed meanwhile."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from chaos.ground import Ground, ground
from crash.processes import children, kill
from tcp_proxy import Fault

SECONDS_MAX = 4.0
SETTING = "ALTER TABLE footfall.events MODIFY SETTING parts_to_throw_insert = {}"
AWAY = "RENAME TABLE footfall.{} TO footfall.{}"
REJECTED = {"type": "track", "event": "purchase", "properties": {"value": "none"}, "anonymousId": "v"}


def database(engine: str, folder: Path, count: int, seed: int) -> str:
    """Each of these for seconds, in any order. The embedded database can only be killed with its process."""
    happened: Counter[str] = Counter()
    with ground(engine, folder, seed) as on:
        for number in range(count):
            rejected = json.dumps(
                {"batch": [{**REJECTED, "messageId": f"r{number}"}], "writeKey": on.collector.write_key}
            )
            on.collector.request("POST", "/v1/batch", rejected, {"content-type": "text/plain"})
            kinds = ("killed",) if on.server is None else ("down", "slow", "too many parts", "no table", "killed")
            kind = on.rng.choice(kinds)
            seconds = on.rng.uniform(0.1, SECONDS_MAX)
            _break(on, kind, seconds)
            happened[kind] += 1
            on.senders.until_acked(50)
    each = ", ".join(f"{times} {what}" for what, times in sorted(happened.items()))
    return f"{count} faults ({each}), {on.acked()}"


def _break(on: Ground, kind: str, seconds: float) -> None:
    if kind == "killed":
        for pid in (pid for pid, name in children(on.collector.process.pid).items() if name == "storekeeper"):
            kill(pid)
        time.sleep(seconds)
        return
    assert on.server is not None
    assert on.behind is not None
    if kind == "down":
        on.server.kill()
        time.sleep(seconds)
        on.server.start()
    elif kind == "slow":
        before = on.behind.happened.total()
        on.behind.arm(Fault("slow", b"INSERT INTO", seconds=seconds))
        on.behind.until_happened(before + 1, seconds=60)
    else:
        asks = ("too many parts", SETTING.format(1), SETTING.format(100_000))
        if kind == "no table":
            asks = (kind, AWAY.format("events", "away"), AWAY.format("away", "events"))
        _ask(on, asks[1])
        time.sleep(seconds)
        _ask(on, asks[2])


def _ask(on: Ground, sql: str) -> None:
    """As an administrator does, beside the collector."""
    import urllib.request

    assert on.server is not None
    with urllib.request.urlopen(urllib.request.Request(on.server.url, sql.encode())) as answer:
        assert answer.status == 200
