"""What the loader remembers of the events it stored last: their ids, and of millions more whether they may be stored.

    add -> young -> old -> Sieve: young -> old -> forgotten

Both are counted in ids, not in time, so that a spool which filled up during an outage is emptied as fast as any.
"""

from __future__ import annotations

from collections.abc import Iterable

GENERATION_IDS = 250_000  # two generations of ids at about 150 bytes each: at most 80 MB
# An event is looked up in the database unless the minute before it happened is remembered (load.AHEAD_MS_MAX). Two
# generations of this many keep that minute at 60,000 events/s, of whose ids 500,000 are eight seconds.
SIEVE_IDS = 4_000_000
SIEVE_BITS = 2**27  # 16 MB a generation, made when the first is needed; of four million ids 1 in 280 seems to be in it


class RecentIds:
    """Ids of the events loaded last, in two generations. `since_ms`: all stored events received from then on are known.

    `sieve` has those that came before and were forgotten here.
    """

    def __init__(self) -> None:
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._young_newest_ms = self._old_newest_ms = 0
        self.since_ms = 0
        self.sieve = Sieve()

    def __contains__(self, key: str) -> bool:
        return key in self._young or key in self._old

    def knows_any(self, keys: set[str]) -> bool:
        """True when one of these is among them."""
        return not (self._young.isdisjoint(keys) and self._old.isdisjoint(keys))

    def add(self, keys: Iterable[str], newest_ms: int) -> None:
        """Remember ids of stored events, the last received at `newest_ms`; of too many, forget the oldest."""
        self._young.update(keys)
        self._young_newest_ms = max(self._young_newest_ms, newest_ms)
        if len(self._young) >= GENERATION_IDS:
            if self._old:
                self.since_ms = max(self.since_ms, self._old_newest_ms + 1)
                self.sieve.add(self._old, self._old_newest_ms)
            self._old, self._young = self._young, set()
            self._old_newest_ms, self._young_newest_ms = self._young_newest_ms, 0

    def unknown_until(self, received_ms: int) -> None:
        """Events received up to then are stored which are not remembered here; the sieve may know of them."""
        self.since_ms = max(self.since_ms, received_ms + 1)


class Sieve:
    """Tells of most ids that they are new: a Bloom filter of two bits an id, in two generations.

    Whatever was added is `in` it, and a few that were not. `since_ms`: all stored events received from then on were
    added, but for those that RecentIds still knows.
    """

    def __init__(self) -> None:
        self._young = self._old = bytearray()
        self._count = 0
        self._young_newest_ms = self._old_newest_ms = 0
        self.since_ms = 0

    def add(self, keys: set[str], newest_ms: int) -> None:
        """Remember ids of stored events, the last received at `newest_ms`; of too many, forget the oldest."""
        if not self._young or self._count + len(keys) > SIEVE_IDS:
            if self._old:
                self.since_ms = max(self.since_ms, self._old_newest_ms + 1)
            self._old, self._young = self._young, bytearray(SIEVE_BITS // 8)
            self._old_newest_ms, self._young_newest_ms, self._count = self._young_newest_ms, 0, 0
        bits = self._young
        for key in keys:
            first = hash(key)
            second = first >> 32
            bits[first % SIEVE_BITS >> 3] |= 1 << (first & 7)
            bits[second % SIEVE_BITS >> 3] |= 1 << (second & 7)
        self._count += len(keys)
        self._young_newest_ms = max(self._young_newest_ms, newest_ms)

    def unknown_until(self, received_ms: int) -> None:
        """Events received up to then are stored of which it was not told."""
        self.since_ms = max(self.since_ms, received_ms + 1)

    def __contains__(self, key: str) -> bool:
        first = hash(key)
        second = first >> 32
        at, bit = first % SIEVE_BITS >> 3, 1 << (first & 7)
        also_at, also_bit = second % SIEVE_BITS >> 3, 1 << (second & 7)
        young, old = self._young, self._old
        held = young and young[at] & bit and young[also_at] & also_bit
        return bool(held or (old and old[at] & bit and old[also_at] & also_bit))
