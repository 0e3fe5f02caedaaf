"""Question: how much disk does the spool need while the database is away, per event and for a day?

Budget: a day at 1,000 events/s within 10 GB.
Method: the store process is stopped, a worker takes events, and what it spooled is pressed as the store process does it
(spooling/press.py). Three loads: the benchmark's page view alone in its request and in batches of 20, with random ids
(its own count upwards, which compresses better than any real ones), and the visits of `footfall demo --simulate`, whose
devices, pages, times and properties differ. A day is so many bytes times 86.4 million; nothing was run for a day. What
waits for less than a minute is still plain: at this rate about 50 MB for each worker.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from pathlib import Path

from benchmarks.servers import Server, footfall, post
from benchmarks.whole_way import _send_all
from collector.simulate import drive
from collector.sources import add_source
from collector.spooling.press import press
from collector.spooling.spool import count_spooled, segments

EVENTS = 60_000
VISITORS = 3_000
DAY_EVENTS = 1_000 * 86_400


def main() -> None:
    """Measure and print."""
    for batch in (1, 20):
        with footfall(loading=False, pinned=False) as server:
            requests = [_with_random_ids(post(first, batch, server.write_key)) for first in range(0, EVENTS, batch)]
            asyncio.run(_send_all(server.port, requests))
            _pressed(f"page views, {batch} in a request", server)
    with footfall(loading=False, pinned=False) as server:
        key = add_source(server.data_dir, "Simulated", [])[1]
        drive(f"http://127.0.0.1:{server.port}", key, VISITORS, 1, int(time.time() * 1_000), lambda _: None)
        _pressed(f"{VISITORS:,} simulated visitors", server)


_RANDOM = random.Random(1)


def _with_random_ids(request: bytes) -> bytes:
    """The request with ids as browsers make them, each as long as it was."""
    for prefix in (b'"messageId":"', b'"anonymousId":"'):
        parts = request.split(prefix)
        ids = (str(uuid.UUID(int=_RANDOM.getrandbits(128), version=4)).encode() for _ in parts[1:])
        request = prefix.join([parts[0], *(one + part[36:] for one, part in zip(ids, parts[1:], strict=True))])
    return request


def _pressed(what: str, server: Server) -> None:
    folder = server.data_dir / "spool"
    events, plain = count_spooled(folder, {}), _stored_bytes(folder)
    begun = time.process_time()
    for path in segments(folder):
        press(path, threading.Lock())
    spent, pressed = time.process_time() - begun, _stored_bytes(folder)
    assert count_spooled(folder, {}) == events
    day = DAY_EVENTS / events / 1e9
    print(
        f"{what}: {events:,} events of {plain / events:.0f} B, pressed {pressed / events:.1f} B, for "
        f"{spent / events * 1e6:.1f} us CPU each; a day at 1,000/s: {plain * day:.0f} and {pressed * day:.1f} GB"
    )


def _stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in segments(folder))


if __name__ == "__main__":
    main()
