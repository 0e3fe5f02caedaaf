"""Rules: which action each class of violation has, in each environment. Event before environment before plan."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from msgspec import Struct

from collector.plan.keywords import RULE, Table
from collector.plan.model import ACTIONS_OF, DEFAULT_ACTIONS, PROD, Action, Rule, Rules
from collector.plan.problems import Mark, Problems, nearest
from collector.plan.read import Leaf, Map, Value, plain
from collector.reason import Reason

_REASONS = {reason.word: reason for reason in DEFAULT_ACTIONS}
DEFAULT_RULES: dict[Reason, Rule] = {reason: Rule(action=action) for reason, action in DEFAULT_ACTIONS.items()}


class Stated(Struct, frozen=True):
    """One line of an `enforce:` mapping."""

    action: Action
    starts: datetime.date | None
    mark: Mark


def read_enforce(found: Value | None, known: Table, place: str, problems: Problems) -> dict[Reason, Stated]:
    """What one `enforce:` mapping says. `known` holds the classes that `place` may speak of."""
    stated: dict[Reason, Stated] = {}
    for key, value in found.entries.items() if isinstance(found, Map) else ():
        assert isinstance(found, Map)
        if key not in known:
            sentence = f'"{key}" is not a class of violation that {place} can enforce{nearest(key, known)}'
            problems.add(found.keys[key], sentence)
        elif (one := _stated(_REASONS[key], value, problems)) is not None:
            stated[_REASONS[key]] = one
    return stated


def _stated(reason: Reason, value: Value, problems: Problems) -> Stated | None:
    starts: datetime.date | None = None
    action: Value | None = value
    if isinstance(value, Map):
        for key in value.entries:
            if key not in RULE:
                problems.add(value.keys[key], f'"{key}" is not a keyword of a rule{nearest(key, RULE)}')
        action, since = value.entries.get("action"), value.entries.get("from")
        if action is None:
            problems.add(value.mark, f'the rule for {reason.word} has no "action"; add one')
            return None
        if since is not None:
            if complaint := RULE["from"].complaint(since):
                problems.add(since.mark, f'"from" {complaint}')
                return None
            starts = datetime.date.fromisoformat(str(plain(since)))
    allowed = [one.value for one in ACTIONS_OF[reason]]
    word = action.value if isinstance(action, Leaf) else None
    if word in allowed:
        return Stated(Action(word), starts, value.mark)
    assert action is not None
    if word in [one.value for one in Action]:
        why = "it loses data, so it is for undeclared_pii only" if word == "drop" else "there is no value to strip"
        problems.add(action.mark, f'{reason.word} cannot be "{word}": {why}; use {", ".join(allowed)}')
    else:
        problems.add(action.mark, f"{plain(action)!r} is not an action; use {', '.join(allowed)}")
    return None


def settled(
    rules: Rules, stated: dict[Reason, Stated], problems: Problems, environments: Iterable[str] | None = None
) -> Rules:
    """The rules with what is stated laid over them, in these environments (all when None)."""
    chosen = set(rules if environments is None else environments)
    return {
        environment: _over(under, stated, environment, problems) if environment in chosen else under
        for environment, under in rules.items()
    }


def _over(
    under: dict[Reason, Rule], stated: dict[Reason, Stated], environment: str, problems: Problems
) -> dict[Reason, Rule]:
    made = dict(under)
    for reason, one in stated.items():
        if one.starts is None:
            made[reason] = Rule(action=one.action)
            continue
        before = under[reason]
        if before.starts is not None:
            sentence = f'the rule for {reason.word} that this one replaces has a "from" of its own; keep one of the two'
            problems.add(one.mark, sentence)
        elif environment == PROD and one.action <= before.action:
            sentence = (
                f"{reason.word} is {before.action.value} already, and {one.action.value} is not stricter; "
                '"from" is for tightening: remove it'
            )
            problems.add(one.mark, sentence)
        made[reason] = Rule(action=one.action, starts=one.starts, before=before.action)
    return made
