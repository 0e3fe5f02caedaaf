"""What an event is called: as it was sent, and in the database's spelling."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from collector.limits import NAME_CHARS_MAX
from collector.reason import Reason, Rejected
from collector.record import Envelope

# Names that are read once and remembered; 4,096 x about 1 KB.
NAMES_CACHE_MAX = 4_096

EVENT_OF_TYPE = {
    "page": "page_view",
    "screen": "screen_view",
    "identify": "identify",
    "group": "group",
    "alias": "alias",
}
TYPES = frozenset({"track", *EVENT_OF_TYPE})


class Name(NamedTuple):
    """The name of an event in snake_case, as it was sent, and the major version that the sender states."""

    event: str
    original: str
    major: int | None


def name_of(envelope: Envelope) -> Name:
    """The name of an event that was rejected; empty where that is why."""
    if envelope.type != "track":
        return Name(EVENT_OF_TYPE.get(envelope.type, ""), "", None)
    try:
        return track_name(envelope.event or "")
    except Rejected:
        return Name("", "", None)


@lru_cache(maxsize=NAMES_CACHE_MAX)  # what is refused is not remembered, so no name in it is long
def track_name(sent: str) -> Name:
    """The name of a track event, which may end in the plan's version of it, as `purchase@2`. Raises Rejected."""
    name, major = sent, None
    base, at, version = sent.rpartition("@")
    if at and version.isdecimal() and len(version) < 5:
        name, major = base, int(version)
    original = name[:NAME_CHARS_MAX]
    event = snake_case(original)
    if not event:
        raise Rejected(Reason.EVENT_NAME_MISSING, "/event", "event is empty; send the name of what happened")
    if len(name) > NAME_CHARS_MAX:
        raise Rejected(
            Reason.EVENT_FIELD_INVALID,
            "/event",
            f"event has {len(name):,} characters, the limit is {NAME_CHARS_MAX}; put details into properties",
        )
    return Name(event, original, major)


@lru_cache(maxsize=NAMES_CACHE_MAX)
def snake_case(name: str) -> str:
    """An event name as the database spells it: `Order Completed`, `orderCompleted` -> `order_completed`.

    Letters of any script stay, with the marks that belong to them; everything else becomes one underscore.
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", spaced)
    if not spaced.isascii():
        # Python's \w leaves out combining marks, which are the vowels of Hindi or Thai.
        spaced = "".join(char if char.isalnum() or _is_mark(char) else " " for char in spaced)
        return "_".join(spaced.split()).lower()
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"
