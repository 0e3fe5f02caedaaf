"""What may be asked of the database by people, and where: one reading query, on the store process's socket."""

from __future__ import annotations

import re

from collector.store import FORMATS, Store, StoreError

SOCKET_NAME = "store.sock"  # in the data directory, see console.py

# Strings, quoted names and comments: a word inside them is no keyword.
_LITERAL = re.compile(r"'(?:\\.|''|[^'\\])*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_OWN_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*$", re.IGNORECASE)
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)


def answer(store: Store, sql: str, fmt: str) -> bytes:
    """Run one reading query and return its answer.

    Args:
        store: Opened read-only.
        sql: One statement; a FORMAT of its own wins over `fmt`.
        fmt: One of FORMATS.
    Raises:
        StoreError: with ClickHouse's own sentence, or saying what is not allowed.
    """
    if fmt not in FORMATS:
        raise StoreError(f"format {fmt!r} is not known; choose one of {', '.join(FORMATS)}", transient=False)
    sql = sql.strip().rstrip(";").strip()
    words = _LITERAL.sub(lambda found: " " if found[0].startswith(("--", "/*")) else "''", sql)
    if not words.strip():
        raise StoreError("there is no query; give one SELECT", transient=False)
    # The embedded engine writes files even in a read-only session.
    if _OUTFILE.search(words):
        raise StoreError(
            "INTO OUTFILE writes on the server; redirect the output of `footfall sql` instead", transient=False
        )
    return store.answer(sql, None if _OWN_FORMAT.search(words) else fmt)
