"""Patterns of the plan: regular expressions that mean the same in Python, JavaScript and RE2, and are cheap.

The subset is I-Regexp (RFC 9485) plus `^`, `$`, `(?:` and the escapes for digits, word characters and white space.
Python reads some of it its own way, so `translate` rewrites it: there `$` also matches before a final newline, and the
escapes match far more than ASCII. A pattern runs while the interpreter is held for every visitor, so its worst case
must be bounded: `^(a+)+$` on 24 characters took 1.3 s here.

A group with a repetition in it may be repeated in one form, that of lists and snake_case: it starts with a character
that its one repetition cannot match, as in `(_[a-z0-9]+)*`. There each text has one reading only.
"""

from __future__ import annotations

import math
import re

# Worst-case steps of one match: about 20 ms of one core, for a text made to be slow.
STEPS_MAX = 1_000_000

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \\t\\n\\r\\f\\v"}
_CONTROL = {"n": "\\n", "r": "\\r", "t": "\\t"}
_QUANTIFIER = re.compile(r"\{([0-9]{1,4})(,)?([0-9]{1,4})?\}")
_SYNTAX = "^$\\.*+?{}[]()|-/"
# `_[a-z0-9]+`, the inside of a group: one literal, then one character or class that repeats.
_SEPARATED = re.compile(
    r"(?:\?:)?(?P<literal>\\[\^$\\.*+?{}\[\]()|/-]|[^\\^$.*+?{}\[\]()|])"
    r"(?P<repeated>\[(?:[^\]\\]|\\.)+\]|\\.|[^\\^$.*+?{}\[\]()|])(?:[*+]|\{[0-9,]{1,9}\})"
)


class PatternError(Exception):
    """A pattern is outside the subset or too costly; the text says which, and what to do."""


def translate(pattern: str, max_length: int) -> str:
    """The pattern as `re.search` must be given it.

    Args:
        pattern: As written in the plan; unanchored unless it says ^ and $, as in JSON Schema.
        max_length: The longest text it will meet.
    Raises:
        PatternError: outside the subset, nested repetition, or more than STEPS_MAX steps in the worst case.
    """
    scan = _Scan(pattern, max_length)
    text = scan.whole()
    steps = scan.steps * (1 if pattern.startswith("^") else max(max_length, 1))
    if steps > STEPS_MAX:
        raise PatternError(
            f"it may take {steps:,} steps on a text of {max_length:,} characters, the limit is {STEPS_MAX:,}; "
            "start it with ^, repeat less, or lower maxLength"
        )
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:
        raise PatternError(f"it is not a regular expression ({error}); check brackets and ranges") from None
    return text


def longest_match(pattern: str) -> int | None:
    """The most characters that a text may have which the pattern matches from ^ to $; None where there is no end."""
    scan = _Scan(pattern, 1)
    scan.whole()
    anchored = pattern.startswith("^") and scan.ends_at == len(pattern) and not scan.alternative_at_top
    return int(scan.width) if anchored and scan.width < math.inf else None


