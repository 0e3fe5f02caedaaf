"""A database that is spread over the servers of a ClickHouse cluster: where its rows are, and what stands in front.

    events, in database NAME       --Distributed, by visitor--> events, in database NAME_shard of each shard
    views, in NAME of each shard   --ask the Distributed tables, as on one server

The tables of NAME_shard are those of one server; those of NAME have the same names, hold nothing, and are what loader
and views use. A shard is sent the parts of a question, which may name views: so each shard has all that NAME has. There
is no ON CLUSTER, for which the cluster would need a Keeper: each shard is spoken to by itself (decisions/0014).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from collector.database.store import Store, StoreError

# By what the rows of a table are spread. A visitor's are on one shard: sessions are put together there, and
# ReplacingMergeTree finds what was stored twice. It must say the same of a row whenever it is asked, or a block that is
# sent again would go elsewhere. Tables that are not named have few rows, or decide between two collectors by an
# insert's token, and are on the first shard as they would be on the only one.
_BY_VISITOR = "cityHash64(source_id, visitor_id)"
SHARDING: Mapping[str, str] = {
    "events": _BY_VISITOR,
    "visitor_sessions": _BY_VISITOR,
    "visitor_marks": _BY_VISITOR,
    "failed_events": "cityHash64(source_id, message_id)",
    "counted_events": "cityHash64(source_id, event, host, path)",
}
ON_THE_FIRST = "0"

SHARD_SUFFIX = "_shard"

# What stands on the right of IN or JOIN is asked once for all shards; without it a view that joins is refused.
VIEW_SETTINGS = "prefer_global_in_and_join = 1"
_UNION = re.compile(r"^UNION ALL$", re.MULTILINE)
_AS_SELECT = re.compile(r"^(CREATE OR REPLACE VIEW .*? AS)$", re.MULTILINE | re.DOTALL)


def shards(store: Store) -> tuple[Store, ...]:
    """Where the rows of a database are: in itself, or on a cluster in the local database of each shard, in their order.

    Raises:
        StoreError: a shard cannot be reached, or the cluster is not as the settings say it is. It names the shard.
    """
    if store.cluster is None:
        return (store,)
    found = _connected(store)
    _check_identities(store, found)
    return found


def fronts(store: Store) -> tuple[Store, ...]:
    """The databases that have views: itself, or on a cluster that of each shard. Raises StoreError as `shards` does."""
    return (store,) if store.cluster is None else tuple(shard.named(store.database) for shard in shards(store))


def holders(store: Store) -> tuple[Store, ...]:
    """Every database in which a table may hold rows: on a cluster also what somebody made beside the views there.

    Raises as `shards` does: none is left out.
    """
    if store.cluster is None:
        return (store,)
    found = shards(store)
    return (*found, *(shard.named(store.database) for shard in found))


def prepare(store: Store) -> None:
    """Make both databases on every shard of a cluster, where they are missing.

    Raises:
        StoreError: the database holds rows itself, as on one server: nothing is touched.
    """
    if store.cluster is None:
        return
    found = _connected(store)
    for number, shard in enumerate(found, 1):
        if "MergeTree" in _engines(shard.named(store.database)).get("events", ""):
            raise StoreError(
                f"{store.database}.events of shard {number} holds rows as on one server; name another database in "
                "`clickhouse` for the cluster and copy them there (collector/docs/cluster.md)",
                transient=False,
            )
    for shard in found:
        for name in (shard.database, store.database):
            shard.command(f"CREATE DATABASE IF NOT EXISTS {name} ENGINE = Atomic")


def distribute(store: Store, tables: Sequence[str]) -> list[str]:
    """Make the Distributed tables on every shard what the tables of its rows are; say which were made anew.

    Raises:
        StoreError: ClickHouse refused, or a table of that name holds rows itself.
    """
    if store.cluster is None:
        return []
    made: dict[str, None] = {}
    for shard in shards(store):
        front = shard.named(store.database)
        engines = _engines(front)
        columns, wanted_columns = _columns(front), _columns(shard)
        for table in tables:
            key = SHARDING.get(table, ON_THE_FIRST)
            wanted = f"Distributed('{store.cluster.name}', '{shard.database}', '{table}', {key})"
            present = engines.get(table, "")
            if present and not present.startswith("Distributed("):
                raise StoreError(
                    f"{front.database}.{table} on {front.address} was made by hand and holds rows; move it elsewhere, "
                    "for the cluster's table of that name",
                    transient=False,
                )
            if present != wanted or columns.get(table) != wanted_columns.get(table):
                name = f"{front.database}.{table}"
                front.command(f"CREATE OR REPLACE TABLE {name} AS {shard.database}.{table} ENGINE = {wanted}")
                made[f"{table} on the cluster"] = None
    return list(made)


def for_cluster(statement: str) -> str:
    """The statement that makes a view, with the settings it needs there: whoever asks it need not know of them."""
    if _UNION.search(statement):
        statement = _AS_SELECT.sub(r"\1 SELECT * FROM (", statement, count=1) + "\n)"
    return f"{statement.rstrip()}\nSETTINGS {VIEW_SETTINGS}\n"


def _connected(store: Store) -> tuple[Store, ...]:
    """A connection to each shard, made once; they are closed with the store."""
    if not store.opened:
        store.opened = tuple(_connect(store, number, host) for number, host in enumerate(_addresses(store), 1))
    return store.opened


def _connect(store: Store, number: int, address: str) -> Store:
    try:
        return store.beside(address, f"{store.database}{SHARD_SUFFIX}")
    except StoreError as error:
        raise StoreError(f"shard {number} ({address}) cannot be used: {error}", transient=error.transient) from error


def _addresses(store: Store) -> Sequence[str]:
    """Of one server for each shard: as the settings name them, or the hosts that the server knows."""
    cluster = store.cluster
    assert cluster is not None
    found = store.rows(
        "SELECT shard_num, count(), any(host_name) FROM system.clusters WHERE cluster = {name:String} "
        "GROUP BY shard_num ORDER BY shard_num",
        {"name": cluster.name},
    )
    if not found:
        raise StoreError(
            f"the server knows no cluster {cluster.name} (clickhouse_cluster); name it in the configuration of each "
            "server, under remote_servers",
            transient=False,
        )
    for number, replicas, _ in found:
        if replicas > 1:
            raise StoreError(
                f"shard {number} of cluster {cluster.name} has {replicas} replicas, and footfall uses one server for "
                "each shard; name a cluster without replicas in clickhouse_cluster",
                transient=False,
            )
    if cluster.shards and len(cluster.shards) != len(found):
        raise StoreError(
            f"clickhouse_shards names {len(cluster.shards)} servers and cluster {cluster.name} has {len(found)} "
            "shards; name one server for each, in their order",
            transient=False,
        )
    return cluster.shards or [str(host) for *_, host in found]


def _check_identities(store: Store, found: Sequence[Store]) -> None:
    """Is each connection that to the shard it is taken for? Databases have ids that no two have."""
    assert store.cluster is not None
    ((name,),) = {(shard.database,) for shard in found}
    known = dict(
        store.rows(
            f"SELECT _shard_num, toString(uuid) FROM cluster('{store.cluster.name}', system.databases) "
            "WHERE name = {name:String}",
            {"name": name},
        )
    )
    of = "SELECT toString(uuid) FROM system.databases WHERE name = {name:String}"
    for number, shard in enumerate(found, 1):
        if shard.rows(of, {"name": name}) != ([(known[number],)] if number in known else []):
            raise StoreError(
                f"{shard.address} is not shard {number} of cluster {store.cluster.name}; name the shards' servers in "
                "their order in clickhouse_shards, as http://host:port",
                transient=False,
            )


def _engines(store: Store) -> dict[str, str]:
    rows = store.rows(
        "SELECT name, engine_full FROM system.tables WHERE database = {name:String} AND engine != 'View'",
        {"name": store.database},
    )
    return {str(name): str(engine) for name, engine in rows}


def _columns(store: Store) -> dict[str, object]:
    """By table, all that a Distributed table has of the columns of the one behind it."""
    rows = store.rows(
        "SELECT table, groupArray((name, type, default_kind, default_expression, comment)) FROM "
        "(SELECT * FROM system.columns WHERE database = {name:String} ORDER BY table, position) GROUP BY table",
        {"name": store.database},
    )
    return {str(table): columns for table, columns in rows}
