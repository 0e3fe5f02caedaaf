"""One typed view per event, from the plan: SQL text, and nothing that touches a database.

    Plan --typed_views--> TypedView: CREATE VIEW event_<name>, a column for each property

A view reads the column `property` of `events`, in which the JSON of a row was taken apart when it was inserted
(decisions/0006-typed-access.md): a query parses no document again, only the lists and objects that it names. What the
plan knows stands in the view alone, so another plan changes views and touches no stored row.

Majors are unified by the newest major's words: for a row of an older one that it accepts, `upcast` says which old name
holds a value and what stands for one that it never had. Properties that only older majors have get columns, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from collector.plan.model import EventPlan, Plan, Property, Upcast
from collector.plan.values import Form, form_of, literal, quoted

VIEW_PREFIX = "event_"
# What a column of the plan is called when the view has one of that name already: url_property.
CLASH_SUFFIX = "_property"
# The last word of a view's comment, before the checksum. A view without it was made by hand and is left alone.
MADE_BY = "Made by Footfall from the tracking plan, "

# The texts of a row's properties by name, in `events` and not in human_events: the latter reads `*`.
_TEXTS = "property"
_PLAIN = re.compile(r"\w+", re.ASCII)
# The rule of human_events.
_PEOPLE = "NOT e.is_bot"
# A view's name becomes that of a file; one that a file system cannot hold is cut, and told apart by a hash.
_NAME_BYTES_MAX = 150

# Columns of `events` that stand in every view, with their types and what they say to an analyst.
ENVELOPE: tuple[tuple[str, str, str], ...] = (
    ("message_id", "String", "The client's id of this event."),
    ("source_id", "LowCardinality(String)", "The site or server that sent it."),
    ("visitor_id", "String", "The device: anonymousId, or a daily hash when there is none."),
    ("user_id", "String", "The known person, empty when anonymous."),
    ("group_id", "String", "The account or company of a group call."),
    ("event_time", "DateTime64(3, 'UTC')", "When it happened; a wrong client clock is corrected by whole minutes."),
    ("received_at", "DateTime64(3, 'UTC')", "When the collector received it."),
    ("sequence", "UInt32", "Order within the page; breaks ties of one millisecond."),
    ("event_version", "UInt16", "Major version it was sent as; 0 when the plan did not know the event."),
    ("url", "String", "Page address without fragment and credentials."),
    ("host", "LowCardinality(String)", "Host of the page address."),
    ("path", "String", "Path of the page address."),
    ("referrer_host", "LowCardinality(String)", "Empty for direct visits and for pages of the same host."),
    ("channel", "LowCardinality(String)", "Where the visit came from: direct, organic_search, email, …"),
    ("utm_source", "LowCardinality(String)", "Of the page address."),
    ("utm_medium", "LowCardinality(String)", "Of the page address."),
    ("utm_campaign", "LowCardinality(String)", "Of the page address."),
    ("device_class", "LowCardinality(String)", "desktop, mobile, tablet, tv, bot or unknown."),
    ("browser", "LowCardinality(String)", "Name of the browser."),
    ("os", "LowCardinality(String)", "Name of the operating system."),
    ("country", "LowCardinality(String)", "ISO 3166-1 alpha-2, empty when unknown."),
    ("language", "LowCardinality(String)", "Of the browser."),
    ("environment", "LowCardinality(String)", "prod, dev or another that the plan names."),
    ("sample_rate", "Float32", "The share of such events that is stored: sum(1 / sample_rate) estimates them all."),
    ("plan_version", "LowCardinality(String)", "The version of the plan by which it was checked; see plan_versions."),
    ("violations", "Array(String)", "What the plan found, as class:pointer."),
    ("extra", "String", "JSON: what the plan does not know, and what it stripped."),
)

# The column that `semantic.dedupe_by` makes.
REPEAT = "is_repeat"


class ViewColumn(Struct, frozen=True):
    """One column of a view: `source` is the SQL it is read by."""

    name: str
    type: str
    comment: str
    source: str


class TypedView(Struct, frozen=True):
    """The view of one event."""

    name: str
    event: str
    comment: str
    columns: tuple[ViewColumn, ...]

    @property
    def checksum(self) -> str:
        """Equal for equal views, whatever the database is called."""
        return _hash(self._text("", self.comment))

    def create(self, database: str) -> str:
        """The statement that makes the view, or puts it in the place of another; `checksum_in` its comment tells it."""
        marked = f"{self.comment} {MADE_BY}{self.checksum}.".lstrip()
        return f"CREATE OR REPLACE VIEW {self._text(database, marked)}"

    def _text(self, database: str, comment: str) -> str:
        columns = ",\n".join(
            f"    {quoted(column.name)} {column.type} COMMENT {literal(column.comment)}" for column in self.columns
        )
        sources = ",\n".join(f"    {column.source} AS {quoted(column.name)}" for column in self.columns)
        return (
            f"{quoted(database)}.{quoted(self.name)}\n(\n{columns}\n)\nCOMMENT {literal(comment)}\n"
            f"AS SELECT\n{sources}\nFROM {quoted(database)}.events AS e FINAL\n"
            f"WHERE {_PEOPLE} AND e.event = {literal(self.event)}"
        )


def typed_views(plan: Plan) -> tuple[TypedView, ...]:
    """The view of each event of a plan: those it has, and those of which it accepts an older major only."""
    views = [
        _view(event, {major: old for (name, major), old in plan.history.items() if name == event.name})
        for event in plan.events.values()
    ]
    orphans: dict[str, dict[int, EventPlan]] = {}
    for (name, major), old in plan.history.items():
        if name not in plan.events:
            orphans.setdefault(name, {})[major] = old
    views += [_view(majors.pop(max(majors)), majors) for majors in orphans.values()]
    return tuple(sorted(views, key=lambda view: view.name))


def view_name(event: str) -> str:
    """The name of an event's view."""
    return _short(VIEW_PREFIX + event)


