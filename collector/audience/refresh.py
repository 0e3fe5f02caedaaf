"""Ask an audience's query and write down who is in it now, who entered and who left.

    query --> snapshot of the members --less that of the last refresh--> moves --> one row in audience_refreshes

All of it happens in the database; no person passes through Python. The row comes last, and what a refresh wrote before
it does not count: one that is killed leaves rows that nobody reads, and the next starts from the same base.

A refresh follows a base, and only one may: its claim is an insert whose deduplication token names audience, base and
attempt, so of two collectors on one database, or a collector and a command, the database lets one through.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from collector.audience.definition import Audience, AudienceError
from collector.database.cluster import shards
from collector.database.store import QUESTION_SETTINGS_SQL, Store, StoreError
from collector.plan.values import literal, quoted

PERSON = "person_id"
SOURCE = "source_id"
# Above what its limits allow a refresh cannot be at work any more: it has two statements, each with its own limit.
_STALE_FACTOR = 3
_STALE_SECONDS = 60
_FAILURE_CHARS_MAX = 1_000

# How attributes are written as JSON, whatever the server's own settings are.
_JSON = (
    "output_format_json_quote_64bit_integers = 0, output_format_json_quote_decimals = 0, "
    "output_format_json_quote_denormals = 0, output_format_json_escape_forward_slashes = 0"
)


# Asks the database one SELECT: a Store's own, or through the store process.
Rows = Callable[[str], list[tuple[Any, ...]]]


class Refreshed(Struct, frozen=True):
    """One refresh that counts. Times are milliseconds since the epoch."""

    refresh_id: int
    version: int
    refreshed_ms: int
    members: int
    entered: int
    left: int


class Column(Struct, frozen=True):
    """One column of an audience's query."""

    name: str
    type: str


def canonical(rows: Rows, query: str) -> str:
    """The query as ClickHouse itself writes it: one statement, without comments, that can stand in brackets.

    Args:
        rows: Asks the database one SELECT.
        query: As its author wrote it.
    Raises:
        AudienceError: it is not one SELECT.
    """
    try:
        [(text,)] = rows(f"SELECT formatQuery({literal(query.strip().rstrip(';'))})")
    except StoreError as error:
        if error.transient:
            raise
        raise AudienceError(f"the query cannot be read: {_short(str(error))}") from error
    if not re.match(r"\(|SELECT\b|WITH\b", str(text)):
        raise AudienceError("the query is no SELECT; write one SELECT with a column person_id")
    return str(text)


def columns_of(rows: Rows, query: str) -> list[Column]:
    """The columns of a canonical query, if they are those of an audience.

    Raises:
        AudienceError: ClickHouse cannot answer the query, or it names no persons.
    """
    try:
        found = [Column(str(row[0]), str(row[1])) for row in rows(f"DESCRIBE (\n{query}\n)")]
    except StoreError as error:
        if error.transient:
            raise
        raise AudienceError(f"the query cannot be asked: {_short(str(error))}") from error
    types = {column.name: column.type for column in found}
    if PERSON not in types:
        raise AudienceError(
            f"the query has no column person_id, only {', '.join(types)}; select from persons or another with it"
        )
    for name in (PERSON, SOURCE):
        if name in types and not re.fullmatch(r"(LowCardinality\(|Nullable\()*String\)*", types[name]):
            raise AudienceError(f"the query's {name} is {types[name]}; it must be String, as in persons")
    return found


def refresh(store: Store, audience: Audience, now_ms: Callable[[], int], claimant: str) -> Refreshed:
    """Ask the query and write down what has changed.

    Args:
        store: Opened `inside`.
        audience: As its file says it.
        now_ms: The clock.
        claimant: A text that nobody else has.
    Raises:
        AudienceError: it cannot be asked, breaks its limits, or another refreshes it; the members are as before.
        StoreError: the database cannot be reached.
    """
    _refuse_other_query(store, audience)
    base, newest = last_refreshed(store.rows, audience.name), _newest_id(store, audience.name)
    started = now_ms()
    base_id = base.refresh_id if base else 0
    attempt = _claim(store, audience, base_id, started, claimant)
    refresh_id = max(started, newest + 1)
    members = entered = left = 0
    failure = ""
    try:
        members = _snapshot(store, audience, refresh_id)
        entered, left = _moves(store, audience, refresh_id, base_id, started)
    except (AudienceError, StoreError) as error:
        if isinstance(error, StoreError) and error.transient:
            raise
        failure = _short(str(error))
    facts: dict[str, Any] = {
        "audience": audience.name,
        "refresh_id": refresh_id,
        "base_id": base_id,
        "attempt": attempt,
        "version": audience.version,
        "hash": audience.hash,
        "query": audience.query,
        "description": audience.description,
        "refreshed_at": started,
        "duration_ms": max(now_ms() - started, 0),
        "members": members,
        "entered": entered,
        "left": left,
        "failure": failure,
    }
    if failure:
        _drop_snapshots(store, audience.name, [refresh_id])
    _write(store, "audience_refreshes", facts, f"{audience.name}:{base_id}:{attempt}")
    if failure:
        raise AudienceError(f"audience {audience.name} was not refreshed and stays as it was: {failure}")
    _drop_snapshots(store, audience.name, _snapshots_before(store, audience.name, {refresh_id, base_id}))
    return Refreshed(refresh_id, audience.version, started, members, entered, left)


