"""What the tag sees by itself in a real Chromium, judged by the bytes a collector on another origin received.

The scenarios and their names live in features.mjs; each is one test here.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Names stand at the start of a line: `  "a page view on load": async (…`.
NAMES = re.findall(r'^  "([^"]+)": async', (HERE / "features.mjs").read_text(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def driver() -> Iterator[subprocess.Popen[str]]:
    """One node process with one browser for all scenarios of this worker."""
    with subprocess.Popen(
        ["node", str(HERE / "driver.mjs"), "features.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)


def test_every_feature_scenario_is_found() -> None:
    listed = subprocess.run(
        ["node", str(HERE / "driver.mjs"), "--list", "features.mjs"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.splitlines() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_features(driver: subprocess.Popen[str], name: str) -> None:
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(name + "\n")
    driver.stdin.flush()
    line = driver.stdout.readline()
    assert line, "the driver ended; is Chromium installed, and `npm ci` done in js_sdk?"
    verdict = json.loads(line)
    assert verdict["ok"], verdict["error"]