def checksum_in(comment: str) -> str:
    """The checksum in a view's comment; empty when it is none of ours."""
    _, found, checksum = comment.rpartition(MADE_BY)
    return checksum.rstrip(".") if found else ""


class _Source(Struct, frozen=True):
    """Where one major has the value of a column: the first of these names, else the default."""

    names: tuple[str, ...]
    default: Any = None


class _Field(Struct, frozen=True):
    """One column of the plan: its property, the form of its values, and where each major has them.

    `only` are the majors that have it, when the newest does not.
    """

    name: str
    prop: Property
    form: Form
    own: _Source
    older: dict[int, _Source]
    only: tuple[int, ...] = ()


def _view(event: EventPlan, history: dict[int, EventPlan]) -> TypedView:
    columns = [ViewColumn(name, kind, comment, f"e.{quoted(name)}") for name, kind, comment in ENVELOPE]
    fields = _fields(event, history)
    for field in fields:
        source = field.form.from_text(_text_of(field))
        columns.append(ViewColumn(field.name, field.form.final, _about_field(field), source))
    columns += [_repeat(field) for field in fields if field.prop.name == event.semantic.dedupe_by and not field.only]
    return TypedView(view_name(event.name), event.name, _about_event(event, history), tuple(columns))


def _repeat(field: _Field) -> ViewColumn:
    """Whether a row says again what an earlier one said, by the property of `dedupe_by`.

    A row without one stands for itself. A query that does not name the column does not pay for the window.
    """
    key = f"nullIf({_text_of(field)}, '')"
    same = f"e.source_id, isNull({key}), ifNull({key}, e.message_id)"
    window = f"PARTITION BY {same} ORDER BY e.event_time, e.sequence, e.message_id"
    comment = f"An earlier event had the same {field.name}; WHERE NOT {REPEAT} counts each once."
    return ViewColumn(REPEAT, "Bool", comment, f"row_number() OVER ({window}) > 1")


def _fields(event: EventPlan, history: dict[int, EventPlan]) -> list[_Field]:
    """The columns of an event: those of its newest major, then those that only older ones have."""
    upcasts = {accept.major: accept.upcast or Upcast() for accept in event.accept}
    taken = {name for name, _, _ in ENVELOPE} | ({REPEAT} if event.semantic.dedupe_by else set())
    fields = []
    for prop, only in _unified(event, history, upcasts):
        if prop.type.pii is not None and prop.type.pii.handling == "drop":
            continue  # its values are never stored
        name = _column_name(prop, taken)
        taken.add(name)
        own = _Source((prop.name, *prop.aliases))
        older = {major: _source(prop, old, upcasts.get(major, Upcast())) for major, old in history.items()}
        fields.append(_Field(name, prop, form_of(prop.type), own, older, only))
    return fields


