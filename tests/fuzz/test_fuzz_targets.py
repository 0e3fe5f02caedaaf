"""The fuzzer's targets for some seconds: mutations of good inputs by hypothesis, and what was ever found, again.

`make fuzz` does the same with atheris, guided by coverage, for as long as you like.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from pathlib import Path

import pytest
from fuzz.targets import TARGETS, fresh_event_flows, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.xdist_group("fuzz")

FOUND = Path(__file__).parent / "found"
INPUT_CPU_SECONDS_MAX = 2.0
GROWTH_BYTES_MAX = 300_000  # a page that is kept for each input would be four times as much
ROUNDS = 300


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """A good input of which some bytes were cut, replaced, inserted or repeated."""
    data = bytearray(draw(st.sampled_from(seeds(name))))
    for _ in range(draw(st.integers(0, 4))):
        at, width = draw(st.integers(0, len(data))), draw(st.integers(0, 8))
        kind = draw(st.sampled_from(("cut", "replace", "repeat", "end")))
        if kind == "cut":
            del data[at : at + width]
        elif kind == "replace":
            data[at : at + width] = draw(
                st.binary(max_size=8) | st.sampled_from([b"\r\n", b"\0", b"%", b"FREC", b"99"])
            )
        elif kind == "repeat":
            data[at:at] = data[at : at + width] * draw(st.integers(1, 40))
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutation_of_a_good_input_breaks_a_promise_or_takes_long(name: str) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated(name) | st.binary(max_size=100))
    def holds(data: bytes) -> None:
        begun = time.process_time()
        TARGETS[name](data)
        assert time.process_time() - begun < INPUT_CPU_SECONDS_MAX

    holds()
    fresh_event_flows()


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_holds_now_and_memory_does_not_grow_with_what_is_sent(name: str) -> None:
    inputs = [*seeds(name), *(path.read_bytes() for path in sorted(FOUND.glob(f"{name}-*")))]
    for data in inputs:
        TARGETS[name](data)  # fills the caches
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(ROUNDS):
            TARGETS[name](inputs[number % len(inputs)])
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < GROWTH_BYTES_MAX
    fresh_event_flows()
