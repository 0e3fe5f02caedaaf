"""What is written of an event's properties: personal data handled, and the marks of its check carried out.

    properties --handlers--> --marks--> properties as they are stored, and what moved to `extra`

All of it on raw JSON: a value that is neither handled nor marked keeps its bytes. See decisions/0005-extra.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.plan.pii import entries_of, fields_of, list_of, mask_detected, object_of
from collector.plan.rules import Mark, Marks, token

Extra = dict[str, bytes]  # raw JSON by its pointer within the properties


def moved(properties: bytes, marks: Marks, extra: Extra) -> bytes:
    """The properties without what moves to `extra`, which takes that and copies of what is not planned."""
    if isinstance(marks, Mark):
        extra["properties"] = properties
        return b"{}"
    return _over(properties, marks, "", lambda part, mark, at: _move(part, mark, at, extra)) if marks else properties


def masked(properties: bytes, marks: Marks) -> bytes:
    """The properties of an event that is not stored, for its raw bytes: only what looks personal is taken out."""
    return _over(properties, marks, "", _mask) if isinstance(marks, dict) and marks else properties


def _move(part: bytes, mark: Mark, at: str, extra: Extra) -> bytes | None:
    extra[at] = mask_detected(part) or b"null" if mark is Mark.MASKED else part
    return part if mark is Mark.COPIED else None


def _mask(part: bytes, mark: Mark, at: str) -> bytes | None:
    del at
    return mask_detected(part) if mark is Mark.MASKED else part


Change = Callable[[bytes, Mark, str], bytes | None]


def _over(raw: bytes, marks: Mapping[str | int, Marks], at: str, change: Change) -> bytes:
    """A value with its marks carried out; one that is not there any more, or not of that shape, is left as it is."""

    def changed(part: bytes, key: str | int) -> bytes | None:
        mark = marks.get(key)
        if mark is None:
            return part
        path = f"{at}/{token(str(key))}" if at else token(str(key))
        return change(part, mark, path) if isinstance(mark, Mark) else _over(part, mark, path, change)

    if raw.startswith(b"{") and (fields := fields_of(raw)) is not None:
        kept = {key: new for key, part in fields.items() if (new := changed(part, key)) is not None}
        return raw if kept == fields else object_of(kept)
    if raw.startswith(b"[") and (entries := entries_of(raw)) is not None:
        left = [new for index, part in enumerate(entries) if (new := changed(part, index)) is not None]
        return raw if left == entries else list_of(left)
    return raw
