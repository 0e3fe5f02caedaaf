"""Patterns as JavaScript and JSON Schema read them (ECMA-262 with the flag u), from the form that Python searches with.

The two differ in what an anchor, an escape and white space mean; pattern.py has made all three explicit for Python.
"""

from __future__ import annotations

# White space as Python's re sees it. ECMA's own also holds U+FEFF, and lacks the separators of ASCII and U+0085.
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_MONTHS = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP_YEAR = r"(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = rf"(?!0000)(?:[0-9]{{4}}-{_MONTHS}|{_LEAP_YEAR}-02-29)"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_OFFSET = r"(?:[Zz]|[+\-](?:[01][0-9]|2[0-3]):?[0-5][0-9])"

# The calendar days of the years 1 to 9999, as msgspec reads them (RFC 3339).
DATE = f"^{_DATE}$"
# The same with a time of day and an offset. What would be rounded up into the year 10000 is no time.
DATETIME = rf"^(?!9999-12-31.23:59:59\.999999[5-9]){_DATE}[Tt ]{_CLOCK}{_OFFSET}$"


def ecma(regex: str) -> str:
    """A pattern made for Python's `re.search` by pattern.py or resolve.py, as `new RegExp(…, "u")` must be given it."""
    parts: list[str] = []
    at, in_class = 0, False
    while at < len(regex):
        char = regex[at]
        at += 1
        if char == "\\":
            parts.append(_escape(regex[at], in_class=in_class))
            at += 1
        elif in_class:
            in_class = char != "]"
            parts.append(char)
        else:
            in_class = char == "["
            # Outside a class and a repetition, Python takes a lone bracket for itself; the flag u does not.
            parts.append(f"\\{char}" if char == "]" or (char == "}" and not _closes(parts)) else char)
    return "".join(parts)


def _escape(char: str, *, in_class: bool) -> str:
    if char in "AZ":
        return "^" if char == "A" else "$"
    if char == "s":
        return _SPACE if in_class else f"[{_SPACE}]"
    if char in "&~":
        return f"\\x{ord(char):02x}"  # the flag u knows no needless escapes, and Python warns of && and ~~ in a class
    if char == "-" and not in_class:
        return char
    return f"\\{char}"


def _closes(parts: list[str]) -> bool:
    """Does a } here end a repetition such as {2,5}?"""
    for part in reversed(parts):
        if part == "{":
            return True
        if not (part.isascii() and (part.isdigit() or part == ",")):
            return False
    return False
