"""Names of generated code: of events as functions and types, and of the objects they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

from collector.plan.problems import fold

_EDGES = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")


class CodegenError(Exception):
    """Helpers cannot be made of a plan; the text is one sentence."""


def words_of(name: str) -> list[str]:
    """The words of a name: `Order completed`, `order_completed` and `orderCompleted` have the same two."""
    return [word for word in _EDGES.split(name) if word]


def camel_case(name: str) -> str:
    """`add_to_cart` as addToCart."""
    first, *rest = words_of(name) or [""]
    return first[:1].lower() + first[1:] + "".join(word[:1].upper() + word[1:] for word in rest)


def pascal_case(name: str) -> str:
    """`add_to_cart` as AddToCart."""
    return "".join(word[:1].upper() + word[1:] for word in words_of(name))


def type_name(name: str) -> str:
    """A name in Pascal case that can be one of a type."""
    made = pascal_case(name)
    return made if made.isidentifier() else f"Event{made}"


def snake_case(name: str) -> str:
    """`addToCart` as add_to_cart."""
    return "_".join(words_of(name)).lower()


def singular(name: str) -> str:
    """What one entry of a list is called: of `items` an item, of `news` an entry."""
    for ending, one in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if name.endswith(ending) and len(name) > len(ending) + 1 and not name.endswith(("ss", "us", "news", "series")):
            return name.removesuffix(ending) + one
    return f"{name}_entry"


def helper_names(events: Iterable[str], spell: object, taken: frozenset[str], suffix: str) -> dict[str, str]:
    """A name for each event, by one spelling.

    A name that the language keeps for itself gets the suffix (`delete` is deleteEvent), one that starts with a digit
    gets a word in front (`2fa` is event2fa).

    Raises:
        CodegenError: a name has no letters or digits, or two events would have the same helper.
    """
    assert callable(spell)
    made: dict[str, str] = {}
    owners: dict[str, str] = {}
    for event in sorted(events):
        name = spell(event)
        if name[:1].isdigit():
            name = spell(f"event {name}")
        if name in taken:
            name += suffix
        if not name.isidentifier():
            raise CodegenError(f'the event "{event}" cannot be the name of a helper; rename it with letters and digits')
        other = owners.setdefault(fold(name), event)
        if other != event:
            raise CodegenError(
                f'the events "{other}" and "{event}" would both be the helper {name}; rename one of them'
            )
        made[event] = name
    return made
