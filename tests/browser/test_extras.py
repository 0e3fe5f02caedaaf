"""What the tag's extras do in a real Chromium; the scenarios and their names live in extras.mjs, each is one test here.

Those whose name begins with `real:` talk to a real collector, the others to one that records and answers as told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from browser.playing import Player, chosen, listed_by, names_in, playing
from serving import Serving, serving

pytestmark = pytest.mark.xdist_group("browser")  # pages of two browsers at once would only wait for each other

FILE = "extras.mjs"
NAMES = names_in(FILE)
REAL = [name for name in NAMES if name.startswith("real:")]
FOLLOWED = "real: a visitor followed to another domain keeps the id, and one page view is counted there"


class Stage(NamedTuple):
    """Where all scenarios are played."""

    player: Player
    collector: Serving


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("extras") / "data") as collector, playing(FILE) as player:
        player.ask([FOLLOWED, *chosen(request, REAL)], real={"url": collector.url, "key": collector.write_key})
        player.ask(name for name in chosen(request, NAMES) if name not in REAL)
        yield Stage(player, collector)


def test_every_extra_scenario_is_found() -> None:
    assert listed_by(FILE) == NAMES
    assert FOLLOWED in NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != FOLLOWED])
def test_extra(stage: Stage, name: str) -> None:
    stage.player.result(name)


def test_a_linked_visitor_is_one_visitor_in_the_database(stage: Stage) -> None:
    visitor = stage.player.result(FOLLOWED)["visitor"]
    asked = "SELECT event, path, url FROM events WHERE visitor_id = '{}' AND event = 'page_view' ORDER BY event_time"
    rows = stage.collector.sql_until(asked.format(visitor), lambda found: len(found) >= 2)
    assert [row["path"] for row in rows] == ["/first", "/landing"]
    assert not [row for row in rows if "footfall_link" in row["url"]]
