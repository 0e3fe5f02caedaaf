"""How a value of an event's JSON becomes a value of a ClickHouse type: SQL text for each kind of the plan.

    text of the value --(JSONExtract, for lists and objects)--> raw value --convert--> value of `final`

What does not convert becomes NULL, and in an array or a map NULL at its place; nothing here may raise an error, for it
would end the query over one bad event. So scalars are read from their text: JSONExtract itself cuts 5.5 to 5 for an
Int64, and throws for a Decimal that is too large (code 407). Objects, arrays and maps cannot be NULL; they are empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, structs

from collector.plan.model import Column, Property, Type

Sql = Callable[[str], str]

_TEXT = "Nullable(String)"
_COMPOUND = ("Array(", "Map(", "Tuple(")
# Decimal(38) is the widest of 128 bits, Decimal(76) of 256.
_DIGITS_128, _DIGITS_256 = 38, 76
# Places read beyond those that are kept, so that what is rounded half to even is what was sent.
_MORE_PLACES = 10
_WRAPPED = re.compile(r"(Nullable|LowCardinality)\((.*)\)")
_CALL = re.compile(r"(\w+)(?:\((.*)\))?")


class Form(Struct, frozen=True):
    """The types of one value: as it is taken from JSON, and as it is in its column. No `convert`: both are the same.

    `raw` is Nullable(String) for scalars, a compound type for all else.
    """

    raw: str
    final: str
    convert: Sql | None = None

    def converted(self, value: str) -> str:
        """The SQL of the final value, given that of the raw one."""
        return value if self.convert is None else self.convert(value)

    def from_text(self, text: str) -> str:
        """The SQL of the final value, given that of its text: a text as it is, anything else as JSON; NULL for none."""
        if self.raw.startswith(_COMPOUND):
            return self.converted(f"JSONExtract(ifNull({text}, ''), {literal(self.raw)})")
        return self.converted(text)


def form_of(kind: Type, depth: int = 0) -> Form:
    """The form of values of a type of the plan. `depth` counts the lambdas around it, which need names of their own."""
    written = "" if kind.column is None else kind.column.type.strip()
    if kind.kind == "array":
        return _array(kind, written, depth)
    if kind.kind == "object" and not written:
        return _object(kind.properties, depth)
    if kind.kind == "map" and not written:
        return _map(kind.values or Type(kind="any"), depth)
    if kind.kind in _SCALARS:
        inner, cardinality = _unwrapped(written)
        form = _SCALARS[kind.kind](kind, inner)
        return _low_cardinality(form) if cardinality else form
    return _text(written)  # a union of scalars, or whatever JSON holds


def named_tuple(fields: Iterable[tuple[str, str]]) -> str:
    """The type of a Tuple with names."""
    return f"Tuple({', '.join(f'{quoted(name)} {kind}' for name, kind in fields)})"


def quoted(name: str) -> str:
    """A name as ClickHouse takes any name."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """A text as ClickHouse writes it. A NUL would end the statement for the embedded engine."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


def _unwrapped(written: str) -> tuple[str, bool]:
    """A column's type without Nullable and LowCardinality, and whether the latter was there."""
    cardinality = False
    while (found := _WRAPPED.fullmatch(written)) is not None:
        cardinality = cardinality or found[1] == "LowCardinality"
        written = found[2].strip()
    return written, cardinality


def _low_cardinality(form: Form) -> Form:
    """The same in a dictionary, where ClickHouse allows one without a setting: numbers and days are short already."""
    if "String" not in form.final:
        return form
    final = f"LowCardinality({form.final})"
    return Form(final if form.convert is None else form.raw, final, form.convert)


def _as(form: Form, wanted: str) -> Form:
    """A form whose values are cast to another type where they fit it exactly."""
    final = f"Nullable({wanted})"
    if final == form.final:
        return form
    return Form(form.raw, final, lambda value: f"accurateCastOrNull({form.converted(value)}, {literal(wanted)})")


def _text(written: str) -> Form:
    """A value as text; one that is no text as JSON."""
    inner, cardinality = _unwrapped(written)
    form = _as(Form(_TEXT, _TEXT), inner or "String")
    return _low_cardinality(form) if cardinality else form


def _string(_: Type, wanted: str) -> Form:
    return _as(Form(_TEXT, _TEXT), wanted or "String")


def _integer(_: Type, wanted: str) -> Form:
    # 5.0 and 1e3 are whole numbers, 5.5 is none.
    def convert(value: str) -> str:
        return f"ifNull(toInt64OrNull({value}), accurateCastOrNull(toFloat64OrNull({value}), 'Int64'))"

    return _as(Form(_TEXT, "Nullable(Int64)", convert), wanted or "Int64")


def _number(_: Type, wanted: str) -> Form:
    name, digits = _call(wanted)
    if name == "Decimal":
        return _of_digits(*digits)
    return _float("Float32" if name == "Float32" else "Float64")


def _decimal(kind: Type, wanted: str) -> Form:
    name, digits = _call(wanted)
    if name == "Float64":
        return _float("Float64")
    return _of_digits(*(digits or (kind.precision, kind.scale)))


def _float(final: str) -> Form:
    # The texts nan and inf are read as numbers, which JSON does not have.
    def convert(value: str) -> str:
        return f"if(isFinite(to{final}OrNull({value})), to{final}OrNull({value}), NULL)"

    return Form(_TEXT, f"Nullable({final})", convert)


