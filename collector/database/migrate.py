"""Bring a database up to date: numbered table files once each and in order, then every view.

    sql/tables/NNN_name.sql --once, in order--> tables --recorded in--> migrations (number, name, checksum, applied_at)
    sql/views/ROOM/NAME.sql --when any file changed--> views, each after the views it reads,
                                                            with comments from its header (catalogue.py)
    the tracking plan --publish.py--> one typed view per event

On a cluster all of it on each shard, which has its own record of what was applied there (cluster.py).

Safe to run twice, to be killed at any point and to run twice at once: every statement is IF NOT EXISTS or OR REPLACE,
and a file is recorded only after its last statement, so that the worst case is to run a file again.
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path

from msgspec import Struct, structs

from collector.database.catalogue import catalogue, commented
from collector.database.cluster import VIEW_SETTINGS, distribute, for_cluster, fronts, prepare, shards
from collector.database.publish import pending_views, publish_views
from collector.database.store import Store
from collector.paths import SQL_DIR
from collector.plan.model import Plan

# The row that records all views together. Table files are numbered from 1.
VIEWS_NUMBER = 0
VIEWS_NAME = "views"

# Ordered by checksum too: if two versions of the code start on one new database at once, both rows stay and the next
# start reports the difference instead of losing one of them. The default clock of applied_at is ClickHouse's own.
MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS {database}.migrations
(
    number     UInt32 COMMENT 'Number of the table file; 0 for all views together.',
    name       String,
    checksum   String COMMENT 'SHA-256 of the file as it was applied.',
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY (number, checksum)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

# Files as they were applied to databases before the first release, by checksum. What they made stays as it is and is
# as right: 001 had partitions by month of receipt (decisions/0015).
_FORMER = {"1d4db0332f5f07ff6f44c061697ff448a5fad4192fd26d4207f408c2957521e8": "001_events.sql"}

_TABLE_FILE = re.compile(r"^(\d{3})_\w+\.sql$")
_TABLE_MADE = re.compile(r"^CREATE TABLE IF NOT EXISTS \{database\}\.(\w+)", re.MULTILINE)
_READS = re.compile(r"\{database\}\.(\w+)")
_END_OF_STATEMENT = re.compile(r";[ \t]*$", re.MULTILINE)


class MigrationError(Exception):
    """The database and this code do not fit together. The text is one sentence that says what to do."""


class _File(Struct, frozen=True):
    """One SQL file. `number` is 0 for a view."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return sha256(self.text.encode()).hexdigest()


def migrate(store: Store, sql_dir: Path = SQL_DIR, plan: Plan | None = None) -> list[str]:
    """Apply what is missing and return what was applied; empty when the database was up to date.

    With a plan, its typed views too; without one, those that are there stay as they are. What is returned are names of
    files and typed views, and phrases on views that were dropped.

    Raises:
        MigrationError: a file changed after it was applied, or the database is newer than this code. Nothing was done.
        StoreError: ClickHouse refused or could not be reached. What was applied stays; run again.
    """
    tables, views = _table_files(sql_dir), _view_files(sql_dir)
    prepare(store)
    homes, faces = shards(store), fronts(store)
    applied: dict[str, None] = {}
    for home, missing in [(home, _missing_tables(home, tables)) for home in homes]:
        if missing:
            home.command(f"CREATE DATABASE IF NOT EXISTS {home.database} ENGINE = Atomic")
            home.command(_for_database(MIGRATIONS_TABLE, home))
        for file in missing:
            _run(home, file)
            _record(home, file.number, file.name, file.checksum)
            applied[file.name] = None
    applied |= dict.fromkeys(distribute(store, _TABLE_MADE.findall("\n".join(file.text for file in tables))))
    for home, face in zip(homes, faces, strict=True):
        outdated = _outdated_views(home, face, tables, views)
        described = catalogue(sql_dir) if outdated else {}
        for file in outdated:
            text = commented(file.text, described[Path(file.name).stem])
            _run(face, structs.replace(file, text=text if face is home else for_cluster(text)))
            applied[file.name] = None
        if outdated:
            _record(home, VIEWS_NUMBER, VIEWS_NAME, _views_checksum(tables, views, spread=face is not home))
    return [*applied, *(publish_views(store, plan) if plan is not None else [])]


def pending(store: Store, sql_dir: Path = SQL_DIR, plan: Plan | None = None) -> list[str]:
    """What `migrate` would apply, in its order. Changes nothing. Raises as `migrate` does."""
    tables, views = _table_files(sql_dir), _view_files(sql_dir)
    homes = shards(store)
    missing = [file.name for home in homes for file in _missing_tables(home, tables)]
    outdated = [
        file.name
        for home, face in zip(homes, fronts(store), strict=True)
        for file in _outdated_views(home, face, tables, views)
    ]
    return [*dict.fromkeys(missing + outdated), *(pending_views(store, plan) if plan is not None else [])]


