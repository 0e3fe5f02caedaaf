"""`footfall doctor`: is everything as it should be, and where did every event go?"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from collector.cli import lock
from collector.cli.ask import AskError, query, running_status
from collector.cli.options import room_of
from collector.cli.target import WrongTarget
from collector.config import Settings
from collector.database.migrate import MigrationError
from collector.database.retention import read_rules
from collector.database.store import StoreError
from collector.enrichment.channels import ChannelsError, read_channels
from collector.enrichment.geo import GeoError, open_geo
from collector.ingest.clock import now_ms
from collector.loading.ledger import account
from collector.loading.refused import FOLDER
from collector.loading.survey import kept_files
from collector.paths import TAG_DIR
from collector.plan import PlanError, read_plan
from collector.rights.expire import DAY_MS, days_aside
from collector.sources import SourceError, read_sources

FREE_BYTES_MIN = 1_000_000_000
SPOOL_SHARE_OK = 0.9  # of what it may hold
GEO_DAYS_MAX = 400  # addresses change hands; free databases are made anew each month


class Check(Struct):
    """One thing looked at."""

    name: str
    ok: bool
    says: str


class Diagnosis(Struct):
    """All that was looked at; `events` is the accounting: received = the sum of the others."""

    ok: bool
    checks: list[Check]
    events: dict[str, int]


def examine(settings: Settings) -> Diagnosis:
    """Look at everything without changing it, but for loading what the spool holds when no collector runs."""
    data_dir = Path(settings.data)
    if not data_dir.is_dir():
        missing = Check("data directory", ok=False, says=f"{data_dir} does not exist; `footfall serve` makes it")
        return Diagnosis(ok=False, checks=[missing], events={})
    holder = lock.holder(data_dir)
    running = f"process {holder[0]} ({holder[1]})" if holder else "no collector runs; looked at the files alone"
    checks = [
        _disk(data_dir),
        spool_check(settings),
        Check("collector", ok=True, says=running),
        _plan(settings),
        _geo(settings),
        _channels(settings),
        _sources(data_dir),
        Check("tag", ok=(TAG_DIR / "footfall.js").is_file(), says=f"served from {TAG_DIR.name}"),
    ]
    counted: dict[str, int] = {}
    try:
        counted = _counts(settings)
        checks.append(Check("database", ok=True, says=f"holds {counted['events']:,} events"))
    except (StoreError, MigrationError, AskError, WrongTarget, lock.InUse) as error:
        checks.append(Check("database", ok=False, says=str(error)))
    events, identity = _accounting(data_dir, counted)
    checks += [identity, _set_aside(settings)]
    return Diagnosis(ok=all(check.ok for check in checks), checks=checks, events=events)


def _accounting(data_dir: Path, counted: dict[str, int]) -> tuple[dict[str, int], Check]:
    """The accounting identity: every received event is in exactly one place, and the database agrees.

    Args:
        counted: What _COUNT says of the database; empty when it could not be asked.
    """
    ledger, events = account(data_dir)
    if missing := ledger.unaccounted:
        return events, Check("accounting", ok=False, says=f"{missing:,} received events are unaccounted for")
    expiring = []
    for table, expected in (
        ("events", ledger.stored - ledger.counted),
        ("failed_events", ledger.rejected - ledger.set_aside),
        ("counted_events", ledger.counted),
    ):
        if not counted:
            break
        if counted.get(f"expiring_{table}"):
            expiring.append(table)
        elif counted[table] + counted.get(f"erased_{table}", 0) < expected:
            says = f"{table} holds {counted[table]:,} rows, {expected:,} were stored there"
            if erased := counted.get(f"erased_{table}"):
                says += f", of which {erased:,} were erased"
            return events, Check("accounting", ok=False, says=says)
    says = "received = stored + spooled + deduplicated + rejected + dropped: " + " = ".join(
        (f"{events['received']:,}", " + ".join(f"{value:,}" for name, value in list(events.items())[1:]))
    )
    if erased := sum(counted.get(f"erased_{table}", 0) for table in ("events", "failed_events")):
        says += f"; of those in tables {erased:,} were erased since"
    if expiring:
        says += f"; retention removes rows of {' and '.join(expiring)}, so these are not counted against it"
    return events, Check("accounting", ok=True, says=says)


def _set_aside(settings: Settings) -> Check:
    """What waits for a person: it was acknowledged, and is in no table."""
    data_dir = Path(settings.data)
    files = kept_files(data_dir)
    if not files:
        return Check("set aside", ok=True, says="nothing")
    refused = [path for path in files if path.parent.name == FOLDER]
    size = sum(path.stat().st_size for path in files if path not in refused)
    parts = [f"events that the database took in no table are in load/refused (files: {len(refused):,})"] * bool(refused)
    parts += [f"bytes that could not be read are in spool/damaged ({size:,})"] * (len(refused) < len(files))
    until = ""
    if days := days_aside(read_rules(settings.retention), settings.set_aside_days):
        first = min(path.stat().st_mtime for path in files) + days * DAY_MS / 1000
        until = f", until they are deleted from {datetime.fromtimestamp(first, UTC):%Y-%m-%d} on"
    return Check(
        "set aside", ok=False, says=f"{' and '.join(parts)}{until}; `footfall spool replay` stores what it can"
    )


_COUNT = """
SELECT
    (SELECT count() FROM events) AS events,
    (SELECT count() FROM failed_events) AS failed_events,
    (SELECT sum(events) FROM counted_events) AS counted_events,
    (SELECT sum(events) FROM erasures) AS erased_events,
    (SELECT sum(failed_events) FROM erasures) AS erased_failed_events,
    (
        SELECT groupArray(name)
        FROM system.tables
        WHERE database IN (currentDatabase(), currentDatabase() || '_shard') AND engine_full LIKE '% TTL %'
    ) AS expiring,
    has(expiring, 'events') AS expiring_events,
    has(expiring, 'failed_events') AS expiring_failed_events,
    has(expiring, 'counted_events') AS expiring_counted_events
