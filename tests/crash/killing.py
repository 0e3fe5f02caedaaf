"""Kill the processes of a collector at random moments while clients send, and hold what is stored against the acks."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clickhouse_server import ClickHouseServer
from crash.processes import children, fixed_port, kill, start
from crash.senders import COUNT_ALL, Senders, assert_stored, sending
from serving import Serving, footfall, migrated

from collector.database.migrate import migrate
from collector.database.store import Store
from collector.loading.ledger import read_positions

# A collector that is started whole costs seconds, a child a fraction of one.
WEIGHTS = {"worker": 10, "storekeeper": 8, "supervisor": 1}
PAUSE_SECONDS_MAX = 1.2  # a little more than a restart takes: a kill may come at any moment
LOADED_SECONDS_MAX = 300.0  # for a spool of minutes, beside whatever else this machine does
# Merges would fold a duplicate before it could be counted, so there are none; and each kill leaves small parts.
NEVER_MERGE = (
    "ALTER TABLE {database}.events MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1, "
    "max_bytes_to_merge_at_min_space_in_pool = 1, parts_to_delay_insert = 100000, parts_to_throw_insert = 100000"
)


class Killer:
    """Chooses a living process and kills it; starts the collector again where that was its supervisor."""

    def __init__(self, serving: Serving, port: int, flags: tuple[str, ...], environment: dict[str, str], seed: int):
        self.serving = serving
        self.rng = random.Random(seed)
        self._port, self._flags, self._environment = port, flags, environment
        self.kills: Counter[str] = Counter()

    def pause(self) -> None:
        """Let some time pass."""
        time.sleep(self.rng.uniform(0.0, PAUSE_SECONDS_MAX))

    def kill(self) -> None:
        """Kill one process, of a kind of which some are alive."""
        living = children(self.serving.process.pid)
        kinds = [kind for kind in WEIGHTS if kind in living.values() or kind == "supervisor"]
        (chosen,) = self.rng.choices(kinds, [WEIGHTS[kind] for kind in kinds])
        self.kills[chosen] += 1
        if chosen != "supervisor":
            kill(self.rng.choice([pid for pid, kind in living.items() if kind == chosen]))
            return
        self.serving.kill()
        self.serving = start(self.serving.data_dir, self._port, *self._flags, **self._environment)


def finish(serving: Serving, senders: Senders, environment: dict[str, str], besides: Container[object] = ()) -> None:
    """All that was sent is acknowledged and loaded; then everything must add up.

    Args:
        serving: The collector.
        senders: Who sent to it.
        environment: It was started with.
        besides: Ids of events that others sent to it.
    """
    senders.finish()
    assert senders.acked == senders.sent
    assert senders.statuses <= {200, 503}
    serving.until_loaded(LOADED_SECONDS_MAX)
    assert_stored([row for row in serving.sql(COUNT_ALL) if row["message_id"] not in besides], senders)
    doctor = footfall("doctor", "--data", serving.data_dir, **environment)
    wrong = [line for line in doctor.stdout.splitlines() if line.startswith("WRONG")]
    assert not [line for line in wrong if "free" not in line], doctor.stdout + doctor.stderr  # a small disk is no fault
    assert "ok     accounting: received = stored + spooled" in doctor.stdout, doctor.stdout + doctor.stderr


def embedded(data_dir: Path) -> None:
    """Make a data directory whose embedded database never merges."""
    shutil.copytree(migrated(), data_dir / "db", symlinks=True)
    # The embedded engine takes a directory for the life of its process, so this one has a process of its own.
    script = "import sys; from collector.database.store import Store; Store(sys.argv[1]).command(sys.argv[2])"
    alter = NEVER_MERGE.format(database="footfall")
    subprocess.run([sys.executable, "-c", script, f"chdb://{data_dir}/db", alter], check=True, timeout=60)


@contextmanager
def unmerged_server(folder: Path) -> Iterator[ClickHouseServer]:
    """A running server with a migrated database that never merges."""
    server = ClickHouseServer(folder)
    server.start()
    try:
        with closing(Store(f"{server.url}/footfall")) as store:
            migrate(store)
            store.command(NEVER_MERGE.format(database="footfall"))
        yield server
    finally:
        server.kill()


def kill_on_chdb(folder: Path, kills: int, seed: int, workers: int = 2) -> tuple[Counter[str], Senders]:
    """Kill workers, the store process and the supervisor of an embedded collector; what was killed, and the account."""
    data_dir, port, flags = folder / "data", fixed_port(), ("--workers", f"{workers}")
    embedded(data_dir)
    killer = Killer(start(data_dir, port, *flags), port, flags, {}, seed)
    try:
        with sending(port, killer.serving.write_key, seed=seed) as senders:
            senders.until_acked(100)
            while killer.kills.total() < kills:
                killer.pause()
                killer.kill()
            senders.until_acked(100)
            finish(killer.serving, senders, {})
    finally:
        killer.serving.stop()
    return killer.kills, senders


def kill_with_server(folder: Path, kills: int, seed: int, workers: int = 1) -> tuple[Counter[str], Senders]:
    """Kill the database server, and some of the collector's processes while it is away, `kills` times together."""
    port, flags = fixed_port(), ("--workers", f"{workers}")
    with unmerged_server(folder / "clickhouse") as server:
        environment = {"FOOTFALL_CLICKHOUSE": f"{server.url}/footfall"}
        killer = Killer(start(folder / "data", port, *flags, **environment), port, flags, environment, seed)
        try:
            with sending(port, killer.serving.write_key, seed=seed) as senders:
                senders.until_acked(100)
                while killer.kills.total() < kills:
                    killer.pause()
                    server.kill()
                    killer.kills["server"] += 1
                    # Receiving does not depend on the database.
                    senders.until_acked(100)
                    for _ in range(killer.rng.randint(1, 1 + 2 * workers)):
                        killer.kill()
                        killer.pause()
                    before = read_positions(folder / "data").sequence
                    server.start()
                    _until_loading(folder / "data", before)
                finish(killer.serving, senders, environment)
        finally:
            killer.serving.stop()
    return killer.kills, senders


def _until_loading(data_dir: Path, sequence: int) -> None:
    """Wait for a batch: a database that is always killed before there is one would not be killed amid the next."""
    deadline = time.monotonic() + LOADED_SECONDS_MAX
    while read_positions(data_dir).sequence <= sequence:
        assert time.monotonic() < deadline, f"no batch was loaded within {LOADED_SECONDS_MAX:.0f} s"
        time.sleep(0.02)


def summary(kills: Counter[str], senders: Senders) -> str:
    """One line that says what was done to the collector and what became of it."""
    each = ", ".join(f"{count} {name}" for name, count in sorted(kills.items()))
    return (
        f"{kills.total():,} kills ({each}), {len(senders.acked):,} events acked, "
        f"{senders.attempts_failed:,} attempts failed and were repeated, 0 lost, 0 double"
    )
