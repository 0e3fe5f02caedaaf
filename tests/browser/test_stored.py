"""What the tag does in a real Chromium, judged by the rows that a real collector stored.

The scenarios, their names and what each expects live in stored.mjs; each is one test here. All are played first, with
one collector and one browser; then the rows are read until every scenario finds its own, or time is up; then, with no
page left and nothing on its way, they are judged for good.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from serving import Serving, footfall, serving

from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import load_plan

pytestmark = pytest.mark.xdist_group("browser")  # pages of two browsers at once would only wait for each other

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "js_sdk"
# Names stand at the start of a line: `  "a page view on load": {`.
NAMES = re.findall(r'^  "([^"]+)": \{$', (HERE / "stored.mjs").read_text(), flags=re.MULTILINE)
PLACE = "https://t.example"  # stands in the snippets for the collector's address
STORED_SECONDS_MAX = 30.0
# `firefox` plays in Firefox what it can show.
BROWSER = os.environ.get("FOOTFALL_TEST_BROWSER", "chromium")
# What stored.mjs types, chooses, or marks as private begins so.
SECRET = "hush"

Verdicts = dict[str, str | None]


class Run(NamedTuple):
    """All scenarios, played and judged."""

    collector: Serving
    acted: Verdicts
    judged: Verdicts
    """By the rows that are there when the browser is gone."""


class Player:
    """The node process of stored.mjs."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "stored.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **words: object) -> Verdicts:
        """One line there, one line back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver ended; is Chromium installed, and `npm ci` done in js_sdk?"
        verdicts: Verdicts = json.loads(line)
        return verdicts

    def end(self) -> None:
        """Close the browser."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Play and judge all scenarios that were chosen with -k, or all."""
    folder = tmp_path_factory.mktemp("stored")
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {given.get("name") for given in parameters}
    chosen = [name for name in NAMES if name in wanted] or NAMES
    with serving(folder / "data") as collector:
        player = Player()
        try:
            acted = player.ask(play={**_world(collector, folder), "chosen": chosen})
            deadline = time.monotonic() + STORED_SECONDS_MAX
            while any(player.ask(judge=_stored(collector)).values()) and time.monotonic() < deadline:
                time.sleep(0.3)
            judged = _judged_for_good(player, collector)
        finally:
            player.end()
        yield Run(collector, acted, judged)


def test_every_stored_scenario_is_found() -> None:
    listed = subprocess.run(["node", str(HERE / "stored.mjs"), "--list"], capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_stored(run: Run, name: str) -> None:
    acted = run.acted[name] or ""
    if acted.startswith("skipped: "):
        pytest.skip(acted)
    assert not acted, acted
    assert run.judged[name] is None, run.judged[name]


def test_nothing_that_was_typed_or_private_is_in_any_table(run: Run) -> None:
    tables = run.collector.sql(
        "SELECT name FROM system.tables WHERE database = 'footfall' AND engine LIKE '%MergeTree'"
    )
    assert {"events", "failed_events"} <= {table["name"] for table in tables}
    for table in tables:
        found = run.collector.sql(
            f"SELECT formatRow('JSONEachRow', *) AS text FROM {table['name']} "
            f"WHERE position(formatRow('JSONEachRow', *), '{SECRET}') > 0"
        )
        assert found == [], table["name"]


def test_what_was_received_is_accounted_for_and_in_order(run: Run) -> None:
    diagnosis = footfall("doctor", "--data", run.collector.data_dir)
    assert diagnosis.returncode == 0, diagnosis.stdout


def _world(collector: Serving, folder: Path) -> dict[str, Any]:
    """What the scenarios need: the collector, and what its commands print for a site to paste."""
    data = ("--data", collector.data_dir)
    added = footfall("sources", "add", "second", "--json", *data)
    assert added.returncode == 0, added.stderr
    place = ("--url", PLACE)
    commands: dict[str, tuple[str | Path, ...]] = {
        "plain": ("snippet", *place, *data),
        "nonce": ("snippet", "--nonce", "n1", *place, *data),
        "policy": ("snippet", "--csp", "--nonce", "n1", *place, *data),
        "email": ("snippet", "--email", *place, *data),
        "plan": ("plan", "codegen", "--lang", "javascript", "--import", "global", "--out", folder / "plan.js"),
    }
    with ThreadPoolExecutor(2) as pool:
        printed = dict(zip(commands, pool.map(lambda command: footfall(*command), commands.values()), strict=True))
    for done in printed.values():
        assert done.returncode == 0, done.stderr
    texts = {name: done.stdout.strip().replace(PLACE, "COLLECTOR") for name, done in printed.items()}
    planned = _planned()
    calls = [f"plan.{event['helper']}({json.dumps(event['properties'])});" for event in planned]
    (folder / "page.js").write_text('import * as plan from "./plan.js";\n' + "\n".join(calls))
    esbuild = [
        "node",
        str(SDK / "node_modules/esbuild/bin/esbuild"),
        "--bundle",
        "--format=esm",
        str(folder / "page.js"),
    ]
    bundled = subprocess.run(esbuild, capture_output=True, text=True, check=True)
    sources = json.loads((collector.data_dir / "sources.json").read_text())["sources"]
    return {
        "browser": BROWSER,
        "url": collector.url,
        "keys": [source["write_key"] for source in sources],
        "sources": [source["id"] for source in sources],
        "snippets": {"plain": texts["plain"], "nonce": texts["nonce"]},
        "policy": texts["policy"],
        "email": texts["email"],
        "helpers": bundled.stdout,
        "planned": planned,
    }


def _planned() -> list[dict[str, Any]]:
    """Of each event of the plan that ships: name, version, helper, and properties that the plan itself calls valid."""
    found = []
    for event in load_plan(DEFAULT_PLAN_DIR).events.values():
        head, *rest = event.name.split("_")
        valid = next(test.document for test in event.tests if not test.violates)
        helper = head + "".join(word.capitalize() for word in rest)
        found.append({"event": event.name, "version": event.major, "helper": helper, "properties": valid})
    return found


def _stored(collector: Serving) -> dict[str, Any]:
    """All rows there are, oldest first."""
    rows = collector.sql("SELECT * FROM events ORDER BY event_time, sequence, message_id")
    for row in rows:
        row |= {name: json.loads(row[name]) for name in ("properties", "traits", "context", "extra")}
    return {
        "rows": rows,
        "failed": collector.sql("SELECT event, reason, pointer, visitor_id, raw FROM failed_events"),
        "sessions": collector.sql("SELECT * FROM sessions ORDER BY started_at"),
    }


def _judged_for_good(player: Player, collector: Serving) -> Verdicts:
    """With nothing left on its way: the last request of a browser whose contexts are closed has long arrived."""
    collector.until_loaded()
    return player.ask(judge=_stored(collector))
