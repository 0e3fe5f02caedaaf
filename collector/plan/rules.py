"""The slow path: every violation of one document, each with its pointer and what to do. This is the truth of the plan.

`fast.py` may refuse what these rules allow (`5.0` for an integer, numbers as text), never the other way round: it only
decides whether this walk is needed. Documents come from `decode_exact`, which keeps 19.90 and 1e400 as Decimal. Bounds
are compared as 64-bit floats, because that is what the fast path can do; at 18 digits the two would otherwise disagree.
"""

from __future__ import annotations

import datetime
import operator
import re
from collections.abc import Callable, Collection
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from typing import Annotated, Any, Final, Protocol, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from collector.plan.model import Action, Property, Type
from collector.plan.pii import changes, personal_within
from collector.plan.policy import Policy, policy_of_all
from collector.plan.problems import fold
from collector.reason import Reason

# Violations listed for one event. Their words go into a column with the event; a hostile list must not outgrow it.
VIOLATIONS_MAX = 100
# Characters of a value repeated in a message, and of one key in a pointer.
SHOWN_MAX = 40
KEY_MAX = 200
# A number sent as text; longer than any decimal that ClickHouse can hold.
NUMERIC_MAX = 80

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

DateTime = Annotated[datetime.datetime, Meta(tz=True)]

_NUMERIC = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?")
_FOUR_PLACES = Decimal("0.0001")
# Holds the quotient of the largest double and a step of a hundred decimal places.
_EXACT = Context(prec=500)
_MONEY = Context(prec=40, rounding=ROUND_HALF_EVEN)


class Violation(Struct, frozen=True, gc=False):
    """One way in which an event does not follow the plan.

    `pointer` is a JSON pointer (RFC 6901) into the event as sent; `fix` one sentence: what was found, the limit, what
    to do.
    """

    reason: Reason
    pointer: str
    fix: str

    def word(self) -> str:
        """`constraint:/properties/currency`, as stored in the violations column."""
        return f"{self.reason.word}:{self.pointer}"


class Mark(Enum):
    """What happens to one value of an event that is stored. In `extra` its name is its pointer in the properties."""

    COPIED = "copied"  # it stays, and stands in `extra` too
    MOVED = "moved"  # it moves to `extra`
    MASKED = "masked"  # it moves to `extra`, what looks personal in it masked


# Marks at the places of a document: of a value itself, or of what is in it, by key or index.
Marks: TypeAlias = "Mark | dict[str | int, Marks] | None"


class Findings:
    """The violations of one event so far, by the policy that its plan has now and here.

    `rejected` and `dropped` are the first violation of that action. `shadowed` lists a class for each violation that a
    rule which is not in force yet would judge otherwise. `handled` says that personal data was handled before, as in an
    event that is replayed.
    """

    def __init__(self, policy: Policy, unknown_max: int, *, handled: bool = False) -> None:
        self.actions = policy.actions
        self.shadows = policy.shadows
        self.handled = handled
        self.unknown_left = unknown_max
        self.listed: list[Violation] = []
        self.rejected: Violation | None = None
        self.dropped: Violation | None = None
        self.shadowed: list[Reason] = []
        self.within: dict[str | int, Marks] = {}  # from the check of a container to its rule: marks of what is in it

    def add(self, reason: Reason, pointer: str, fix: str) -> Action:
        """Record one violation, unless the plan allows its class or the list is full; the action for its value."""
        action = self.actions[reason]
        if self.shadows and reason in self.shadows and len(self.shadowed) < VIOLATIONS_MAX:
            self.shadowed.append(reason)
        if action is Action.ALLOW:
            return action
        decides = (action is Action.QUARANTINE and self.rejected is None) or (
            action is Action.DROP and self.dropped is None
        )
        if reason is Reason.UNKNOWN_PROPERTY and not decides:
            if self.unknown_left <= 0:
                return action
            self.unknown_left -= 1
        if len(self.listed) >= VIOLATIONS_MAX and not decides:
            return action
        violation = Violation(reason, pointer, fix)
        self.listed.append(violation)
        if decides and action is Action.DROP:
            self.dropped = violation
        elif decides:
            self.rejected = violation
        return action

    def personal(self, value: Any, pointer: str) -> bool:
        """Record personal data in a value that is not declared; True when it may not be stored as it is."""
        kind = personal_within(value)
        if not kind:
            return False
        fix = f"{spoken(pointer)} holds {_PERSONAL[kind]}; declare it in the plan with pii, or stop sending it"
        return self.add(Reason.UNDECLARED_PII, pointer, fix) > Action.FLAG

    def looks_for(self, reason: Reason) -> bool:
        """False where a class of violation is allowed and will stay so: then there is no need to look."""
        return self.actions[reason] is not Action.ALLOW or reason in self.shadows


