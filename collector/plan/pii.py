"""Personal data: what is done to a value that the plan declares, and what gives one away that it does not.

    type --handler_of--> Handler;  raw JSON --Handler--> raw JSON, or None where the value is dropped

Handlers work on raw JSON, member by member, so that a value which is not touched keeps its bytes. What cannot be read
is masked: a handler never lets a value through because it is odd.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote_plus

import msgspec
from msgspec import UNSET, Raw

from collector.plan.model import Pii, Property, Type
from collector.wire.cut import elements, members

# Characters of one text, and texts of one value, in which personal data is looked for: a few hundred microseconds.
SEARCHED_CHARS_MAX = 4_096
SEARCHED_TEXTS_MAX = 64
LEVELS_MAX = 32  # of a value that is changed; each level is put together anew
MASK = "***"
_MASKED = b'"***"'
# Addresses of which it is known what is kept: those of a busy site, of each allow-list, of which a plan has a few. At
# most 2 KB each; forgotten all at once.
ADDRESSES_MAX = 4_096
ADDRESS_CHARS_MAX = 512
_DECLARATIONS_MAX = 64

Handler: TypeAlias = Callable[[bytes], bytes | None]

decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_elements = msgspec.json.Decoder(list[Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
encode = msgspec.json.Encoder().encode


# What gives personal data away

# A local part of at most 64 characters (RFC 5321); %40 is the @ of a query string.
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}(?:@|%40)(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}(?![\w-])")
_CARD = re.compile(r"(?<![\w.+-])[2-6]\d{3}(?:[ -]?\d){10,15}(?![\w-])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_TOKEN = re.compile(
    r"\beyJ[\w-]{8,4096}\.[\w-]{8,4096}(?:\.[\w-]{0,1024})?"  # JSON web token
    r"|\b(?:sk|rk|pk)_(?:live|test)_\w{16,128}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,128}|\bxox[abprs]-[\w-]{10,128}"
)
# Only for free text: elsewhere nine digits are as often an order number.
_PHONE = re.compile(r"(?<![\w.+/-])(?:\+\d|\(?0\d|\(\d)(?:[ ().\-/]{0,2}\d){6,13}(?![\w-])")


def _luhn(found: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1), in the lengths and ranges that issuers use."""
    digits = [int(char) for char in found if char.isdecimal()]
    head = int("".join(map(str, digits[:4])))
    known = (
        (len(digits) in (16, 19) and 4000 <= head <= 4999)
        or (
            len(digits) == 16 and (5100 <= head <= 5599 or 2221 <= head <= 2720 or 6440 <= head <= 6599 or head == 6011)
        )
        or (len(digits) == 16 and 3528 <= head <= 3589)
        or (len(digits) == 15 and (3400 <= head <= 3499 or 3700 <= head <= 3799))
        or (len(digits) == 14 and (3000 <= head <= 3059 or 3600 <= head <= 3699 or 3800 <= head <= 3999))
    )
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits[::-1])]
    return known and sum(doubled) % 10 == 0


def _mod97(found: str) -> bool:
    """The check digits of an IBAN (ISO 13616)."""
    text = found.replace(" ", "")
    number = "".join(str(int(char, 36)) for char in text[4:] + text[:4])
    return 15 <= len(text) <= 34 and int(number) % 97 == 1


_ALWAYS: Callable[[str], bool] = bool
# What is looked for where the plan says nothing: patterns that hardly match anything else.
_DETECTORS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", _EMAIL, _ALWAYS),
    ("token", _TOKEN, _ALWAYS),
    ("card", _CARD, _luhn),
    ("iban", _IBAN, _mod97),
)
_IN_FREE_TEXT = (*_DETECTORS, ("phone", _PHONE, _ALWAYS))


def personal(text: str) -> str:
    """What kind of personal data a text holds: email, token, card or iban; "" when none is seen."""
    text = text[:SEARCHED_CHARS_MAX]
    for kind, pattern, holds in _DETECTORS:
        if any(holds(found[0]) for found in pattern.finditer(text)):
            return kind
    return ""


def personal_within(value: Any) -> str:
    """The same for a decoded JSON value: the first kind found in its texts, or in long numbers."""
    waiting, looked = [value], 0
    while waiting and looked < SEARCHED_TEXTS_MAX:
        entry = waiting.pop()
        if isinstance(entry, dict):
            waiting.extend(list(entry.values())[:SEARCHED_TEXTS_MAX])
            continue
        if isinstance(entry, list):
            waiting.extend(entry[:SEARCHED_TEXTS_MAX])
            continue
        if isinstance(entry, str) or (type(entry) is int and 10**12 < entry < 10**19):
            looked += 1
            if kind := personal(str(entry)):
                return kind
    return ""


