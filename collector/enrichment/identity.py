"""Who an event belongs to when the client does not say: ids, daily visitor hashes, the client's address.

    (salt of the day, source, truncated address, user agent) --keyed BLAKE2b--> visitor_id, "c_…"

A visitor hash lives for one UTC day; a visit that midnight finds under way keeps it to its end (visits.py). The salt is
random, not derived from a secret, so once it is destroyed nobody, the operator included, can recompute an id from an
address. Yesterday's salt is kept for such visits and for requests that began before midnight; older ones are
overwritten.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import msgspec

from collector.enrichment.visits import VISIT_MS, Visits

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

DAY_MS = 86_400_000
SALT_BYTES = 32

# 22 characters of base64; two of a billion visitors collide with a chance of 1 in 10^21.
ID_BYTES = 16

# Always this size, so that rewriting it in place needs no new disk space: midnight works on a full disk. Three salts
# (a clock set back may leave tomorrow's) are about 230 bytes.
SALT_FILE_BYTES = 512

# The file is held for one read, one write and one fsync. A holder of two seconds is stopped or its disk is.
LOCK_TRIES = 200
LOCK_PAUSE_S = 0.01

# An address text that is longer is garbage (see geo.py); a user agent that is longer is cut as device.py cuts it.
ADDRESS_MAX = 64
USER_AGENT_MAX = 512

# A hash costs 2 us, and visitors send several events. 10,000 x about 1 KB, in memory only, emptied with the salt.
VISITOR_CACHE_MAX = 10_000

# Parsing an address costs 3 us. 20,000 x about 300 bytes, in memory only.
ADDRESS_CACHE_MAX = 20_000

# A chain of more proxies than this is forged; the header is read from its right end.
HOPS_MAX = 16
FORWARDED_MAX = 2_048


def message_id(now_ms: int, random_bytes: bytes) -> str:
    """A UUIDv7 (RFC 9562, section 5.7) as text, for an event that came without an id.

    Args:
        now_ms: Milliseconds since the epoch; ids sort by it.
        random_bytes: 10 random bytes; more are ignored.
    Raises:
        ValueError: fewer than 10 bytes.
    """
    if len(random_bytes) < 10:
        raise ValueError(f"a UUIDv7 needs 10 random bytes, got {len(random_bytes)}")
    noise = int.from_bytes(random_bytes[:10], "big")
    high = (now_ms & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | noise >> 68
    low = 0x8000_0000_0000_0000 | noise & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Salts:
    """The salts of today and yesterday, in one small file that all workers of a host share.

    The file is locked while it is read or changed, so workers that start, or pass midnight, at the same moment agree.
    It is overwritten in place: the bytes of a destroyed salt are gone from the file itself, not only from its name. A
    damaged file is treated as empty, which costs that day's visitors a second id and nothing else.
    """

    def __init__(
        self,
        path: Path,
        random: Callable[[int], bytes] = os.urandom,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`path` is the salt file, created with mode 0600 when needed; keep it out of backups."""
        self._path = path
        self._random = random
        self._pause = pause
        self._keyed: dict[int, blake2b] = {}  # by day: the hash with its salt already in it, copied for each id
        self._cached = lru_cache(maxsize=VISITOR_CACHE_MAX)(self._hash)
        self._visits = Visits(path.with_suffix(".visits"))

    def visitor_id(self, now_ms: int, source_id: str, address: str, user_agent: str) -> str:
        """The visitor of this day or visit: "c_" and 22 url-safe characters. Any text is taken; none is written.

        Raises:
            OSError: at the first call of a day, the salt file cannot be locked, read or written. The caller answers as
                for a spool that cannot be written (503): an id from an unshared salt would count visitors twice.
        """
        day, address, user_agent = now_ms // DAY_MS, address[:ADDRESS_MAX], user_agent[:USER_AGENT_MAX]
        visitor = self._cached(day, source_id, address, user_agent)
        if day - 1 in self._keyed and self._visits.under_way(now_ms):
            before = self._cached(day - 1, source_id, address, user_agent)
            if self._visits.goes_on(before, now_ms):
                return before
        if now_ms % DAY_MS >= DAY_MS - VISIT_MS:
            self._visits.note(visitor, now_ms)
        return visitor

    def _hash(self, day: int, source_id: str, address: str, user_agent: str) -> str:
        keyed = self._keyed.get(day) or self._load(day)
        who = f"{source_id}\0{truncate_address(address)}\0{user_agent}"
        hashed = keyed.copy()
        hashed.update(who.encode("utf-8", "replace"))
        return "c_" + urlsafe_b64encode(hashed.digest())[:22].decode("ascii")

    def secret(self, now_ms: int, purpose: bytes) -> bytes:
        """ID_BYTES secret bytes of this day for another purpose; they end with the day's salt.

        Args:
            now_ms: Of today or yesterday; any other day's secret is made, and today's destroyed.
            purpose: A short name of our own. No visitor's text can be the same: it begins with a source, never with \0.
        Raises:
            OSError: as visitor_id.
        """
        day = now_ms // DAY_MS
        keyed = (self._keyed.get(day) or self._load(day)).copy()
        keyed.update(b"\0" + purpose)
        return keyed.digest()

    def expire(self, now_ms: int) -> None:
        """Destroy salts older than yesterday's, also when no event comes to do it.

        Every worker calls it hourly: the file is shared, but each holds the salts it has used in its own memory.

        Raises:
            OSError: as visitor_id.
        """
        self._refresh(now_ms // DAY_MS, create=False)
        self._visits.forget(now_ms)

    def _load(self, day: int) -> blake2b:
        self._refresh(day, create=True)
        return self._keyed[day]

    def _refresh(self, day: int, *, create: bool) -> None:
        with self._locked() as file:
            stored = _read_salts(file)
            kept = {known: salt for known, salt in stored.items() if abs(known - day) <= 1}
            if create and day not in kept:
                kept[day] = self._random(SALT_BYTES)
            if kept != stored:
                _write_salts(file, kept)
        self._cached.cache_clear()  # it, too, joins addresses to ids
        self._keyed = {known: blake2b(key=salt, digest_size=ID_BYTES) for known, salt in kept.items()}

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(file, 0o600)
            self._lock(file)
            yield file
        finally:
            os.close(file)  # which also releases the lock

    def _lock(self, file: int) -> None:
        for _ in range(LOCK_TRIES):
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._pause(LOCK_PAUSE_S)
        seconds = LOCK_TRIES * LOCK_PAUSE_S
        raise TimeoutError(f"salt file {self._path} stayed locked for {seconds:g} s; look for a stopped worker")


def _read_salts(file: int) -> dict[int, bytes]:
    """The salts by day (days since the epoch); {} for a new or damaged file."""
    try:
        stored = msgspec.json.decode(os.pread(file, SALT_FILE_BYTES, 0), type=dict[int, str])
        salts = {day: bytes.fromhex(salt) for day, salt in stored.items()}
    except (msgspec.MsgspecError, ValueError):
        return {}
    return salts if all(len(salt) == SALT_BYTES for salt in salts.values()) else {}


def _write_salts(file: int, salts: dict[int, bytes]) -> None:
    text = msgspec.json.encode({day: salt.hex() for day, salt in salts.items()}).ljust(SALT_FILE_BYTES)
    if os.pwrite(file, text, 0) != SALT_FILE_BYTES:
        raise OSError("salt file was written only in part; free some disk space")
    os.ftruncate(file, SALT_FILE_BYTES)
    os.fsync(file)


@lru_cache(maxsize=ADDRESS_CACHE_MAX)
def _parse_address(text: str) -> Address | None:
    """The address a text holds, without zone and as IPv4 when it is IPv4-mapped; None for anything else."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


@lru_cache(maxsize=ADDRESS_CACHE_MAX)
def _truncated(text: str) -> str:
    address = _parse_address(text)
    if address is None:
        return ""
    bits = 8 if address.version == 4 else 80
    return str(type(address)(int(address) >> bits << bits))


def truncate_address(address: str) -> str:
    """The /24 of an IPv4 address or the /48 of an IPv6 one, as an address; "" for garbage. Never raises."""
    return _truncated(address) if len(address) <= ADDRESS_MAX else ""


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The address of the client: the rightmost one that no trusted proxy owns. Never raises.

    Reading from the left, as many collectors do, lets any client choose its address.

    Args:
        peer: The address the connection came from.
        forwarded_for: X-Forwarded-For as sent, several headers joined by commas; entries may carry a port.
        trusted: Networks of our own proxies. None trusted: the header is ignored.
    Returns:
        An address in its plain form, or `peer` as it is when it is not trusted or the header holds garbage where the
        client should be. When every hop is trusted, the leftmost of them.
    """
    here = _parse_address(peer) if trusted and len(peer) <= ADDRESS_MAX else None
    if here is None or not forwarded_for or not _is_trusted(here, trusted):
        return peer
    client = here
    for hop in reversed(forwarded_for[-FORWARDED_MAX:].split(",")[-HOPS_MAX:]):
        found = _hop_address(hop)
        if found is None:
            return peer
        client = found
        if not _is_trusted(found, trusted):
            break
    return str(client)


def _hop_address(hop: str) -> Address | None:
    """One entry of X-Forwarded-For: an address, "[v6]:port" or "v4:port"."""
    text = hop.strip()
    if len(text) > ADDRESS_MAX:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _parse_address(text)


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
