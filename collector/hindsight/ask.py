"""Questions to the database: one SELECT in, rows out. Who answers is not this package's concern."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

# One SELECT with a FORMAT of its own, to the bytes of its answer.
Ask = Callable[[str], bytes]

# Bytes of literals in one query: ClickHouse's own max_query_size is 256 KB.
LITERALS_BYTES_MAX = 128 * 1024

Row = TypeVar("Row")


class HindsightError(Exception):
    """It cannot be said or done; the text is one sentence."""


def rows(ask: Ask, sql: str, kind: type[Row]) -> list[Row]:
    """The rows of a SELECT.

    Args:
        ask: Answers it.
        sql: Without SETTINGS and FORMAT. Times must be asked for as numbers.
        kind: What one row is: a tuple type, or a Struct that is array_like.
    """
    text = f"{sql}\nSETTINGS output_format_json_quote_64bit_integers = 0 FORMAT JSONCompactEachRow"
    found: list[Row] = _decoder(kind).decode_lines(ask(text))  # type: ignore[arg-type]  # tuple[int, str] is hashable
    return found


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def text_columns(ask: Ask, sql: str) -> list[bytes]:
    """The one row of a SELECT of String columns, byte for byte: nothing is escaped and nothing has to be unescaped."""
    data = ask(f"{sql}\nFORMAT RowBinary")
    found: list[bytes] = []
    position = 0
    while position < len(data):
        size = shift = 0
        while True:  # LEB128, as the format has the length of a String
            byte = data[position]
            position += 1
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        found.append(data[position : position + size])
        position += size
    return found


def in_parts(lists: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """Lists of literals, in parts of which each fits into one query."""
    part: list[Sequence[str]] = []
    size = 0
    for one in lists:
        needed = sum(len(text.encode()) for text in one)
        if part and size + needed > LITERALS_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(one)
        size += needed
    if part:
        yield part


def since(from_ms: int) -> str:
    """The condition for rows that were received from a moment on."""
    return f"received_at >= fromUnixTimestamp64Milli({from_ms})"
