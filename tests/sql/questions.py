"""What parameterised views must answer, by brute force from the definitions in their headers, not from their SQL."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from sql.oracle import by_visitor, cut, moment, people

Row = dict[str, Any]
Unit = tuple[str, ...]

COLUMNS = {
    *("event", "path", "host", "title", "channel", "utm_source", "utm_medium", "utm_campaign", "utm_term"),
    *("utm_content", "referrer_host", "device_class", "browser", "os", "country", "language", "user_id", "group_id"),
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
    return name in ("*", event["event"]) and all(holds(event, part) for part in parts)


def holds(event: Row, part: str) -> bool:
    """Whether `name=value`, or another sign between them, is true of the event."""
    found = re.fullmatch(r"([^=!<>]*)(!=|<=|>=|=|<|>)(.*)", part, re.DOTALL)
    assert found is not None
    key, sign, wanted = found.groups()
    value = value_of(event, key)
    if sign in ("=", "!="):
        same = value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted
        return same == (sign == "=")
    try:
        left, right = float(value), float(wanted)
    except ValueError:
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]


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
    """The times of the chain that funnel_chains speaks of: the longest, then the first to end, then the latest events.

    Tries every event for every step, so it is for short histories.
    """
    of_step = [[event["event_time"] for event in history if meets(event, step)] for step in steps]
    excluded = [
        (begin, end, event["event_time"])
        for begin, end, condition in (between(text, len(steps)) for text in without)
        for event in history
        if meets(event, condition)
    ]
    best: list[int] = []

    def extend(times: list[int]) -> None:
        nonlocal best
        if times and (not best or _rank(times) < _rank(best)):
            best = times
        if len(times) == len(steps):
            return
        for time in of_step[len(times)]:
            if times and (time <= times[-1] or time - times[0] > window_ms):
                continue
            if not times and time >= until_ms:
                continue
            longer = [*times, time]
            if any(
                len(longer) > begin and longer[begin - 1] < at <= longer[min(len(longer), end) - 1]
                for begin, end, at in excluded
            ):
                continue
            extend(longer)

    extend([])
    return best


def between(text: str, last: int) -> tuple[int, int, str]:
    """The steps between which an excluded event must not be, and its condition."""
    found = re.fullmatch(r"(\d+)-(\d+): (.*)", text)
    return (int(found[1]), int(found[2]), found[3]) if found else (1, last, text)


def strict_chain(
    history: Sequence[Row], steps: Sequence[str], window_ms: int, until_ms: int, without: Sequence[str] = ()
) -> list[int]:
    """As chain, of events with no other between them that is a step or in without."""
    counting = [event for event in history if any(meets(event, condition) for condition in (*steps, *without))]
    counting.sort(key=moment)
    best: list[int] = []
    for start in range(len(counting)):
        times: list[int] = []
        for event, step in zip(counting[start:], steps, strict=False):
            time = event["event_time"]
            if not meets(event, step) or (times and (time <= times[-1] or time - times[0] > window_ms)):
                break
            if not times and time >= until_ms:
                break
            times.append(time)
        if times and (not best or _rank(times) < _rank(best)):
            best = times
    return best


def set_in_any_order(
    history: Sequence[Row], steps: Sequence[str], window_ms: int, until_ms: int, without: Sequence[str] = ()
) -> list[int]:
    """The times of events that meet most conditions within a window; of several the first to end, last to begin."""
    excluded = [event["event_time"] for event in history if any(meets(event, condition) for condition in without)]
    best: list[int] = []
    for start in {event["event_time"] for event in history if any(meets(event, step) for step in steps)}:
        if start >= until_ms:
            continue
        end = min([start + window_ms, *(at - 1 for at in excluded if at > start)])
        times: list[int] = []
        for condition in set(steps):
            met = sorted(e["event_time"] for e in history if start <= e["event_time"] <= end and meets(e, condition))
            times += met[: steps.count(condition)]
        times.sort()
        if not best or (-len(times), times[-1], -times[0]) < (-len(best), best[-1], -best[0]):
            best = times
    return best


def _rank(times: list[int]) -> tuple[int, int, list[int]]:
    """What the better chain has less of."""
    return (-len(times), times[-1], [-time for time in reversed(times)])


def period_of(day: date, kind: str) -> date:
    """The first day of the day, week (from Monday) or month that a day is in."""
    if kind == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kind == "month" else day


def period_after(first_day: date, kind: str) -> date:
    """The first day of the next period."""
    return period_of(first_day + timedelta(days={"day": 1, "week": 7, "month": 31}[kind]), kind)


def period_before(first_day: date, kind: str) -> date:
    """The first day of the period before."""
    return period_of(first_day - timedelta(days=1), kind)
