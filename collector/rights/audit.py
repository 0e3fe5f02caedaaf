"""What is personal here: which columns can hold it, how long they are kept, and what was found that nobody declared.

    rows, all or a sample --every text within--> address, card, account, token, telephone? --declared?--> finding

No value is repeated: a finding says where to look, and how often it was seen.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from collector.database.cluster import SHARD_SUFFIX
from collector.database.retention import TTL
from collector.hindsight.ask import Ask
from collector.plan.model import EventPlan, Plan, Type
from collector.plan.pii import SEARCHED_CHARS_MAX, SEARCHED_TEXTS_MAX, personal
from collector.rights.person import rows
from collector.rights.tables import KEYS, Record, paged

PAGE_ROWS = 5_000

# What the columns of each table are about, as far as it is about people.
COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        "visitor_id": "a device, or a hash of one day",
        "user_id": "the person, as your site names them",
        "group_id": "the person's company",
        "previous_id": "an older name or device of the person",
        "url, path, query, fragment, title, referrer": "what was looked at; sites put names and tokens into addresses",
        "utm_term, utm_content, click_id": "what advertisers say of the click; click ids single out one person",
        "country, region, city, postal_code, place_time_zone": "where the address was; the address is never stored",
        "asn, network": "whose network it was; of a company, or a home's provider",
        "browser, os, device_model, language, time_zone, screen_width": "the device; together nearly a fingerprint",
        "properties, property, extra": "what your site sends; the plan declares what is personal with `pii:`",
        "traits": "what your site says of the person: often a name and an e-mail address",
        "context": "what the client says of itself and the page",
    },
    "failed_events": {
        "visitor_id, user_id": "as in events",
        "raw": "the event as it was sent, but for what the plan handles",
        "context, user_agent, country": "as in events",
        "fix": "for refused_by_database the database's sentence, which may quote the row",
    },
    "visitor_sessions": {
        "visitor_id, visits.user_id": "as in events",
        "visits.page_paths, visits.entry_path, visits.exit_path, visits.referrer_host": "what was looked at",
        "visits.utm_term, visits.utm_content": "as in events",
        "visits.country, visits.browser, visits.os, visits.device_class": "where from, and with what",
    },
    "visitor_marks": {"visitor_id": "whose stored sessions are to be computed anew"},
    "audience_snapshots": {
        "person_id": "who is in an audience, as in the view persons",
        "attributes": "whatever the audience's query selects of them",
    },
    "audience_moves": {
        "person_id": "who entered and left an audience",
        "attributes": "the same, as it was then",
    },
    "audience_refreshes": {
        "query, description": "what its author wrote, who may have named somebody",
        "failure": "the database's sentence, which may quote a value",
    },
    "audience_deliveries": {"failure": "the first words of a webhook's refusal, which may quote a member"},
    "counted_events": {"host, path": "what was looked at, by nobody: no id, no time but the day"},
    "erased_ids": {"hash": "keyed hashes of people who were erased, so that nothing of them comes back"},
    "erasures": {"receipt": "a salted hash of each erased id"},
}
# Files of the data directory with data of people, and when they go.
FILES = {
    "spool/": "events that are not loaded yet; gone when loaded",
    "spool/damaged/": "what could not be read",
    "load/refused/": "events that the database took in no table",
    "salts.json": "random salts of visitors without an id; destroyed after 48 hours; keep it out of backups",
    "salts.visits": "marks of their ids whose visits are under way at midnight; emptied when these are over",
}
_SET_ASIDE = ("spool/damaged/", "load/refused/")


class _Table(NamedTuple):
    """What is looked at: columns of text and of JSON, along a key, which names one row; `whose` tells where it is from.

    Attributes:
        key: The sort key, for pages.
        whose: The column that names the event or the audience.
        chance: The column that a fair sample goes by.
        texts: Columns of plain text.
        json: Columns in which every text within is looked at by itself.
        named: Is there a column source_id?
    """

    key: tuple[str, ...]
    whose: str
    chance: str
    texts: tuple[str, ...]
    json: tuple[str, ...] = ()
    named: bool = True


# What is made of these columns (path, stored sessions, views) has nothing that is not in them.
_LOOKED_AT = {
    "events": _Table(
        KEYS["events"],
        "event",
        "message_id",
        (
            *("event_original", "visitor_id", "user_id", "group_id", "previous_id", "url", "fragment", "title"),
            *("referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
        ),
        ("properties", "traits", "extra", "context"),
    ),
    "failed_events": _Table(
        KEYS["failed_events"], "event", "message_id", ("visitor_id", "user_id", "fix"), ("context", "raw")
    ),
    "counted_events": _Table(("source_id", "day", "event", "host", "path"), "event", "path", ("path",)),
    "audience_snapshots": _Table(
        ("audience", "refresh_id", "source_id", "person_id"), "audience", "person_id", ("person_id",), ("attributes",)
    ),
    "audience_moves": _Table(
        ("audience", "source_id", "person_id", "refresh_id"), "audience", "person_id", ("person_id",), ("attributes",)
    ),
    "audience_refreshes": _Table(
        ("audience", "refresh_id"), "audience", "refresh_id", ("query", "description", "failure"), named=False
    ),
    "audience_deliveries": _Table(
        ("audience", "destination", "to_id", "batch", "told_at", "failure"),
        "audience",
        "delivery",
        ("failure",),
        named=False,
    ),
}
# Written with its country's code (E.164), or under a name that says so: nine digits alone are as often an order number.
_PHONE = re.compile(r"(?<![\w.+/-])\+[1-9](?:[ ().\-/]{0,2}\d){7,14}(?![\w-])")
_PHONE_NAMES = re.compile(r"phone|mobile|(?:^|_)tel(?:$|_)|fax", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9][0-9 ().\-/]{5,20}[0-9]")
_TOKEN_NAMES = re.compile(
    r"pass(?:word|wd)|secret|api_?key|access_?token|auth_?token|refresh_?token|session_?id", re.IGNORECASE
)
_WORDS = {
    "email": "e-mail addresses", "card": "numbers of payment cards", "iban": "bank accounts (IBAN)",
    "token": "tokens or keys", "phone": "telephone numbers", "secret": "values named as secrets",
}  # fmt: skip


_ID = "identify people by a number of your own"
_FILE = "name nobody in the audience's file"
_TODO = {
    "properties": "declare the property with `pii:` in the plan, or send it no more",
    "traits": "send it no more if you do not need it",
    "attributes": "select it no more in the audience's query if you do not need it",
    "visitor_id": _ID,
    "user_id": _ID,
    "previous_id": _ID,
    "person_id": _ID,
    "query": _FILE,
    "description": _FILE,
    "failure": "it quotes what was refused; mend the audience's query, or what the webhook answers",
}


class Finding(Struct, frozen=True, order=True):
    """Personal data where no plan declares any, of an event or of an audience. `rows` of those looked at hold it."""

    table: str
    column: str
    path: str
    source_id: str
    event: str
    kind: str
    rows: int
    audience: str = ""

    @property
    def says(self) -> str:
        """One sentence."""
        place = f"{self.table}.{self.column}{' at ' + self.path if self.path else ''}"
        todo = _TODO.get(self.column, "send it no more")
        whose = f"audience {self.audience}" if self.audience else self.event or "an event without name"
        source = f", source {self.source_id}" if self.source_id else ""
        return f"{place} holds {_WORDS[self.kind]} ({self.rows:,} rows of {whose}{source}); {todo}"


class Declared(Struct, frozen=True):
    """A property that the plan declares as personal, and what is done with it."""

    event: str
    property: str
    pii_class: str
    handling: str


class Audit(Struct, frozen=True):
    """All of it. `kept` is by table: ClickHouse's TTL, or that there is none. `looked_at` counts rows by table."""

    columns: dict[str, dict[str, str]]
    files: dict[str, str]
    kept: dict[str, str]
    declared: list[Declared]
    looked_at: dict[str, int]
    stored: dict[str, int]
    findings: list[Finding]
    ok: bool


