"""The one door to ClickHouse, server or embedded: the only module that imports clickhouse_connect.

Both kinds are reached through `get_client(dsn=…)`, so there is one code path and one set of SQL files. Settings whose
defaults have moved between ClickHouse releases are stated on every insert.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import re
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# async_insert became the default in 26.2 and answers before the rows are stored; deduplicate_insert must be on for the
# token to count; materialised views must be deduplicated with their source or a retry counts twice in them. A block
# may have events of many months, of which there are at most 241 (001_events.sql).
INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "max_partitions_per_insert_block": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}
# Of every question, an analyst's, a dashboard's or an audience's: visitors stream in the order of the table's key, and
# what is still too large goes to the disk. So a view holds what is asked for, and not what the history has.
QUESTION_SETTINGS: dict[str, int] = {
    "optimize_aggregation_in_order": 1,
    "max_bytes_before_external_group_by": 1_000_000_000,
    "max_bytes_before_external_sort": 1_000_000_000,
}
QUESTION_SETTINGS_SQL = ", ".join(f"{name} = {value}" for name, value in QUESTION_SETTINGS.items())

# In one session a question waits for the one before, and fails while the server has not noticed that its connection
# was cut. Nothing of ours lives in a session.
_OF_A_SERVER: dict[str, Any] = {"autogenerate_session_id": False}

# Of every question and insert on a cluster: an insert answers when all its shards have stored, and the whole of it is
# asked: where a shard is away, there is an error and no smaller number. A busy shard may take its time to be connected.
_CLUSTER_SETTINGS: dict[str, Any] = {
    "distributed_foreground_insert": 1,
    "skip_unavailable_shards": 0,
    "prefer_global_in_and_join": 1,
    "connect_timeout_with_failover_ms": 10_000,
}

# Folding duplicates row by row while a block is inserted takes 6 of its 10 us a row. The loader sends none, and a read
# with FINAL and every merge fold as before (decisions/0009-row-format.md).
_BLOCK_SETTINGS: dict[str, Any] = {**INSERT_SETTINGS, "optimize_on_insert": 0}

# Errors that speak of what is in a block: the same rows fail again, others would not. Anything else, from a full disk
# to a missing table, is the state of the database, which somebody will mend.
_ROW_CODES = frozenset(
    {
        6, 26, 27, 38, 41, 72, 131,  # a text that cannot be parsed, or is too long
        36, 691,  # not in an Enum
        53, 70, 321, 349, 407,  # wrong type, cannot be converted, out of range, NULL, Decimal overflow
        69, 117, 190,  # out of bounds, incorrect data, sizes of arrays
        153, 395, 469,  # division by zero, throwIf, a constraint
    }
)  # fmt: skip

# Formats of `footfall sql`, named as ClickHouse names them.
FORMATS = ("Pretty", "CSV", "JSON", "JSONEachRow", "Parquet")
_CLICKHOUSE_FORMAT = {"Pretty": "PrettyCompact", "CSV": "CSVWithNames"}

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class StoreError(Exception):
    """ClickHouse refused or could not be reached. The text is one sentence; `transient` says whether to try again.

    `of_rows` says that it is what some of the rows hold that it will not take: without them it would.
    """

    def __init__(self, sentence: str, *, transient: bool, of_rows: bool = False) -> None:
        super().__init__(sentence)
        self.transient = transient
        self.of_rows = of_rows


class Cluster(Struct, frozen=True):
    """The servers over which a database is spread (cluster.py).

    Attributes:
        name: As in the servers' own configuration.
        shards: http://host:port of a server of each, in their order; empty for the hosts that the cluster names.
    """

    name: str
    shards: tuple[str, ...] = ()


def database_of(dsn: str) -> str:
    """The database a DSN names: a server's in its path, chDB's as `?database=`; `footfall` where it names none.

    Raises:
        StoreError: the DSN is not one this project can use.
    """
    parts = urlsplit(dsn)
    if parts.scheme not in ("chdb", "http", "https", "clickhouse", "clickhouses"):
        raise StoreError(f"clickhouse is {dsn!r}: it must start with chdb://, http:// or https://", transient=False)
    embedded = parts.scheme == "chdb"
    named = parse_qs(parts.query).get("database", [""])[0] if embedded else parts.path.strip("/")
    name = named or "footfall"
    if not _NAME.match(name):
        raise StoreError(f"database {name!r} is not a plain name of letters, digits and _", transient=False)
    return name


def check_engine(dsn: str) -> None:
    """Make sure that the engine a DSN names can be had at all.

    Raises:
        StoreError: the DSN cannot be used, or names the embedded engine, which is not installed.
    """
    database_of(dsn)
    if dsn.startswith("chdb:") and importlib.util.find_spec("chdb") is None:
        raise StoreError(
            "the embedded engine is not installed; run `pip install 'footfall[embedded]'`, "
            "or name a ClickHouse server in clickhouse (FOOTFALL_CLICKHOUSE)",
            transient=False,
        )


class Store:
    """A database, opened. One client, one query at a time per Store; open a second Store for a second lane."""

    def __init__(
        self, dsn: str, *, read_only: bool = False, inside: bool = False, cluster: Cluster | None = None
    ) -> None:
        """Connect. `dsn` is chdb:///path (embedded) or http(s)://user:password@host:port/database.

        A read-only Store answers queries of people: it may change no data. There, and with `inside`, unqualified names
        are looked up in the project's database, which must exist. On a `cluster`, `dsn` names any of its shards.
        """
        import clickhouse_connect  # a sixth of a second, and most commands ask a process that has it
        from clickhouse_connect.driver import options

        # An insert would load pandas, which chDB brings, to see whether it is given a DataFrame: half a second.
        vars(options)["pd"] = None
        check_engine(dsn)
        self.database = database_of(dsn)
        self.embedded = dsn.startswith("chdb:")
        if cluster is not None and self.embedded:
            raise StoreError(
                "clickhouse_cluster is set and the database is the embedded one; name a server of the cluster in "
                "clickhouse (FOOTFALL_CLICKHOUSE)",
                transient=False,
            )
        self.cluster = cluster
        self.opened: tuple[Store, ...] = ()  # of a cluster, connections to its shards (cluster.py)
        self._dsn = dsn
        self._lock = threading.Lock()
        target = _without_database(dsn)
        settings = {
            **({"readonly": 2, **QUESTION_SETTINGS} if read_only else {}),
            **(_CLUSTER_SETTINGS if cluster else {}),
        }
        with _explaining():
            self._client: Client = clickhouse_connect.get_client(
                dsn=target,
                database=self.database if read_only or inside else None,
                settings=settings or None,
                **({} if target.startswith("chdb:") else _OF_A_SERVER),
            )

    @property
    def address(self) -> str:
        """Where it is, without user and password."""
        return urlsplit(self._dsn)._replace(netloc=urlsplit(self._dsn).netloc.rpartition("@")[2], path="").geturl()

    def beside(self, address: str, database: str) -> Store:
        """A database on another server, by the same user. `address` is a host, or http(s)://host:port."""
        own = urlsplit(self._dsn)
        port = f":{own.port}" if own.port else ""
        there = urlsplit(address if "//" in address else f"{own.scheme}://{_bracketed(address)}{port}")
        user, at, _ = own.netloc.rpartition("@")
        return Store(
            own._replace(scheme=there.scheme, netloc=f"{user}{at}{there.netloc}", path=f"/{database}").geturl()
        )

    def named(self, database: str) -> Store:
        """The same connection, for another database of its server."""
        other = copy.copy(self)
        other.database = database
        return other

    def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        """Run one statement that answers nothing. Raises StoreError."""
        with self._lock, _explaining():
            self._client.command(sql, parameters=parameters)

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one SELECT and return its rows as Python values. Raises StoreError."""
        with self._lock, _explaining():
            return [tuple(row) for row in self._client.query(sql, parameters=parameters).result_rows]

    def answer(self, sql: str, fmt: str | None) -> bytes:
        """Run one query and return its answer in a format of FORMATS, or in its own when None. Raises StoreError."""
        named = None if fmt is None else _CLICKHOUSE_FORMAT.get(fmt, fmt)
        with self._lock, _explaining():
            answer = self._client.raw_query(sql, fmt=named)
        return bytes(answer)

    def insert(self, table: str, names: Sequence[str], columns: Sequence[Sequence[Any]], token: str) -> None:
        """Insert one block, given as columns. The same token twice inserts once. Raises StoreError."""
        with self._lock, _explaining():
            self._client.insert(
                table,
                columns,
                column_names=list(names),
                database=self.database,
                column_oriented=True,
                settings={**INSERT_SETTINGS, "insert_deduplication_token": token},
            )

    def insert_arrow(self, table: str, names: Sequence[str], stream: bytes, token: str) -> None:
        """Insert one block, given as an Arrow stream of these columns. The same token twice inserts once.

        Raises:
            StoreError: with `of_rows` when the block would be taken without some of its rows.
        """
        with self._lock, _explaining():
            self._client.raw_insert(
                f"{self.database}.{table}",
                list(names),
                stream,
                fmt="ArrowStream",
                settings={**_BLOCK_SETTINGS, "insert_deduplication_token": token},
            )

    def close(self) -> None:
        """Release the connection, and for chDB the engine."""
        for other in self.opened:
            other.close()
        self._client.close()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _without_database(dsn: str) -> str:
    """The DSN with its database cut: it may not exist yet, and connecting into it would fail."""
    if dsn.startswith("chdb:"):
        return dsn.partition("?")[0]
    return urlsplit(dsn)._replace(path="/").geturl()


@contextlib.contextmanager
def _explaining() -> Iterator[None]:
    """Raise StoreError for what the driver raises: ClickHouse's own sentence, without what they wrap around it."""
    from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

    try:
        yield
    except ClickHouseError as error:
        text = re.sub(r" \(for url [^)]*\)?$", "", str(error).strip().split("\n")[0])
        # Behind the sentence of a view that refuses what it is asked, ClickHouse tells its plan of the query.
        text = re.sub(r": while executing 'FUNCTION .*\bthrowIf\(.*", "", text)
        raise StoreError(
            text.rpartition("DB::Exception: ")[2],
            transient=isinstance(error, OperationalError),
            of_rows=getattr(error, "code", None) in _ROW_CODES,
        ) from error
