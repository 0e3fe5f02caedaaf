"""Clients that never give up, and the account of what they sent, what was acknowledged and what must be stored."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT_SECONDS = 10.0
PAUSE_SECONDS = 0.01  # between requests and between attempts: the machine is shared with what is under test
LAST_SECONDS_MAX = 60.0  # for what is unacknowledged at the end
BATCH_EVENTS_MAX = 10
# Of one visitor. Of one with hundreds of thousands each look-up for a duplicate reads all, and each refresh of stored
# sessions: in a long run the loader would fall behind for ever.
VISITOR_EVENTS_MAX = 1_000


def checksum(message_id: str) -> int:
    """A property that belongs to one message id and to no other."""
    return zlib.crc32(message_id.encode())


class Senders:
    """A few threads, each with a keep-alive connection, that send batches with ids of their own.

    Whatever is not answered with 2xx is sent again under the same ids, as the tag does, until it is.
    """

    def __init__(self, port: int, write_key: str, threads: int, seed: int, name: str) -> None:
        self._port = port
        self._write_key = write_key
        self._name = name
        self._stop = threading.Event()
        self._give_up = threading.Event()
        self._sent: list[set[str]] = [set() for _ in range(threads)]
        self._acked: list[set[str]] = [set() for _ in range(threads)]
        self.attempts_failed = 0
        self.statuses: set[int] = set()
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._send, args=(n, random.Random(seed + n))) for n in range(threads)]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def finish(self, *, unacked: bool = True) -> None:
        """Send no new batch; with `unacked`, first have the last ones acknowledged. Raises what a thread saw."""
        self._stop.set()
        if not unacked:
            self._give_up.set()
        deadline = time.monotonic() + LAST_SECONDS_MAX
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        self._give_up.set()
        for thread in self._threads:
            thread.join()
        assert not self.errors, self.errors[:3]

    @property
    def sent(self) -> set[str]:
        """Ids that were sent at least once."""
        return set().union(*self._sent)

    @property
    def acked(self) -> set[str]:
        """Ids that were answered 2xx: ours to keep."""
        return set().union(*self._acked)

    def until_acked(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many more events are acknowledged."""
        deadline = time.monotonic() + seconds
        target = self._count() + count
        while self._count() < target:
            assert time.monotonic() < deadline, f"{target - self._count()} of {count} events not acked in {seconds} s"
            assert not self.errors, self.errors[:3]
            time.sleep(0.01)

    def _count(self) -> int:
        return sum(len(acked) for acked in self._acked)

    def _send(self, number: int, rng: random.Random) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        done = 0
        while not self._stop.is_set():
            ids = [f"{self._name}{number}-{done + n}" for n in range(rng.randint(1, BATCH_EVENTS_MAX))]
            done += len(ids)
            occurred_ms = time.time_ns() // 1_000_000
            self._sent[number].update(ids)
            while not self._attempt(connection, number, ids, occurred_ms):
                self.attempts_failed += 1
                if self._give_up.wait(PAUSE_SECONDS):
                    return
            self._acked[number].update(ids)
            self._stop.wait(PAUSE_SECONDS)
        connection.close()

    def _attempt(self, connection: http.client.HTTPConnection, number: int, ids: list[str], occurred_ms: int) -> bool:
        # One thread says when its events happened and when it sends, one only when they happened, one nothing.
        timed = {"timestamp": occurred_ms} if number % 3 < 2 else {}
        events = [
            {
                "type": "track",
                "event": "crash_tested",
                "messageId": message_id,
                "anonymousId": f"visitor {number} {int(message_id.rpartition('-')[2]) // VISITOR_EVENTS_MAX}",
                "properties": {"checksum": checksum(message_id)},
                **timed,
            }
            for message_id in ids
        ]
        sent_at = {"sentAt": time.time_ns() // 1_000_000} if number % 3 == 0 else {}
        body = json.dumps({"batch": events, "writeKey": self._write_key, **sent_at})
        try:
            connection.request("POST", "/v1/batch", body, {"content-type": "text/plain"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        if answer.getheader("content-length") is None:  # cut off in its head, which http.client does not mind
            connection.close()
            return False
        self.statuses.add(answer.status)
        if answer.status == 503:
            return False
        if answer.status != 200 or json.loads(content) != {"accepted": len(ids), "rejected": []}:
            self.errors.append(f"{answer.status} {content[:500]!r}")
            self._give_up.set()
            return False
        return True


@contextmanager
def sending(port: int, write_key: str, threads: int = 4, seed: int = 1, name: str = "") -> Iterator[Senders]:
    """Senders for the length of a with block, stopped in any case. `name` begins their ids."""
    senders = Senders(port, write_key, threads, seed, name)
    senders.start()
    try:
        yield senders
    finally:
        senders.finish(unacked=False)


def assert_stored(rows: list[dict[str, object]], senders: Senders) -> None:
    """Every acked event is stored, each once and as it was sent, and nothing that was never sent.

    Args:
        rows: message_id, n (how many rows have it) and properties of every event in the database, without FINAL.
    """
    stored = {str(row["message_id"]): row for row in rows}
    lost = senders.acked - stored.keys()
    assert not lost, f"{len(lost)} acked events are lost, such as {sorted(lost)[:5]}"
    double = [message_id for message_id, row in stored.items() if int(str(row["n"])) != 1]
    assert not double, f"{len(double)} events are stored more than once, such as {double[:5]}"
    foreign = stored.keys() - senders.sent
    assert not foreign, f"{len(foreign)} events were never sent, such as {sorted(foreign)[:5]}"
    for message_id, row in stored.items():
        assert json.loads(str(row["properties"])) == {"checksum": checksum(message_id)}, message_id


COUNT_ALL = "SELECT message_id, count() AS n, any(properties) AS properties FROM events GROUP BY message_id"
