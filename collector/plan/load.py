"""A folder of YAML files to one Plan: read, merge, resolve, lint. Every mistake is collected before any is raised.

plan.yaml                       name, version, naming, enforcement, limits
types.yaml, entities.yaml       types and reusable objects (`types:` and `entities:`, in either file)
groups/<group>.yaml             sets of properties that events `use:`
events/<domain>/<event>.yaml    one event a file
history/<event>@<major>.yaml    older majors that an event may still `accept:`
journeys/<journey>.yaml         read and checked for shape, not acted on yet
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from collector.plan import keywords as kw
from collector.plan.model import DEFAULT_ACTIONS, Action, EventPlan, EventTest, Limits, Plan, Property, Semantic
from collector.plan.problems import Mark, PlanError, Problems, nearest
from collector.plan.read import Leaf, Map, Seq, Value, plain, read_file
from collector.plan.resolve import Resolver
from collector.plan.rules import complaints_of
from collector.reason import Reason

FORMAT = 1
# Far more than a person keeps in view, few enough to read in a minute.
FILES_MAX = 5_000
NAME_MAX = 128

_SNAKE_CASE = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
_FOLDERS = ("groups", "events", "history", "journeys")
_TOP = ("plan.yaml", "types.yaml", "entities.yaml")
_EVENT_CLASSES = frozenset(DEFAULT_ACTIONS) - {Reason.UNKNOWN_EVENT}
# Classes of format 1 that nothing acts on yet: saying what should happen to them would promise something untrue.
_LATER_CLASSES = ("sunset_version", "undeclared_pii")
_LATER_ACTIONS = ("strip", "drop")


def load_plan(folder: Path) -> Plan:
    """Read, merge, resolve and lint the plan in `folder`.

    Raises:
        PlanError: one line per mistake, `file:line:column: sentence`, in the order of files and lines.
    """
    problems = Problems()
    try:
        plan = _Loader(folder, problems).load()
    except RecursionError:
        raise PlanError(f"{folder / 'plan.yaml'}:1:1: the plan is nested too deeply; use fewer levels") from None
    problems.stop_if_any()
    return plan


class _Loader:
    """One reading of one folder."""

    def __init__(self, folder: Path, problems: Problems) -> None:
        self.folder = folder
        self.problems = problems
        self.start = Mark(str(folder / "plan.yaml"), 1, 1)
        self.naming: dict[str, re.Pattern[str]] = {}
        self.reserved: frozenset[str] = frozenset()
        self.actions = dict(DEFAULT_ACTIONS)
        self.limits = Limits()
        self.groups: dict[str, tuple[Property, ...]] = {}
        self.accepts: list[tuple[str, int, Mark]] = []

    def load(self) -> Plan:
        files = self._files()
        top = self._top(files)
        definitions = self._definitions(files)
        self.resolver = Resolver(definitions, self.limits, self.problems)
        for name, value in definitions.items():  # unused ones too, and by name, so that a cycle is seen as one
            self.resolver.type_of(Leaf(name, value.mark), f"type {name}")
        self._groups(files["groups"])
        history = self._events(files["history"], old=True)
        current = self._events(files["events"], old=False)
        events = {name: event for (name, _), event in current.items()}
        self.problems.add_alike(((name, (name,), Mark(event.file, 1, 1)) for name, event in events.items()), "events")
        accepted = self._accepted(history)
        journeys = {path.stem: plain(found) for path, found in self._read(files["journeys"], kw.JOURNEY, "journey")}
        self._examples()
        return Plan(
            name=str(top.get("plan", "")),
            version=str(top.get("version", "")),
            folder=str(self.folder),
            events=events,
            history=accepted,
            actions=self.actions,
            limits=self.limits,
            description=str(top.get("description", "")),
            carried={key: top[key] for key in ("owners", "environments") if key in top}
            | ({"journeys": journeys} if journeys else {}),
        )

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

    def _top(self, files: Mapping[str, list[Path]]) -> dict[str, Any]:
        path = self.folder / "plan.yaml"
        if path not in files[""]:
            self.problems.add(self.start, "the file is missing; a plan starts with plan.yaml (format, plan, version)")
            self.problems.stop_if_any()
        found = read_file(path, self.problems)
        if found is None:
            self.problems.stop_if_any()
            return {}
        stated = found.entries.get("format")
        if stated is not None and plain(stated) != FORMAT:
            # Another format has other keywords: complaints about those would only hide this one.
            sentence = (
                f"the plan is in format {plain(stated)}, this Footfall reads format {FORMAT}; write format: {FORMAT}"
            )
            raise PlanError(f"{stated.mark}: {sentence}")
        good = kw.check_keywords(found, kw.PLAN, "plan.yaml", self.problems)
        for word in ("format", "plan", "version"):
            if word not in found.entries:
                self.problems.add(found.mark, f'plan.yaml has no "{word}"; add it')
        self._naming(good.get("naming"))
        self.actions |= self._enforce(good.get("enforce"), frozenset(DEFAULT_ACTIONS), "the plan")
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
                            self._property_names(inner, reserved=frozenset())
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
                read.append((path, Map(good, found.keys, found.mark)))
        return read

    # Settings of plan.yaml

    def _naming(self, found: Value | None) -> None:
        good = kw.check_keywords(found, kw.NAMING, "naming", self.problems) if isinstance(found, Map) else {}
        for word in ("events", "properties"):
            text = str(plain(good[word])) if word in good else _SNAKE_CASE
            try:
                self.naming[word] = re.compile(text)
            except re.error as error:
                self.problems.add(good[word].mark, f"naming.{word} is not a regular expression ({error}); correct it")
        reserved = plain(good["reserved"]) if "reserved" in good else []
        assert isinstance(reserved, list)
        self.reserved = frozenset(reserved)

    def _enforce(self, found: Value | None, classes: frozenset[Reason], place: str) -> dict[Reason, Action]:
        """The actions of one `enforce:` mapping."""
        if not isinstance(found, Map):
            return {}
        known = {reason.word: reason for reason in classes}
        actions: dict[Reason, Action] = {}
        for key, value in found.entries.items():
            word = value.value if isinstance(value, Leaf) else None
            if key in _LATER_CLASSES:
                self.problems.add(found.keys[key], f'"{key}" is not supported yet; remove it until it is')
            elif key not in known:
                self.problems.add(
                    found.keys[key],
                    f'"{key}" is not a class of violation that {place} can enforce{nearest(key, known)}',
                )
            elif word in _LATER_ACTIONS:
                self.problems.add(
                    value.mark, f'the action "{word}" is not supported yet; use allow, flag or quarantine'
                )
            elif word not in [action.value for action in Action]:
                self.problems.add(value.mark, f"{plain(value)!r} is not an action; use allow, flag or quarantine")
            else:
                actions[known[key]] = Action(word)
        return actions

    def _environments(self, found: Map) -> None:
        for name, value in found.entries.items():
            if not isinstance(value, Map):
                self.problems.add(value.mark, f"the environment {name} must be a mapping of enforce and report")
                continue
            good = kw.check_keywords(value, kw.ENVIRONMENT, f"the environment {name}", self.problems)
            self._enforce(good.get("enforce"), frozenset(DEFAULT_ACTIONS), f"the environment {name}")

    # Groups and events

    def _groups(self, paths: Iterable[Path]) -> None:
        for path, found in self._read(paths, kw.GROUP, "group"):
            properties = found.entries.get("properties")
            if not isinstance(properties, Map):
                self.problems.add(found.mark, 'the group has no "properties"; add them')
                continue
            self._property_names(properties, self.reserved)
            self.groups[path.stem] = self.resolver.properties(properties)

    def _events(self, paths: Iterable[Path], *, old: bool) -> dict[tuple[str, int], EventPlan]:
        events: dict[tuple[str, int], EventPlan] = {}
        for path, found in self._read(paths, kw.EVENT, "event"):
            name, at, tail = path.stem.partition("@")
            mark = found.entries["event"].mark
            if old != bool(at) or (old and not re.fullmatch(r"[1-9][0-9]{0,4}", tail)):
                shape = "history/<event>@<major>.yaml" if old else "events/<domain>/<event>.yaml"
                self.problems.add(mark, f'"{path.stem}" does not fit {shape}; rename the file and the event')
                continue
            self._name(name, "events", mark)
            event = self._event(name, path, found)
            if event is not None and old and event.major != int(tail):
                version = found.entries["version"].mark
                self.problems.add(
                    version, f"the file is for major {tail}, its version is {event.version}; make them agree"
                )
            elif event is not None:
                events[name, event.major] = event
        return events

    def _event(self, name: str, path: Path, found: Map) -> EventPlan | None:
        entries = found.entries
        own = entries.get("properties")
        if isinstance(own, Map) and "@" not in path.stem:  # history is frozen: it follows the rules of its own day
            self._property_names(own, self.reserved)
        properties = self._joined(name, found)
        actions = self.actions | self._enforce(entries.get("enforce"), _EVENT_CLASSES, f"the event {name}")
        version = entries.get("version")
        if not isinstance(version, Leaf):
            if "version" not in found.keys:
                self.problems.add(found.mark, f'the event {name} has no "version"; add `version: 1.0.0`')
            return None
        major = int(str(version.value).split(".")[0])
        if not 1 <= major <= 65_535:
            self.problems.add(
                version.mark, f"the major version is {major}, it must be from 1 to 65535; start with 1.0.0"
            )
        self._accept(name, major, entries.get("accept"))
        text = {key: str(plain(entries[key])) for key in ("description", "trigger", "owner") if key in entries}
        tags = plain(entries["tags"]) if "tags" in entries else []
        assert isinstance(tags, list)
        return EventPlan(
            name=name,
            version=str(version.value),
            major=major,
            file=str(path),
            properties=properties,
            actions=actions,
            semantic=self._semantic(entries.get("semantic"), properties),
            tags=tuple(tags),
            tests=self._tests(entries.get("tests")),
            carried={key: plain(entries[key]) for key in (*sorted(kw.CARRIED), "accept") if key in entries},
            **text,
        )

    def _joined(self, name: str, found: Map) -> tuple[Property, ...]:
        """The event's properties: those of its groups in the order of `use`, then its own."""
        joined: dict[str, Property] = {}
        marks: dict[str, Mark] = {}
        use = found.entries.get("use")
        for item in use.items if isinstance(use, Seq) else ():
            group = str(plain(item))
            if group not in self.groups:
                self.problems.add(item.mark, f'the group "{group}" is not known{nearest(group, self.groups)}')
            for prop in self.groups.get(group, ()):
                if prop.name in joined:
                    self.problems.add(
                        item.mark, f"{name} already has {prop.name} when it uses {group}; keep one of the two"
                    )
                joined[prop.name], marks[prop.name] = prop, item.mark
        own = found.entries.get("properties")
        if isinstance(own, Map):
            for prop in self.resolver.properties(own):
                mark = own.keys.get(prop.name, own.mark)
                if prop.name in joined:
                    self.problems.add(
                        mark, f"{name} has {prop.name} from a group it uses; rename it or do not use the group"
                    )
                joined[prop.name], marks[prop.name] = prop, mark
        words = ((prop.name, (prop.name, *prop.aliases), marks[prop.name]) for prop in joined.values())
        self.problems.add_alike(words, f"properties of {name}")
        return tuple(joined.values())

    def _semantic(self, found: Value | None, properties: tuple[Property, ...]) -> Semantic:
        if not isinstance(found, Map):
            return Semantic()
        good = kw.check_keywords(found, kw.SEMANTIC, "semantic", self.problems)
        kinds = {prop.name: prop.type.kind for prop in properties}
        for word in ("value", "currency", "dedupe_by"):
            if word not in good:
                continue
            name = str(plain(good[word]))
            mark = good[word].mark
            wanted = {"value": ("decimal", "integer", "number"), "currency": ("string",)}.get(word, kw.SCALARS)
            if name not in kinds:
                self.problems.add(
                    mark, f'semantic.{word} names "{name}", which is no property of it{nearest(name, kinds)}'
                )
            elif kinds[name] not in wanted:
                self.problems.add(mark, f"semantic.{word} names {name}, which is of type {kinds[name]}; it must be "
                                  f"{' or '.join(wanted)}")  # fmt: skip
        return Semantic(**{key: str(plain(value)) for key, value in good.items()})

    def _accept(self, name: str, major: int, found: Value | None) -> None:
        """Note the older majors that an event accepts; `_accepted` looks for their files."""
        for item in found.items if isinstance(found, Seq) else ():
            if not isinstance(item, Map):
                self.problems.add(item.mark, "accept must list mappings such as {major: 1, until: 2027-03-31}")
                continue
            good = kw.check_keywords(item, kw.ACCEPT, "accept", self.problems)
            older = plain(good["major"]) if "major" in good else None
            if "major" not in item.entries:
                self.problems.add(item.mark, 'this entry of accept has no "major"; add it')
            elif isinstance(older, int) and older >= major:
                self.problems.add(
                    item.mark, f"{name} accepts major {older}, which is not older than its own major {major}"
                )
            elif isinstance(older, int):
                self.accepts.append((name, older, item.mark))

    def _accepted(self, history: Mapping[tuple[str, int], EventPlan]) -> dict[tuple[str, int], EventPlan]:
        """The older majors that events accept, each from its file in history/."""
        accepted: dict[tuple[str, int], EventPlan] = {}
        for name, major, mark in self.accepts:
            if (name, major) in history:
                accepted[name, major] = history[name, major]
            elif not (self.folder / "history" / f"{name}@{major}.yaml").exists():
                self.problems.add(
                    mark, f"{name} accepts major {major}, but history/{name}@{major}.yaml is missing; add it"
                )
        return accepted

    def _tests(self, found: Value | None) -> tuple[EventTest, ...]:
        tests: list[EventTest] = []
        for item in found.items if isinstance(found, Seq) else ():
            if not isinstance(item, Map):
                self.problems.add(item.mark, "a test must be a mapping of valid, or of invalid and violates")
                continue
            good = kw.check_keywords(item, kw.TEST, "a test", self.problems)
            if ("valid" in good) == ("invalid" in good) or ("invalid" in good) != ("violates" in good):
                self.problems.add(item.mark, "a test has either valid, or invalid together with violates")
                continue
            document = plain(good["valid"] if "valid" in good else good["invalid"])
            tests.append(EventTest(document=document, violates=self._violates(good.get("violates")), mark=item.mark))
        return tuple(tests)

    def _violates(self, found: Value | None) -> frozenset[tuple[str, str]]:
        """`{constraint: "items[0].quantity"}` as pairs of class and JSON pointer."""
        expected: set[tuple[str, str]] = set()
        known = {reason.word for reason in _EVENT_CLASSES}
        for word, value in found.entries.items() if isinstance(found, Map) else ():
            if word not in known:
                assert isinstance(found, Map)
                self.problems.add(found.keys[word], f'"{word}" is not a class of violation{nearest(word, known)}')
            for path in value.items if isinstance(value, Seq) else (value,):
                if isinstance(path, Leaf) and isinstance(path.value, str):
                    expected.add((word, _pointer(path.value)))
                else:
                    self.problems.add(path.mark, 'a violation is named by a path such as "items[0].quantity"')
        if isinstance(found, Map) and not found.entries:
            self.problems.add(found.mark, "violates is empty; name a class and a path such as {constraint: currency}")
        return frozenset(expected)

    # Names

    def _property_names(self, properties: Map, reserved: frozenset[str]) -> None:
        for name, mark in properties.keys.items():
            self._name(name, "properties", mark)
            if name in reserved:
                self.problems.add(mark, f'"{name}" is reserved by naming.reserved; choose another name')
            value = properties.entries.get(name)
            if isinstance(value, Map) and isinstance(inner := value.entries.get("properties"), Map):
                self._property_names(inner, reserved=frozenset())

    def _name(self, name: str, kind: str, mark: Mark) -> None:
        pattern = self.naming.get(kind)
        if len(name) > NAME_MAX:
            self.problems.add(mark, f"this name has {len(name)} characters, the limit is {NAME_MAX}; shorten it")
        elif pattern is not None and not pattern.search(name):
            self.problems.add(mark, f'"{name}" does not match naming.{kind} ({pattern.pattern}); rename it')

    def _examples(self) -> None:
        """Examples are shown to senders as what to send, so they must be valid."""
        for kind, value, mark in self.resolver.examples:
            found = complaints_of(kind, value)
            if found:
                self.problems.add(mark, f"the example is not valid: {found[0]}")


def _pointer(path: str) -> str:
    """`items[0].quantity` as a JSON pointer; a path that starts with / is one already, "" is the properties' own."""
    if path.startswith("/"):
        return path
    parts = re.sub(r"\[([0-9]+)\]", r".\1", path).strip(".")
    return "/properties" + ("/" + parts.replace(".", "/") if parts else "")
