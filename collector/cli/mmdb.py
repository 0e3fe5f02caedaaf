"""Tables of networks, made into a file of MaxMind's format.

    first address, last address, number, name --read_table--> Range --write--> .mmdb

Some free databases come only as tables. The format is a binary trie of addresses with the values behind it; as the
ranges of a table are sorted, the trie is written in one pass along its right edge: half a million of them take 8 s and
86 MB. The package mmdb-writer, which the tests use, takes them in any order, at fifteen times the cost.

Source: the MaxMind DB file format specification, version 2.0.
"""

from __future__ import annotations

import csv
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

ADDRESS_BITS = 128  # an IPv4 address stands in ::/96, where readers look for it
ROWS_MAX = 5_000_000  # of one table; all networks of today are half a million
NODES_MAX = 50_000_000  # 8 bytes each
NAME_CHARS_MAX = 128  # as geo.py keeps them
_MARKER = b"\xab\xcd\xefMaxMind.com"
_GAP = 16  # zeros between trie and values
_STRING, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11


class TableError(ValueError):
    """A table is not what it should be. The text is one sentence."""


class Range(NamedTuple):
    """Addresses of one network, both ends within, as numbers of 128 bits."""

    first: int
    last: int
    asn: int
    name: str


def read_table(path: Path, bits: int) -> Iterator[Range]:
    """The ranges of a CSV table: first and last address as numbers, the network's number and name.

    Args:
        path: UTF-8, without a head line.
        bits: 32 for a table of IPv4 addresses, 128 for IPv6.
    Raises:
        TableError: a line is something else. OSError: it cannot be read.
    """
    line = 0
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        try:
            for line, (first, last, asn, name, *_) in enumerate(csv.reader(file), 1):
                yield _range(int(first), int(last), int(asn), name, line, bits)
        except (ValueError, csv.Error) as error:
            raise TableError(f"{path.name} cannot be read, near line {line:,}: {error}") from error


def _range(first: int, last: int, asn: int, name: str, line: int, bits: int) -> Range:
    if not (0 <= first <= last < 1 << bits and 0 <= asn < 1 << 32):
        raise TableError("a number is out of range")
    if line > ROWS_MAX:
        raise TableError(f"the limit is {ROWS_MAX:,} lines")
    return Range(first, last, asn, name[:NAME_CHARS_MAX])


def write_networks(file: BinaryIO, ranges: Iterable[Range], *, kind: str, description: str, built_s: int) -> int:
    """Write a database of networks; the names of its fields are those of MaxMind's ASN databases.

    Args:
        file: Is left at its end.
        ranges: Sorted by their first address. Of two that overlap the first has what both name: the real table has one
            such pair among half a million.
        kind: The database's type. Readers, ours too, tell by it what it holds.
        description: For people, in English.
        built_s: When its data was made, in seconds since the epoch; readers refuse 0.
    Returns:
        The number of its ranges.
    Raises:
        TableError: the ranges are not sorted, or too many.
    """
    trie, values = _Trie(), _Values()
    count = 0
    for first, last, asn, name in ranges:
        count += 1
        trie.add(first, last, values.offset(asn, name))
    nodes = len(trie.children) // 2
    found = nodes + _GAP
    if found + len(values.data) >= 1 << 32:
        raise TableError(f"{count:,} ranges of networks are more than a file of this format can hold")
    numbers = array("I", (nodes if child == 0 else child if child > 0 else found + ~child for child in trie.children))
    if sys.byteorder == "little":
        numbers.byteswap()
    numbers.tofile(file)
    file.write(bytes(_GAP) + values.data + _MARKER)
    file.write(
        _head(_MAP, 9)
        + _text("node_count") + _number(_UINT32, nodes)
        + _text("record_size") + _number(_UINT16, 32)
        + _text("ip_version") + _number(_UINT16, 6)
        + _text("database_type") + _text(kind)
        + _text("languages") + _head(_ARRAY, 0)
        + _text("binary_format_major_version") + _number(_UINT16, 2)
        + _text("binary_format_minor_version") + _number(_UINT16, 0)
        + _text("build_epoch") + _number(_UINT64, built_s)
        + _text("description") + _head(_MAP, 1) + _text("en") + _text(description)
    )  # fmt: skip
    return count


class _Trie:
    """Two children for each node: 0 for nothing, another node's index, or ~offset of a value."""

    def __init__(self) -> None:
        self.children = array("q", (0, 0))
        self._path = [0] * ADDRESS_BITS  # the node at each depth on the way to the address that came last
        self._next = 0  # the first address that none has
        self._first = 0  # the last range's own
        self._depth = 0  # how long the last prefix is

    def add(self, first: int, last: int, offset: int) -> None:
        """Give a range that begins behind all others, or within the last, a value."""
        if first < self._first:
            raise TableError(f"the range from {first} to {last} stands behind one that begins at {self._first}")
        self._first = first
        first = max(first, self._next)
        while first <= last:
            size = min(first & -first or 1 << ADDRESS_BITS - 1, 1 << (last - first + 1).bit_length() - 1)
            self._add(first, ADDRESS_BITS + 1 - size.bit_length(), ~offset)
            first += size

    def _add(self, address: int, length: int, value: int) -> None:
        children, path = self.children, self._path
        # As far as the way is that of the prefix before, its nodes are there. Zero is where all ways begin.
        shared = ADDRESS_BITS - (address ^ max(self._next - 1, 0)).bit_length()
        depth = min(shared, max(self._depth - 1, 0))
        node = path[depth]
        while depth < length - 1:
            fresh = len(children) >> 1
            children[2 * node + (address >> ADDRESS_BITS - 1 - depth & 1)] = fresh
            children.extend((0, 0))
            depth += 1
            path[depth] = node = fresh
        if len(children) > 2 * NODES_MAX:
            raise TableError(f"the ranges need more than {NODES_MAX:,} nodes, the limit")
        children[2 * node + (address >> ADDRESS_BITS - length & 1)] = value
        self._next, self._depth = address + (1 << ADDRESS_BITS - length), length


class _Values:
    """What a look-up answers, each value once. The names of the two fields stand first, and are pointed to."""

    _FIELDS = ("autonomous_system_number", "autonomous_system_organization")

    def __init__(self) -> None:
        self.data = bytearray()
        self._pointers = []
        for field in self._FIELDS:
            self._pointers.append(struct.pack(">BB", 1 << 5, len(self.data)))
            self.data += _text(field)
        self._known: dict[tuple[int, str], int] = {}

    def offset(self, asn: int, name: str) -> int:
        known = self._known.get((asn, name))
        if known is None:
            known = self._known[asn, name] = len(self.data)
            number, text = self._pointers
            self.data += _head(_MAP, 2) + number + _number(_UINT32, asn) + text + _text(name)
        return known


def _head(kind: int, size: int) -> bytes:
    """The control bytes of a value: those kinds that do not fit into three bits follow in a byte of their own."""
    more = b"" if size < 29 else bytes((size - 29,)) if size < 285 else struct.pack(">H", size - 285)
    short = size if size < 29 else 29 if size < 285 else 30
    return (bytes((kind << 5 | short,)) if kind <= _MAP else bytes((short, kind - 7))) + more


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return _head(_STRING, len(data)) + data


def _number(kind: int, value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _head(kind, len(data)) + data
