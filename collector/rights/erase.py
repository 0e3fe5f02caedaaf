"""Erase a person: from tables, from what materialised views write, from files; and see to it that it stays so.

    spool --load--> who is it? --note hashes--> what comes late is left out --delete, rewrite parts, drop old ones-->
    blank what is loaded of the spool, clean the other files --count what is left--> receipt

ClickHouse's lightweight DELETE only marks rows; here ALTER TABLE … DELETE writes the parts anew without them, and the
old parts are waited for until they are off the disk. A mutation's text is kept by ClickHouse, so none holds an id: the
keys of the rows stand in a table of their own, which is dropped. On a cluster each shard is dealt with by itself, and
nothing is begun when one of them cannot be reached.

Runs in the loader's thread between two batches: nothing is loaded meanwhile, the spool takes what arrives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from collector.database.cluster import holders, shards
from collector.database.store import Store, StoreError
from collector.hindsight.ask import Ask
from collector.hindsight.segment import LOCK_NAME, OWNER
from collector.loading.block import Rows, UnknownForm, as_dicts
from collector.loading.erased import Named
from collector.loading.ledger import write_durably
from collector.loading.load import Loader
from collector.plan.values import literal, quoted
from collector.record import FAILED_COLUMNS
from collector.rights.export import damaged_files, refused_files
from collector.rights.person import Person, find_person
from collector.rights.tables import KEYS, WORK, other_tables
from collector.spooling.pressed import SegmentFile
from collector.spooling.spool import Record, read_on, segments

MUTATION_SECONDS_MAX = 540.0  # less than a command waits for its answer
PARTS_SECONDS_MAX = 30.0  # old parts mostly go within seconds; a busy engine may keep them for minutes
POLL_SECONDS = 0.1
PASSES_MAX = 20  # over tables that others write; mostly it takes one, and what is left after all is told
PARTS_POLL_SECONDS = 0.5
_MOMENT = "DateTime64(3, 'UTC')"
READ_BYTES = 4 * 1024 * 1024


class EraseError(Exception):
    """Nothing, or not everything, was erased; the text is one sentence."""


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be erased, as find_person takes it."""

    kind: str
    id: str
    source: str = ""
    exact: bool = False


class Receipt(Struct):
    """What was done. It names nobody: who knows the id can check it against `id_hash`.

    Attributes:
        id_hash: BLAKE2b-128 in hex of salt, kind and id, joined by zero bytes.
        ids: How many devices, names, and turns at shared devices the person had.
        removed: Rows by table, events in files, bytes of files.
        left: Where something of the person still is, and how much; empty when all is gone.
        old_parts: Files of the database's that it has not yet dropped; it does so by itself.
        not_searched: Tables of this database that hold neither visitors nor users by source.
    """

    format: int
    erased_at: str
    kind: str
    salt: str
    id_hash: str
    sources: tuple[str, ...]
    exact: bool
    ids: dict[str, int]
    removed: dict[str, int]
    left: dict[str, int]
    old_parts: int
    not_searched: list[str]
    ok: bool


def erase(loader: Loader, store: Store, ask: Ask, data_dir: Path, request: Request, now_ms: int) -> Receipt:
    """Erase a person, and count what is left.

    Args:
        loader: Of the data directory; nothing else uses it meanwhile.
        store: May change data.
        ask: Answers questions to the same database.
        data_dir: With the spool.
        request: Who.
        now_ms: Now: what happened until then goes.
    Raises:
        EraseError, PersonError: it is not clear who is meant, or something else is under way; nothing was done.
        StoreError, LoadError, OSError: part of it may be done; erase again.
    """
    with _no_replay(data_dir):
        homes, places = shards(store), holders(store)
        loader.catch_up()
        person = find_person(ask, request.kind, request.id, request.source, exact=request.exact)
        removed: dict[str, int] = {}
        changed: list[tuple[Store, str]] = []
        before = loader.positions.ledger.erased
        loader.erased.note(_late_names(store, person), now_ms)
        loader.catch_up()
        others = [(place, *other_tables(place.rows, literal(place.database))) for place in places]
        not_searched = sorted({table for *_, tables in others for table in tables})
        old_parts = 0
        if person.sources:
            for place in places:
                _drop_leftovers(place)
            for table, condition in (("events", person.of_events()), ("failed_events", person.of_failed())):
                for home in homes:
                    count = _delete_rows(store, home, table, condition, now_ms)
                    _add(removed, changed, home, table, count)
            _delete_others([(place, tables) for place, tables, _ in others], person, removed, changed)
            _compute_anew(store, person)
        _clean_files(loader, data_dir, person, removed)
        loader.catch_up()
        removed["spool_bytes"] = loader.blank_loaded()
        removed["spool_events"] = loader.positions.ledger.erased - before - removed["refused_events"]
        if person.sources:
            old_parts = _drop_old_parts(changed)
        left = _left(loader, homes, data_dir, person, [(place, tables) for place, tables, _ in others], now_ms)
        receipt = _receipt(request, person, removed, left, old_parts, not_searched, now_ms)
        _record(store, now_ms, receipt=msgspec.json.encode(receipt).decode())
    return receipt


