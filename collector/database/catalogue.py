"""The shipped views as their own files tell them: what each answers, what its columns mean, and how it is asked.

    sql/views/ROOM/NAME.sql --header--> View      sql/columns.json --types--> its columns
    View --commented--> what stands beside views and columns in the database itself

A column's meaning stands in its view's Definition; where that is silent, in what the view reads, down to the tables'
own comments; words that are the same everywhere stand here. Nothing here asks a database: the types were written down
by tests/sql/test_catalogue.py (--golden).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from collector.paths import SQL_DIR
from collector.plan.values import literal
from collector.plan.views import ENVELOPE

# In the order in which a newcomer meets them; a room that is not named here comes last.
ROOMS = (
    *("events", "sessions", "journeys", "funnels", "retention", "attribution", "people", "goals", "behaviour"),
    "quality",
)
PARTS = ("Question", "Parameters", "Grain", "Reads", "Definition", "Exact", "Time", "Cost", "Test")
COLUMNS_FILE = "columns.json"

_PART = re.compile(rf"^({'|'.join(PARTS)}) +(?=\S)")
_INDENT = 12  # of a part's text, after the comment's `-- `
_PLACEHOLDER = re.compile(r"\{(\w+):([^{}]+)\}")
_COMMENT_LINE = re.compile(r"^\s*--.*\n?", re.MULTILINE)
# `name  What it is.` or `one, other  What they are.`
_ENTRY = re.compile(r"^( *)(\w+(?:, \w+)*) {2,}(\S.*)$")
# `name: …`, `name is …`, `one, two and three are …`, at the start of a sentence.
_SUBJECT = re.compile(r"(?:^|(?<=[.;:] ))(\w+)(?:, (\w+))?(?: and (\w+))?(: | is | are )")
_TABLE_COLUMN = re.compile(
    r"^\s+(?:ADD COLUMN IF NOT EXISTS )?(\w+)\s[^\n]*?(?:\n\s+)?COMMENT '((?:[^']|'')*)'", re.MULTILINE
)
# What a parameter is in an example that no header gives: by its name, else by its type.
_VALUES = {
    "source_id": "'shop'",
    "since": "'2026-11-01'",
    "until": "'2026-12-01'",
    "time_zone": "'UTC'",
    "counted_by": "'visitor'",
    "steps": "['page_view', 'purchase']",
    "window_s": "604800",
    "kind": "'ordered'",
    "period": "'week'",
    "touch": "'channel'",
    "goal": "'purchase'",
}

# Columns that mean the same wherever they stand, and that no header explains.
_WORDS = {name: says for name, _, says in ENVELOPE} | {
    "query": "Query string of the page address.",
    "title": "Title of the page.",
    "referrer": "Address of the page that led here.",
    "utm_term": "Of the page address.",
    "utm_content": "Of the page address.",
    "click_id": "The advertising click id of the page address.",
    "browser_version": "Version of the browser.",
    "os_version": "Version of the operating system.",
    "time_zone": "Of the browser.",
    "bot_reason": "Why it is flagged as a bot's.",
    "property": "The properties by name: texts as they are, all else as JSON.",
    "session_number": "1 for the visitor's first session.",
    "session_id": "Names the source, the visitor and the session's start.",
    "started_at": "event_time of the session's first event.",
    "ended_at": "event_time of the session's last event.",
    "duration_ms": "Milliseconds from the first event to the last.",
    "events": "How many events.",
    "pageviews": "How many page views.",
    "first_seen_at": "event_time of the first event.",
    "last_seen_at": "event_time of the last event.",
}


class Parameter(Struct, frozen=True):
    """What a view is asked with."""

    name: str
    type: str


class Column(Struct, frozen=True):
    """One column of a view as it ships; `says` is empty where nothing explains it."""

    name: str
    type: str
    says: str


class View(Struct, frozen=True):
    """One shipped view. `parts` are those of its header by name, as lines of text; `example` is one SELECT."""

    name: str
    room: str
    title: str
    parts: dict[str, str]
    parameters: tuple[Parameter, ...]
    reads: tuple[str, ...]
    columns: tuple[Column, ...]
    example: str

    @property
    def question(self) -> str:
        """What it answers, on one line."""
        return _one_line(self.parts.get("Question", ""))

    @property
    def call(self) -> str:
        """The view as it stands after FROM in its example: with its parameters' values, if it has any."""
        return _call_in(self.example, self.name) or self.name


def catalogue(sql_dir: Path = SQL_DIR) -> dict[str, View]:
    """All views, by room and then by name."""
    return dict(_catalogue(sql_dir))


