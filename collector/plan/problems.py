"""What is wrong with a plan, collected: an editor sees every mistake of a save at once, not one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

_SEPARATORS = {ord(char): None for char in "_-. "}


class Mark(NamedTuple):
    """A place in a plan file; line and column count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class PlanError(Exception):
    """A plan cannot be used. The text holds one mistake a line, each `file:line:column: sentence`."""


class Problems:
    """Mistakes found so far, each once: a faulty type is met again at each of its uses."""

    def __init__(self) -> None:
        self._found: dict[tuple[Mark, str], None] = {}
        self._alike: set[Mark] = set()
        self._cycles: set[frozenset[str]] = set()
        self._lost: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, mark: Mark, sentence: str) -> None:
        """Record one mistake."""
        self._found[mark, sentence] = None

    def of(self, name: str) -> bool:
        """Is something wrong with the file of this name? Then what follows from it is no mistake of its own."""
        return any(Path(mark.file).stem == name for mark, _ in self._found)

    def lose(self, name: str) -> None:
        """Remember that nothing can be known of the file of this name."""
        self._lost.add(name)

    def lost(self, *names: str) -> bool:
        """Could one of these files not be read at all? Then nobody knows what it would have defined."""
        return not self._lost.isdisjoint(names)

    def add_cycle(self, mark: Mark, names: Sequence[str]) -> None:
        """Record that a type contains itself through these, once for each cycle, wherever it is entered."""
        if frozenset(names) not in self._cycles:
            self._cycles.add(frozenset(names))
            path = " -> ".join([*names, names[0]])
            self.add(mark, f"the type {names[0]} contains itself ({path}); break the cycle")

    def add_alike(self, names: Iterable[tuple[str, tuple[str, ...], Mark]], what: str) -> None:
        """Record names that a person, or a case-blind system, takes for one another.

        Each entry is a thing, the names it goes by, and its place; one thing may go by names that are alike. A place is
        told once: properties are looked at where they stand, and again in each event that has them.
        """
        seen: dict[str, tuple[str, str]] = {}
        for owner, words, mark in names:
            for word in words:
                other, first = seen.setdefault(fold(word), (owner, word))
                if other != owner and mark not in self._alike:
                    self._alike.add(mark)
                    self.add(
                        mark, f'the {what} "{first}" and "{word}" are the same but for case and separators; keep one'
                    )

    def stop_if_any(self) -> None:
        """Raise PlanError with every mistake, in the order of files and lines, when there is one."""
        if self._found:
            raise PlanError("\n".join(f"{mark}: {sentence}" for mark, sentence in sorted(self._found)))


def fold(name: str) -> str:
    """The name without case and separators: productId and product_id are alike."""
    return name.translate(_SEPARATORS).casefold()


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for the known word most like this one, else the known words, else nothing."""
    choices = sorted(known)
    close = get_close_matches(word, choices, n=1)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; known are {', '.join(choices)}" if choices else ""
