"""A plan folder for a test, written from its parts."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from plan.plan_types import CompileEvent, WriteFolder

from collector.plan import CompiledPlan, compile_plan, load_plan

HEAD = "format: 1\nplan: test\nversion: 1.0.0\n"


@pytest.fixture
def write_plan(tmp_path: Path) -> WriteFolder:
    """Write files, by path, into a plan folder; plan.yaml is a minimal one unless given."""

    def write(files: dict[str, str]) -> Path:
        for name, text in {"plan.yaml": HEAD, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def compile_event(write_plan: WriteFolder) -> CompileEvent:
    """Compile a plan with one event `e` of the given properties (YAML), and further lines of its file."""

    def compile_it(properties: str, *, more: str = "", head: str = "", types: str = "") -> CompiledPlan:
        body = "event: e\nversion: 2.0.0\nproperties:\n" + "".join(
            f"  {line}\n" for line in dedent(properties).splitlines()
        )
        files = {"plan.yaml": HEAD + dedent(head), "events/core/e.yaml": body + dedent(more)}
        if types:
            files["types.yaml"] = types
        return compile_plan(load_plan(write_plan(files)))

    return compile_it
