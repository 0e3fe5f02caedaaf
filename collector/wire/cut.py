"""Cutting JSON apart without reading it: the members of an object, the elements of a list, as bytes.

    b'{"a": 1, "b": [[[…]]]}' --members--> {"a": b"1", "b": b"[[[…]]]"}

A decoder refuses a document for one bad part: nested too deeply, not UTF-8, NaN. Where brackets and quotes are in order
the parts can still be told apart, so that one bad event costs its neighbours nothing. Nothing here recurses, and only
what a decoder has refused comes here: it is some twenty times slower.
"""

from __future__ import annotations

import re

import msgspec

# Brackets, commas and texts of one document. A full body of small events has about 100,000; more is made to cost time.
TOKENS_MAX = 150_000

_TEXT = rb'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(_TEXT + rb'|"|,|[\[{]++|[\]}]++', re.DOTALL)
_KEY = re.compile(rb"[ \t\r\n]*(" + _TEXT + rb")[ \t\r\n]*:", re.DOTALL)
_CLOSING = bytes.maketrans(b"[{", b"]}")
_BLANK = b" \t\r\n"
_QUOTE, _COMMA = b'",'
_OPENING = b"[{"

_decode_text = msgspec.json.Decoder(str).decode


def elements(document: bytes) -> list[bytes] | None:
    """The elements of a JSON list as they stand there; None for what is no list in order."""
    return _parts(document) if document.lstrip(_BLANK).startswith(b"[") else None


def members(document: bytes) -> dict[str, bytes] | None:
    """The members of a JSON object as they stand there, the last of a name; None for what is no object in order."""
    parts = _parts(document) if document.lstrip(_BLANK).startswith(b"{") else None
    if parts is None:
        return None
    found: dict[str, bytes] = {}
    for part in parts:
        match = _KEY.match(part)
        if match is None:
            return None
        found[_text(match[1])] = part[match.end() :].strip(_BLANK)
    return found


def _parts(document: bytes) -> list[bytes] | None:
    """What stands between the commas of the outermost brackets."""
    parts: list[bytes] = []
    awaited = bytearray()  # the closing brackets of what is open, outermost first
    start = 0
    for number, token in enumerate(_TOKEN.finditer(document)):
        text = token[0]
        kind = text[0]
        if kind == _QUOTE:
            if len(text) == 1 or number >= TOKENS_MAX:
                return None
        elif kind == _COMMA:
            if len(awaited) == 1:
                parts.append(document[start : token.start()])
                start = token.end()
        elif kind in _OPENING:
            if not awaited:
                start = token.start() + 1
            awaited += text.translate(_CLOSING)
        else:
            if awaited[-len(text) :] != text[::-1]:
                return None
            del awaited[-len(text) :]
            if not awaited:
                parts.append(document[start : token.end() - 1])
                if document[token.end() :].strip(_BLANK):
                    return None
                parts = [part.strip(_BLANK) for part in parts]
                return [] if parts == [b""] else None if b"" in parts else parts
        if number >= TOKENS_MAX:
            return None
    return None


def _text(quoted: bytes) -> str:
    try:
        return _decode_text(quoted)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return quoted[1:-1].decode("utf-8", "backslashreplace")
