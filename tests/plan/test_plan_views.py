"""The text of typed views: what it says of majors, and that it depends on the plan alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan.built import event, number, rules, text

from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import Plan, load_plan
from collector.plan.lock import lock_bytes, read_lock
from collector.plan.model import Accept, Column, EventPlan, Property, Type, Upcast
from collector.plan.values import form_of
from collector.plan.views import TypedView, checksum_in, typed_views, view_name


def plan_of(*events: EventPlan, history: tuple[EventPlan, ...] = ()) -> Plan:
    return Plan(
        name="p",
        version="1.0.0",
        events={one.name: one for one in events},
        history={(one.name, one.major): one for one in history},
        rules=rules(),
    )


def only_view(*events: EventPlan, history: tuple[EventPlan, ...] = ()) -> TypedView:
    [view] = typed_views(plan_of(*events, history=history))
    return view


def source(view: TypedView, name: str) -> str:
    return next(column.source for column in view.columns if column.name == name)


def test_a_lock_makes_the_views_that_its_yaml_makes(tmp_path: Path) -> None:
    plan = load_plan(DEFAULT_PLAN_DIR)
    lock = tmp_path / "plan.lock"
    lock.write_bytes(lock_bytes(plan))
    assert typed_views(read_lock(lock)) == typed_views(plan)


def test_a_view_is_told_by_its_comment() -> None:
    view = only_view(event(text("a"), description="Made by Footfall from the tracking plan, or so it says."))
    assert view.checksum in view.create("footfall")
    made = view.create("footfall").split("\nCOMMENT ")[1].split("\nAS SELECT")[0].strip("'")
    assert checksum_in(made) == view.checksum
    assert checksum_in("made by hand") == "" == checksum_in("")


@pytest.mark.parametrize(
    "changed",
    [
        event(text("a"), text("b")),
        event(number("a")),
        event(Property(name="a", type=Type(kind="string"), description="new words")),
        event(text("a"), owner="team-b"),
    ],
    ids=["a property more", "another type", "another description", "another owner"],
)
def test_what_a_view_shows_is_in_its_checksum(changed: EventPlan) -> None:
    assert only_view(event(text("a"))).checksum != only_view(changed).checksum


def test_rules_of_enforcement_remake_no_view() -> None:
    before = event(text("a"))
    after = event(text("a"), rules=rules(staging={}))
    assert only_view(before) == only_view(after)


def test_a_name_that_an_older_major_gave_away_is_not_read_from_it() -> None:
    """`id` was renamed; that the newest major has another `id` must not mix the two."""
    upcast = Upcast(rename={"id": "order_id"})
    newest = event(text("id"), text("order_id"), accept=(Accept(major=1, upcast=upcast),))
    view = only_view(newest, history=(event(text("id"), major=1),))
    mine, given = "e.property.`key_order_id`", "e.property.`key_id`"
    assert source(view, "order_id") == f"multiIf(e.event_version = 1, coalesce({given}, {mine}), {mine})"
    assert source(view, "id") == f"multiIf(e.event_version = 1, CAST(NULL AS Nullable(String)), {given})"


def test_majors_that_agree_need_no_cases() -> None:
    view = only_view(event(text("a"), accept=(Accept(major=1),)), history=(event(text("a"), major=1),))
    assert source(view, "a") == "e.property.`key_a`"


def test_long_names_are_cut_and_stay_apart() -> None:
    one, other = view_name("x" * 300), view_name("x" * 299 + "y")
    assert one != other
    assert max(len(one), len(other)) < 200
    assert view_name("purchase") == "event_purchase"


def test_numbers_get_no_dictionary_which_clickhouse_would_refuse() -> None:
    assert form_of(Type(kind="integer", column=Column(type="LowCardinality(Int64)"))).final == "Nullable(Int64)"
    assert form_of(Type(kind="string", column=Column(type="LowCardinality(String)"))).final == (
        "LowCardinality(Nullable(String))"
    )
