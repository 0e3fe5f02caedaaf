"""Question: where does the CPU of a request with events go, piece by piece, between the HTTP parser and the disk?

Budget: all pieces together at most 20 us for one event and 80 us for 20, where an untyped decode of the same bodies
takes 2 and 36 us (the machine on which a bare request costs 32 us).
Method: in one process, each piece in turn on the same 30 requests, TURNS times. CPU time of the process, as the median
ratio to an untyped decode of the bodies, taken in the same turn, times what that costs there: other work on the machine
slows both. The caches are warm but for what differs from event to event. What is missing here is uvicorn's loop and
parser, the kernel, and the committer thread: `collector` measures the whole.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from benchmarks import table
from benchmarks.servers import post
from collector.app.answers import all_accepted_bytes
from collector.app.head import check_body
from collector.app.intake import COUNTER_NAMES, Asked, Intake
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.clock import now_ms
from collector.ingest.judge import Judge, Tools
from collector.ingest.packed import encode_packed
from collector.ingest.pipeline import process
from collector.metrics import Counters
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.sources import Directory, add_source
from collector.spooling.spool import SpoolWriter, frame
from collector.wire.decode import decode_batch

TURNS = 100
REQUESTS = 30
SIZES = (1, 20)
DECODE_US = {1: 2.0, 20: 36.0}  # untyped, where a bare request costs 32 us


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = {size: pieces(Path(folder) / str(size), size) for size in SIZES}
    table.head("piece", *(f"us per request of {size}" for size in SIZES))
    for name in found[SIZES[0]]:
        table.row(name, *(f"{found[size][name]:.1f}" for size in SIZES))


def pieces(data_dir: Path, size: int) -> dict[str, float]:
    """Microseconds of each piece, for requests with so many events."""
    (data_dir / "run").mkdir(parents=True)
    source, _ = add_source(data_dir, "Benchmark", [])
    tools = Tools(
        plan=compile_plan(load_plan(DEFAULT_PLAN_DIR)), geo=open_geo("registry"), salts=Salts(data_dir / "salts.json")
    )
    counters = Counters(data_dir / "run" / "w.counters", COUNTER_NAMES)
    no_spool = cast(SpoolWriter, None)  # nothing is stored here
    intake = Intake(tools, no_spool, Directory(data_dir, now_ms), counters, now_ms, ())
    requests = [post(number * size, size, source.write_key).partition(b"\r\n\r\n") for number in range(REQUESTS)]
    headers = [_headers(head) for head, _, _ in requests]
    bodies = [body for _, _, body in requests]
    asked = [Asked(lines, b"", "127.0.0.1") for lines in headers]
    for one, body in zip(asked, bodies, strict=True):
        intake.take(one, None, body)
    payloads = [encode_packed(one.outcome.packed) for one in asked]

    def whole(at: int) -> None:
        one = Asked(headers[at], b"", "127.0.0.1")
        check_body(one.head)
        intake.take(one, None, bodies[at])
        frame(encode_packed(one.outcome.packed), size, 0)
        all_accepted_bytes(size)

    def no_raws() -> list[bytes]:
        raise AssertionError("nothing is rejected here")

    return _in_turn(
        {
            "headers": lambda at: check_body(Asked(headers[at], b"", "127.0.0.1").head),
            "decode": lambda at: decode_batch(bodies[at]),
            "key and source": lambda at: intake.admit(source.write_key, asked[at].head.origin),
            "what the events share": lambda at: Judge(asked[at].batch, asked[at].request, tools, handled=False),
            "judge": lambda at: process(asked[at].batch, asked[at].request, tools, no_raws),
            "encode": lambda at: encode_packed(asked[at].outcome.packed),
            "frame": lambda at: frame(payloads[at], size, 0),
            "all of it": whole,
        },
        bodies,
        DECODE_US[size],
    )


def _in_turn(steps: dict[str, Callable[[int], Any]], bodies: list[bytes], decode_us: float) -> dict[str, float]:
    decode = msgspec.json.Decoder().decode
    ratios: dict[str, list[float]] = {name: [] for name in steps}
    gc.collect()
    gc.freeze()  # as a worker does
    for _ in range(TURNS):
        yardstick = _timed(lambda at: decode(bodies[at]))
        for name, step in steps.items():
            ratios[name].append(_timed(step) / yardstick)
    return {name: statistics.median(taken) * decode_us for name, taken in ratios.items()}


def _timed(step: Callable[[int], Any]) -> float:
    begun = time.process_time()
    for _ in range(5):
        for at in range(REQUESTS):
            step(at)
    return time.process_time() - begun


def _headers(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
    return [(name.lower(), value) for name, _, value in lines]


if __name__ == "__main__":
    main()
