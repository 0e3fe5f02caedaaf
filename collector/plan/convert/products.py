"""Files of other products as drafts. Formats are those of their public documentation, as of 2026.

segment: a tracking plan as JSON (Config API, Public API) or as CSV; rudderstack: YAML of rudder/v0.1 and rudder/v1, a
file or a folder, and the JSON of its API; avo: the JSON Schema export and what Inspector saw; iglu: self-describing
schemas, a file or a folder; jsonschema: one schema, a bundle of definitions, or a folder of either.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from collector.plan.convert.draft import Draft, DraftEvent, ImportFailed
from collector.plan.convert.schema import Reader, Spell, version_of

# A plan of 5,000 events is 5 MB.
FILE_MAX_BYTES = 32_000_000
FILES_MAX = 5_000

_CALLS = {"track": "", "page": "page_view", "screen": "screen_view"}  # what the collector makes of calls without a name


def read(product: str, path: Path, spell: Spell) -> Draft:
    """Read one product's file or folder.

    Args:
        product: One of PRODUCTS.
        path: What its export gave.
        spell: A name in snake_case.
    Raises:
        ImportFailed: the file cannot be read, or is not of that product.
    """
    source, reader = PRODUCTS[product]
    draft = Draft(name=path.stem, source=source)
    reader(path, draft, spell)
    if not draft.events:
        why = f" ({draft.notes[0]})" if draft.notes else ""
        raise ImportFailed(f"{path} has no events that {source} would export{why}; check the format and the file")
    return draft


# Files


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > FILE_MAX_BYTES:
            raise ImportFailed(f"{path} has {size:,} bytes, the limit is {FILE_MAX_BYTES:,}; split it")
        return path.read_bytes()
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read ({error.strerror}); check its name and permissions") from None


def _document(path: Path) -> Any:
    """A file as JSON, or as YAML by its ending."""
    data = _bytes(path)
    try:
        if path.suffix in (".yaml", ".yml"):
            return YAML(typ="safe", pure=True).load(data.decode("utf-8"))
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, YAMLError, RecursionError, ValueError) as error:
        what = str(error).splitlines()[0] if str(error) else "nested too deeply"
        kind = "YAML" if path.suffix in (".yaml", ".yml") else "JSON"
        raise ImportFailed(f"{path} is not {kind} ({what}); export it anew") from None


def _files(path: Path, *patterns: str) -> Iterator[Path]:
    """The file itself, or those of a folder."""
    if not path.is_dir():
        yield path
        return
    found = sorted({file for pattern in patterns for file in path.rglob(pattern) if file.is_file()})
    if len(found) > FILES_MAX:
        raise ImportFailed(f"{path} has {len(found):,} files, the limit is {FILES_MAX:,}; split it")
    yield from found


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# Segment, and those that speak its format


def _segment(path: Path, draft: Draft, spell: Spell) -> None:
    if path.suffix == ".csv":
        _segment_csv(path, draft, spell)
        return
    document = _document(path)
    found = _dict(document)
    found = _dict(found.get("data")) or found
    plan = _dict(found.get("trackingPlan")) or found
    draft.name = _text(plan.get("display_name")) or _text(plan.get("name")) or draft.name
    rules = found.get("rules") or plan.get("rules") or plan.get("events") or document
    if isinstance(rules, dict):
        for word in ("global", "identify", "group"):
            if _dict(_dict(rules.get(word)).get("properties")):
                draft.note(word, "rules for traits and for all calls have no counterpart; they were left out")
        rules = rules.get("events")
    for rule in _dicts(rules):
        _segment_rule(rule, draft, spell)


def _segment_rule(rule: dict[str, Any], draft: Draft, spell: Spell) -> None:
    call = _text(rule.get("type")).lower() or "track"
    name = _text(rule.get("name")) or _text(rule.get("key")) or _CALLS.get(call, "")
    stated = rule.get("name", rule.get("key"))
    if stated is not None and not isinstance(stated, str):
        shown = msgspec.json.encode(stated).decode()[:60]
        draft.note(call, f"the name of a rule is {shown}, not text; it was left out")
        return
    if call not in _CALLS or not name:
        draft.note(name or call, f"rules for {call} calls have no counterpart; they were left out")
        return
    schema = rule.get("rules") or rule.get("jsonSchema") or rule.get("json_schema") or {}
    if isinstance(schema, str):
        try:
            schema = msgspec.json.decode(schema)
        except msgspec.DecodeError:
            draft.note(name, "its schema is not JSON; no property was read")
    schema = _dict(schema)
    outer = _dict(schema.get("properties"))
    inner = _dict(outer.get("properties"))
    for word in ("context", "traits"):
        if _dict(_dict(outer.get(word)).get("properties")):
            draft.note(name, f"rules for the {word} have no counterpart; they were left out")
    labels = schema.get("labels") or rule.get("labels") or rule.get("tags")
    draft.events.append(
        DraftEvent(
            original=name,
            version=version_of(rule.get("version")),
            properties=Reader(schema, draft, spell).properties(inner, name),
            description=_text(rule.get("description")) or _text(schema.get("description")),
            tags=_tags(labels),
        )
    )


def _tags(labels: Any) -> list[str]:
    if isinstance(labels, dict):
        return [f"{key}:{value}" for key, value in labels.items() if isinstance(value, str)]
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []


_LISTED = re.compile(r"\^?\(?([\w .-]+(?:\|[\w .-]+)+)\)?\$?")
_CSV_TYPES = {"datetime": {"type": "string", "format": "date-time"}, "date": {"type": "string", "format": "date-time"}}


def _segment_csv(path: Path, draft: Draft, spell: Spell) -> None:
    """Rows of an event, or of a property below it; nested ones are named a.b, or a.$.b within a list."""
    try:
        rows = list(csv.DictReader(StringIO(_bytes(path).decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ImportFailed(f"{path} is not CSV in UTF-8 ({error}); export it anew") from None
    events: dict[tuple[str, str], dict[str, Any]] = {}
    current = ("", "")
    for number, row in enumerate(rows, 2):
        cells = {
            re.sub(r"[^a-z]", "", str(key).lower()): (value or "").strip()
            for key, value in row.items()
            if isinstance(value, str)
        }

        def cell(*names: str, cells: dict[str, str] = cells) -> str:
            return next((cells[name] for name in names if cells.get(name)), "")

        if name := cell("eventname", "event"):
            current = (name, cell("eventversion", "version"))
        if not current[0]:
            draft.note(f"line {number}", "it belongs to no event; it was left out")
            continue
        event = events.setdefault(current, {"type": "object", "properties": {}, "description": "", "labels": []})
        prop = cell("propertyname", "propertykey", "property")
        if not prop:
            event["description"] = cell("eventdescription", "description") or event["description"]
            event["labels"] += re.findall(r"[\w.-]+:[\w.-]+", cell("labels", "eventlabels"))
            continue
        event["description"] = event["description"] or cell("eventdescription")
        _put(event, prop, _csv_schema(cell, has_own=bool(cell("eventdescription"))), required=_is_required(cell))
    for (name, version), schema in events.items():
        properties = Reader(schema, draft, spell).properties(schema, name)
        made = DraftEvent(name, version_of(version or None), properties, schema["description"], tags=schema["labels"])
        draft.events.append(made)


def _csv_schema(cell: Callable[..., str], *, has_own: bool) -> dict[str, Any]:
    kinds = re.sub(r"[^a-z,|]", "", cell("propertydatatype", "propertytype", "datatype", "type").lower())
    schema: dict[str, Any] = {}
    words = [word for word in re.split(r"[,|]", kinds) if word and word != "any"]
    if words:
        schema = dict(_CSV_TYPES.get(words[0], {"type": words if len(words) > 1 else words[0]}))
    allowed = cell("permittedvalues", "regex", "pattern", "propertyregex")
    if allowed and schema.get("type") == "string":
        listed = _LISTED.fullmatch(allowed)
        schema |= {"enum": [word.strip() for word in listed[1].split("|")]} if listed else {"pattern": allowed}
    said = cell("propertydescription") or ("" if has_own else cell("description"))
    return schema | ({"description": said} if said else {})


def _is_required(cell: Callable[..., str]) -> bool:
    return cell("status", "propertystatus", "required", "propertyrequired").lower() in ("required", "true", "yes")


def _inside(schema: dict[str, Any]) -> dict[str, Any]:
    """What holds the properties: the object itself, or the entries of a list."""
    if schema.get("type") != "array":
        return schema
    inner: dict[str, Any] = schema.setdefault("items", {"type": "object"})
    return inner


def _put(event: dict[str, Any], path: str, schema: dict[str, Any], *, required: bool) -> None:
    """Put a property into a schema, below the objects and lists that its path names."""
    here = event
    *above, last = [part for part in re.split(r"\.|\[\]", path) if part]
    for part in above:
        if part != "$":
            here = _inside(here).setdefault("properties", {}).setdefault(part, {"type": "object"})
    here = _inside(here)
    here.setdefault("properties", {})[last] = schema
    if required:
        here.setdefault("required", []).append(last)


# Avo


def _avo(path: Path, draft: Draft, spell: Spell) -> None:
    document = _document(path)
    draft.name = _text(_dict(document).get("name")) or draft.name
    events = document if isinstance(document, list) else _dict(document).get("events")
    for event in _dicts(events):
        if "eventProperties" in event:  # as Inspector saw it
            schema = _inspected(event["eventProperties"])
            name = _text(event.get("eventName"))
            draft.events.append(DraftEvent(name, "1.0.0", Reader(schema, draft, spell).properties(schema, name)))
            continue
        name = _text(event.get("name"))
        for word in ("triggers", "sources"):
            if event.get(word):
                draft.note(name, f"its {word} have no counterpart; they were left out")
        _segment_rule({key: value for key, value in event.items() if key != "type"}, draft, spell)


_INSPECTED = {"int": "integer", "float": "number", "bool": "boolean", "boolean": "boolean", "string": "string"}


def _inspected(properties: Any) -> dict[str, Any]:
    """Properties with the types that Inspector reports: int, list(string), object with children, unknown, null."""
    made: dict[str, Any] = {}
    for prop in _dicts(properties):
        kind = _text(prop.get("propertyType"))
        listed = re.fullmatch(r"list\((.*)\)", kind)
        if listed:
            schema: dict[str, Any] = {"type": "array", "items": {"type": _INSPECTED.get(listed[1], "object")}}
        elif kind == "object":
            children = prop.get("children")
            schema = _inspected(children) if _dicts(children) else {"type": "object"}
        else:
            schema = {"type": _INSPECTED[kind]} if kind in _INSPECTED else {}
        made[_text(prop.get("propertyName"))] = schema
    return {"type": "object", "properties": made}


# RudderStack

_CONFIG = {
    "min_length": "minLength",
    "max_length": "maxLength",
    "multiple_of": "multipleOf",
    "exclusive_minimum": "exclusiveMinimum",
    "exclusive_maximum": "exclusiveMaximum",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique_items": "uniqueItems",
}


class _Catalog:
    """The resources of RudderStack's YAML files, by kind and id."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.events: dict[str, dict[str, Any]] = {}
        self.properties: dict[str, dict[str, Any]] = {}
        self.types: dict[str, dict[str, Any]] = {}
        self.rules: list[dict[str, Any]] = []

    def add(self, document: dict[str, Any]) -> None:
        spec = _dict(document.get("spec"))
        for word, known in (("events", self.events), ("properties", self.properties), ("types", self.types)):
            for entry in _dicts(spec.get(word)):
                known[_text(entry.get("id"))] = entry
        if document.get("kind") in ("tp", "tracking-plan"):
            self.draft.name = _text(spec.get("display_name")) or _text(spec.get("id")) or self.draft.name
            self.rules += _dicts(spec.get("rules"))

    def schema(self, entry: dict[str, Any], where: str, level: int = 0) -> dict[str, Any]:
        """A property or custom type as JSON Schema."""
        stated = entry.get("types") or entry.get("type")
        if isinstance(stated, str) and stated.startswith("#"):
            custom = self.types.get(_id(stated), {})
            if not custom or level > 8:
                self.draft.note(where, f"the custom type {stated} is not in these files; it may be anything")
                return {}
            return self.schema(custom, where, level + 1) | _said(entry)
        kinds = (
            stated
            if isinstance(stated, list)
            else [kind.strip() for kind in str(stated or "").split(",") if kind.strip()]
        )
        made: dict[str, Any] = {"type": kinds if len(kinds) != 1 else kinds[0]} if kinds else {}
        config = _dict(entry.get("config")) or _dict(entry.get("propConfig"))
        made |= {
            _CONFIG.get(key, key): value for key, value in config.items() if key not in ("itemTypes", "item_types")
        }
        inner = entry.get("item_types") or entry.get("item_type") or config.get("itemTypes") or config.get("item_types")
        if inner and "array" in kinds:
            made["items"] = self._items(inner if isinstance(inner, list) else [inner], where, level)
        if members := _dicts(entry.get("properties")):
            made |= self.members(members, where, level + 1)
        if entry.get("variants"):
            self.draft.note(where, "variants have no counterpart; what depends on another property is not checked")
        return made | _said(entry)

    def _items(self, kinds: list[Any], where: str, level: int) -> dict[str, Any]:
        if len(kinds) == 1 and str(kinds[0]).startswith("#"):
            return self.schema({"type": kinds[0]}, where, level + 1)
        return {"type": [str(kind) for kind in kinds]} if len(kinds) > 1 else {"type": str(kinds[0])}

    def members(self, listed: list[dict[str, Any]], where: str, level: int = 0) -> dict[str, Any]:
        """References to properties, as the schema of an object."""
        made: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        for member in listed:
            reference = _text(member.get("property")) or _text(member.get("$ref"))
            entry = self.properties.get(_id(reference))
            if entry is None or level > 8:
                self.draft.note(where, f"the property {reference} is not in these files; it was left out")
                continue
            name = _text(entry.get("name")) or _id(reference)
            schema = self.schema(entry, f"{where}.{name}", level)
            if nested := _dicts(member.get("properties")):
                below = self.members(nested, f"{where}.{name}", level + 1)
                schema = schema | ({"items": below} if schema.get("type") == "array" else below)
            made["properties"][name] = schema
            if member.get("required") is True:
                made["required"].append(name)
        return made


