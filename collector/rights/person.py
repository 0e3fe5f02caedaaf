"""Whose data is meant: an id, and with it the devices and names that the view `identities` says are the same person.

A device of several people belongs to each of them in turn (the view visitor_users), so of its anonymous events only
those of the person's own turns are theirs. Nothing is stitched across sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from collector.hindsight.ask import LITERALS_BYTES_MAX, Ask
from collector.plan.values import literal, quoted
from collector.rights.tables import other_tables

IDS_MAX = 2_000  # of one person; more are a name that many share, and would not fit into a query
PATTERN_IDS = 50  # in one regular expression
FOREVER_MS = 253_402_300_799_000  # the end of the year 9999

KINDS = ("visitor", "user")
# What an id is called in the JSON of an event that could not be read as one.
_ID_KEYS = "anonymousId|userId|previousId|anonymous_id|user_id|previous_id|visitor_id"


class PersonError(Exception):
    """It is not clear who is meant; the text is one sentence."""


class Turn(NamedTuple):
    """A time in which a device of several people was the person's."""

    source_id: str
    visitor_id: str
    since_ms: int
    until_ms: int


class Person(msgspec.Struct, frozen=True):
    """One person of one or more sources. Ids are pairs of source and id.

    Attributes:
        kind, id: Who was asked for.
        sources: In which sources.
        visitors: Devices that are the person's alone.
        users: Names.
        turns: Of devices that are others' too.
        person_ids: As the views name the person now; none where only the very id is meant.
    """

    kind: str
    id: str
    sources: tuple[str, ...]
    visitors: tuple[tuple[str, str], ...]
    users: tuple[tuple[str, str], ...]
    turns: tuple[Turn, ...] = ()
    person_ids: tuple[tuple[str, str], ...] = ()

    def of_events(self) -> str:
        """The condition for rows of `events`."""
        ids = (*self.visitors, *self.users)
        either = [self._by_columns("event_time")]
        either += [f"(type = 'alias' AND (source_id, previous_id) IN {pairs(ids)})"] if ids else []
        return f"({' OR '.join(either)})"

    def of_failed(self) -> str:
        """The condition for rows of `failed_events`: by their columns, or by their bytes where those were not read."""
        either = [self._by_columns("received_at")]
        unread = f"source_id IN ({','.join(map(literal, self.sources))}) AND (visitor_id = '' OR type = 'alias')"
        either += [f"({unread} AND match(raw, {literal(pattern)}))" for pattern in self._patterns()]
        return f"({' OR '.join(either)})"

    def of_other(self, columns: Iterable[str]) -> str:
        """The condition for rows of another table, by its columns that hold ids."""
        ids = self.by_holder()
        either = [f"(source_id, {name}) IN {pairs(ids[name])}" for name in columns if ids[name]]
        return f"({' OR '.join(either)})" if either else "0"

    def by_holder(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """By column of HOLDERS what stands there for the person, with the source, which an audience may leave empty.

        A table that is kept names the person as the views did then: before they signed in `visitor:` and the device.
        """
        named = {(source, f"visitor:{id_}") for source, id_ in self.visitors}
        named |= {(source, f"user:{id_}") for source, id_ in self.users}
        named |= {*self.person_ids}
        named |= {("", person_id) for _, person_id in named}
        return {"visitor_id": self.visitors, "user_id": self.users, "person_id": tuple(sorted(named))}

    def undated(self) -> str:
        """Of rows of `events`: those that may look later when they come again, or are not told by their ids alone."""
        return (
            f"(occurred_at = received_at OR occurred_at > ifNull(sent_at, received_at) OR {self._turns('event_time')})"
        )

    def _by_columns(self, time: str) -> str:
        either = [f"(source_id, visitor_id) IN {pairs(self.visitors)}"] if self.visitors else []
        either += [f"(source_id, user_id) IN {pairs(self.users)}"] if self.users else []
        return f"({' OR '.join([*either, self._turns(time)])})"

    def _turns(self, time: str) -> str:
        if not self.turns:
            return "0"
        either = [
            f"(source_id, visitor_id) = ({literal(turn.source_id)}, {literal(turn.visitor_id)}) "
            f"AND {time} >= fromUnixTimestamp64Milli({turn.since_ms}) "
            f"AND {time} < fromUnixTimestamp64Milli({turn.until_ms})"
            for turn in self.turns
        ]
        return f"(user_id = '' AND ({' OR '.join(f'({one})' for one in either)}))"

    def _patterns(self) -> list[str]:
        ids = sorted({id_ for _, id_ in (*self.visitors, *self.users)})
        return [
            rf'"(?:{_ID_KEYS})"\s*:\s*(?:{"|".join(map(_as_json, ids[at : at + PATTERN_IDS]))})\s*(?:[,}}]|$)'
            for at in range(0, len(ids), PATTERN_IDS)
        ]

    def owns(self, row: Mapping[str, Any]) -> bool:
        """The same for a row in a file, of either table."""
        source, visitor, user = row["source_id"], row["visitor_id"], row["user_id"]
        if (source, visitor) in self.visitors or (user and (source, user) in self.users):
            return True
        previous = row.get("previous_id")
        if previous and row["type"] == "alias" and (source, previous) in (*self.visitors, *self.users):
            return True
        unread = source in self.sources and "raw" in row and (not visitor or row["type"] == "alias")
        if unread and any(re.search(pattern, row["raw"]) for pattern in self._patterns()):
            return True
        ms = row.get("event_time", row["received_at"])
        return not user and any(
            (source, visitor) == (turn.source_id, turn.visitor_id) and turn.since_ms <= ms < turn.until_ms
            for turn in self.turns
        )

    def mentioned_in(self, content: bytes) -> bool:
        """Does one of the ids stand in bytes of which nothing else can be read?"""
        devices = [(turn.source_id, turn.visitor_id) for turn in self.turns]
        ids = {id_.encode() for _, id_ in (*self.visitors, *self.users, *devices)}
        return any(re.search(rb"(?<![A-Za-z0-9])" + re.escape(id_) + rb"(?![A-Za-z0-9])", content) for id_ in ids)


def pairs(ids: Iterable[tuple[str, str]]) -> str:
    """Pairs of source and id as SQL."""
    return f"({','.join(f'({literal(source)},{literal(id_)})' for source, id_ in ids)},)"


def find_person(ask: Ask, kind: str, id_: str, source: str = "", *, exact: bool = False) -> Person:
    """Who is meant by an id.

    Args:
        ask: Answers questions to the database.
        kind: One of KINDS.
        id_: As it was sent.
        source: The only source to look at; "*" for all that know the id; "" where there must be only one.
        exact: Only what carries this very id; no other devices and names.
    Raises:
        PersonError: several people are meant, or too many.
    """
    if not id_:
        raise PersonError(f"the {kind}'s id is empty; give one")
    sources = (source,) if source not in ("", "*") else _sources(ask, kind, id_)
    if len(sources) > 1 and not source:
        raise PersonError(
            f"{kind} {id_!r} is known to the sources {', '.join(sources)}, which need not be one person; "
            "name one with --source, or all with --source '*'"
        )
    own = tuple((one, id_) for one in sources)
    alone = Person(kind, id_, sources, own if kind == "visitor" else (), own if kind == "user" else ())
    if exact:
        return alone
    found = [_stitched(ask, kind, id_, one) for one in sources]
    visitors = {*alone.visitors, *(pair for one in found for pair in one.visitors)}
    users = {*alone.users, *(pair for one in found for pair in one.users)}
    turns = tuple(turn for one in found for turn in one.turns)
    ids = (*visitors, *users, *turns)
    if len(ids) > IDS_MAX or len(pairs((*visitors, *users))) > LITERALS_BYTES_MAX // 3:
        raise PersonError(
            f"{kind} {id_!r} has {len(ids):,} devices and names, the limit is {IDS_MAX:,}: a name that many share? "
            "Take only what carries this very id with --exact"
        )
    named = tuple(pair for one in found for pair in one.person_ids)
    return Person(kind, id_, sources, tuple(sorted(visitors)), tuple(sorted(users)), turns, named)


def _sources(ask: Ask, kind: str, id_: str) -> tuple[str, ...]:
    """In which sources an id is known, by any table: retention may have taken the events, and left an audience."""
    wanted = literal(id_)
    known = {"events": [f"{kind}_id = {wanted}", f"(type = 'alias' AND previous_id = {wanted})"]}
    known["failed_events"] = [f"{kind}_id = {wanted}"]
    others, _ = other_tables(lambda sql: rows(ask, sql), "currentDatabase()", distributed=True)
    for table, columns in others.items():
        values = {f"{kind}_id": wanted, "person_id": literal(f"{kind}:{id_}")}
        known[table] = [f"{name} = {values[name]}" for name in columns if name in values]
    asked = (
        f"SELECT DISTINCT toString(source_id) FROM {quoted(table)} WHERE {' OR '.join(either)}"
        for table, either in known.items()
        if either
    )
    found = {str(row[0]) for row in rows(ask, " UNION DISTINCT ".join(asked))}
    return tuple(sorted(found - {""} or found))  # an audience may name no source


def _stitched(ask: Ask, kind: str, id_: str, source: str) -> Person:
    """The person of an id in one source."""
    # The view is asked once: to plan it takes half a second.
    identities = rows(
        ask,
        "SELECT kind, id, is_shared, person_id FROM (SELECT kind, id, is_shared, person_id, "
        f"max(kind = {literal(kind)} AND id = {literal(id_)}) OVER (PARTITION BY person_id) AS is_meant "
        f"FROM identities WHERE source_id = {literal(source)}) WHERE is_meant",
    )
    person_ids = sorted({str(row[3]) for row in identities})
    if len(person_ids) > 1:
        raise PersonError(
            f"visitor {id_!r} of source {source} is a device of {len(person_ids)} people; "
            "name one with --user, or take all that the device sent with --exact"
        )
    if not person_ids:
        return Person(kind, id_, (source,), (), ())
    found = [row[:3] for row in identities]
    users = {str(id_) for kind, id_, _ in found if kind == "user"}
    if person_ids[0].startswith("user:"):
        users.add(person_ids[0].removeprefix("user:"))
    return Person(
        kind,
        id_,
        (source,),
        tuple((source, str(id_)) for kind, id_, shared in found if kind == "visitor" and not shared),
        tuple((source, name) for name in sorted(users)),
        tuple(_turns_of(ask, source, [str(id_) for kind, id_, shared in found if kind == "visitor" and shared], users)),
        ((source, person_ids[0]),),
    )


def _turns_of(ask: Ask, source: str, devices: list[str], users: set[str]) -> list[Turn]:
    """When devices of several people were in the hands of one with these names."""
    if not devices:
        return []
    asked = (
        "SELECT visitor_id, toUnixTimestamp64Milli(since), user_id FROM visitor_users "
        f"WHERE source_id = {literal(source)} AND visitor_id IN ({','.join(map(literal, devices))}) "
        "ORDER BY visitor_id, since"
    )
    changes = [(str(device), int(since_ms), str(user)) for device, since_ms, user in rows(ask, asked)]
    turns = []
    for at, (device, since_ms, user) in enumerate(changes):
        following = changes[at + 1] if at + 1 < len(changes) else ("", 0, "")
        if user in users:
            turns.append(Turn(source, device, since_ms, following[1] if following[0] == device else FOREVER_MS))
    return turns


def rows(ask: Ask, sql: str) -> list[list[Any]]:
    """The rows of a SELECT, which the server's log of queries does not keep."""
    settings = "output_format_json_quote_64bit_integers = 0, log_queries = 0"
    answered = ask(f"{sql}\nSETTINGS {settings} FORMAT JSONCompactEachRow")
    return msgspec.json.Decoder(list[Any]).decode_lines(answered)


def _as_json(id_: str) -> str:
    """A pattern for an id as JSON writes it; numbers may stand without quotes."""
    text = re.sub(r"([^\w])", r"\\\1", msgspec.json.encode(id_)[1:-1].decode(), flags=re.ASCII)
    return f'"{text}"|{text}' if id_.isascii() and id_.isdecimal() else f'"{text}"'
