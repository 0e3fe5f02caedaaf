"""The main job, end to end: a visitor walks the demo shop in a real Chromium, and the database holds just that."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from serving import footfall, serving

pytestmark = pytest.mark.xdist_group("browser")  # pages of two browsers at once would only wait for each other

HERE = Path(__file__).parent
WALK_SECONDS_MAX = 120


def test_the_database_holds_exactly_what_a_visitor_did(tmp_path: Path) -> None:
    with serving(tmp_path / "data", command="demo") as shop:
        command_line = ["node", str(HERE / "walk.mjs"), shop.url]
        done = subprocess.run(command_line, capture_output=True, text=True, timeout=WALK_SECONDS_MAX, check=False)
        assert done.returncode == 0, done.stderr
        walk = json.loads(done.stdout)
        expected = [tuple(step) for step in walk["expected"]]
        # The last event was sent by a closing tab: its request may arrive after the browser has gone.
        shop.sql_until("SELECT count() AS n FROM events", lambda rows: int(rows[0]["n"]) >= len(expected))

        steps = shop.sql(
            "SELECT event, path, position, session_number, visitor_id, is_bot, violations "
            "FROM session_events ORDER BY position"
        )
        assert [(step["event"], step["path"]) for step in steps] == expected
        assert [int(step["position"]) for step in steps] == list(range(1, len(expected) + 1))
        assert {step["visitor_id"] for step in steps} == {walk["visitor_id"]}
        assert {(step["is_bot"], len(step["violations"])) for step in steps} == {(False, 0)}
        assert shop.sql("SELECT count() AS n FROM failed_events") == [{"n": 0}]

        engagements = shop.sql(
            "SELECT JSONExtractInt(properties, 'engaged_ms') AS ms, "
            "JSONExtractFloat(properties, 'scroll_depth') AS depth FROM events WHERE event = 'engagement'"
        )
        assert all(1_000 <= int(row["ms"]) < WALK_SECONDS_MAX * 1_000 and 0 < row["depth"] <= 1 for row in engagements)
        forms = shop.sql(
            "SELECT JSONExtractString(properties, 'form_id') AS form, "
            "JSONExtract(properties, 'fields', 'Array(String)') AS fields "
            "FROM events WHERE event = 'form_submit' ORDER BY event_time"
        )
        assert forms == [{"form": "", "fields": ["q"]}, {"form": "add", "fields": ["quantity"]}]
        # What was typed into the private order form is in no column.
        typed = "position(formatRow('JSONEachRow', *), 'Example')"
        assert shop.sql(f"SELECT count() AS n FROM events WHERE {typed}") == [{"n": 0}]

        purchases = shop.sql(
            "SELECT value, currency, conversion, event_version, JSONExtractString(properties, 'order_id') AS order_id, "
            "length(JSONExtractArrayRaw(properties, 'items')) AS items FROM events WHERE event = 'purchase'"
        )
        assert len(purchases) == 1
        purchase = purchases[0]
        assert (purchase["currency"], purchase["conversion"], purchase["order_id"]) == (
            "EUR",
            "macro",
            walk["order_id"],
        )
        assert int(purchase["event_version"]) == 2
        assert float(purchase["value"]) > 0
        assert int(purchase["items"]) >= 1

        views = [path for event, path in expected if event == "page_view"]
        sessions = shop.sql(
            "SELECT events, pageviews, entry_path, exit_path, channel, utm_campaign, conversions, revenue, is_bounce "
            "FROM sessions"
        )
        assert len(sessions) == 1
        session = sessions[0]
        assert int(session["events"]) == len(expected)
        assert int(session["pageviews"]) == len(views)
        assert (session["entry_path"], session["exit_path"]) == (views[0], views[-1])
        assert (session["channel"], session["utm_campaign"]) == ("email", "autumn")
        assert int(session["conversions"]) == 1
        assert float(session["revenue"]) == float(purchase["value"])
        assert session["is_bounce"] is False

        collapsed = [path for index, path in enumerate(views) if index == 0 or path != views[index - 1]]
        assert shop.sql("SELECT steps FROM paths") == [{"steps": collapsed}]
        pages = shop.sql("SELECT path, time_on_page_ms FROM pageviews ORDER BY position")
        assert [page["path"] for page in pages] == views
        assert [page["time_on_page_ms"] is None for page in pages] == [False] * (len(views) - 1) + [True]
        assert int(shop.sql("SELECT sum(count) AS n FROM transitions")[0]["n"]) == len(views) + 1

        diagnosis = footfall("doctor", "--data", tmp_path / "data")
        assert diagnosis.returncode == 0, diagnosis.stdout
