"""Funnels answer as brute force does, for random people whose steps repeat, tie, and fall on the window's edge."""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.questions import Unit, call, chain, units, value_of

from collector.database.store import Store, StoreError

USERS = int(os.environ.get("FOOTFALL_TEST_USERS", "200"))
WINDOW_S = 10
SINCE_MS, UNTIL_MS = START_MS, START_MS + 120_000

FUNNELS: dict[str, dict[str, Any]] = {
    "in order": {"steps": ["a", "b", "c"]},
    "a step twice": {"steps": ["a", "a", "b"]},
    "every step the same": {"steps": ["a"] * 4},
    "a page and a property": {"steps": ["page_view & path=/p*", "b & plan=pro", "*"]},
    "two conditions": {"steps": ["* & plan=pro & country=DE", "c & n=1"]},
    "other signs": {"steps": ["* & n>=1.5", "* & plan!=free & event!=page*", "* & n<2"]},
    "one column": {"steps": ["page_view & path!=/x", "* & path=/p1", "* & path!=/p*"]},
    "one property": {"steps": ["* & plan!=free", "* & plan=p*"]},
    # Up to six conditions on one name are tested without a lambda.
    "six conditions on one name": {"steps": ["a", "b & n=1", "* & n!=2"], "without": [f"c & n={n}" for n in range(4)]},
    "seven conditions on one name": {
        "steps": ["a", "b & n=1", "* & n!=2"],
        "without": [f"c & n={n}" for n in range(5)],
    },
    # More than 63 conditions are no bits of one number any more.
    "63 conditions": {"steps": ["a", "b & plan=pro", "*"], "without": [f"c & n={n}" for n in range(60)]},
    "seventy conditions": {"steps": ["a", "b & plan=pro", "*"], "without": [f"c & n={n}" for n in range(67)]},
    "an unknown event": {"steps": ["a", "never", "b"]},
    "any event": {"steps": ["*", "*", "*"]},
    "excluded": {"steps": ["a", "b", "c"], "without": ["page_view & path=/x"]},
    "excluded and a step twice": {"steps": ["a", "a", "c"], "without": ["b", "page_view"]},
    "by person": {"steps": ["a", "b", "c"], "counted_by": "person"},
    "by person, excluded": {"steps": ["a", "b"], "counted_by": "person", "without": ["c"]},
    "by session": {"steps": ["a", "b", "c"], "counted_by": "session"},
    "sixteen steps": {"steps": ["a", "*"] * 8},
}
# An engine plans a query for longer than it works on a small crowd. So in the suite the server is asked these only; in
# the long run all.
OF_SERVER = (
    "a step twice",
    "other signs",
    "one column",
    "seventy conditions",
    "excluded and a step twice",
    "by person",
    "by session",
    "sixteen steps",
)


# Of each funnel, of each visitor, person or session: the times of its chain.
Chains = dict[str, dict[Unit, list[int]]]


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """Users with a few events each, many of one millisecond, many exactly a window apart."""
    chance = random.Random(7)
    gaps = (0, 0, 1, 1_000, 5_000, WINDOW_S * 1000 - 1, WINDOW_S * 1000, WINDOW_S * 1000 + 1, 1_800_001)
    events: list[Event] = []
    for user in range(USERS):
        at = chance.choice((0, 0, 60_000, 119_999))
        for number in range(chance.choice((1, 2, 4, 6, 8))):
            at += chance.choice(gaps)
            name = chance.choice(("a", "a", "b", "c", "page_view"))
            events.append(
                filled(
                    {
                        "message_id": f"{user:05}-{number}",
                        "at": at,
                        "visitor_id": f"visitor-{user}",
                        # Some share a user: two devices of one person.
                        "user_id": chance.choice(("", f"user-{user // 2}")),
                        "type": "page" if name == "page_view" else "track",
                        "event": name,
                        "path": chance.choice(("/p1", "/p2", "/x")),
                        "country": chance.choice(("DE", "FR")),
                        "properties": chance.choice(('{"plan":"pro","n":1}', '{"plan":"free","n":2}', "{}")),
                        "is_bot": chance.random() < 0.02,
                    }
                )
            )
    return events


