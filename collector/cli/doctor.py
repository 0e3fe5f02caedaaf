"""`footfall doctor`: is everything as it should be, and where did every event go?"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
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
from collector.database.cluster import SHARD_SUFFIX
from collector.database.migrate import MigrationError
from collector.database.retention import TTL, read_rules, shortest_of
from collector.database.store import StoreError
from collector.enrichment.channels import ChannelsError, read_channels
from collector.enrichment.geo import GeoError, open_geo
from collector.ingest.clock import now_ms
from collector.loading.kept import DAY_MS, Kept
from collector.loading.ledger import Positions, account, read_positions
from collector.loading.refused import FOLDER
from collector.loading.survey import kept_files
from collector.paths import TAG_DIR
from collector.plan import PlanError, read_plan
from collector.rights.expire import days_aside
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
    rows: dict[str, Rows] = {}
    # Before the rows are counted: a collector that runs stores more meanwhile, which cannot be missing then.
    known = read_positions(data_dir) if holder else None
    try:
        rows = _count_rows(settings)
        checks.append(Check("database", ok=True, says=f"holds {rows['events'].there:,} events"))
    except (StoreError, MigrationError, AskError, WrongTarget, lock.InUse) as error:
        checks.append(Check("database", ok=False, says=str(error)))
    events, identity = _accounting(data_dir, rows, known)
    checks += [identity, _set_aside(settings)]
    return Diagnosis(ok=all(check.ok for check in checks), checks=checks, events=events)


class Rows(Struct, frozen=True):
    """What the database says of one table.

    Attributes:
        there: Rows that it has, or whose counts it has.
        erased: Rows that went with somebody who was erased.
        kept: Where retention may have taken rows: what was stored on the days that it has not reached.
        there_since, erased_since: The same of rows received on these days, and of erasures since their first.
        own_ttl: Somebody gave the table a TTL by hand.
    """

    there: int
    erased: int = 0
    kept: Kept | None = None
    there_since: int = 0
    erased_since: int = 0
    own_ttl: bool = False


def _accounting(
    data_dir: Path, rows: Mapping[str, Rows], known: Positions | None = None
) -> tuple[dict[str, int], Check]:
    """The accounting identity: every received event is in exactly one place, and the database agrees.

    Args:
        data_dir: With the ledger.
        rows: Those of each table; empty when the database could not be asked.
        known: The loader's state as it was before they were counted; None where nobody loaded since.
    """
    positions, events = account(data_dir)
    ledger = (known or positions).ledger
    if missing := positions.ledger.unaccounted:
        return events, Check("accounting", ok=False, says=f"{missing:,} received events are unaccounted for")
    says = "received = stored + spooled + deduplicated + rejected + dropped: " + " = ".join(
        (f"{events['received']:,}", " + ".join(f"{value:,}" for name, value in list(events.items())[1:]))
    )
    expected = {
        "events": ledger.stored - ledger.counted,
        "failed_events": ledger.rejected - ledger.set_aside,
        "counted_events": ledger.counted,
    }
    remarks = []
    for table, found in rows.items():
        ok, remark = _compared(table, found, expected[table])
        if not ok:
            return events, Check("accounting", ok=False, says=remark)
        remarks += [remark] * bool(remark)
    if erased := sum(found.erased for found in rows.values()):
        remarks.append(f"of those in tables {erased:,} were erased since")
    return events, Check("accounting", ok=True, says="; ".join((says, *remarks)))


def _compared(table: str, found: Rows, stored: int) -> tuple[bool, str]:
    """Are all rows of a table there that must be? And what there is to say of it."""
    there, erased, since = found.there, found.erased, ""
    if found.own_ttl:
        return True, f"{table} has a TTL that somebody gave it, so its rows are not compared with what was stored"
    if found.kept is not None:
        stored, there, erased = sum(found.kept.rows.values()), found.there_since, found.erased_since
        first = datetime.fromtimestamp(found.kept.first * DAY_MS / 1000, UTC)
        since = f" received since {first:%Y-%m-%d}"
        if not stored:
            return True, f"retention takes rows of {table}, and none are known that it cannot have taken"
    if there + erased < stored:
        says = f"{table} holds {there:,} rows{since}, {stored:,} were stored there"
        return False, says + (f", of which {erased:,} were erased" if erased else "")
    if since:
        return (
            True,
            f"retention takes older rows of {table}; the {stored:,}{since} are there"
            + " or were erased" * bool(erased),
        )
    return True, ""


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


def _count_rows(settings: Settings) -> dict[str, Rows]:
    """Count the rows of each table; where retention may have taken some, those that it cannot have taken."""
    kept = read_positions(Path(settings.data)).kept
    content = query(settings, count_sql(kept), "JSONEachRow", "footfall doctor")
    status = running_status(Path(settings.data)) or {}
    if status.get("failure"):
        raise StoreError(f"loading fails: {status['failure']}", transient=True)
    return read_counts(content, kept, now_ms())


def count_sql(kept: Mapping[str, Kept]) -> str:
    """One SELECT of what `read_counts` reads."""
    asked = ["(SELECT sum(events) FROM counted_events) AS counted_events"]
    for table in ("events", "failed_events"):
        since = f">= fromUnixTimestamp64Milli({kept.get(table, Kept()).first * DAY_MS})"
        days = "SELECT groupArray((day, n)) FROM (SELECT intDiv(toUnixTimestamp64Milli({at}), {ms}) AS day, {rows} AS n"
        asked += [
            f"(SELECT count() FROM {table}) AS {table}",
            f"({days.format(at='received_at', ms=DAY_MS, rows='count()')} FROM {table} WHERE received_at {since} "
            f"GROUP BY day)) AS {table}_days",
            f"(SELECT sum({table}) FROM erasures) AS {table}_erased",
            f"({days.format(at='erased_at', ms=DAY_MS, rows=f'sum({table})')} FROM erasures WHERE erased_at {since} "
            f"GROUP BY day)) AS {table}_erased_days",
            # Two databases have it on a cluster, of which one has rows and a TTL.
            f"(SELECT max(extract(engine_full, '{TTL.pattern}')) FROM system.tables WHERE database IN "
            f"(currentDatabase(), currentDatabase() || '{SHARD_SUFFIX}') AND name = '{table}') AS {table}_ttl",
        ]
    return f"SELECT {', '.join(asked)}"


def read_counts(content: bytes, kept: Mapping[str, Kept], now_ms: int) -> dict[str, Rows]:
    """What the database answered to `count_sql`, for the days that no rule which is or was in force has reached."""
    row = msgspec.json.decode(content, type=dict[str, Any])
    found = {"counted_events": Rows(int(row["counted_events"]))}
    for table in ("events", "failed_events"):
        rule = shortest_of(row[f"{table}_ttl"])
        look = kept.get(table, Kept()).look(rule or 0, now_ms)
        there, erased = (
            sum(int(count) for day, count in row[f"{table}{name}"] if int(day) >= look.first)
            for name in ("_days", "_erased_days")
        )
        all_, all_erased = int(row[table]), int(row[f"{table}_erased"])
        found[table] = Rows(all_, all_erased, look if look.since else None, there, erased, own_ttl=rule is None)
    return found


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