ValueRule: TypeAlias = Callable[[Any, str, Findings], Marks]


class Unreadable:
    """Stands for a value that is JSON but that no decoder here takes: nested too deep, or thousands of digits."""


UNREADABLE: Final = Unreadable()


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits: zero or infinity, as for a float
        return Decimal(repr(float(text)))


_decode = msgspec.json.Decoder(float_hook=_exact).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def decode_exact(document: bytes | Raw) -> Any:
    """A JSON document as Python values, numbers exact. A part that cannot be decoded becomes UNREADABLE."""
    try:
        return _decode(document)
    except Exception:  # whatever a hostile document raises, it is only unreadable
        return _by_parts(document)


def _by_parts(document: bytes | Raw) -> Any:
    """The same, one property at a time, so that one unreadable value does not hide its neighbours."""
    parts = decode_parts(document)
    return UNREADABLE if parts is None else {key: decode_part(part) for key, part in parts.items()}


def decode_parts(document: bytes | Raw) -> dict[str, Raw] | None:
    """An object's members, each for `decode_part`; None for what is no object, or cannot be told apart."""
    try:
        return _decode_members(document)
    except Exception:
        return None


def decode_part(part: Raw) -> Any:
    """One value, numbers exact; UNREADABLE when it cannot be decoded."""
    try:
        return _decode(part)
    except Exception:
        return UNREADABLE


def token(key: str) -> str:
    """One key as a part of a JSON pointer. A key longer than KEY_MAX is cut: it would be repeated for each finding."""
    if len(key) > KEY_MAX:
        key = key[:KEY_MAX] + "…"
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def spoken(pointer: str) -> str:
    """A pointer as people write it: /properties/items/0/sku is items[0].sku."""
    if pointer.count("/") == 2 and "~" not in pointer:
        return pointer[len("/properties/") :]
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[2:]]
    text = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
    return text.removeprefix(".") or "properties"


def shown(value: Any) -> str:
    """A value as a message repeats it: short, and as it looks in JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        text = value if len(value) <= SHOWN_MAX else value[:SHOWN_MAX] + "…"
        return msgspec.json.encode(text).decode()
    if isinstance(value, int | Decimal):
        text = str(value)
        return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else "nested too deeply or too long a number"


def decimal_text(value: Any) -> str | None:
    """A number, or a number as text, as the text of a Decimal(18, 4), rounded to 4 places; None if it does not fit.

    Rounded, not refused: JavaScript sums 19.9 * 3 to 59.699999999999996, and nobody meant more than 59.7.
    """
    number = _number_of(value)
    if number is None or (number and number.adjusted() > 13):
        return None
    if not number:
        return "0"
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -4:
        number = number.quantize(_FOUR_PLACES, context=_MONEY)
    return None if number.adjusted() > 13 else f"{number:f}"


def _number_of(value: Any) -> Decimal | None:
    """A finite Decimal from a JSON number or numeric text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, str) and len(value) <= NUMERIC_MAX and _NUMERIC.fullmatch(value):
        return Decimal(value)
    return None


