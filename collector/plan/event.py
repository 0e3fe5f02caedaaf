"""One event's file to an EventPlan: its groups laid in, its rules settled, all it says of itself checked."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collector.plan import keywords as kw
from collector.plan.enforce import read_enforce, settled
from collector.plan.model import (
    Accept,
    EventPlan,
    EventTest,
    Expect,
    Expected,
    Property,
    Rules,
    Sampling,
    Semantic,
    Upcast,
)
from collector.plan.problems import Mark, Problems, nearest
from collector.plan.read import Leaf, Map, Seq, Value, plain
from collector.plan.resolve import Resolver, deprecated, strings
from collector.plan.rules import complaints_of

_NUMERIC = ("decimal", "integer", "number")
# What a property must be for each word of `semantic`.
_SEMANTIC_KINDS = {"value": _NUMERIC, "currency": ("string",), "dedupe_by": ("string", "integer")}


class EventReader:
    """Reads events; `groups` and `rules` are those of the plan."""

    def __init__(
        self, resolver: Resolver, groups: Mapping[str, tuple[Property, ...]], rules: Rules, problems: Problems
    ) -> None:
        self._resolver = resolver
        self._groups = groups
        self._rules = rules
        self._problems = problems
        self._accepts: dict[str, list[tuple[Accept, Map]]] = {}  # checked once the older majors are read
        self._ratios: list[tuple[str, str, Mark]] = []

    def event(self, name: str, file: str, found: Map) -> EventPlan | None:
        """The event of one file, whose keywords are checked for shape; None where it has no version."""
        entries = found.entries
        properties = self._joined(name, found)
        stated = read_enforce(entries.get("enforce"), kw.EVENT_ENFORCE, f"the event {name}", self._problems)
        rules = settled(self._rules, stated, self._problems)
        version = entries.get("version")
        if not isinstance(version, Leaf):
            if "version" not in found.keys:
                self._problems.add(found.mark, f'the event {name} has no "version"; add `version: 1.0.0`')
            return None
        major = int(str(version.value).split(".")[0])
        if not 1 <= major <= kw.MAJOR_MAX:
            self._problems.add(
                version.mark, f"the major version is {major}, it must be from 1 to {kw.MAJOR_MAX}; start with 1.0.0"
            )
        text = {key: str(plain(entries[key])) for key in ("description", "trigger", "owner") if key in entries}
        return EventPlan(
            name=name,
            version=str(version.value),
            major=major,
            file=file,
            properties=properties,
            rules=rules,
            semantic=self._semantic(name, entries.get("semantic"), properties),
            accept=self._accept(name, major, file, entries.get("accept")),
            sampling=self._sampling(entries.get("sampling")),
            consent=strings(entries.get("consent")),
            sunset=_date(entries.get("sunset")),
            deprecated=deprecated(entries),
            expect=self._expect(name, entries.get("expect")),
            tags=strings(entries.get("tags")),
            tests=self._tests(entries.get("tests")),
            **text,
        )

    def _joined(self, name: str, found: Map) -> tuple[Property, ...]:
        """The event's properties: those of its groups in the order of `use`, then its own."""
        joined: dict[str, Property] = {}
        marks: dict[str, Mark] = {}
        use = found.entries.get("use")
        for item in use.items if isinstance(use, Seq) else ():
            group = str(plain(item))
            if group not in self._groups and not self._problems.lost(group):
                self._problems.add(item.mark, f'the group "{group}" is not known{nearest(group, self._groups)}')
            for prop in self._groups.get(group, ()):
                if prop.name in joined:
                    self._problems.add(
                        item.mark, f"{name} already has {prop.name} when it uses {group}; keep one of the two"
                    )
                joined[prop.name], marks[prop.name] = prop, item.mark
        own = found.entries.get("properties")
        if isinstance(own, Map):
            for prop in self._resolver.properties(own):
                mark = own.keys.get(prop.name, own.mark)
                if prop.name in joined:
                    self._problems.add(
                        mark, f"{name} has {prop.name} from a group it uses; rename it or do not use the group"
                    )
                joined[prop.name], marks[prop.name] = prop, mark
        words = ((prop.name, (prop.name, *prop.aliases), marks[prop.name]) for prop in joined.values())
        self._problems.add_alike(words, f"properties of {name}")
        return tuple(joined.values())

    def _semantic(self, event: str, found: Value | None, properties: tuple[Property, ...]) -> Semantic:
        if not isinstance(found, Map):
            return Semantic()
        good = kw.check_keywords(found, kw.SEMANTIC, "semantic", self._problems)
        types = {prop.name: prop.type for prop in properties}
        unknown = self._problems.of_shared() or self._problems.of(event)
        for word, wanted in _SEMANTIC_KINDS.items():
            if word not in good or unknown:
                continue
            name, mark = str(plain(good[word])), good[word].mark
            if name not in types:
                self._problems.add(
                    mark, f'semantic.{word} names "{name}", which is no property of it{nearest(name, types)}'
                )
                continue
            kind = types[name]
            if kind.kind not in wanted:
                self._problems.add(mark, f"semantic.{word} names {name}, which is of type {kind.kind}; it must be "
                                   f"{' or '.join(wanted)}")  # fmt: skip
            elif kind.pii is not None and kind.pii.handling in ("drop", "mask"):
                self._problems.add(
                    mark, f"semantic.{word} names {name}, of which {kind.pii.handling} leaves nothing; choose another"
                )
        if "currency" in good and "value" not in good:
            self._problems.add(good["currency"].mark, 'semantic has a currency and no value; add "value"')
        return Semantic(**{key: str(plain(value)) for key, value in good.items()})

    def _sampling(self, found: Value | None) -> Sampling | None:
        if not isinstance(found, Map):
            return None
        good = kw.check_keywords(found, kw.SAMPLING, "sampling", self._problems)
        if "rate" not in found.entries:
            self._problems.add(found.mark, 'sampling has no "rate"; add one such as rate: 0.25')
        rate = plain(good["rate"]) if "rate" in good else 1
        assert isinstance(rate, int | float)
        return Sampling(rate=float(rate), by=str(plain(good["by"])) if "by" in good else "visitor")

    def _expect(self, name: str, found: Value | None) -> Expect:
        if not isinstance(found, Map):
            return Expect()
        good = kw.check_keywords(found, kw.EXPECT, "expect", self._problems)
        made: dict[str, Expected] = {}
        for word, table in (("daily", kw.DAILY), ("ratio", kw.RATIO)):
            if not isinstance(part := good.get(word), Map):
                continue
            inner = kw.check_keywords(part, table, f"expect.{word}", self._problems)
            facts: dict[str, Any] = {key: plain(value) for key, value in inner.items()}
            if word == "ratio" and "of" not in part.entries:
                self._problems.add(part.mark, 'expect.ratio has no "of"; name the event it is counted against')
            elif "of" in inner:
                self._ratios.append((name, str(facts["of"]), inner["of"].mark))
            if facts.get("min") is not None and facts.get("max") is not None and facts["min"] > facts["max"]:
                self._problems.add(inner["min"].mark, f"expect.{word} has min {facts['min']} above max {facts['max']}")
            made[word] = Expected(**facts)
        return Expect(**made)

    def check_expectations(self, events: Mapping[str, EventPlan]) -> None:
        """Look whether the events that ratios are counted against are in the plan."""
        for name, of, mark in self._ratios:
            if of not in events:
                self._problems.add(mark, f'expect.ratio of {name} names "{of}", which is no event{nearest(of, events)}')
            elif of == name:
                self._problems.add(mark, f"expect.ratio of {name} names {name} itself, which is always 1; name another")

    # Older majors

    def _accept(self, name: str, major: int, file: str, found: Value | None) -> tuple[Accept, ...]:
        made: list[Accept] = []
        for item in found.items if isinstance(found, Seq) else ():
            if not isinstance(item, Map):
                self._problems.add(item.mark, "accept must list mappings such as {major: 1, until: 2027-03-31}")
                continue
            good = kw.check_keywords(item, kw.ACCEPT, "accept", self._problems)
            older = plain(good["major"]) if "major" in good else None
            if "major" not in item.entries:
                self._problems.add(item.mark, 'this entry of accept has no "major"; add it')
            if not isinstance(older, int):
                continue
            if older >= major:
                self._problems.add(
                    item.mark, f"{name} accepts major {older}, which is not older than its own major {major}"
                )
            elif older in [one.major for one in made]:
                self._problems.add(item.mark, f"{name} accepts major {older} twice; keep one")
            else:
                made.append(
                    Accept(major=older, until=_date(good.get("until")), upcast=self._upcast(good.get("upcast")))
                )
                if not file.startswith("history/"):  # what a frozen major accepted is over
                    self._accepts.setdefault(name, []).append((made[-1], item))
        return tuple(made)

    def _upcast(self, found: Value | None) -> Upcast | None:
        if not isinstance(found, Map):
            return None
        good = kw.check_keywords(found, kw.UPCAST, "upcast", self._problems)
        rename, default = good.get("rename"), good.get("default")
        new_names: dict[str, str] = {}
        for old, value in rename.entries.items() if isinstance(rename, Map) else ():
            if isinstance(value, Leaf) and isinstance(value.value, str):
                new_names[old] = value.value
            else:
                self._problems.add(value.mark, f"{old} is renamed to {plain(value)!r}, which is no name; write a text")
        values = {key: plain(value) for key, value in default.entries.items()} if isinstance(default, Map) else {}
        return Upcast(rename=new_names, default=values)

    def accepted(
        self, events: Mapping[str, EventPlan], history: Mapping[tuple[str, int], EventPlan], folder: Path
    ) -> dict[tuple[str, int], EventPlan]:
        """The older majors that events accept, each from its file in history/; their upcasts are checked."""
        accepted: dict[tuple[str, int], EventPlan] = {}
        for name, entries in self._accepts.items():
            for one, found in entries:
                if (name, one.major) in history:
                    accepted[name, one.major] = history[name, one.major]
                    if name in events and isinstance(upcast := found.entries.get("upcast"), Map):
                        self._check_upcast(upcast, history[name, one.major], events[name])
                elif not (folder / "history" / f"{name}@{one.major}.yaml").exists():
                    self._problems.add(
                        found.mark,
                        f"{name} accepts major {one.major}, but history/{name}@{one.major}.yaml is missing; add it",
                    )
        return accepted

    def _check_upcast(self, upcast: Map, old: EventPlan, new: EventPlan) -> None:
        """Does each new name and value fit the newest major, and each old name the older one?"""
        before = {prop.name: prop.type for prop in old.properties}
        after = {prop.name: prop.type for prop in new.properties}
        rename, default = upcast.entries.get("rename"), upcast.entries.get("default")
        taken: dict[str, str] = {}
        for name, value in rename.entries.items() if isinstance(rename, Map) else ():
            assert isinstance(rename, Map)
            target = str(plain(value))
            if name not in before:
                sentence = f'"{name}" is no property of {old.name}@{old.major}{nearest(name, before)}'
                self._problems.add(rename.keys[name], sentence)
            elif target not in after:
                self._problems.add(value.mark, f'"{target}" is no property of {new.name}{nearest(target, after)}')
            elif target in taken:
                self._problems.add(value.mark, f"{taken[target]} and {name} are both renamed to {target}; keep one")
            elif before[name].kind != after[target].kind and not (
                {before[name].kind, after[target].kind} <= set(_NUMERIC)
            ):
                self._problems.add(
                    value.mark,
                    f"{name} is of type {before[name].kind} and {target} of type {after[target].kind}; "
                    "one column cannot hold both: choose another property",
                )
            taken.setdefault(target, name)
        for name, value in default.entries.items() if isinstance(default, Map) else ():
            assert isinstance(default, Map)
            if name not in after:
                self._problems.add(default.keys[name], f'"{name}" is no property of {new.name}{nearest(name, after)}')
            elif complaints := complaints_of(after[name], plain(value)):
                self._problems.add(value.mark, f"the default of {name} is not valid: {complaints[0]}")

    # Tests

    def _tests(self, found: Value | None) -> tuple[EventTest, ...]:
        tests: list[EventTest] = []
        for item in found.items if isinstance(found, Seq) else ():
            if not isinstance(item, Map):
                self._problems.add(item.mark, "a test must be a mapping of valid, or of invalid and violates")
                continue
            good = kw.check_keywords(item, kw.TEST, "a test", self._problems)
            if ("valid" in good) == ("invalid" in good) or ("invalid" in good) != ("violates" in good):
                self._problems.add(item.mark, "a test has either valid, or invalid together with violates")
                continue
            document = plain(good["valid"] if "valid" in good else good["invalid"])
            tests.append(EventTest(document=document, violates=self._violates(good.get("violates")), mark=item.mark))
        return tuple(tests)

    def _violates(self, found: Value | None) -> frozenset[tuple[str, str]]:
        """`{constraint: "items[0].quantity"}` as pairs of class and JSON pointer."""
        expected: set[tuple[str, str]] = set()
        for word, value in found.entries.items() if isinstance(found, Map) else ():
            if word not in kw.VIOLATES:
                assert isinstance(found, Map)
                sentence = f'"{word}" is not a class of violation{nearest(word, kw.VIOLATES)}'
                self._problems.add(found.keys[word], sentence)
            for path in value.items if isinstance(value, Seq) else (value,):
                if isinstance(path, Leaf) and isinstance(path.value, str):
                    expected.add((word, _pointer(path.value)))
                else:
                    self._problems.add(path.mark, 'a violation is named by a path such as "items[0].quantity"')
        if isinstance(found, Map) and not found.entries:
            self._problems.add(found.mark, "violates is empty; name a class and a path such as {constraint: currency}")
        return frozenset(expected)


def _pointer(path: str) -> str:
    """`items[0].quantity` as a JSON pointer; a path that starts with / is one already, "" is the properties' own."""
    if path.startswith("/"):
        return path
    parts = re.sub(r"\[([0-9]+)\]", r".\1", path).strip(".")
    return "/properties" + ("/" + parts.replace(".", "/") if parts else "")


def _date(found: Value | None) -> datetime.date | None:
    """A date whose shape has been checked."""
    return datetime.date.fromisoformat(str(plain(found))) if isinstance(found, Leaf) else None
