"""One target under atheris: `python -m fuzz.atheris_target NAME LIBFUZZER-OPTION… CORPUS`. See __main__.py."""

from __future__ import annotations

import sys
import time

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # no types, and only where it has a wheel

INPUT_CPU_SECONDS_MAX = 2.0  # of one input; the largest body takes a hundredth of it
NEIGHBOUR_EVERY = 2_000

with atheris.instrument_imports(include=["collector"]):
    from fuzz.targets import TARGETS, fresh_event_flows


def main() -> None:
    """Fuzz until libFuzzer's options say stop; it ends the process by itself."""
    run = TARGETS[sys.argv.pop(1)]
    done = 0

    def one(data: bytes) -> None:
        nonlocal done
        begun = time.process_time()
        run(data)
        spent = time.process_time() - begun
        assert spent < INPUT_CPU_SECONDS_MAX, f"one input took {spent:.1f} s of CPU"
        done += 1
        if done % NEIGHBOUR_EVERY == 0:
            fresh_event_flows()

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


main()
