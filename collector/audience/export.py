"""An audience as a file: CSV that a spreadsheet takes for text, or one JSON object per line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from collector.audience.deliver import Member
from collector.spreadsheet import harmless

FORMATS = ("csv", "json")


def as_json(pages: Iterable[list[Member]]) -> Iterator[bytes]:
    """One line per person, with the attributes as the query has them."""
    for page in pages:
        yield b"".join(msgspec.json.encode(member) + b"\n" for member in page)


def as_csv(pages: Iterable[list[Member]], *, changes: bool) -> Iterator[bytes]:
    """A line of names, then one per person: the ids, then the attributes in the order of the query.

    A text that a spreadsheet would take for a formula has an apostrophe before it; numbers are as they are.
    """
    keys: list[str] | None = None
    fixed = ["source_id", "person_id", "user_id"]
    for page in pages:
        found = [msgspec.json.decode(member.attributes, type=dict[str, Any]) for member in page]
        out = io.StringIO()
        writer = csv.writer(out)
        if keys is None:
            # Who left has no attributes, so the first with some tells their names.
            keys = list(next((attributes for attributes in found if attributes), {}))
            writer.writerow([*(["change"] if changes else []), *fixed, *map(_cell, keys)])
        for member, attributes in zip(page, found, strict=True):
            ids = [member.source_id, member.person_id, member.user_id]
            cells = [*([member.change] if changes else []), *ids, *(attributes.get(key) for key in keys)]
            writer.writerow([_cell(cell) for cell in cells])
        yield out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    return str(harmless(value if isinstance(value, str) else msgspec.json.encode(value).decode()))
