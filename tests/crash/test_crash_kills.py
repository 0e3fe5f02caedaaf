"""Kill any process of the collector, and the database, at any moment and as often as you like: nothing acked is lost.

FOOTFALL_TEST_KILLS sets how many processes are killed, FOOTFALL_TEST_SEED which and when.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from clickhouse_server import ClickHouseServer
from crash.processes import children, fixed_port, kill, start
from crash.senders import COUNT_ALL, Senders, assert_stored, sending
from serving import Serving, footfall

from collector.migrate import migrate
from collector.store import Store

KILLS = int(os.environ.get("FOOTFALL_TEST_KILLS", "30"))
SEED = int(os.environ.get("FOOTFALL_TEST_SEED", "1"))
# A collector that is started whole costs seconds, a child a fraction of one.
WEIGHTS = {"worker": 10, "storekeeper": 8, "supervisor": 1}
PAUSE_SECONDS_MAX = 1.2
LOADED_SECONDS_MAX = 120.0
# Merges would fold a duplicate before it could be counted, so there are none; and each kill leaves small parts.
NEVER_MERGE = (
    "ALTER TABLE {database}.events MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1, "
    "max_bytes_to_merge_at_min_space_in_pool = 1, parts_to_delay_insert = 100000, parts_to_throw_insert = 100000"
)


class Killer:
    """Chooses a living process and kills it; starts the collector again where that was its supervisor."""

    def __init__(self, serving: Serving, port: int, flags: tuple[str, ...], environment: dict[str, str]) -> None:
        self.serving = serving
        self._port, self._flags, self._environment = port, flags, environment
        self._rng = random.Random(SEED)
        self.kills: Counter[str] = Counter()

    def pause(self) -> None:
        """Let some time pass, from none to a little more than a restart takes: a kill may come at any moment."""
        time.sleep(self._rng.uniform(0.0, PAUSE_SECONDS_MAX))

    def kill(self) -> None:
        (chosen,) = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if chosen != "supervisor":
            living = [pid for pid, name in children(self.serving.process.pid).items() if name == chosen]
            if living:
                kill(self._rng.choice(living))
                self.kills[chosen] += 1
            return  # none that could be killed: it is not counted, and another is chosen next time
        self.serving.kill()
        self.kills[chosen] += 1
        self.serving = start(self.serving.data_dir, self._port, *self._flags, **self._environment)


def finish(serving: Serving, senders: Senders, environment: dict[str, str]) -> None:
    """All that was sent is acknowledged and loaded; then everything must add up."""
    senders.finish()
    assert senders.acked == senders.sent
    assert senders.statuses <= {200, 503}
    serving.until_loaded(LOADED_SECONDS_MAX)
    assert_stored(serving.sql(COUNT_ALL), senders)
    doctor = footfall("doctor", "--data", serving.data_dir, **environment)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "received = stored + spooled" in doctor.stdout


def summary(kills: Counter[str], senders: Senders, seconds: float) -> str:
    each = ", ".join(f"{count} {name}" for name, count in sorted(kills.items()))
    return (
        f"\n{sum(kills.values())} kills ({each}; seed {SEED}), {len(senders.acked):,} events acked, "
        f"{senders.attempts_failed:,} attempts failed and were repeated, 0 lost, 0 double, {seconds:.0f} s"
    )


def test_no_acked_event_is_lost_or_double_whatever_is_killed(tmp_path: Path) -> None:
    begun = time.monotonic()
    data_dir, port, flags = tmp_path / "data", fixed_port(), ("--workers", "2")
    assert footfall("migrate", "--data", data_dir).returncode == 0
    # The embedded engine takes a directory for the life of its process, so this one has a process of its own.
    script = "import sys; from collector.store import Store; Store(sys.argv[1]).command(sys.argv[2])"
    alter = NEVER_MERGE.format(database="footfall")
    subprocess.run([sys.executable, "-c", script, f"chdb://{data_dir}/db", alter], check=True, timeout=60)
    killer = Killer(start(data_dir, port, *flags), port, flags, {})
    try:
        with sending(port, killer.serving.write_key, seed=SEED) as senders:
            senders.until_acked(100)
            while sum(killer.kills.values()) < KILLS:
                killer.pause()
                killer.kill()
            senders.until_acked(100)
            finish(killer.serving, senders, {})
    finally:
        killer.serving.stop()
    print(summary(killer.kills, senders, time.monotonic() - begun))


def test_no_acked_event_is_lost_or_double_when_the_database_server_is_killed_too(tmp_path: Path) -> None:
    begun = time.monotonic()
    kills = max(KILLS // 10, 3)
    port, flags = fixed_port(), ()
    server = ClickHouseServer(tmp_path / "clickhouse")
    server.start()
    environment = {"FOOTFALL_CLICKHOUSE": f"{server.url}/footfall"}
    try:
        with closing(Store(f"{server.url}/footfall")) as store:
            migrate(store)
            store.command(NEVER_MERGE.format(database="footfall"))
        killer = Killer(start(tmp_path / "data", port, *flags, **environment), port, flags, environment)
        try:
            with sending(port, killer.serving.write_key, seed=SEED) as senders:
                senders.until_acked(100)
                for _ in range(kills):
                    killer.pause()
                    server.kill()
                    killer.kills["server"] += 1
                    # Receiving does not depend on the database.
                    senders.until_acked(100)
                    killer.kill()
                    server.start()
                    senders.until_acked(100)
                finish(killer.serving, senders, environment)
        finally:
            killer.serving.stop()
    finally:
        server.kill()
    print(summary(killer.kills, senders, time.monotonic() - begun))
