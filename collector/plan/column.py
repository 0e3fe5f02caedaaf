"""Column types of typed views: which ClickHouse type may hold values of which plan type.

A type ends up in the text of a CREATE VIEW, so it is read here to its last bracket and only known names pass.
"""

from __future__ import annotations

import re

from collector.plan.model import Type

_SIGNED = re.compile(r"(U?)Int(8|16|32|64|128|256)")
_NAMES: dict[str, tuple[str, ...]] = {
    "string": ("String", "FixedString", "UUID", "IPv4", "IPv6"),
    "number": ("Float32", "Float64", "Decimal"),
    "decimal": ("Decimal", "Float64"),
    "boolean": ("Bool", "UInt8"),
    "date": ("Date", "Date32"),
    "datetime": ("DateTime", "DateTime64"),
    "union": ("String",),
    "array": ("String",),
    "object": ("String",),
    "map": ("String",),
    "any": ("String",),
}
_ARGUMENTS: dict[str, re.Pattern[str]] = {
    "FixedString": re.compile(r"[1-9][0-9]{0,3}"),
    "Decimal": re.compile(r"[1-9][0-9]?, ?[0-9]{1,2}"),
    "DateTime": re.compile(r"('[A-Za-z_/+\-0-9]{1,40}')?"),
    "DateTime64": re.compile(r"[0-9](, ?'[A-Za-z_/+\-0-9]{1,40}')?"),
}
_WRAPPED = re.compile(r"(Nullable|LowCardinality|Array)\((.*)\)")
_CALL = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\(([^()]*)\))?")


def column_complaint(written: str, kind: Type) -> str:
    """What is wrong with a column's type for values of a plan type, as the end of a sentence; nothing when it fits."""
    inner, wrapper = written.strip(), None
    if (found := _WRAPPED.fullmatch(inner)) is not None and found[1] == "Array":
        if kind.kind != "array" or kind.items is None:
            return f"{written} holds lists, and it is of type {kind.kind}"
        return column_complaint(found[2], kind.items)
    while (found := _WRAPPED.fullmatch(inner)) is not None and found[1] != wrapper:
        wrapper, inner = found[1], found[2].strip()
    called = _CALL.fullmatch(inner)
    if called is None:
        return f"{written} is not a ClickHouse type that a view can be given"
    name, arguments = called[1], called[2]
    if (whole := _SIGNED.fullmatch(name)) is not None and arguments is None and kind.kind == "integer":
        return _too_narrow(whole, kind)
    allowed = _NAMES.get(kind.kind, ())
    if name not in allowed:
        known = ", ".join(allowed) or "Int8 to Int256 and UInt8 to UInt256"
        return f"{written} does not hold values of type {kind.kind}; use {known}, also in Nullable or LowCardinality"
    form = _ARGUMENTS.get(name)
    fits = arguments is None if form is None else form.fullmatch(arguments or "") is not None
    return "" if fits else f"{written} is not how ClickHouse writes {name}; see what its manual has in brackets"


def _too_narrow(whole: re.Match[str], kind: Type) -> str:
    """Integers outside a column's range would wrap around without a word."""
    bits = int(whole[2])
    low, high = (0, 2**bits - 1) if whole[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if kind.enum is not None:
        least, most = min(map(int, kind.enum)), max(map(int, kind.enum))
    else:
        above, below = kind.exclusive_minimum, kind.exclusive_maximum
        least = int(kind.minimum if kind.minimum is not None else above + 1 if above is not None else -(2**63))
        most = int(kind.maximum if kind.maximum is not None else below - 1 if below is not None else 2**63 - 1)
    if low <= least and most <= high:
        return ""
    return f"{whole[0]} holds {low} to {high}, and its values are {least} to {most}; state bounds or a wider column"
