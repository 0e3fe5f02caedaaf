"""A plan on trial: what it would do to events that are stored, and to those that were refused.

    events --by event and version, in pages--> decoded at once --what is not valid--> checked --> Trial
    failed_events --pages--> again -----------------------------------------------------------^

Most events are valid: a page of them is one string of JSON lines, which msgspec decodes and validates in one call. Only
where that fails are its events looked at one by one, and only those that are not valid walk the rules. Rows that were
stored twice and not merged yet count twice; sampled events count as often as they are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct, field

from collector.hindsight.ahead import coming_end, lacking_consent
from collector.hindsight.ask import Ask, rows, since, text_columns
from collector.hindsight.failed import Wanted, again, pages
from collector.hindsight.refusals import Refusals
from collector.ingest.judge import DEV
from collector.ingest.pipeline import Tools
from collector.plan import Checked, CompiledPlan, Violation
from collector.plan.fast import Inexpressible, struct_of
from collector.plan.model import PROD, Action, EventPlan, Plan
from collector.plan.pii import fields_of, masked_text, object_of
from collector.plan.values import literal
from collector.reason import Reason

PLANNED = "type IN ('track', 'page', 'screen')"
KEY = "source_id, visitor_id, occurred_at, message_id"  # the sort key of events
PAGE_ROWS = 50_000
PAGE_BYTES = 16 * 1024 * 1024  # of properties, by their average: two pages are in memory at a time
DIRTY_ROWS = 5_000  # of rows with violations, which are looked at one by one
GROUPS_MAX = 5_000  # names of unplanned events are anyone's choice; the rarest are left out, and it is said
# What is stored has at most 14 digits before the point; a longer number is a violation that only the rules know of.
_LARGE = 1e14

# What would become of an event, worst first. `later`: a rule with a start date would do so from then on.
CHANGES = ("dropped", "quarantined", "stripped", "flagged", "later", "cleared", "accepted")


class Example(Struct, frozen=True):
    """One event of many. `sentence` has no personal data in it."""

    message_id: str
    pointer: str
    sentence: str


class Case(Struct):
    """What would be different for events of one name and version, for one reason."""

    event: str
    version: int
    change: str
    reason: str
    count: int
    of: int
    example: Example

    @property
    def share(self) -> float:
        """Of the events of that version that are stored, or, for `accepted`, of those that had failed."""
        return self.count / self.of if self.of else 0.0


class Total(Struct):
    """How many events of one name and version were looked at."""

    event: str
    version: int
    stored: int = 0
    failed: int = 0


class Trial(Struct):
    """The outcome. `left_out` are stored events of names that are too many to be looked at."""

    totals: dict[tuple[str, int], Total] = field(default_factory=dict)
    cases: dict[tuple[str, int, str, str], Case] = field(default_factory=dict)
    left_out: int = 0
    notes: list[str] = field(default_factory=list)

    def total(self, event: str, version: int) -> Total:
        """The total of one name and version."""
        return self.totals.setdefault((event, version), Total(event, version))

    def add(
        self, event: str, version: int, change: str, reason: str, example: Callable[[], Example], count: int = 1
    ) -> None:
        """Count events to which something would happen. Only the first of a case is asked to be its example: taking
        what is personal out of its sentence costs a third of judging it."""
        case = self.cases.get((event, version, change, reason))
        if case is None:
            case = self.cases[event, version, change, reason] = Case(event, version, change, reason, 0, 0, example())
        case.count += count

    def settle(self) -> Trial:
        """Say of how many each count is."""
        for case in self.cases.values():
            total = self.total(case.event, case.version)
            case.of = total.failed if case.change == "accepted" else total.stored
        return self

    def of(self, events: Collection[str]) -> Trial:
        """What of it concerns these events."""
        return Trial(
            {key: total for key, total in self.totals.items() if total.event in events},
            {key: case for key, case in self.cases.items() if case.event in events},
            self.left_out,
            [note for note in self.notes if note.partition("@")[0] in events],
        )

    def by_event(self, changes: Collection[str]) -> dict[tuple[str, int], int]:
        """Events of these changes, by name and version."""
        found: dict[tuple[str, int], int] = {}
        for case in self.cases.values():
            if case.change in changes:
                found[case.event, case.version] = found.get((case.event, case.version), 0) + case.count
        return found

    def counted(self, *changes: str) -> int:
        """Events of these changes; an event with two reasons counts twice."""
        return sum(case.count for case in self.cases.values() if case.change in changes)


class Group(Struct, array_like=True, frozen=True):
    """Stored events that are judged alike, and what is known of them before they are read."""

    event: str
    version: int
    environment: str
    count: int
    dirty: int
    size: int
    message_id: str
    weight: float


class _Dirty(Struct, array_like=True, frozen=True):
    source_id: str
    visitor_id: str
    occurred_ms: int
    message_id: str
    properties: str
    extra: str
    violations: list[str]
    plan_version: str


class Span(Struct, frozen=True):
    """Which events: received from a moment on, of one event (empty for all), of a share of the visitors."""

    from_ms: int
    event: str = ""
    sample: float = 1.0

    @property
    def where(self) -> str:
        """The condition on `events`."""
        text = f"{since(self.from_ms)} AND {PLANNED}"
        if self.event:
            text += f" AND event = {literal(self.event)}"
        if self.sample < 1:
            text += f" AND cityHash64(visitor_id) % 1000000 < {round(self.sample * 1_000_000)}"
        return text


def try_plan(ask: Ask, plan: Plan, tools: Tools, span: Span, now_ms: int, page_rows: int = PAGE_ROWS) -> Trial:
    """What a plan would do to the events of a span.

    Args:
        ask: Answers questions to the database.
        plan: The plan on trial.
        tools: With the same, compiled.
        span: Which events.
        now_ms: The day whose rules are tried.
        page_rows: Stored events in memory at a time.
    """
    trial = Trial()
    found = rows(
        ask,
        "SELECT event, event_version, environment, count() AS n, countIf(notEmpty(violations)), "
        f"sum(length(properties)), any(message_id), sum(1 / sample_rate) FROM events WHERE {span.where} "
        f"GROUP BY event, event_version, environment ORDER BY n DESC, event LIMIT {GROUPS_MAX + 1}",
        Group,
    )
    if len(found) > GROUPS_MAX:
        ((every,),) = rows(ask, f"SELECT count() FROM events WHERE {span.where}", tuple[int])
        found = found[:GROUPS_MAX]
        trial.left_out = every - sum(group.count for group in found)
    refusals = Refusals(ask, tools.plan)
    for group in found:
        trial.total(group.event, group.version).stored += group.count
        court = _Court(ask, plan, tools.plan, refusals, span, group, now_ms, trial)
        court.judge(page_rows)
        court.note()
    _judge_failed(ask, tools, span, trial, refusals)
    _note_majors(plan, found, trial)
    _note_samples(plan, found, trial)
    return trial.settle()


class _Court:
    """Judges the stored events of one group."""

    def __init__(
        self,
        ask: Ask,
        plan: Plan,
        compiled: CompiledPlan,
        refusals: Refusals,
        span: Span,
        group: Group,
        now_ms: int,
        trial: Trial,
    ) -> None:
        self.ask, self.span, self.group, self.trial = ask, span, group, trial
        self.major = group.version or None
        self.compiled, self.refusals, self.now_ms = compiled, refusals, now_ms
        found = compiled.find(group.event, self.major)
        self.found = found
        self.actions = {} if found is None else found.policies.at(group.environment, now_ms).actions
        self.event = _event_of(plan, group.event, None if found is None else found.major)
        self.look = True if found is None else found.policies.look_for((Reason.UNKNOWN_PROPERTY, Reason.UNDECLARED_PII))

    def judge(self, page_rows: int) -> None:
        group = self.group
        first = self.check(b"{}")
        decides = first.dropped or first.rejected
        if self.event is None or (decides is not None and decides.reason is Reason.SUNSET_VERSION):
            # The event is not in the plan, or at its end: whatever its properties are, the verdict is the same.
            self.compare(first, frozenset(), group.message_id, group.count - group.dirty)
            if group.dirty:
                self.judge_dirty(page_rows)
            return
        if group.dirty:
            self.judge_dirty(page_rows)
        if group.count > group.dirty:
            ended = any(violation.reason is Reason.SUNSET_VERSION for violation in first.violations)
            self.judge_clean(page_rows, _never if ended else self.decoder())

    def note(self) -> None:
        """Note what the plan has in store for them that is no verdict of today."""
        if self.found is not None:
            group, add = self.group, self.trial.notes.extend
            add(coming_end(self.found, group.environment, group.count, self.now_ms))
            add(lacking_consent(self.ask, self.found, group.environment, self.where))

    def check(self, properties: bytes) -> Checked:
        group = self.group
        return self.compiled.check(
            group.event, self.major, properties, environment=group.environment, now_ms=self.now_ms, handled=True
        )

    def decoder(self) -> Callable[[bytes], bool]:
        """Are all these lines valid? Never yes where one of them is not."""
        assert self.event is not None
        try:
            struct, holders = struct_of(self.event.name, self.event.properties, closed=self.look)
        except Inexpressible:
            return _never
        decode: Callable[[bytes], list[Any]] = msgspec.json.Decoder(struct).decode_lines
        named = self.event.semantic.value
        worth = [prop for prop in self.event.properties if prop.name == named]
        names = [holders[name] for prop in worth for name in (prop.name, *prop.aliases)]

        def valid(lines: bytes) -> bool:
            try:
                events = decode(lines)
            except Exception:  # whatever it is, the rules will say
                return False
            return not any(_large(getattr(event, name)) for name in names for event in events)

        return valid

    def judge_clean(self, page_rows: int, valid: Callable[[bytes], bool]) -> None:
        average = max(self.group.size // self.group.count, 1)
        limit = max(min(page_rows, PAGE_BYTES // average), 1)
        for lines, ids in self.clean_pages(limit):
            if valid(lines):
                continue
            named: list[bytes] = []
            for index, line in enumerate(lines.split(b"\n")):
                if valid(line):
                    continue
                checked = self.check(line)
                if checked.violations or checked.shadowed:
                    named = named or ids.split(b"\n")
                    self.compare(checked, frozenset(), named[index].decode("utf-8", "replace"))

    def clean_pages(self, limit: int) -> Iterator[tuple[bytes, bytes]]:
        """Properties of rows without violations, a line each, and their ids; one page ahead of whoever reads them."""
        fetch = self._page_after(limit)
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(fetch, "")
            while True:
                count, source, visitor, occurred, message_id, lines, ids = coming.result()
                if not int(count):
                    return
                more = int(count) == limit
                if more:
                    key = [text.decode() for text in (source, visitor, occurred, message_id)]
                    coming = ahead.submit(fetch, _after(key[0], key[1], int(key[2]), key[3]))
                yield lines, ids
                if not more:
                    return

    def _page_after(self, limit: int) -> Callable[[str], list[bytes]]:
        # Line breaks stand between values only, where they mean nothing; in an id one would end its line.
        one_line = "arrayStringConcat(groupArray(replaceAll({}, '\\n', ' ')), '\\n')"
        last = "max(tuple(source_id, visitor_id, toUnixTimestamp64Milli(occurred_at), message_id)) AS last"

        def fetch(after: str) -> list[bytes]:
            return text_columns(
                self.ask,
                f"SELECT toString(n), toString(last.1), last.2, toString(last.3), last.4, lines, ids FROM ("
                f"SELECT count() AS n, {last}, {one_line.format('properties')} AS lines, "
                f"{one_line.format('message_id')} AS ids FROM ("
                f"SELECT {KEY}, properties FROM events WHERE {self.where} AND empty(violations){after} "
                f"ORDER BY {KEY} LIMIT {limit}))",
            )

        return fetch

    @property
    def where(self) -> str:
        group = self.group
        return (
            f"{self.span.where} AND event = {literal(group.event)} AND event_version = {group.version} "
            f"AND environment = {literal(group.environment)}"
        )

    def judge_dirty(self, page_rows: int) -> None:
        """Rows with violations: what was stripped is put back, and only what is new counts."""
        after, limit = "", min(page_rows, DIRTY_ROWS)
        while True:
            page = rows(
                self.ask,
                "SELECT source_id, visitor_id, toUnixTimestamp64Milli(occurred_at), message_id, properties, extra, "
                f"violations, plan_version FROM events WHERE {self.where} AND notEmpty(violations){after} "
                f"ORDER BY {KEY} LIMIT {limit}",
                _Dirty,
            )
            for row in page:
                checked = self.check(restored(row.properties.encode(), row.extra.encode(), row.violations))
                stand = self.refusals.listed(row.violations, self.found, row.plan_version)
                self.compare(checked, frozenset(row.violations), row.message_id, stand=stand)
            if len(page) < limit:
                return
            last = page[-1]
            after = _after(last.source_id, last.visitor_id, last.occurred_ms, last.message_id)

    def compare(
        self,
        checked: Checked,
        before: frozenset[str],
        message_id: str,
        count: int = 1,
        stand: Mapping[str, Reason] = MappingProxyType({}),
    ) -> None:
        """Count what would be different for one event, or for `count` alike.

        Args:
            checked: The verdict on what is stored of it.
            before: The violations that were stored with it.
            message_id: Its id.
            count: How many are alike.
            stand: Those of `before` whose values cannot be looked at any more, and their class.
        """
        if not count:
            return
        group, trial = self.group, self.trial

        def add(change: str, reason: str, example: Callable[[], Example]) -> None:
            trial.add(group.event, group.version, change, reason, example, count)

        decides = checked.dropped or checked.rejected
        if decides is not None:
            change = "quarantined" if checked.dropped is None else "dropped"
            add(change, decides.reason.word, partial(_example, decides, message_id))
            return
        for word, reason in stand.items():
            if self.actions[reason] >= Action.QUARANTINE:
                sentence = "only the hash of its value is stored, and that was found wrong when it came"
                add("quarantined", reason.word, partial(Example, message_id, word.partition(":")[2], sentence))
                return
        told: set[Reason] = set()
        for violation in checked.violations:
            if violation.reason not in told and violation.word() not in before:
                told.add(violation.reason)
                stripped = self.actions.get(violation.reason) is Action.STRIP
                add("stripped" if stripped else "flagged", violation.reason.word,
                    partial(_example, violation, message_id))  # fmt: skip
        for reason in dict.fromkeys(checked.shadowed):
            sentence = "a rule that starts on a later day would judge this otherwise"
            add("later", reason.word, partial(Example, message_id, "", sentence))
        if before:
            now = {violation.word() for violation in checked.violations}
            now.update(word for word, reason in stand.items() if self.actions[reason] is not Action.ALLOW)
            # What was masked when it arrived gives nothing away any more.
            gone = sorted(word for word in before - now if not word.startswith(Reason.UNDECLARED_PII.word))
            for word, pointer in {word.partition(":")[0]: word.partition(":")[2] for word in gone}.items():
                add("cleared", word, partial(Example, message_id, pointer, "it follows the plan now"))


def restored(properties: bytes, extra: bytes, violations: list[str]) -> bytes:
    """Properties as they were sent, with what the plan stripped put back.

    `extra` names a value by its pointer; what has a violation there and is not in the properties was stripped. Items
    that were taken out of a list are not put back: their place is not known.
    """
    moved = fields_of(extra)
    if not moved:
        return properties
    stripped = {
        word.partition(":/properties/")[2] for word in violations if not word.startswith(Reason.UNDECLARED_PII.word)
    }
    for at in sorted(stripped & moved.keys()):
        properties = _with(
            properties, [part.replace("~1", "/").replace("~0", "~") for part in at.split("/")], moved[at]
        )
    if "properties" in moved and "wrong_type:/properties" in violations:
        return moved["properties"]
    return properties


def _with(raw: bytes, path: list[str], value: bytes) -> bytes:
    fields = fields_of(raw) if raw.startswith(b"{") else None
    if fields is None:
        return raw
    if len(path) == 1:
        return object_of(fields | {path[0]: value}) if path[0] not in fields else raw
    if path[0] not in fields:
        return raw
    return object_of(fields | {path[0]: _with(fields[path[0]], path[1:], value)})


def _judge_failed(ask: Ask, tools: Tools, span: Span, trial: Trial, refusals: Refusals) -> None:
    """Failed events: which of them a replay would store."""
    for page in pages(ask, Wanted(span.from_ms, span.event)):
        for failed in page:
            retried = again(failed, tools)
            stored = None if retried is None else retried.row
            event = failed.name or failed.event
            found = tools.plan.find(event, None)
            version = stored.event_version if stored else found.major if found else 0
            trial.total(event, version).failed += 1
            if stored is not None and refusals.standing(failed, stored) is None:
                said = "it had failed, and a replay would store it"
                example = partial(Example, failed.message_id, failed.pointer, said)
                trial.add(event, version, "accepted", failed.reason, example)


def _note_majors(plan: Plan, found: list[Group], trial: Trial) -> None:
    """An event is stored under the major it was checked by; whether its sender stated one is not known."""
    for event, version in sorted({(group.event, group.version) for group in found}):
        newest = plan.events.get(event)
        if newest is not None and 0 < version < newest.major and (event, version) in plan.history:
            trial.notes.append(
                f"{event}@{version} was judged as such; senders that state no version would be judged by "
                f"{event}@{newest.major}"
            )


def _note_samples(plan: Plan, found: list[Group], trial: Trial) -> None:
    """Another share of the events: how many that would be. What a sample left out can only be estimated."""
    for group in found:
        event = _event_of(plan, group.event, group.version)
        if event is None or group.environment == DEV:
            continue
        rate = event.sampling.rate if event.sampling is not None else 1.0
        wanted = round(group.weight * rate)
        if wanted != group.count:
            trial.notes.append(
                f"{group.event}@{group.version}: {group.count:,} stored stand for {group.weight:,.0f}"
                f"{'' if group.environment == PROD else f' in {group.environment}'}; in a sample of {rate:g} about "
                f"{wanted:,} would be stored"
            )


def _event_of(plan: Plan, name: str, major: int | None) -> EventPlan | None:
    newest = plan.events.get(name)
    if newest is None or major is None or newest.major == major:
        return newest if major is not None else None
    return plan.history.get((name, major))


def _after(source_id: str, visitor_id: str, occurred_ms: int, message_id: str) -> str:
    """The condition for rows behind one, along the sort key."""
    source, visitor = literal(source_id), literal(visitor_id)
    # The first two conditions say nothing that the third does not, but the index understands them.
    return (
        f" AND source_id >= {source} AND (source_id > {source} OR visitor_id >= {visitor})"
        f" AND ({KEY}) > ({source}, {visitor}, fromUnixTimestamp64Milli({occurred_ms}), {literal(message_id)})"
    )


def _example(violation: Violation, message_id: str) -> Example:
    return Example(message_id, violation.pointer, masked_text(violation.fix))


def _large(value: Any) -> bool:
    if isinstance(value, int | float):
        return not -_LARGE < value < _LARGE
    return isinstance(value, str) and len(value) > 14


def _never(lines: bytes) -> bool:
    del lines
    return False