def parameters(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        **{"source_id": "shop", "counted_by": "visitor", "without": [], "breakdown": "", "window_s": WINDOW_S},
        **{"since": SINCE_MS, "until": UNTIL_MS},
        **asked,
    }


def chains(events: list[Event], asked: dict[str, Any]) -> dict[Unit, list[int]]:
    given = parameters(asked)
    window_ms = given["window_s"] * 1000
    found = {
        unit: chain(
            [e for e in history if given["since"] <= e["event_time"] < given["until"] + window_ms],
            *(given["steps"], window_ms, given["until"], given["without"]),
        )
        for unit, history in units(events, given["counted_by"]).items()
    }
    return {unit: times for unit, times in found.items() if times}


@pytest.fixture(scope="module")
def brute_force(crowd: list[Event]) -> Chains:
    return {name: chains(crowd, asked) for name, asked in FUNNELS.items()}


def test_every_funnel_reaches_what_brute_force_reaches_and_when(
    store: Store, place: str, crowd: list[Event], brute_force: Chains
) -> None:
    insert(store, crowd, "crowd")
    for name, asked in FUNNELS.items():
        if place.startswith("http") and name not in OF_SERVER and USERS <= 400:
            continue
        expected, given = brute_force[name], parameters(asked)
        levels = store.rows(
            f"SELECT counted_id, level FROM {store.database}.{call('funnel_levels', given)} WHERE level > 0"
        )
        if asked.get("counted_by") == "session":  # whose id is a hash
            assert Counter(level for _, level in levels) == Counter(map(len, expected.values())), name
        else:
            assert dict(levels) == {unit[0]: len(times) for unit, times in expected.items()}, name
        rows = store.rows(f"SELECT times FROM {store.database}.{call('funnel_chains', given | {'kind': 'ordered'})}")
        assert sorted(times for (times,) in rows) == sorted(expected.values()), name


def test_a_funnel_counts_whoever_reached_a_step_in_it_and_in_all_before(
    store: Store, crowd: list[Event], brute_force: Chains
) -> None:
    insert(store, crowd, "crowd")
    for name in ("excluded", "an unknown event"):
        asked = FUNNELS[name]
        levels = [len(times) for times in brute_force[name].values()]
        reached = [sum(level >= step for level in levels) for step in range(1, len(asked["steps"]) + 1)]
        rows = store.rows(f"SELECT * FROM {store.database}.{call('funnel', parameters(asked))}")
        assert [row[:4] for row in rows] == [("", i + 1, asked["steps"][i], reached[i]) for i in range(len(reached))]
        for i, (*_, share_of_first, share_of_previous, lost) in enumerate(rows):
            before = reached[i - 1] if i else reached[0]
            assert share_of_first == reached[i] / reached[0]
            assert share_of_previous == (reached[i] / before if before else None)
            assert lost == before - reached[i]


def test_many_funnels_at_once_count_as_each_of_them_alone(
    store: Store, crowd: list[Event], brute_force: Chains
) -> None:
    insert(store, crowd, "crowd")
    for counted_by in ("visitor", "person", "session"):
        names = [
            name
            for name, asked in FUNNELS.items()
            if asked.get("counted_by", "visitor") == counted_by and "without" not in asked
        ]
        given = {name: value for name, value in parameters({}).items() if name not in ("without", "breakdown")}
        asked = given | {"counted_by": counted_by, "funnels": [FUNNELS[name]["steps"] for name in names]}
        rows = store.rows(f"SELECT * FROM {store.database}.{call('funnels', asked)}")
        expected = []
        for number, name in enumerate(names, start=1):
            levels = [len(times) for times in brute_force[name].values()]
            before = len(levels)
            for step, condition in enumerate(FUNNELS[name]["steps"], start=1):
                reached = sum(level >= step for level in levels)
                share = reached / before if before else None
                expected.append((number, step, condition, reached, reached / len(levels), share, before - reached))
                before = reached
        assert rows == expected, counted_by