"""


def _counts(settings: Settings) -> dict[str, int]:
    content = query(settings, _COUNT, "JSONEachRow", "footfall doctor")
    status = running_status(Path(settings.data)) or {}
    if status.get("failure"):
        raise StoreError(f"loading fails: {status['failure']}", transient=True)
    row = msgspec.json.decode(content, type=dict[str, Any])
    return {name: int(value) for name, value in row.items() if name != "expiring"}


def _disk(data_dir: Path) -> Check:
    free = shutil.disk_usage(data_dir).free
    says = f"{data_dir} has {free / 1e9:.1f} GB free"
    return Check("data directory", ok=free >= FREE_BYTES_MIN, says=says)


def spool_check(settings: Settings) -> Check:
    """What waits, against what may: long before events are refused."""
    folder = Path(settings.data) / "spool"
    if not folder.is_dir():
        return Check("spool", ok=True, says="nothing has come yet")
    room = room_of(settings)
    held, limit = room.held_bytes(), room.limit_bytes()
    says = f"holds {held / 1e6:,.1f} of {limit / 1e6:,.1f} MB"
    if held > limit * SPOOL_SHARE_OK:
        return Check("spool", ok=False, says=f"{says}; beyond that events are refused: see why they are not loaded")
    return Check("spool", ok=True, says=says)


def _plan(settings: Settings) -> Check:
    try:
        plan = read_plan(settings.plan_dir)
    except PlanError as error:
        return Check("tracking plan", ok=False, says=str(error))
    return Check("tracking plan", ok=True, says=f"{plan.name} {plan.label}, {len(plan.events)} events")


def _geo(settings: Settings) -> Check:
    try:
        found = open_geo(settings.geo, settings.geo_asn, settings.bot_networks)
    except GeoError as error:
        return Check("geo", ok=False, says=str(error))
    age_days = (now_ms() - found.built_ms) // 86_400_000
    if found.built_ms and age_days > GEO_DAYS_MAX:
        return Check("geo", ok=False, says=f"{found.name} is {age_days:,} days old; get a newer one")
    return Check("geo", ok=True, says=f"{found.name}, {age_days:,} days old" if found.built_ms else found.name)


def _channels(settings: Settings) -> Check:
    try:
        table = read_channels(Path(settings.channels) if settings.channels else None)
    except ChannelsError as error:
        return Check("channels", ok=False, says=str(error))
    return Check("channels", ok=True, says=f"{len(table.hosts):,} sites, {len(table.spam):,} spammers")


def _sources(data_dir: Path) -> Check:
    try:
        sources = read_sources(data_dir)
    except SourceError as error:
        return Check("sources", ok=False, says=str(error))
    enabled = sum(source.enabled for source in sources)
    return Check("sources", ok=enabled > 0, says=f"{enabled} enabled of {len(sources)}")
