"""Status: what of a plan is in use, counted exactly."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from msgspec import structs
from plan import built
from plan.hindsight import NOW_MS, Site, site, track
from plan.test_plan_replay import LENIENT, run

from collector.database.publish import record_version
from collector.database.store import Store
from collector.hindsight.usage import Counted, Usage, usage
from collector.plan.lock import sealed
from collector.plan.model import Accept, Environment, Expect, Expected, Plan

DAY_MS = 86_400_000
TODAY = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC).date()
PLAN = built.plan_of(
    built.event(built.number("n", required=True), built.listing("items", built.thing("x", built.number("q")).type),
                name="bought"),
    built.event(built.text("note", max_length=3), name="noted"),
    built.event(name="never"),
)  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path, dsn: str, store: Store) -> Site:
    return site(tmp_path, dsn, store, PLAN)


def used(shop: Site, plan: Plan = PLAN, days: int = 7, failed_max: float = 1) -> Usage:
    with shop.asking() as ask:
        return usage(ask, plan, days, NOW_MS + 1, failed_max)


def test_every_event_is_in_one_state(shop: Site) -> None:
    shop.receive(track("bought", "a", n=1), track("bought", "b", n=2), track("wild", "c", x=1))
    shop.receive(track("noted", "d", note="ok"), received_ms=NOW_MS - 10 * DAY_MS)
    shop.load()
    found = used(shop)
    assert {name: one.state for name, one in found.events.items()} == {
        "bought": "seen", "noted": "not seen lately", "never": "never seen", "wild": "not planned",
    }  # fmt: skip
    bought, noted, wild = (found.events[name] for name in ("bought", "noted", "wild"))
    assert (bought.count, bought.versions, bought.first_seen_ms, bought.last_seen_ms) == (2, {2: 2}, NOW_MS, NOW_MS)
    assert (noted.count, noted.last_seen_ms) == (0, NOW_MS - 10 * DAY_MS)
    assert (wild.count, wild.versions) == (1, {0: 1})
    assert found.wrong == ["wild: it is not planned and came 1 times; add it to the plan, or stop sending it"]


def test_violations_are_counted_by_class_and_place(shop: Site) -> None:
    items = [{"q": 1, "odd": 1}, {"q": 1, "odd": "x"}]
    shop.receive(
        track("bought", "a", n=1, items=items, colour="red"), track("bought", "b", n=1, colour=7, **{"a/b": True})
    )
    shop.receive(track("Bought", "c"), track("bought", "d", items=[{"q": "x"}, {}, {"q": "y"}]))
    shop.load()
    bought = used(shop).events["bought"]
    assert bought.violations == [
        Counted("unknown_property:/properties/colour", 2),
        Counted("unknown_property:/properties/items/*/odd", 2),
        Counted("unknown_property:/properties/a~1b", 1),
    ]
    assert bought.failures == [
        Counted("missing_required:/properties/n", 2),
        Counted("wrong_type:/properties/items/*/q", 2),
    ]
    assert {one.name: one.count for one in bought.unplanned} == {
        "colour (string)": 1, "colour (integer)": 1, "a/b (boolean)": 1,
        "items/*/odd (integer)": 1, "items/*/odd (string)": 1,
    }  # fmt: skip
    assert (bought.count, bought.flagged, bought.failed) == (2, 2, 2)
    assert bought.failed_share == 0.5

    # An environment that reports to CI allows none of them.
    assert used(shop).wrong == []
    strict = structs.replace(PLAN, environments={"staging": Environment(report="ci"), "dev": Environment()})
    for environment in ("staging", "dev"):
        shop.receive(track("bought", f"a-{environment}", n=1, colour="red"), track("noted", "fine", note="ok"),
                     track("noted", f"b-{environment}", note="too long"), environment=environment)  # fmt: skip
    shop.load()
    assert used(shop, strict).wrong == [
        "bought: staging reports to CI, and from there came unknown_property:/properties/colour 1",
        "noted: staging reports to CI, and from there came constraint:/properties/note 1",
    ]


def test_what_was_replayed_is_no_longer_lost(shop: Site) -> None:
    shop.receive(track("noted", "a", note="longer"), track("noted", "b", note="l" * 99), track("noted", "c", note="ok"))
    shop.load()
    before = used(shop, failed_max=0.5).events["noted"]
    assert (before.failed, before.replayed, before.wrong) == (
        2,
        0,
        ["2 events failed, 66.7% of all; the limit is 50.0%"],
    )
    run(shop, LENIENT)
    after = used(shop, failed_max=0.5).events["noted"]
    assert (after.failed, after.replayed, after.wrong) == (2, 1, [])
    assert after.failed_share == pytest.approx(1 / 3)


def test_expectations_are_held_against_whole_days(shop: Site) -> None:
    expecting = built.plan_of(
        built.event(name="bought", expect=Expect(daily=Expected(min=2, max=3), ratio=Expected(of="noted", min=0.5))),
        built.event(name="noted"),
    )
    counts = {0: 9, 1: 2, 2: 1, 3: 4, 5: 9}  # by how many days ago; the first day was no whole one
    for ago, count in counts.items():
        shop.receive(*(track("bought", f"{ago}-{n}", n=1) for n in range(count)), received_ms=NOW_MS - ago * DAY_MS)
    shop.receive(*(track("noted", f"n{n}", note="ok") for n in range(20)), received_ms=NOW_MS - DAY_MS)
    shop.load()
    day = [TODAY - datetime.timedelta(days=ago) for ago in range(6)]
    assert used(shop, expecting).events["bought"].unmet == [
        f"2 of 4 days had fewer than 2: {day[4]} (0), {day[2]} (1)",
        f"1 of 4 days had more than 3: {day[3]} (4)",
        "there were 0.35 of it for each noted, at least 0.5 are expected",
    ]


def test_ends_are_announced_and_wrong_only_while_events_still_come(shop: Site) -> None:
    days = datetime.timedelta
    old = built.event(name="bought", major=1)
    ending = built.plan_of(
        built.event(name="bought", sunset=TODAY + days(30), accept=(Accept(major=1, until=TODAY - days(1)),)),
        built.event(name="noted", sunset=TODAY - days(5)),
        built.event(name="never", sunset=TODAY + days(365)),
        history=(old,),
    )
    shop.receive(track("bought@1", "a"), tools=shop.tools_of(built.plan_of(built.event(name="bought"), history=(old,))))
    shop.load()
    found = used(shop, ending)
    assert found.events["bought"].ends == [
        f"version 1 ended on {TODAY}, and came 1 times",
        f"version 2 ends on {TODAY + days(30)}, in 30 days",
    ]
    assert found.events["noted"].ends == [f"version 2 ended on {TODAY - days(5)}"]
    assert found.events["never"].ends == []
    assert found.wrong == [f"bought: version 1 ended on {TODAY} and still came 1 times"]


def test_an_empty_database_has_nothing_wrong(shop: Site) -> None:
    expecting = built.plan_of(built.event(name="bought", expect=Expect(daily=Expected(min=2))))
    found = used(shop, expecting)
    assert found.wrong == []
    assert found.events["bought"].state == "never seen"

    # Two branches that were released on their own: told for as long as one of them is of the days that are looked at.
    for days_ago, plan in ((9, PLAN), (8, expecting)):
        assert record_version(shop.store, sealed(plan), NOW_MS - days_ago * DAY_MS)
    assert record_version(shop.store, structs.replace(sealed(PLAN), unreleased=True), NOW_MS)
    assert used(shop, expecting).wrong == []
    assert record_version(shop.store, sealed(PLAN), NOW_MS)
    (said,) = used(shop, expecting).wrong
    assert said.startswith("test 1.2.3 was released 2 times with different content")
