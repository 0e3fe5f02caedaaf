"""The Grafana dashboard that ships: each of its questions is asked of a database, as Grafana would fill it in."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any

import pytest
from databases import Databases

from collector.database.store import Store
from collector.paths import REACH_DIR

DASHBOARD: dict[str, Any] = json.loads((REACH_DIR / "grafana.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
# What the plugin makes of its macros; a time range of three days.
MACROS = {
    "$__fromTime_ms": "fromUnixTimestamp64Milli(1794900000000)",
    "$__toTime_ms": "fromUnixTimestamp64Milli(1795159200000)",
    "${source:sqlstring}": "'shop'",
    "${zone:sqlstring}": "'Europe/Berlin'",
}


def filled(sql: str) -> str:
    for macro, value in MACROS.items():
        sql = sql.replace(macro, value)
    return sql


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert "id" not in DASHBOARD, "Grafana gives it one when it is imported"
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["description"].endswith(".")
        assert panel["type"] in {"timeseries", "stat", "table", "bargauge"}
        (target,) = panel["targets"]
        for datasource in (panel["datasource"], target["datasource"]):
            assert datasource == {"type": "grafana-clickhouse-datasource", "uid": "${datasource}"}
        assert (target["format"], target["queryType"]) == (
            (0, "timeseries") if panel["type"] == "timeseries" else (1, "table")
        )
        assert "$" not in filled(target["rawSql"]), "a macro that nobody fills in"
        for name in re.findall(r"\$\{(\w+)", target["rawSql"]):
            assert name in VARIABLES
    assert VARIABLES["datasource"]["query"] == "grafana-clickhouse-datasource"


def test_every_panel_is_answered(clickhouse_url: str, databases: Databases) -> None:
    """By a server, as Grafana asks none but these."""
    place = f"{clickhouse_url}/{{name}}"
    store, before = databases.take(place)
    store.insert(
        "events",
        ["message_id", "type", "event", "source_id", "visitor_id", "event_time", "occurred_at", "received_at", "path"],
        [
            ["a", "b"],
            ["page", "page"],
            ["page_view"] * 2,
            ["shop"] * 2,
            ["v"] * 2,
            *[[1_795_000_000_000] * 2] * 3,
            ["/", "/x"],
        ],
        token="grafana",
    )
    with closing(Store(place.format(name=store.database), read_only=True)) as asking:
        assert asking.rows(VARIABLES["source"]["query"]) == [("shop",)]
        for panel in PANELS:
            sql = filled(panel["targets"][0]["rawSql"])
            if panel["title"] in ASKED:
                assert asking.rows(sql)[0][: len(ASKED[panel["title"]])] == ASKED[panel["title"]]
            else:
                try:
                    assert asking.rows(f"DESCRIBE ({sql})")
                except Exception as error:
                    raise AssertionError(f"{panel['title']}: {error}") from error
    databases.give_back(place, store, before)


# These are asked; of the others only the columns are looked up, since to plan them all takes ten seconds.
ASKED = {"In this time": (1, 1, 0.0), "Channels": ("direct", 1), "Funnel to the purchase": ("1  page_view", 1)}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_question_is_of_one_source_in_the_chosen_time(panel: dict[str, Any]) -> None:
    sql = panel["targets"][0]["rawSql"]
    if panel["title"] != "Audiences":
        assert "source_id = ${source:sqlstring}" in sql
        assert "$__fromTime_ms" in sql
        assert "$__toTime_ms" in sql
    else:
        assert "$" not in sql
