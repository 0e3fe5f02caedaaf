"""plan.schema.json beside the loader: it accepts every plan file that loads, and refuses what it can say is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from plan.plan_types import WriteFolder

from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import PlanError, load_plan
from collector.plan.problems import Problems
from collector.plan.read import plain, read_file

HERE = Path(__file__).parent
FILES = [path for folder in (DEFAULT_PLAN_DIR, HERE / "example", HERE / "worked") for path in folder.rglob("*.yaml")]

EVENT = "event: e\nversion: 1.0.0\n"
HEAD = "format: 1\nplan: p\nversion: 1.0.0\n"
WRONG: dict[str, tuple[str, str]] = {
    # name of the edge: file, its text
    "strange keyword": ("events/c/e.yaml", EVENT + "ownr: me\n"),
    "no version": ("events/c/e.yaml", "event: e\n"),
    "version of two numbers": ("events/c/e.yaml", "event: e\nversion: '1.0'\n"),
    "strange keyword of a property": ("events/c/e.yaml", EVENT + "properties:\n  a: {type: string, maxLenght: 3}\n"),
    "keyword of another type": ("events/c/e.yaml", EVENT + "properties:\n  a: {type: integer, maxLength: 3}\n"),
    "keyword of another type within": (
        "events/c/e.yaml",
        EVENT + "properties:\n  a: {type: array, items: {type: string, minimum: 3}}\n",
    ),
    "negative length": ("events/c/e.yaml", EVENT + "properties:\n  a: {type: string, maxLength: -1}\n"),
    "number for a property": ("events/c/e.yaml", EVENT + "properties:\n  a: 3\n"),
    "number for a text": ("events/c/e.yaml", EVENT + "owner: 12\n"),
    "format": ("events/c/e.yaml", EVENT + "properties:\n  a: {type: string, format: ipv4}\n"),
    "pii handling": (
        "events/c/e.yaml",
        EVENT + "properties:\n  a: {type: string, pii: {class: email, handling: hide}}\n",
    ),
    "pii without a class": ("events/c/e.yaml", EVENT + "properties:\n  a: {type: string, pii: {handling: mask}}\n"),
    "sampling above all": ("events/c/e.yaml", EVENT + "sampling: {rate: 1.5}\n"),
    "sampling without a rate": ("events/c/e.yaml", EVENT + "sampling: {by: event}\n"),
    "sunset": ("events/c/e.yaml", EVENT + "sunset: soon\n"),
    "class": ("events/c/e.yaml", EVENT + "enforce: {constraints: flag}\n"),
    "unknown_event in an event": ("events/c/e.yaml", EVENT + "enforce: {unknown_event: flag}\n"),
    "action": ("plan.yaml", HEAD + "enforce: {constraint: refuse}\n"),
    "drop": ("plan.yaml", HEAD + "enforce: {constraint: drop}\n"),
    "strip of what is not there": ("plan.yaml", HEAD + "enforce: {missing_required: strip}\n"),
    "rule without an action": ("plan.yaml", HEAD + "enforce: {constraint: {from: 2027-01-01}}\n"),
    "report": ("plan.yaml", HEAD + "environments: {dev: {report: mail}}\n"),
    "limit": ("plan.yaml", HEAD + "limits: {max_string: 0}\n"),
    "another format": ("plan.yaml", "format: 2\nplan: p\nversion: 1.0.0\n"),
    "conversion": ("events/c/e.yaml", EVENT + "semantic: {conversion: big}\n"),
    "accept without a major": ("events/c/e.yaml", EVENT + "accept: [{until: 2027-01-01}]\n"),
    "violation class": ("events/c/e.yaml", EVENT + "tests: [{invalid: {}, violates: {missing: a}}]\n"),
    "group without properties": ("groups/g.yaml", "group: g\n"),
    "journey without steps": ("journeys/j.yaml", "journey: j\nkey: user_id\n"),
    "journey by a strange key": ("journeys/j.yaml", "journey: j\nkey: order\nsteps: [{event: e}]\n"),
    "step within no time": ("journeys/j.yaml", "journey: j\nkey: user_id\nsteps: [{event: e, within: soon}]\n"),
    "types and something else": ("types.yaml", "types: {}\nkinds: {}\n"),
    "entity without properties": ("types.yaml", "entities:\n  a: {description: x}\n"),
    "nothing at all": ("groups/g.yaml", "{}\n"),
}


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads((DEFAULT_PLAN_DIR / "plan.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def document(path: Path) -> object:
    found = read_file(path, Problems())
    assert found is not None
    return plain(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_that_loads_is_right_by_the_schema(validator: Any, path: Path) -> None:
    assert list(validator.iter_errors(document(path))) == []


@pytest.mark.parametrize(("name", "text"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_refused_by_the_schema_and_by_the_loader(
    validator: Any, write_plan: WriteFolder, name: str, text: str
) -> None:
    folder = write_plan({name: text})
    assert not validator.is_valid(document(folder / name))
    with pytest.raises(PlanError):
        load_plan(folder)