def _missing_tables(store: Store, tables: list[_File]) -> list[_File]:
    if _existing(store).get("events") == "Distributed":
        raise MigrationError(
            f"database {store.database} is spread over a cluster; name it in clickhouse_cluster "
            "(FOOTFALL_CLICKHOUSE_CLUSTER)"
        )
    applied = _applied(store)
    known = {file.number: file for file in tables}
    for number, name, checksum in applied:
        if number not in known:
            raise MigrationError(
                f"database {store.database} has migration {name}, which this version of footfall does not know; "
                "install the version that made it, or a newer one"
            )
        if checksum != known[number].checksum and _FORMER.get(checksum) != known[number].name:
            raise MigrationError(
                f"{name} was changed after it was applied to database {store.database}; "
                "restore the file and put the change into a new one with the next number"
            )
    done = {number for number, _, _ in applied}
    return [file for file in tables if file.number not in done]


def _outdated_views(home: Store, face: Store, tables: list[_File], views: list[_File]) -> list[_File]:
    """All views or none: a view that reads `*` keeps the columns it was made with, so one change remakes them all.

    `home` has the record and `face` the views; on one server they are the same.
    """
    if "migrations" in _existing(home) and {file.name.removesuffix(".sql") for file in views} <= set(_existing(face)):
        newest = home.rows(
            f"SELECT argMax(checksum, applied_at) FROM {home.database}.migrations WHERE number = {VIEWS_NUMBER}"
        )
        if newest[0][0] == _views_checksum(tables, views, spread=face is not home):
            return []
    return views


def _applied(store: Store) -> list[tuple[int, str, str]]:
    if "migrations" not in _existing(store):
        return []
    rows = store.rows(
        f"SELECT DISTINCT number, name, checksum FROM {store.database}.migrations "
        f"WHERE number != {VIEWS_NUMBER} ORDER BY number"
    )
    return [(int(number), str(name), str(checksum)) for number, name, checksum in rows]


def _existing(store: Store) -> dict[str, str]:
    """What the database has, with engines."""
    rows = store.rows("SELECT name, engine FROM system.tables WHERE database = {name:String}", {"name": store.database})
    return {str(name): str(engine) for name, engine in rows}


def _table_files(sql_dir: Path) -> list[_File]:
    files = []
    for path in sorted((sql_dir / "tables").glob("*.sql")):
        match = _TABLE_FILE.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named NNN_name.sql; number it after the newest table file")
        files.append(_File(int(match[1]), path.name, path.read_text(encoding="utf-8")))
    if [file.number for file in files] != list(range(1, len(files) + 1)):
        raise MigrationError("table files are not numbered 001, 002, … without gaps and repeats; number them so")
    return files


def _view_files(sql_dir: Path) -> list[_File]:
    """The views, each after those it reads."""
    files = {
        path.stem: _File(VIEWS_NUMBER, path.name, path.read_text(encoding="utf-8"))
        for path in sorted((sql_dir / "views").rglob("*.sql"))
    }
    reads = {name: (set(_READS.findall(file.text)) & set(files)) - {name} for name, file in files.items()}
    try:
        return [files[name] for name in TopologicalSorter(reads).static_order()]
    except CycleError as error:
        raise MigrationError(f"views read each other in a circle: {' -> '.join(error.args[1])}; cut it") from error


def _views_checksum(tables: list[_File], views: list[_File], *, spread: bool) -> str:
    parts = [f"{file.name} {file.checksum}" for file in tables + views]
    return sha256("\n".join(parts + ([VIEW_SETTINGS] if spread else [])).encode()).hexdigest()


def _run(store: Store, file: _File) -> None:
    """Run a file's statements, which end with `;` at the end of a line; lines of comment are left out."""
    code = "\n".join(line for line in file.text.splitlines() if not line.lstrip().startswith("--"))
    for statement in _END_OF_STATEMENT.split(code):
        if statement.strip():
            store.command(_for_database(statement, store))


def _for_database(sql: str, store: Store) -> str:
    return sql.replace("{database}", store.database)


def _record(store: Store, number: int, name: str, checksum: str) -> None:
    # The table has no deduplication window, so the token decides nothing: a row recorded twice is the same row.
    store.insert("migrations", ["number", "name", "checksum"], [[number], [name], [checksum]], token=checksum)