class _Scan:
    """One pass over a pattern: rewrites it and multiplies up what backtracking could cost."""

    def __init__(self, pattern: str, max_length: int) -> None:
        self.pattern = pattern
        self.longest = max(max_length, 1)
        self.at = 0
        self.steps = 1
        self.branching = False  # has a repetition or an alternative been met since the last group opened?
        self.separated = False  # was the last group of the one form that may be repeated nevertheless?
        self.width = 0.0  # most characters matched by what was read last: a piece, a group, the whole
        self.ends_at = -1  # where the last $ outside all groups ends
        self.alternative_at_top = False

    def _take(self) -> str:
        if self.at >= len(self.pattern):
            raise PatternError("it ends in the middle; check its brackets and its last backslash")
        char = self.pattern[self.at]
        self.at += 1
        return char

    def whole(self) -> str:
        text = self.alternatives(depth=0)
        if self.at < len(self.pattern):
            raise PatternError("it has a ) without a (; escape it as \\)")
        return text

    def alternatives(self, depth: int) -> str:
        if depth > 10:
            raise PatternError("its groups are nested more than 10 deep; make it simpler")
        parts: list[str] = []
        widths = [0.0]
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            if self.pattern[self.at] == "|":
                self.branching = True
                self.alternative_at_top |= depth == 0
                self.steps = min(self.steps * 2, 10**12)
                widths.append(0.0)
                parts.append(self._take())
            else:
                parts.append(self._piece(depth))
                widths[-1] += self.width
        self.width = max(widths)
        return "".join(parts)

    def _piece(self, depth: int) -> str:
        char = self._take()
        self.width = float(char not in "^$")
        if char in "^$":
            self.ends_at = self.at if char == "$" and depth == 0 else self.ends_at
            return "\\A" if char == "^" else "\\Z"
        if char in "*+?{":
            raise PatternError(f"it has a {char} with nothing before it to repeat; escape it as \\{char}")
        outer, self.branching, self.separated = self.branching, False, False
        steps = self.steps
        if char == "(":
            atom = self._group(depth)
        elif char == "[":
            atom = self._class()
        elif char == "\\":
            atom = self._escape(in_class=False)
        else:
            atom = "[^\\n\\r]" if char == "." else char
        inner, self.branching = self.branching, outer or self.branching
        return atom + self._quantifier(inner, steps)

    def _group(self, depth: int) -> str:
        if self.pattern.startswith("?", self.at):
            if not self.pattern.startswith("?:", self.at):
                raise PatternError("it uses (?…), which JavaScript and RE2 read differently; only (?:…) is supported")
            self.at += 2
        start = self.at
        inside = self.alternatives(depth + 1)
        if self._take() != ")":
            raise PatternError("it has a ( without a ); escape it as \\(")
        self.separated = _is_separated(self.pattern[start : self.at - 1])
        return f"(?:{inside})"

    def _class(self) -> str:
        parts = ["["]
        if self.pattern.startswith("^", self.at):
            parts.append(self._take())
        if self.pattern.startswith("]", self.at):
            raise PatternError("it has an empty []; escape the bracket as \\]")
        while True:
            char = self._take()
            if char == "]":
                return "".join(parts) + "]"
            if char == "\\":
                parts.append(self._escape(in_class=True))
            else:
                parts.append("\\" + char if char in "[]&~|" else char)

    def _escape(self, *, in_class: bool) -> str:
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char] if in_class else f"[{_CLASSES[char]}]"
        if char in _CONTROL:
            return _CONTROL[char]
        if char in _SYNTAX:
            return "\\" + char
        raise PatternError(
            f"it uses \\{char}, which is outside the supported subset; write the characters as a [class]"
        )

    def _quantifier(self, branching: bool, steps_before: int) -> str:
        char = self.pattern[self.at : self.at + 1]
        if not char or char not in "*+?{":
            return ""
        if char == "{":
            found = _QUANTIFIER.match(self.pattern, self.at)
            if found is None:
                raise PatternError("it has a { that is not a repetition such as {2,5}; escape it as \\{")
            text = found[0]
            low = int(found[1])
            high = low if not found[2] else int(found[3]) if found[3] else self.longest
        else:
            text, low, high = char, int(char == "+"), 1 if char == "?" else self.longest
        endless = text in ("*", "+") or text.endswith(",}")
        self.width *= math.inf if endless and self.width else high
        self.at += len(text)
        if self.pattern[self.at : self.at + 1] in ("?", "+", "*", "{") and self.at < len(self.pattern):
            raise PatternError("it repeats a repetition (as in *? or ++); one is enough, patterns only say yes or no")
        if branching and self.separated:
            # Every iteration starts at its own character, so a text has one reading up to each place: that many steps.
            self.branching = True
            self.steps = min(steps_before * self.longest, 10**12)
            return text
        if branching and high > 1:
            raise PatternError(
                "it repeats a group that holds a repetition or an alternative, which can take forever on a hostile "
                "text; repeat single characters or a [class]"
            )
        if high != low:
            self.branching = True
            self.steps = min(self.steps * (min(high, self.longest) - min(low, self.longest) + 1), 10**12)
        return text


def _is_separated(inside: str) -> bool:
    """True for the inside of a group that may be repeated: its repetition cannot match the character it starts with."""
    found = _SEPARATED.fullmatch(inside)
    if found is None:
        return False
    literal = found["literal"][-1]
    return re.fullmatch(_Scan(found["repeated"], 1).whole(), literal) is None
