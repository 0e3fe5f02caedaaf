"""What the parts stand on: a collector on either engine, clients that send to it, and the account at the end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from clickhouse_server import ClickHouseServer
from crash.faults import Faults
from crash.killing import embedded, finish, unmerged_server
from crash.processes import fixed_port, start
from crash.senders import Senders, sending
from serving import Serving
from tcp_proxy import Proxy, proxied

# Often enough that a fault does not wait for the next insert.
OFTEN = {"FOOTFALL_LOAD_INTERVAL_MS": "50"}


class Ground(NamedTuple):
    """One collector under faults. `behind` and `server` are those of the database, where it is a server."""

    collector: Serving
    senders: Senders
    faults: Faults
    rng: random.Random
    front: Proxy
    behind: Proxy | None
    server: ClickHouseServer | None

    def acked(self) -> str:
        """What became of the clients' events, once the account has held."""
        return (
            f"{len(self.senders.acked):,} events acked, {self.senders.attempts_failed:,} attempts repeated, "
            "0 lost, 0 double"
        )


@contextmanager
def ground(engine: str, folder: Path, seed: int, data_dir: Path | None = None) -> Iterator[Ground]:
    """A collector for the length of a with block, at whose end all that was acknowledged must be stored, each once.

    Args:
        engine: chDB or server.
        folder: For its files.
        seed: Of all choices.
        data_dir: Where it is not to be in the folder.
    """
    data_dir, port, faults = data_dir or folder / "data", fixed_port(), Faults(folder / "faults")
    environment = faults.environment | OFTEN
    with ExitStack() as held:
        behind = server = None
        if engine == "server":
            server = held.enter_context(unmerged_server(folder / "clickhouse"))
            behind = held.enter_context(proxied(server.url))
            environment["FOOTFALL_CLICKHOUSE"] = f"http://127.0.0.1:{behind.port}/footfall"
        else:
            embedded(data_dir)
        collector = start(data_dir, port, **environment)
        held.callback(collector.stop)
        front = held.enter_context(proxied(f"127.0.0.1:{port}"))
        senders = held.enter_context(sending(front.port, collector.write_key, seed=seed))
        senders.until_acked(100)
        yield Ground(collector, senders, faults, random.Random(seed), front, behind, server)
        finish(collector, senders, environment)
