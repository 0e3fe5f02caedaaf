"""A folder of YAML files to one Plan: read, merge, resolve, lint. Every mistake is collected before any is raised.

plan.yaml                       name, version, naming, enforcement, environments, limits
types.yaml, entities.yaml       types and reusable objects (`types:` and `entities:`, in either file)
groups/<group>.yaml             sets of properties that events `use:`
events/<domain>/<event>.yaml    one event a file
history/<event>@<major>.yaml    older majors that an event may still `accept:`
journeys/<journey>.yaml         what must be true of events together
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from collector.plan import keywords as kw
from collector.plan.enforce import DEFAULT_RULES, read_enforce, settled
from collector.plan.event import EventReader
from collector.plan.journeys import read_journey
from collector.plan.lock import sealed
from collector.plan.model import PROD, Environment, EventPlan, Journey, Limits, Naming, Plan, Property, Rules
from collector.plan.pattern import PatternError, translate
from collector.plan.problems import Mark, PlanError, Problems, nearest
from collector.plan.read import Leaf, Map, Value, plain, read_file
from collector.plan.resolve import Resolver, strings
from collector.plan.rules import complaints_of

FORMAT = 1
# Far more than a person keeps in view, few enough to read in a minute.
FILES_MAX = 5_000
NAME_MAX = 128

_FOLDERS = ("groups", "events", "history", "journeys")
_TOP = ("plan.yaml", "types.yaml", "entities.yaml")
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def load_plan(folder: Path) -> Plan:
    """Read, merge, resolve and lint the plan in `folder`, and give it its hashes.

    Raises:
        PlanError: one line per mistake, `file:line:column: sentence`, in the order of files and lines.
    """
    problems = Problems()
    try:
        plan = _Loader(folder, problems).load()
    except RecursionError:
        raise PlanError(f"{folder / 'plan.yaml'}:1:1: the plan is nested too deeply; use fewer levels") from None
    problems.stop_if_any()
    return sealed(plan)


class _Loader:
    """One reading of one folder."""

    def __init__(self, folder: Path, problems: Problems) -> None:
        self.folder = folder
        self.problems = problems
        self.start = Mark(str(folder / "plan.yaml"), 1, 1)
        self.naming = Naming()
        self.patterns: dict[str, re.Pattern[str]] = {}
        self.rules: Rules = {PROD: DEFAULT_RULES}
        self.environments: dict[str, Environment] = {}
        self.limits = Limits()
        self.groups: dict[str, tuple[Property, ...]] = {}
        self.named: dict[str, Mark] = {}  # where a file says its name, by its path

    def load(self) -> Plan:
        files = self._files()
        top = self._top(files)
        definitions = self._definitions(files)
        self.resolver = Resolver(definitions, self.limits, self.problems)
        for name, value in definitions.items():  # unused ones too, and by name, so that a cycle is seen as one
            self.resolver.type_of(Leaf(name, value.mark), f"type {name}")
        self._groups(files["groups"])
        reader = EventReader(self.resolver, self.groups, self.rules, self.problems)
        history = self._events(files["history"], reader, old=True)
        current = self._events(files["events"], reader, old=False)
        events = {name: event for (name, _), event in current.items()}
        self._alike(events, "events")
        accepted = reader.accepted(events, history, self.folder)
        reader.check_expectations(events)
        journeys = self._journeys(files["journeys"], events)
        self._examples()
        return Plan(
            name=str(top.get("plan", "")),
            version=str(top.get("version", "")),
            folder=str(self.folder),
            events=events,
            history=accepted,
            rules=self.rules,
            environments=self.environments,
            limits=self.limits,
            naming=self.naming,
            journeys=journeys,
            description=str(top.get("description", "")),
            owners=tuple(map(str, owners)) if isinstance(owners := top.get("owners"), list) else (),
        )

    def _inside(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _alike(self, things: Mapping[str, EventPlan | Journey], what: str) -> None:
        marks = ((name, (name,), self.named[thing.file]) for name, thing in things.items())
        self.problems.add_alike(marks, what)

    # Files

    def _files(self) -> dict[str, list[Path]]:
        """The plan's files by folder; "" holds those at the top."""
        found: dict[str, list[Path]] = {name: [] for name in ("", *_FOLDERS)}
        if not self.folder.is_dir():
            self.problems.add(self.start, "there is no such folder; name the folder that holds plan.yaml")
            self.problems.stop_if_any()
        every = sorted(path for suffix in ("*.yaml", "*.yml") for path in self.folder.rglob(suffix))
        if len(every) > FILES_MAX:
            self.problems.add(
                self.start, f"the plan has {len(every):,} files, the limit is {FILES_MAX:,}; split the plan"
            )
            self.problems.stop_if_any()
        for path in every:
            parts = path.relative_to(self.folder).parts
            mark = Mark(str(path), 1, 1)
            if any(part.startswith(".") for part in parts):
                continue
            if path.suffix == ".yml":
                self.problems.add(mark, f"plan files end in .yaml; rename this one to {path.stem}.yaml")
            elif len(parts) == 1 and path.name in _TOP:
                found[""].append(path)
            elif len(parts) > 1 and parts[0] in _FOLDERS:
                found[parts[0]].append(path)
            else:
                known = _TOP if len(parts) == 1 else _FOLDERS
                self.problems.add(mark, f'"{parts[0]}" is not part of a plan{nearest(parts[0], known)}')
        return found

    def _top(self, files: Mapping[str, list[Path]]) -> dict[str, object]:
        path = self.folder / "plan.yaml"
        if path not in files[""]:
            self.problems.add(self.start, "the file is missing; a plan starts with plan.yaml (format, plan, version)")
            self.problems.stop_if_any()
        found = read_file(path, self.problems)
        if found is None:
            self.problems.stop_if_any()
            return {}
        written = found.entries.get("format")
        if written is not None and plain(written) != FORMAT:
            # Another format has other keywords: complaints about those would only hide this one.
            sentence = (
                f"the plan is in format {plain(written)}, this Footfall reads format {FORMAT}; write format: {FORMAT}"
            )
            raise PlanError(f"{written.mark}: {sentence}")
        good = kw.check_keywords(found, kw.PLAN, "plan.yaml", self.problems)
        for word in ("format", "plan", "version"):
            if word not in found.entries:
                self.problems.add(found.mark, f'plan.yaml has no "{word}"; add it')
        self._naming(good.get("naming"))
        stated = read_enforce(good.get("enforce"), kw.ENFORCE, "the plan", self.problems)
        self.rules = settled(self.rules, stated, self.problems)
        if isinstance(limits := good.get("limits"), Map):
            values = kw.check_keywords(limits, kw.LIMITS, "limits", self.problems)
            self.limits = msgspec.convert({key: plain(value) for key, value in values.items()}, Limits)
        if isinstance(environments := good.get("environments"), Map):
            self._environments(environments)
        return {key: plain(value) for key, value in good.items()}

    def _definitions(self, files: Mapping[str, list[Path]]) -> dict[str, Value]:
        """The entries of types: and entities:, which share one space of names."""
        every: dict[str, Value] = {}
        marks: dict[str, Mark] = {}
        for path in files[""]:
            if path.name == "plan.yaml" or (found := read_file(path, self.problems)) is None:
                continue
            for section, entries in kw.check_keywords(found, kw.TYPES_FILE, path.name, self.problems).items():
                assert isinstance(entries, Map)
                for name, value in entries.entries.items():
                    mark = entries.keys[name]
                    if name in kw.KINDS:
                        self.problems.add(mark, f'"{name}" is a built-in type; choose another name')
                    elif name in every:
                        self.problems.add(mark, f'"{name}" is already defined at {every[name].mark}; keep one')
                    else:
                        if section == "entities" and isinstance(value, Map):
                            kw.check_keywords(value, kw.ENTITY, f"entity {name}", self.problems)
                        every[name] = value
                        if isinstance(value, Map) and isinstance(inner := value.entries.get("properties"), Map):
                            self._property_names(inner, reserved=())
                        marks[name] = mark
        self.problems.add_alike(((name, (name,), mark) for name, mark in marks.items()), "types")
        return every

    def _read(self, paths: Iterable[Path], known: Mapping[str, kw.Shape], word: str) -> list[tuple[Path, Map]]:
        """Files that hold one named thing each: the name stands in the file and is the file's name."""
        read: list[tuple[Path, Map]] = []
        seen: dict[str, Path] = {}
        for path in paths:
            found = read_file(path, self.problems)
            if found is None:
                continue
            good = kw.check_keywords(found, known, f"an {word}" if word == "event" else f"a {word}", self.problems)
            name = plain(good[word]) if word in good else None
            if name is None and word not in found.entries:
                self.problems.add(found.mark, f'the file has no "{word}"; add `{word}: {path.stem}`')
            elif name is not None and name != path.stem:
                self.problems.add(
                    good[word].mark, f'the file is named {path.name}, its {word} is "{name}"; both must be the same'
                )
            elif path.stem in seen:
                self.problems.add(
                    Mark(str(path), 1, 1), f"the {word} {name} also stands in {seen[path.stem]}; keep one"
                )
            elif name is not None:
                seen[path.stem] = path
                self.named[self._inside(path)] = good[word].mark
                read.append((path, Map(good, found.keys, found.mark)))
        return read

    # Settings of plan.yaml

    def _naming(self, found: Value | None) -> None:
        good = kw.check_keywords(found, kw.NAMING, "naming", self.problems) if isinstance(found, Map) else {}
        text = {word: str(plain(good[word])) for word in ("events", "properties") if word in good}
        self.naming = Naming(reserved=strings(good.get("reserved")), **text)
        for word, pattern in (("events", self.naming.events), ("properties", self.naming.properties)):
            try:
                self.patterns[word] = re.compile(translate(pattern, NAME_MAX))
            except PatternError as error:
                self.problems.add(good[word].mark, f"naming.{word} cannot be used: {error}")

    def _environments(self, found: Map) -> None:
        for name, value in found.entries.items():
            if name == PROD or not _ENVIRONMENT.fullmatch(name):
                sentence = "enforce: in plan.yaml speaks of prod already" if name == PROD else (
                    "an environment is a word of at most 32 small letters, digits, - and _"
                )  # fmt: skip
                self.problems.add(found.keys[name], f'"{name}" cannot be an environment: {sentence}; choose another')
                continue
            if not isinstance(value, Map):
                self.problems.add(value.mark, f"the environment {name} must be a mapping of enforce and report")
                continue
            place = f"the environment {name}"
            good = kw.check_keywords(value, kw.ENVIRONMENT, place, self.problems)
            stated = read_enforce(good.get("enforce"), kw.ENFORCE, place, self.problems)
            self.rules = settled(self.rules | {name: self.rules[PROD]}, stated, self.problems, [name])
            self.environments[name] = Environment(report=str(plain(good["report"])) if "report" in good else "")
        self.problems.add_alike(((name, (name,), found.keys[name]) for name in self.environments), "environments")

    # Groups and events

    def _groups(self, paths: Iterable[Path]) -> None:
        marks: dict[str, Mark] = {}
        for path, found in self._read(paths, kw.GROUP, "group"):
            properties = found.entries.get("properties")
            if not isinstance(properties, Map):
                self.problems.add(found.mark, 'the group has no "properties"; add them')
                continue
            self._property_names(properties, self.naming.reserved)
            self.groups[path.stem] = self.resolver.properties(properties)
            marks[path.stem] = self.named[self._inside(path)]
        self.problems.add_alike(((name, (name,), mark) for name, mark in marks.items()), "groups")

    def _events(self, paths: Iterable[Path], reader: EventReader, *, old: bool) -> dict[tuple[str, int], EventPlan]:
        events: dict[tuple[str, int], EventPlan] = {}
        for path, found in self._read(paths, kw.EVENT, "event"):
            name, at, tail = path.stem.partition("@")
            mark = found.entries["event"].mark
            if old != bool(at) or (old and not re.fullmatch(r"[1-9][0-9]{0,4}", tail)):
                shape = "history/<event>@<major>.yaml" if old else "events/<domain>/<event>.yaml"
                self.problems.add(mark, f'"{path.stem}" does not fit {shape}; rename the file and the event')
                continue
            self._name(name, "events", mark)
            own = found.entries.get("properties")
            if isinstance(own, Map) and not old:  # history is frozen: it follows the rules of its own day
                self._property_names(own, self.naming.reserved)
            event = reader.event(name, self._inside(path), found)
            if event is not None and old and event.major != int(tail):
                version = found.entries["version"].mark
                self.problems.add(
                    version, f"the file is for major {tail}, its version is {event.version}; make them agree"
                )
            elif event is not None:
                events[name, event.major] = event
        return events

    def _journeys(self, paths: Iterable[Path], events: Mapping[str, EventPlan]) -> dict[str, Journey]:
        read = self._read(paths, kw.JOURNEY, "journey")
        journeys = {
            path.stem: read_journey(path.stem, self._inside(path), found, events, self.problems) for path, found in read
        }
        self._alike(journeys, "journeys")
        return journeys

    # Names

    def _property_names(self, properties: Map, reserved: Iterable[str]) -> None:
        for name, mark in properties.keys.items():
            self._name(name, "properties", mark)
            if name in reserved:
                self.problems.add(mark, f'"{name}" is reserved by naming.reserved; choose another name')
            value = properties.entries.get(name)
            if isinstance(value, Map) and isinstance(inner := value.entries.get("properties"), Map):
                self._property_names(inner, reserved=())

    def _name(self, name: str, kind: str, mark: Mark) -> None:
        pattern = self.patterns.get(kind)
        if len(name) > NAME_MAX:
            self.problems.add(mark, f"this name has {len(name)} characters, the limit is {NAME_MAX}; shorten it")
        elif pattern is not None and not pattern.search(name):
            sentence = f'"{name}" does not match naming.{kind} ({getattr(self.naming, kind)}); rename it'
            self.problems.add_misnamed(mark, sentence)

    def _examples(self) -> None:
        """Examples are shown to senders as what to send, so they must be valid."""
        for kind, value, mark in self.resolver.examples:
            found = complaints_of(kind, value)
            if found:
                self.problems.add(mark, f"the example is not valid: {found[0]}")
