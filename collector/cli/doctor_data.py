"""`footfall doctor --data`: is what comes in all there, and sound?

    dq_daily, dq_properties --the last day's troubles, and the days that have them--> Findings, a sentence each

The last day is the 24 hours until now, so what broke this morning is seen before midnight. A trouble is told with the
first of the days that it has lasted without a break. Limits are of the views, or stand here.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from statistics import median

from msgspec import Struct

from collector.hindsight.ask import Ask, rows
from collector.hindsight.failed import planned_name

DAY_MS = 86_400_000
DAYS = 14  # that are looked at for how long a trouble lasts
HISTORY_DAYS = 43  # that the views read for it, at most
SHOWN_MAX = 50  # troubles told one by one
COUNT_MIN = 10  # fewer odd events than this are no trouble
ALL = "*"

# Shares above which something is wrong. What may be the nature of a source is so only where it was half of that before.
FAILED_MAX = 0.05
DUPLICATES_MAX = 0.01
SKEWED_MAX = 0.2
LATE_MAX = 0.2
BOTS_MAX = 0.5


class Finding(Struct, frozen=True):
    """One trouble. `event` is `*` for all of a source, `since_ms` None where it is older than what was looked at."""

    source_id: str
    event: str
    problem: str
    since_ms: int | None
    says: str


class DataDiagnosis(Struct, frozen=True):
    """What was found, and all that is to be told of it, a sentence each."""

    ok: bool
    findings: list[Finding]
    says: list[str]


class Day(Struct, frozen=True, array_like=True):
    """A row of dq_daily. Times are milliseconds since 1970."""

    source_id: str
    event: str
    start_ms: int
    events: int
    volume: float
    expected: float | None
    state: str
    failed: int
    failed_share: float | None
    late: int
    late_share: float | None
    duplicates: int
    duplicate_share: float | None
    bots: int
    bot_share: float | None
    skewed: int
    skewed_share: float | None
    skew_minutes: int | None
    last_ms: int | None


class _PropertyDay(Struct, frozen=True, array_like=True):
    """A row of dq_properties in which something is wrong."""

    source_id: str
    event: str
    property: str
    start_ms: int
    events: int
    present: int
    expected_null_share: float
    state: str


# What few events had may be gone because an offer ended: told are properties that at most this share was without.
GONE_MAX = 0.95
RARER_MAX = 0.5

Series = list[Day]  # of one source and event, the newest first


def examine_data(ask: Ask, now_ms: int) -> DataDiagnosis:
    """Look at the data of the last two weeks.

    Args:
        ask: Answers questions to the database.
        now_ms: The clock, as received_at has it.
    Raises:
        What `ask` raises.
    """
    series = _series(ask, now_ms)
    if not series:
        return _nothing_came(ask)
    findings = [*_volumes(series), *_shares(series, ask, now_ms), *_properties(series, ask, now_ms)]
    findings.sort(key=lambda one: (one.source_id, one.event != ALL, one.event, one.problem))
    says = [one.says for one in findings[:SHOWN_MAX]]
    if len(findings) > SHOWN_MAX:
        says.append(
            f"{len(findings) - SHOWN_MAX:,} further troubles are not shown; see the views dq_daily and dq_properties"
        )
    if not findings:
        sources = len({source for source, _ in series})
        names = sum(event != ALL for _, event in series)
        says = [f"{_number(names, 'event')} of {_number(sources, 'source')} over {DAYS} days; nothing is wrong"]
    return DataDiagnosis(ok=not findings, findings=findings, says=says)


def _nothing_came(ask: Ask) -> DataDiagnosis:
    ((last_ms,),) = rows(ask, "SELECT toUnixTimestamp64Milli(max(received_at)) FROM events", tuple[int])
    if last_ms <= 0:
        return DataDiagnosis(ok=True, findings=[], says=["there is no data yet, so nothing can be wrong with it"])
    says = f"no event came in the last {HISTORY_DAYS} days: the last came {_moment(last_ms)}; look at what sends them"
    return DataDiagnosis(ok=False, findings=[Finding(ALL, ALL, "stopped", last_ms, says)], says=[says])


def _period(now_ms: int) -> str:
    since, until = (f"fromUnixTimestamp64Milli({ms}, 'UTC')" for ms in (now_ms - DAYS * DAY_MS, now_ms))
    return f"(since = {since}, until = {until})"


def _series(ask: Ask, now_ms: int) -> dict[tuple[str, str], Series]:
    found: dict[tuple[str, str], Series] = defaultdict(list)
    for day in rows(
        ask,
        "SELECT source_id, event, toUnixTimestamp64Milli(day), events, volume, expected, state, failed, failed_share, "
        "late, late_share, duplicates, duplicate_share, bots, bot_share, skewed, skewed_share, skew_minutes, "
        f"toUnixTimestamp64Milli(last_at) FROM dq_daily{_period(now_ms)} ORDER BY source_id, event, day DESC",
        Day,
    ):
        found[day.source_id, day.event].append(day)
    return found


def _since(days: Series, wrong: Iterable[bool]) -> tuple[int | None, str]:
    """How long the newest days have been wrong: since when, None for all that was looked at, and in words."""
    lasted = sum(takewhile(bool, wrong))
    if lasted >= DAYS:
        return None, f"for {DAYS} days or more"
    return days[lasted - 1].start_ms, f"since {_moment(days[lasted - 1].start_ms)}"


# How much came


def _volumes(series: dict[tuple[str, str], Series]) -> Iterator[Finding]:
    for (source, event), days in series.items():
        state = days[0].state
        if state not in _VOLUME or (event != ALL and _alike(state, series[source, ALL][0].state)):
            continue  # what all of a source does is told once
        since_ms, lasting = _since(days, [_alike(day.state, state) for day in days])
        yield Finding(source, event, state, since_ms, _VOLUME[state](source, event, days, lasting))


def _alike(one: str, other: str) -> bool:
    return one == other or {one, other} == {"low", "stopped"}


def _what(source: str, event: str) -> str:
    return f"{source}: {_of(event)}"


def _of(event: str) -> str:
    return "its events" if event == ALL else event


def _stopped(source: str, event: str, days: Series, lasting: str) -> str:
    last_ms = next((day.last_ms for day in days if day.last_ms is not None), None)
    last = f"the last came {_moment(last_ms)}" if last_ms is not None else lasting
    usual = "" if days[0].expected is None else f", {days[0].expected:,.0f} a day were to be expected"
    return f"{_what(source, event)} stopped coming: {last}{usual}; look at what sends it"


def _low(source: str, event: str, days: Series, lasting: str) -> str:
    return f"{_what(source, event)} came {_beside(days[0])}, less than half {lasting}; look at what sends it"


def _high(source: str, event: str, days: Series, lasting: str) -> str:
    beside = f"came {_beside(days[0])}, more than twice {lasting}"
    return f"{_what(source, event)} {beside}; look whether something sends it twice"


def _beside(day: Day) -> str:
    return f"{day.volume:,.0f} times in 24 hours where {day.expected or 0:,.0f} were to be expected"


_VOLUME = {"stopped": _stopped, "low": _low, "high": _high}


# What of it is amiss


class _Share(Struct, frozen=True):
    """A share that should be small: how it is called and read, and what is to be said of the newest day.

    `jumps` says that only a change is wrong: that it was less than half of `most` on the days before.
    """

    problem: str
    most: float
    count: Callable[[Day], int]
    share: Callable[[Day], float | None]
    says: Callable[[Day], str]
    advice: str
    of_all: bool = True
    jumps: bool = False

    def wrong(self, day: Day) -> bool:
        """Whether it was too large on a day."""
        return self.count(day) >= COUNT_MIN and (self.share(day) or 0) > self.most


_SHARES = (
    _Share(
        "failed", FAILED_MAX, lambda day: day.failed, lambda day: day.failed_share,
        lambda day: f"failed in 24 hours ({day.failed:,} events)", "see failed_events", of_all=False,
    ),
    _Share(
        "duplicates", DUPLICATES_MAX, lambda day: day.duplicates, lambda day: day.duplicate_share,
        lambda day: f"in 24 hours were stored before ({day.duplicates:,} events) and count double",
        "look for what sends one messageId with several timestamps or anonymousIds", of_all=False,
    ),
    _Share(
        "clock skew", SKEWED_MAX, lambda day: day.skewed, lambda day: day.skewed_share,
        lambda day: f"in 24 hours come from clocks that are off by 5 minutes or more{_ahead(day.skew_minutes)}",
        "set the clock of what sends them",
    ),
    _Share(
        "late", LATE_MAX, lambda day: day.late, lambda day: day.late_share,
        lambda day: f"in 24 hours came more than an hour late ({day.late:,} events)",
        "look at what holds them back", jumps=True,
    ),
    _Share(
        "bots", BOTS_MAX, lambda day: day.bots, lambda day: day.bot_share,
        lambda day: f"in 24 hours are of bots ({day.bots:,} events)", "see bot_reason in events", jumps=True,
    ),
)  # fmt: skip


def _ahead(minutes: int | None) -> str:
    if not minutes:
        return ""
    return f", {abs(minutes):,} minutes {'ahead' if minutes > 0 else 'behind'} in the middle"


def _shares(series: dict[tuple[str, str], Series], ask: Ask, now_ms: int) -> Iterator[Finding]:
    found = [
        (key, one)
        for key, days in series.items()
        for one in _SHARES
        if one.of_all == (key[1] == ALL) and one.wrong(days[0]) and not (one.jumps and _was_so(days, one))
    ]
    reasons = _reasons(ask, now_ms) if any(one.problem == "failed" for _, one in found) else {}
    for (source, event), one in found:
        days = series[source, event]
        since_ms, lasting = _since(days, map(one.wrong, days))
        reason = reasons.get((source, event)) if one.problem == "failed" else None
        often = f"most often {reason}; " if reason else ""
        share = f"{one.share(days[0]) or 0:.0%}"
        says = f"{source}: {share} of {_of(event)} {one.says(days[0])}, {lasting}; {often}{one.advice}"
        yield Finding(source, event, one.problem, since_ms, says)


def _was_so(days: Series, one: _Share) -> bool:
    """Whether it was nearly so before it was wrong, or always was."""
    before = [one.share(day) or 0 for day in days[len(list(takewhile(one.wrong, days))) :] if day.events]
    return not before or median(before) > one.most / 2


def _reasons(ask: Ask, now_ms: int) -> dict[tuple[str, str], str]:
    """What was wrong most often with the failed events of the last day."""
    found: dict[tuple[str, str], str] = {}
    for source, sent, violation in rows(
        ask,
        "SELECT source_id, event, violation FROM failed_events ARRAY JOIN violations AS violation "
        f"WHERE received_at >= fromUnixTimestamp64Milli({now_ms - DAY_MS}) "
        "GROUP BY source_id, event, violation ORDER BY count() DESC, violation LIMIT 1 BY source_id, event LIMIT 10000",
        tuple[str, str, str],
    ):
        found.setdefault((source, planned_name(sent) or "(no name)"), violation.replace(":", " at ", 1))
    return found


# What of it lacks something


def _properties(series: dict[tuple[str, str], Series], ask: Ask, now_ms: int) -> Iterator[Finding]:
    found: dict[tuple[str, str, str], dict[int, _PropertyDay]] = defaultdict(dict)
    for row in rows(
        ask,
        "SELECT source_id, event, property, toUnixTimestamp64Milli(day), events, present, expected_null_share, state "
        f"FROM dq_properties{_period(now_ms)} WHERE state = 'gone' AND expected_null_share <= {GONE_MAX} "
        f"OR state = 'rarer' AND expected_null_share <= {RARER_MAX} "
        "ORDER BY source_id, event, property, day DESC LIMIT 20000",
        _PropertyDay,
    ):
        found[row.source_id, row.event, row.property][row.start_ms] = row
    for (source, event, name), bad in found.items():
        # A day without events of people says nothing of what they hold.
        days = [day for day in series[source, event] if day.volume]
        if not days or days[0].start_ms not in bad:
            continue
        newest = bad[days[0].start_ms]
        since_ms, lasting = _since(days, [day.start_ms in bad for day in days])
        first = bad[since_ms] if since_ms is not None else bad[min(bad)]
        lacking = "all" if newest.present == 0 else f"{1 - newest.present / newest.events:.0%} of"
        says = (
            f"{source}: {name} of {event} has no value in {lacking} {newest.events:,} events of 24 hours {lasting}, "
            f"before in {first.expected_null_share:.0%}; look at what sends it"
        )
        yield Finding(source, event, f"{newest.state}: {name}", since_ms, says)


def _moment(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
