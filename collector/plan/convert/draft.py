"""A plan that is being made from another product's file: events as plain keywords, and what could not be carried over.

One note is one line: where it was, what is missing, and what the plan has instead.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

# An event of another product may say anything; so many notes tell enough.
NOTES_MAX = 1_000


class ImportFailed(Exception):
    """A file cannot be imported at all; the text is one sentence."""


class DraftEvent(Struct):
    """One version of one event. `properties` are the keywords of a plan, by property."""

    original: str  # as the other product spells it
    version: str  # three numbers
    properties: dict[str, dict[str, Any]]
    description: str = ""
    owner: str = ""
    tags: list[str] = field(default_factory=list)


class Draft(Struct):
    """All that was read from one file."""

    name: str
    source: str  # the other product, as a person writes it
    events: list[DraftEvent] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made: str = "imported"  # or "inferred": how, which is also the folder of its events

    def note(self, where: str, sentence: str) -> None:
        """Say what could not be carried over."""
        line = f"{where}: {sentence}"
        if len(self.notes) < NOTES_MAX and line not in self.notes:
            self.notes.append(line)