def _call(written: str) -> tuple[str, tuple[int, ...]]:
    """`Decimal(18, 4)` in its parts."""
    found = _CALL.fullmatch(written)
    if found is None:
        return "", ()
    return found[1], tuple(int(part) for part in found[2].split(",")) if found[2] else ()


def _of_digits(precision: int, scale: int) -> Form:
    wide = precision + _MORE_PLACES > _DIGITS_128
    digits = _DIGITS_256 if wide else _DIGITS_128
    places = min(scale + _MORE_PLACES, digits - (precision - scale))
    read, final = f"toDecimal{256 if wide else 128}OrNull", f"Decimal({precision}, {scale})"

    def convert(value: str) -> str:
        return f"accurateCastOrNull(roundBankers({read}({value}, {places}), {scale}), '{final}')"

    return Form(_TEXT, f"Nullable({final})", convert)


def _boolean(_: Type, wanted: str) -> Form:
    one, zero, final = ("1", "0", "UInt8") if wanted == "UInt8" else ("true", "false", "Bool")
    return Form(
        _TEXT,
        f"Nullable({final})",
        lambda value: f"multiIf({value} = 'true', {one}, {value} = 'false', {zero}, NULL)",
    )


def _date(_: Type, wanted: str) -> Form:
    # ClickHouse reads 2026-02-31 as 3 March, and what is before a type's first day as that day.
    final = wanted or "Date32"

    def convert(value: str) -> str:
        day = f"to{final}OrNull({value})"
        return f"if(toString({day}) = {value}, {day}, NULL)"

    return Form(_TEXT, f"Nullable({final})", convert)


def _datetime(_: Type, wanted: str) -> Form:
    found = _CALL.fullmatch(wanted or "DateTime64(3, 'UTC')")
    name, arguments = (found[1], (found[2] or "").replace(" ", "")) if found else ("DateTime64", "3")
    digits, _comma, zone = ("", "", arguments) if name == "DateTime" else arguments.partition(",")
    zone = zone or "'UTC'"
    first, last = (1970, 2105) if name == "DateTime" else (1900, 2299)
    settled = ", ".join(part for part in (digits, zone) if part)
    read = "parseDateTimeBestEffortOrNull" if name == "DateTime" else "parseDateTime64BestEffortOrNull"

    def convert(value: str) -> str:
        # Best effort takes 12 for a day of January, and some versions what is outside the type's years for its first.
        is_time = f"substring({value}, 1, 4) BETWEEN '{first}' AND '{last}' AND substring({value}, 5, 1) = '-'"
        return f"if({is_time}, {read}({value}, {settled}), NULL)"

    return Form(_TEXT, f"Nullable({name}({settled}))", convert)


def _array(kind: Type, written: str, depth: int) -> Form:
    items = kind.items or Type(kind="any")
    if written.startswith("Array("):
        inner = written.removeprefix("Array(").removesuffix(")")
        items = _with_column(items, inner)
    elif written:
        return _text(written)
    form = form_of(items, depth + 1)
    final = f"Array({form.final})"
    if form.convert is None:
        return Form(f"Array({form.raw})", final)
    name = f"x{depth}"
    return Form(f"Array({form.raw})", final, lambda value: f"arrayMap({name} -> {form.converted(name)}, {value})")


def _with_column(kind: Type, written: str) -> Type:
    return structs.replace(kind, column=Column(type=written))


def _map(values: Type, depth: int) -> Form:
    form = form_of(values, depth + 1)
    final = f"Map(String, {form.final})"
    if form.convert is None:
        return Form(f"Map(String, {form.raw})", final)
    key, name = f"k{depth}", f"x{depth}"

    def convert(value: str) -> str:
        return f"mapApply(({key}, {name}) -> ({key}, {form.converted(name)}), {value})"

    return Form(f"Map(String, {form.raw})", final, convert)


def _object(properties: tuple[Property, ...], depth: int) -> Form:
    forms = [(prop, form_of(prop.type, depth)) for prop in properties]
    raws = [(name, form.raw) for prop, form in forms for name in (prop.name, *prop.aliases)]
    final = named_tuple((prop.name, form.final) for prop, form in forms)
    if not any(prop.aliases or form.convert for prop, form in forms):
        return Form(named_tuple(raws), final)
    places = {name: place for place, (name, _) in enumerate(raws, start=1)}

    def convert(value: str) -> str:
        parts = []
        for prop, form in forms:
            names = [f"{value}.{places[name]}" for name in (prop.name, *prop.aliases)]
            parts.append(form.converted(_first_of(form, names)))
        return f"tuple({', '.join(parts)})"

    return Form(named_tuple(raws), final, convert)


def _first_of(form: Form, values: Sequence[str]) -> str:
    """The first of several raw values that is there: under a property's own name, then under its older ones."""
    chosen = values[-1]
    for value in reversed(values[:-1]):
        if form.raw.startswith(("Array(", "Map(")):
            chosen = f"if(empty({value}), {chosen}, {value})"
        elif form.raw.startswith("Tuple("):
            # There is no empty Tuple: one without anything in it is as its type's default.
            bare = f"toString(defaultValueOfArgumentType({value}))"
            chosen = f"if(toString({value}) = {bare}, {chosen}, {value})"
        else:
            chosen = f"ifNull({value}, {chosen})"
    return chosen


_SCALARS: dict[str, Callable[[Type, str], Form]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
}
