"""What parameterised views must answer, by brute force from the definitions in their headers, not from their SQL."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sql.oracle import by_visitor, cut, people

Row = dict[str, Any]
Unit = tuple[str, ...]

COLUMNS = {
    *("path", "host", "title", "channel", "utm_source", "utm_medium", "utm_campaign", "referrer_host"),
    *("device_class", "browser", "os", "country", "language", "user_id"),
}


def value_of(event: Row, name: str) -> str:
    """The event's value of a column or property that a condition or breakdown names."""
    if name in COLUMNS:
        return str(event[name])
    value = json.loads(event["properties"]).get(name)
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def call(view: str, asked: Row) -> str:
    """A parameterised view as an analyst would write it, with literals; times are given in milliseconds."""
    literals = [
        f"{name} = fromUnixTimestamp64Milli({value}, 'UTC')" if name in ("since", "until") else f"{name} = {value!r}"
        for name, value in asked.items()
    ]
    return f"{view}({', '.join(literals)})"


def meets(event: Row, condition: str) -> bool:
    """Whether the event meets a condition as step_events writes it."""
    name, *parts = condition.split(" & ")
    if name not in ("*", event["event"]):
        return False
    for part in parts:
        key, _, wanted = part.partition("=")
        value = value_of(event, key)
        if not (value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted):
            return False
    return True


def units(events: Iterable[Row], counted_by: str) -> dict[Unit, list[Row]]:
    """The events of each visitor, person or session, in order."""
    visitors = by_visitor(people(events))
    if counted_by == "visitor":
        return {(visitor,): history for (_, visitor), history in visitors.items()}
    if counted_by == "session":
        return {
            (visitor, str(number)): visit
            for (_, visitor), history in visitors.items()
            for number, visit in enumerate(cut(history))
        }
    persons: dict[Unit, list[Row]] = defaultdict(list)
    for (_, visitor), history in visitors.items():
        persons[(person_of(visitor, history),)] += history
    return {person: sorted(history, key=lambda event: event["event_time"]) for person, history in persons.items()}


def person_of(visitor: str, history: Sequence[Row]) -> str:
    """The person a visitor turned out to be."""
    users = [event["user_id"] for event in history if event["user_id"]]
    return f"user:{users[-1]}" if users else f"visitor:{visitor}"


def chain(
    history: Sequence[Row], steps: Sequence[str], window_ms: int, until_ms: int, without: Sequence[str] = ()
) -> list[int]:
    """The times of the chain that funnel_times speaks of: the longest, then the first to end, then the latest events.

    Tries every event for every step, so it is for short histories.
    """
    of_step = [[event["event_time"] for event in history if meets(event, step)] for step in steps]
    excluded = [event["event_time"] for event in history if any(meets(event, condition) for condition in without)]
    best: list[int] = []

    def rank(times: list[int]) -> tuple[int, int, list[int]]:
        return (-len(times), times[-1], [-time for time in reversed(times)])

    def extend(times: list[int]) -> None:
        nonlocal best
        if times and (not best or rank(times) < rank(best)):
            best = times
        if len(times) == len(steps):
            return
        for time in of_step[len(times)]:
            if times and (time <= times[-1] or time - times[0] > window_ms):
                continue
            if not times and time >= until_ms:
                continue
            if times and any(times[0] < at <= time for at in excluded):
                continue
            extend([*times, time])

    extend([])
    return best