def _id(reference: str) -> str:
    """`#property:sku` and `#/properties/group/sku` both name sku."""
    return re.split(r"[:/]", reference)[-1]


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    return {"description": entry["description"]} if _text(entry.get("description")) else {}


def _rudderstack(path: Path, draft: Draft, spell: Spell) -> None:
    if path.suffix == ".json":
        document = _dict(_document(path))
        if not any("properties" in event and "rules" not in event for event in _dicts(document.get("events"))):
            _segment(path, draft, spell)
            return
        draft.name = _text(document.get("name")) or draft.name
        for event in _dicts(document["events"]):
            _rudder_event(event, draft, spell)
        return
    catalog = _Catalog(draft)
    for file in _files(path, "*.yaml", "*.yml"):
        document = _dict(_document(file))
        if not str(document.get("version", "")).startswith("rudder/"):
            draft.note(file.name, "it is not a file of rudder/v1; it was left out")
            continue
        catalog.add(document)
    for rule in catalog.rules:
        stated = rule.get("event")
        reference = _text(stated) or _text(_dict(stated).get("$ref"))
        found = catalog.events.get(_id(reference))
        if found is None:
            draft.note(reference or "a rule", "its event is not in these files; it was left out")
            continue
        call = _text(found.get("event_type")) or "track"
        name = _text(found.get("name")) or _CALLS.get(call, "")
        section = _text(rule.get("identity_section")) or _text(_dict(stated).get("identity_section")) or "properties"
        if call not in _CALLS or section != "properties":
            draft.note(
                name or call, f"rules for {call} calls and for {section} have no counterpart; they were left out"
            )
            continue
        if rule.get("variants"):
            draft.note(name, "variants have no counterpart; what depends on another property is not checked")
        schema = catalog.members(_dicts(rule.get("properties")), name)
        made = Reader(schema, draft, spell).properties(schema, name)
        tags = [f"category:{_id(category)}"] if (category := _text(found.get("category"))) else []
        draft.events.append(DraftEvent(name, "1.0.0", made, _text(found.get("description")), tags=tags))


