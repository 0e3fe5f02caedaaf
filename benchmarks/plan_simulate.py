"""How many stored events a second can a plan be tried on?

Question    Events per second of `plan simulate`, for a plan under which all are valid, one in a hundred is not, and
            none is; and of `plan replay --dry-run` over failed events.
Budget      10 million events in 60 s on two cores: 167,000 a second, where nearly all events are valid. Where none is,
            each walks the rules and gets its sentences: 100,000 in 10 s.
Method      EVENTS events of ten properties (about 250 bytes of JSON) in the embedded engine, read through the same
            queries as by the command, in this process. Wall and CPU time of all threads, the engine's too; beside it
            the time of the queries alone, as the floor that no faster validation could get under.
            REPETITIONS of each, medians and spread; the budget is that of the median.
Run         python -m benchmarks.plan_simulate [EVENTS]            about 3 minutes for 1,000,000
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.table import head, row, spread
from collector.database.migrate import migrate
from collector.database.query import answer
from collector.database.store import Store
from collector.hindsight import Ask
from collector.hindsight.failed import Wanted, tools_for
from collector.hindsight.replay import replay
from collector.hindsight.trial import Span, try_plan
from collector.ingest.pipeline import Tools
from collector.plan import compile_plan
from collector.plan.model import DEFAULT_ACTIONS, PROD, EventPlan, Plan, Property, Rule, Type

EVENTS = 1_000_000
REPETITIONS = 5
FAILED = 20_000
NOW_MS = 1_790_000_000_000

_PROPERTIES = (
    'concat(\'{"order_id":"O-\', toString(number), \'","total":\', toString(number % 1000), '
    '\',"currency":"EUR","page_type":"product","title":"Some page of a shop, number \', toString(number % 97), '
    '\'","new_customer":true,"depth":0.\', toString(number % 10), '
    '\',"note":"a few more words to make it as long as others","position":\', toString(number % 50), '
    "',\"coupon\":null}')"
)


_MOMENT = f"fromUnixTimestamp64Milli({NOW_MS} - number % 600000000)"


def plan_of(maximum: int) -> Plan:
    """A plan whose event takes totals of at most `maximum`; those of the events are 0 to 999, evenly."""
    rules = {PROD: {reason: Rule(action=action) for reason, action in DEFAULT_ACTIONS.items()}}
    text = Type(kind="string", max_length=100)
    kinds = {
        "order_id": text,
        "total": Type(kind="decimal", minimum=0, maximum=maximum),
        "currency": Type(kind="string", max_length=3, pattern="^[A-Z]{3}$", regex=r"\A[A-Z]{3}\Z"),
        "page_type": Type(kind="string", enum=("home", "product", "cart")),
        "title": text,
        "new_customer": Type(kind="boolean"),
        "depth": Type(kind="number", minimum=0, maximum=1),
        "note": text,
        "position": Type(kind="integer", minimum=0, maximum=100),
        "coupon": Type(kind="string", max_length=64, nullable=True),
    }
    properties = tuple(Property(name=name, type=kind, required=name == "order_id") for name, kind in kinds.items())
    event = EventPlan(name="bought", version="1.0.0", major=1, properties=properties, rules=rules)
    return Plan(name="bench", version="1.0.0", events={"bought": event}, history={}, rules=rules)


def fill(store: Store, events: int) -> None:
    """Write events into an empty database."""
    for start in range(0, events, 500_000):
        count = min(500_000, events - start)
        store.command(
            f"INSERT INTO {store.database}.events (message_id, type, event, event_version, source_id, visitor_id, "
            f"event_time, occurred_at, received_at, properties) SELECT toString(generateUUIDv4()), 'track', 'bought', "
            f"1, 'shop', toString(cityHash64(number % 100000)), {_MOMENT}, {_MOMENT}, {_MOMENT}, {_PROPERTIES} "
            f"FROM numbers({start}, {count})"
        )


def fill_failed(store: Store) -> None:
    """Write failed events."""
    raw = f'concat(\'{{"type":"track","event":"bought","anonymousId":"a","properties":\', {_PROPERTIES}, \'}}\')'
    store.command(
        f"INSERT INTO {store.database}.failed_events (message_id, type, event, source_id, visitor_id, received_at, "
        f"reason, user_agent, context, raw) SELECT toString(generateUUIDv4()), 'track', 'bought', 'shop', 'a', "
        f"{_MOMENT}, "
        f"'constraint', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/129.0 Safari/537.36', '{{}}', {raw} "
        f"FROM numbers({FAILED})"
    )


class Timed:
    """Questions, and the time that they took."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.seconds = 0.0

    def __call__(self, sql: str) -> bytes:
        """Ask, and add up."""
        begun = time.perf_counter()
        content = self._ask(sql)
        self.seconds += time.perf_counter() - begun
        return content


def main() -> None:
    """Print the table."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdecimal() else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        dsn = f"chdb://{folder}/db"
        with closing(Store(dsn)) as store:
            migrate(store)
            fill(store, events)
            with closing(Store(dsn, read_only=True)) as lane:
                _measure(store, lane, Path(folder), events)


class Took(NamedTuple):
    """Seconds of one repetition: of the clock, of all threads' CPU, and of the queries in it."""

    wall: float
    cpu: float
    asked: float


def _measure(store: Store, lane: Store, folder: Path, events: int) -> None:
    head("what", "events", "wall s", "CPU s", "queries, wall s", "events/s", "10 M events in s", "budget")

    def measured(title: str, count: int, budget: str, call: Callable[[Ask], None]) -> None:
        took = []
        for _ in range(REPETITIONS):
            ask = Timed(lambda sql: answer(lane, sql, "JSON"))
            begun, cpu = time.perf_counter(), time.process_time()
            call(ask)
            took.append(Took(time.perf_counter() - begun, time.process_time() - cpu, ask.seconds))
        wall = statistics.median(one.wall for one in took)
        figures = [spread([one[place] for one in took]) for place in range(len(Took._fields))]
        row(title, f"{count:,}", *figures, f"{count / wall:,.0f}", f"{10_000_000 / count * wall:,.0f}", budget)

    for title, maximum, expected in (("all valid", 999, 0), ("one in a hundred is not", 989, events // 100),
                                     ("none is valid", -1, events)):  # fmt: skip
        plan = plan_of(maximum)
        tools = tools_for(compile_plan(plan), folder)

        def simulate(ask: Ask, plan: Plan = plan, tools: Tools = tools, expected: int = expected) -> None:
            found = try_plan(ask, plan, tools, Span(0), NOW_MS).counted("quarantined")
            assert found == expected, f"{found:,} would be quarantined, {expected:,} must be"

        measured(f"simulate, {title}", events, "60 s" if expected < events else "100,000 in 10 s", simulate)
    fill_failed(store)
    tools = tools_for(compile_plan(plan_of(999)), folder)

    def dry_run(ask: Ask) -> None:
        assert replay(ask, tools, Wanted(0), None).total("replayed") == FAILED

    measured("replay, dry run", FAILED, "none", dry_run)


if __name__ == "__main__":
    main()
