"""What the tag does in a real Chromium, judged by the bytes a collector on another origin received.

The scenarios and their names live in scenarios.mjs; each is one test here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser.playing import Player, chosen, listed_by, names_in, playing

pytestmark = pytest.mark.xdist_group("browser")  # pages of two browsers at once would only wait for each other

FILE = "scenarios.mjs"
NAMES = names_in(FILE)


@pytest.fixture(scope="module")
def player(request: pytest.FixtureRequest) -> Iterator[Player]:
    with playing(FILE) as started:
        started.ask(chosen(request, NAMES))
        yield started


def test_every_scenario_is_found() -> None:
    assert listed_by(FILE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_tag(player: Player, name: str) -> None:
    player.result(name)