def _rudder_event(event: dict[str, Any], draft: Draft, spell: Spell) -> None:
    """An event of the Data Catalog API, whose properties are a list."""
    call = (_text(event.get("eventType")) or _text(event.get("type")) or "track").lower()
    name = _text(event.get("name")) or _CALLS.get(call, "")
    if call not in _CALLS:
        draft.note(name or call, f"rules for {call} calls have no counterpart; they were left out")
        return
    properties = {}
    for prop in _dicts(event.get("properties")):
        entry = prop | {"config": prop.get("propConfig") or prop.get("config") or {}}
        properties[_text(prop.get("name"))] = _Catalog(draft).schema(
            {k: v for k, v in entry.items() if k != "properties"}, name
        )
    required = [_text(prop.get("name")) for prop in _dicts(event.get("properties")) if prop.get("required") is True]
    schema = {"type": "object", "properties": properties, "required": required}
    made = Reader(schema, draft, spell).properties(schema, name)
    draft.events.append(DraftEvent(name, version_of(event.get("version")), made, _text(event.get("description"))))


# Iglu and plain JSON Schema


def _iglu(path: Path, draft: Draft, spell: Spell) -> None:
    for file in _files(path, "*.json", "*-*-*"):
        schema = _dict(_document(file))
        about = _dict(schema.get("self"))
        if not about.get("name"):
            draft.note(file.name, "it does not say of itself what it is; it was left out")
            continue
        draft.events.append(
            DraftEvent(
                original=_text(about["name"]),
                version=version_of(about.get("version")),
                properties=Reader(schema, draft, spell).properties(schema, _text(about["name"])),
                description=_text(schema.get("description")),
                tags=[f"vendor:{about['vendor']}"] if about.get("vendor") else [],
            )
        )


