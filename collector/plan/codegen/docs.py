"""What the plan says of an event or a property in words, as the lines of a comment."""

from __future__ import annotations

import msgspec

from collector.plan.codegen.facts import bounds_in_words
from collector.plan.model import EventPlan, Property


def event_lines(event: EventPlan) -> list[str]:
    """Description, trigger, owner, tags and consent of an event."""
    lines = [_flat(event.description)] if event.description else [f"The event {event.name}."]
    if event.trigger:
        lines.append(f"When: {_flat(event.trigger)}")
    facts = [f"Owner: {event.owner}."] if event.owner else []
    if event.tags:
        facts.append(f"Tags: {', '.join(event.tags)}.")
    if event.consent:
        facts.append(f"Sent only with consent to {', '.join(event.consent)}.")
    if event.sunset:
        facts.append(f"Ends on {event.sunset}.")
    if facts:
        lines.append(_flat(" ".join(facts)))
    return lines


def property_lines(prop: Property) -> list[str]:
    """Description, unit, limits, owner, personal data and examples of a property."""
    lines = [_flat(prop.description)] if prop.description else []
    facts = [f"Unit: {prop.type.unit}."] if prop.type.unit else []
    if limits := bounds_in_words(prop.type):
        facts.append(limits)
    if prop.type.pii is not None:
        facts.append(f"Personal data: {prop.type.pii.pii_class} ({prop.type.pii.handling}).")
    if prop.owner:
        facts.append(f"Owner: {prop.owner}.")
    if prop.tags:
        facts.append(f"Tags: {', '.join(prop.tags)}.")
    if prop.type.examples:
        shown = ", ".join(msgspec.json.encode(example).decode() for example in prop.type.examples[:3])
        facts.append(f"Examples: {shown}.")
    if facts:
        lines.append(_flat(" ".join(facts)))
    return lines


def deprecation(deprecated: bool | str) -> str | None:
    """What to say of a deprecated thing; None when it is not."""
    if deprecated is False:
        return None
    return "It will be removed from the plan." if deprecated is True else _flat(deprecated)


def _flat(text: str) -> str:
    return " ".join(text.split())
