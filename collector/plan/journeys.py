"""Journeys: steps that events take in order, and equations that hold between their properties.

An invariant compares two sides, of which each is arithmetic over properties of the journey's events:

    invariant  = sum ("==" | "!=" | "<=" | ">=" | "<" | ">") sum ["+-" number]
    sum        = product (("+" | "-") product)*
    product    = value (("*" | "/") value)*
    value      = number | text in quotes | path | function "(" sum ")" | "(" sum ")" | "-" value
    function   = sum | count | min | max | avg
    path       = event ("." property | "[]")+

`[]` stands for each item of a list and belongs into a function, all of whose paths walk the same list, item by item:
`sum(purchase.items[].price * purchase.items[].quantity)`. `+-` is a tolerance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from collector.plan.keywords import STEP, check_keywords
from collector.plan.model import EventPlan, Journey, Property, Step, Type
from collector.plan.problems import Problems, nearest
from collector.plan.read import Map, Seq, plain
from collector.plan.resolve import strings
from collector.plan.rules import complaints_of

STEPS_MAX = 32  # a longer story is several journeys; each step is one more pass over a visitor's events
INVARIANT_CHARS_MAX = 500
_DEPTH_MAX = 20

COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
FUNCTIONS = ("sum", "count", "min", "max", "avg")

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign>\+-|==|!=|<=|>=|[-+*/()<>])"
    r"|(?P<path>[A-Za-z_$][A-Za-z0-9_$-]*(?:\.[A-Za-z_$][A-Za-z0-9_$-]*|\[\])*))"
)


class InvariantError(Exception):
    """An invariant means nothing; the text says what, where and what to do."""


class Number(Struct, frozen=True, tag=True):
    """A number as written, so that 0.1 stays 0.1."""

    text: str


class Text(Struct, frozen=True, tag=True):
    """A text in quotes."""

    text: str


class Path(Struct, frozen=True, tag=True):
    """A property of an event: `purchase.items[].price` has the list ("items",) and the rest ("price",)."""

    event: str
    list: tuple[str, ...]  # the path to the list that [] walks; empty without one
    names: tuple[str, ...]  # from the event, or from an item of that list
    kind: str  # of the value; see model.Type


class Call(Struct, frozen=True, tag=True):
    """A function over the items of a list."""

    function: str
    of: Expression


class Operation(Struct, frozen=True, tag=True):
    """Two values and + - * / between them."""

    sign: str
    left: Expression
    right: Expression


Expression: TypeAlias = Number | Text | Path | Call | Operation


class Invariant(Struct, frozen=True):
    """`left comparison right`, give or take `tolerance` (a number as written, "" for none)."""

    left: Expression
    comparison: str
    right: Expression
    tolerance: str = ""


def parse_invariant(text: str, events: Mapping[str, EventPlan]) -> Invariant:
    """Read one invariant of a journey over these events.

    Raises:
        InvariantError: it is no comparison, or names what an event does not have, or what cannot be compared.
    """
    if len(text) > INVARIANT_CHARS_MAX:
        raise InvariantError(f"it has {len(text)} characters, the limit is {INVARIANT_CHARS_MAX}; make two of it")
    parser = _Parser(text, events)
    left = parser.sum()
    comparison = parser.take("sign")
    if comparison not in COMPARISONS:
        raise InvariantError(f"there is no comparison {parser.where()}; write one of {' '.join(COMPARISONS)}")
    right = parser.sum()
    tolerance = ""
    if parser.take_if("+-"):
        tolerance = parser.take("number")
        if not tolerance:
            raise InvariantError(f"+- is not followed by a number {parser.where()}; write one such as +- 0.01")
    parser.end()
    kinds = {_family(left), _family(right)}
    if len(kinds) > 1:
        raise InvariantError(f"it compares {' with '.join(sorted(kinds))}; compare like with like")
    if kinds == {"text"} and (comparison not in ("==", "!=") or tolerance):
        raise InvariantError("texts are equal or not; use == or != without a tolerance")
    if not parser.paths:
        raise InvariantError("it names no property, so it is always true or never; name one as <event>.<property>")
    return Invariant(left, comparison, right, tolerance)


class _Parser:
    """Reads tokens from left to right, one function a rule of the grammar."""

    def __init__(self, text: str, events: Mapping[str, EventPlan]) -> None:
        self.events = events
        self.paths: list[Path] = []
        self.tokens: list[tuple[str, str, int]] = []
        self.at = 0
        self.depth = 0
        self.walked: list[tuple[str, tuple[str, ...]]] | None = None  # lists of the function that is open
        place, stripped = 0, text.rstrip()
        while place < len(stripped):
            found = _TOKEN.match(stripped, place)
            if found is None:
                start = place + len(stripped[place:]) - len(stripped[place:].lstrip())
                raise InvariantError(f'"{stripped[start]}" in column {start + 1} of it means nothing here; remove it')
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind], found.start(kind) + 1))
            place = found.end()

    def where(self) -> str:
        if self.at >= len(self.tokens):
            return "at its end"
        _, word, column = self.tokens[self.at]
        return f'at "{word}" in column {column} of it'

    def take(self, kind: str) -> str:
        """The next token when it is of that kind, else nothing."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] == kind:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return ""

    def take_if(self, *signs: str) -> str:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "sign" and self.tokens[self.at][1] in signs:
            return self.take("sign")
        return ""

    def end(self) -> None:
        if self.at < len(self.tokens):
            raise InvariantError(f"it goes on {self.where()} after it was complete; make two of it, or remove the rest")

    def sum(self) -> Expression:
        return self._operations(self._product, "+", "-")

    def _product(self) -> Expression:
        return self._operations(self._value, "*", "/")

    def _operations(self, operand: object, *signs: str) -> Expression:
        assert callable(operand)
        left: Expression = operand()
        while sign := self.take_if(*signs):
            right: Expression = operand()
            if {_family(left), _family(right)} != {"numbers"}:
                raise InvariantError(f"{sign} is for numbers {self.where()}; one of its sides is not")
            left = Operation(sign, left, right)
        return left

    def _value(self) -> Expression:
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            raise InvariantError(f"it is nested more than {_DEPTH_MAX} deep; make it simpler")
        try:
            if number := self.take("number"):
                return Number(number)
            if text := self.take("text"):
                return Text(text[1:-1])
            if self.take_if("-"):
                return Operation("-", Number("0"), self._value())
            if self.take_if("("):
                return self._closed(self.sum())
            if path := self.take("path"):
                return self._call(path) if self.take_if("(") else self._path(path)
            raise InvariantError(f"a number, a property or a ( is missing {self.where()}; write one")
        finally:
            self.depth -= 1

    def _closed(self, inside: Expression) -> Expression:
        if not self.take_if(")"):
            raise InvariantError(f"a ) is missing {self.where()}; add it")
        return inside

    def _call(self, function: str) -> Expression:
        if function not in FUNCTIONS:
            raise InvariantError(f'"{function}" is not a function{nearest(function, FUNCTIONS)}')
        if self.walked is not None:
            raise InvariantError(f"{function} stands inside another function; one list is walked at a time")
        self.walked = []
        of = self._closed(self.sum())
        if len(set(self.walked)) != 1:
            how = "no list; name one as <event>.<property>[]" if not self.walked else "two lists; walk one at a time"
            raise InvariantError(f"{function} walks {how}")
        if function != "count" and _family(of) != "numbers":
            raise InvariantError(f"{function} is for numbers, and what is in it is not; count counts anything")
        self.walked = None
        return Call(function, of)

    def _path(self, written: str) -> Path:
        event, _, rest = written.partition(".")
        if event not in self.events:
            raise InvariantError(f'"{event}" is not an event of its steps{nearest(event, self.events)}')
        if not rest:
            raise InvariantError(f'"{written}" is a whole event; name a property of it as {event}.<property>')
        walked: tuple[str, ...] = ()
        names: list[str] = []
        kind = Type(kind="object", properties=self.events[event].properties)
        for part in rest.split("."):
            name = part.removesuffix("[]")
            kind = _member(kind, name, written)
            names.append(name)
            if part.endswith("[]"):
                if kind.kind != "array" or kind.items is None or walked or name.endswith("[]"):
                    raise InvariantError(f"{name} in {written} is no list that [] can walk; leave [] away")
                walked, names, kind = tuple(names), [], kind.items
        if walked and self.walked is None:
            raise InvariantError(f"{written} has many values; put it into a function such as sum({written})")
        if walked and self.walked is not None:
            self.walked.append((event, walked))
        path = Path(event, walked, tuple(names), kind.kind)
        self.paths.append(path)
        return path


