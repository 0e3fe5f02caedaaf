"""What does checking an event against the tracking plan cost?

Question    Time per event of decoding a batch and checking its events, beside msgspec decoding the same body into plain
            dicts; and of EventCheck.check alone, per document.
Budget      n = 50, all valid: no more than 1.0 times the untyped decode. One bad event in 50: 1.7 us an event. With a
            few violations, each with its sentence: 35 us. All on an idle core.
Floor       Properties are stored as they were sent, so their bytes are read twice: skipped over in the envelope, then
            decoded by the plan. `floor` is those two msgspec calls and a loop, which looks at no pattern, value or
            currency: what no Python around msgspec can beat. It is 1.0 times the untyped decode or more wherever an
            event is little but properties, so the budget is for what the tag sends, and `x floor` is what is ours.
Method      The default plan. Batches of 1, 10 and 50 events, all of them different (values too); one of them bad; all
            bad (a value of a wrong type, and one that is not allowed). "tag": with the ids, times and context that the
            tag sends; else the least that is an event. Pages are some of PAGES of a site, under titles of their own. A
            purchase's total is new with each event (verdicts of others fill the memory of verdicts before), or "usual":
            one of USUAL totals, as prices are. All sides run in turn in one process, REPETITIONS times ROUNDS short
            rounds after a warm-up; CPU time of the thread, of each repetition the fastest round, since other processes
            only ever add to it. Medians of the repetitions, of their ratios too, and all that they lie between.
Run         python -m benchmarks.validate             about 90 s
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from benchmarks.table import head, row, spread
from collector.plan import CompiledPlan, Plan, compile_plan, load_plan
from collector.plan.check import VERDICTS_MAX
from collector.plan.fast import struct_of, without_patterns
from collector.record import Envelope
from collector.wire.decode import decode_batch

PLAN = Path(__file__).resolve().parent.parent / "schemas"
REPETITIONS, ROUNDS = 5, 40
USUAL = 200  # totals of orders that are sent again and again
PAGES = 500
FAR = 100_000  # the number of a document that no batch holds
ROUND_NS = 1_000_000  # one timed round; long enough to drown the clock, short enough to fall between other processes

_LINE = {"sku": "A-1001", "name": "Red shoe", "price": 49.75, "quantity": 2, "category": "shoes"}
_ORDER = {"order_id": "O-1001", "currency": "EUR", "value": 99.5, "items": [_LINE], "coupon": "SPRING", "tax": 15.88}
_PAGE = {
    "url": "https://shop.example/p/1001?utm_source=news&utm_medium=email",
    "path": "/p/1001",
    "referrer": "https://shop.example/",
    "title": "Red shoe - Shop",
    "page_type": "product",
    "load_ms": 812,
}
CASES: list[tuple[str, str, object]] = [
    ("page_view, valid", "page_view", _PAGE),
    ("purchase, valid", "purchase", _ORDER),
    ("purchase, 50 lines, valid", "purchase", _ORDER | {"items": [_LINE] * 50}),
    ("purchase, price as text, valid", "purchase", _ORDER | {"items": [_LINE | {"price": "49.75"}]}),
    ("nps_response 9.0, valid by the rules", "nps_response", '{"score": 9.0, "survey_id": "q3"}'),
    ("page_view, 1 unknown property", "page_view", _PAGE | {"colour": "red"}),
    ("purchase, 3 violations", "purchase", _ORDER | {"currency": "eur", "tax": "free", "items": []}),
    ("event that is not planned", "banner_shown", {"slot": "hero"}),
]


def fastest(*sides: Callable[[], object]) -> list[tuple[float, ...]]:
    """CPU nanoseconds per call of each side, one figure for each repetition; the sides take turns."""
    calls = [max(int(ROUND_NS / max(timed(side, 20), 1.0)), 1) for side in sides]

    def repetition() -> list[float]:
        rounds = [[timed(side, count) for side, count in zip(sides, calls, strict=True)] for _ in range(ROUNDS)]
        return [min(times) for times in zip(*rounds, strict=True)]

    return list(zip(*(repetition() for _ in range(REPETITIONS)), strict=True))


def beside(mine: Sequence[float], other: Sequence[float]) -> str:
    """The ratio of two sides."""
    return spread([first / second for first, second in zip(mine, other, strict=True)], 2)


def timed(call: Callable[[], object], count: int) -> float:
    """CPU nanoseconds per call."""
    start = time.thread_time_ns()
    for _ in range(count):
        call()
    return (time.thread_time_ns() - start) / count


# Kind of batch, the event's name, a valid document by its number, and what makes it bad.
BATCHES: list[tuple[str, Callable[[int], dict[str, object]], dict[str, object]]] = [
    (
        "page_view",
        lambda n: _page(n) | {"load_ms": n, "page_type": "product"},
        {"load_ms": "fast", "page_type": "landing"},
    ),
    ("purchase", lambda n: _ORDER | {"order_id": f"O-{n}", "value": n + 0.25}, {"value": "free", "currency": "eur"}),
    ("purchase", lambda n: _ORDER | {"order_id": f"O-{n}", "value": n * 7 % USUAL + 0.25}, {}),
]
SIZES = (1, 10, 50)
BODIES = 100  # different bodies, so that no value comes back soon


def _page(number: int) -> dict[str, Any]:
    """A page as the tag tells it, one of PAGES of a site, under a title of its own."""
    path, search = f"/p/{1000 + number * 7 % PAGES}", "?utm_source=news&utm_medium=email"
    return {
        "url": f"https://shop.example{path}{search}",
        "path": path,
        "referrer": "https://shop.example/",
        "search": search,
        "title": f"Shoe {number}",
    }


def body_of(event: str, documents: list[dict[str, object]], *, tag: bool = False) -> bytes:
    """A batch as a client sends it, or as the tag does, byte by byte (js_sdk/src/tag.js, emit)."""
    batch: list[dict[str, object]] = []
    for n, document in enumerate(documents):
        around: dict[str, object] = {"messageId": f"01976f5e-93a1-7c31-b0d4-{n:012}"}
        if tag:
            around |= {"anonymousId": "01976f5e-93a1-7c31-b0d4-6e2f5a7c9d10", "timestamp": "2026-11-22T10:00:00.000Z"}
            around |= {"sequence": n, "context": {"page": _page(n)}}
        batch.append({"type": "track", **around, "event": event, "properties": document})
    return msgspec.json.encode({"batch": batch, "sentAt": "2026-11-22T10:00:00.000Z"})


def judge(plan: CompiledPlan, body: bytes) -> int:
    """Decode a body, look up each event and check it, as the pipeline does."""
    bad, newest = 0, plan.newest
    for event in decode_batch(body).events:
        if isinstance(event, Envelope):
            planned = newest.get(event.event or "")
            if planned is not None and planned.check(event.properties).rejected is not None:  # type: ignore[arg-type]  # it was sent
                bad += 1
    return bad


class Bodies(NamedTuple):
    """What is sent: of each body the events' name, how many, and how many of them are bad."""

    title: str
    event: str
    size: int
    spoiled: int
    bodies: list[bytes]
    before: list[bytes]  # judged once before, so that nothing of `bodies` is remembered


