"""What does checking an event against the tracking plan cost?

Question    Time per event of CompiledPlan.check, beside msgspec decoding the same bytes into plain dicts.
Budget      A valid event: no more than 1.3 times the untyped decode. Where value and currency are read out of it
            (purchase): 3.5 times. With a few violations, each with its sentence: 35 us. All on an idle core.
Method      The default plan, one document a row. Both sides run in turn in one process, 5 repetitions after a warm-up;
            CPU time (process_time_ns), median and spread (largest minus smallest) per event.
Run         python -m benchmarks.validate             about 5 s
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.plan import compile_plan, load_plan

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


def main() -> None:
    """Print the table."""
    plan = load_plan(PLAN)
    start = time.process_time_ns()
    compiled = compile_plan(plan)
    compile_ms = (time.process_time_ns() - start) / 1e6
    untyped = msgspec.json.Decoder().decode
    print(f"{'document':38} {'bytes':>6} {'check ns':>9} {'spread':>7} {'untyped ns':>11} {'spread':>7} {'ratio':>6}")
    for title, event, document in CASES:
        data = document.encode() if isinstance(document, str) else msgspec.json.encode(document)

        def check(event: str = event, data: bytes = data) -> object:
            return compiled.check(event, None, data)

        def decode(data: bytes = data) -> object:
            return untyped(data)

        ours, theirs = rounds_of(check), rounds_of(decode)
        pairs = [(timed(check, ours), timed(decode, theirs)) for _ in range(REPETITIONS)]
        mine, plain = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        ratio = statistics.median(first / second for first, second in pairs)
        print(
            f"{title:38} {len(data):6} {statistics.median(mine):9.0f} {max(mine) - min(mine):7.0f} "
            f"{statistics.median(plain):11.0f} {max(plain) - min(plain):7.0f} {ratio:6.2f}"
        )
    print(f"compile_plan of {len(plan.events)} events: {compile_ms:.1f} ms")


if __name__ == "__main__":
    main()