def _member(kind: Type, name: str, written: str) -> Type:
    known: dict[str, Property] = {prop.name: prop for prop in kind.properties}
    if kind.kind != "object" or name not in known:
        hint = nearest(name, known) if known else "; it has no named properties"
        raise InvariantError(f'"{name}" in {written} is no property there{hint}')
    return known[name].type


_FAMILIES = {"integer": "numbers", "number": "numbers", "decimal": "numbers", "string": "text"}


def _family(expression: Expression) -> str:
    if isinstance(expression, Path):
        return _FAMILIES.get(expression.kind, f"{expression.kind}s")
    return "text" if isinstance(expression, Text) else "numbers"


# The files


def read_journey(name: str, file: str, found: Map, events: Mapping[str, EventPlan], problems: Problems) -> Journey:
    """One journey's file, its keywords checked for shape."""
    good = found.entries
    for word in ("key", "steps"):
        if word not in found.keys:
            problems.add(found.mark, f'the journey {name} has no "{word}"; add it')
    listed = good.get("steps")
    steps = _steps(listed, events, problems) if isinstance(listed, Seq) else ()
    taking = {step.event: events[step.event] for step in steps if step.event in events}
    invariants = good.get("invariants")
    # Of an event that has mistakes nobody knows the properties; an invariant over it is looked at once it has none.
    sound = len(taking) == len({step.event for step in steps}) and not any(problems.of(event) for event in taking)
    sound = sound and not problems.of_shared()
    for item in invariants.items if isinstance(invariants, Seq) and sound else ():
        try:
            parse_invariant(str(plain(item)), taking)
        except InvariantError as error:
            problems.add(item.mark, f"this invariant cannot be used: {error}")
    text = {word: str(plain(good[word])) for word in ("key", "description", "owner") if word in good}
    return Journey(name=name, steps=steps, invariants=strings(invariants), file=file, **{"key": ""} | text)


