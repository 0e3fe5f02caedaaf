"""Kill any process of the collector, and the database, at any moment and as often as you like: nothing acked is lost.

`make chaos` kills a thousand.
"""

from __future__ import annotations

from pathlib import Path

from crash.killing import kill_on_chdb, kill_with_server

KILLS = 8
KILLS_WITH_SERVER = 2
SEED = 1


def test_no_acked_event_is_lost_or_double_whatever_is_killed(tmp_path: Path) -> None:
    kill_on_chdb(tmp_path, KILLS, SEED)


def test_no_acked_event_is_lost_or_double_when_the_database_server_is_killed_too(tmp_path: Path) -> None:
    kill_with_server(tmp_path, KILLS_WITH_SERVER, SEED)