def _unified(
    event: EventPlan, history: dict[int, EventPlan], upcasts: dict[int, Upcast]
) -> list[tuple[Property, tuple[int, ...]]]:
    """The properties of all majors, each once; those that the newest does not have with the majors that do."""
    known = {prop.name for prop in event.properties} | {name for prop in event.properties for name in prop.aliases}
    found: dict[str, tuple[Property, tuple[int, ...]]] = {}
    for major, old in sorted(history.items(), reverse=True):
        renamed = upcasts.get(major, Upcast()).rename
        for prop in old.properties:
            if prop.name not in known and prop.name not in renamed:
                newest, majors = found.get(prop.name, (prop, ()))
                found[prop.name] = newest, (major, *majors)
    return [(prop, ()) for prop in event.properties] + list(found.values())


def _source(prop: Property, old: EventPlan, upcast: Upcast) -> _Source:
    """Where an older major has the value of a property: under the names that became this one, or under its own."""
    aliases = {before.name: before.aliases for before in old.properties}
    names = [
        name for before, now in upcast.rename.items() if now == prop.name for name in (before, *aliases.get(before, ()))
    ]
    names += [name for name in (prop.name, *prop.aliases) if name not in upcast.rename]
    return _Source(tuple(dict.fromkeys(names)), upcast.default.get(prop.name))


def _text_of(field: _Field) -> str:
    """The text of a column's value, whichever major a row has."""
    cases = [
        f"e.event_version = {major}, {_first_text(source)}"
        for major, source in sorted(field.older.items())
        if source != field.own
    ]
    own = _first_text(field.own)
    return f"multiIf({', '.join(cases)}, {own})" if cases else own


def _first_text(source: _Source) -> str:
    texts = [_text(name) for name in source.names]
    if source.default is not None:
        default = source.default if isinstance(source.default, str) else json.dumps(source.default)
        texts.append(literal(default))
    if not texts:
        return "CAST(NULL AS Nullable(String))"
    return texts[0] if len(texts) == 1 else f"coalesce({', '.join(texts)})"


def _text(name: str) -> str:
    """The text of a property. As a subcolumn it is read alone, also with FINAL, for which `[…]` reads the whole map."""
    return f"e.{_TEXTS}.{quoted(f'key_{name}')}" if _PLAIN.fullmatch(name) else f"e.{_TEXTS}[{literal(name)}]"


def _column_name(prop: Property, taken: set[str]) -> str:
    """The plan's name of the column, else the property's. A dot would mean a part of another column."""
    name = (prop.type.column.name if prop.type.column else "") or prop.name.replace(".", "_")
    while name in taken:
        name += CLASH_SUFFIX
    return name


def _about_field(field: _Field) -> str:
    prop = field.prop
    kind = prop.type
    facts = [
        prop.description,
        f"Unit: {kind.unit}." if kind.unit else "",
        f"Property {prop.name}." if field.name != prop.name else "",
        f"Personal: {kind.pii.pii_class}, {kind.pii.handling}." if kind.pii is not None else "",
        _about_deprecated(prop.deprecated),
        f"Only in {_majors(field.only)}." if field.only else "",
    ]
    return " ".join(fact for fact in facts if fact)


def _about_event(event: EventPlan, history: dict[int, EventPlan]) -> str:
    facts = [
        event.description,
        f"Owner: {event.owner}." if event.owner else "",
        _about_deprecated(event.deprecated),
        f"With {_majors(sorted(history))} read as major {event.major}." if history else "",
    ]
    return " ".join(fact for fact in facts if fact)


def _about_deprecated(deprecated: bool | str) -> str:
    if not deprecated:
        return ""
    return "Deprecated." if deprecated is True else f"Deprecated: {deprecated}"


def _majors(majors: Iterable[int]) -> str:
    numbers = [str(major) for major in majors]
    return f"major {numbers[0]}" if len(numbers) == 1 else f"majors {', '.join(numbers)}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _short(name: str) -> str:
    return name if len(quote(name, safe="")) <= _NAME_BYTES_MAX else f"{_cut(name)}_{_hash(name)[:8]}"


def _cut(name: str) -> str:
    while len(quote(name, safe="")) > _NAME_BYTES_MAX - 9:
        name = name[:-1]
    return name
