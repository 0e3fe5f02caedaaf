"""`--workers 0` means the processors that the process may use, not those of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collector.cli.cores import WORKERS_MAX, cores


def machine(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A tree of control groups, and which of them are the process' own."""
    for name, content in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    (folder / "own").write_text(own + "\n")
    return folder / "cgroup", folder / "own"


V1 = "5:memory:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a/b\n0::/"


@pytest.mark.parametrize(
    ("bound_to", "own", "files", "expected"),
    [
        pytest.param(8, "0::/", {}, 8, id="nothing limits it"),
        pytest.param(8, "0::/", {"cpu.max": "max 100000"}, 8, id="a limit of max is none"),
        pytest.param(8, "0::/", {"cpu.max": "250000 100000"}, 2, id="a share is rounded down"),
        pytest.param(8, "0::/", {"cpu.max": "50000 100000"}, 1, id="less than one is one"),
        pytest.param(2, "0::/", {"cpu.max": "600000 100000"}, 2, id="bound to fewer than its share"),
        pytest.param(
            8, "0::/a/b", {"cpu.max": "max 1", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3, id="above"
        ),
        pytest.param(8, "0::/not/here", {"cpu.max": "400000 100000"}, 4, id="a namespace hides its own group"),
        pytest.param(
            8,
            V1,
            {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "300000", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000"},
            3,
            id="version 1",
        ),
        pytest.param(
            8,
            V1,
            {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000"},
            8,
            id="version 1 without a limit",
        ),
        pytest.param(500, "0::/", {}, WORKERS_MAX, id="no more than there may be"),
    ],
)
def test_as_many_as_may_be_used(tmp_path: Path, bound_to: int, own: str, files: dict[str, str], expected: int) -> None:
    assert cores(bound_to, *machine(tmp_path, own, files)) == expected


def test_here_it_is_one_at_least_and_no_more_than_there_are() -> None:
    assert 1 <= cores() <= len(os.sched_getaffinity(0))
    assert cores(3, own=Path("/nowhere")) == 3