@cache
def _catalogue(sql_dir: Path) -> Mapping[str, View]:
    types = _types(sql_dir)
    drafts = [_read(path, types.get(path.stem, {})) for path in (sql_dir / "views").glob("**/*.sql")]
    known = {view.name: view for view in drafts}
    tables = _table_comments(sql_dir)
    found = [
        msgspec.structs.replace(
            view,
            columns=tuple(
                msgspec.structs.replace(column, says=_says(column.name, view, known, tables)) for column in view.columns
            ),
        )
        for view in known.values()
    ]
    return {view.name: view for view in sorted(found, key=lambda view: (_place(view.room), view.name))}


def commented(text: str, view: View) -> str:
    """A view's file, so that the database itself says what the view and its columns mean.

    All in the one CREATE: an ALTER after it would meet the view of another collector that starts at the same moment. A
    view with parameters has no columns in the database.
    """
    if not view.title:
        return text
    about = literal(f"{_sentence(view.title)} {view.question}".strip())
    columns = ",\n".join(f"    `{one.name}` {one.type} COMMENT {literal(one.says)}" for one in view.columns)
    listed = f"\n(\n{columns}\n)\n" if columns and not view.parameters else " "
    return re.sub(
        rf"^(CREATE OR REPLACE VIEW \{{database\}}\.{view.name}) AS$",
        lambda found: f"{found[1]}{listed}COMMENT {about} AS",
        text,
        count=1,
        flags=re.MULTILINE,
    )


def checksum_of(sql_dir: Path) -> str:
    """Of all tables and views, without what is said of them: whether what is written down of their columns holds."""
    files = sorted(sql_dir.rglob("*.sql"), key=lambda path: path.name)
    code = [f"{path.name}\0{_COMMENT_LINE.sub('', path.read_text(encoding='utf-8'))}" for path in files]
    return sha256("\0".join(code).encode()).hexdigest()


# Reading a file


def _read(path: Path, types: Mapping[str, str]) -> View:
    text = path.read_text(encoding="utf-8")
    title, parts = _header(text, path.stem)
    about = parts.get("Parameters", "")
    found = dict(_PLACEHOLDER.findall(text))
    parameters = tuple(Parameter(name, found[name]) for name in sorted(found, key=lambda name: _position(name, about)))
    reads = tuple(re.findall(r"\w+", parts.get("Reads", "")))
    columns = tuple(Column(name, kind, "") for name, kind in types.items())
    example = _example_in(about) or _plain_example(path.stem, parameters, types)
    return View(path.stem, path.parent.name, title, parts, parameters, reads, columns, example)


def _position(name: str, text: str) -> int:
    found = re.search(rf"\b{name}\b", text)
    return found.start() if found else len(text)


def _header(text: str, name: str) -> tuple[str, dict[str, str]]:
    """The first sentence of a file's header, and its parts, each without its indentation."""
    title: list[str] = []
    parts: dict[str, list[str]] = {}
    current = title
    for raw in text.splitlines():
        if not raw.startswith("--"):
            break
        line = raw.removeprefix("--").removeprefix(" ").rstrip()
        started = _PART.match(line)
        if started is not None:
            current = parts.setdefault(started[1], [])
            current.append(line[started.end() :])
        elif line:
            current.append(line[_INDENT:] if current is not title and not line[:_INDENT].strip() else line)
    first, colon, said = _one_line(" ".join(title)).partition(":")
    if not colon or first != name:
        said = ""
    return said.strip(), {part: "\n".join(lines) for part, lines in parts.items()}


def _example_in(parameters: str) -> str:
    """The first SELECT that stands among the parameters, indented, as it would be typed."""
    lines = parameters.splitlines()
    for start, line in enumerate(lines):
        if line.lstrip().startswith("SELECT "):
            indent = len(line) - len(line.lstrip())
            rest = lines[start + 1 :]
            end = next((i for i, later in enumerate(rest) if len(later) - len(later.lstrip()) <= indent), len(rest))
            return "\n".join(later[indent:] for later in [line, *rest[:end]])
    return ""


def _plain_example(name: str, parameters: tuple[Parameter, ...], types: Mapping[str, str]) -> str:
    if parameters:
        return f"SELECT * FROM {name}({', '.join(f'{one.name} = {_value(one)}' for one in parameters)})"
    where = " WHERE source_id = 'shop'" if "source_id" in types else ""
    return f"SELECT * FROM {name}{where} LIMIT 10"


