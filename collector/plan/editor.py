"""schemas/plan.schema.json: the keyword tables as JSON Schema 2020-12, so that editors complete and check plan files.

    python -m collector.plan.editor > schemas/plan.schema.json

A file says which schema it follows in a comment: `# yaml-language-server: $schema=../plan.schema.json`. The kind of
file is told by the keyword that only it has. What needs more than one value to judge (unknown types, cycles, bounds the
wrong way round) `footfall plan check` finds; nothing that it accepts is refused here.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from collector.plan.keywords import APPLIES, FILES, KINDS, PROPERTY, TYPE, TYPES_FILE, closed

SCHEMA_NAME = "plan.schema.json"

_TITLES = {
    "plan": "plan.yaml: the plan's head",
    "types": "types.yaml, entities.yaml: types and objects that events share",
    "group": "groups/<group>.yaml: properties that events take in with use:",
    "event": "events/<domain>/<event>.yaml and history/<event>@<major>.yaml: one event",
    "journey": "journeys/<journey>.yaml: what must be true of events together",
}


def schema() -> dict[str, Any]:
    """The JSON Schema of every kind of plan file."""
    kinds = {name: {"title": _TITLES[name], **closed(table, *needed)} for name, (table, needed) in FILES.items()}
    kinds["types"]["anyOf"] = [{"required": [section]} for section in TYPES_FILE]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Footfall tracking plan, format 1",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": {
            **kinds,
            "properties": {"type": "object", "additionalProperties": {"$ref": "#/$defs/property"}},
            "property": _typed(PROPERTY),
            "type": _typed(TYPE),
        },
    }


def _typed(table: dict[str, Any]) -> dict[str, Any]:
    """A type: keywords, a type's name alone, or the names of several scalars. Keywords of another type are refused."""
    strangers = [
        {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"properties": {word: False for word, kinds in APPLIES.items() if kind not in kinds}},
        }
        for kind in KINDS
    ]
    named = {"type": "string"}
    return {"anyOf": [{**closed(table), "allOf": strangers}, named, {"type": "array", "items": named, "minItems": 1}]}


def schema_text() -> str:
    """The file's text."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
