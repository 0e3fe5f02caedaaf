"""Who is in an audience, who came and went, and what a webhook is told of it, on both engines."""

from __future__ import annotations

import base64
import hmac
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from msgspec import structs
from webhook_receiver import receiving

from collector.audience.definition import Audience, AudienceError, Destination, Limits
from collector.audience.deliver import deliver
from collector.audience.refresh import forget, known_versions, last_refreshed, refresh
from collector.audience.webhook import Webhook
from collector.database.store import Store

SECRET = b"0123456789abcdef0123456789abcdef"
START_MS = 1_795_000_000_000


class Clock:
    """A second passes with each look."""

    def __init__(self) -> None:
        self.now = START_MS

    def __call__(self) -> int:
        self.now += 1_000
        return self.now


@pytest.fixture
def lane(store: Store, dsn: str) -> Iterator[Store]:
    """The database as the store process has it for audiences."""
    with closing(Store(dsn, inside=True)) as inside:
        yield inside


def people(start: int, count: int, version: int, **more: Any) -> Audience:
    """An audience of user:start and so on, each twice, with a number, beside some that are no persons."""
    query = (
        f"SELECT 'shop' AS source_id, concat('user:', toString({start} + number % {count})) AS person_id, "
        f"number % {count} + {start} AS n, if(n = 3, '=evil', NULL) AS t FROM numbers({2 * count}) "
        "UNION ALL SELECT 'shop', '', 0, '' -- nobody"
    )
    return Audience("some", "Some.", query, version, **more)


def test_who_came_and_who_went_is_written_down(lane: Store) -> None:
    clock = Clock()
    first = refresh(lane, people(1, 5, 1), clock, "a")
    assert (first.members, first.entered, first.left) == (5, 5, 0)
    second = refresh(lane, people(3, 4, 2), clock, "b")
    assert (second.members, second.entered, second.left) == (4, 1, 2)
    third = refresh(lane, people(1, 5, 1), clock, "c")
    assert (third.members, third.entered, third.left) == (5, 2, 1)
    members = lane.rows(
        "SELECT person_id, user_id, toUnixTimestamp64Milli(entered_at), attributes FROM audience_members"
    )
    entered = {"1": third, "2": third, "3": first, "4": first, "5": first}
    assert sorted(members) == [
        (f"user:{n}", n, since.refreshed_ms, f'{{"n":{n},"t":{"null" if n != "3" else chr(34) + "=evil" + chr(34)}}}')
        for n, since in entered.items()
    ]
    stays = lane.rows(
        "SELECT user_id, toUnixTimestamp64Milli(entered_at), toUnixTimestamp64Milli(left_at), version "
        "FROM audience_history WHERE user_id IN ('1', '3', '6') ORDER BY user_id, entered_at"
    )
    assert stays == [
        ("1", first.refreshed_ms, second.refreshed_ms, 1),
        ("1", third.refreshed_ms, None, 1),
        ("3", first.refreshed_ms, None, 1),
        ("6", second.refreshed_ms, third.refreshed_ms, 2),
    ]
    shown = lane.rows("SELECT audience, version, size, entered, left, failure, told_at FROM audiences")
    assert shown == [("some", 1, 5, 2, 1, "", None)]
    kept = lane.rows("SELECT DISTINCT refresh_id FROM audience_snapshots ORDER BY refresh_id")
    assert kept == [(second.refresh_id,), (third.refresh_id,)], "all but the last two are dropped"

    refused = {
        "SELECT 1 AS person_id": "the query's person_id is UInt8; it must be String, as in persons",
        "SELECT 'a' AS visitor_id": "the query has no column person_id, only visitor_id; select from persons",
        "SELECT x FROM nowhere": "the query cannot be asked: ",
        "DROP TABLE events": "the query is no SELECT; write one SELECT with a column person_id",
        "SELECT 'a' AS person_id; DROP TABLE events": "the query cannot be read: Syntax error (Multi-statements",
        "SELECT 'a' AS person_id) UNION ALL (SELECT 'b'": "the query cannot be read: Syntax error",
        "SELECT toString(number) AS person_id FROM numbers(11)": "the query names more than 10 persons, the limit;",
        "SELECT toString(sleepEachRow(0.2)) AS person_id FROM numbers(9) SETTINGS max_block_size=1": "Timeout exceeded",
        "SELECT toString(length(groupArray(number))) AS person_id FROM numbers(9000000)": "Query memory limit exceeded",
    }
    for version, (query, sentence) in enumerate(refused.items(), start=10):
        broken = Audience("some", "Some.", query, version, limits=Limits(persons=10, seconds=1, megabytes=40))
        with pytest.raises(AudienceError) as failure:
            refresh(lane, broken, clock, f"r{version}")
        assert str(failure.value).startswith(f"audience some was not refreshed and stays as it was: {sentence}"), query
    assert last_refreshed(lane.rows, "some") == third
    [(size, why)] = lane.rows("SELECT size, failure FROM audiences")
    assert size == 5
    assert why.startswith("Query memory limit exceeded")
    with pytest.raises(AudienceError, match="version 1 of audience some was another query when it was refreshed"):
        refresh(lane, people(1, 4, 1), clock, "d")
    assert known_versions(lane.rows, "some")[2] == people(3, 4, 2).hash

    # Another collector is at it, or was and has died: only what is left of its time is waited.
    lane.insert(
        "audience_claims",
        ["audience", "base_id", "attempt", "claimed_by", "claimed_at"],
        [["some"], [third.refresh_id], [50], ["another"], [clock()]],
        token="its own",
    )
    with pytest.raises(AudienceError, match="audience some is being refreshed for 1 s; try again later"):
        refresh(lane, people(1, 5, 1), clock, "e")
    clock.now += 1_000 * (3 * Limits().seconds + 60)
    # It came as far as its snapshot and moves, which do not count.
    lane.command(
        f"INSERT INTO audience_moves (audience, refresh_id, person_id, change) VALUES ('some', {clock.now}, 'x', 1)"
    )
    assert refresh(lane, people(2, 4, 3), clock, "f").left == 1
    assert lane.rows("SELECT count() FROM audience_history WHERE person_id = 'x'") == [(0,)]

    assert forget(lane, "some", clock) == 4
    for nothing in ("audiences", "audience_members", "audience_history", "audience_snapshots", "audience_moves"):
        assert lane.rows(f"SELECT * FROM {nothing}") == [], nothing
    again = refresh(lane, people(1, 2, 4), clock, "g")
    assert (again.members, again.entered, again.left) == (2, 2, 0)