def masked_text(text: str) -> str:
    """A text with all that looks like personal data replaced by its kind: `write to [email]`."""
    for kind, pattern, holds in _IN_FREE_TEXT:
        found = {match[0] for match in pattern.finditer(text) if holds(match[0])}
        if found:
            shown = f"[{kind}]"
            text = pattern.sub(lambda match, found=found, shown=shown: shown if match[0] in found else match[0], text)  # type: ignore[misc]  # defaults bind the loop's values
    return text


# What the plan does about it


def _keeping(keep: tuple[str, ...]) -> Callable[[str], str]:
    """An address, or a query alone, without fragment, credentials, and the parameters that are not in `keep`."""
    kept = frozenset(keep)

    def strip(text: str) -> str:
        if "?" not in text and "#" not in text and "@" not in text:
            return text
        address, asked, query = text.partition("#")[0].partition("?")
        if "@" in address:
            address = re.sub(r"^(\s*[a-zA-Z][a-zA-Z0-9+.-]{0,20}://|//)[^/]*@", r"\1", address)
        if not asked:
            return address
        named = [(part.partition("=")[0], part) for part in query.split("&")]
        # Ten times as fast as to decode each name, of which hardly any is encoded.
        left = [part for name, part in named if (unquote_plus(name) if "%" in name or "+" in name else name) in kept]
        return f"{address}?{'&'.join(left)}" if left else address

    return strip


def _hashing(pii: Pii, form: str | None) -> Callable[[str], str]:
    """SHA-256, 64 hex digits, of the trimmed text; of an e-mail address in lower case, as advertisers compare them."""
    lower = form == "email" or "email" in pii.pii_class.lower()

    def digest(text: str) -> str:
        text = text.strip()
        return hashlib.sha256((text.lower() if lower else text).encode("utf-8", "replace")).hexdigest()

    return digest


def text_handler(pii: Pii, form: str | None = None) -> Callable[[str], str] | None:
    """What a declaration does to a text; None where it does nothing, or drops it."""
    match pii.handling:
        case "sha256":
            return _hashing(pii, form)
        case "mask":
            return lambda text: MASK if text else ""
        case "mask_detected":
            return masked_text
        case "strip_query_except":
            return _keeping(pii.keep)
    return None


def changes(pii: Pii | None) -> bool:
    """Does the collector do anything to a value that is declared so?"""
    return pii is not None and pii.handling != "keep"


def _dropped(raw: bytes) -> None:
    del raw


def _leaves(change: Callable[[str], str]) -> Handler:
    """Every text and number of a value changed; true, false, null and keys stay, what is LEVELS_MAX deep is masked."""

    def handle(raw: bytes, level: int = 0) -> bytes:
        first = raw[:1]
        if first in (b"t", b"f", b"n"):
            return raw
        if first in (b"{", b"["):
            if level == LEVELS_MAX:
                return _MASKED
            inner = partial(handle, level=level + 1)
            return over_members(raw, {}, inner) if first == b"{" else _over_elements(raw, inner)
        try:
            text = _decode_text(raw) if first == b'"' else raw.decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _MASKED
        changed = change(text)
        return raw if changed == text else encode(changed)

    return handle