def _add(removed: dict[str, int], changed: list[tuple[Store, str]], place: Store, table: str, count: int) -> None:
    """Count what went from a table of one place."""
    removed[table] = removed.get(table, 0) + count
    if count:
        changed.append((place, table))


def _record(store: Store, now_ms: int, counts: dict[str, int] | None = None, receipt: str = "") -> None:
    """A row of `erasures`: counts by table, or a receipt."""
    row = {"erased_at": now_ms, "events": 0, "failed_events": 0, "receipt": receipt} | (counts or {})
    store.insert("erasures", list(row), [[value] for value in row.values()], token=secrets.token_hex(16))


@contextlib.contextmanager
def _no_replay(data_dir: Path) -> Iterator[None]:
    """Keep failed events from being replayed meanwhile, and drop what a replay that was killed left behind."""
    descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EraseError("a replay is under way on this data directory; erase again when it has ended") from None
        (data_dir / "spool" / f".{OWNER}.new").unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def _late_names(store: Store, person: Person) -> list[Named]:
    """By what the person's events are known when they come again."""
    if not person.sources:
        return []
    names: list[Named] = [("visitor", *pair) for pair in person.visitors] + [("user", *pair) for pair in person.users]
    again = (("events", f"{person.of_events()} AND {person.undated()}"), ("failed_events", person.of_failed()))
    for table, condition in again:
        found = store.rows(
            f"SELECT DISTINCT source_id, message_id FROM {store.database}.{table} WHERE {condition} "
            "SETTINGS log_queries = 0"
        )
        names += [("message", str(source), str(message)) for source, message in found]
    return names


def _drop_leftovers(store: Store) -> None:
    """Lists of keys that an erasure which was killed left behind: those of a day ago, so of no other collector's."""
    for (table,) in store.rows(
        "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, {work:String}) "
        "AND metadata_modification_time < now() - INTERVAL 1 DAY",
        {"database": store.database, "work": WORK},
    ):
        store.command(f"DROP TABLE IF EXISTS {store.database}.{table} SYNC")


@contextlib.contextmanager
def _list(store: Store, columns: str, order: str) -> Iterator[str]:
    """A table for the time of one mutation."""
    work = f"{store.database}.{WORK}{secrets.token_hex(8)}"
    store.command(f"CREATE TABLE {work} ({columns}) ENGINE = MergeTree ORDER BY ({order})")
    try:
        yield work
    finally:
        store.command(f"DROP TABLE IF EXISTS {work} SYNC")


def _delete_rows(store: Store, home: Store, table: str, condition: str, now_ms: int) -> int:
    """Delete rows of one of our tables where they are, and say how many there were.

    They are counted before they go: after a crash in between, no row is missing that is not accounted for.
    """
    key, name = ", ".join(KEYS[table]), f"{home.database}.{table}"
    columns = ", ".join(f"{one} {_MOMENT if one.endswith('_at') else 'String'}" for one in KEYS[table])
    with _list(home, columns, key) as work:
        home.command(f"INSERT INTO {work} SELECT {key} FROM {name} WHERE {condition} SETTINGS log_queries = 0")
        listed = f"({key}) IN (SELECT {key} FROM {work})"
        if count := int(home.rows(f"SELECT count() FROM {name} WHERE {listed}")[0][0]):
            _record(store, now_ms, {table: count})
            _delete_listed(home, table, listed)
        return count


def _delete_others(
    others: Sequence[tuple[Store, dict[str, list[str]]]],
    person: Person,
    removed: dict[str, int],
    changed: list[tuple[Store, str]],
) -> None:
    """Delete rows of other tables, again until there are none after all writers that may have read of the person.

    Sessions are computed and audiences refreshed meanwhile, here and by other collectors. What such a statement read
    before the person went it may write afterwards, and another may read that.
    """
    for _ in range(PASSES_MAX):
        found = 0
        for place, tables in others:
            for table, columns in tables.items():
                count = _delete_ids(place, table, columns, person)
                _add(removed, changed, place, table, count)
                found += count
        waited = [_await_writers(place, tables) for place, tables in others]
        if not found and not any(waited):
            return


