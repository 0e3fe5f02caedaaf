"""The types of the fixtures in conftest.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from collector.plan import CompiledPlan

WriteFolder = Callable[[dict[str, str]], Path]


class CompileEvent(Protocol):
    """Compile a plan with one event `e`, version 2.0.0, of the given properties (YAML)."""

    def __call__(self, properties: str, *, more: str = "", head: str = "", types: str = "") -> CompiledPlan: ...
