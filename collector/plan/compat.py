"""Two plans, old and new: every difference, the rule it falls under, and the versions that follow.

    compare(old, new) --> Changes

Judged on resolved events, so that one edit of a group or a type shows at every event it reaches. Pure: what day it is
and what was seen are arguments. The rules are the table RULES in changes.py; those for values are in compat_types.py.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from collector.plan.changes import (
    RULES,
    WHOLE_PLAN,
    Bump,
    Changes,
    EventChange,
    Finding,
    next_version,
    parts_of,
)
from collector.plan.compat_types import compare_members, described, kinds_by_pointer, spoken
from collector.plan.lock import event_bytes, lock_bytes
from collector.plan.model import PROD, EventPlan, Plan, Property, Rule, Rules, Semantic, Type
from collector.plan.rules import token

# What was stored in `extra`: by event and path of a property (`colour`, `items/*/colour`: a JSON pointer within the
# properties, indexes as `*`), the JSON types it had (string, integer, number, boolean, null, array, object).
Seen: TypeAlias = Mapping[str, Mapping[str, Collection[str]]]

# The value of an event goes into a Decimal(18, 4): a number from here on is a violation (rules.py decimal_text).
_VALUE_BELOW = 10**14 - 1

_BUMPS = {rule: bump for rule, (bump, _) in RULES.items()}
_SIMULATE = "run `footfall plan simulate` first"
_SAID_MAX = 5  # of a list in one sentence


class Retired(Struct, frozen=True):
    """What frozen files still say of majors that are no longer accepted: nobody may reuse their numbers and names.

    `kinds` are the words for the type of each property, by event and pointer (compat_types.kinds_by_pointer).
    """

    majors: Mapping[str, Collection[int]] = {}
    kinds: Mapping[str, Mapping[str, Collection[str]]] = {}


_HOLDS: dict[str, frozenset[str]] = {
    "string": frozenset({"string"}),
    "integer": frozenset({"integer"}),
    "number": frozenset({"integer", "number"}),
    "decimal": frozenset({"integer", "number", "string"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"string"}),
    "datetime": frozenset({"string"}),
    "array": frozenset({"array"}),
    "object": frozenset({"object"}),
    "map": frozenset({"object"}),
    "any": frozenset({"string", "integer", "number", "boolean", "null", "array", "object"}),
}

# Words for people: equal to every collector.
_EVENT_WORDS = (
    ("DESCRIPTION_CHANGED", "description"),
    ("TRIGGER_CHANGED", "trigger"),
    ("OWNER_CHANGED", "owner"),
    ("TAGS_CHANGED", "tags"),
    ("EXPECT_CHANGED", "expect"),
    ("DEPRECATED_CHANGED", "deprecated"),
)

_event_words = attrgetter(*(what for _, what in _EVENT_WORDS))

_NONE = Retired()

# Findings by their event, which is the plan itself under WHOLE_PLAN.
_Found: TypeAlias = defaultdict[str, list[Finding]]


def compare(
    old: Plan,
    new: Plan,
    *,
    today: datetime.date | None = None,
    seen: Seen | None = None,
    retired: Retired = _NONE,
    released: Plan | None = None,
) -> Changes:
    """Every difference between two plans, each with its rule and bump, and the versions they lead to.

    Args:
        old: What was released, or what stands at the other end of the comparison.
        new: What is to be released; its versions say which majors were asked for.
        today: Decides whether a sunset has passed (UTC); without it no date has.
        seen: Unplanned properties that were stored, so that a new one is not given a type that senders contradict.
        retired: Frozen majors that are no longer accepted; accepted ones are known from the plans.
        released: The release that `new` follows, be it `old` or a later one: the versions that `new` states are held
            against what is computed from there. None where they are those of a release, and right.
    """
    found = _differences(old, new, today, seen, retired)
    changes = _summed(old, new, found)
    if released is None:
        return changes
    since = changes if released is old else _summed(released, new, _differences(released, new, today, None, retired))
    typed = list(_typed(released, new, since))
    for finding in typed:
        found[finding.event].append(finding)
    return _summed(old, new, found) if typed else changes


def _differences(old: Plan, new: Plan, today: datetime.date | None, seen: Seen | None, retired: Retired) -> _Found:
    """All that is different, but for versions that should not be as they are."""
    found: _Found = defaultdict(list)
    if old.hash and old.hash == new.hash:  # of all that a lock holds: only the day can have changed
        for name, event in new.events.items():
            if event.sunset is not None:
                found[name] += _dead(event, today)
        return found
    found[WHOLE_PLAN] += _plan(old, new)
    for name in old.events.keys() - new.events.keys():
        found[name].append(_removed(name, old, new))
    frozen: dict[str, list[EventPlan]] = {}
    for history in (old.history, new.history):
        for (name, _), event in history.items():
            frozen.setdefault(name, []).append(event)
    for name, event in new.events.items():
        before = old.events.get(name)
        if before is None:
            found[name] += _added(event, frozen.get(name, ()), retired)
        elif before != event:
            kept = _kept(frozen.get(name, ()), retired.kinds.get(name, {}))
            found[name] += _Judge(name, today, (seen or {}).get(name, {}), kept).event(before, event, new)
        if event.sunset is not None:
            found[name] += _dead(event, today)
    for finding in _frozen(old, new):
        found[finding.event].append(finding)
    if not any(found.values()) and _lock_of(old) != _lock_of(new):
        said = "something that no collector acts on is another"
        found[WHOLE_PLAN].append(_finding("WORDS_CHANGED", WHOLE_PLAN, "", said))
    return found


def _lock_of(plan: Plan) -> bytes:
    """What a lock holds of a plan, without versions and hashes. Two locks that differ here may not share a version."""
    blank: dict[str, Any] = {"version": "", "hash": ""}
    events = {name: msgspec.structs.replace(event, **blank) for name, event in plan.events.items()}
    return lock_bytes(msgspec.structs.replace(plan, events=events, **blank))


def _typed(released: Plan, new: Plan, changes: Changes) -> Iterable[Finding]:
    """Versions that somebody typed. Those of new events are theirs: nothing was released under them."""
    for name in sorted(released.events.keys() & new.events.keys()):
        change = changes.events.get(name)
        said = _mistyped(released.events[name].version, new.events[name].version, change)
        if said:
            yield _finding("VERSION_TYPED", name, "/version", f"its file states {said}")
    if said := _mistyped(released.version, new.version, changes.plan):
        yield _finding("VERSION_TYPED", WHOLE_PLAN, "/version", f"plan.yaml states {said}")


def _mistyped(old: str, stated: str, change: EventChange | None) -> str:
    """What is wrong with a version; empty when it is the old one, the computed one, or asks for the next major."""
    bump = change.bump if change is not None else Bump.NONE
    computed = change.computed if change is not None else old
    asked = next_version(old, Bump.MAJOR)
    # A lower one is told as such. Where something is an error, there is no version to hold it against.
    if bump is Bump.ERROR or stated in (old, computed, asked) or parts_of(stated) < parts_of(old):
        return ""
    return (
        f"{stated}, computed is {computed}{f' ({bump.word}, after {old})' if bump is not Bump.NONE else ''}; put {old} "
        f"back, as a release writes the next version, or ask for a new major with {asked}"
    )


def _finding(rule: str, event: str, pointer: str, sentence: str) -> Finding:
    return Finding(rule, _BUMPS[rule], event, pointer, sentence)


def _summed(old: Plan, new: Plan, by_event: _Found) -> Changes:
    """The findings in order, and the versions of each changed event and of the plan."""
    events: dict[str, EventChange] = {}
    ordered: list[Finding] = []
    worst = Bump.NONE
    for name, found in sorted(by_event.items()):
        if not found:
            continue
        _order(found)
        worst = max(worst, found[0].bump)
        ordered += found
        if name == WHOLE_PLAN:
            continue
        before, after = old.events.get(name), new.events.get(name)
        bump = found[0].bump
        if before is None or after is None:
            stated = "" if after is None else after.version
            events[name] = EventChange(event=name, bump=bump, old=before.version if before else "", stated=stated,
                                       computed=stated, next=stated, asked=False)  # fmt: skip
            continue
        asked = after.major > before.major and (name, before.major) in new.history
        # What only ends an older major leaves the numbers of the newest alone.
        own = next((one.bump for one in found if one.rule not in ("ACCEPT_REMOVED", "HISTORY_EDITED")), Bump.PATCH)
        events[name] = _change(name, bump, before.version, after.version, next_version(before.version, own), asked)
    asked = parts_of(new.version)[0] > parts_of(old.version)[0]
    plan = _change(WHOLE_PLAN, worst, old.version, new.version, next_version(old.version, worst), asked)
    return Changes(findings=tuple(ordered), events=events, plan=plan)


def _change(event: str, bump: Bump, old: str, stated: str, computed: str, asked: bool) -> EventChange:
    later = max(computed, stated, key=parts_of)
    return EventChange(event=event, bump=bump, old=old, stated=stated, computed=computed, next=later, asked=asked)


def _order(found: list[Finding]) -> None:
    """Worst first, then by place, then by rule; one after the other, for texts alone are compared in C."""
    if len(found) == 1:
        return
    by_bump: list[list[Finding]] = [[] for _ in Bump]
    for finding in found:
        by_bump[finding.bump].append(finding)
    found.clear()
    for some in reversed(by_bump):
        if some:
            some.sort(key=_rule_of)
            some.sort(key=_place_of)  # which leaves equals in their order
            found += some


_place_of, _rule_of = attrgetter("pointer"), attrgetter("rule")


# The plan as a whole


def _plan(old: Plan, new: Plan) -> Iterable[Finding]:
    was_major, major = parts_of(old.version)[0], parts_of(new.version)[0]
    if parts_of(new.version) < parts_of(old.version):
        yield _finding("VERSION_LOWERED", WHOLE_PLAN, "/version",
                       f"the plan's version is {new.version} and was {old.version}; put it back")  # fmt: skip
    elif major > was_major:
        yield _finding("MAJOR_RAISED", WHOLE_PLAN, "/version", f"plan.yaml asks for major {major} after {was_major}")
    for what, words in (("description", "description"), ("name", "name")):
        if getattr(old, what) != getattr(new, what):
            yield _finding("DESCRIPTION_CHANGED", WHOLE_PLAN, f"/{what}", f"the plan's {words} is another")
    if old.owners != new.owners:
        yield _finding("OWNER_CHANGED", WHOLE_PLAN, "/owners", "the plan's owners are others")
    if old.naming != new.naming:
        yield _finding("NAMING_CHANGED", WHOLE_PLAN, "/naming", "names must look otherwise; those there are still fit")
    for name in sorted(old.journeys.keys() | new.journeys.keys()):
        before, after = old.journeys.get(name), new.journeys.get(name)
        if before != after:
            did = "was added" if before is None else "was removed" if after is None else "was changed"
            yield _finding("JOURNEYS_CHANGED", WHOLE_PLAN, f"/journeys/{name}", f"the journey {name} {did}")
    if old.rules != new.rules or old.environments.keys() != new.environments.keys():
        yield _finding("ENFORCEMENT_CHANGED", WHOLE_PLAN, "/enforce",
                       f"{_enforced(old.rules, new.rules) or 'other environments are named'}; {_SIMULATE}")  # fmt: skip
    yield from _told(old, new)
    was, now = old.limits.max_event_bytes, new.limits.max_event_bytes
    if was != now:
        rule = "LIMIT_RAISED" if now > was else "LIMIT_LOWERED"
        yield _finding(rule, WHOLE_PLAN, "/limits/max_event_bytes", f"max_event_bytes was {was:,} and is {now:,}")
    if (old.limits.max_extra_properties, old.limits.max_string) != (
        new.limits.max_extra_properties,
        new.limits.max_string,
    ):
        # max_string is part of every resolved string; this one only limits what is listed.
        yield _finding("WORDS_CHANGED", WHOLE_PLAN, "/limits", "other limits of the plan are set")


def _told(old: Plan, new: Plan) -> Iterable[Finding]:
    for name in sorted(old.environments.keys() & new.environments.keys()):
        if old.environments[name] != new.environments[name]:
            yield _finding("WORDS_CHANGED", WHOLE_PLAN, f"/environments/{name}/report",
                           f"somebody else is told of violations in {name}; no event is judged otherwise")  # fmt: skip


def _removed(name: str, old: Plan, new: Plan) -> Finding:
    fresh = [event for event in new.events.values() if event.name not in old.events]
    same = [event.name for event in fresh if event.properties == old.events[name].properties]
    hint = f"; {same[0]} looks like it, but what is sent as {name} is not heard any more" if same else ""
    return _finding("EVENT_REMOVED", name, "", f"the event was removed{hint}")


def _added(event: EventPlan, frozen: Iterable[EventPlan], retired: Retired) -> Iterable[Finding]:
    name = event.name
    majors = {*(one.major for one in frozen), *retired.majors.get(name, ())} - {one.major for one in event.accept}
    if majors and event.major <= max(majors):
        yield _finding("MAJOR_REUSED", name, "/version",
                       f"version {event.version} was taken before the event was removed; "
                       f"start again with {max(majors) + 1}.0.0")  # fmt: skip
    else:
        yield _finding("EVENT_ADDED", name, "", "the event is new")


def _dead(event: EventPlan, today: datetime.date | None) -> Iterable[Finding]:
    if today is not None and event.sunset is not None and event.sunset <= today:
        said = f"its sunset was on {event.sunset}, nothing of it is accepted any more"
        yield _finding(
            "LAST_MAJOR_PAST_SUNSET", event.name, "/sunset", f"{said}; remove the event or postpone its sunset"
        )


# Frozen majors


def _frozen(old: Plan, new: Plan) -> Iterable[Finding]:
    """An accepted major must be what it was: as newest major of the old plan, or in its history."""
    released = old.history | {(event.name, event.major): event for event in old.events.values()}
    for (name, major), event in new.history.items():
        before = released.get((name, major))
        if before is None or not _differs(before, event, old.rules == new.rules):
            continue
        judge = _Judge(name, None, {}, {})
        judge.values(before, event)
        first = max(judge.findings, key=lambda finding: finding.bump, default=None)
        what = f" ({first.sentence})" if first else ""
        yield _finding("HISTORY_EDITED", name, f"/history/{name}@{major}",
                       f"history/{name}@{major}.yaml is frozen and differs from what was released{what}; put it back, "
                       "and write out in it what it takes from shared types and groups")  # fmt: skip


def _differs(old: EventPlan, new: EventPlan, same_rules: bool) -> bool:
    """Is anything else that a frozen file says? Its rules can be told from the plan's only where those are the same."""
    return _frozen_facts(old) != _frozen_facts(new) or (same_rules and old.rules != new.rules)