def audit(ask: Ask, plan: Plan, sample_rows: int | None, days_aside: int = 0) -> Audit:
    """Look at what is stored.

    Args:
        ask: Answers questions to the database.
        plan: The tracking plan, which declares what may be there.
        sample_rows: How many rows of each table to look at, about; None for all.
        days_aside: How long files are kept that were set aside, as expire.days_aside says.
    """
    found: Counter[Finding] = Counter()
    looked_at, stored = {}, {}
    for table, looked in _LOOKED_AT.items():
        stored[table] = int(rows(ask, f"SELECT count() FROM {table}")[0][0])
        looked_at[table] = 0
        for row in _rows(ask, table, looked, stored[table], sample_rows):
            looked_at[table] += 1
            found.update(_in_row(plan, table, looked, row))
    findings = sorted(msgspec.structs.replace(one, rows=count) for one, count in found.items())
    return Audit(
        COLUMNS, _files(days_aside), _kept(ask), list(_declared(plan)), looked_at, stored, findings, not findings
    )


def _files(days_aside: int) -> dict[str, str]:
    until = f"deleted after {days_aside:,} days (set_aside_days)" if days_aside else "kept until you delete it"
    return {name: f"{what}; {until}" if name in _SET_ASIDE else what for name, what in FILES.items()}


