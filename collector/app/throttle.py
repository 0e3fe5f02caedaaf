"""How much each source and each address may send: token buckets, in the memory of one worker.

A bucket holds `rate * burst_seconds` tokens, at least one, and gets `rate` of them a second until it is full. A request
passes while each of its buckets holds a whole token, and takes one for each of its events, at least one. It may take
more than there are: the bucket is in debt then, and the next request waits until that is paid. So no batch is too large
to ever pass, and within any t seconds a bucket lets through at most `rate * (burst_seconds + t)` events and a request
more. What is refused takes nothing.

Of a bucket there is one number, the moment at which it will be full again. An address is kept as a keyed hash only, an
IPv6 one by its /64, which is what one subscriber has. A server's key has no bucket for its address: it sends for many.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from collector.reason import Reason, Refused

# Buckets are kept in two generations of so many: one that nobody asked for while so many others were asked for is
# forgotten, that is, full. At about 120 bytes each, those of the addresses take 8 MB at most.
GENERATION_BUCKETS = 32_768
_NS = 1_000_000_000
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address as an IPv6 one (RFC 4291, section 2.5.5.2)


class Throttled(Refused):
    """Too much was sent; `retry_after_seconds` says when to come again."""

    def __init__(self, sentence: str, retry_after_seconds: int) -> None:
        super().__init__(Reason.RATE_LIMITED, f"{sentence}; send it again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Rates(NamedTuple):
    """Events a second, 0 for as many as come; and for how many seconds of quiet a sender is credited."""

    source: float = 0
    address: float = 0
    burst_seconds: float = 10

    def share(self, workers: int) -> Rates:
        """What each of so many workers may let through."""
        return self._replace(source=self.source / workers, address=self.address / workers)


class Buckets:
    """Token buckets of one rate, by key. Times are nanoseconds of one clock that never goes back."""

    __slots__ = ("_full_at", "_generation_buckets", "_nearly_empty_ns", "_old", "_token_ns")

    def __init__(self, rate: float, burst_seconds: float, generation_buckets: int = GENERATION_BUCKETS) -> None:
        """`rate` is above 0."""
        self._token_ns = max(round(_NS / rate), 1)
        # A bucket with one whole token is full again after so long.
        self._nearly_empty_ns = max(round(burst_seconds * _NS) - self._token_ns, 0)
        self._generation_buckets = generation_buckets
        self._full_at: dict[int | str, int] = {}
        self._old: dict[int | str, int] = {}

    def take(self, key: int | str, tokens: int, now_ns: int) -> int:
        """Take tokens, more than there are if need be, and return 0; without a whole token, how long until there is."""
        try:
            full_at = self._full_at[key]
        except KeyError:
            full_at = self._recalled(key)
        wait_ns = full_at - now_ns - self._nearly_empty_ns
        if wait_ns > 0:
            return wait_ns
        self._full_at[key] = (full_at if full_at > now_ns else now_ns) + tokens * self._token_ns
        return 0

    def give_back(self, key: int | str, tokens: int) -> None:
        """Undo a `take` of this moment."""
        self._full_at[key] -= tokens * self._token_ns

    def __len__(self) -> int:
        return len(self._full_at) + len(self._old)

    def _recalled(self, key: int | str) -> int:
        """Take a bucket over from the generation before, or make a full one."""
        full_at = self._old.get(key, 0)
        if len(self._full_at) >= self._generation_buckets:
            self._old, self._full_at = self._full_at, {}
        self._full_at[key] = full_at
        return full_at


class Throttle:
    """The buckets of one worker."""

    __slots__ = ("_addresses", "_now_ns", "_rates", "_secret", "_sources")

    def __init__(self, rates: Rates, now_ns: Callable[[], int], secret: str = "") -> None:
        """`now_ns` is a clock that never goes back; `secret` the key of the addresses' hashes, random by default."""
        self._rates = rates
        self._now_ns = now_ns
        self._secret = secret or os.urandom(16).hex()
        self._sources = Buckets(rates.source, rates.burst_seconds) if rates.source else None
        self._addresses = Buckets(rates.address, rates.burst_seconds) if rates.address else None

    def take(self, source_id: str, address: str, events: int) -> None:
        """Let a request pass, and count its events.

        Args:
            source_id: Its source.
            address: The client's; "" for one that is not to be counted.
            events: As many as it has.
        Raises:
            Throttled: it has to wait; nothing is counted.
        """
        now_ns = self._now_ns()
        tokens = events or 1
        sources = self._sources
        if sources is not None and (wait_ns := sources.take(source_id, tokens, now_ns)):
            raise self._throttled(f"source {source_id}", self._rates.source, wait_ns)
        if address and (addresses := self._addresses) is not None:
            # Python's own hash is a keyed one, SipHash, and takes a tenth of the time of those in hashlib.
            key = self._network(address) if ":" in address else hash(self._secret + address)
            wait_ns = addresses.take(key, tokens, now_ns)
            if wait_ns:
                if sources is not None:
                    sources.give_back(source_id, tokens)
                raise self._throttled("this address", self._rates.address, wait_ns)

    def _throttled(self, who: str, rate: float, wait_ns: int) -> Throttled:
        seconds = -(-wait_ns // _NS)
        return Throttled(f"{who} sends more than {rate:,g} events a second, the limit", seconds)

    def _network(self, address: str) -> int:
        """The key of an IPv6 address: that of its /64, or of the IPv4 address it stands for."""
        try:
            packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
        except (OSError, ValueError):  # no address: a proxy of ours wrote it
            return hash(self._secret + address)
        if packed.startswith(_MAPPED):
            return hash(self._secret + socket.inet_ntop(socket.AF_INET, packed[12:]))
        return hash((self._secret, packed[:8]))
