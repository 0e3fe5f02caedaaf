"""What analysts may ask of a real server, by logging in as one, and what `footfall grants` prints."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clickhouse_server import USERS
from databases import Databases

from collector.cli.main import main
from collector.database.catalogue import catalogue
from collector.database.grants import IDENTITIES, Limits, access, names_nobody, open_views, settings_of
from collector.database.store import QUESTION_SETTINGS, Store, StoreError

VIEWS = catalogue()
HIDDEN = ("visitor-1", "user-1", "secret-text")


@pytest.fixture
def stored(clickhouse_url: str, databases: Databases) -> Iterator[Store]:
    """A database on the server with two events, and its open views."""
    place = f"{clickhouse_url}/{{name}}"
    store, before = databases.take(place)
    names = ["message_id", "type", "event", "source_id", "visitor_id", "user_id", "event_time", "path", "properties"]
    columns: list[list[Any]] = [
        ["m1", "m2"], ["page", "track"], ["page_view", "seen"], ["shop"] * 2, [HIDDEN[0]] * 2, ["", HIDDEN[1]],
        [1_795_000_000_000, 1_795_000_001_000], ["/a", "/b"], ["{}", f'{{"note":"{HIDDEN[2]}"}}'],
    ]  # fmt: skip
    store.insert("events", names, columns, "grants")
    for statement in open_views(VIEWS, store.database):
        if ".funnel " in statement or ".kpi" in statement or ".transitions " in statement or "DATABASE" in statement:
            store.command(statement)
    yield store
    store.command(f"DROP DATABASE open_{store.database} SYNC")
    databases.give_back(place, store, before)


def logged_in(url: str, user: str, database: str) -> Store:
    return Store(f"{url.replace('://', f'://{user}:{user}@')}/{database}", inside=True)


def refused(analyst: Store, sql: str) -> str:
    with pytest.raises(StoreError) as failure:
        analyst.rows(sql)
    return str(failure.value)


@pytest.mark.skipif("FOOTFALL_TEST_CLICKHOUSE" in os.environ, reason="a server of others has no such users")
def test_an_analyst_reads_and_changes_nothing(stored: Store, clickhouse_url: str) -> None:
    with closing(logged_in(clickhouse_url, "analyst", stored.database)) as analyst:
        assert analyst.rows("SELECT visitor_id, user_id, events FROM sessions") == [(HIDDEN[0], HIDDEN[1], 2)]
        assert len(analyst.rows(f"SELECT * FROM {FUNNEL} SETTINGS max_threads = 1")) == 1
        assert "audiences" in {row[0] for row in analyst.rows("SHOW TABLES")}
        for sql, missing in (
            ("INSERT INTO events (event) VALUES ('x')", "INSERT"),
            ("DROP VIEW sessions", "DROP VIEW"),
            ("CREATE TABLE mine (a Int8) ENGINE = Memory", "CREATE TABLE"),
            ("SELECT * FROM file('/etc/passwd', 'LineAsString')", "READ ON FILE"),
            ("SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", "READ ON URL"),
            ("SELECT name FROM system.users", "SELECT ON system.users"),
        ):
            assert (
                f"Not enough privileges. To execute this query, it's necessary to have the grant {missing}"
                in refused(analyst, sql)
            )
        assert "shouldn't be less than 1" in refused(analyst, "SELECT 1 SETTINGS max_memory_usage = 0")
        assert "shouldn't be greater than 60" in refused(analyst, "SELECT 1 SETTINGS max_execution_time = 61")
        assert "Cannot modify 'readonly' setting" in refused(analyst, "SELECT 1 SETTINGS readonly = 0")


FUNNEL = (
    "funnel(source_id = 'shop', steps = ['page_view'], window_s = 3600, since = toDateTime64('2026-11-01', 3, 'UTC'), "
    "until = toDateTime64('2026-12-01', 3, 'UTC'), counted_by = 'visitor', without = [], breakdown = '')"
)


@pytest.mark.skipif("FOOTFALL_TEST_CLICKHOUSE" in os.environ, reason="a server of others has no such users")
def test_an_analyst_without_identities_sees_answers_and_no_person(stored: Store, clickhouse_url: str) -> None:
    with closing(logged_in(clickhouse_url, "open", f"open_{stored.database}")) as analyst:
        assert analyst.rows(f"SELECT reached FROM {FUNNEL}") == [(1,)]
        assert analyst.rows("SELECT from, to FROM transitions WHERE source_id = 'shop'") is not None
        for by in ("user_id", "note"):
            said = refused(analyst, f"SELECT * FROM {FUNNEL.replace(chr(39) * 2, f'{chr(39)}{by}{chr(39)}')}")
            assert said.startswith("breakdown must be one of: event, path, ")
        by_path = FUNNEL.replace("''", "'path'")
        assert analyst.rows(f"SELECT dimension, reached FROM {by_path}") == [("/a", 1)]
        for table in ("events", "sessions", "persons", "transitions"):
            assert "Not enough privileges" in refused(analyst, f"SELECT * FROM {stored.database}.{table}")


def test_open_views_are_those_that_name_nobody() -> None:
    closed = {name for name, view in VIEWS.items() if not names_nobody(view)}
    assert closed >= {"sessions", "persons", "identities", "audience_members", "step_events", "conversions", "paths"}
    assert closed >= {"experiments", "next_products", "searches", "script_errors", "funnel_chains", "feature_lift"}
    assert {"funnel", "retention", "kpis", "sankey", "attribution", "vitals", "dq_daily"}.isdisjoint(closed)
    statements = open_views(VIEWS, "footfall")
    assert len(statements) == 1 + len(VIEWS) - len(closed)
    for view in VIEWS.values():
        if view.name not in closed:
            assert not {column.name for column in view.columns} & IDENTITIES


def test_what_is_printed_is_sql_that_the_server_reads(
    clickhouse_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Store(f"{clickhouse_url}/footfall")
    for options in ([], ["--no-identities"], ["--user", ""]):
        monkeypatch.setenv("ANALYST_PASSWORD", "pass'word")
        with pytest.raises(SystemExit) as end:
            main(["grants", "--clickhouse", f"{clickhouse_url}/footfall", *options])
        assert end.value.code == 0
        said = capsys.readouterr()
        statements = [line.removesuffix(";") for line in said.out.splitlines()]
        assert ("CREATE USER" in said.out) is ("--user" not in options)
        assert "pass'word" not in said.out + said.err
        for statement in statements[-8:]:
            assert server.rows("SELECT formatQuery({sql:String})", {"sql": statement})
    server.close()
    monkeypatch.delenv("ANALYST_PASSWORD")
    with pytest.raises(SystemExit):
        main(["grants", "--clickhouse", f"{clickhouse_url}/footfall"])
    assert re.search(r"password of analyst: [\w-]{32} ", capsys.readouterr().err)


def test_the_users_of_the_tests_are_those_that_grants_makes() -> None:
    root = ET.fromstring(USERS.read_text())
    profile = root.find("profiles/analyst")
    assert profile is not None
    settings = settings_of(Limits())
    assert {one.tag: one.text for one in profile if one.tag != "constraints"} == {
        "readonly": "2",
        **{name: str(value) for name, value in (settings | QUESTION_SETTINGS).items()},
    }
    made_profile = next(one for one in access("footfall", "", "", Limits(), no_identities=False) if "PROFILE" in one)
    assert all(f", {name} = {value}" in made_profile for name, value in QUESTION_SETTINGS.items())
    limits = profile.find("constraints")
    assert limits is not None
    assert {one.tag: one.findtext("max") for one in limits} == {name: str(value) for name, value in settings.items()}
    for user, no_identities, prefix in (("analyst", False, ""), ("open", True, "open_")):
        granted = [one.text for one in root.findall(f"users/{user}/grants/query")]
        made = [one for one in access("footfall", "", "", Limits(), no_identities=no_identities) if "GRANT" in one]
        assert granted == [f"GRANT SELECT ON {prefix or 'test_'}*.*"]
        assert [one.partition(" TO ")[0] for one in made] == [f"GRANT SELECT ON `{prefix}footfall`.*"]


def test_on_a_cluster_the_shards_own_tables_are_granted_too_and_joins_are_set() -> None:
    made = access("footfall", "ann", "", Limits(), no_identities=False, spread=True)
    assert [one for one in made if " ON " in one] == [
        f"GRANT SELECT ON `{database}`.* TO footfall_analyst" for database in ("footfall", "footfall_shard")
    ]
    assert "prefer_global_in_and_join = 1 TO" in made[1]
    opened = access("footfall", "ann", "", Limits(), no_identities=True, spread=True)
    assert [one for one in opened if " ON " in one] == ["GRANT SELECT ON `open_footfall`.* TO footfall_analyst_open"]


def test_the_embedded_engine_has_no_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["grants"])
    assert capsys.readouterr().err.startswith("footfall: the embedded engine has no users; name a ClickHouse server")
