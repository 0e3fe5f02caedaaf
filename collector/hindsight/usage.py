"""What of a plan is in use: which events come, which never came, which are not planned, and how well they follow it.

    events, failed_events --grouped in SQL--> Usage

Counts are of the days asked for; first and last seen are of all time. An event that is stored in a sample counts as
often as it is stored, but for what the plan expects a day: there it counts for all that it stands for.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

from collector.hindsight.ask import Ask, rows, since
from collector.hindsight.failed import planned_name
from collector.hindsight.trial import PLANNED
from collector.hindsight.unplanned import PLACE, unplanned
from collector.plan.model import EventPlan, Expected, Plan
from collector.plan.values import literal

DAY_MS = 86_400_000
NAMES_MAX = 5_000  # names of unplanned events are anyone's choice
TOP = 5  # violations and unplanned properties shown of one event
SOON_DAYS = 90  # a sunset is announced so long before


_NEVER = "1970-01-01"  # the least time of no rows


class Counted(Struct, frozen=True):
    """A violation's class and pointer, or a property's name and type, and how often."""

    name: str
    count: int


class EventUsage(Struct):
    """One event, planned or seen. Times are milliseconds since 1970; None when it was never seen.

    `failed` were refused in these days; `replayed` of them are stored by now. `failed_share` is of all that came.
    """

    event: str
    planned: bool
    owner: str = ""
    count: int = 0
    versions: dict[int, int] = field(default_factory=dict)
    first_seen_ms: int | None = None
    last_seen_ms: int | None = None
    failed: int = 0
    replayed: int = 0
    flagged: int = 0
    violations: list[Counted] = field(default_factory=list)
    failures: list[Counted] = field(default_factory=list)
    unplanned: list[Counted] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def failed_share(self) -> float:
        """Of all that came in these days, the part that is not stored because it failed."""
        lost = self.failed - self.replayed
        return lost / (self.count + lost) if lost else 0.0

    @property
    def state(self) -> str:
        """planned and seen, planned and never seen, seen but not planned."""
        if not self.planned:
            return "not planned"
        return "seen" if self.count or self.failed else "never seen" if self.last_seen_ms is None else "not seen lately"


class Usage(Struct):
    """All events; how many names were too many to be listed; and versions that stand for more than one plan."""

    events: dict[str, EventUsage] = field(default_factory=dict)
    names_left_out: int = 0
    shared: list[str] = field(default_factory=list)

    def of(self, name: str) -> EventUsage:
        """The usage of one event, also of one that nobody planned."""
        return self.events.setdefault(name, EventUsage(name, planned=False))

    @property
    def wrong(self) -> list[str]:
        """All that is wrong, a sentence each."""
        return self.shared + [f"{one.event}: {sentence}" for one in self.events.values() for sentence in one.wrong]


def usage(ask: Ask, plan: Plan, days: int, now_ms: int, failed_max: float = 0.01) -> Usage:
    """How a plan is used.

    Args:
        ask: Answers questions to the database.
        plan: What is planned.
        days: How far to look back.
        now_ms: The clock.
        failed_max: A larger share of failed events is wrong.
    """
    from_ms = now_ms - days * DAY_MS
    found = Usage({name: EventUsage(name, planned=True, owner=event.owner) for name, event in plan.events.items()})
    _stored(ask, from_ms, found)
    _failed(ask, from_ms, found)
    _violations(ask, from_ms, found)
    _unplanned(ask, from_ms, found)
    _reported(ask, from_ms, plan, found)
    today = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC).date()
    for name, event in plan.events.items():
        found.of(name).ends = _ends(event, found.of(name), today)
    _expected(ask, plan, days, today, found)
    found.shared = _shared(ask, plan, from_ms)
    for one in found.events.values():
        one.wrong += _wrong(one, failed_max)
    return found


def _shared(ask: Ask, plan: Plan, from_ms: int) -> list[str]:
    """Versions under which more than one plan was live, one of them lately: nobody can prevent it who sees only one."""
    shared = rows(
        ask,
        f"SELECT version, uniqExact(hash) AS plans FROM plan_versions WHERE name = {literal(plan.name)} "
        f"GROUP BY version HAVING plans > 1 AND max(live_from) >= fromUnixTimestamp64Milli({from_ms}) "
        f"ORDER BY version LIMIT {NAMES_MAX}",
        tuple[str, int],
    )
    return [
        f"{plan.name} {version} was released {plans} times with different content, by branches that did not know of "
        "each other: its events cannot be told apart by version; release once more on top of all"
        for version, plans in shared
    ]


def _stored(ask: Ask, from_ms: int, found: Usage) -> None:
    recent = f"countIf({since(from_ms)})"
    seen = rows(
        ask,
        f"SELECT event, event_version, {recent} AS n, countIf({since(from_ms)} AND notEmpty(violations)), "
        "toUnixTimestamp64Milli(min(received_at)), toUnixTimestamp64Milli(max(received_at)) "
        f"FROM events WHERE {PLANNED} GROUP BY event, event_version ORDER BY n DESC, event LIMIT {NAMES_MAX}",
        tuple[str, int, int, int, int, int],
    )
    for event, version, count, flagged, first_ms, last_ms in seen:
        one = found.of(event)
        one.count += count
        one.flagged += flagged
        if count:
            one.versions[version] = one.versions.get(version, 0) + count
        one.first_seen_ms = min(first_ms, one.first_seen_ms or first_ms)
        one.last_seen_ms = max(last_ms, one.last_seen_ms or last_ms)
    if len(seen) == NAMES_MAX:
        ((names,),) = rows(ask, f"SELECT uniqExact(event) FROM events WHERE {PLANNED}", tuple[int])
        found.names_left_out = max(names - len({row[0] for row in seen}), 0)


def _failed(ask: Ask, from_ms: int, found: Usage) -> None:
    # A failed event is settled once an event of its id is stored, by a replay or by its sender. See replay.py.
    visitor = "if(visitor_id != '', visitor_id, if(user_id != '', concat('u_', user_id), concat('r_', message_id)))"
    settled = (
        "(source_id, message_id) IN (SELECT source_id, message_id FROM events WHERE (source_id, visitor_id) IN "
        f"(SELECT source_id, {visitor} FROM failed_events WHERE {since(from_ms)}))"
    )
    for event, failed, replayed in rows(
        ask,
        f"SELECT event, count() AS n, countIf({settled}) FROM failed_events WHERE {since(from_ms)} "
        f"GROUP BY event ORDER BY n DESC, event LIMIT {NAMES_MAX}",
        tuple[str, int, int],
    ):
        one = found.of(planned_name(event) or "(no name)")
        one.failed += failed
        one.replayed += replayed
    words = rows(
        ask,
        f"SELECT event, {PLACE.format('violation')} AS place, count() AS n FROM failed_events "
        f"ARRAY JOIN violations AS violation WHERE {since(from_ms)} "
        f"GROUP BY event, place ORDER BY n DESC, place LIMIT {TOP} BY event LIMIT {NAMES_MAX}",
        tuple[str, str, int],
    )
    counted: dict[str, Counter[str]] = {}
    for event, place, count in words:  # `Order Completed` and `order_completed` are one event
        counted.setdefault(planned_name(event) or "(no name)", Counter())[place] += count
    for name, places in counted.items():
        found.of(name).failures = [
            Counted(place, count) for place, count in sorted(places.items(), key=lambda one: (-one[1], one[0]))[:TOP]
        ]


def _violations(ask: Ask, from_ms: int, found: Usage) -> None:
    for event, place, count in rows(
        ask,
        f"SELECT event, {PLACE.format('violation')} AS place, count() AS n FROM events "
        f"ARRAY JOIN violations AS violation WHERE {since(from_ms)} AND {PLANNED} "
        f"GROUP BY event, place ORDER BY n DESC, place LIMIT {TOP} BY event LIMIT {NAMES_MAX}",
        tuple[str, str, int],
    ):
        found.of(event).violations.append(Counted(place, count))


def _reported(ask: Ask, from_ms: int, plan: Plan, found: Usage) -> None:
    """In environments that report to CI every violation is wrong, whatever became of its event."""
    chosen = ", ".join(literal(name) for name, one in sorted(plan.environments.items()) if one.report == "ci")
    if not chosen:
        return
    there = f"{since(from_ms)} AND environment IN ({chosen})"
    listed: dict[tuple[str, str], list[str]] = {}
    for environment, event, place, count in rows(
        ask,
        f"SELECT environment, event, {PLACE.format('violation')} AS place, count() AS n FROM ("
        f"SELECT environment, event, arrayJoin(violations) AS violation FROM events WHERE {there} AND {PLANNED} "
        f"UNION ALL SELECT environment, event, arrayJoin(violations) AS violation FROM failed_events WHERE {there}) "
        "GROUP BY environment, event, place ORDER BY n DESC, environment, event, place "
        f"LIMIT {TOP} BY environment, event LIMIT {NAMES_MAX}",
        tuple[str, str, str, int],
    ):
        listed.setdefault((environment, planned_name(event) or "(no name)"), []).append(f"{place} {count:,}")
    for (environment, name), places in listed.items():
        found.of(name).wrong.append(f"{environment} reports to CI, and from there came {', '.join(places)}")


def _unplanned(ask: Ask, from_ms: int, found: Usage) -> None:
    """Properties that the plan does not name, with the types they were sent in."""
    for one in unplanned(ask, from_ms, TOP):
        shown = f"{one.name} ({one.kind})" if one.kind else one.name
        found.of(one.event).unplanned.append(Counted(shown, one.count))


def _ends(event: EventPlan, one: EventUsage, today: datetime.date) -> list[str]:
    """What ends soon or has ended, and whether it still comes."""
    ends = [(event.major, event.sunset)] if event.sunset is not None else []
    # `until` is the last day that is still accepted.
    ends += [(old.major, old.until + datetime.timedelta(days=1)) for old in event.accept if old.until is not None]
    said = []
    for major, day in sorted(ends, key=lambda end: (end[1], end[0])):
        left = (day - today).days
        sent = one.versions.get(major, 0)
        still = f", and came {sent:,} times" if sent else ""
        if left <= 0:
            said.append(f"version {major} ended on {day}{still}")
            if sent:
                one.wrong.append(f"version {major} ended on {day} and still came {sent:,} times")
        elif left <= SOON_DAYS:
            said.append(f"version {major} ends on {day}, in {left} days{still}")
    return said


def _expected(ask: Ask, plan: Plan, days: int, today: datetime.date, found: Usage) -> None:
    """Hold what comes a day, and for each event of another name, against what the plan expects; whole days only."""
    wanted = {name: event.expect for name, event in plan.events.items() if event.expect.daily or event.expect.ratio}
    if not wanted:
        return
    names = set(wanted) | {expect.ratio.of for expect in wanted.values() if expect.ratio is not None}
    begin = today - datetime.timedelta(days=days)
    ((first,),) = rows(ask, "SELECT toString(toDate(min(received_at), 'UTC')) FROM events", tuple[str])
    if first == _NEVER:
        return
    # Before the first event there was no collector. Its own day was not a whole one.
    begin = max(begin, datetime.date.fromisoformat(first) + datetime.timedelta(days=1))
    span = [begin + datetime.timedelta(days=index) for index in range(max((today - begin).days, 0))]
    if not span:
        return
    counted: dict[str, dict[str, float]] = {}
    for event, day, count in rows(
        ask,
        "SELECT event, toString(toDate(received_at, 'UTC')) AS day, sum(1 / sample_rate) FROM events "
        f"WHERE received_at >= toDateTime64('{begin} 00:00:00', 3, 'UTC') "
        f"AND received_at < toDateTime64('{today} 00:00:00', 3, 'UTC') "
        f"AND event IN ({', '.join(literal(name) for name in sorted(names))}) GROUP BY event, day",
        tuple[str, str, float],
    ):
        counted.setdefault(event, {})[day] = count
    for name, expect in wanted.items():
        own = counted.get(name, {})
        if expect.daily is not None:
            found.of(name).unmet += _daily(expect.daily, [(day, own.get(str(day), 0.0)) for day in span])
        if expect.ratio is not None:
            other = sum(counted.get(expect.ratio.of, {}).values())
            found.of(name).unmet += _ratio(expect.ratio, sum(own.values()), other)


def _daily(bounds: Expected, counts: list[tuple[datetime.date, float]]) -> list[str]:
    unmet = []
    for word, limit, odd in _outside(bounds, counts):
        shown = ", ".join(f"{day} ({count:,.0f})" for day, count in odd[-3:])
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        unmet.append(f"{len(odd)} of {len(counts)} days had {word} than {limit:,}: {shown}{more}")
    return unmet


def _outside(
    bounds: Expected, counts: list[tuple[datetime.date, float]]
) -> Iterable[tuple[str, float, list[tuple[datetime.date, float]]]]:
    """The days below the least number, and those above the greatest."""
    low, high = bounds.min, bounds.max
    if low is not None and (few := [one for one in counts if one[1] < low]):
        yield "fewer", low, few
    if high is not None and (many := [one for one in counts if one[1] > high]):
        yield "more", high, many


def _ratio(bounds: Expected, own: float, other: float) -> list[str]:
    if not other:
        return []
    share = own / other
    said = f"there were {share:.3g} of it for each {bounds.of}"
    if bounds.min is not None and share < bounds.min:
        return [f"{said}, at least {bounds.min} are expected"]
    if bounds.max is not None and share > bounds.max:
        return [f"{said}, at most {bounds.max} are expected"]
    return []


def _wrong(one: EventUsage, failed_max: float) -> list[str]:
    wrong = list(one.unmet)
    if not one.planned and one.count:
        wrong.append(f"it is not planned and came {one.count:,} times; add it to the plan, or stop sending it")
    if one.failed_share > failed_max:
        lost = one.failed - one.replayed
        wrong.append(f"{lost:,} events failed, {one.failed_share:.1%} of all; the limit is {failed_max:.1%}")
    return wrong
