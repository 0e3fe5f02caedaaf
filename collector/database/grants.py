"""What an analyst's user of a ClickHouse server may do, as the SQL that an administrator runs.

    database, limits --> role, settings profile, quota, grants, user        (all that is stored, or)
                     --> a database of views that answer without persons    (`no_identities`)

The shipped views run with the rights of whoever asks (SQL SECURITY INVOKER, ClickHouse's default), so an analyst needs
SELECT on the tables under them, too. Without identities he has rights on neither: a database of its own holds one view
for each that names nobody, and these run with the rights of their maker (SQL SECURITY DEFINER).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from msgspec import Struct

from collector.database.catalogue import View
from collector.database.cluster import SHARD_SUFFIX, VIEW_SETTINGS
from collector.database.store import QUESTION_SETTINGS_SQL
from collector.plan.values import literal, quoted

ROLE = "footfall_analyst"
OPEN_PREFIX = "open_"

# Columns that name a person, a device or one thing that one of them did, or hold what people wrote and sites sent.
IDENTITIES = frozenset(
    {
        *("visitor_id", "user_id", "person_id", "group_id", "previous_id", "counted_id", "id", "session_id"),
        *(
            "message_id",
            "properties",
            "traits",
            "context",
            "attributes",
            "extra",
            "url",
            "query",
            "referrer",
            "click_id",
        ),
        *("message", "stack", "person_user_id", "user_ids", "touches"),
    }
)
# Parameters that name a property, whose values then stand in the answer.
_NAMING = frozenset({"items", "product", "basket", "variant", "features", "discount"})
# What may be broken down by: of step_events' names those that say nothing of one person.
_DIMENSIONS = (
    *("", "event", "path", "host", "title", "channel", "utm_source", "utm_medium", "utm_campaign", "utm_term"),
    *("utm_content", "referrer_host", "device_class", "browser", "os", "country", "language"),
)


class Limits(Struct, frozen=True):
    """What one question, and one user in an hour, may take."""

    seconds: int = 60
    megabytes: int = 4_000
    queries: int = 2_000
    hour_seconds: int = 1_800


def settings_of(limits: Limits) -> dict[str, int]:
    """The settings of an analyst's session, each of which is also its upper limit. 0 would be none, so 1 is the lower.

    readonly is 2 and not 1: drivers of BI tools set settings of their own, which 1 refuses. It can be set to nothing
    else from within.
    """
    return {
        "max_execution_time": limits.seconds,
        "max_memory_usage": limits.megabytes * 1_000_000,
        "max_memory_usage_for_user": 2 * limits.megabytes * 1_000_000,
    }


def access(
    database: str, user: str, password: str, limits: Limits, *, no_identities: bool, spread: bool = False
) -> list[str]:
    """The statements that make the role and the user. They may be run again; the password is not among them.

    Args:
        database: Of the project.
        user: Name of the user to make; empty for the role alone.
        password: Only its SHA-256 stands in the statement.
        limits: For the role.
        no_identities: Grant the open views alone.
        spread: The database is that of a cluster: for each of its shards.
    """
    role = ROLE + ("_open" if no_identities else "")
    settings = ", ".join(f"{name} = {value} MIN 1 MAX {value}" for name, value in settings_of(limits).items())
    # The shards' own tables are read in the user's name where the cluster has a secret.
    databases = [OPEN_PREFIX + database] if no_identities else [database] + [database + SHARD_SUFFIX] * spread
    settings += f", {QUESTION_SETTINGS_SQL}"
    if spread:
        settings += f", {VIEW_SETTINGS}"
    statements = [
        f"CREATE ROLE IF NOT EXISTS {role}",
        f"CREATE SETTINGS PROFILE OR REPLACE {role} SETTINGS readonly = 2, {settings} TO {role}",
        f"CREATE QUOTA OR REPLACE {role} KEYED BY user_name FOR INTERVAL 1 hour "
        f"MAX queries = {limits.queries}, execution_time = {limits.hour_seconds} TO {role}",
        *(f"GRANT SELECT ON {quoted(one)}.* TO {role}" for one in databases),
    ]
    if user:
        digest = sha256(password.encode()).hexdigest()
        statements += [
            f"CREATE USER OR REPLACE {quoted(user)} IDENTIFIED WITH sha256_hash BY {literal(digest)}",
            f"GRANT {role} TO {quoted(user)}",
            f"SET DEFAULT ROLE {role} TO {quoted(user)}",
        ]
    return statements


def open_views(views: Mapping[str, View], database: str) -> list[str]:
    """The statements that make the database of views without identities; they may be run again, after each upgrade.

    A question in words of its own, such as a funnel's steps, may still name a user whom the analyst knows already.
    """
    made = quoted(OPEN_PREFIX + database)
    statements = [f"CREATE DATABASE IF NOT EXISTS {made} ENGINE = Atomic"]
    for view in views.values():
        if not names_nobody(view):
            continue
        asked = ", ".join(f"{one.name} = {{{one.name}:{one.type}}}" for one in view.parameters)
        source = f"{database}.{view.name}" + (f"({asked})" if asked else "")
        guard = ""
        if any(one.name == "breakdown" for one in view.parameters):
            allowed = ", ".join(map(literal, _DIMENSIONS))
            says = literal(f"breakdown must be one of: {', '.join(_DIMENSIONS[1:])}; by others it could name persons")
            guard = f" WHERE NOT throwIf({{breakdown:String}} NOT IN ({allowed}), {says})"
        statements.append(
            f"CREATE OR REPLACE VIEW {made}.{view.name} DEFINER = CURRENT_USER SQL SECURITY DEFINER "
            f"COMMENT {literal(view.question)} AS SELECT * FROM {source}{guard}"
        )
    return statements


def names_nobody(view: View) -> bool:
    """Whether a view's answer holds no identity and no value of a property that its parameters choose."""
    columns = {column.name for column in view.columns}
    maps = any(column.type.startswith("Map(") for column in view.columns)
    return bool(columns) and not maps and not columns & IDENTITIES and not {p.name for p in view.parameters} & _NAMING
