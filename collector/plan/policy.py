"""Which action a class of violation has here and now: the plan's rules for one environment on one day.

rules by environment --at(environment, now)--> Policy
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from functools import cache

from msgspec import Struct

from collector.plan.model import PROD, Action, Rules
from collector.reason import Reason

FOREVER_MS = 2**63 - 1
DAY_MS = 86_400_000


class Policy(Struct, frozen=True):
    """The actions in force from `since_ms` until `until_ms`.

    `shadows` holds the action of each rule that has a start date still to come and will then judge otherwise.
    """

    actions: dict[Reason, Action]
    shadows: dict[Reason, Action] = {}
    since_ms: int = 0
    until_ms: int = FOREVER_MS


class Policies:
    """The policies of one event, or of all that are not planned; each made when it is first asked for."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._made: dict[str, Policy] = {}

    def at(self, environment: str, now_ms: int) -> Policy:
        """The policy of a moment, the clock's milliseconds since 1970. What the plan does not name is production."""
        name = environment if environment in self._rules else PROD
        policy = self._made.get(name)
        if policy is None or not policy.since_ms <= now_ms < policy.until_ms:
            policy = self._made[name] = self._make(name, now_ms)
        return policy

    def look_for(self, reasons: Iterable[Reason]) -> bool:
        """True when one of these classes is anything but allowed, in any environment, now or later."""
        return any(
            rule.action is not Action.ALLOW or (rule.starts is not None and rule.before is not Action.ALLOW)
            for rules in self._rules.values()
            for reason, rule in rules.items()
            if reason in reasons
        )

    def _make(self, name: str, now_ms: int) -> Policy:
        rules = self._rules[name]
        day = datetime.date.fromordinal(_EPOCH + now_ms // DAY_MS)
        changes = sorted(midnight_ms(rule.starts) for rule in rules.values() if rule.starts is not None)
        actions = {reason: rule.on(day) for reason, rule in rules.items()}
        actions[Reason.EVENT_VERSION_UNKNOWN] = actions[Reason.UNKNOWN_EVENT]
        return Policy(
            actions,
            {reason: rule.action for reason, rule in rules.items() if rule.action is not actions[reason]},
            max((moment for moment in changes if moment <= now_ms), default=0),
            min((moment for moment in changes if moment > now_ms), default=FOREVER_MS),
        )


@cache  # one for each action; nobody changes a policy
def policy_of_all(action: Action) -> Policy:
    """One action for every class."""
    return Policy(dict.fromkeys(Reason, action))


def midnight_ms(day: datetime.date) -> int:
    """When a day begins, UTC."""
    return (day.toordinal() - _EPOCH) * DAY_MS


_EPOCH = datetime.date(1970, 1, 1).toordinal()