def rule_of(kind: Type) -> ValueRule:
    """The rule for one type: a function that adds what is wrong with a value to the findings, and marks it."""
    must = _MUST[kind.kind] if kind.kind != "union" else " or ".join(_MUST[member.kind] for member in kind.members)
    check = _CHECKS[kind.kind](kind)
    nullable, sensitive = kind.nullable, kind.sensitive
    advice = f"; send a value such as {_json(kind.examples[0])}" if kind.examples else ""

    personal = changes(kind.pii)

    def rule(value: Any, at: str, out: Findings) -> Marks:
        if (value is None and nullable) or (personal and out.handled):
            return None
        complaint = check(value, at, out)
        within: Marks = None
        if out.within:
            within, out.within = out.within, {}
        if complaint is None:
            return within
        found = "has a value that" if sensitive else f"is {shown(value)}, it"
        if complaint is WRONG_TYPE:
            what = "leave it out when there is no value" if value is None else advice[2:] or f"send {must}"
            action = out.add(Reason.WRONG_TYPE, at, f"{spoken(at)} {found} must be {must}; {what}")
        else:
            limit, what = complaint
            action = out.add(Reason.CONSTRAINT, at, f"{spoken(at)} {found} {limit}; {advice[2:] or what}")
        return Mark.MOVED if action is Action.STRIP else within

    def anything(value: Any, at: str, out: Findings) -> None:
        del value, at, out

    return anything if kind.kind == "any" else rule


# A check returns nothing when the value is fine or when it has added findings of its own, WRONG_TYPE, or the limit that
# is broken together with what to do.
Complaint: TypeAlias = tuple[str, str] | None
WRONG_TYPE: Final = ("wrong", "type")
Check: TypeAlias = Callable[[Any, str, Findings], Complaint]

_MUST = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "decimal": "a decimal number",
    "date": "a date such as 2026-09-01",
    "datetime": "a date and time with its offset such as 2026-09-01T10:00:00Z",
    "array": "a list",
    "object": "an object",
    "map": "an object",
    "any": "anything",
}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _any(kind: Type) -> Check:
    del kind
    return lambda value, at, out: None  # noqa: ARG005 - one signature for all checks


def _boolean(kind: Type) -> Check:
    del kind
    return lambda value, at, out: None if isinstance(value, bool) else WRONG_TYPE  # noqa: ARG005 - as above


def _enum(kind: Type) -> Complaint:
    allowed = [_json(value) for value in kind.enum or ()]
    names = ", ".join(allowed[:10]) + (f" and {len(allowed) - 10} more" if len(allowed) > 10 else "")
    return f"must be one of {names}", "send one of them, or add it to the plan"


def _string(kind: Type) -> Check:
    low, high = kind.min_length, kind.max_length
    search = re.compile(kind.regex).search if kind.regex else None
    allowed = None if kind.enum is None else frozenset(kind.enum)
    not_listed = _enum(kind)
    mismatch = (
        (f"must match {kind.pattern}", "correct it at the sender")
        if kind.pattern
        else (f"must be a valid {kind.format}", "correct it at the sender")
    )

    def check(value: Any, at: str, out: Findings) -> Complaint:
        del at, out
        if not isinstance(value, str):
            return WRONG_TYPE
        if allowed is not None and value not in allowed:
            return not_listed
        if high is not None and len(value) > high:
            return f"has {len(value):,} characters, the limit is {high:,}", "shorten it"
        if len(value) < low:
            return f"has {len(value)} characters, the minimum is {low}", "send a longer text or leave it out"
        return None if search is None or search(value) else mismatch

    return check


def bounds_of(kind: Type, made: Callable[[Any], Any]) -> Callable[[Any], Complaint]:
    """The bounds of an int or a float; `made` turns a bound into the same."""
    stated = (
        (kind.minimum, operator.lt, "must be at least {}", "send {} or more"),
        (kind.maximum, operator.gt, "must be at most {}", "send {} or less"),
        (kind.exclusive_minimum, operator.le, "must be above {}", "send more than {}"),
        (kind.exclusive_maximum, operator.ge, "must be below {}", "send less than {}"),
    )
    limits = [
        (breaks, made(bound), (must.format(bound), what.format(bound)))
        for bound, breaks, must, what in stated
        if bound is not None
    ]

    def check(number: Any) -> Complaint:
        for breaks, bound, complaint in limits:
            if breaks(number, bound):
                return complaint
        return None

    return check