def last_refreshed(rows: Rows, name: str) -> Refreshed | None:
    """The last refresh of an audience that counts; None when there is none."""
    found = rows(
        "SELECT refresh_id, version, toUnixTimestamp64Milli(refreshed_at), members, entered, left "
        f"FROM audience_refreshes WHERE audience = {literal(name)} AND failure = '' ORDER BY refresh_id DESC LIMIT 1"
    )
    return Refreshed(*map(int, found[0])) if found else None


def tried_ms(store: Store, name: str) -> int:
    """When a refresh was last begun and came to an end, with or without success; 0 for never."""
    [(found,)] = store.rows(
        f"SELECT max(toUnixTimestamp64Milli(refreshed_at)) FROM audience_refreshes WHERE audience = {literal(name)}"
    )
    return int(found)


def known_versions(rows: Rows, name: str) -> dict[int, str]:
    """The hash of each version of an audience that was ever refreshed."""
    found = rows(
        f"SELECT DISTINCT version, hash FROM audience_refreshes WHERE audience = {literal(name)} AND version > 0"
    )
    return {int(version): str(digest) for version, digest in found}


def forget(store: Store, name: str, now_ms: Callable[[], int]) -> int:
    """Delete who is and was in an audience, and return how many were in it.

    The counts of its refreshes stay, and one more is written that says that nobody is in it: an audience of the same
    name begins anew after it.
    """
    base = last_refreshed(store.rows, name)
    if base is None:
        return 0
    refresh_id = max(now_ms(), _newest_id(store, name) + 1)
    facts: dict[str, Any] = {
        "audience": name,
        "refresh_id": refresh_id,
        "base_id": base.refresh_id,
        "attempt": 0,
        "refreshed_at": now_ms(),
        "left": base.members,
        "description": "Deleted.",
    }
    _write(store, "audience_refreshes", facts, f"{name}:{base.refresh_id}:forget")
    # A mutation that is waited for: DELETE FROM would only hide the rows until the next merge.
    for shard in shards(store):
        shard.command(
            f"ALTER TABLE {shard.database}.audience_moves DELETE WHERE audience = {literal(name)} "
            "SETTINGS mutations_sync = 1"
        )
    _drop_snapshots(store, name, _snapshots_before(store, name, set()))
    return base.members if base.version else 0


# One refresh


def _refuse_other_query(store: Store, audience: Audience) -> None:
    known = known_versions(store.rows, audience.name).get(audience.version, audience.hash)
    if known != audience.hash:
        raise AudienceError(
            f"version {audience.version} of audience {audience.name} was another query when it was refreshed; "
            f"run `footfall audience define {audience.name}`, which gives this one a version of its own"
        )


def _newest_id(store: Store, name: str) -> int:
    [(found,)] = store.rows(f"SELECT max(refresh_id) FROM audience_refreshes WHERE audience = {literal(name)}")
    return int(found)


def _claim(store: Store, audience: Audience, base_id: int, now: int, claimant: str) -> int:
    """Win the right to follow a base; return the attempt. Raises AudienceError when another is at it."""
    of = f"audience = {literal(audience.name)} AND base_id = {base_id}"
    stale_ms = (_STALE_FACTOR * audience.limits.seconds + _STALE_SECONDS) * 1_000
    ended = {int(row[0]) for row in store.rows(f"SELECT attempt FROM audience_refreshes WHERE {of}")}
    claims = store.rows(f"SELECT attempt, toUnixTimestamp64Milli(claimed_at) FROM audience_claims WHERE {of}")
    for attempt, since in claims:
        if attempt not in ended and now - since < stale_ms:
            raise AudienceError(
                f"audience {audience.name} is being refreshed for {max(now - since, 0) // 1_000} s; try again later"
            )
    attempt = max((int(attempt) for attempt, _ in claims), default=0) + 1
    facts = {
        "audience": audience.name,
        "base_id": base_id,
        "attempt": attempt,
        "claimed_by": claimant,
        "claimed_at": now,
    }
    _write(store, "audience_claims", facts, f"{audience.name}:{base_id}:{attempt}")
    winner = store.rows(f"SELECT claimed_by FROM audience_claims WHERE {of} AND attempt = {attempt}")
    if winner != [(claimant,)]:
        raise AudienceError(f"audience {audience.name} is being refreshed by another; try again later")
    return attempt


