"""A draft as a folder of YAML: one event a file, nothing that is there overwritten.

The newest version of an event goes to events/, older majors to history/, where the event accepts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from collector.plan.convert.draft import Draft, DraftEvent
from collector.plan.convert.schema import Spell
from collector.plan.problems import fold

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NAME_MAX = 128
# What a plain scalar must look like to mean a text in every YAML: words and not one of YAML's own.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _./()'-]*")
_WORDS_OF_YAML = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"])


class Written(Struct):
    """What `write` did: files, by their path, and notes with those of the draft."""

    files: list[Path]
    notes: list[str]


def write(draft: Draft, folder: Path, spell: Spell) -> Written:
    """Write a draft into a folder.

    Args:
        draft: As a reader returns it.
        folder: Made when it is not there. A plan.yaml and events that are in it stay as they are.
        spell: An event's name as the collector spells it, which is what arrives in its plan.
    """
    out = Written([], list(draft.notes))
    texts: dict[Path, str] = {}
    names: set[str] = set()
    taken: dict[str, str] = {}
    for name, versions in _by_name(draft, out, spell).items():
        other = taken.setdefault(fold(name), name)
        if other != name:
            out.notes.append(f"{versions[0].original}: the same name as {other} but for separators; it was left out")
            continue
        newest, *older = sorted(versions, key=_numbers, reverse=True)
        majors = {_numbers(event)[0]: event for event in reversed(older) if _numbers(event)[0] < _numbers(newest)[0]}
        for event in older:
            if majors.get(_numbers(event)[0]) is not event:
                out.notes.append(f"{event.original} {event.version}: a newer minor stands for it")
        texts[folder / "events" / draft.made / f"{name}.yaml"] = _event(draft, newest, name, sorted(majors))
        for major, event in majors.items():
            texts[folder / "history" / f"{name}@{major}.yaml"] = _event(draft, event, f"{name}@{major}", [])
        names |= {name} | set(_names(newest.properties.items()))
    existing = {path.name for path in folder.rglob("*.yaml")} if folder.is_dir() else set()
    texts = {folder / "plan.yaml": _head(draft, names)} | texts
    for path, text in texts.items():
        if path.name in existing:
            out.notes.append(f"{path.name}: it is there already and was left as it is")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        out.files.append(path)
    return out


def _by_name(draft: Draft, out: Written, spell: Spell) -> dict[str, list[DraftEvent]]:
    found: dict[str, list[DraftEvent]] = {}
    for event in draft.events:
        name = spell(event.original)
        if not name or len(name) > _NAME_MAX or "@" in name or not name.isprintable():
            out.notes.append(f"{event.original[:60]}: this cannot be the name of an event; it was left out")
        elif any(_numbers(event) == _numbers(other) for other in found.get(name, [])):
            out.notes.append(f"{event.original}: {name} is there twice in version {event.version}; the first stands")
        else:
            found.setdefault(name, []).append(event)
    return found


def _numbers(event: DraftEvent) -> tuple[int, ...]:
    return tuple(int(part) for part in event.version.split("."))


def _names(properties: Iterable[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    for name, keywords in properties:
        yield name
        for inner in (keywords, keywords.get("items"), keywords.get("values")):
            if isinstance(inner, dict) and isinstance(inner.get("properties"), dict):
                yield from _names(inner["properties"].items())


def _head(draft: Draft, names: set[str]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", draft.name.lower()).strip("-") or draft.made
    head: dict[str, Any] = {"format": 1, "plan": _text(name), "version": _text("1.0.0")}
    head["description"] = _text(f"{draft.made.capitalize()} from {draft.source}.")
    if not all(_SNAKE_CASE.fullmatch(name) for name in names):
        loose = DoubleQuotedScalarString("^[^@]+$")
        head["naming"] = {"events": loose, "properties": loose}
    command = {"imported": "import", "inferred": "infer"}[draft.made]
    comment = f"# {draft.made.capitalize()} from {draft.source} by `footfall plan {command}`; yours to edit.\n"
    return comment + _yaml(head)


def _event(draft: Draft, event: DraftEvent, name: str, accepted: list[int]) -> str:
    shown = " ".join(event.original.split())
    lines = f"# {draft.source}: {shown}\n" if shown != name.partition("@")[0] else ""
    body: dict[str, Any] = {"event": _text(name), "version": _text(event.version)}
    if event.description.strip():
        body["description"] = _text(" ".join(event.description.split()))
    if event.owner:
        body["owner"] = _text(event.owner)
    if event.tags:
        body["tags"] = [_text(tag) for tag in event.tags]
    body["properties"] = {_text(key): _quoted(value) for key, value in event.properties.items()}
    if accepted:
        body["accept"] = [{"major": major} for major in accepted]
    return lines + _yaml(body)


def _quoted(value: Any) -> Any:
    """The same value with every text quoted that another reader of YAML could take for something else."""
    if isinstance(value, dict):
        return {_text(key): _quoted(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_quoted(entry) for entry in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML and not text.endswith(" ")
    return text if plain else DoubleQuotedScalarString(text)


def _yaml(value: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.width = 4_096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_unicode = True
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()
