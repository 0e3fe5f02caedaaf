"""The wrappers with the real React and Vue: on a server, in a real Chromium, and under the type checker.

The scenarios and their names live in wrappers.mjs; each is one test here.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "js_sdk"
# Names stand at the start of a line: `  "a page view on load": async (…`.
NAMES = re.findall(r'^  "([^"]+)": async', (HERE / "wrappers.mjs").read_text(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def driver() -> Iterator[subprocess.Popen[str]]:
    """One node process with one browser for all scenarios of this worker."""
    with subprocess.Popen(
        ["node", str(HERE / "wrappers.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)


def test_every_wrapper_scenario_is_found() -> None:
    listed = subprocess.run(["node", str(HERE / "wrappers.mjs"), "--list"], capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_wrapper(driver: subprocess.Popen[str], name: str) -> None:
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(name + "\n")
    driver.stdin.flush()
    line = driver.stdout.readline()
    assert line, "the driver ended; is Chromium installed, and `npm ci` done in js_sdk?"
    verdict = json.loads(line)
    assert verdict["ok"], verdict["error"]


def test_the_wrappers_types_allow_what_is_right_and_refuse_what_is_wrong(tmp_path: Path) -> None:
    names = {"footfall": "index", **{f"footfall/{name}": name for name in ("react", "vue", "next")}}
    options = {
        "strict": True,
        "noEmit": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "jsx": "preserve",
        "types": [],
        "skipLibCheck": False,
        "typeRoots": [str(SDK / "node_modules/@types")],
        "paths": {
            **{name: [str(SDK / f"dist/{file}.d.ts")] for name, file in names.items()},
            "react": [str(SDK / "node_modules/@types/react/index.d.ts")],
            "vue": [str(SDK / "node_modules/vue/dist/vue.d.ts")],
        },
    }
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps({"compilerOptions": options, "files": [str(HERE / "wrappers/types.tsx")]}))
    checked = subprocess.run(
        ["node", str(SDK / "node_modules/typescript/bin/tsc"), "-p", str(project)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
