"""Events judged by the real pipeline and loaded by the real loader, for tests of what looks at them afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from load.spooled import Data

from collector.database.query import answer
from collector.database.store import Store
from collector.enrichment.enrich import Request
from collector.enrichment.geo import Geo
from collector.enrichment.identity import Salts
from collector.hindsight import Ask
from collector.ingest.pipeline import Outcome, Tools, process
from collector.plan import compile_plan
from collector.plan.model import Plan
from collector.record import encode_rows
from collector.spooling.spool import frame
from collector.wire.decode import decode_batch, raw_events

NOW_MS = 1_790_000_000_000
SECOND_MS = 1_000
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4.1 Safari/605.1.15"
)


class Site:
    """A collector without its HTTP edge: what arrives is judged by a plan, spooled and loaded into a store."""

    def __init__(self, data: Data, store: Store, plan: Plan) -> None:
        self.data = data
        self.store = store
        data.folder.mkdir(parents=True, exist_ok=True)
        self.tools = self.tools_of(plan)

    def tools_of(self, plan: Plan) -> Tools:
        return Tools(
            plan=compile_plan(plan), geo=Geo("test", lambda _: "NL"), salts=Salts(self.data.folder / "salts.json")
        )

    def receive(
        self,
        *events: dict[str, Any],
        received_ms: int = NOW_MS,
        is_server: bool = False,
        user_agent: str = SAFARI,
        environment: str = "prod",
        tools: Tools | None = None,
        **batch: Any,
    ) -> Outcome:
        """Judge one batch and spool it."""
        body = msgspec.json.encode({"batch": list(events), **batch})
        request = Request(received_ms, "shop", is_server, "81.2.69.142", user_agent, environment=environment)
        outcome = process(decode_batch(body), request, tools or self.tools, lambda: raw_events(body))
        rows = outcome.rows
        counts = (len(rows.events), len(rows.failed), len(outcome.dropped))
        self.data.segment(frame(encode_rows(rows), *counts))
        return outcome

    def load(self) -> None:
        self.data.load(self.store)

    @contextmanager
    def asking(self) -> Iterator[Ask]:
        """Questions, as the store process answers them."""
        address = self.store_dsn
        with closing(Store(address, read_only=True)) as lane:
            yield lambda sql: answer(lane, sql, "JSON")

    store_dsn: str = ""


def track(event: str, message_id: str, **properties: Any) -> dict[str, Any]:
    """One event as the tag sends it."""
    return {
        "type": "track",
        "event": event,
        "messageId": message_id,
        "anonymousId": f"visitor of {message_id}",
        "originalTimestamp": "2026-09-21T14:13:10.500Z",
        "properties": properties,
    }


def site(tmp_path: Path, dsn: str, store: Store, plan: Plan) -> Site:
    made = Site(Data(tmp_path / "data", now_ms=NOW_MS), store, plan)
    made.store_dsn = dsn
    return made