def _integer(kind: Type) -> Check:
    bounds = bounds_of(kind, int)
    step = kind.multiple_of
    allowed = None if kind.enum is None else frozenset(kind.enum)
    not_listed = _enum(kind)

    def check(value: Any, at: str, out: Findings) -> Complaint:  # noqa: PLR0911 - a list of questions, each with its answer
        del at, out
        if isinstance(value, Decimal):  # 5.0 and 1e2 are integers in JSON Schema
            if not value.is_finite() or value != value.to_integral_value():
                return WRONG_TYPE
            if value and value.adjusted() > 19:  # before int(), which would write out 1e999999999
                return "must fit in 64 bits", "send a smaller number, or text"
            value = int(value) if value else 0
        if not isinstance(value, int) or isinstance(value, bool):
            return WRONG_TYPE
        if not INT64_MIN <= value <= INT64_MAX:
            return "must fit in 64 bits", "send a smaller number, or text"
        if allowed is not None and value not in allowed:
            return not_listed
        if step is not None and value % step:
            return f"must be a multiple of {step}", "round it at the sender"
        return bounds(value)

    return check


def _float(number: int | Decimal) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _stepped(value: int | Decimal, step: Decimal) -> bool:
    """Is it a multiple? Exact; a number of too many digits to tell is not one."""
    try:
        return not _EXACT.remainder(Decimal(value), step)
    except InvalidOperation:
        return False


def _number(kind: Type) -> Check:
    bounds = bounds_of(kind, float)
    step = None if kind.multiple_of is None else Decimal(str(kind.multiple_of))

    def check(value: Any, at: str, out: Findings) -> Complaint:
        del at, out
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            return WRONG_TYPE
        number = _float(value)
        if not -_LARGEST <= number <= _LARGEST:
            return "must fit in a 64-bit float", "send a smaller number, or text"
        if step is not None and not _stepped(value, step):
            return f"must be a multiple of {step}", "round it at the sender"
        return bounds(number)

    return check


_LARGEST = 1.7976931348623157e308


def _decimal(kind: Type) -> Check:
    bounds = bounds_of(kind, float)
    digits = kind.precision - kind.scale
    step = None if kind.multiple_of is None else Decimal(str(kind.multiple_of))

    def check(value: Any, at: str, out: Findings) -> Complaint:
        del at, out
        number = _number_of(value)
        if number is None:
            return WRONG_TYPE
        if number and number.adjusted() >= digits:
            return f"must have at most {digits} digits before the point", "send a smaller number"
        if step is not None and not _stepped(number, step):
            return f"must be a multiple of {step}", "round it at the sender"
        return bounds(_float(number))

    return check


def _time(made: Any) -> Callable[[Type], Check]:
    def build(kind: Type) -> Check:
        del kind

        def check(value: Any, at: str, out: Findings) -> Complaint:
            del at, out
            if not isinstance(value, str):
                return WRONG_TYPE
            try:
                msgspec.convert(value, made)
            except msgspec.ValidationError:
                return WRONG_TYPE
            return None

        return check

    return build


def _array(kind: Type) -> Check:
    assert kind.items is not None
    item = rule_of(kind.items)
    low, high = kind.min_items, kind.max_items

    def check(value: Any, at: str, out: Findings) -> Complaint:
        if not isinstance(value, list):
            return WRONG_TYPE
        if high is not None and len(value) > high:  # its items are not looked at: there may be any number of them
            return f"must have at most {high} items", "send fewer, or split the event"
        marks: dict[str | int, Marks] = {}
        for index, entry in enumerate(value):
            mark = item(entry, f"{at}/{index}", out)
            if mark is not None:
                marks[index] = mark
        out.within = marks
        left = len(value) - sum(mark is Mark.MOVED for mark in marks.values())
        return (f"must have at least {low} items", "send more, or no event") if left < low else None

    return check


def _map(kind: Type) -> Check:
    assert kind.values is not None
    rule = rule_of(kind.values)
    most = kind.max_properties

    def check(value: Any, at: str, out: Findings) -> Complaint:
        if not isinstance(value, dict):
            return WRONG_TYPE
        if most is not None and len(value) > most:
            return f"has {len(value):,} keys and may have at most {most:,}", "send fewer"
        marks: dict[str | int, Marks] = {}
        for key, entry in value.items():
            mark = rule(entry, f"{at}/{token(key)}", out)
            if mark is not None:
                marks[key] = mark
        out.within = marks
        return None

    return check


