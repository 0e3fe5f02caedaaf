"""plan.lock: a resolved plan as canonical JSON with hashes. What collectors load, written by `footfall plan release`.

    Plan --lock_bytes--> {"format": 1, "hash": "…", "head": {…}, "events": {"purchase": {…}}, "history": {…}} --> Plan

The Structs of model.py are its schema: keys sorted, defaults left out, no spaces. Each event stands in a line of its
own, so that git shows and merges what changed. Hashes are BLAKE2b of 256 bits. That of the plan covers the head and the
hashes of all lines but not their breaks, so a checkout that rewrites those does no harm; any other change of the file
is found by it. Where a thing stood in YAML is left out: moving it or writing a comment changes no hash.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from collector.files import replace_file
from collector.plan.model import (
    DEFAULT_ACTIONS,
    PROD,
    Environment,
    EventPlan,
    EventTest,
    Expect,
    Journey,
    Limits,
    Naming,
    Plan,
    Property,
    Rule,
    Rules,
    Type,
)
from collector.plan.problems import Mark, PlanError

LOCK_NAME = "plan.lock"
LOCK_FORMAT = 1
# A thousand events of twenty properties are 3 MB. A file of this size is no plan that a process should hold.
LOCK_BYTES_MAX = 64 * 1024 * 1024

_DIGEST_BYTES = 32
_REASONS = {reason.word: reason for reason in DEFAULT_ACTIONS}
_encoder = msgspec.json.Encoder(order="sorted")


def sealed(plan: Plan) -> Plan:
    """The plan with the hash of each event and its own."""
    events = {name: structs.replace(event, hash=event_hash(event)) for name, event in plan.events.items()}
    history = {key: structs.replace(event, hash=event_hash(event)) for key, event in plan.history.items()}
    plan = structs.replace(plan, events=events, history=history)
    return structs.replace(plan, hash=_Parts(plan).hash())


def event_hash(event: EventPlan) -> str:
    """The hash, in hex, of all that the collector acts on, without what only people read.

    A better description compiles nothing anew. Examples count: senders of a wrong value are shown the first.
    """
    acted_on = structs.replace(
        event,
        properties=_bare(event.properties),
        version="",
        file="",
        hash="",
        description="",
        trigger="",
        owner="",
        tags=(),
        tests=(),
        expect=Expect(),
    )
    return blake2b(event_bytes(acted_on), digest_size=_DIGEST_BYTES).hexdigest()


def lock_bytes(plan: Plan) -> bytes:
    """The lock of a plan: the same bytes for the same plan, whatever folder and comments it came with."""
    parts = _Parts(sealed(plan))
    head = b'{"format":%d,\n"hash":"%s",\n"head":%s' % (LOCK_FORMAT, parts.hash().encode(), parts.head)
    return b"%s,\n%s,\n%s}\n" % (head, _lines("events", parts.events), _lines("history", parts.history))


def write_lock(plan: Plan, path: Path) -> None:
    """Write a plan's lock. A reader sees the old file or the whole new one, also after a loss of power."""
    replace_file(path, lock_bytes(plan))


def read_lock(path: Path) -> Plan:
    """Read a plan from its lock.

    Raises:
        PlanError: one line, `file:line:column: sentence`, when it cannot be read, or does not hold what its hash says.
    """
    return LockReader().read(path)


