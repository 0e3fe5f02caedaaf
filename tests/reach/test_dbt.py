"""The dbt project that ships: what it names exists; where dbt is there (`make dbt`), it runs against a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from databases import Databases
from ruamel.yaml import YAML

from collector.cli.main import command
from collector.database.catalogue import catalogue
from collector.paths import REACH_DIR

PROJECT = REACH_DIR / "dbt"
VIEWS = catalogue()
SCHEMA = YAML(typ="safe", pure=True).load((PROJECT / "models" / "schema.yml").read_text())
MODELS = {path.stem: path.read_text() for path in (PROJECT / "models").glob("*.sql")}
SOURCES = {table["name"]: [column["name"] for column in table["columns"]] for table in SCHEMA["sources"][0]["tables"]}


def test_the_views_and_columns_that_models_name_are_there() -> None:
    assert {model["name"] for model in SCHEMA["models"]} == set(MODELS)
    for name, columns in SOURCES.items():
        assert not VIEWS[name].parameters
        assert set(columns) <= {column.name for column in VIEWS[name].columns}, name
    for name, text in MODELS.items():
        for view in re.findall(r"source\('footfall', '(\w+)'\)", text):
            words = set(re.findall(r"\b[a-z_]+\b", text.partition("\nfrom ")[0].partition("\n")[2]))
            known = {column.name for column in VIEWS[view].columns}
            assert words & known <= set(SOURCES[view]), f"{name} reads columns of {view} that schema.yml lacks"
        for view, arguments in re.findall(r"footfall_view\(\s*'(\w+)',(.*?)\) }}", text, re.DOTALL):
            assert re.findall(r"^\s+(\w+)=", arguments, re.MULTILINE) == [one.name for one in VIEWS[view].parameters]
            asked = re.findall(r"(?:select |, )(\w+)", text.partition("\nfrom ")[0].partition("\n")[2])
            assert set(asked) <= {column.name for column in VIEWS[view].columns}


def test_connect_writes_what_ships_and_overwrites_nothing(tmp_path: Path) -> None:
    for tool, shipped in (("dbt", PROJECT / "dbt_project.yml"), ("grafana", REACH_DIR / "grafana.json")):
        out = tmp_path / tool
        assert CliRunner().invoke(command, ["connect", tool, "--out", str(out)]).output == f"wrote {out}\n"
        copied = out / "dbt_project.yml" if tool == "dbt" else out
        assert copied.read_bytes() == shipped.read_bytes()
        again = CliRunner().invoke(command, ["connect", tool, "--out", str(out)])
        assert str(again.exception) == f"{out} exists already; name another with --out, or delete it"


@pytest.mark.skipif("FOOTFALL_TEST_DBT" not in os.environ, reason="dbt is 96 MB of packages; `make dbt` brings it")
def test_the_project_runs_on_a_real_server(tmp_path: Path, clickhouse_url: str, databases: Databases) -> None:
    place = f"{clickhouse_url}/{{name}}"
    store, before = databases.take(place)
    times = [1_795_000_000_000, 1_795_000_030_000, 1_794_000_000_000]
    store.insert(
        "events",
        ["message_id", "type", "event", "source_id", "visitor_id", "event_time", "occurred_at", "received_at"],
        [["a", "b", "c"], ["page"] * 3, ["page_view"] * 3, ["shop"] * 3, ["v", "v", "w"], times, times, times],
        token="dbt",
    )
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT, project)
    host, port = clickhouse_url.rpartition("/")[2].split(":")
    made = f"{store.database}_dbt"
    environment = os.environ | {"FOOTFALL_DBT_HOST": host, "FOOTFALL_DBT_PORT": port, "FOOTFALL_DBT_SCHEMA": made}
    of_ours = ["--vars", f"footfall_database: {store.database}"]
    for step in (["debug"], ["build", *of_ours]):
        done = subprocess.run(
            [os.environ["FOOTFALL_TEST_DBT"], *step, "--profiles-dir", ".", "--no-use-colors",
             "--no-send-anonymous-usage-stats"],
            cwd=project, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-5_000:]
    assert store.rows(f"SELECT sum(visits), sum(visitors), sum(bounces) FROM {made}.daily_visits") == [(2, 2, 1)]
    assert store.rows(f"SELECT count(), sum(sessions) FROM {made}.customers") == [(2, 2)]
    assert store.rows(f"SELECT sum(size) FROM {made}.weekly_retention WHERE week = 0") == [(2,)]
    store.command(f"DROP DATABASE {made} SYNC")
    databases.give_back(place, store, before)
