"""What the tag's extras do in a real Chromium; the scenarios and their names live in extras.mjs, each is one test here.

Those whose name begins with `real:` talk to a real collector, the others to one that records and answers as told.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Serving, serving

HERE = Path(__file__).parent
# Names stand at the start of a line: `  "a page view on load": async (…`.
NAMES = re.findall(r'^  "([^"]+)": async', (HERE / "extras.mjs").read_text(), flags=re.MULTILINE)
FOLLOWED = "real: a visitor followed to another domain keeps the id, and one page view is counted there"


@pytest.fixture(scope="module")
def driver() -> Iterator[subprocess.Popen[str]]:
    """One node process with one browser for all scenarios of this worker."""
    with subprocess.Popen(
        ["node", str(HERE / "extras.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One real collector for all scenarios of this worker that want one."""
    with serving(tmp_path_factory.mktemp("extras") / "data") as running:
        yield running


def play(driver: subprocess.Popen[str], name: str, real: Serving | None = None) -> Any:
    """Have one scenario run; what it returns."""
    assert driver.stdin is not None
    assert driver.stdout is not None
    known = {"url": real.url, "key": real.write_key} if real else None
    driver.stdin.write(json.dumps({"name": name, "real": known}) + "\n")
    driver.stdin.flush()
    line = driver.stdout.readline()
    assert line, "the driver ended; is Chromium installed, and `npm ci` done in js_sdk?"
    verdict = json.loads(line)
    assert verdict["ok"], verdict["error"]
    return verdict.get("result")


def test_every_extra_scenario_is_found() -> None:
    listed = subprocess.run(["node", str(HERE / "extras.mjs"), "--list"], capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines() == NAMES
    assert FOLLOWED in NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("real:")])
def test_extra(driver: subprocess.Popen[str], name: str) -> None:
    play(driver, name)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("real:") and name != FOLLOWED])
def test_extra_with_the_real_collector(driver: subprocess.Popen[str], collector: Serving, name: str) -> None:
    play(driver, name, collector)


def test_a_linked_visitor_is_one_visitor_in_the_database(driver: subprocess.Popen[str], collector: Serving) -> None:
    visitor = play(driver, FOLLOWED, collector)["visitor"]
    asked = "SELECT event, path, url FROM events WHERE visitor_id = '{}' AND event = 'page_view' ORDER BY event_time"
    rows = collector.sql_until(asked.format(visitor), lambda found: len(found) >= 2)
    assert [row["path"] for row in rows] == ["/first", "/landing"]
    assert not [row for row in rows if "footfall_link" in row["url"]]