def _frozen_facts(event: EventPlan) -> tuple[Any, ...]:
    tests = [(test.document, test.violates) for test in event.tests]
    return (*(getattr(event, word) for word in ("version", *_FROZEN)), tests)


_FROZEN = ("properties", "semantic", "consent", "sampling", "description", "trigger", "owner", "tags")


def _kept(frozen: Iterable[EventPlan], retired: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """The types that each pointer had in frozen majors."""
    kept = {pointer: set(kinds) for pointer, kinds in retired.items()}
    for event in frozen:
        for pointer, kind in kinds_by_pointer(event.properties).items():
            kept.setdefault(pointer, set()).add(kind)
    return kept


# One event


class _Judge:
    """One event's findings."""

    def __init__(
        self,
        name: str,
        today: datetime.date | None,
        seen: Mapping[str, Collection[str]],
        kept: Mapping[str, Collection[str]],
    ) -> None:
        self.name = name
        self.today = today
        self.seen = seen
        self.kept = kept
        self.findings: list[Finding] = []

    def add(self, rule: str, pointer: str, sentence: str) -> None:
        """Note one finding."""
        self.findings.append(Finding(rule, _BUMPS[rule], self.name, pointer, sentence))

    def event(self, old: EventPlan, new: EventPlan, plan: Plan) -> list[Finding]:
        """Every difference between an event and its successor."""
        self._version(old, new, plan)
        self.values(old, new)
        self._sunset("SUNSET", "/sunset", "its sunset", old.sunset, new.sunset)
        self._accept(old, new)
        if old.sampling != new.sampling:
            self.add("SAMPLING_CHANGED", "/sampling",
                     f"another share of the events is stored; {_SIMULATE}")  # fmt: skip
        if old.consent != new.consent:
            self.add(
                "CONSENT_CHANGED",
                "/consent",
                "another consent is needed; the setting without_consent says what becomes of events that lack it",
            )
        if old.rules != new.rules:
            self.add("ENFORCEMENT_CHANGED", "/enforce", f"{_enforced(old.rules, new.rules)}; {_SIMULATE}")
        for rule, what in _EVENT_WORDS if _event_words(old) != _event_words(new) else ():
            if getattr(old, what) != getattr(new, what):
                self.add(rule, f"/{what}", f"it has other words under {what}")
        if old.tests != new.tests and [(test.document, test.violates) for test in old.tests] != [
            (test.document, test.violates) for test in new.tests
        ]:
            self.add("TESTS_CHANGED", "/tests", "its tests are others")
        if not self.findings and not _same(old, new):
            self.add("WORDS_CHANGED", "", "its file, or the order of its properties, is another")
        return self.findings

    def values(self, old: EventPlan, new: EventPlan) -> None:
        """What the event's values may be, and what they mean."""
        compare_members(old.properties, new.properties, "/properties", self.add, self._added)
        self._semantic(old, new)

    def _version(self, old: EventPlan, new: EventPlan, plan: Plan) -> None:
        if parts_of(new.version) < parts_of(old.version):
            self.add("VERSION_LOWERED", "/version", f"its version is {new.version} and was {old.version}; put it back, "
                     "or merge what was released meanwhile")  # fmt: skip
        elif new.major > old.major:
            self.add("MAJOR_RAISED", "/version", f"its file asks for major {new.major} after {old.major}")
            if (self.name, old.major) not in plan.history:
                self.add("ACCEPT_REMOVED", "/accept", f"major {old.major} is no longer accepted; "
                         f"add {{major: {old.major}, until: DATE}} to accept")  # fmt: skip

    def _added(self, prop: Property, pointer: str, name: str) -> None:
        """A property that was not there, or a new alias of one that was."""
        names = (prop.name, *prop.aliases) if name == prop.name else (name,)
        if name != prop.name:
            self.add("ALIAS_ADDED", pointer, f"{prop.name} may also be sent as {name}")
        elif prop.required:
            self.add("REQUIRED_PROPERTY_ADDED", pointer, f"{name} is new and required, events without it are refused; "
                     "make it optional")  # fmt: skip
        else:
            self.add("PROPERTY_ADDED", pointer, f"{name} is new")
        for word in names:
            self._reused(word, prop.type, pointer)
            self._contradicted(word, prop.type, pointer)

    def _reused(self, word: str, kind: Type, pointer: str) -> None:
        """Did an older major have the name, with another type?"""
        before = self.kept.get(f"{pointer.rpartition('/')[0]}/{token(word)}", ())
        others = sorted(set(before) - {described(kind)})
        if others:
            self.add("REMOVED_NAME_REUSED", pointer, f"{word} was {_article(others[0])} in an older major and would be "
                     f"{_article(described(kind))}; choose another name")  # fmt: skip

    def _contradicted(self, word: str, kind: Type, pointer: str) -> None:
        """Was the name sent before it was planned, with values that the new type does not hold?"""
        if self.seen:
            self._held([*pointer.split("/")[2:-1], token(word)], kind, pointer, word)

    def _held(self, parts: list[str], kind: Type, pointer: str, word: str) -> None:
        """The same at a place of the properties and, where the type there holds what was sent, at all within it."""
        seen = self._seen_at(parts)
        members = kind.members or (kind,)
        holds = frozenset().union(*(_HOLDS[member.kind] for member in members), {"null"} if kind.nullable else set())
        others = sorted(seen - holds)
        if others:
            self.add("SEEN_WITH_OTHER_TYPE", pointer, f"{word} was already sent as {' and '.join(others)}, "
                     f"which {_article(described(kind))} does not hold; choose that type or another name")  # fmt: skip
            return
        inner = kind.items or kind.values
        if inner is not None:
            self._held([*parts, "*"], inner, f"{pointer}/*", spoken(f"{pointer}/*"))
        for prop in kind.properties:
            at = f"{pointer}/{token(prop.name)}"
            for name in (prop.name, *prop.aliases):
                said = spoken(at) if name == prop.name else f"{spoken(pointer)}.{name}"
                self._held([*parts, token(name)], prop.type, at, said)

    def _seen_at(self, parts: list[str]) -> set[str]:
        """The types that were stored at a place of the plan, where `*` is any item of a list and any key of a map."""
        if len(parts) == 1:
            return set(self.seen.get(parts[0], ()))
        found: set[str] = set()
        for path, kinds in self.seen.items():
            there = path.split("/")
            if len(there) == len(parts) and all(map(_meets, parts, there)):
                found.update(kinds)
        return found

    def _semantic(self, old: EventPlan, new: EventPlan) -> None:
        before, after = old.semantic, new.semantic
        if before == after:
            return
        for word in Semantic.__struct_fields__:
            was, now = getattr(before, word), getattr(after, word)
            if was == now:
                continue
            if was:
                said = f"{word} was {was} and is {now or 'not stated'}; reports before and after would not compare"
                self.add("SEMANTIC_CHANGED", f"/semantic/{word}", said)
            elif word == "value" and not _bounded(new, now):
                self.add("SEMANTIC_CHANGED", "/semantic/value",
                         f"the value is read from {now}, which may exceed 14 digits and was not refused for it before; "
                         f"give {now} a minimum and a maximum")  # fmt: skip
            else:
                self.add("SEMANTIC_ADDED", f"/semantic/{word}", f"{word} is {now} now")

    def _sunset(self, rule: str, pointer: str, what: str, old: datetime.date | None, new: datetime.date | None) -> None:
        if old == new:
            return
        said = f"{what} was {old or 'open'} and is {new or 'open'}"
        passed = new is not None and self.today is not None and new <= self.today
        if passed or (old is not None and new is not None and new < old):
            self.add(f"{rule}_BROUGHT_FORWARD", pointer, f"{said}; senders have less time than they were told")
        else:
            self.add(f"{rule}_POSTPONED", pointer, said)

    def _accept(self, old: EventPlan, new: EventPlan) -> None:
        before = {accept.major: accept for accept in old.accept}
        after = {accept.major: accept for accept in new.accept}
        for major, accept in before.items():
            kept = after.get(major)
            if kept is None:
                ended = self.today is not None and accept.until is not None and accept.until < self.today
                rule = "ACCEPT_ENDED" if ended else "ACCEPT_REMOVED"
                said = f"major {major} is no longer accepted" + ("; its last day has passed" if ended else "")
                self.add(rule, f"/accept/{major}", said)
                continue
            self._sunset("UNTIL", f"/accept/{major}/until", f"the last day of major {major}", accept.until, kept.until)
            if accept.upcast != kept.upcast:
                self.add("UPCAST_CHANGED", f"/accept/{major}/upcast",
                         f"major {major} reads otherwise as the newest; stored events would change")  # fmt: skip
        for major in after.keys() - before.keys() - {old.major if new.major > old.major else 0}:
            self.add("ACCEPT_ADDED", f"/accept/{major}", f"major {major} is accepted")


def _enforced(old: Rules, new: Rules) -> str:
    """`constraint is quarantine and was flag`, for every class and environment that differs."""
    said: list[str] = []
    for environment in sorted(old.keys() | new.keys()):
        before, after = old.get(environment, {}), new.get(environment, {})
        where = "" if environment == PROD else f" in {environment}"
        for reason in sorted(before.keys() | after.keys(), key=lambda reason: reason.word):
            was, now = before.get(reason), after.get(reason)
            if was != now:
                said.append(f"{reason.word}{where} was {_acted(was)} and is {_acted(now)}")
    return ", ".join(said[:_SAID_MAX]) + (f" and {len(said) - _SAID_MAX} more" if len(said) > _SAID_MAX else "")


def _acted(rule: Rule | None) -> str:
    if rule is None:
        return "as in production"
    return rule.action.value + (f" from {rule.starts}" if rule.starts else "")


def _same(old: EventPlan, new: EventPlan) -> bool:
    """Is the same in the lock but for the version? Compared as written there: 1 and 1.0 are two texts."""
    before, after = (event_bytes(msgspec.structs.replace(event, version="", hash="")) for event in (old, new))
    return before == after


def _bounded(event: EventPlan, name: str) -> bool:
    """Can no value of the property be too large for the column of values?"""
    kind = next((prop.type for prop in event.properties if prop.name == name), None)
    if kind is None:
        return False
    low = kind.minimum if kind.minimum is not None else kind.exclusive_minimum
    high = kind.maximum if kind.maximum is not None else kind.exclusive_maximum
    return low is not None and high is not None and low >= -_VALUE_BELOW and high <= _VALUE_BELOW


def _meets(part: str, there: str) -> bool:
    """Is a part of a stored path one that the plan speaks of? All that looks like an index is stored as `*`."""
    return part in ("*", there) or (there == "*" and part.isdigit())


def _article(words: str) -> str:
    return f"an {words}" if words[:1] in "aeiou" else f"a {words}"
