"""How much a source and an address may send, to the token, on a clock of our own."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.app.answers import refusal
from collector.app.throttle import GENERATION_BUCKETS, Buckets, Rates, Throttle, Throttled
from collector.reason import Reason

S = 1_000_000_000
SECRET = "of a test"


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * S

    def __call__(self) -> int:
        return self.now_ns

    def go(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)


def throttled(throttle: Throttle, source: str, address: str, events: int = 1) -> int:
    """Seconds to wait, 0 for what passes."""
    try:
        throttle.take(source, address, events)
    except Throttled as refused:
        assert refused.reason is Reason.RATE_LIMITED
        assert refused.sentence.endswith(f"the limit; send it again in {refused.retry_after_seconds} s")
        return refused.retry_after_seconds
    return 0


def test_a_full_bucket_lets_its_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    throttle = Throttle(Rates(source=10, burst_seconds=3), clock, SECRET)
    assert [throttled(throttle, "shop", "a") for _ in range(31)] == [0] * 30 + [1]
    for _ in range(5):
        clock.go(0.1)
        assert [throttled(throttle, "shop", "a") for _ in range(2)] == [0, 1]
    clock.go(3.0)
    assert [throttled(throttle, "shop", "a") for _ in range(31)] == [0] * 30 + [1]
    clock.go(1_000_000)
    assert [throttled(throttle, "shop", "a") for _ in range(31)] == [0] * 30 + [1], "never more than the burst"


def test_a_batch_larger_than_the_bucket_passes_and_is_paid_for_afterwards() -> None:
    clock = Clock()
    throttle = Throttle(Rates(source=10, burst_seconds=1), clock, SECRET)
    assert throttled(throttle, "shop", "a", 500) == 0
    assert throttled(throttle, "shop", "a") == 50, "until the 490 that were too many are paid, and one is there"
    clock.go(49.0)
    assert throttled(throttle, "shop", "a") == 1
    clock.go(0.09)
    assert throttled(throttle, "shop", "a") == 1
    clock.go(0.01)
    assert throttled(throttle, "shop", "a") == 0


def test_who_comes_when_told_is_let_through_and_a_second_earlier_is_not() -> None:
    clock = Clock()
    throttle = Throttle(Rates(source=0.3, address=7, burst_seconds=2), clock, SECRET)
    for events in (1, 3, 50, 2):
        assert throttled(throttle, "shop", "10.0.0.1", events) == 0
        seconds = throttled(throttle, "shop", "10.0.0.1")
        clock.go(seconds - 1)
        assert throttled(throttle, "shop", "10.0.0.1") == 1
        clock.go(1)


def test_a_rate_below_one_a_second_still_lets_one_through() -> None:
    clock = Clock()
    throttle = Throttle(Rates(source=0.01, burst_seconds=1), clock, SECRET)
    assert [throttled(throttle, "shop", "a") for _ in range(2)] == [0, 100]


def test_a_request_without_events_costs_one() -> None:
    throttle = Throttle(Rates(source=2, burst_seconds=1), Clock(), SECRET)
    assert [throttled(throttle, "shop", "a", 0) for _ in range(3)] == [0, 0, 1]


def test_sources_and_addresses_are_counted_apart_and_a_refusal_by_one_costs_nothing_with_the_other() -> None:
    throttle = Throttle(Rates(source=4, address=2, burst_seconds=1), Clock(), SECRET)
    assert [throttled(throttle, "shop", "10.0.0.1") for _ in range(4)] == [0, 0, 1, 1]
    assert [throttled(throttle, "shop", "10.0.0.2") for _ in range(3)] == [0, 0, 1], "the two refused took nothing"
    assert throttled(throttle, "shop", "10.0.0.3") == 1, "the source has sent its four"
    assert [throttled(throttle, "blog", "10.0.0.3") for _ in range(3)] == [0, 0, 1], "and took nothing from the address"
    assert throttled(throttle, "blog", "") == 0, "a server's address is not counted"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("no:address", "no:address", True),
        ("no:address", "nor:this", False),
    ],
)
def test_an_ipv6_address_is_counted_by_its_subscriber(one: str, other: str, same: bool) -> None:
    throttle = Throttle(Rates(address=1, burst_seconds=1), Clock(), SECRET)
    assert throttled(throttle, "shop", one) == 0
    assert (throttled(throttle, "shop", other) == 1) == same


def test_no_address_is_kept_and_two_workers_keep_it_as_different_numbers() -> None:
    throttles = [Throttle(Rates(address=1), Clock()) for _ in range(2)]
    for throttle in throttles:
        for address in ("203.0.113.7", "2001:db8::7"):
            throttle.take("shop", address, 1)
    kept = [set(throttle._addresses._full_at) for throttle in throttles if throttle._addresses is not None]
    assert all(isinstance(key, int) for keys in kept for key in keys)
    assert not kept[0] & kept[1]


def test_a_flood_of_addresses_takes_bounded_memory_and_leaves_the_busy_ones_counted() -> None:
    generation = GENERATION_BUCKETS // 16
    buckets = Buckets(1, 1, generation)
    tracemalloc.start()
    passed = 0
    for number in range(5 * generation):
        buckets.take(hash(("flood", number)), 1, 0)
        if number % 100 == 0:
            passed += buckets.take(-1, 1, 0) == 0
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert passed == 1
    assert len(buckets) <= 2 * generation
    assert peak_bytes < 8_000_000 / 16


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    rate=st.sampled_from([1, 2, 5, 10, 1_000]),
    burst_seconds=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 40)), min_size=1, max_size=60),
)
def test_it_is_a_token_bucket(rate: int, burst_seconds: int, steps: list[tuple[int, int]]) -> None:
    """Held against the textbook's, in exact fractions: fill, look for a whole token, take."""
    buckets = Buckets(rate, burst_seconds)
    capacity = tokens = Fraction(rate * burst_seconds)
    now_ms = 10**9
    for after_ms, events in steps:
        now_ms += after_ms
        tokens = min(capacity, tokens + Fraction(rate * after_ms, 1_000))
        wait_ns = buckets.take("key", events, now_ms * 1_000_000)
        if tokens >= 1:
            assert wait_ns == 0
            tokens -= events
        else:
            assert wait_ns == (1 - tokens) / rate * S


def test_each_worker_has_its_share() -> None:
    assert Rates(100, 10, 7).share(4) == Rates(25, 2.5, 7)


def test_the_answer_says_when_to_come_again_where_a_page_can_read_it() -> None:
    made = refusal(Throttled("source shop sends more than 5 events a second, the limit", 17))
    assert made.status == 429
    headers = dict(made.headers)
    assert headers[b"retry-after"] == b"17"
    assert headers[b"access-control-expose-headers"] == b"retry-after"
