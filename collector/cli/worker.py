"""A worker process: one uvicorn server on the shared listener, one Collector, one spool writer."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import uvicorn
import uvloop

from collector import __version__
from collector.app.protocol import Protocol
from collector.app.receive import COUNTER_NAMES, Collector
from collector.app.site import site, snippet
from collector.cli.child import Orders, Server, log_to_stderr, now_ms, orders, settle_memory
from collector.device import prepare
from collector.geo import GeoError, open_geo
from collector.identity import Salts
from collector.load import account
from collector.metrics import Counters, read_counters
from collector.paths import DEMO_DIR, TAG_DIR
from collector.pipeline import Tools
from collector.plan import compile_plan, load_plan
from collector.sources import Directory, read_sources
from collector.spool import SpoolWriter

log = logging.getLogger("footfall.worker")

CONNECTIONS_MAX = 4_096
KEEP_ALIVE_SECONDS = 15
GRACE_SECONDS = 3  # for requests under way when a stop is ordered


def main() -> None:
    """Run until told to stop."""
    told = orders()
    log_to_stderr(told.name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(told))


async def _serve(told: Orders) -> None:
    settings = told.settings
    data_dir = Path(settings.data)
    counters = Counters(data_dir / "run" / f"{told.name}.counters", COUNTER_NAMES)
    spool = SpoolWriter(data_dir / "spool", told.name, _count_commits(counters))
    try:
        geo = open_geo(settings.geo)
    except GeoError as error:
        log.warning("%s; countries come from the registry table until then", error)
        geo = open_geo("registry")
    salts = Salts(data_dir / "salts.json")
    tools = Tools(plan=compile_plan(load_plan(settings.plan_dir)), geo=geo, salts=salts)
    prepare()  # loads the user agent patterns now, not under the first visitor

    def demo_snippet(base_url: str) -> str:
        sources = read_sources(data_dir)
        return snippet(base_url, sources[0].write_key if sources else "")

    def measures() -> tuple[dict[str, int], dict[str, float]]:
        ledger, events = account(data_dir)
        gauges = {f"ledger_{name}": float(value) for name, value in events.items()}
        return read_counters(data_dir / "run"), gauges | {"damaged_bytes": float(ledger.damaged_bytes)}

    behind = site(
        version=__version__,
        tag_dir=TAG_DIR,
        demo_dir=DEMO_DIR if told.demo else None,
        demo_snippet=demo_snippet,
        unready=lambda: spool.failure,
        measures=measures,
    )
    collector = Collector(
        tools=tools,
        spool=spool,
        directory=Directory(data_dir, now_ms),
        counters=counters,
        behind=behind,
        now_ms=now_ms,
        trusted_proxies=tuple(ip_network(text, strict=False) for text in settings.trusted_proxies),
    )
    server = Server(
        uvicorn.Config(
            collector,
            http=Protocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    settle_memory()
    expiring = asyncio.create_task(_expire_hourly(salts))
    await server.run_until_stopped([socket.socket(fileno=told.listener)])
    expiring.cancel()
    await asyncio.get_running_loop().run_in_executor(None, spool.close)


async def _expire_hourly(salts: Salts) -> None:
    """Destroy old salts also where no event comes: a quiet site must keep none longer than a busy one."""
    while True:
        await asyncio.sleep(3_600)
        try:
            salts.expire(now_ms())
        except OSError as error:
            log.warning("old salts cannot be destroyed now, trying again in an hour: %s", error)


def _count_commits(counters: Counters) -> Callable[[int, int], None]:
    slots = counters.slots
    commits, records, nanoseconds = (
        counters.slot(name) for name in ("commits_total", "commit_records_total", "commit_nanoseconds_total")
    )

    def count(batch: int, spent_ns: int) -> None:
        slots[commits] += 1
        slots[records] += batch
        slots[nanoseconds] += spent_ns

    return count


if __name__ == "__main__":
    main()