class LockReader:
    """Reads locks, one after the other. An event whose line has not changed since the last is the same object again.

    A line that is byte for byte that of the last lock is neither parsed nor hashed again: its digest is known, and the
    hash of the whole is made of digests. So an edit of one event of a thousand costs little more than reading the file.
    """

    def __init__(self) -> None:
        self._events: dict[bytes, EventPlan] = {}  # by digest
        self._rules: dict[bytes, Rules] = {}
        self._lines: dict[bytes, _Line] = {}  # of the last lock that was believed, by their first bytes

    def read(self, path: Path) -> Plan:
        """As `read_lock`."""
        return self.read_with_bytes(path)[0]

    def read_with_bytes(self, path: Path) -> tuple[Plan, bytes]:
        """The plan, and the bytes it was read from."""
        start = Mark(str(path), 1, 1)
        try:
            size = path.stat().st_size
            if size > LOCK_BYTES_MAX:
                raise PlanError(
                    f"{start}: the lock has {size:,} bytes, the limit is {LOCK_BYTES_MAX:,}; split the plan"
                )
            data = path.read_bytes()
        except OSError as error:
            raise PlanError(
                f"{start}: the lock cannot be read ({error.strerror}); check it and its permissions"
            ) from None
        try:
            return self.decode(data, path), data
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            mark, problem = _place(error, data, path)
            raise PlanError(f"{mark}: the lock is not what this Footfall writes ({problem}); {_ADVICE}") from None

    def decode(self, data: bytes, path: Path) -> Plan:
        """The plan in the bytes of a lock; `path` is for messages. Raises PlanError, or an error of msgspec."""
        parts = self._by_lines(data) or self._whole(data, path)
        head = _decode_head(parts.head)
        fresh: dict[bytes, EventPlan] = {}
        events = {line.name: self._event(line, fresh) for line in parts.events}
        history = {_key(line.name): self._event(line, fresh) for line in parts.history}
        rules = self._settled(head.rules)
        self._events = fresh
        self._lines = {_start(line.text): line for line in (*parts.events, *parts.history) if line.text}
        if len(self._rules) > 10_000:  # each is a few hundred bytes; there are seldom more than a dozen
            self._rules.clear()
        facts = {field: getattr(head, field) for field in _SHARED}
        return Plan(**facts, events=events, history=history, rules=rules, hash=parts.hash, folder=str(path.parent))

    def _whole(self, data: bytes, path: Path) -> _Found:
        """All parts of a lock, however its JSON is broken into lines."""
        try:
            lock = _decode_lock(data)
        except msgspec.ValidationError:
            _check_format(_decode_format(data).format, path)
            raise
        _check_format(lock.format, path)
        events, history = (
            [_Line(name, _digest(raw), raw) for name, raw in part.items()] for part in (lock.events, lock.history)
        )
        found = _combined(bytes(lock.head), events, history)
        if found != lock.hash:
            raise PlanError(
                f"{Mark(str(path), 2, 1)}: the lock's hash is {lock.hash[:12]}…, what it holds has {found[:12]}…: "
                f"it was edited; {_ADVICE}"
            )
        return _Found(lock.head, events, history, found)

    def _by_lines(self, data: bytes) -> _Found | None:
        """The same of a lock that is laid out as `lock_bytes` does; None for any other, and for whatever is odd.

        Nothing is believed here that `_whole` would not: the hash must be right, and where it is not, that one says so.
        """
        lines = data.split(b"\n")
        try:
            lock = _decode_lock(b'%s%s%s"events":{},"history":{}}' % tuple(lines[:3]))
            after = lines.index(b'"history":{}}' if lines[-2] == b'"history":{}}' else b'"history":{')
            events = [self._line(text) for text in _section(lines[3:after], b'"events":{', b"},")]
            history = [self._line(text) for text in _section(lines[after:-1], b'"history":{', b"}}")]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, ValueError, IndexError):
            return None
        found = _combined(bytes(lock.head), events, history)
        if lines[-1] or lock.format != LOCK_FORMAT or lock.hash != found:
            return None
        return _Found(lock.head, events, history, found)

    def _line(self, text: bytes) -> _Line:
        """What stands in one line, as it was found before where that is the same. Raises ValueError."""
        known = self._lines.get(_start(text))
        if known is not None and known.text == text:
            return known
        if not text.endswith(b"},"):
            raise ValueError(text)
        ((name, raw),) = _decode_line(b"{%s}" % text[:-1]).items()
        return _Line(name, _digest(raw), raw, text)

    def _event(self, line: _Line, fresh: dict[bytes, EventPlan]) -> EventPlan:
        event = self._events.get(line.digest)
        if event is None:
            locked = _decode_event(line.raw)
            facts = {field: getattr(locked, field) for field in _EVENT_FIELDS}
            event = EventPlan(**facts | {"rules": self._settled(facts["rules"])})
        fresh[line.digest] = event
        line.raw = _NOTHING  # it would hold its line a second time
        return event

    def _settled(self, raw: Raw) -> Rules:
        """Rules by class. Most events have those of the plan, so equal ones are made once."""
        text = bytes(raw)
        rules = self._rules.get(text)
        if rules is None:
            rules = {
                environment: {_REASONS[word]: rule for word, rule in found.items() if word in _REASONS}
                for environment, found in _decode_rules(raw).items()
            }
            if any(len(found) != len(DEFAULT_ACTIONS) for found in rules.values()) or PROD not in rules:
                raise msgspec.ValidationError("rules that do not name every class of violation")
            self._rules[text] = rules
        return rules