def fields_of(raw: bytes) -> dict[str, bytes] | None:
    """An object's members as raw JSON, the last of a name; None when it cannot be told apart."""
    try:
        return {key: bytes(part) for key, part in decode_members(raw).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return members(raw)


def entries_of(raw: bytes) -> list[bytes] | None:
    """A list's elements as raw JSON; None when they cannot be told apart."""
    try:
        return [bytes(part) for part in _decode_elements(raw)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return elements(raw)


def object_of(fields: Mapping[str, bytes]) -> bytes:
    """Members put together again, valid or not."""
    return b"{" + b",".join([encode(key) + b":" + part for key, part in fields.items()]) + b"}"


def repeats(raw: bytes, names: Iterable[str]) -> bool:
    """Might one of these names stand twice in an object? Readers take the last; the first would stay as it was sent."""
    if any(raw.count(encode(name)) > 1 for name in names):
        return True
    if b"\\u" not in raw:
        return False
    try:  # one of them may be spelled with an escape
        read = [name for name, _ in json.loads(raw, object_pairs_hook=list)]
        return len(set(read)) < len(read)
    except (ValueError, RecursionError):
        return False


def list_of(entries: list[bytes]) -> bytes:
    """Elements put together again."""
    return b"[" + b",".join(entries) + b"]"


def over_members(raw: bytes, known: Mapping[str, Handler], others: Handler | None = None) -> bytes:
    """An object with its members handled: those of a name in `known`, and all others by `others`.

    Of members of one name the last is kept, as with all who read JSON: the others are handled by nobody.
    """
    fields = fields_of(raw)
    if fields is None:
        return _MASKED
    touched = False
    for key, part in list(fields.items()):
        handle = known.get(key, others)
        if handle is None:
            continue
        changed = handle(part)
        if changed is None:
            del fields[key]
        else:
            fields[key] = changed
        touched = touched or changed != part
    return object_of(fields) if touched or repeats(raw, known) else raw


def _over_elements(raw: bytes, handle: Handler) -> bytes:
    entries = entries_of(raw)
    if entries is None:
        return _MASKED
    # In a list a dropped value leaves null behind, so that its neighbours keep their places.
    changed = [b"null" if (entry := handle(part)) is None else entry for part in entries]
    return raw if changed == entries else list_of(changed)


class Edit(NamedTuple):
    """An address of which something goes: what is kept, and both as they stand in compact JSON."""

    text: str
    sent: bytes
    kept: bytes


class _Edits(dict[Any, Edit | None]):
    """`edits[sent]` is what is done to an address; None where nothing goes, as of null and of what was not sent."""

    def __init__(self, change: Callable[[str], str]) -> None:
        super().__init__({UNSET: None, None: None, "": None})
        self._change = change
        self._begun = dict(self)

    def __missing__(self, sent: str) -> Edit | None:
        kept = self._change(sent)
        edit = None if kept == sent else Edit(kept, encode(sent), encode(kept))
        if len(sent) <= ADDRESS_CHARS_MAX:
            if len(self) >= ADDRESSES_MAX:
                self.clear()
                self.update(self._begun)
            self[sent] = edit
        return edit


class Stripper:
    """The Handler of addresses, of which every page view has some. `edits` says what is done to a decoded one."""

    def __init__(self, keep: tuple[str, ...]) -> None:
        self.edits = _Edits(_keeping(keep))
        self._handle = _leaves(self.text)

    def __call__(self, raw: bytes) -> bytes | None:
        """As all handlers; what holds nothing to strip is passed on unread."""
        return raw if _STRIPPED.search(raw) is None and raw.startswith(b'"') else self._handle(raw)

    def text(self, sent: str) -> str:
        """What is kept of an address."""
        edit = self.edits[sent]
        return sent if edit is None else edit.text


_stripper = lru_cache(maxsize=_DECLARATIONS_MAX)(Stripper)


# What must be in an address for anything of it to go, or in its JSON where it is spelled otherwise.
_STRIPPED = re.compile(rb"[?#@\\]")

mask_detected = _leaves(masked_text)


def _members(known: Mapping[str, Handler], others: Handler | None = None) -> Handler:
    """The handler of an object; of what was sent in its place, texts are masked where they look personal."""
    return lambda raw: over_members(raw, known, others) if raw.startswith(b"{") else mask_detected(raw)


def handler_of(kind: Type) -> Handler | None:
    """What is done to values of a type; None when nothing is."""
    if kind.pii is not None and kind.pii.handling == "drop":
        return _dropped
    if kind.pii is not None and kind.pii.handling == "strip_query_except":
        return _stripper(kind.pii.keep)
    if kind.pii is not None and (change := text_handler(kind.pii, kind.format)) is not None:
        return _leaves(change)
    if kind.items is not None and (item := handler_of(kind.items)) is not None:
        return lambda raw: _over_elements(raw, item) if raw.startswith(b"[") else mask_detected(raw)
    if kind.values is not None and (value := handler_of(kind.values)) is not None:
        return _members({}, value)
    known = handlers_of(kind.properties)
    return _members(known) if known else None


def handlers_of(properties: tuple[Property, ...]) -> dict[str, Handler]:
    """What is done to the members of an object, by name and alias; empty when nothing is."""
    known: dict[str, Handler] = {}
    for prop in properties:
        handle = handler_of(prop.type)
        if handle is not None:
            known.update(dict.fromkeys((prop.name, *prop.aliases), handle))
    return known


def blanked(raw: bytes, names: Iterable[str]) -> bytes:
    """Bytes in which no value can be told apart: texts after these names, and all that looks personal, are masked."""
    for name in sorted(names):
        pattern = rb'("%b"\s*:\s*)(?:"(?:[^"\\]++|\\.)*+"?|[^\s,\]}"]+)' % re.escape(encode(name)[1:-1])
        raw = re.sub(pattern, rb'\1"***"', raw, flags=re.DOTALL)
    return masked_text(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