def _jsonschema(path: Path, draft: Draft, spell: Spell) -> None:
    for file in _files(path, "*.json"):
        read = _document(file)
        if isinstance(read, bool):
            what = "no value follows" if not read else "any value follows, so it names no property"
            draft.note(file.name, f"its schema is {str(read).lower()}, which {what}; it was left out")
            continue
        document = _dict(read)
        defined = _dict(document.get("$defs")) or _dict(document.get("definitions"))
        if "properties" in document or not defined:
            _plain_schema(document, document, file.name.partition(".")[0], draft, spell)
            continue
        for name, schema in defined.items():
            if _dict(schema).get("type") == "object":
                _plain_schema(document, _dict(schema), name, draft, spell)


def _plain_schema(document: dict[str, Any], schema: dict[str, Any], name: str, draft: Draft, spell: Spell) -> None:
    """One schema as one event, named after its title where that is a name, else after its file or definition."""
    if "properties" not in schema and schema.get("type") != "object":
        draft.note(name, "it is not the schema of an object; it was left out")
        return
    title = _text(schema.get("title"))
    name = (title if title and len(title.split()) <= 4 else name).partition("@")[0]
    stated = re.search(
        r"[:/@]([0-9]+[.-][0-9]+[.-][0-9]+)(?:\.json)?$", _text(schema.get("$id")) or _text(schema.get("id"))
    )
    properties = Reader(document, draft, spell).properties(schema, name)
    version = version_of(stated[1] if stated else None)
    draft.events.append(DraftEvent(name, version, properties, _text(schema.get("description"))))


PRODUCTS: dict[str, tuple[str, Callable[[Path, Draft, Spell], None]]] = {
    "segment": ("Segment", _segment),
    "rudderstack": ("RudderStack", _rudderstack),
    "avo": ("Avo", _avo),
    "iglu": ("Iglu", _iglu),
    "jsonschema": ("JSON Schema", _jsonschema),
}