def sent() -> Iterator[Bodies]:
    """All kinds of batches."""
    for event, made, harm in BATCHES:
        kinds = ("valid", "valid, tag", "one bad", "all bad") if harm else ("usual, valid", "usual, valid, tag")
        for what in kinds:
            for size in SIZES:
                spoiled = {"one bad": 1, "all bad": size}.get(what, 0)
                documents = [
                    [made(b * size + n) | (harm if n < spoiled else {}) for n in range(size)] for b in range(BODIES)
                ]
                bodies = [body_of(event, some, tag=what.endswith("tag")) for some in documents]
                others = [body_of(event, [made(FAR + n)]) for n in range(VERDICTS_MAX)] if harm else []
                yield Bodies(f"{event}, {what}", event, size, spoiled, bodies, others)


class _Least(Struct, gc=False):
    batch: list[Envelope]


def floor_of(plan: Plan, event: str) -> Callable[[bytes], object]:
    """The least that msgspec must do: envelopes with raw properties, and those decoded by their Struct."""
    envelopes = msgspec.json.Decoder(_Least).decode
    struct, _ = struct_of(event, without_patterns(plan.events[event].properties), closed=True)
    typed: Callable[[Any], object] = msgspec.json.Decoder(struct).decode

    def floor(body: bytes) -> None:
        for envelope in envelopes(body).batch:
            typed(envelope.properties)

    return floor


def batches(plan: Plan) -> None:
    """Print the table of batches."""
    untyped = msgspec.json.Decoder().decode
    head("batch", "n", "bytes an event", "ours, ns an event", "untyped decode", "x untyped", "floor", "x floor")
    for title, event, size, spoiled, bodies, before in sent():
        compiled = compile_plan(plan)
        assert not any(judge(compiled, body) for body in before)
        assert sum(judge(compiled, body) for body in bodies) == spoiled * BODIES
        sides: list[Callable[[bytes], object]] = [partial(judge, compiled), untyped]
        if not spoiled:
            sides.append(floor_of(plan, event))
        ours, theirs, *least = fastest(*(_in_turn(side, bodies) for side in sides))
        own = [spread([took / size for took in ours], 0), _each(theirs, size), beside(ours, theirs)]
        row(title, str(size), str(len(bodies[0]) // size), *own, *_floor(ours, least, size))


def _floor(ours: Sequence[float], least: list[tuple[float, ...]], size: int) -> tuple[str, str]:
    return (_each(least[0], size), beside(ours, least[0])) if least else ("", "")


def _each(took: Sequence[float], size: int) -> str:
    return f"{statistics.median(took) / size:,.0f}"


def _in_turn(side: Callable[[bytes], object], bodies: list[bytes]) -> Callable[[], object]:
    """A call that gives a side the next body."""
    following = cycle(bodies).__next__
    return lambda: side(following())


def main() -> None:
    """Print the tables."""
    plan = load_plan(PLAN)
    start = time.process_time_ns()
    compiled = compile_plan(plan)
    compile_ms = (time.process_time_ns() - start) / 1e6
    untyped = msgspec.json.Decoder().decode
    batches(plan)
    print()
    head("document", "bytes", "check, ns", "untyped decode", "x untyped")
    for title, event, document in CASES:
        data = document.encode() if isinstance(document, str) else msgspec.json.encode(document)
        ours, theirs = fastest(partial(compiled.check, event, None, data), partial(untyped, data))
        row(title, str(len(data)), spread(ours, 0), _each(theirs, 1), beside(ours, theirs))
    print(f"\ncompile_plan of {len(plan.events)} events: {compile_ms:.1f} ms")


if __name__ == "__main__":
    main()
