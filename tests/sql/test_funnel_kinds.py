"""funnel_by answers as brute force does for every kind of funnel; journeys of the plan are funnels."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from typing import Any

import pytest
from msgspec import structs
from sql.events import START_MS, Event, filled, insert
from sql.questions import Unit, call, chain, meets, set_in_any_order, strict_chain, units, value_of

from collector.database.publish import record_version
from collector.database.store import Store, StoreError
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import load_plan
from collector.plan.model import Journey, Step

USERS = int(os.environ.get("FOOTFALL_TEST_USERS", "100"))
WINDOW_S = 10
SINCE_MS, UNTIL_MS = START_MS, START_MS + 60_000
BRUTE_FORCE = {"ordered": chain, "strict": strict_chain, "any_order": set_in_any_order}

FUNNELS: dict[str, dict[str, Any]] = {
    "strict": {"kind": "strict", "steps": ["a", "b", "c"]},
    "strict, and nothing at all in between": {"kind": "strict", "steps": ["a", "b"], "without": ["*"]},
    "strict, a step twice": {"kind": "strict", "steps": ["a", "a", "b"], "without": ["page_view & path=/x"]},
    "strict, by person": {"kind": "strict", "steps": ["a", "*"], "counted_by": "person"},
    "any order": {"kind": "any_order", "steps": ["c", "b", "a"]},
    "any order, a step twice": {"kind": "any_order", "steps": ["a", "b", "a", "page_view"], "breakdown": "plan"},
    "any order, excluded": {"kind": "any_order", "steps": ["a", "b", "c"], "without": ["page_view"]},
    "any order, by session": {"kind": "any_order", "steps": ["a", "a", "c"], "counted_by": "session"},
    "between two steps": {"kind": "ordered", "steps": ["a", "b", "c"], "without": ["2-3: page_view"]},
    "between others": {"kind": "ordered", "steps": ["a", "a", "b", "c"], "without": ["1-2: b", "2-4: c & n=1"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """Users with events close together, many of one millisecond, in sessions and on devices of shared persons."""
    chance = random.Random(13)
    gaps = (0, 0, 1, 1, 2_000, WINDOW_S * 1000 - 1, WINDOW_S * 1000, WINDOW_S * 1000 + 1, 1_800_001)
    events: list[Event] = []
    for user in range(USERS):
        at = chance.choice((0, 0, 30_000, 59_999))
        for number in range(chance.choice((1, 3, 5, 7, 9))):
            at += chance.choice(gaps)
            name = chance.choice(("a", "a", "b", "b", "c", "page_view"))
            events.append(
                filled(
                    {
                        "message_id": f"{chance.randrange(1000):03}-{user:05}-{number}",
                        "at": at,
                        "sequence": chance.randrange(3),
                        "visitor_id": f"visitor-{user}",
                        "user_id": chance.choice(("", f"user-{user // 2}")),
                        "type": "page" if name == "page_view" else "track",
                        "event": name,
                        "path": chance.choice(("/p", "/x")),
                        "properties": chance.choice(('{"plan":"pro","n":1}', '{"plan":"free","n":2}', "{}")),
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


def by_brute_force(events: list[Event], asked: dict[str, Any]) -> dict[Unit, tuple[str, list[int]]]:
    """Of each visitor, person or session that began: the dimension, and the times of its steps."""
    given = parameters(asked)
    window_ms, found = given["window_s"] * 1000, {}
    starts = given["steps"] if given["kind"] == "any_order" else given["steps"][:1]
    for unit, history in units(events, given["counted_by"]).items():
        asked_for = [e for e in history if given["since"] <= e["event_time"] < given["until"] + window_ms]
        times = BRUTE_FORCE[given["kind"]](asked_for, given["steps"], window_ms, given["until"], given["without"])
        if times:
            first = min(
                (e["event_time"], e["sequence"], value_of(e, given["breakdown"]) if given["breakdown"] else "")
                for e in asked_for
                if any(meets(e, condition) for condition in starts)
            )
            found[unit] = (first[2], times)
    return found


def rows_of(asked: dict[str, Any], found: dict[Unit, tuple[str, list[int]]]) -> list[tuple[Any, ...]]:
    """What funnel_by must answer."""
    by_dimension: dict[str, list[list[int]]] = defaultdict(list)
    for dimension, times in found.values():
        by_dimension[dimension].append(times)
    rows: list[tuple[Any, ...]] = []
    for dimension, chains in sorted(by_dimension.items()):
        before = len(chains)
        for i, condition in enumerate(asked["steps"]):
            came = [times for times in chains if len(times) > i]
            from_previous = sorted(times[i] - times[i - 1] for times in came)
            from_first = sorted(times[i] - times[0] for times in came)
            quantiles = [
                low(values, q) if i and came else None for values in (from_previous, from_first) for q in (0.5, 0.9)
            ]
            rows.append(
                (
                    *(dimension, i + 1, "" if asked["kind"] == "any_order" else condition, len(came)),
                    *(len(came) / len(chains), len(came) / before if before else None, before - len(came)),
                    *quantiles,
                )
            )
            before = len(came)
    return rows


def low(values: list[int], q: float) -> int:
    """quantileExactLow: the lower middle for the median, as ClickHouse has it."""
    return values[(len(values) - 1) // 2 if q == 0.5 else min(int(q * len(values)), len(values) - 1)]


def test_every_kind_of_funnel_answers_what_brute_force_answers(store: Store, place: str, crowd: list[Event]) -> None:
    insert(store, crowd, "crowd")
    for number, (name, asked) in enumerate(FUNNELS.items()):
        # In the suite the server answers every other one: planning takes each engine longer than answering.
        if place.startswith("chdb") or number % 2 or USERS > 400:
            rows = store.rows(f"SELECT * FROM {store.database}.{call('funnel_by', parameters(asked))}")
            assert rows == rows_of(asked, by_brute_force(crowd, asked)), name


def test_strict_reaches_no_more_than_ordered_and_any_order_no_less(crowd: list[Event]) -> None:
    """Of the definition, so that what the views are compared with is sound."""
    told_apart = set()
    for steps in (["a", "b"], ["a", "a", "c"], ["b", "*", "page_view"]):
        found = {kind: by_brute_force(crowd, {"kind": kind, "steps": steps}) for kind in BRUTE_FORCE}
        for unit in units(crowd, "visitor"):
            strict, ordered, any_order = (
                len(found[kind].get(unit, ("", []))[1]) for kind in ("strict", "ordered", "any_order")
            )
            assert strict <= ordered <= any_order
            told_apart |= {("strict", "ordered")} if strict < ordered else set()
            told_apart |= {("ordered", "any_order")} if ordered < any_order else set()
    assert len(told_apart) == 2


@pytest.mark.parametrize("place", ["chdb"], indirect=True)  # sentences of the view, which every engine says
def test_nonsense_is_refused_and_nothing_asked_is_nothing_answered(store: Store) -> None:
    insert(store, [filled({"message_id": "1", "at": 0, "event": "a", "type": "track"})], "one")
    asked: dict[str, Any] = {"kind": "ordered", "steps": ["a", "b"]}
    assert store.rows(f"SELECT * FROM {store.database}.{call('funnel_by', parameters(asked | {'steps': []}))}") == []
    for changed, sentence in (
        ({"kind": "loose"}, "kind is ordered, strict or any_order"),
        ({"kind": "strict", "without": ["1-2: c"]}, "only the kind ordered can"),
        ({"without": ["2-3: c"]}, "between steps that are not there"),
        ({"without": ["2-1: c"]}, "between steps that are not there"),
        ({"window_s": 0}, "window_s is 0"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call('funnel_by', parameters(asked | changed))}")


JOURNEYS = (
    Journey(
        name="with limits",
        key="visitor_id",
        steps=(Step(event="a"), Step(event="b", within_ms=2_000), Step(event="c", within_ms=10_001)),
    ),
    Journey(
        name="of users, with values",
        key="user_id",
        steps=(Step(event="a", where={"plan": "pro", "n": 1}), Step(event="page_view", where={"n": 2})),
    ),
    Journey(
        name="of sessions, twice",
        key="session_id",
        steps=(Step(event="a", times=1), Step(event="b", times=2, within_ms=1), Step(event="b")),
    ),
    Journey(
        name="with what must not be",
        key="visitor_id",
        steps=(
            *(Step(event="c", times=0), Step(event="a"), Step(event="page_view", times=0)),
            *(Step(event="b", within_ms=20_000), Step(event="c"), Step(event="a", times=0)),
        ),
    ),
)


def levels_of(journey: Journey, history: list[Event]) -> int:
    """How many of its steps that must happen a history reaches, by trying every event for each."""
    links: list[tuple[int, Step, bool, list[Step]]] = []  # number of the step, the step, is it its first, what is not
    absent: list[Step] = []
    number = 0
    for step in journey.steps:
        if step.times == 0:
            absent.append(step)
            continue
        number += 1
        links += [(number, step, i == 0, absent if i == 0 else []) for i in range(step.times or 1)]
        absent = []

    def is_one(event: Event, step: Step) -> bool:
        return event["event"] == step.event and all(
            value_of(event, name) == str(value) for name, value in step.where.items()
        )

    reached = 0
    made = {event["event_time"] for event in history if is_one(event, links[0][1]) and event["event_time"] < UNTIL_MS}
    for place in range(1, len(links) + 1):
        if not made:
            return reached
        if place == len(links) or links[place][0] != links[place - 1][0]:
            reached = links[place - 1][0]
        if place < len(links):
            _, step, is_first, none_of = links[place]
            made = {
                event["event_time"]
                for event in history
                if is_one(event, step)
                and any(
                    time < event["event_time"]
                    and (not is_first or step.within_ms is None or event["event_time"] - time <= step.within_ms)
                    and not any(
                        is_one(other, never) and time < other["event_time"] <= event["event_time"]
                        for other in history
                        for never in none_of
                    )
                    for time in made
                )
            }
    return reached


def test_every_journey_of_the_live_plan_is_a_funnel(store: Store, crowd: list[Event]) -> None:
    some = crowd[: 4 * 400]
    insert(store, some, "crowd")
    asked = call("journey_funnels", {"source_id": "shop", "since": SINCE_MS, "until": UNTIL_MS})
    assert store.rows(f"SELECT * FROM {store.database}.{asked}") == []
    plan = structs.replace(load_plan(DEFAULT_PLAN_DIR), journeys={}, hash="")
    record_version(store, plan, 1)
    record_version(store, structs.replace(plan, journeys={journey.name: journey for journey in JOURNEYS}), 2)
    rows = store.rows(f"SELECT * FROM {store.database}.{asked}")
    expected = []
    for journey in sorted(JOURNEYS, key=lambda journey: journey.name):
        if journey.key == "user_id":
            users = {event["user_id"] for event in some} - {""}
            histories = [[event for event in some if event["user_id"] == user] for user in users]
        else:
            histories = list(units(some, journey.key.removesuffix("_id")).values())
        levels = [levels_of(journey, history) for history in histories]
        first = before = sum(level >= 1 for level in levels)
        assert first > 10
        for number, step in enumerate((step for step in journey.steps if step.times != 0), start=1):
            reached = sum(level >= number for level in levels)
            condition = " & ".join([step.event, *(f"{name}={value}" for name, value in sorted(step.where.items()))])
            expected.append(
                (
                    journey.name,
                    journey.key,
                    number,
                    condition,
                    reached,
                    reached / first,
                    reached / before,
                    before - reached,
                )
            )
            before = reached
    assert rows == expected
    nobody = call("journey_funnels", {"source_id": "nobody", "since": SINCE_MS, "until": UNTIL_MS})
    rows = store.rows(
        f"SELECT journey, step, reached, share_of_first, share_of_previous, lost FROM {store.database}.{nobody}"
    )
    assert rows == [(journey, step, 0, None, None, 0) for journey, _, step, *_ in expected]
