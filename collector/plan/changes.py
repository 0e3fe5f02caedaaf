"""What a change of the plan means: findings, the bump they add up to, and whether a major was asked for.

    compare(old, new) --> Changes --> text, JSON, Markdown (changes_text.py), new versions (release.py)

Semantic versions are computed, never typed: each finding has a rule, each rule a bump, an event takes its worst finding
and the plan its worst event. Only a new major is asked for by a person: in the event's own file (raise its `version` to
the next major and keep the old one in `accept:`), or for the whole plan in plan.yaml. Any other version that somebody
typed is refused, not written over: it may stand in a ticket or in a sender's code already.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

# The event of a finding that is the whole plan's.
WHOLE_PLAN: Final = ""


class Bump(IntEnum):
    """How much a change asks of those who send and read. ERROR is no version at all: the change must not be made."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3
    ERROR = 4

    @property
    def word(self) -> str:
        """As people and JSON write it."""
        return self.name.lower()


# Every rule with its bump and what it is about, in the order of the documentation.
RULES: Final[dict[str, tuple[Bump, str]]] = {
    "DESCRIPTION_CHANGED": (Bump.PATCH, "the description of a property, an event or the plan"),
    "OWNER_CHANGED": (Bump.PATCH, "the owner"),
    "TAGS_CHANGED": (Bump.PATCH, "the tags"),
    "TRIGGER_CHANGED": (Bump.PATCH, "the words on when an event is sent"),
    "EXAMPLES_CHANGED": (Bump.PATCH, "the examples of a value"),
    "TESTS_CHANGED": (Bump.PATCH, "the event's own tests"),
    "EXPECT_CHANGED": (Bump.PATCH, "how much of an event is usual"),
    "DEPRECATED_CHANGED": (Bump.PATCH, "a property or event became deprecated, or no longer is"),
    "SUNSET_POSTPONED": (Bump.PATCH, "a sunset was set, postponed or taken back"),
    "UNTIL_POSTPONED": (Bump.PATCH, "the last day of an older major was set, postponed or taken back"),
    "ACCEPT_ENDED": (Bump.PATCH, "an older major whose last day has passed is no longer listed"),
    "JOURNEYS_CHANGED": (Bump.PATCH, "a journey was added, changed or removed"),
    "NAMING_CHANGED": (Bump.PATCH, "how names must look"),
    "WORDS_CHANGED": (Bump.PATCH, "something that no collector acts on, such as the order of properties"),
    "EVENT_ADDED": (Bump.MINOR, "an event was added"),
    "PROPERTY_ADDED": (Bump.MINOR, "an optional property was added"),
    "REQUIRED_REMOVED": (Bump.MINOR, "a required property became optional"),
    "NULLABLE_ADDED": (Bump.MINOR, "null became a valid value"),
    "ENUM_VALUE_ADDED": (Bump.MINOR, "a listed value was added"),
    "ENUM_REMOVED": (Bump.MINOR, "values are no longer listed"),
    "BOUND_WIDENED": (Bump.MINOR, "a bound of a range, length or count was moved outwards"),
    "BOUND_REMOVED": (Bump.MINOR, "a bound of a range, length or count was removed"),
    "PATTERN_REMOVED": (Bump.MINOR, "a pattern or format was removed"),
    "PRECISION_WIDENED": (Bump.MINOR, "a decimal got more digits"),
    "PROPERTY_RENAMED": (Bump.MINOR, "a property has a new name and keeps the old one as an alias"),
    "ALIAS_ADDED": (Bump.MINOR, "a property may be sent under a further name"),
    "ACCEPT_ADDED": (Bump.MINOR, "an older major is accepted again"),
    "SEMANTIC_ADDED": (Bump.MINOR, "an event got a meaning it did not have"),
    "SAMPLING_CHANGED": (Bump.MINOR, "the share of events that is stored; simulate it first"),
    "CONSENT_CHANGED": (Bump.MINOR, "the consent an event needs"),
    "ENFORCEMENT_CHANGED": (Bump.MINOR, "what happens to events that break the plan; simulate it first"),
    "LIMIT_RAISED": (Bump.MINOR, "a limit of the whole plan was raised"),
    "EVENT_REMOVED": (Bump.MAJOR, "an event was removed"),
    "PROPERTY_REMOVED": (Bump.MAJOR, "a property was removed, or renamed without an alias"),
    "PROPERTY_MERGED": (Bump.MAJOR, "a property became an alias of another that was there before"),
    "ALIAS_REMOVED": (Bump.MAJOR, "a property may no longer be sent under a name"),
    "REQUIRED_PROPERTY_ADDED": (Bump.MAJOR, "a required property was added"),
    "REQUIRED_ADDED": (Bump.MAJOR, "an optional property became required"),
    "NULLABLE_REMOVED": (Bump.MAJOR, "null is no longer valid"),
    "ENUM_ADDED": (Bump.MAJOR, "only listed values are valid now"),
    "ENUM_VALUE_REMOVED": (Bump.MAJOR, "a listed value is no longer valid"),
    "BOUND_NARROWED": (Bump.MAJOR, "a bound of a range, length or count was moved inwards"),
    "BOUND_ADDED": (Bump.MAJOR, "a bound of a range, length or count was added"),
    "PATTERN_ADDED": (Bump.MAJOR, "a pattern or format was added"),
    "PATTERN_CHANGED": (Bump.MAJOR, "a pattern or format was changed"),
    "PRECISION_NARROWED": (Bump.MAJOR, "a decimal got fewer digits before or after the point"),
    "TYPE_CHANGED": (Bump.MAJOR, "any other type, also integer to number: stored values change"),
    "UNIT_CHANGED": (Bump.MAJOR, "the unit: the same number means something else"),
    "COLUMN_CHANGED": (Bump.MAJOR, "the column of a typed view"),
    "PII_CHANGED": (Bump.MAJOR, "what is done to a value about a person"),
    "SEMANTIC_CHANGED": (Bump.MAJOR, "what the event means to the reports"),
    "UPCAST_CHANGED": (Bump.MAJOR, "how an older major reads as the newest"),
    "SEEN_WITH_OTHER_TYPE": (Bump.MAJOR, "a new optional name that was already sent, unplanned, with another type"),
    "SUNSET_BROUGHT_FORWARD": (Bump.MAJOR, "a sunset is earlier than announced, or has passed when it is set"),
    "UNTIL_BROUGHT_FORWARD": (Bump.MAJOR, "the last day of an older major is earlier than announced, or has passed"),
    "ACCEPT_REMOVED": (Bump.MAJOR, "an older major is no longer accepted"),
    "MAJOR_RAISED": (Bump.MAJOR, "the event's own file, or plan.yaml, asks for a new major"),
    "LIMIT_LOWERED": (Bump.MAJOR, "a limit of the whole plan was lowered"),
    "REMOVED_NAME_REUSED": (Bump.ERROR, "a name that an older major had with another type is used again"),
    "HISTORY_EDITED": (Bump.ERROR, "a frozen major is not what was released"),
    "MAJOR_REUSED": (Bump.ERROR, "an event comes back under a major that is already taken"),
    "VERSION_LOWERED": (Bump.ERROR, "a version is lower than the one it is compared with"),
    "VERSION_TYPED": (Bump.ERROR, "a version that is neither the released one, nor the computed, nor the next major"),
    "LAST_MAJOR_PAST_SUNSET": (Bump.ERROR, "nothing of an event is accepted any more"),
}


