"""What does checking an event against the tracking plan cost?

Question    Time per event of decoding a batch and checking its events, beside msgspec decoding the same body into plain
            dicts; and of CompiledPlan.check alone, per document.
Budget      n = 50, all valid: no more than 1.0 times the untyped decode. One bad event in 50: 1.7 us an event. With a
            few violations, each with its sentence: 35 us. All on an idle core.
Method      The default plan. Batches of 1, 10 and 50 events, all of them different (values too); one of them bad; all
            bad (a required property is missing, another of a wrong type). Both sides run in turn in one process, 5
            repetitions after a warm-up; CPU time (process_time_ns), median and spread (largest minus smallest).
Run         python -m benchmarks.validate             about 15 s
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.decode import decode_batch
from collector.plan import CompiledPlan, compile_plan, load_plan
from collector.record import Envelope

PLAN = Path(__file__).resolve().parent.parent / "schemas"
REPETITIONS = 5
ROUND_NS = 60_000_000  # one timed round; long enough to drown the clock, short enough to share a noisy machine

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


def timed(call: Callable[[], object], rounds: int) -> float:
    """CPU nanoseconds per call."""
    start = time.process_time_ns()
    for _ in range(rounds):
        call()
    return (time.process_time_ns() - start) / rounds


def rounds_of(call: Callable[[], object]) -> int:
    """How many calls fill one timed round; also the warm-up."""
    return max(int(ROUND_NS / max(timed(call, 2_000), 1.0)), 100)


# Kind of batch, the event's name, a valid document by its number, and what makes it bad.
BATCHES: list[tuple[str, Callable[[int], dict[str, object]], dict[str, object]]] = [
    ("page_view", lambda n: _PAGE | {"load_ms": n, "title": f"Shoe {n}"}, {"load_ms": "fast", "page_type": "landing"}),
    ("purchase", lambda n: _ORDER | {"order_id": f"O-{n}", "value": n + 0.25}, {"value": "free", "currency": "eur"}),
]
SIZES = (1, 10, 50)
BODIES = 100  # different bodies, so that no value comes back soon


def body_of(event: str, documents: list[dict[str, object]]) -> bytes:
    """A batch as the tag sends it."""
    batch = [{"type": "track", "event": event, "messageId": f"m-{n}", "properties": d} for n, d in enumerate(documents)]
    return msgspec.json.encode({"batch": batch, "sentAt": "2026-11-22T10:00:00.000Z"})


def judge(plan: CompiledPlan, body: bytes) -> int:
    """Decode a body and check each event: the part of the way that an untyped decode would be the beginning of."""
    bad = 0
    for event in decode_batch(body).events:
        assert isinstance(event, Envelope)
        bad += plan.check(event.event or "", None, event.properties).rejected is not None  # type: ignore[arg-type]  # it was sent
    return bad


def batches(plan: CompiledPlan) -> None:
    """Print the table of batches."""
    untyped = msgspec.json.Decoder().decode
    print(f"{'batch':34} {'n':>3} {'ours ns':>9} {'spread':>7} {'untyped ns':>11} {'spread':>7} {'ratio':>6}")
    for event, made, harm in BATCHES:
        for what in ("valid", "one bad", "all bad"):
            for size in SIZES:
                spoiled = {"valid": 0, "one bad": 1, "all bad": size}[what]
                bodies = [
                    body_of(event, [made(b * size + n) | (harm if n < spoiled else {}) for n in range(size)])
                    for b in range(BODIES)
                ]
                assert sum(judge(plan, body) for body in bodies) == spoiled * BODIES

                def ours(bodies: list[bytes] = bodies) -> None:
                    for body in bodies:
                        judge(plan, body)

                def theirs(bodies: list[bytes] = bodies) -> None:
                    for body in bodies:
                        untyped(body)

                rounds = max(3, 2_000 // (size * BODIES))
                events = size * BODIES
                pairs = [(timed(ours, rounds) / events, timed(theirs, rounds) / events) for _ in range(REPETITIONS)]
                print_row(f"{event}, {what}", size, pairs)


def print_row(title: str, number: int, pairs: list[tuple[float, float]]) -> None:
    """One line of a table: both sides in nanoseconds, and the median of their ratios."""
    mine, plain = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = statistics.median(first / second for first, second in pairs)
    print(
        f"{title:34} {number:>3} {statistics.median(mine):9.0f} {max(mine) - min(mine):7.0f} "
        f"{statistics.median(plain):11.0f} {max(plain) - min(plain):7.0f} {ratio:6.2f}"
    )


def main() -> None:
    """Print the tables."""
    plan = load_plan(PLAN)
    start = time.process_time_ns()
    compiled = compile_plan(plan)
    compile_ms = (time.process_time_ns() - start) / 1e6
    untyped = msgspec.json.Decoder().decode
    batches(compiled)
    print(f"\n{'document':34} {'B':>3} {'check ns':>9} {'spread':>7} {'untyped ns':>11} {'spread':>7} {'ratio':>6}")
    for title, event, document in CASES:
        data = document.encode() if isinstance(document, str) else msgspec.json.encode(document)

        def check(event: str = event, data: bytes = data) -> object:
            return compiled.check(event, None, data)

        def decode(data: bytes = data) -> object:
            return untyped(data)

        ours, theirs = rounds_of(check), rounds_of(decode)
        pairs = [(timed(check, ours), timed(decode, theirs)) for _ in range(REPETITIONS)]
        print_row(title, len(data), pairs)
    print(f"compile_plan of {len(plan.events)} events: {compile_ms:.1f} ms")


if __name__ == "__main__":
    main()