def test_times_are_quantiles_of_the_chains_and_a_breakdown_takes_the_value_of_the_first_step(
    store: Store, crowd: list[Event], brute_force: Chains
) -> None:
    insert(store, crowd, "crowd")
    asked, found = FUNNELS["a step twice"], brute_force["a step twice"]
    expected = []
    for step in range(2, len(asked["steps"]) + 1):
        came = [times for times in found.values() if len(times) >= step]
        last = sorted(times[step - 1] - times[step - 2] for times in came)
        total = sorted(times[step - 1] - times[0] for times in came)
        expected.append((step, len(came), middle(last), ninetieth(last), middle(total), ninetieth(total)))
    assert store.rows(f"SELECT * FROM {store.database}.{call('funnel_times', parameters(asked))}") == expected

    began: dict[str, Counter[int]] = defaultdict(Counter)
    histories = units(crowd, "visitor")
    for unit, times in found.items():
        first = min(
            (e["event_time"], e["sequence"], value_of(e, "plan"))
            for e in histories[unit]
            if e["event"] == "a" and e["event_time"] >= SINCE_MS
        )
        began[first[2]][len(times)] += 1
    by_plan = call("funnel", parameters(asked | {"breakdown": "plan"}))
    assert store.rows(f"SELECT dimension, step, reached FROM {store.database}.{by_plan}") == [
        (value, step, sum(count for level, count in began[value].items() if level >= step))
        for value in sorted(began)
        for step in (1, 2, 3)
    ]


def middle(values: list[int]) -> int:
    return values[(len(values) - 1) // 2]


def ninetieth(values: list[int]) -> int:
    return values[min(int(0.9 * len(values)), len(values) - 1)]


@pytest.mark.parametrize("place", ["chdb"], indirect=True)  # sentences of the views, which every engine says
def test_an_empty_funnel_a_reversed_range_and_an_unknown_source_have_no_rows_and_nonsense_is_refused(
    store: Store,
) -> None:
    insert(store, [filled({"message_id": "1", "at": 0, "event": "a", "type": "track"})], "one")
    nothing: list[dict[str, Any]] = [
        {"steps": []},
        {"steps": ["a", "b"], "since": UNTIL_MS + 60_000, "until": SINCE_MS},
        {"steps": ["a", "b"], "source_id": "nobody"},
    ]
    for asked in nothing:
        assert store.rows(f"SELECT * FROM {store.database}.{call('funnel', parameters(asked))}") == [], asked
    at_once = {"window_s": WINDOW_S, "since": SINCE_MS, "until": UNTIL_MS, "counted_by": "visitor", "source_id": "shop"}
    some: list[list[list[str]]] = [[], [[]], [["b"], []]]
    for funnels in some:
        assert store.rows(f"SELECT * FROM {store.database}.{call('funnels', at_once | {'funnels': funnels})}") == []
    one = store.rows(
        f"SELECT * FROM {store.database}.{call('funnels', at_once | {'funnels': [[], ['b'], ['a', 'b']]})}"
    )
    assert one == [(3, 1, "a", 1, 1.0, 1.0, 0), (3, 2, "b", 0, 0.0, 0.0, 1)]
    for given, sentence in (
        ({"funnels": [["a"], ["a"] * 17]}, "one has more than 16 steps"),
        ({"funnels": [["a"]], "window_s": 0}, "window_s is 0"),
        ({"funnels": [["a & path"]]}, "a part without a sign"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call('funnels', at_once | given)}")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"steps": ["a"] * 17}, "more than 16 steps"),
        ({"steps": ["a"], "window_s": 0}, "window_s is 0"),
        ({"steps": ["a"], "without": ["b"], "window_s": 4_000_000_000}, "more than ten years"),
        ({"steps": ["a"], "counted_by": "people"}, "counted_by is visitor, person or session"),
        ({"steps": ["a & path"]}, "a part without a sign"),
    ]
    for asked, sentence in refused:
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call('funnel', parameters(asked))}")
