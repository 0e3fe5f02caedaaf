"""A worker process: one uvicorn server on a listener of its own, one Collector, one spool writer."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import uvicorn
import uvloop
from msgspec import structs

from collector import __version__
from collector.app.health import why_unready
from collector.app.intake import COUNTER_NAMES
from collector.app.measures import COUNTER_NAMES as CACHE_NAMES
from collector.app.measures import PUBLISH_SECONDS, CacheCounts, measures
from collector.app.protocol import Protocol
from collector.app.receive import Collector
from collector.app.site import site
from collector.app.snippet import snippet
from collector.app.tag import keep
from collector.app.throttle import Rates, Throttle
from collector.cli.child import Orders, Server, log_to_stderr, orders, settle_memory
from collector.cli.options import room_of
from collector.config import Settings
from collector.consent import Rules
from collector.enrichment.channels import ChannelsError, read_channels
from collector.enrichment.device import prepare
from collector.enrichment.geo import LiveGeo
from collector.enrichment.identity import Salts
from collector.enrichment.location import Locator, shipped_locator
from collector.enrichment.referrer import Addresses, shipped_addresses
from collector.ingest.clock import now_ms
from collector.ingest.pipeline import Tools
from collector.metrics import Counters
from collector.paths import DEMO_DIR, TAG_DIR
from collector.plan import CompiledPlan, LivePlan, PlanError
from collector.plan import live as plan_live
from collector.sources import Directory, read_sources
from collector.spooling.spool import SpoolWriter

log = logging.getLogger("footfall.worker")

CONNECTIONS_MAX = 4_096
GAUGE_NAMES = ("connections",)
GAUGE_SECONDS = 1.0
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
    counters = Counters(
        data_dir / "run" / f"{told.name}.counters", (*COUNTER_NAMES, *CACHE_NAMES, *plan_live.COUNTER_NAMES)
    )
    room = room_of(settings)
    spool = SpoolWriter(data_dir / "spool", told.name, _count_commits(counters), room=room)
    geo = LiveGeo(settings.geo, settings.geo_asn, settings.bot_networks)
    salts = Salts(data_dir / "salts.json")
    live = _live_plan(settings.plan_dir, data_dir)
    tools = Tools(
        plan=live.compiled, geo=geo, salts=salts, locator=_locator(settings), consent=_consent_rules(settings)
    )
    prepare()  # loads the user agent patterns now, not under the first visitor

    def demo_snippet(base_url: str) -> str:
        sources = read_sources(data_dir)
        return snippet(base_url, sources[0].write_key if sources else "")

    kept_dir = data_dir / "tags"
    try:
        keep(TAG_DIR, kept_dir)
    except OSError as error:
        log.warning("this version of the tag cannot be kept for pages that pin it: %s", error)

    behind = site(
        version=__version__,
        tag_dir=TAG_DIR,
        demo_dir=DEMO_DIR if told.demo else None,
        demo_snippet=demo_snippet,
        unready=lambda: why_unready(data_dir, spool, collector.pressure, now_ms()),
        measures=lambda: measures(data_dir, now_ms(), room),
        kept_dir=kept_dir,
        plan=lambda: live.said,
        asks_hints=settings.client_hints,
    )
    collector = Collector(
        tools=tools,
        spool=spool,
        directory=Directory(data_dir, now_ms),
        counters=counters,
        behind=behind,
        now_ms=now_ms,
        trusted_proxies=tuple(ip_network(text, strict=False) for text in settings.trusted_proxies),
        proxy_header=settings.proxy_header.encode(),
        throttle=_throttle(settings),
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
    stop = threading.Event()
    live.follow(_adopter(tools), stop, _count_reloads(counters, live))
    geo.follow(stop)
    tasks = [
        asyncio.create_task(_expire_hourly(salts)),
        asyncio.create_task(_publish(CacheCounts(counters, tools.locator))),
        asyncio.create_task(_gauge(server, Counters(data_dir / "run" / f"{told.name}.gauges", GAUGE_NAMES))),
    ]
    await server.run_until_stopped([socket.socket(fileno=told.listener)])
    for task in tasks:
        task.cancel()
    stop.set()
    await asyncio.get_running_loop().run_in_executor(None, spool.close)


def _consent_rules(settings: Settings) -> Rules:
    return Rules(
        settings.without_consent,
        settings.consent_required,
        settings.gpc,
        settings.dnt,
        settings.consent_purpose.lower(),
    )


def _throttle(settings: Settings) -> Throttle | None:
    """This worker's share of what each source and address may send; None where there is no limit."""
    if not settings.source_rate_max and not settings.address_rate_max:
        return None
    rates = Rates(settings.source_rate_max, settings.address_rate_max, settings.rate_burst_seconds)
    return Throttle(rates.share(settings.workers), time.monotonic_ns)


def _live_plan(folder: Path, data_dir: Path) -> LivePlan:
    """The plan, to be followed from here on; without one that can be used the process ends."""
    try:
        return LivePlan(folder, kept=data_dir / "plan.lock")
    except PlanError as error:
        log.error("the tracking plan cannot be used: %s", str(error).splitlines()[0])  # noqa: TRY400 - an editor's mistake
        sys.exit(1)


def _locator(settings: Settings) -> Locator:
    """Locates by the operator's table; by the one that ships while that cannot be read (`serve` refuses that)."""
    try:
        if settings.channels:
            return Locator(Addresses(read_channels(Path(settings.channels))), keeps_fragments=settings.fragments)
    except ChannelsError as error:
        log.warning("%s; the table that ships is used until the next start", error)
    return Locator(shipped_addresses(), keeps_fragments=True) if settings.fragments else shipped_locator()


def _adopter(tools: Tools) -> Callable[[CompiledPlan], None]:
    """Hands a new plan to the thread that judges events, between two requests: each is judged by one plan, whole."""
    loop = asyncio.get_running_loop()

    def adopt(compiled: CompiledPlan) -> None:
        # The steps must not change their tools, so these are frozen; only a new plan ever takes the place of one.
        loop.call_soon_threadsafe(structs.force_setattr, tools, "plan", compiled)

    return adopt


def _count_reloads(counters: Counters, live: LivePlan) -> Callable[[], None]:
    """Brings the shared counters up to those of the plan; slots of a restarted worker go on from where they were."""
    counted = {"plan_reloads_total": 0, "plan_reload_failures_total": 0}

    def count() -> None:
        for name, now in (("plan_reloads_total", live.reloads), ("plan_reload_failures_total", live.failures)):
            if now > counted[name]:
                counters.add(name, now - counted[name])
                counted[name] = now

    return count


async def _expire_hourly(salts: Salts) -> None:
    """Destroy old salts also where no event comes: a quiet site must keep none longer than a busy one."""
    while True:
        await asyncio.sleep(3_600)
        try:
            salts.expire(now_ms())
        except OSError as error:
            log.warning("old salts cannot be destroyed now, trying again in an hour: %s", error)


async def _gauge(server: Server, gauges: Counters) -> None:
    """Tell /metrics how many connections are open."""
    while True:
        gauges.slots[gauges.slot("connections")] = len(server.server_state.connections)
        await asyncio.sleep(GAUGE_SECONDS)


async def _publish(counts: CacheCounts) -> None:
    """Tell /metrics what the caches of this worker have done."""
    while True:
        await asyncio.sleep(PUBLISH_SECONDS)
        counts.publish()


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
