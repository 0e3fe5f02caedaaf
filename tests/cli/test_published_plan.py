"""The running collector shows in its database by which plan it checks, and goes on to a released one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec import structs
from serving import footfall, serving

from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import load_plan, write_lock

VERSIONS = "SELECT version FROM plan_versions ORDER BY live_from"
THERE = "SELECT name FROM system.tables WHERE name IN ('event_purchase', 'event_search') ORDER BY name"


def test_a_started_collector_shows_its_plan_and_a_released_one_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both folders are named as people name them who stand beside them: relative to where the command was started."""
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(DEFAULT_PLAN_DIR, "plan"))
    (folder / "plan.lock").unlink(missing_ok=True)
    plan = load_plan(folder)
    write_lock(plan, folder / "plan.lock")
    with serving(Path("data"), FOOTFALL_PLAN=str(folder)) as collector:
        first = [{"version": plan.version}]
        collector.sql_until(VERSIONS, lambda rows: rows == first)
        assert collector.sql(THERE) == [{"name": "event_purchase"}, {"name": "event_search"}]
        fewer = {name: event for name, event in plan.events.items() if name != "search"}
        write_lock(structs.replace(plan, events=fewer, version="7.0.0"), folder / "plan.lock")
        collector.sql_until(VERSIONS, lambda rows: rows == [*first, {"version": "7.0.0"}])
        assert collector.sql(THERE) == [{"name": "event_purchase"}]
        again = footfall("migrate", "--data", collector.data_dir, FOOTFALL_PLAN=str(folder))
        assert again.stdout == "the database is up to date\n", again.stderr


def test_migrate_makes_the_typed_views_where_no_collector_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = footfall("migrate", "--data", data)
    assert "applied event_purchase\n" in first.stdout, first.stderr
    asked = footfall("sql", "SELECT count() AS n FROM event_purchase", "--format", "JSONEachRow", "--data", data)
    assert asked.stdout == '{"n":0}\n', asked.stderr
    assert footfall("migrate", "--data", data).stdout == "the database is up to date\n"