def _value(parameter: Parameter) -> str:
    by_type = {"String": "''", "Array": "[]", "Date": "'2026-12-01'"}
    kind = re.match(r"String|Array|Date", parameter.type)
    return _VALUES.get(parameter.name) or (by_type[kind[0]] if kind else "1")


def _call_in(sql: str, name: str) -> str:
    """`name(…)` in a statement, up to the bracket that closes it; empty when it is not called."""
    found = re.search(rf"\b{name}\s*\(", sql)
    if found is None:
        return ""
    depth, quoted = 0, False
    for position in range(found.end() - 1, len(sql)):
        char = sql[position]
        quoted ^= char == "'"
        if not quoted:
            depth += (char == "(") - (char == ")")
        if depth == 0:
            return sql[found.start() : position + 1]
    return ""


class _Written(Struct, frozen=True):
    """What stands in COLUMNS_FILE: each view's columns and their types, and the checksum of the files they are of."""

    columns: dict[str, dict[str, str]]
    checksum: str


def _types(sql_dir: Path) -> dict[str, dict[str, str]]:
    path = sql_dir / COLUMNS_FILE
    if not path.is_file():
        return {}
    written = msgspec.json.decode(path.read_bytes(), type=_Written)
    return written.columns if written.checksum == checksum_of(sql_dir) else {}


# What a column means


def _says(column: str, view: View, known: Mapping[str, View], tables: Mapping[str, Mapping[str, str]]) -> str:
    """What a view says of its column, or else what it reads does."""
    said = _defined(view).get(column)
    if said:
        return said
    for name in view.reads:
        if name in known and any(one.name == column for one in known[name].columns):
            said = _says(column, known[name], known, tables)
        elif name in tables:
            said = tables[name].get(column)
        if said:
            return said
    return _WORDS.get(column, "")


@cache
def _definitions(text: str, columns: frozenset[str]) -> dict[str, str]:
    """The columns that a Definition explains: in a list of names, or in a sentence that begins with the name."""
    said: dict[str, str] = {}
    for names, prose in _entries(text, columns):
        own, others = _sentences(prose, columns)
        said |= {name: _sentence(own) for name in names if own}
        for name, sentence in others.items():
            said.setdefault(name, _sentence(sentence))
    return said


def _defined(view: View) -> dict[str, str]:
    return _definitions(view.parts.get("Definition", ""), frozenset(column.name for column in view.columns))


def _entries(text: str, columns: frozenset[str]) -> Iterator[tuple[list[str], str]]:
    """Each entry of a list with its names and its text on one line; what is none comes without names."""
    names: list[str] = []
    prose: list[str] = []
    indent = -1
    for line in text.splitlines():
        entry = _ENTRY.match(line)
        if entry is not None and set(entry[2].split(", ")) <= columns:
            yield names, _one_line("\n".join(prose))
            names, prose, indent = entry[2].split(", "), [entry[3]], len(entry[1])
        elif names and len(line) - len(line.lstrip()) <= indent:
            yield names, _one_line("\n".join(prose))
            names, prose, indent = [], [line], -1
        else:
            prose.append(line)
    yield names, _one_line("\n".join(prose))


def _sentences(prose: str, columns: frozenset[str]) -> tuple[str, dict[str, str]]:
    """What a text says of its own subject, and the sentences in it that begin with a column: `name: …`, `name is …`."""
    others: dict[str, str] = {}
    own = len(prose)
    for found in _SUBJECT.finditer(prose):
        if not {name for name in found.groups()[:3] if name} <= columns:
            continue
        own = min(own, found.start())
        start = found.end() if found[4] == ": " else found.start()
        end = prose.find(". ", start)
        sentence = prose[start : end if end >= 0 else len(prose)]
        others |= {name: sentence for name in found.groups()[:3] if name}
    return prose[:own].strip(), others


def _table_comments(sql_dir: Path) -> dict[str, dict[str, str]]:
    """The comments of the tables' columns, as their files have them."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((sql_dir / "tables").glob("*.sql")):
        for statement in path.read_text(encoding="utf-8").split("{database}.")[1:]:
            name = re.match(r"\w+", statement)
            if name is not None:
                comments = {column: said.replace("''", "'") for column, said in _TABLE_COLUMN.findall(statement)}
                found.setdefault(name[0], {}).update(comments)
    return found


def _place(room: str) -> tuple[int, str]:
    return (ROOMS.index(room) if room in ROOMS else len(ROOMS), room)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    text = text.strip().rstrip(",;")
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."