class _Line(Struct, gc=False):
    """An event as it stands in a lock: its key there, its digest, its JSON until that is decoded, and its line."""

    name: str
    digest: bytes
    raw: Raw
    text: bytes = b""


class _Found(Struct, gc=False):
    """What is in a lock whose hash is right."""

    head: Raw
    events: list[_Line]
    history: list[_Line]
    hash: str


_NOTHING = Raw(b"")


def _section(lines: list[bytes], opening: bytes, closing: bytes) -> list[bytes]:
    """The lines of one part of a lock, each with a comma after it. Raises ValueError."""
    if lines == [opening + closing]:
        return []
    if lines[0] != opening or not lines[-1].endswith(closing):
        raise ValueError(opening)
    return [*lines[1:-1], lines[-1].removesuffix(closing) + b","]


def _start(text: bytes) -> bytes:
    """What tells a line from others in most cases: its key. That it is the same line is for an equation to say."""
    return text[: text.find(b'":')]


def _digest(raw: bytes | Raw) -> bytes:
    return blake2b(raw, digest_size=_DIGEST_BYTES).digest()


def _check_format(stated: int, path: Path) -> None:
    if stated != LOCK_FORMAT:
        sentence = (
            f"the lock is in format {stated}, this Footfall reads format {LOCK_FORMAT}; "
            "run the Footfall that wrote it, or a newer one"
        )
        raise PlanError(f"{Mark(str(path), 1, 1)}: {sentence}")


class _Format(Struct):
    """All that is read of a lock of another format."""

    format: int


class _Lock(Struct, forbid_unknown_fields=True):
    """The outermost level."""

    format: int
    hash: str
    head: Raw
    events: dict[str, Raw]
    history: dict[str, Raw]


class _Head(Struct, forbid_unknown_fields=True, kw_only=True):
    """A Plan without its events, whose rules are still bytes."""

    name: str
    version: str
    rules: Raw
    environments: dict[str, Environment] = {}
    limits: Limits = Limits()
    naming: Naming = Naming()
    journeys: dict[str, Journey] = {}
    description: str = ""
    owners: tuple[str, ...] = ()