def _snapshot(store: Store, audience: Audience, refresh_id: int) -> int:
    """Write the members down and return how many they are."""
    query = canonical(store.rows, audience.query)
    columns = [column.name for column in columns_of(store.rows, query)]
    others = [quoted(name) for name in columns if name not in (PERSON, SOURCE)]
    attributes = f"formatRowNoNewline('JSONEachRow', {', '.join(others)})" if others else "'{}'"
    source = f"ifNull(toString({SOURCE}), '')" if SOURCE in columns else "''"
    most = audience.limits.persons
    # A person that the query names twice is one member, with what comes first in the order of the alphabet.
    store.command(
        f"INSERT INTO audience_snapshots (audience, refresh_id, source_id, person_id, attributes)\n"
        f"SELECT {literal(audience.name)}, {refresh_id}, of_source, of_person, min(as_json)\n"
        f"FROM (SELECT {source} AS of_source, ifNull(toString({PERSON}), '') AS of_person, {attributes} AS as_json\n"
        f"FROM (\n{query}\n))\n"
        f"WHERE of_person != '' GROUP BY of_source, of_person LIMIT {most + 1}\n"
        f"SETTINGS {_settings(audience)}"
    )
    [(members,)] = store.rows(
        "SELECT count() FROM audience_snapshots "
        f"WHERE audience = {literal(audience.name)} AND refresh_id = {refresh_id}"
    )
    if int(members) > most:
        raise AudienceError(
            f"the query names more than {most:,} persons, the limit; narrow it, or raise the limit with "
            f"`footfall audience define {audience.name} --persons N`"
        )
    return int(members)


def _moves(store: Store, audience: Audience, refresh_id: int, base_id: int, now: int) -> tuple[int, int]:
    """Write down who came and who went since the base; return how many."""
    name = literal(audience.name)
    store.command(
        "INSERT INTO audience_moves "
        "(audience, refresh_id, moved_at, version, source_id, person_id, change, attributes)\n"
        f"SELECT {name}, {refresh_id}, fromUnixTimestamp64Milli(toInt64({now}), 'UTC'), {audience.version}, source_id, "
        "person_id, if(is_in, 'entered', 'left'), if(is_in, attributes_now, '{}')\n"
        f"FROM (SELECT source_id, person_id, max(refresh_id = {refresh_id}) AS is_in, "
        f"max(refresh_id = {base_id}) AS was_in, anyIf(attributes, refresh_id = {refresh_id}) AS attributes_now\n"
        f"FROM audience_snapshots WHERE audience = {name} AND refresh_id IN ({refresh_id}, {base_id}) "
        f"GROUP BY source_id, person_id)\nWHERE is_in != was_in\nSETTINGS {_settings(audience)}"
    )
    [(entered, left)] = store.rows(
        f"SELECT countIf(change = 'entered'), countIf(change = 'left') FROM audience_moves "
        f"WHERE audience = {name} AND refresh_id = {refresh_id}"
    )
    return int(entered), int(left)


def _settings(audience: Audience) -> str:
    limits = audience.limits
    return (
        f"{QUESTION_SETTINGS_SQL}, max_execution_time = {limits.seconds}, timeout_overflow_mode = 'throw', "
        f"max_memory_usage = {limits.megabytes * 1_000_000}, async_insert = 0, {_JSON}"
    )


def _snapshots_before(store: Store, name: str, kept: set[int]) -> list[int]:
    found = store.rows(f"SELECT DISTINCT refresh_id FROM audience_snapshots WHERE audience = {literal(name)}")
    return sorted(int(refresh_id) for (refresh_id,) in found if int(refresh_id) not in kept)


def _drop_snapshots(store: Store, name: str, refresh_ids: list[int]) -> None:
    for shard in shards(store) if refresh_ids else ():
        for refresh_id in refresh_ids:
            shard.command(
                f"ALTER TABLE {shard.database}.audience_snapshots DROP PARTITION ({literal(name)}, {refresh_id})"
            )


def _write(store: Store, table: str, facts: dict[str, Any], token: str) -> None:
    store.insert(table, list(facts), [[value] for value in facts.values()], token)


def _short(sentence: str) -> str:
    return sentence.replace("\n", " ").strip()[:_FAILURE_CHARS_MAX]
