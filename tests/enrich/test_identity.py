"""Event ids, daily visitor ids and the client's address: what they promise about people's privacy."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import stat
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrichment.identity import (
    ADDRESS_CACHE_MAX,
    DAY_MS,
    LOCK_TRIES,
    Salts,
    _truncated,
    client_address,
    message_id,
    truncate_address,
)
from collector.enrichment.visits import MINUTE_MS, VISIT_MS, Visits

ANY_TEXT = st.text(st.characters(exclude_categories=()))
quick = settings(derandomize=True, database=None, deadline=None, max_examples=80)

NOON = 20_414 * DAY_MS + DAY_MS // 2
MIDNIGHT = NOON + DAY_MS // 2
WHO = ("site", "198.51.100.7", "Mozilla/5.0")


@pytest.fixture
def salt_file(tmp_path: Path) -> Path:
    return tmp_path / "salts"


# --- event ids


@quick
@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=16))
def test_a_message_id_is_a_uuid_7_of_its_time(now_ms: int, noise: bytes) -> None:
    text = message_id(now_ms, noise)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == now_ms


def test_a_message_id_holds_74_random_bits_and_sorts_by_time() -> None:
    ids = {message_id(1, (1 << bit).to_bytes(10, "big")) for bit in range(80)}
    assert len(ids) == 74 + 1  # the bits under version and variant change nothing
    assert message_id(1, b"\xff" * 10) < message_id(2, b"\x00" * 10)
    with pytest.raises(ValueError, match="10 random bytes"):
        message_id(1, b"short")


# --- visitor ids


def test_a_visitor_keeps_one_id_for_a_day(salt_file: Path) -> None:
    salts = Salts(salt_file)
    first = salts.visitor_id(NOON, *WHO)
    assert first == salts.visitor_id(MIDNIGHT - VISIT_MS - 1, *WHO) == Salts(salt_file).visitor_id(NOON, *WHO)
    assert len(first) == 24
    assert first.startswith("c_")
    assert first != salts.visitor_id(MIDNIGHT, *WHO)


def test_a_visit_that_midnight_finds_under_way_keeps_its_id_to_its_end(salt_file: Path) -> None:
    """Through any of several workers; another visitor's does not, nor does the next visit or the next night."""
    one, two = Salts(salt_file), Salts(salt_file)
    first = one.visitor_id(MIDNIGHT - 20 * MINUTE_MS, *WHO)
    for minute in (-5, 5, 30, 60, 61):
        at = MIDNIGHT + minute * MINUTE_MS
        assert two.visitor_id(at, *WHO) == first, f"{minute} minutes after midnight"
        one.expire(at)
    assert Salts(salt_file).visitor_id(MIDNIGHT + 90 * MINUTE_MS, *WHO) == first
    stranger = ("site", "203.0.113.9", "Mozilla/5.0")
    of_today = one.visitor_id(MIDNIGHT + 62 * MINUTE_MS, *stranger)
    assert of_today == one.visitor_id(MIDNIGHT + 9 * VISIT_MS, *stranger)
    visits = salt_file.with_suffix(".visits")
    assert stat.S_IMODE(visits.stat().st_mode) == 0o600
    assert visits.stat().st_size > 0

    later = MIDNIGHT + (90 + 32) * MINUTE_MS
    second = two.visitor_id(later, *WHO)
    assert second != first
    assert one.visitor_id(later + 1, *WHO) == second
    one.expire(later)
    assert visits.read_bytes() == b"", "nothing of a visit outlives it"
    # The one that keeps its id through a whole day does not through another: the salt is destroyed.
    at = MIDNIGHT + DAY_MS - 10 * MINUTE_MS
    second = one.visitor_id(at, *WHO)
    seen = {one.visitor_id(at + quarter * VISIT_MS // 2, *WHO) for quarter in range(2 * 48)}
    assert seen == {second}
    assert one.visitor_id(at + DAY_MS + VISIT_MS, *WHO) != second


def test_a_visit_becomes_two_where_it_cannot_be_noted_and_no_event_is_lost(salt_file: Path) -> None:
    salt_file.with_suffix(".visits").mkdir()
    salts = Salts(salt_file)
    first = salts.visitor_id(MIDNIGHT - 1, *WHO)
    assert salts.visitor_id(MIDNIGHT, *WHO) != first
    salts.expire(MIDNIGHT + DAY_MS)


@pytest.mark.parametrize("damage", [b"\xff" * 600_000, b"\x01" * 70, b"\x00"])
def test_a_damaged_file_of_visits_costs_no_event(salt_file: Path, damage: bytes) -> None:
    salts = Salts(salt_file)
    salts.visitor_id(NOON, *WHO)
    salt_file.with_suffix(".visits").write_bytes(damage)
    for minute in range(-40, 80, 7):
        assert salts.visitor_id(MIDNIGHT + minute * MINUTE_MS, *WHO).startswith("c_")


def test_of_visits_that_meet_in_one_place_the_one_seen_longest_ago_gives_way(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "visits")
    ids = [f"c_{urlsafe_b64encode((n << 64 | 5).to_bytes(16, 'big'))[:22].decode()}" for n in range(1, 10)]
    for minute, visitor_id in enumerate(ids):
        visits.note(visitor_id, MIDNIGHT + minute * MINUTE_MS)
    assert [visits.goes_on(visitor_id, MIDNIGHT + 9 * MINUTE_MS) for visitor_id in ids] == [False, *[True] * 8]
    assert (tmp_path / "visits").stat().st_size <= 64 + 8_192 * 64


def test_an_id_depends_on_source_network_and_user_agent_but_not_on_the_exact_address(salt_file: Path) -> None:
    salts = Salts(salt_file)
    ids = [
        salts.visitor_id(NOON, *who)
        for who in [
            WHO,
            ("other", "198.51.100.7", "Mozilla/5.0"),
            ("site", "198.51.101.7", "Mozilla/5.0"),
            ("site", "198.51.100.7", "Mozilla/5.1"),
            ("site", "", "Mozilla/5.0"),
            ("site", "2001:db8:1::1", "Mozilla/5.0"),
        ]
    ]
    assert len(set(ids)) == len(ids)
    assert salts.visitor_id(NOON, "site", "198.51.100.250", "Mozilla/5.0") == ids[0]
    assert salts.visitor_id(NOON, "site", "::ffff:198.51.100.7", "Mozilla/5.0") == ids[0]
    assert salts.visitor_id(NOON, "site", "2001:db8:1:ffff::9", "Mozilla/5.0") == ids[-1]


def test_another_installation_gives_other_ids(tmp_path: Path) -> None:
    assert Salts(tmp_path / "a").visitor_id(NOON, *WHO) != Salts(tmp_path / "b").visitor_id(NOON, *WHO)


def test_after_48_hours_nobody_can_recompute_an_id(salt_file: Path) -> None:
    made: list[bytes] = []

    def random(size: int) -> bytes:
        made.append(os.urandom(size))
        return made[-1]

    salts = Salts(salt_file, random)
    midnight = NOON - DAY_MS // 2
    day_1 = salts.visitor_id(midnight, *WHO)
    salts.visitor_id(midnight + DAY_MS, *WHO)
    assert Salts(salt_file).visitor_id(midnight, *WHO) == day_1
    assert made[0].hex().encode() in salt_file.read_bytes()

    salts.expire(midnight + 2 * DAY_MS)
    assert made[0].hex().encode() not in salt_file.read_bytes()
    assert made[1].hex().encode() in salt_file.read_bytes()
    assert list(salts._keyed) == [midnight // DAY_MS + 1]
    assert salts._cached.cache_info().currsize == 0
    assert Salts(salt_file).visitor_id(midnight, *WHO) != day_1
    assert len(made) == 2


def test_a_quiet_site_destroys_its_salts_too(salt_file: Path) -> None:
    salts = Salts(salt_file)
    salts.visitor_id(NOON, *WHO)
    before = salt_file.read_bytes()
    salts.expire(NOON + DAY_MS)
    assert salt_file.read_bytes() == before
    salts.expire(NOON + 9 * DAY_MS)
    assert salt_file.read_bytes().strip() == b"{}"


def test_the_file_is_private_small_and_holds_no_address(salt_file: Path) -> None:
    salt_file.touch()
    salt_file.chmod(0o666)
    salts = Salts(salt_file)
    for day in range(5):
        salts.visitor_id(NOON + day * DAY_MS, *WHO)
        assert salt_file.stat().st_size == 512  # rewritten in place, so midnight needs no free disk space
    assert stat.S_IMODE(salt_file.stat().st_mode) == 0o600
    assert b"198.51" not in salt_file.read_bytes()
    assert [path.name for path in salt_file.parent.iterdir()] == ["salts"]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\x00" * 512, b'{"20414":"zz"}', b'{"20414":"00"}', b'{"a":"b"}', b"[1]", b"\xff" * 600]
)
def test_a_damaged_file_is_replaced(salt_file: Path, damage: bytes) -> None:
    salt_file.write_bytes(damage)
    first = Salts(salt_file).visitor_id(NOON, *WHO)
    assert first == Salts(salt_file).visitor_id(NOON, *WHO)
    assert salt_file.stat().st_size == 512


def test_workers_that_start_and_pass_midnight_together_agree(salt_file: Path) -> None:
    worker = (
        "import sys, pathlib\n"
        "from collector.enrichment.identity import Salts\n"
        "salts = Salts(pathlib.Path(sys.argv[1]))\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(salts.visitor_id(int(line), 'site', '198.51.100.7', 'Mozilla/5.0'), flush=True)\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", worker, str(salt_file)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        assert [_read_line(process) for process in workers] == ["ready"] * 4
        seen = set()
        for day in range(20):
            for process in workers:
                assert process.stdin is not None
                process.stdin.write(f"{NOON + day * DAY_MS}\n")
                process.stdin.flush()
            ids = {_read_line(process) for process in workers}
            assert len(ids) == 1, f"on day {day} workers disagree"
            seen |= ids
        assert len(seen) == 20
    finally:
        for process in workers:
            process.communicate()


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_stopped_worker_holding_the_file_is_named_after_a_bounded_wait(salt_file: Path) -> None:
    pauses: list[float] = []
    with salt_file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="stayed locked for 2 s"):
            Salts(salt_file, pause=pauses.append).visitor_id(NOON, *WHO)
    assert len(pauses) == LOCK_TRIES
    assert Salts(salt_file).visitor_id(NOON, *WHO)


def test_a_salt_file_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Salts(tmp_path / "missing" / "salts").visitor_id(NOON, *WHO)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Salts(tmp_path / "link").visitor_id(NOON, *WHO)


# One salt file for all examples: what is tested is the text, not the file.
@pytest.fixture(scope="module")
def some_salts(tmp_path_factory: pytest.TempPathFactory) -> Salts:
    return Salts(tmp_path_factory.mktemp("salts") / "salts")


@quick
@given(source=ANY_TEXT, address=ANY_TEXT | st.ip_addresses().map(str), user_agent=ANY_TEXT)
def test_no_text_makes_a_visitor_id_raise(some_salts: Salts, source: str, address: str, user_agent: str) -> None:
    made = some_salts.visitor_id(NOON, source, address, user_agent)
    assert len(made) == 24
    assert made.removeprefix("c_").replace("-", "").replace("_", "").isalnum()


# --- addresses


@pytest.mark.parametrize(
    ("address", "truncated"),
    [
        ("198.51.100.7", "198.51.100.0"),
        ("255.255.255.255", "255.255.255.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("2001:DB8:1::", "2001:db8:1::"),
        ("::1", "::"),
        ("::ffff:198.51.100.7", "198.51.100.0"),
        ("fe80::1%eth0", "fe80::"),
        (" 198.51.100.7 ", "198.51.100.0"),
        ("", ""),
        ("unknown", ""),
        ("198.51.100", ""),
        ("198.51.100.7:80", ""),
        ("198.51.100.07", ""),
        ("1" * 100_000, ""),
        ("\ud800\x00", ""),
    ],
)
def test_addresses_are_cut_to_24_and_48_bits(address: str, truncated: str) -> None:
    assert truncate_address(address) == truncated


@quick
@given(st.ip_addresses())
def test_a_truncated_address_is_its_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    bits = 24 if mapped.version == 4 else 48
    assert truncate_address(str(address)) == str(ipaddress.ip_network((mapped, bits), strict=False).network_address)


def test_a_flood_of_addresses_stays_within_the_cache() -> None:
    for number in range(ADDRESS_CACHE_MAX + 500):
        truncate_address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert _truncated.cache_info().currsize == ADDRESS_CACHE_MAX


PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8:ffff::/48")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1,198.51.100.7, 10.0.0.2 ,10.0.0.3", "198.51.100.7"),
        ("10.0.0.1", "10.9.9.9, 10.0.0.2", "10.9.9.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("2001:db8:ffff::1", "2001:DB8::7", "2001:db8::7"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "fe80::7%eth0", "fe80::7"),
        ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "unknown, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7,", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("10.0.0.1", "\x00\ud800", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1," * 100_000 + "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "9" * 1_000_000, "10.0.0.1"),
        ("", "198.51.100.7", ""),
        ("unix:", "198.51.100.7", "unix:"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_not_ours(peer: str, forwarded_for: str, client: str) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == client


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert client_address("10.0.0.1", "198.51.100.7", ()) == "10.0.0.1"


@quick
@given(ANY_TEXT, st.lists(ANY_TEXT | st.ip_addresses().map(str)))
def test_no_header_makes_it_raise_or_invent_an_address(peer: str, hops: list[str]) -> None:
    assert client_address(peer, ",".join(hops), PROXIES) == peer
    client = client_address("10.0.0.1", ",".join(hops), PROXIES)
    assert str(ipaddress.ip_address(client)) == client


def test_no_salt_outlives_48_hours_in_any_file_of_the_data_directory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A month of a simulated clock, two workers: of all salts ever made, only today's and yesterday's are anywhere."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    made: dict[int, bytes] = {}
    hour = 0

    def random(size: int) -> bytes:
        made[hour] = os.urandom(size)
        return made[hour]

    workers = [Salts(data_dir / "salts.json", random) for _ in range(2)]
    begun = NOON - DAY_MS // 2
    inode = None
    caplog.set_level("DEBUG")
    for hour in range(30 * 24):
        now_ms = begun + hour * 3_600_000
        for worker in workers:
            worker.expire(now_ms)  # as a worker does each hour
        if hour % 7 == 0:
            workers[hour % 2].visitor_id(now_ms, *WHO)
        inode = inode or (data_dir / "salts.json").stat().st_ino
        content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        too_old = [salt for born, salt in made.items() if hour - born > 48]
        assert not [salt for salt in too_old if salt in content or salt.hex().encode() in content]
        assert all(hour - born <= 48 or salt.hex() not in caplog.text for born, salt in made.items())
    assert len(made) == 30
    # Written over in its place: no older copy of the file was ever left behind under another inode.
    assert (data_dir / "salts.json").stat().st_ino == inode
    assert not [salt for salt in made.values() if salt.hex() in caplog.text]
    for worker in workers:
        assert max(worker._keyed) - min(worker._keyed) <= 1
