"""What may be asked of the database by people, and where: one reading query, on the store process's socket.

    text --the database's own parser--> the same, spelled in one way --looked through--> read-only lane --> answer

A read-only session alone is not enough: it changes no data, but `file()`, `url()` and their like read files and reach
other machines from it, and the embedded engine takes a path for the name of a table. Whoever may ask questions, such as
a dashboard, must not read the server's disk. The text is not taken apart here: ClickHouse's formatQuery spells it anew,
without comments and with one kind of quotes, so that what is looked through is what will be run.
"""

from __future__ import annotations

import re

from collector.database.store import FORMATS, Store, StoreError
from collector.plan.values import literal

SOCKET_NAME = "store.sock"  # in the data directory, see console.py

# Strings, quoted names and comments: a word inside them is no keyword.
_LITERAL = re.compile(r"'(?:\\.|''|[^'\\])*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_OWN_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*$", re.IGNORECASE)
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_READING = re.compile(r"^\(*\s*(?:SELECT|WITH|EXPLAIN|SHOW|DESCRIBE|EXISTS)\b", re.IGNORECASE)
# As formatQuery spells it: texts, then what is called, or the database `default` before a table.
_TEXT = re.compile(r"'(?:\\.|[^'\\])*'", re.DOTALL)
_CALLED = re.compile(r"(?:`((?:\\.|[^`\\])+)`|\b([A-Za-z_]\w*))\s*\(")
_DEFAULT = re.compile(r"(?:`default`|\bdefault)\s*\.\s*(`(?:\\.|[^`\\])+`|\w+)")

# Functions that give rows, and take them from nowhere but the question and this database.
_TABLES_ALLOWED = frozenset(
    ("numbers", "numbers_mt", "zeros", "zeros_mt", "values", "sqlstandardvalues", "view", "viewexplain",
     "viewifpermitted", "generateseries", "generate_series", "generaterandom", "null", "format", "primes",
     "arrowstream")
)  # fmt: skip
# Functions that give a value, and take it from outside, or tell of the machine.
_VALUES_REFUSED = frozenset(
    ("file", "catboostevaluate", "evalmlmethod", "getclienthttpheader", "addresstoline", "addresstosymbol",
     "addresstolinewithinlines", "demangle", "sleep", "sleepeachrow")
)  # fmt: skip
_VALUES_REFUSED_AS = re.compile(r"^ai(?:classify|embed|extract|filter|generate\w*|redact|similarity|translate|agg\w*)$")


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
    if not _plain(sql).strip():
        raise StoreError("there is no query; give one SELECT", transient=False)
    _check(store, sql)
    return store.answer(sql, None if has_own_format(sql) else fmt)


def has_own_format(sql: str) -> bool:
    """Does a query say itself how it is to be answered?"""
    return bool(_OWN_FORMAT.search(_plain(sql.strip().rstrip(";").strip())))


def _plain(sql: str) -> str:
    """A query without comments, and with nothing in its texts and quoted names."""
    return _LITERAL.sub(lambda found: " " if found[0].startswith(("--", "/*")) else "''", sql)


def _check(store: Store, sql: str) -> None:
    """Refuse what does not only read this database. Raises StoreError, for what is no query at all too."""
    try:
        ((spelled,),) = store.rows(f"SELECT formatQuerySingleLine({literal(sql)})")
    except StoreError as error:
        raise StoreError(str(error).partition(": In scope SELECT formatQuery")[0], transient=error.transient) from error
    said = _TEXT.sub("''", str(spelled))
    if not _READING.search(said):
        raise StoreError(
            "questions only read (readonly): begin with SELECT, WITH, EXPLAIN, SHOW, DESCRIBE or EXISTS; "
            "change data with ClickHouse's own client",
            transient=False,
        )
    # The embedded engine writes files even in a read-only session.
    if _OUTFILE.search(said):
        raise StoreError(
            "INTO OUTFILE writes on the server; redirect the output of `footfall sql` instead", transient=False
        )
    if (path := _DEFAULT.search(said)) and (store.embedded or path[1].startswith("`")):
        raise StoreError(
            f"{path[1]} of the database `default` may be a file; ask the project's tables", transient=False
        )
    for quoted, plain in _CALLED.findall(said):
        name = (quoted or plain).lower()
        if name in _VALUES_REFUSED or _VALUES_REFUSED_AS.match(name) or name in _outside(store):
            raise StoreError(
                f"{quoted or plain}() reaches outside of the database, and questions may not; "
                "load what it reads into a table of the project's database first",
                transient=False,
            )


def _outside(store: Store) -> frozenset[str]:
    """Functions of this engine that give rows from elsewhere, in lower case."""
    global _known_outside  # noqa: PLW0603 - the same for every store of a process, and asked once
    if _known_outside is None:
        rows = store.rows("SELECT lower(name) FROM system.table_functions")
        _known_outside = frozenset(str(name) for (name,) in rows) - _TABLES_ALLOWED
    return _known_outside


_known_outside: frozenset[str] | None = None
