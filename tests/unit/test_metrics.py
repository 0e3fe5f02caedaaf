"""Counters: shared, summed, and still there after a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from collector.metrics import Counters, read_counters, read_gauges

NAMES = ("a_total", 'b_total{reason="x"}')
COUNT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from collector.metrics import Counters
counters = Counters(Path(sys.argv[1]), ["a_total"])
counters.add("a_total", 7)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_counts_survive_a_new_start(tmp_path: Path) -> None:
    first = Counters(tmp_path / "w.counters", NAMES)
    first.add("a_total")
    first.slots[first.slot(NAMES[1])] += 2
    again = Counters(tmp_path / "w.counters", NAMES)
    again.add("a_total", 4)
    assert read_counters(tmp_path) == {"a_total": 5, NAMES[1]: 2}


def test_counts_survive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "w.counters"
    done = subprocess.run([sys.executable, "-c", COUNT_AND_DIE, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    assert read_counters(tmp_path) == {"a_total": 7}


def test_all_processes_are_summed(tmp_path: Path) -> None:
    Counters(tmp_path / "w0.counters", NAMES).add("a_total", 1)
    Counters(tmp_path / "w1.counters", NAMES).add("a_total", 2)
    Counters(tmp_path / "w2.counters", ["a_total", "c_total"]).add("c_total", 3)
    assert read_counters(tmp_path) == {"a_total": 3, NAMES[1]: 0, "c_total": 3}


def test_other_names_start_from_zero(tmp_path: Path) -> None:
    Counters(tmp_path / "w.counters", NAMES).add("a_total", 5)
    Counters(tmp_path / "w.counters", ["a_total", "d_total"])
    assert read_counters(tmp_path) == {"a_total": 0, "d_total": 0}


@pytest.mark.parametrize("damage", [b"", b"x" * 100, b"[]" + b" " * 20_000, b'["a_total"]'.ljust(16_384) + b"123"])
def test_a_damaged_file_costs_only_its_own_counts(tmp_path: Path, damage: bytes) -> None:
    Counters(tmp_path / "w0.counters", NAMES).add("a_total", 1)
    (tmp_path / "w1.counters").write_bytes(damage)
    assert read_counters(tmp_path)["a_total"] == 1
    Counters(tmp_path / "w1.counters", NAMES).add("a_total", 1)
    assert read_counters(tmp_path)["a_total"] == 2


def test_nothing_counted_is_nothing(tmp_path: Path) -> None:
    assert read_counters(tmp_path) == {}
    assert read_counters(tmp_path / "missing") == {}


def test_gauges_are_set_and_shown_by_process(tmp_path: Path) -> None:
    for number, level in enumerate((3, 0, 7)):
        gauges = Counters(tmp_path / f"worker-{number}.gauges", ["connections"])
        gauges.slots[gauges.slot("connections")] = 99
        gauges.slots[gauges.slot("connections")] = level
    (tmp_path / "worker-1.gauges").write_bytes(b"cut short")
    assert read_gauges(tmp_path) == {'connections{process="worker-0"}': 3, 'connections{process="worker-2"}': 7}
    assert read_counters(tmp_path) == {}


def test_a_name_that_was_not_given_is_an_error(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "w.counters", NAMES)
    with pytest.raises(KeyError):
        counters.slot("c_total")


def test_too_many_names_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="take more than"):
        Counters(tmp_path / "w.counters", [f"name_{number}" * 10 for number in range(500)])
