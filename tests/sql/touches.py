"""What attribution looks back on: a crowd that visits and buys, and its paths by definition, not from the SQL."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sql.events import START_MS, Event, filled
from sql.oracle import by_visitor, cut, people
from sql.questions import meets, person_of

DAY_MS = 86_400_000
ASKED: dict[str, Any] = {
    **{"source_id": "shop", "goal": "purchase", "touch": "channel", "lookback_days": 30},
    **{"since": START_MS, "until": START_MS + 100 * DAY_MS, "counted_by": "visitor"},
}

# (when the visit began, what gets the credit, whether it came directly)
Touch = tuple[int, str, bool]


class Path(Struct, frozen=True):
    """The visits that led to a conversion, or to none: then of value 0, at the last visit."""

    converted: bool
    at: int
    value: float
    currency: str
    touches: tuple[Touch, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What gets credit, in order."""
        return tuple(name for _, name, _ in self.touches)


def crowd() -> list[Event]:
    """300 visitors with visits days apart, from several channels, who buy now and then."""
    chance = random.Random(5)
    events: list[Event] = []
    for visitor in range(300):
        at = chance.randrange(40 * DAY_MS)
        for visit in range(chance.choice((1, 1, 2, 3, 6))):
            for number in range(chance.choice((1, 2, 4))):
                buys = chance.random() < 0.2
                events.append(
                    filled(
                        {
                            "message_id": f"{visitor:03}-{visit}-{number}",
                            "at": at,
                            "visitor_id": f"visitor-{visitor}",
                            "user_id": chance.choice(("", "", f"user-{visitor // 2}")),
                            "type": "track" if buys else "page",
                            **({"event": "purchase"} if buys else {}),
                            "path": chance.choice(("/", "/sale")),
                            "channel": chance.choice(("email", "direct", "organic_search"))
                            if number == 0
                            else "internal",
                            "utm_campaign": chance.choice(("", "spring", "sale")) if number == 0 else "",
                            "value": chance.choice(("10", "0.5", "0")) if buys else "0",
                            "currency": chance.choice(("EUR", "USD")) if buys else "",
                            "properties": chance.choice(('{"plan":"pro"}', "{}")),
                        }
                    )
                )
                at += chance.choice((0, 1_000, 600_000))
            at += chance.choice((2 * 3_600_000, DAY_MS, 10 * DAY_MS, 30 * DAY_MS))
    return events


def paths_of(events: Iterable[Event], asked: dict[str, Any]) -> list[Path]:
    """The rows of conversion_paths."""
    visits: dict[str, list[Touch]] = defaultdict(list)
    bought: dict[str, list[Event]] = defaultdict(list)
    for (_, visitor), history in by_visitor(people(events)).items():
        unit = person_of(visitor, history) if asked["counted_by"] == "person" else visitor
        for visit in cut(history):
            outside = next((e for e in visit if e["channel"] not in ("", "internal")), None)
            channel = outside["channel"] if outside else "direct"
            landing = {name: value for name, value in (outside or visit[0]).items() if name.startswith(("utm", "ref"))}
            pages = [e["path"] for e in visit if e["event"] == "page_view"] or [visit[0]["path"]]
            touch = {"channel": channel, "entry_path": pages[0], **landing}[asked["touch"]]
            visits[unit].append((visit[0]["event_time"], touch, channel == "direct"))
        bought[unit] += [
            e for e in history if meets(e, asked["goal"]) and asked["since"] <= e["event_time"] < asked["until"]
        ]
    paths = []
    for unit, own in visits.items():
        moments = [(True, e["event_time"], float(e["value"]), e["currency"]) for e in bought[unit]]
        last = max((began for began, *_ in own if began < asked["until"]), default=0)
        if not moments and last >= asked["since"]:
            moments = [(False, last, 0.0, "")]
        for converted, at, value, currency in moments:
            before = sorted(visit for visit in own if visit[0] <= at)
            recent = [visit for visit in before if visit[0] >= at - asked["lookback_days"] * DAY_MS]
            paths.append(Path(converted, at, value, currency, tuple(recent or before[-1:])))
    return paths
