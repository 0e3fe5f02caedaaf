"""Migrations bring any database up to date, once, whatever happens on the way. On both engines."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.database.migrate import MigrationError, migrate, pending
from collector.database.store import Store, StoreError
from collector.paths import SQL_DIR


@pytest.fixture
def fresh(dsn: str) -> Iterator[Store]:
    """A connection to a database that does not exist yet."""
    with closing(Store(dsn)) as opened:
        yield opened


# Enough to show how views follow tables and each other; the first tests make all there are.
A_FEW_VIEWS = {
    "human_events.sql",
    "session_events.sql",
    "pageviews.sql",
    "sessions.sql",
    "sessions_by_visitor.sql",
    "paths.sql",
    "transitions.sql",
}


@pytest.fixture
def sql_dir(tmp_path: Path) -> Path:
    """A copy of the SQL files, to change: all tables and a few views."""

    def others(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name.endswith(".sql") and not name[0].isdigit()} - A_FEW_VIEWS

    return Path(shutil.copytree(SQL_DIR, tmp_path / "sql", ignore=others))


@pytest.fixture
def newer_sql_dir(tmp_path: Path, sql_dir: Path) -> Path:
    """Another copy of the same."""
    return Path(shutil.copytree(sql_dir, tmp_path / "newer"))


def files(folder: str, sql_dir: Path = SQL_DIR) -> list[str]:
    return sorted(path.name for path in (sql_dir / folder).rglob("*.sql"))


def objects(store: Store) -> set[str]:
    return {
        name
        for (name,) in store.rows("SELECT name FROM system.tables WHERE database = {d:String}", {"d": store.database})
    }


def add_table(sql_dir: Path, name: str, text: str) -> None:
    (sql_dir / "tables" / name).write_text(text, encoding="utf-8")


def next_number() -> int:
    return len(files("tables")) + 1


def test_an_empty_server_gets_every_table_in_order_and_every_view(fresh: Store) -> None:
    applied = migrate(fresh)
    assert applied[: len(files("tables"))] == files("tables")
    assert sorted(applied[len(files("tables")) :]) == files("views")
    expected = {name.removesuffix(".sql") for name in files("views")} | {"events", "failed_events", "migrations"}
    assert expected <= objects(fresh)
    engine = fresh.rows("SELECT engine FROM system.databases WHERE name = {d:String}", {"d": fresh.database})
    assert engine == [("Atomic",)]


def test_a_second_run_changes_nothing(fresh: Store, sql_dir: Path) -> None:
    migrate(fresh, sql_dir)
    before = fresh.rows(f"SELECT number, name, checksum, applied_at FROM {fresh.database}.migrations ORDER BY ALL")
    assert migrate(fresh, sql_dir) == []
    after = fresh.rows(f"SELECT number, name, checksum, applied_at FROM {fresh.database}.migrations ORDER BY ALL")
    assert after == before


def test_pending_names_what_migrate_will_do_and_does_nothing(fresh: Store, sql_dir: Path) -> None:
    waiting = pending(fresh, sql_dir)
    assert objects(fresh) == set()
    assert migrate(fresh, sql_dir) == waiting
    assert pending(fresh, sql_dir) == []


# Which statement it is makes no difference to the engine, so the server is asked a third of them.
@pytest.mark.parametrize(
    ("place", "reached"),
    [("chdb", number) for number in range(9)] + [("server", number) for number in (1, 4, 7)],
    indirect=["place"],
)
def test_a_run_that_was_killed_is_finished_by_the_next(fresh: Store, dsn: str, sql_dir: Path, reached: int) -> None:
    """The kill falls before statement number `reached` of the run, counted from 0."""
    add_table(
        sql_dir,
        f"{next_number():03}_two.sql",
        "CREATE TABLE IF NOT EXISTS {database}.one (x UInt8) ENGINE = MergeTree ORDER BY x;\n"
        "CREATE TABLE IF NOT EXISTS {database}.two (x UInt8) ENGINE = MergeTree ORDER BY x;\n",
    )

    class DyingStore(Store):
        left = reached

        def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            super().command(sql, parameters)

    with closing(DyingStore(dsn)) as dying, pytest.raises(KeyboardInterrupt):
        migrate(dying, sql_dir)
    migrate(fresh, sql_dir)
    assert pending(fresh, sql_dir) == []
    assert {"events", "failed_events", "one", "two", "sessions", "transitions"} <= objects(fresh)


def test_a_file_changed_after_it_was_applied_is_refused_by_name(fresh: Store, sql_dir: Path) -> None:
    migrate(fresh, sql_dir)
    with (sql_dir / "tables" / "001_events.sql").open("a") as file:
        file.write("-- an afterthought\n")
    for run in (migrate, pending):
        with pytest.raises(MigrationError, match=r"001_events\.sql was changed after it was applied .* next number"):
            run(fresh, sql_dir)


def test_a_database_with_events_by_month_of_receipt_is_taken_as_it_is(fresh: Store, sql_dir: Path) -> None:
    """As it was made before partitions were months of occurrence: decisions/0015."""
    former = "1d4db0332f5f07ff6f44c061697ff448a5fad4192fd26d4207f408c2957521e8"
    table = sql_dir / "tables" / "001_events.sql"
    text = table.read_text()
    by_receipt = re.sub(r"^PARTITION BY .*$", "PARTITION BY toYYYYMM(received_at)", text, flags=re.MULTILINE)
    assert by_receipt != text
    table.write_text(by_receipt)
    migrate(fresh, sql_dir)
    table.write_text(text)
    fresh.command(
        f"INSERT INTO {fresh.database}.migrations (number, name, checksum) VALUES (1, '001_events.sql', '{former}')"
    )
    fresh.command(
        f"ALTER TABLE {fresh.database}.migrations DELETE WHERE number = 1 AND checksum != '{former}' "
        "SETTINGS mutations_sync = 2"
    )
    assert sorted(migrate(fresh, sql_dir)) == files("views", sql_dir)
    ((partition_key,),) = fresh.rows(
        "SELECT partition_key FROM system.tables WHERE database = {d:String} AND name = 'events'",
        {"d": fresh.database},
    )
    assert partition_key == "toYYYYMM(received_at)"
    assert fresh.rows(f"SELECT count() FROM {fresh.database}.sessions") == [(0,)]


def test_properties_in_many_pieces_and_in_few_are_merged(fresh: Store) -> None:
    """Table 013 has merged parts keep them in fewer pieces than the parts that an older version merged."""
    migrate(fresh)
    events, few = f"{fresh.database}.events", "max_buckets_in_map = 8"
    always = "min_bytes_for_wide_part = 0, min_level_for_wide_part = 1"  # with a file for each column, however small
    for number, pieces in enumerate(("max_buckets_in_map = 32", few, few)):
        fresh.command(f"ALTER TABLE {events} MODIFY SETTING {always}, {pieces}")
        for more in range(2):
            fresh.command(
                f"INSERT INTO {events} (source_id, visitor_id, message_id, properties) SELECT 'shop', number, "
                f"'{number} {more}', toJSONString(map('n', toString(number), 's', 'x')) FROM numbers(1000)"
            )
        fresh.command(f"OPTIMIZE TABLE {events} FINAL")
        asked = f"SELECT count(), sum(toInt64(property.key_n)), countIf(property['s'] = 'x') FROM {events}"
        assert fresh.rows(asked) == [(2_000 * (number + 1), 999_000 * (number + 1), 2_000 * (number + 1))]


def test_a_database_newer_than_the_code_is_refused_and_left_alone(
    fresh: Store, sql_dir: Path, newer_sql_dir: Path
) -> None:
    newer = f"{next_number():03}_newer.sql"
    add_table(
        newer_sql_dir, newer, "CREATE TABLE IF NOT EXISTS {database}.newer (x UInt8) ENGINE = MergeTree ORDER BY x"
    )
    migrate(fresh, newer_sql_dir)
    before = objects(fresh)
    with pytest.raises(MigrationError, match=rf"{newer}, which this version of footfall does not know; install"):
        migrate(fresh, sql_dir)
    assert objects(fresh) == before


def test_a_new_table_file_is_applied_alone_and_all_views_are_made_again(
    fresh: Store, sql_dir: Path, newer_sql_dir: Path
) -> None:
    """Views that read `*` would otherwise keep the columns of yesterday."""
    migrate(fresh, sql_dir)
    added = f"{next_number():03}_mood.sql"
    add_table(newer_sql_dir, added, "ALTER TABLE {database}.events ADD COLUMN IF NOT EXISTS mood String")
    assert pending(fresh, newer_sql_dir)[0] == added
    assert sorted(migrate(fresh, newer_sql_dir)[1:]) == files("views", sql_dir)
    assert fresh.rows(f"SELECT mood FROM {fresh.database}.session_events") == []


def test_a_changed_view_replaces_the_old_one(fresh: Store, sql_dir: Path) -> None:
    migrate(fresh, sql_dir)
    view = sql_dir / "views" / "journeys" / "paths.sql"
    view.write_text(view.read_text().replace("AS steps", "AS steps, length(steps) AS depth"), encoding="utf-8")
    assert sorted(migrate(fresh, sql_dir)) == files("views", sql_dir)
    assert fresh.rows(f"SELECT depth FROM {fresh.database}.paths") == []
    assert migrate(fresh, sql_dir) == []


def test_an_older_version_may_come_back_after_a_newer_one_changed_only_views(
    fresh: Store, sql_dir: Path, newer_sql_dir: Path
) -> None:
    view = newer_sql_dir / "views" / "journeys" / "paths.sql"
    view.write_text(view.read_text().replace("AS steps", "AS steps, length(steps) AS depth"), encoding="utf-8")
    migrate(fresh, sql_dir)
    migrate(fresh, newer_sql_dir)
    assert sorted(migrate(fresh, sql_dir)) == files("views", sql_dir)
    assert migrate(fresh, sql_dir) == []
    with pytest.raises(StoreError, match="depth"):
        fresh.rows(f"SELECT depth FROM {fresh.database}.paths")


def test_a_dropped_view_comes_back(fresh: Store, sql_dir: Path) -> None:
    migrate(fresh, sql_dir)
    fresh.command(f"DROP VIEW {fresh.database}.sessions SYNC")
    migrate(fresh, sql_dir)
    assert fresh.rows(f"SELECT count() FROM {fresh.database}.sessions") == [(0,)]


def test_collectors_that_start_at_once_all_come_up(dsn: str, fresh: Store, sql_dir: Path) -> None:
    def start(_: int) -> None:
        with closing(Store(dsn)) as store:
            migrate(store, sql_dir)

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(start, range(4)))
    assert migrate(fresh, sql_dir) == []
    recorded = fresh.rows(
        f"SELECT number, count() FROM {fresh.database}.migrations FINAL GROUP BY number ORDER BY number"
    )
    assert recorded == [(number, 1) for number in range(next_number())]
    assert not {name for name in objects(fresh) if name.startswith("_tmp")}


def test_views_are_made_after_the_views_they_read_whatever_their_names(fresh: Store, sql_dir: Path) -> None:
    (sql_dir / "views" / "aaa.sql").write_text("CREATE OR REPLACE VIEW {database}.aaa AS SELECT * FROM {database}.zzz")
    (sql_dir / "views" / "zzz.sql").write_text("CREATE OR REPLACE VIEW {database}.zzz AS SELECT 1 AS one")
    migrate(fresh, sql_dir)
    assert fresh.rows(f"SELECT one FROM {fresh.database}.aaa") == [(1,)]


def test_views_in_a_circle_are_named(fresh: Store, sql_dir: Path) -> None:
    (sql_dir / "views" / "aaa.sql").write_text("CREATE OR REPLACE VIEW {database}.aaa AS SELECT * FROM {database}.zzz")
    (sql_dir / "views" / "zzz.sql").write_text("CREATE OR REPLACE VIEW {database}.zzz AS SELECT * FROM {database}.aaa")
    with pytest.raises(MigrationError, match=r"circle: .*aaa"):
        migrate(fresh, sql_dir)


@pytest.mark.parametrize("name", ["three.sql", "001_again.sql", "900_far.sql"])
def test_a_misnumbered_file_is_refused_before_anything_is_done(fresh: Store, sql_dir: Path, name: str) -> None:
    add_table(sql_dir, name, "SELECT 1")
    with pytest.raises(MigrationError, match="number"):
        migrate(fresh, sql_dir)
    assert objects(fresh) == set()
