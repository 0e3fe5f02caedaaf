"""CSV that a spreadsheet shows and does not run: a text that begins like a formula gets a ' in front.

Visitors choose what stands in an event, and `=HYPERLINK(…)` in a cell is run by whoever opens the file (OWASP: CSV
injection). Numbers are left as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

# Some programs skip blanks, tabs and ends of lines, and then see the next character first; some take the full-width
# signs (U+FF0B, U+FF0D, U+FF1D, U+FF20) for the narrow ones.
_FORMULA = re.compile(r" *[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]")
# The beginning of a quoted cell. Within one a quote is always doubled, so this stands nowhere else.
_CELL = re.compile(rb'(^|,|\n)"(?= *(?:[=+\-@\t\r\n]|\xef\xbc[\x8b\x8d\x9d\xa0]))')


def harmless(value: object) -> object:
    """A cell's value; a text that begins like a formula with a ' in front of it."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def harmless_csv(content: bytes) -> bytes:
    """The same for CSV as ClickHouse writes it: all texts quoted, numbers not."""
    return _CELL.sub(rb"""\1"'""", content)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV (RFC 4180), harmless."""
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\r\n").writerows([harmless(value) for value in row] for row in rows)
    return sink.getvalue()