def _steps(listed: Seq, events: Mapping[str, EventPlan], problems: Problems) -> tuple[Step, ...]:
    if not 1 <= len(listed.items) <= STEPS_MAX:
        problems.add(
            listed.mark, f"a journey has from 1 to {STEPS_MAX} steps, this one {len(listed.items)}; correct it"
        )
    steps: list[Step] = []
    for place, item in enumerate(listed.items):
        if not isinstance(item, Map):
            problems.add(item.mark, "a step must be a mapping such as {event: purchase, within: 30m}")
            continue
        good = check_keywords(item, STEP, "a step", problems)
        if "event" not in item.entries:
            problems.add(item.mark, 'the step has no "event"; add one')
        if "event" not in good:
            continue
        event = str(plain(good["event"]))
        if event not in events and not problems.of(event):
            problems.add(good["event"].mark, f'"{event}" is not an event of the plan{nearest(event, events)}')
        if "within" in good and place == 0:
            problems.add(good["within"].mark, '"within" counts from the step before, and this is the first; remove it')
        where = good.get("where")
        if isinstance(where, Map) and event in events:
            _check_where(where, events[event], problems)
        times = plain(good["times"]) if "times" in good else None
        steps.append(
            Step(
                event=event,
                where={key: plain(value) for key, value in where.entries.items()} if isinstance(where, Map) else {},
                within_ms=_period_ms(str(plain(good["within"]))) if "within" in good else None,
                times=times if isinstance(times, int) else None,
            )
        )
    return tuple(steps)


def _check_where(where: Map, event: EventPlan, problems: Problems) -> None:
    kinds = {prop.name: prop.type for prop in event.properties}
    for name, value in where.entries.items():
        if name not in kinds:
            problems.add(where.keys[name], f'"{name}" is no property of {event.name}{nearest(name, kinds)}')
        elif found := complaints_of(kinds[name], plain(value)):
            problems.add(value.mark, f"no {event.name} that follows the plan has this value: {found[0]}")


def _period_ms(written: str) -> int:
    unit = written.lstrip("0123456789")
    return int(written.removesuffix(unit)) * _UNITS_MS[unit]
