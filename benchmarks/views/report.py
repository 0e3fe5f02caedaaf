"""Asks all engines in turn and prints the tables. The method is told in the package's docstring."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.views.data import prepare
from benchmarks.views.questions import ALONE, OURS, SINCE, UNTIL
from collector.database.catalogue import catalogue

REPEATS = 3
ENGINES = ("ours", "duckdb", "polars")
# Asked in this way, too.
POLARS_TOO = {"sessions": "sessions, in order"}
ROOT = Path(__file__).parents[2]
# Times as fast, by question: as DuckDB and as Polars, at 10 M events and at 50 M; None where nothing is asked.
GOALS: dict[str, dict[str, tuple[float | None, float | None]]] = {
    "sessions": {"duckdb": (2, 3.5), "polars": (1.2, 1.5)},
    "funnel": {"duckdb": (6, 8)},
    "attribution": {"duckdb": (1.5, 2.5)},
    "transitions": {"duckdb": (1, 2)},
    "retention": {"duckdb": (0.5, 1.5)},
}

Measured = dict[str, Any]
PERIODS = {"since": f"since = '{SINCE}'", "until": f"until = '{UNTIL}'"}


def main() -> None:
    """Measure every size that FOOTFALL_BENCH_EVENTS names; its folders stay where FOOTFALL_BENCH_FOLDER says."""
    sizes = [int(size) for size in os.environ.get("FOOTFALL_BENCH_EVENTS", "1000000").split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(os.environ.get("FOOTFALL_BENCH_FOLDER", temporary))
        for events in sizes:
            folder = base / str(events)
            prepare(folder, events)
            print(f"\n### {events:,} events\n")
            compare(folder, events)
            print()
            alone(folder)
            if os.environ.get("FOOTFALL_BENCH_EVERY_VIEW"):
                print()
                every_view(folder)


def alone(folder: Path) -> None:
    """Print what only we are asked; the late batch goes into a copy of the database."""
    table.head("ours alone", "seconds", "CPU seconds", "MB")
    for question in ALONE:
        show(question, [measured("ours", folder, question) for _ in range(REPEATS)])
    runs = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(dir=folder) as copy:
            shutil.copytree(folder / "db", Path(copy) / "db", symlinks=True)
            runs.append(measured("late", Path(copy), "late"))
    show("a late batch of 1,000 visitors", runs)


def show(name: str, runs: list[Measured]) -> None:
    """Print one line of what was measured several times."""
    seconds = table.spread([run["seconds"] for run in runs], 2)
    cpu_seconds = table.spread([run["cpu_seconds"] for run in runs], 2)
    table.row(name, seconds, cpu_seconds, f"{max(run['grown_mb'] for run in runs):,.0f}")


def every_view(folder: Path) -> None:
    """Print what the example of each view costs over the whole period, once, dearest memory first."""
    table.head("view", "seconds", "CPU seconds", "MB")
    found = []
    for view in catalogue().values():
        sql = re.sub(r"\b(since|until) = (?:'[^']*'|now\('UTC'\)[^,)]*)", lambda found: PERIODS[found[1]], view.example)
        try:
            found.append((measured("ours", folder, sql), view.name))
        except RuntimeError as error:
            table.row(view.name, str(error)[-200:].replace("\n", " "), "", "")
    for run, name in sorted(found, key=lambda each: -each[0]["grown_mb"]):
        show(name, [run])


def compare(folder: Path, events: int) -> None:
    """Print one line per question and engine, and raise AssertionError where two engines do not agree."""
    table.head("question", "engine", "seconds", "CPU seconds", "MB", "times ours, CPU", "asked")
    for question in OURS:
        asked_as = {engine: (engine, question) for engine in ENGINES}
        if question in POLARS_TOO:
            asked_as["polars, in order"] = ("polars", POLARS_TOO[question])
        found: dict[str, list[Measured]] = {engine: [] for engine in asked_as}
        for _ in range(REPEATS):
            for engine, (child, way) in asked_as.items():
                found[engine].append(measured(child, folder, way))
        answers = {engine: runs[0]["rows"] for engine, runs in found.items()}
        differing = [engine for engine in asked_as if answers[engine] != answers["ours"]]
        assert not differing, f"{question}: {differing} found {answers[differing[0]][:5]}, we {answers['ours'][:5]}"
        ours = statistics.median(run["cpu_seconds"] for run in found["ours"])
        for engine, runs in found.items():
            cpu = [run["cpu_seconds"] for run in runs]
            asked = GOALS[question].get(engine, (None, None))[events > 10_000_000]
            table.row(
                question,
                engine,
                table.spread([run["seconds"] for run in runs], 2),
                table.spread(cpu, 2),
                f"{max(run['grown_mb'] for run in runs):,.0f}",
                "" if engine == "ours" else f"{statistics.median(cpu) / ours:.2f}",
                "" if asked is None else f"{asked:g}",
            )


def measured(engine: str, folder: Path, question: str) -> Measured:
    """What child.py prints of one query."""
    command = [sys.executable, "-m", "benchmarks.views.child", engine, str(folder), question]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{engine} {question}: {done.stderr[-1000:]}")
    answer: Measured = json.loads(done.stdout)
    return answer
