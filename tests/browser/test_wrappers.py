"""The wrappers with the real React and Vue: on a server, in a real Chromium, and under the type checker.

The scenarios and their names live in wrappers.mjs; each is one test here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.playing import Player, chosen, listed_by, names_in, playing

pytestmark = pytest.mark.xdist_group("browser")  # pages of two browsers at once would only wait for each other

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "js_sdk"
FILE = "wrappers.mjs"
NAMES = names_in(FILE)


@pytest.fixture(scope="module")
def player(request: pytest.FixtureRequest) -> Iterator[Player]:
    with playing(FILE) as started:
        started.ask(chosen(request, NAMES))
        yield started


def test_every_wrapper_scenario_is_found() -> None:
    assert listed_by(FILE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_wrapper(player: Player, name: str) -> None:
    player.result(name)


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