class Finding(Struct, frozen=True, gc=False):
    """One difference between two plans.

    `pointer` is a JSON pointer into the event as sent (`/properties/items/*/sku`; `*` is any item or key) or, outside
    /properties, into its file. `sentence` does not name the event, so that one edit of a group reads alike everywhere.
    """

    rule: str
    bump: Bump
    event: str
    pointer: str
    sentence: str

    def as_json(self) -> dict[str, str]:
        """Plain JSON, with the bump as a word."""
        return {
            "rule": self.rule,
            "bump": self.bump.word,
            "event": self.event,
            "pointer": self.pointer,
            "sentence": self.sentence,
        }


class EventChange(Struct, frozen=True, kw_only=True):
    """What happens to one event, or to the plan (`WHOLE_PLAN`).

    `old` and `stated` are versions; empty where the event is not there. `next` is the version it will be released
    under: the computed one, or, where several releases lie between the two plans, the later one that the newer has.
    `asked` is whether a person asked for a new major.
    """

    event: str
    bump: Bump
    old: str
    stated: str
    computed: str
    next: str
    asked: bool


class Changes(Struct, frozen=True, kw_only=True):
    """The outcome of a comparison: findings, worst first within an event, and each changed event's versions."""

    findings: tuple[Finding, ...]
    events: dict[str, EventChange]
    plan: EventChange

    @property
    def bump(self) -> Bump:
        """The plan's bump: that of its worst event."""
        return self.plan.bump

    @property
    def unasked(self) -> tuple[Finding, ...]:
        """Findings that need a major which nobody asked for."""
        return tuple(
            finding
            for finding in self.findings
            if finding.bump is Bump.MAJOR and not self.plan.asked and not self._asks(finding)
        )

    def _asks(self, finding: Finding) -> bool:
        # What ends an older major, or a whole event, is not paid for by a new major of the same event.
        change = self.events.get(finding.event)
        return change is not None and change.asked and finding.rule not in ("ACCEPT_REMOVED", "EVENT_REMOVED")

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings for which there is no version."""
        return tuple(finding for finding in self.findings if finding.bump is Bump.ERROR)

    @property
    def refused(self) -> bool:
        """True when the change cannot be released as it is."""
        return bool(self.errors or self.unasked)


@lru_cache(maxsize=1_024)  # the events of a plan share a few
def parts_of(version: str) -> tuple[int, int, int]:
    """The three numbers of a version."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def next_version(old: str, bump: Bump) -> str:
    """The version that follows.

    >>> next_version("1.4.2", Bump.MINOR)
    '1.5.0'
    """
    major, minor, patch = parts_of(old)
    computed = {
        Bump.NONE: (major, minor, patch),
        Bump.PATCH: (major, minor, patch + 1),
        Bump.MINOR: (major, minor + 1, 0),
    }.get(bump, (major + 1, 0, 0))
    return ".".join(str(part) for part in computed)


def worst(findings: Iterable[Finding]) -> Bump:
    """The highest bump; NONE when there is nothing."""
    return max((finding.bump for finding in findings), default=Bump.NONE)
