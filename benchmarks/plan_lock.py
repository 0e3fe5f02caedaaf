"""How long does it take from a plan.lock to a plan that judges events, at the start and for a change of one event?

Question    Lock to live, and one-event edit to live, for a plan of 1,000 events with 20 properties each; and what 100
            edits cost while events are judged all the time: verdicts, waiting, memory. An event's Struct is made when
            the event is first seen, so what that puts off is a row of its own: all 1,000 events judged for the first
            time, in milliseconds for all of them together.
Budget      Whole lock to live: 400 ms. One-event edit to live: 20 ms. 100 reloads under load: no event misjudged, and
            at most 2 MB of resident memory after a warm-up of 50 reloads. All on an idle core.
Method      A generated plan in three versions of one event, put in place of one another as real files. CPU time
            (process_time_ns), median and spread of 5 whole loads and of 20 edits, and as a ratio to json.loads of the
            same bytes in the same run. The event that is edited was judged before, so its Struct is part of the edit.
            Under load a thread judges without a pause, half of it the event that changes; the slowest judgement is
            that of a moment in which the plan was being read. Memory is the median of 5 runs of 100 reloads; what is
            measured meanwhile is written into memory that is there before.
Run         python -m benchmarks.plan_lock            about 40 s
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.table import head, row, spread
from collector.plan import CompiledPlan
from collector.plan.enforce import DEFAULT_RULES
from collector.plan.live import LivePlan
from collector.plan.lock import LOCK_NAME, lock_bytes
from collector.plan.model import PROD, EventPlan, Plan, Property, Type

EVENTS, PROPERTIES = 1_000, 20
LOADS, EDITS, RELOADS, WARM, RUNS = 5, 20, 100, 50, 5
WAITS_MAX = 200_000  # kept; a list of them would grow meanwhile, and be taken for the plan's memory
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
    row(title, spread(figures), f"{statistics.median(figures) / beside:.2f}", budget)


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
        self.waits_ms = array("f", bytes(4 * WAITS_MAX))
        self.waits = 0

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
                self.waits_ms[self.waits % WAITS_MAX] = (time.perf_counter_ns() - start) / 1e6
                self.waits += 1


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    """Run all parts in a folder that holds nothing else."""
    lock = folder / LOCK_NAME
    versions = [lock_bytes(plan_of(edit)) for edit in range(3)]
    lock.write_bytes(versions[0])
    beside = statistics.median(spent_ms(lambda: json.loads(versions[0])) for _ in range(LOADS))
    print(f"{len(versions[0]):,} bytes; json.loads of them: {beside:.1f} ms of CPU\n")
    head("what", "CPU ms", "x json.loads", "budget")
    loads, firsts = [], []
    for _ in range(LOADS):
        made: list[LivePlan] = []
        loads.append(spent_ms(lambda made=made: made.append(LivePlan(folder))))  # type: ignore[misc]  # the default binds the loop's list
        firsts.append(spent_ms(lambda plan=made[0].compiled: judge_all(plan)))  # type: ignore[misc]  # as above
    line("lock to live, 1,000 events", loads, beside, "400 ms")
    line("the first of each event, 1,000 events", firsts, beside, "")
    live = LivePlan(folder)
    judge_all(live.compiled)
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

    edits = iter(range(1, 1_000_000))
    line("one-event edit to live", [edit(next(edits)) for _ in range(EDITS)], beside, "20 ms")
    judge.start()
    for _ in range(WARM):
        edit(next(edits))
        gc.collect()
    grown = []
    for _ in range(RUNS):
        before = resident_kb()
        for _ in range(RELOADS):
            edit(next(edits))
            gc.collect()  # as LivePlan.follow does
        grown.append((resident_kb() - before) / 1024)
    judge.stop.set()
    judge.join()
    waits = sorted(judge.waits_ms[: judge.waits])
    print(
        f"\n{RUNS} x {RELOADS} reloads under load: {judge.judged:,} events judged, {judge.wrong} wrongly; four events "
        f"took {waits[len(waits) // 2]:.2f} ms at the median and {waits[len(waits) * 99 // 100]:.1f} ms at the 99th "
        f"percentile of wall time while a plan was read; {spread(grown)} MB of resident memory more per {RELOADS} "
        "(budget 2 MB)"
    )


def judge_all(plan: CompiledPlan) -> None:
    """Judge one valid event of each kind."""
    valid = msgspec.json.encode({"property_0": "red", "property_1": 1, "property_2": 1.5})
    for number in range(EVENTS):
        assert plan.check(f"event_{number}", None, valid).rejected is None


if __name__ == "__main__":
    main()