def test_a_webhook_is_told_of_each_change_once(lane: Store) -> None:
    clock = Clock()
    with receiving() as receiver:
        to = Destination(receiver.url, "env:AUDIENCE_SECRET", "changes", 2)
        hook = Webhook(receiver.url, SECRET, private=True)

        def tell(audience: Audience, **options: Any) -> Any:
            return deliver(lane, audience, hook, now_ms=clock, wait=lambda seconds: True, **options)

        def told() -> list[tuple[int, list[tuple[str, str]]]]:
            posts, receiver.got = receiver.got, []
            for post in posts:
                head = post.headers
                signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + post.body
                assert (
                    head["webhook-signature"]
                    == "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
                )
                assert head["idempotency-key"] == f"{post.json['delivery']}-{post.json['batch']}"
            return [
                (post.json["batch"], [(one.get("change", ""), one["user_id"]) for one in post.json["members"]])
                for post in posts
            ]

        one = people(1, 5, 1, destination=to)
        with pytest.raises(AudienceError, match="was never refreshed"):
            tell(one)
        refresh(lane, one, clock, "a")
        # Killed before it knew of any answer, and refreshed before it went on.
        receiver.answers = [(503, {})]
        with pytest.raises(SystemExit):
            deliver(lane, one, hook, now_ms=clock, wait=lambda seconds: sys.exit())
        refresh(lane, one, clock, "b")
        killed = receiver.got.pop()
        # The second batch is refused for good: the first stays told, and the rest goes on from there.
        receiver.answers = [(200, {}), (400, {})]
        outcome = tell(one)
        assert (outcome.persons, outcome.batches) == (2, 1)
        assert outcome.failure == "batch 2 of 3: the webhook answered 400: said"
        assert lane.rows("SELECT undelivered FROM audiences") == [("the webhook answered 400: said",)]
        assert (receiver.got[0].body, receiver.got[0].headers["webhook-id"]) == (
            killed.body,
            killed.headers["webhook-id"],
        )
        refused = receiver.got[1]
        assert refused.json["members"][0] == {
            "source_id": "shop", "person_id": "user:3", "user_id": "3", "attributes": {"n": 3, "t": "=evil"},
            "change": "entered",
        }  # fmt: skip
        assert (refused.json["audience"], refused.json["batches"], refused.json["kind"]) == ("some", 3, "changes")
        assert told() == [(1, [("entered", "1"), ("entered", "2")]), (2, [("entered", "3"), ("entered", "4")])]
        # Meanwhile more happens, of which some cancels out.
        for number, (start, count) in enumerate([(5, 3), (4, 3), (4, 4)], start=2):
            refresh(lane, people(start, count, number), clock, f"r{number}")
        assert tell(structs.replace(one, destination=structs.replace(to, batch=4))).failure == ""
        assert receiver.got[0].body == refused.body, "what is tried again is byte for byte the same"
        assert told() == [
            (2, [("entered", "3"), ("entered", "4")]),
            (3, [("entered", "5")]),
            (1, [("left", "1"), ("left", "2"), ("left", "3"), ("entered", "6")]),
            (2, [("entered", "7")]),
        ]
        assert tell(one).batches == 0
        assert lane.rows("SELECT undelivered, told_at > '2026-01-01' FROM audiences") == [("", True)]

        # All members, each time anew; an audience without any is told of, too.
        everybody = structs.replace(one, destination=structs.replace(to, send="all", batch=3))
        assert tell(everybody).persons == 4
        assert told() == [(1, [("", "4"), ("", "5"), ("", "6")]), (2, [("", "7")])]
        assert tell(everybody).batches == 0
        assert tell(everybody, everybody=True).persons == 4
        receiver.got.clear()
        nobody = structs.replace(everybody, query="SELECT '' AS person_id", version=9)
        refresh(lane, nobody, clock, "n")
        assert tell(nobody).batches == 1
        assert told() == [(1, [])]