def _await_writers(store: Store, tables: Iterable[str]) -> bool:
    """Wait for the INSERTs into these tables that run now; were there any?"""
    named = " OR ".join(f"position(query, {literal(table)}) > 0" for table in tables)
    running = f"SELECT query_id FROM system.processes WHERE query_kind = 'Insert' AND ({named or '0'})"
    try:
        begun = {str(one) for (one,) in store.rows(running)}
    except StoreError as error:
        if error.transient:
            raise
        return False  # the database's user may not look; what is written late is then among what is left
    waiting, deadline = begun, time.monotonic() + MUTATION_SECONDS_MAX
    while waiting:
        if time.monotonic() > deadline:
            raise StoreError("other statements still write to tables of the person; erase again", transient=True)
        time.sleep(POLL_SECONDS)  # nothing tells when a statement has ended
        waiting = begun & {str(one) for (one,) in store.rows(running)}
    return bool(begun)


def _delete_ids(store: Store, table: str, columns: list[str], person: Person) -> int:
    """Delete rows of another table by the ids in its columns, and say how many there were."""
    ids = [(holder, *pair) for holder, pairs_ in person.by_holder().items() for pair in pairs_]
    names = ("holder", "source_id", "id")
    with _list(store, "holder String, source_id String, id String", "holder, source_id, id") as work:
        listed = [list(column) for column in zip(*ids, strict=True)]
        store.insert(work.partition(".")[2], names, listed, token=secrets.token_hex(8))
        either = [
            f"(source_id, {name}) IN (SELECT source_id, id FROM {work} WHERE holder = '{name}')" for name in columns
        ]
        return _delete_listed(store, table, f"({' OR '.join(either)})")


def _compute_anew(store: Store, person: Person) -> None:
    """Drop the stored sessions of devices that are others' too, and mark these devices: what is left makes new ones."""
    shared = sorted({(turn.source_id, turn.visitor_id) for turn in person.turns})
    if shared:
        devices = msgspec.structs.replace(person, visitors=tuple(shared), users=(), person_ids=())
        for home in shards(store):
            _delete_ids(home, "visitor_sessions", ["visitor_id"], devices)
        columns = [list(column) for column in zip(*shared, strict=True)]
        store.insert("visitor_marks", ["source_id", "visitor_id"], columns, token=secrets.token_hex(16))


def _delete_listed(store: Store, table: str, condition: str) -> int:
    """Delete rows by a condition that names nobody, and wait until all parts are written without them."""
    name = f"{store.database}.{quoted(table)}"
    ((count,),) = store.rows(f"SELECT count() FROM {name} WHERE {condition}")
    if not count:
        return 0
    store.command(f"ALTER TABLE {name} DELETE WHERE {condition} SETTINGS mutations_sync = 0")
    deadline = time.monotonic() + MUTATION_SECONDS_MAX
    while True:
        waiting = store.rows(
            f"SELECT mutation_id, latest_fail_reason FROM system.mutations {_of(store, table)} "
            "AND NOT is_done AND command LIKE {work:String}",
            {"work": f"%{WORK}%"},
        )
        if not waiting:
            return int(count)
        if waiting[0][1] or time.monotonic() > deadline:
            # What it reads is about to be dropped, and it would then fail for ever.
            for mutation, _ in waiting:
                store.command(f"KILL MUTATION {_of(store, table)} AND mutation_id = {literal(str(mutation))} SYNC")
            why = waiting[0][1] or f"it took more than {MUTATION_SECONDS_MAX:.0f} s"
            raise StoreError(f"rows of {table} could not be deleted ({why}); erase again", transient=True)
        time.sleep(POLL_SECONDS)  # nothing tells when a mutation is done


def _of(store: Store, table: str) -> str:
    return f"WHERE database = {literal(store.database)} AND table = {literal(table)}"


def _drop_old_parts(changed: Sequence[tuple[Store, str]]) -> int:
    """Wait until the parts of tables as they were are off the disk; the number of those that are not.

    ClickHouse keeps them for 8 minutes, lest a power cut takes the new ones; ours are synced as they are written.
    """
    hastened: list[tuple[Store, str]] = []
    try:
        for store, table in changed:
            found = store.rows(f"SELECT create_table_query FROM system.tables {_named(store, table)}")
            if found and "old_parts_lifetime" not in found[0][0]:  # who has set a lifetime of their own keeps it
                name = f"{store.database}.{quoted(table)}"
                store.command(f"ALTER TABLE {name} MODIFY SETTING old_parts_lifetime = 1")
                hastened.append((store, name))
        deadline = time.monotonic() + PARTS_SECONDS_MAX
        while (left := sum(_old_parts(store, table) for store, table in changed)) and time.monotonic() < deadline:
            # Wakes what cleans up, which otherwise sleeps for up to minutes. It starts nothing that somebody had
            # stopped: with merges stopped, the rows could not have been deleted.
            for store, name in hastened:
                store.command(f"SYSTEM START MERGES {name}")
                store.command(f"SYSTEM START MOVES {name}")
            time.sleep(PARTS_POLL_SECONDS)
        return left
    finally:
        for store, name in hastened:
            store.command(f"ALTER TABLE {name} RESET SETTING old_parts_lifetime")