def _object(kind: Type) -> Check:
    walk = members_of(kind.properties)

    def check(value: Any, at: str, out: Findings) -> Complaint:
        if not isinstance(value, dict):
            return WRONG_TYPE
        out.within = walk(value, at, out)
        return None

    return check


class Walk(Protocol):
    """The rule for the members of an object: known ones by their own rules in document order, then what is missing.

    `sent` are the names of all members where `value` leaves out those in which there is nothing to find.
    """

    def __call__(
        self, value: dict[str, Any], at: str, out: Findings, sent: Collection[str] | None = None
    ) -> dict[str | int, Marks]:
        """The marks of members, by key."""


def members_of(properties: tuple[Property, ...]) -> Walk:
    """The rule for an object with these members."""
    rules: dict[str, ValueRule] = {}
    alike: dict[str, str] = {}
    for prop in properties:
        rule = rule_of(prop.type)
        for name in (prop.name, *prop.aliases):
            rules[name] = rule
            alike[fold(name)] = name
    required = [(prop, (prop.name, *prop.aliases)) for prop in properties if prop.required]
    gone = frozenset(prop.name for prop in properties if prop.type.pii and prop.type.pii.handling == "drop")

    def walk(
        value: dict[str, Any], at: str, out: Findings, sent: Collection[str] | None = None
    ) -> dict[str | int, Marks]:
        marks: dict[str | int, Marks] = {}
        for key, entry in value.items():
            pointer = f"{at}/{token(key)}"
            rule = rules.get(key)
            mark = _unplanned(entry, pointer, alike.get(fold(key)), out) if rule is None else rule(entry, pointer, out)
            if mark is not None:
                marks[key] = mark
        stays = sent or value
        for prop, names in required:
            if any(name in stays and marks.get(name) is not Mark.MOVED for name in names):
                continue
            if out.handled and prop.name in gone:
                continue
            pointer = f"{at}/{token(prop.name)}"
            must = _MUST.get(prop.type.kind, "a value")
            out.add(Reason.MISSING_REQUIRED, pointer, f"{spoken(pointer)} is missing, it is required; send {must}")
        return marks

    return walk


def _unplanned(entry: Any, pointer: str, near: str | None, out: Findings) -> Mark | None:
    """A property that is not in the plan, which may hold what nobody meant to send."""
    what = f'send it as "{near}"' if near else "add it to the plan or stop sending it"
    action = out.add(Reason.UNKNOWN_PROPERTY, pointer, f"{spoken(pointer)} is not in the plan; {what}")
    if out.looks_for(Reason.UNDECLARED_PII) and out.personal(entry, pointer):
        return Mark.MASKED
    return None if action is Action.ALLOW else Mark.MOVED if action is Action.STRIP else Mark.COPIED


def _union(kind: Type) -> Check:
    checks = [_CHECKS[member.kind](member) for member in kind.members]

    def check(value: Any, at: str, out: Findings) -> Complaint:
        complaints = [check(value, at, out) for check in checks]
        if None in complaints:
            return None
        return next((complaint for complaint in complaints if complaint is not WRONG_TYPE), WRONG_TYPE)

    return check


_CHECKS: dict[str, Callable[[Type], Check]] = {
    "any": _any,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "decimal": _decimal,
    "date": _time(datetime.date),
    "datetime": _time(DateTime),
    "array": _array,
    "map": _map,
    "object": _object,
    "union": _union,
}


_PERSONAL = {
    "email": "an e-mail address",
    "token": "a secret token",
    "card": "the number of a payment card",
    "iban": "the number of a bank account",
}


def fits_of(kind: Type) -> Callable[[Any], bool]:
    """Is a scalar value, decoded exactly and not null, valid?"""
    check = _CHECKS[kind.kind](kind)
    unheard = Findings(policy_of_all(Action.ALLOW), unknown_max=0)  # scalars add no findings of their own
    return lambda value: check(value, "", unheard) is None


def complaints_of(kind: Type, value: Any) -> list[str]:
    """What is wrong with one plain value, as sentences; used for the examples of a plan."""
    out = Findings(policy_of_all(Action.QUARANTINE), unknown_max=VIOLATIONS_MAX)
    rule_of(kind)(decode_exact(msgspec.json.encode(value)), "/properties/value", out)
    return [violation.fix for violation in out.listed]
