"""How long does it take from a plan.lock to a plan that judges events, at the start and for a change of one event?

Question    Lock to live, and one-event edit to live, for a plan of 1,000 events with 20 properties each; and what 100
            edits cost while events are judged all the time: verdicts, waiting, memory.
Budget      Whole lock to live: 400 ms. One-event edit to live: 20 ms. 100 reloads under load: no event misjudged, and
            at most 2 MB of resident memory after a warm-up of 20 reloads. All on an idle core.
Method      A generated plan in three versions of one event, put in place of one another as real files. CPU time
            (process_time_ns), median and spread of 5 whole loads and of 20 edits, and as a ratio to json.loads of the
            same bytes in the same run. Under load a thread judges without a pause, half of it the event that changes;
            the slowest judgement is that of a moment in which the plan was being read.
Run         python -m benchmarks.plan_lock            about 20 s
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.plan.enforce import DEFAULT_RULES
from collector.plan.live import LivePlan
from collector.plan.lock import LOCK_NAME, lock_bytes
from collector.plan.model import PROD, EventPlan, Plan, Property, Type

EVENTS, PROPERTIES = 1_000, 20
LOADS, EDITS, RELOADS, WARM = 5, 20, 100, 20
_KINDS = (
    Type(kind="string", max_length=64),
    Type(kind="integer", minimum=0, maximum=10_000),
    Type(kind="number"),
    Type(kind="boolean"),
    Type(kind="string", max_length=16, enum=("red", "green", "blue")),
)


def plan_of(edit: int) -> Plan:
    """The plan after an edit of its first event, which gives one property another maximum."""
    events = {}
    for number in range(EVENTS):
        properties = [
            Property(
                name=f"property_{place}",
                type=_KINDS[place % len(_KINDS)],
                required=place < 3,
                description="What this says, in a sentence.",
            )
            for place in range(PROPERTIES)
        ]
        if number == 0:
            properties[1] = Property(name="property_1", type=Type(kind="integer", minimum=0, maximum=10_000 + edit))
        name = f"event_{number}"
        events[name] = EventPlan(
            name=name,
            version="1.0.0",
            major=1,
            properties=tuple(properties),
            rules={PROD: DEFAULT_RULES},
            description="One of a thousand.",
            owner="team",
        )
    return Plan(name="thousand", version=f"1.0.{edit}", events=events, history={}, rules={PROD: DEFAULT_RULES})


def spent_ms(call: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e6


def line(title: str, figures: list[float], beside: float, budget: str) -> None:
    """Print one row."""
    median, spread = statistics.median(figures), max(figures) - min(figures)
    print(f"{title:34} {median:9.1f} {spread:8.1f} {median / beside:10.1f}   {budget}")


def resident_kb() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4


class Judge(threading.Thread):
    """Judges events without a pause and counts the verdicts that no version of the plan would give."""

    def __init__(self, live: LivePlan) -> None:
        super().__init__(daemon=True)
        self.live = live
        self.stop = threading.Event()
        self.reading = False
        self.judged = self.wrong = 0
        self.waits_ms: list[float] = []

    def run(self) -> None:
        """Until stopped."""
        red = {f"property_{place}": "red" for place in (0, 4)} | {"property_2": 1.5}
        valid = msgspec.json.encode(red | {"property_1": 10_000})
        never = msgspec.json.encode(red | {"property_1": 1_000_000})
        while not self.stop.is_set():
            reading, start = self.reading, time.perf_counter_ns()
            plan = self.live.compiled
            for name in ("event_0", "event_500"):
                self.wrong += plan.check(name, None, valid).rejected is not None
                self.wrong += plan.check(name, None, never).rejected is None
            self.judged += 4
            if reading:
                self.waits_ms.append((time.perf_counter_ns() - start) / 1e6)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    """Run all three parts in a folder that holds nothing else."""
    lock = folder / LOCK_NAME
    versions = [lock_bytes(plan_of(edit)) for edit in range(3)]
    lock.write_bytes(versions[0])
    beside = statistics.median(spent_ms(lambda: json.loads(versions[0])) for _ in range(LOADS))
    print(f"{len(versions[0]):,} bytes; json.loads of them: {beside:.1f} ms")
    print(f"{'':34} {'CPU ms':>9} {'spread':>8} {'json.loads':>10}   budget")
    line("lock to live, 1,000 events", [spent_ms(lambda: LivePlan(folder)) for _ in range(LOADS)], beside, "400 ms")
    live = LivePlan(folder)
    judge = Judge(live)

    def edit(number: int) -> float:
        fresh = folder / "fresh"
        fresh.write_bytes(versions[number % len(versions)])
        fresh.replace(lock)
        found: list[object] = []
        judge.reading = True
        spent = spent_ms(lambda: found.append(live.look()))
        judge.reading = False
        assert found != [None], "the edit was not seen"
        return spent

    line("one-event edit to live", [edit(number) for number in range(1, EDITS + 1)], beside, "20 ms")
    judge.start()
    for number in range(WARM):
        edit(EDITS + 1 + number)
    gc.collect()
    before = resident_kb()
    for number in range(RELOADS):
        edit(EDITS + WARM + 1 + number)
        gc.collect()  # as LivePlan.follow does
    grown = resident_kb() - before
    judge.stop.set()
    judge.join()
    waits = sorted(judge.waits_ms)
    print(
        f"{RELOADS} reloads under load: {judge.judged:,} events judged, {judge.wrong} wrongly; four events took "
        f"{waits[len(waits) * 99 // 100]:.1f} ms at the 99th percentile while a plan was read; "
        f"{grown / 1024:+.1f} MB resident (budget 2 MB)"
    )


if __name__ == "__main__":
    main()
