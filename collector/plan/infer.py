"""A first plan from what was sent: what properties events have, and which values.

    (event, properties) --look--> Evidence --draft_of--> Draft --convert.write--> a folder of YAML

It says what held so far, loosely: a type wider than what was seen where that is cheap, an enum only for few words in
many events. Text that looks like a number stays text. Evidence is bounded: of each property facts and a few values.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct, field

from collector.plan.convert.draft import Draft, DraftEvent
from collector.plan.pii import masked_text, personal

EVENTS_MAX = 1_000
PROPERTIES_MAX = 200  # of one event or object; a map has more
LEVELS_MAX = 4
VALUES_MAX = 50  # different values kept of a property
VALUE_CHARS_MAX = 64
# A property is required when it was missing from less than one event in a thousand, of at least a hundred.
REQUIRED_SHARE = 0.999
REQUIRED_EVENTS = 100
# Words are an enum when there are few of them in many values, each of them seen often enough to be no accident.
ENUM_WORDS = 12
ENUM_EVENTS = 200
ENUM_EACH = 3
PERSONAL_SHARE = 0.01  # of the values; fewer are an accident, and the plan's undeclared_pii finds them
PII_VALUES = 500  # texts searched for personal data, of each property
_LENGTHS = (16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768)

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./ -]{0,39}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}:[^\s<>\"{}|\\^`]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})")
_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$ .-]{0,63}")
_INT64 = 2**63


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


_is_date, _is_moment = _parses(datetime.date.fromisoformat), _parses(datetime.datetime.fromisoformat)
_FORMATS: dict[str, Callable[[str], bool]] = {
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "date": lambda text: _DATE.fullmatch(text) is not None and _is_date(text),
    "datetime": lambda text: _MOMENT.fullmatch(text) is not None and _is_moment(text),
    "uri": lambda text: "://" in text and _URI.fullmatch(text) is not None,
    "email": lambda text: "@" in text and personal(text) == "email" and masked_text(text) == "[email]",
}


class Evidence(Struct):
    """What was seen of one value: of how many, which kinds, and bounds. `formats` are those that held for all texts."""

    seen: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    longest: int = 0
    fits_int64: bool = True
    formats: dict[str, None] = field(default_factory=lambda: dict.fromkeys(_FORMATS))
    values: Counter[str] = field(default_factory=Counter)
    varied: bool = False  # more values than are kept, or ones that are too long
    searched: int = 0
    personal: Counter[str] = field(default_factory=Counter)
    members: dict[str, Evidence] = field(default_factory=dict)
    free_keys: bool = False
    items: Evidence | None = None

    def look(self, value: Any, level: int = 0) -> None:
        """Take in one value."""
        self.seen += 1
        kind = _kind(value)
        self.kinds[kind] += 1
        if kind == "string":
            self._text(value)
        elif kind == "integer":
            self.fits_int64 = self.fits_int64 and -_INT64 <= value < _INT64
        elif kind == "array" and level < LEVELS_MAX:
            self.items = self.items or Evidence()
            for item in value[:100]:
                self.items.look(item, level + 1)
        elif kind == "object" and level < LEVELS_MAX:
            self._object(value, level)

    def _text(self, text: str) -> None:
        self.longest = max(self.longest, len(text))
        for name in [name for name in self.formats if not _FORMATS[name](text)]:
            del self.formats[name]
        if self.searched < PII_VALUES:
            self.searched += 1
            if found := personal(text):
                self.personal[found] += 1
        if self.varied:
            return
        if len(text) > VALUE_CHARS_MAX or (text not in self.values and len(self.values) >= VALUES_MAX):
            self.varied = True
            self.values.clear()
        else:
            self.values[text] += 1

    def _object(self, value: dict[str, Any], level: int) -> None:
        for key, entry in value.items():
            member = self.members.get(key)
            if member is None:
                if len(self.members) >= PROPERTIES_MAX:
                    self.free_keys = True
                    continue
                member = self.members[key] = Evidence()
            member.look(entry, level + 1)


class Seen(Struct):
    """All events that were looked at, by name. `left_out` are names beyond EVENTS_MAX."""

    events: dict[str, Evidence] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # how many there are, of which some were looked at
    left_out: set[str] = field(default_factory=set)

    def look(self, event: str, properties: bytes | str) -> None:
        """Take in one event; what is no object is passed over."""
        evidence = self.events.get(event)
        if evidence is None:
            if len(self.events) >= EVENTS_MAX:
                self.left_out.add(event) if len(self.left_out) < EVENTS_MAX else None
                return
            evidence = self.events[event] = Evidence()
        try:
            value = msgspec.json.decode(properties)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if isinstance(value, dict):
            evidence.look(value)


def draft_of(seen: Seen, name: str) -> Draft:
    """The plan that says what was seen."""
    draft = Draft(name=name, source="events that were stored", made="inferred")
    for event, evidence in sorted(seen.events.items()):
        count = seen.counts.get(event, evidence.seen)
        described = f"Inferred from {evidence.seen:,} of {count:,} events; say what it means."
        draft.events.append(DraftEvent(event, "1.0.0", _members(evidence, draft, event), description=described))
    for event in sorted(seen.left_out):
        draft.note(event[:60], f"the plan has {EVENTS_MAX:,} events already; it was left out")
    return draft


def _members(evidence: Evidence, draft: Draft, where: str) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    objects = evidence.kinds["object"]
    folded: dict[str, str] = {}
    for key, member in sorted(evidence.members.items()):
        at = f"{where}.{key[:60]}"
        if not _KEY.fullmatch(key):
            draft.note(at, "this name cannot be one of a property; it was left out")
            continue
        alike = re.sub(r"[^a-z0-9]", "", key.lower())
        if folded.setdefault(alike, key) != key:
            draft.note(at, f"the same name as {folded[alike]} but for case or separators; it was left out")
            continue
        keywords = keywords_of(member, draft, at)
        if keywords is None:
            continue
        if objects >= REQUIRED_EVENTS and member.seen > REQUIRED_SHARE * objects:
            keywords["required"] = True
        made[key] = keywords
    return made


def keywords_of(evidence: Evidence, draft: Draft, where: str) -> dict[str, Any] | None:
    """A property that takes all that was seen; None where nothing but null was."""
    kinds = {kind for kind in evidence.kinds if kind != "null"}
    if not kinds:
        draft.note(where, "only null was sent; it was left out")
        return None
    if kinds == {"integer", "number"} or (kinds == {"integer"} and not evidence.fits_int64):
        kinds = {"number"}
    if len(kinds) > 1:
        scalars = sorted(kinds - {"integer"} if "number" in kinds else kinds)
        shown = ", ".join(f"{count:,} {kind}" for kind, count in evidence.kinds.most_common())
        draft.note(where, f"it was sent in several types ({shown}); agree on one")
        if not kinds <= {"string", "integer", "number", "boolean"}:
            return None
        made: dict[str, Any] = {"type": scalars}
        if "string" in kinds:
            made["maxLength"] = _headroom(evidence.longest)
    else:
        made = _of_one_kind(kinds.pop(), evidence, draft, where)
    if evidence.kinds["null"]:
        made["nullable"] = True
    if (pii := _personal(evidence)) and "string" in evidence.kinds:
        made["pii"] = {"class": pii}
        draft.note(where, f"values look like personal data ({pii}); say with pii: handling: what is to be done to them")
    return made


def _of_one_kind(kind: str, evidence: Evidence, draft: Draft, where: str) -> dict[str, Any]:
    if kind == "string":
        return _string(evidence)
    if kind == "array":
        items = keywords_of(evidence.items, draft, f"{where}[]") if evidence.items and evidence.items.seen else None
        return {"type": "array"} | ({"items": items} if items else {})
    if kind == "object":
        if evidence.free_keys:
            draft.note(where, f"it has more than {PROPERTIES_MAX} keys; it may be any object")
            return {"type": "object"}
        members = _members(evidence, draft, where)
        return {"type": "object"} | ({"properties": members} if members else {})
    return {"type": kind}


def _string(evidence: Evidence) -> dict[str, Any]:
    texts = evidence.kinds["string"]
    found = next(iter(evidence.formats), "") if evidence.longest else ""
    if found in ("date", "datetime"):
        return {"type": found}
    made: dict[str, Any] = {"type": "string"}
    if found:
        return made | {"format": found, "maxLength": _headroom(evidence.longest)}
    if not evidence.varied and not _personal(evidence) and texts >= ENUM_EVENTS and len(evidence.values) <= ENUM_WORDS:
        words = sorted(evidence.values)
        if min(evidence.values.values()) >= ENUM_EACH and all(_WORD.fullmatch(word) for word in words):
            return made | {"enum": words}
    return made | {"maxLength": _headroom(evidence.longest)}


def _personal(evidence: Evidence) -> str:
    """What kind of personal data the texts hold, when it is no accident."""
    kind, count = (evidence.personal.most_common(1) or [("", 0)])[0]
    return kind if count > PERSONAL_SHARE * evidence.searched else ""


def _headroom(longest: int) -> int:
    """Twice the longest text that was seen, as a round number."""
    return next((length for length in _LENGTHS if length >= longest * 2), max(_LENGTHS[-1], longest))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")
