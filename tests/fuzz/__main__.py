"""Fuzz what strangers can send, guided by coverage (atheris), for FOOTFALL_FUZZ_SECONDS in all.

    make fuzz                          an hour; the targets share it
    python -m fuzz decode --seconds 60

An input that breaks a promise of targets.py is kept in tests/fuzz/found and is replayed by the suite from then on.
Memory is bounded by libFuzzer (RSS_MB_MAX), each input's CPU time by atheris_target.py, and after every two thousand
inputs a good event must still be judged and answered.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.targets import TARGETS, seeds

RSS_MB_MAX = 700  # atheris and its coverage take 150 to 300
INPUT_BYTES_MAX = 20_000
HANG_SECONDS = 60  # of wall time: the machine may be busy with other things
FOUND = Path(__file__).parent / "found"
_PULSE = re.compile(r"#(\d+)\s.*cov: (\d+).*rss: (\d+)Mb")
_STAT = re.compile(r"stat::(\w+):\s+(\d+)")


def main() -> int:
    """Run the targets in turn and print a table; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("targets", nargs="*", help="of " + ", ".join(TARGETS), default=[])
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FOOTFALL_FUZZ_SECONDS", "3600")))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: it has wheels for Linux on x86-64 and Python 3.11 to 3.13", file=sys.stderr)
        return 2
    names = asked.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {sorted(unknown)[0]!r}; there are: {', '.join(TARGETS)}")
    print("| target | seconds | executions | edges | MB after a tenth | MB at the end | found |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |", flush=True)
    found = [_fuzz(name, max(asked.seconds // len(names), 1), asked.seed) for name in names]
    return 1 if any(found) else 0


def _fuzz(name: str, seconds: int, seed: int) -> bool:
    begun = time.monotonic()
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"footfall-fuzz-{name}-") as corpus:
        for number, content in enumerate(seeds(name)):
            (Path(corpus) / f"seed-{number}").write_bytes(content)
        options = (
            *(f"-max_total_time={seconds}", f"-seed={seed}", f"-rss_limit_mb={RSS_MB_MAX}", f"-timeout={HANG_SECONDS}"),
            *(f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={FOUND / name}-", "-print_final_stats=1"),
        )
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.atheris_target", name, *options, corpus],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    told = done.stdout + done.stderr
    pulses = [tuple(map(int, pulse)) for pulse in _PULSE.findall(told)]
    stats = dict(_STAT.findall(told))
    executions = int(stats.get("number_of_executed_units", pulses[-1][0] if pulses else 0))
    warm = next((rss for done_units, _, rss in pulses if done_units >= executions / 10), 0)
    edges, last = (pulses[-1][1], pulses[-1][2]) if pulses else (0, 0)
    broken = done.returncode != 0
    if broken:
        print(told[-6_000:], file=sys.stderr)
    row = (name, f"{time.monotonic() - begun:.0f}", f"{executions:,}", f"{edges:,}", f"{warm}", f"{last}")
    print(f"| {' | '.join(row)} | {'see above' if broken else 'nothing'} |", flush=True)
    return broken


if __name__ == "__main__":
    sys.exit(main())