def _named(store: Store, table: str) -> str:
    return f"WHERE database = {literal(store.database)} AND name = {literal(table)}"


def _old_parts(store: Store, table: str) -> int:
    ((count,),) = store.rows(f"SELECT count() FROM system.parts {_of(store, table)} AND NOT active AND rows > 0")
    return int(count)


def _clean_files(loader: Loader, data_dir: Path, person: Person, removed: dict[str, int]) -> None:
    """Take the person out of what the database refused, and drop unreadable bytes in which an id stands."""
    removed |= {"refused_events": 0, "damaged_bytes": 0}
    for path, found, others in list(refused_files(data_dir, person)):
        if others:
            write_durably(path, msgspec.json.encode(others))
        else:
            path.unlink()
        removed["refused_events"] += len(found)
    for path in damaged_files(data_dir, person):
        removed["damaged_bytes"] += path.stat().st_size
        path.unlink()
    if removed["refused_events"] or removed["damaged_bytes"]:
        loader.leave_out(removed["refused_events"], removed["damaged_bytes"])


def _left(
    loader: Loader,
    homes: Sequence[Store],
    data_dir: Path,
    person: Person,
    others: Sequence[tuple[Store, dict[str, list[str]]]],
    now_ms: int,
) -> dict[str, int]:
    """Where something of the person still is. What happened since is not of the past that was to go."""
    left: dict[str, int] = {}
    if person.sources:
        until = f"received_at <= fromUnixTimestamp64Milli({now_ms})"
        own = {"events": f"{person.of_events()} AND {until}", "failed_events": f"{person.of_failed()} AND {until}"}
        looked = [(home, table, condition) for home in homes for table, condition in own.items()]
        looked += [
            (place, table, person.of_other(columns)) for place, tables in others for table, columns in tables.items()
        ]
        for place, table, condition in looked:
            name = f"{place.database}.{quoted(table)}"
            ((count,),) = place.rows(f"SELECT count() FROM {name} WHERE {condition} SETTINGS log_queries = 0")
            left[table] = left.get(table, 0) + int(count)
    left["spool"] = _in_spool(loader, data_dir, person, now_ms)
    left["refused_events"] = sum(len(found) for _, found, _ in refused_files(data_dir, person))
    left["damaged_files"] = len(damaged_files(data_dir, person))
    return {place: count for place, count in left.items() if count}


def _in_spool(loader: Loader, data_dir: Path, person: Person, now_ms: int) -> int:
    """The person's events in segments, loaded or not, which happened before they were erased."""
    count = 0
    for path in segments(data_dir / "spool"):
        loaded = loader.positions.segments.get(path.name, 0)
        with SegmentFile(path) as file:
            count += person.mentioned_in(file.read(0, loaded))
        for item in read_on(path, loaded, READ_BYTES, sealed=False):
            if not isinstance(item, Record):
                continue
            rows = Rows()
            with contextlib.suppress(msgspec.MsgspecError, UnknownForm):
                rows.add(item.payload)
            events, _ = rows.events()
            found = as_dicts(events, range(events.num_rows)) if events.num_rows else []
            failed = [dict(zip(FAILED_COLUMNS, row, strict=True)) for row in rows.failed]
            count += sum(person.owns(row) and row["event_time"] <= now_ms for row in found)
            count += sum(person.owns(row) and int(str(row["received_at"])) <= now_ms for row in failed)
    return count


def id_hash(salt: str, kind: str, id_: str) -> str:
    """What stands in a receipt in an id's place."""
    return blake2b(f"{salt}\0{kind}\0{id_}".encode(), digest_size=16).hexdigest()


def _receipt(
    request: Request,
    person: Person,
    removed: dict[str, int],
    left: dict[str, int],
    old_parts: int,
    not_searched: list[str],
    now_ms: int,
) -> Receipt:
    salt = secrets.token_hex(16)
    return Receipt(
        format=1,
        erased_at=datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        kind=request.kind,
        salt=salt,
        id_hash=id_hash(salt, request.kind, request.id),
        sources=person.sources,
        exact=request.exact,
        ids={"visitors": len(person.visitors), "users": len(person.users), "turns": len(person.turns)},
        removed=removed,
        left=left,
        old_parts=old_parts,
        not_searched=not_searched,
        ok=not left,
    )
