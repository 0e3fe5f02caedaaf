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
        self._misnamed: dict[Mark, str] = {}
        self._trapped: set[Mark] = set()
        self._cycles: set[frozenset[str]] = set()
        self._lost: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, mark: Mark, sentence: str) -> None:
        """Record one mistake, but for one that follows from a scalar that is refused already."""
        if mark not in self._trapped:
            self._found[mark, sentence] = None

    def add_trap(self, mark: Mark, sentence: str) -> None:
        """Record a scalar that is refused as such: whatever else is said of it is no mistake of its own."""
        self.add(mark, sentence)
        self._trapped.add(mark)

    def add_misnamed(self, mark: Mark, sentence: str) -> None:
        """Record a name that looks wrong. Where it is also another's but for case, that alone is told."""
        if mark not in self._alike:
            self.add(mark, sentence)
            self._misnamed[mark] = sentence

    def of(self, name: str) -> bool:
        """Is something wrong with the file of this name? Then what follows from it is no mistake of its own."""
        return any(Path(mark.file).stem == name for mark, _ in self._found)

    def of_shared(self) -> bool:
        """Is something wrong with types, entities or groups? Then nobody knows the properties of those who use them."""
        files = (Path(mark.file) for mark, _ in self._found)
        return any(file.stem in ("types", "entities") or file.parent.name == "groups" for file in files)

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
        seen: dict[str, tuple[str, str, Mark]] = {}
        for owner, words, mark in names:
            for word in words:
                other, first, there = seen.setdefault(fold(word), (owner, word, mark))
                if other == owner or not self._alike.isdisjoint((mark, there)):
                    continue
                wrong = there if there in self._misnamed and mark not in self._misnamed else mark
                self._alike.add(wrong)
                self._found.pop((wrong, self._misnamed.pop(wrong, "")), None)
                self.add(wrong, f'the {what} "{first}" and "{word}" are the same but for case and separators; keep one')

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