def _rows(ask: Ask, table: str, looked: _Table, count: int, sample_rows: int | None) -> Iterator[Record]:
    """Rows of a table; of a sample each with the same chance."""
    one_of = 1 if sample_rows is None else max(1, -(-count // sample_rows))
    sampled = "1" if one_of == 1 else f"cityHash64({looked.chance}) % {one_of} = 0"
    columns = ", ".join((*["source_id"] * looked.named, looked.whose, *looked.texts, *looked.json))
    return paged(ask, columns, f"{table} WHERE {sampled}", looked.key, PAGE_ROWS, {"log_queries": 0})


class _Text(NamedTuple):
    path: tuple[str, ...]
    value: str


def _in_row(plan: Plan, table: str, looked: _Table, row: Record) -> Iterator[Finding]:
    """What is personal and not declared: each place of a row once."""
    whose = row[looked.whose]
    event, audience = (whose, "") if looked.whose == "event" else ("", whose)
    seen = set()
    for column in (*looked.texts, *looked.json):
        for text in _texts(row[column]) if column in looked.json else [_Text((), row[column])]:
            kind = _kind(text)
            if kind and not _is_declared(plan, event, column, text.path):
                path = "".join(f"/{part}" for part in text.path)
                seen.add(Finding(table, column, path, row.get("source_id", ""), event, kind, 0, audience))
    yield from seen


def _kind(text: _Text) -> str:
    name = next((part for part in reversed(text.path) if part != "*"), "")
    value = text.value[:SEARCHED_CHARS_MAX]
    if kind := personal(value):
        return kind
    if _PHONE.search(value) or (_PHONE_NAMES.search(name) and _DIGITS.search(value)):
        return "phone"
    return "secret" if value and value != "***" and _TOKEN_NAMES.search(name) else ""


def _texts(content: str) -> Iterator[_Text]:
    """Texts and long numbers within JSON, each with the way to it; of what is no JSON, all of it."""
    try:
        waiting: list[tuple[tuple[str, ...], Any]] = [((), msgspec.json.decode(content))]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        yield _Text((), content)
        return
    looked = 0
    while waiting and looked < SEARCHED_TEXTS_MAX:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*path, str(name)), inner) for name, inner in list(value.items())[:SEARCHED_TEXTS_MAX]]
        elif isinstance(value, list):
            waiting += [((*path, "*"), inner) for inner in value[:SEARCHED_TEXTS_MAX]]
        elif isinstance(value, str) or (type(value) is int and value > 10**6):
            looked += 1
            yield _Text(path, str(value))


def _is_declared(plan: Plan, event: str, column: str, path: tuple[str, ...]) -> bool:
    """Does the plan say that this property, or what it is in, is personal?

    Of an audience's attribute: is it named as a property of any event of which the plan says so?
    """
    every = [
        *((one.name, one) for one in plan.events.values()),
        *((name, old) for (name, _), old in plan.history.items()),
    ]
    if column == "attributes":
        return any(_declares(major, path) for _, major in every)
    if column == "raw" and path[:1] == ("properties",):
        path = path[1:]
    elif column != "properties":
        return False
    return any(_declares(major, path) for name, major in every if name == event)


def _declares(event: EventPlan, path: Sequence[str]) -> bool:
    kind: Type | None = None
    properties = event.properties
    for part in path:
        if part == "*" and kind is not None:
            kind = kind.items
        elif kind is not None and kind.values is not None:
            kind = kind.values
        else:
            kind = next((prop.type for prop in properties if part in (prop.name, *prop.aliases)), None)
        if kind is None:
            return False
        if kind.pii is not None:
            return True
        properties = kind.properties
    return False


def _declared(plan: Plan) -> Iterator[Declared]:
    for event in plan.events.values():
        for prop in event.properties:
            if prop.type.pii is not None:
                yield Declared(event.name, prop.name, prop.type.pii.pii_class, prop.type.pii.handling)


def _kept(ask: Ask) -> dict[str, str]:
    """How long each table's rows are kept, as the database has it."""
    kept = dict.fromkeys(COLUMNS, "for ever") | {"audience_snapshots": "until its audience was refreshed twice more"}
    for table, engine in rows(
        ask,
        "SELECT name, engine_full FROM system.tables "
        f"WHERE database IN (currentDatabase(), currentDatabase() || '{SHARD_SUFFIX}') ORDER BY name",
    ):
        if table in kept and (ttl := TTL.search(str(engine))):
            with contextlib.suppress(IndexError):
                kept[str(table)] = f"TTL {ttl[1]}"
    return kept