def _default(field: structs.FieldInfo) -> Any:
    """A field's default, as msgspec takes it."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return msgspec.field() if field.required else msgspec.field(default=field.default)


_SHARED = tuple(name for name in _Head.__struct_fields__ if name != "rules")
_EVENT_FIELDS = EventPlan.__struct_fields__
# An EventPlan whose rules are still bytes: JSON has no keys but texts, the model has classes of violation.
_LockedEvent: Any = msgspec.defstruct(
    "LockedEvent",
    [
        (
            field.name,
            Raw if field.name == "rules" else field.type,
            _default(field),
        )
        for field in structs.fields(EventPlan)
    ],
    kw_only=True,
    forbid_unknown_fields=True,
)
_decode_format = msgspec.json.Decoder(_Format).decode
_decode_lock = msgspec.json.Decoder(_Lock).decode
_decode_line = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_event = msgspec.json.Decoder(_LockedEvent).decode
_decode_rules = msgspec.json.Decoder(dict[str, dict[str, Rule]]).decode

# A release compares with the lock that is there, so it does not write over one that it cannot read.
_ADVICE = "take it from version control, or delete it and run `footfall plan release`, which then compares with nothing"


class _Parts:
    """The JSON of a plan in its three parts; events are keyed as in the file."""

    def __init__(self, plan: Plan) -> None:
        bare = structs.replace(plan, events={}, history={}, rules={}, hash="", folder="", unreleased=False)
        facts = {key: value for key, value in _builtin(bare).items() if key not in ("events", "history", "rules")}
        self.head = _encoder.encode(facts | {"rules": _worded(plan.rules)})
        self.events = {name: event_bytes(event) for name, event in plan.events.items()}
        self.history = {f"{name}@{major}": event_bytes(event) for (name, major), event in plan.history.items()}

    def hash(self) -> str:
        """The hash of the plan."""
        parts = (self.events, self.history)
        return _combined(
            self.head, *([_Line(name, _digest(text), _NOTHING) for name, text in part.items()] for part in parts)
        )


def _combined(head: bytes, *parts: list[_Line]) -> str:
    """The hash of a plan from its head and the digests of its lines."""
    found = blake2b(head, digest_size=_DIGEST_BYTES)
    for part in parts:
        pairs = sorted((line.name, line.digest) for line in part)
        found.update(b"".join([b"\n%s\n%s" % (name.encode(), digest) for name, digest in pairs]))
        found.update(b"\n\n")
    return found.hexdigest()


def _lines(name: str, part: dict[str, bytes]) -> bytes:
    entries = b",\n".join(_encoder.encode(key) + b":" + part[key] for key in sorted(part))
    return b'"%s":{\n%s}' % (name.encode(), entries) if entries else b'"%s":{}' % name.encode()


def event_bytes(event: EventPlan) -> bytes:
    """The JSON of one event in a lock; where its tests stand in YAML is left out."""
    tests = tuple(EventTest(document=test.document, violates=test.violates) for test in event.tests)
    facts = _builtin(structs.replace(event, rules={}, tests=tests))
    return _encoder.encode(facts | {"rules": _worded(event.rules)})


def _builtin(value: Any) -> dict[str, Any]:
    made = msgspec.to_builtins(value, order="sorted")
    assert isinstance(made, dict)
    # msgspec leaves out a part at its defaults only where it is the very default object; one that is equal is {} here.
    return {key: entry for key, entry in made.items() if entry != {}}


def _worded(rules: Rules) -> dict[str, dict[str, Rule]]:
    return {environment: {reason.word: rule for reason, rule in found.items()} for environment, found in rules.items()}


def _bare(properties: tuple[Property, ...]) -> tuple[Property, ...]:
    return tuple(
        structs.replace(prop, type=_bare_type(prop.type), description="", owner="", tags=()) for prop in properties
    )


def _bare_type(kind: Type) -> Type:
    if kind.items is None and kind.values is None and not kind.properties:
        return kind
    return structs.replace(
        kind,
        items=None if kind.items is None else _bare_type(kind.items),
        values=None if kind.values is None else _bare_type(kind.values),
        properties=_bare(kind.properties),
    )


def _key(name: str) -> tuple[str, int]:
    event, _, major = name.rpartition("@")
    if not event or not major.isdecimal():
        raise msgspec.ValidationError(f"history has {name[:60]}, which is not <event>@<major>")
    return event, int(major)


def _place(error: Exception, data: bytes, path: Path) -> tuple[Mark, str]:
    """Where in the file an error is, as far as it says, and its own words."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        text = "it is not UTF-8"
    found = re.search(r" \(byte ([0-9]+)\)$", text)
    at = int(found[1]) if found else len(data) if "truncated" in text else 0
    before = data[:at]
    return Mark(str(path), before.count(b"\n") + 1, at - before.rfind(b"\n")), text[: found.start()] if found else text
