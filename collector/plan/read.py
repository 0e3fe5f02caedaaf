"""YAML text to values that know where they stand.

Scalars follow the YAML 1.2 core schema, whatever the file claims. What YAML 1.1 reads otherwise is refused and named
with both readings: to an editor, a formatter or a script with an older library `no` is false, `012` is 10 and `12:30`
is 750, the classic way in which a plan says what nobody wrote. Quotes settle it. Dates are text here and may stand
without quotes, as `until: 2027-03-31` does. Anchors, merge keys and tags are refused: what is shared belongs in
types.yaml or groups/, where a reviewer sees its name.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from collector.plan.problems import Mark, Problems

# An event's file is about 1 KB and takes 10 ms to read; a file of this size was not written by hand.
FILE_MAX_BYTES = 262_144

# Levels of a file that cannot be read for its depth, of which the last is shown. An object in an object takes two.
LEVELS_MAX = 100

Scalar: TypeAlias = str | int | float | bool | None

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}")
_BASED = re.compile(r"0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

# What YAML 1.1 makes of a plain scalar, and what 1.2 makes of it. `y` and `n`, which its text lists too, no tool reads
# as booleans; and x and y are good names for places on a page.
_TRAPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"yes|Yes|YES|on|On|ON"), "true to YAML 1.1 and text to YAML 1.2"),
    (re.compile(r"no|No|NO|off|Off|OFF"), "false to YAML 1.1 and text to YAML 1.2"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_.]*"), "a number to YAML 1.1 and text to YAML 1.2"),
    (re.compile(r"[-+]?0[0-7]+"), "{octal} to YAML 1.1 and {decimal} to YAML 1.2"),
    (re.compile(r"[-+]?0[0-9]+"), "text to YAML 1.1 and {decimal} to YAML 1.2"),
    (re.compile(r"0o[0-7]+"), "text to YAML 1.1 and a number to YAML 1.2"),
    (re.compile(r"[-+]?0b[01_]+"), "a number to YAML 1.1 and text to YAML 1.2"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "{sixties} to YAML 1.1 and text to YAML 1.2"),
    (
        re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?[0-9]*\.[0-9]*[eE][0-9]+"),
        "text to YAML 1.1 and a number to YAML 1.2",
    ),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), "a number that JSON does not have"),
)
# Events hold integers of 64 bits. A longer one would be rounded by some reader on its way.
_INTEGER_BITS = 64


class Leaf(Struct, frozen=True):
    """One scalar."""

    value: Scalar
    mark: Mark


class Seq(Struct, frozen=True):
    """One list."""

    items: tuple[Value, ...]
    mark: Mark


class Map(Struct, frozen=True):
    """One mapping, in the order of the file; `keys` says where each key stands."""

    entries: dict[str, Value]
    keys: dict[str, Mark]
    mark: Mark


Value: TypeAlias = Leaf | Seq | Map


def read_file(path: Path, problems: Problems) -> Map | None:
    """Read one plan file, which must hold a mapping; None when it does not, which is then among the problems."""
    found = _read(path, problems)
    if found is None:
        problems.lose(path.stem)
    return found


def _read(path: Path, problems: Problems) -> Map | None:
    start = Mark(str(path), 1, 1)
    try:
        data = content_of(path)
    except OSError as error:
        problems.add(start, f"the file cannot be read ({error.strerror}); {_ADVICE.get(error.errno or 0, _ACCESS)}")
        return None
    if len(data) > FILE_MAX_BYTES:
        problems.add(start, f"the file has {path.stat().st_size:,} bytes, the limit is {FILE_MAX_BYTES:,}; split it")
        return None
    try:
        node = YAML(typ="safe", pure=True).compose(data.decode("utf-8"))
        value = None if node is None else _value(node, str(path), problems)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.add(Mark(str(path), line, 1), "the file is not UTF-8 here; save it as UTF-8")
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(str(path), at.line + 1, at.column + 1) if at else start
        problem = str(error.problem or error.context)
        advice = next((advice for words, advice in _YAML_ADVICE if words in problem), _YAML_ADVICE_ELSE)
        problems.add(mark, f"this is not YAML: {problem}; {advice}")
    except YAMLError as error:
        problems.add(start, f"this is not YAML: {str(error).splitlines()[0]}; remove what cannot be seen in an editor")
    except RecursionError:
        at = _too_deep(data.decode("utf-8"), start)
        problems.add(at, "the file is nested too deeply here; a plan needs no more than a handful of levels")
    else:
        if isinstance(value, Map):
            return value
        if node is None:
            problems.add(start, "the file is empty; write `keyword: value` lines, or delete it")
        elif value is not None:
            problems.add(start, "the file does not hold a mapping of keywords; write `keyword: value` lines")
    return None


def _too_deep(text: str, start: Mark) -> Mark:
    """Where the LEVELS_MAX-th level of a file begins that is too deep to be read; parsing alone does not recurse."""
    level = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            level += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if level > LEVELS_MAX:
                return Mark(start.file, event.start_mark.line + 1, event.start_mark.column + 1)
    except (YAMLError, RecursionError):
        pass
    return start


def content_of(path: Path) -> bytes:
    """The bytes of a regular file, or of one that a link leads to; of a larger one than FILE_MAX_BYTES one byte more.

    Raises:
        OSError: there is none, or it may not be read. A pipe is not waited for: nobody might ever write.
    """
    if not path.is_file():
        path.stat()  # raises what is wrong with it, if anything is
        raise OSError(errno.EINVAL, "it is a folder" if path.is_dir() else "it is no regular file")
    with path.open("rb") as file:
        return file.read(FILE_MAX_BYTES + 1)


_ACCESS = "check its permissions"
_ADVICE = {
    errno.ENOENT: "it is a link to nothing: correct or delete it",
    errno.ELOOP: "it is a link that leads back to itself: replace it by the file",
    errno.EINVAL: "put a file there, or rename it",
}
# By words of what the YAML library says.
_YAML_ADVICE = (
    ("'\\t'", "indent with spaces, not with tabs"),
    ("another document", "a file holds one thing: remove the line ---"),
    ("mapping values are not allowed", "put a text that holds a colon and a blank in quotes"),
    ("'@'", "put the text in quotes"),
    ("'`'", "put the text in quotes"),
)
_YAML_ADVICE_ELSE = "check indentation, quotes and brackets here and above"


def _value(node: Node, file: str, problems: Problems) -> Value | None:
    """The value of one YAML node; None when it uses what plans do not allow."""
    mark = Mark(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if node.anchor is not None:
        problems.add(mark, "anchors (&) and aliases (*) are not used in plans; name the shared part in types.yaml")
        return None
    begin = node.start_mark
    if not str(node.tag).startswith("tag:yaml.org,2002:") or begin.buffer[begin.pointer] == "!":
        problems.add(mark, "tags (!) are not used in plans; remove it")
        return None
    if isinstance(node, ScalarNode):
        if node.style is not None:
            return Leaf(node.value, mark)
        if trap := _trap(node.value):
            problems.add_trap(mark, trap)
        return Leaf(node.value if str(node.tag).endswith(":str") else _scalar(node.value), mark)
    if isinstance(node, SequenceNode):
        items = (_value(item, file, problems) for item in node.value)
        return Seq(tuple(item for item in items if item is not None), mark)
    assert isinstance(node, MappingNode)
    return _map(node, file, mark, problems)


def _map(node: MappingNode, file: str, mark: Mark, problems: Problems) -> Map:
    entries: dict[str, Value] = {}
    keys: dict[str, Mark] = {}
    for key_node, value_node in node.value:
        at = Mark(file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        key = _value(key_node, file, problems)
        if key is None:
            continue
        if isinstance(key, Leaf) and key.value == "<<":
            problems.add(at, "merge keys (<<) are not used in plans; name the shared part in types.yaml or groups/")
            continue
        if not isinstance(key, Leaf) or not isinstance(key.value, str):
            problems.add(at, f"this key is {_read_as(key)}, not text; put it in quotes")
            continue
        if key.value in entries:
            problems.add(at, f'"{key.value}" stands here twice (first in line {keys[key.value].line}); keep one')
            continue
        value = _value(value_node, file, problems)
        if value is not None:
            entries[key.value], keys[key.value] = value, at
    return Map(entries, keys, mark)


def _read_as(value: Value) -> str:
    match value.value if isinstance(value, Leaf) else value:
        case None:
            return "empty"
        case bool(boolean):
            return f"the boolean {str(boolean).lower()}"
        case int(number) | float(number):
            return f"the number {number}"
    return "a list or a mapping"


def _trap(text: str) -> str:
    """One sentence where a plain scalar is one thing to YAML 1.1 and another to 1.2, or does not fit; else nothing."""
    for shape, reading in _TRAPS:
        if shape.fullmatch(text):
            if "JSON" in reading:
                return f"{text} is {reading}; leave it out, or put it in quotes if it is text"
            digits = text.replace("_", "").lstrip("+")
            if "octal" in reading and int(digits, 8) == int(digits):
                return ""
            told = reading.format(
                octal=int(digits, 8) if "octal" in reading else "",
                decimal=int(digits) if "decimal" in reading else "",
                sixties=_sixties(digits) if "sixties" in reading else "",
            )
            return f"{text} without quotes is {told}; put it in quotes, or write the number in full"
    if _INTEGER.fullmatch(text) and int(text).bit_length() > _INTEGER_BITS:
        return f"{text[:30]} has more than {_INTEGER_BITS} bits; put it in quotes, or add .0 if it may be rounded"
    return ""


def _sixties(text: str) -> float | int:
    """`12:30` as YAML 1.1 reads it: digits to the base of sixty."""
    total: float | int = 0
    for part in text.lstrip("-").split(":"):
        total = total * 60 + (float(part) if "." in part else int(part))
    return -total if text.startswith("-") else total


def _scalar(text: str) -> Scalar:
    """A plain scalar by the YAML 1.2 core schema."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def plain(value: Value) -> object:
    """The value without its places: dict, list and scalars."""
    if isinstance(value, Leaf):
        return value.value
    if isinstance(value, Seq):
        return [plain(item) for item in value.items]
    return {key: plain(item) for key, item in value.entries.items()}
