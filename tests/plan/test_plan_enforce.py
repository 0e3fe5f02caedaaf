"""What happens to a violation: each class, action, environment and date, and what is stored of the event."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from plan.built import compiled, event, listing, number, plan_of, rules, text, thing

from collector.plan import Checked, CompiledPlan
from collector.plan.model import Accept, Action, Rule, Sampling, Type
from collector.plan.sampling import kept
from collector.reason import Reason

A = Action
DAY_MS = 86_400_000


def ms(day: str) -> int:
    """Midnight of a day, UTC."""
    return int(datetime.datetime.fromisoformat(day + "T00:00:00+00:00").timestamp() * 1000)


def judged(plan: CompiledPlan, sent: Any, **how: Any) -> Checked:
    """The verdict on one document, given as text or as what it says."""
    document = sent.encode() if isinstance(sent, str) else json.dumps(sent).encode()
    return plan.check("e", how.pop("major", None), document, **how)


def words(checked: Checked) -> list[str]:
    return [violation.word() for violation in checked.violations]


def stored(checked: Checked, sent: Any) -> Any:
    """The properties as they are stored."""
    return sent if checked.properties is None else json.loads(checked.properties)


def extra(checked: Checked) -> dict[str, Any]:
    return {name: json.loads(part) for name, part in checked.extra.items()}


# Strip


def test_a_stripped_value_moves_to_extra_and_the_rest_keeps_its_bytes() -> None:
    plan = compiled(number("n"), text("t"), rules=rules({"wrong_type": A.STRIP}))
    checked = judged(plan, '{"t": "\\u00e9", "n": "7.50",  "t2":1.50}')
    assert checked.rejected is None
    assert checked.properties == b'{"t":"\\u00e9","t2":1.50}'
    assert checked.extra == {"n": b'"7.50"', "t2": b"1.50"}
    assert words(checked) == ["wrong_type:/properties/n", "unknown_property:/properties/t2"]


def test_a_required_property_that_is_stripped_is_missing() -> None:
    plan = compiled(number("n", required=True), rules=rules({"wrong_type": A.STRIP}))
    checked = judged(plan, {"n": "x"})
    assert words(checked) == ["wrong_type:/properties/n", "missing_required:/properties/n"]
    assert checked.rejected is not None
    assert checked.rejected.reason is Reason.MISSING_REQUIRED
    lenient = compiled(number("n", required=True), rules=rules({"wrong_type": A.STRIP, "missing_required": A.FLAG}))
    checked = judged(lenient, {"n": "x"})
    assert (checked.rejected, stored(checked, None), extra(checked)) == (None, {}, {"n": "x"})


def test_what_is_stripped_inside_objects_and_lists_is_named_by_its_place_as_sent() -> None:
    line = Type(kind="object", properties=(text("sku", required=True), number("count", maximum=9)))
    plan = compiled(
        listing("lines", line),
        listing("tags", Type(kind="string", max_length=3)),
        thing("a/b", number("n")),
        rules=rules({"wrong_type": A.STRIP, "constraint": A.STRIP, "unknown_property": A.STRIP}),
    )
    sent = {
        "lines": [{"sku": "a", "count": 10}, {"sku": "b", "count": 1, "x": 1}, {"sku": "c", "count": "1"}],
        "tags": ["ok", 5, "long", "x"],
        "a/b": {"n": "1", "m": 2},
    }
    checked = judged(plan, sent)
    assert stored(checked, sent) == {
        "lines": [{"sku": "a"}, {"sku": "b", "count": 1}, {"sku": "c"}],
        "tags": ["ok", "x"],
        "a/b": {},
    }
    assert extra(checked) == {
        "lines/0/count": 10,
        "lines/1/x": 1,
        "lines/2/count": "1",
        "tags/1": 5,
        "tags/2": "long",
        "a~1b/n": "1",
        "a~1b/m": 2,
    }
    assert [f"/properties/{name}" for name in checked.extra] == [found.pointer for found in checked.violations]


def test_a_list_that_is_too_short_without_what_is_stripped_breaks_its_bound() -> None:
    plan = compiled(listing("l", Type(kind="integer"), min_items=2), rules=rules({"wrong_type": A.STRIP}))
    assert words(judged(plan, {"l": [1, "x"]})) == ["wrong_type:/properties/l/1", "constraint:/properties/l"]
    assert words(judged(plan, {"l": [1, "x", 2]})) == ["wrong_type:/properties/l/1"]


def test_properties_that_are_no_object_can_be_stripped_whole() -> None:
    plan = compiled(number("n"), rules=rules({"wrong_type": A.STRIP}))
    for sent in ("[1, 2]", "null", '"x"'):
        checked = judged(plan, sent)
        assert (checked.rejected, checked.properties, checked.extra) == (None, b"{}", {"properties": sent.encode()})
    required = compiled(number("n", required=True), rules=rules({"wrong_type": A.STRIP}))
    assert words(judged(required, "[]")) == ["wrong_type:/properties", "missing_required:/properties/n"]


def test_more_unknown_properties_than_are_listed_are_all_stripped() -> None:
    plan = compiled(number("n"), rules=rules({"unknown_property": A.STRIP}))
    sent = {f"x{i}": i for i in range(500)} | {"n": 1}
    checked = judged(plan, sent)
    assert len(checked.violations) == 64
    assert stored(checked, sent) == {"n": 1}
    assert len(checked.extra) == 500


def test_an_unplanned_property_that_is_flagged_stays_and_is_in_extra_too() -> None:
    checked = judged(compiled(number("n")), {"n": 1, "colour": "red"})
    assert checked.properties is None
    assert extra(checked) == {"colour": "red"}


def test_what_the_plan_allows_is_not_in_extra() -> None:
    allowing = rules({"unknown_property": A.ALLOW})
    checked = judged(compiled(number("n"), rules=allowing), {"n": 1, "colour": "red"})
    assert (checked.violations, checked.properties, checked.extra) == ((), None, {})


def test_of_a_name_that_stands_twice_the_last_counts() -> None:
    plan = compiled(number("n"), rules=rules({"wrong_type": A.STRIP}))
    assert judged(plan, '{"n":"x","n":1}').violations == ()
    checked = judged(plan, '{"n":1,"n":"x"}')
    assert (checked.properties, checked.extra) == (b"{}", {"n": b'"x"'})


# Which action wins


def test_the_strictest_of_all_violations_decides() -> None:
    plan = compiled(
        number("n", maximum=3),
        rules=rules({"wrong_type": A.STRIP, "constraint": A.QUARANTINE, "undeclared_pii": A.DROP}),
    )
    checked = judged(plan, {"n": 4, "x": "call a@b.example"})
    assert checked.dropped is not None
    assert checked.dropped.reason is Reason.UNDECLARED_PII
    assert checked.rejected is not None
    checked = judged(plan, {"n": 4, "x": 1})
    assert (checked.dropped, checked.rejected) == (None, checked.violations[0])


def test_environments_have_rules_of_their_own_and_others_those_of_production() -> None:
    own = rules({"missing_required": A.QUARANTINE}, dev={"missing_required": A.FLAG})
    plan = compiled(number("n", required=True), rules=own)
    assert judged(plan, {}, environment="dev").rejected is None
    assert words(judged(plan, {}, environment="dev")) == ["missing_required:/properties/n"]
    for environment in ("prod", "staging"):
        assert judged(plan, {}, environment=environment).rejected is not None
    unknown = CompiledPlan(plan_of(rules=rules({"unknown_event": A.QUARANTINE}, dev={"unknown_event": A.ALLOW})))
    assert judged(unknown, {}, environment="dev").violations == ()
    assert judged(unknown, {}).rejected is not None


# Dates


TIGHTER = Rule(action=A.QUARANTINE, starts=datetime.date(2026, 12, 1), before=A.FLAG)


def test_a_tighter_rule_is_shadowed_and_counted_until_its_day() -> None:
    plan = compiled(number("n", maximum=3), rules=rules({"constraint": TIGHTER}))
    for now_ms, action in ((ms("2026-12-01") - 1, A.FLAG), (ms("2026-12-01"), A.QUARANTINE), (0, A.FLAG)):
        checked = judged(plan, {"n": 4}, now_ms=now_ms)
        assert (checked.rejected is not None) == (action is A.QUARANTINE)
        assert checked.shadowed == (() if action is A.QUARANTINE else (Reason.CONSTRAINT,))
    assert judged(plan, {"n": 3}, now_ms=ms("2026-11-01")).shadowed == ()


@pytest.mark.parametrize("word", ["unknown_property", "undeclared_pii"])
def test_a_class_that_is_allowed_until_a_day_is_counted_before_it(word: str) -> None:
    later = Rule(action=A.QUARANTINE, starts=datetime.date(2026, 12, 1), before=A.ALLOW)
    allowed: dict[str, Action | Rule] = {"unknown_property": A.ALLOW, "undeclared_pii": A.ALLOW}
    plan = compiled(number("n"), rules=rules(allowed | {word: later}))
    checked = judged(plan, {"n": 1, "x": "a@b.example"}, now_ms=ms("2026-11-30"))
    assert (checked.violations, [reason.word for reason in checked.shadowed]) == ((), [word])
    assert judged(plan, {"n": 1, "x": "a@b.example"}, now_ms=ms("2026-12-01")).rejected is not None


def two_majors(**facts: Any) -> CompiledPlan:
    accept = (Accept(major=1, until=datetime.date(2026, 12, 31)),)
    return CompiledPlan(plan_of(event(number("n"), accept=accept, **facts), history=(event(number("o"), major=1),)))


def test_a_major_is_accepted_through_its_last_day() -> None:
    plan = two_majors()
    assert judged(plan, {"o": 1}, major=1, now_ms=ms("2027-01-01") - 1).violations == ()
    checked = judged(plan, {"o": 1, "x": 1}, major=1, now_ms=ms("2027-01-01"))
    assert words(checked) == ["sunset_version:/event", "unknown_property:/properties/x"]
    assert checked.rejected is not None
    assert "send version 2" in checked.rejected.fix
    assert judged(plan, {"n": 1}, now_ms=ms("2030-01-01")).violations == ()


def test_an_event_past_its_sunset_is_a_violation_of_its_own_class() -> None:
    plan = two_majors(sunset=datetime.date(2026, 6, 1), rules=rules({"sunset_version": A.FLAG}))
    assert judged(plan, {"n": 1}, now_ms=ms("2026-06-01") - 1).violations == ()
    checked = judged(plan, {"n": 1}, now_ms=ms("2026-06-01"))
    assert (words(checked), checked.rejected, checked.event_version) == (["sunset_version:/event"], None, 2)
    assert words(judged(plan, {"o": 1}, major=1, now_ms=ms("2026-06-01"))) == ["sunset_version:/event"]


# Sampling


def test_a_sample_by_visitor_is_the_same_for_every_event_and_part_of_every_larger_one() -> None:
    tenth, half = Sampling(rate=0.1), Sampling(rate=0.5)
    visitors = [f"visitor-{n}" for n in range(4_000)]
    small = {visitor for visitor in visitors if kept(tenth, visitor, "a")}
    large = {visitor for visitor in visitors if kept(half, visitor, "b")}
    assert small == {visitor for visitor in visitors if kept(tenth, visitor, "another event")}
    assert small < large
    assert 300 < len(small) < 500
    assert 1_850 < len(large) < 2_150
    assert all(kept(Sampling(rate=1.0), visitor, "a") for visitor in visitors)


def test_a_sample_by_event_looks_at_the_id_alone() -> None:
    sampling = Sampling(rate=0.25, by="event")
    ids = [str(n) for n in range(4_000)]
    taken = {message_id for message_id in ids if kept(sampling, "one", message_id)}
    assert taken == {message_id for message_id in ids if kept(sampling, "other", message_id)}
    assert 880 < len(taken) < 1_120


# A new version of the plan


def test_events_that_did_not_change_are_taken_over_from_the_plan_before() -> None:
    same, old, new = event(number("n"), name="same", hash="1"), event(hash="2"), event(number("n"), hash="3")
    first = CompiledPlan(plan_of(same, old))
    second = CompiledPlan(plan_of(same, new), first)
    assert second.find("same", None) is first.find("same", None)
    assert second.find("e", None) is not first.find("e", None)
    third = CompiledPlan(plan_of(event(name="same"), new), second)
    assert third.find("same", None) is not first.find("same", None), "without a hash nothing can be known to be equal"
