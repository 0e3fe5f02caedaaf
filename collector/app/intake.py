"""Taking events: from a whole request to durable rows, without a word about how requests come and answers go.

Asked, body --take--> judged --store--> done(None), once it is on the disk --answer--> Answer
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network

from msgspec import structs

from collector.app.address import X_FORWARDED_FOR, address_of
from collector.app.answers import JSON, Answer, all_accepted, answer, cookie, cors_of, refusal, verdict_body
from collector.app.head import Headers, asks_debug, exact_hints_of, hints_of, presented_key, read_head, signals_of
from collector.app.pressure import Pressure
from collector.app.throttle import Throttle
from collector.app.unpack import unpack_as
from collector.app.verdicts import explain
from collector.consent import laid_over
from collector.enrichment.enrich import Request
from collector.ingest.judge import Judge
from collector.ingest.packed import encode_packed
from collector.ingest.pipeline import COUNTER_NAMES as JUDGED_NAMES
from collector.ingest.pipeline import Outcome, Tools, process
from collector.metrics import Counters
from collector.reason import Reason, Refused
from collector.sources import Access, Directory
from collector.spooling.spool import SpoolUnavailable, SpoolWriter, frame
from collector.wire.decode import KEPT_REASONS, Batch, decode_batch, decode_single, raw_events, unreadable
from collector.wire.pixel import decode_pixel

COUNTER_NAMES: tuple[str, ...] = (
    "received_total",
    "accepted_total",
    "requests_total",
    "commits_total",
    "commit_records_total",
    "commit_nanoseconds_total",
    *(f'rejected_total{{reason="{reason.word}"}}' for reason in Reason if reason.rejects_event),
    *(f'rejected_total{{reason="{reason.word}"}}' for reason in KEPT_REASONS),
    *(f'refused_total{{reason="{reason.word}"}}' for reason in Reason if not reason.rejects_event),
    *JUDGED_NAMES,
)


# Why a request may be taken a moment later, as it is.
_OF_THE_MOMENT = (Reason.SPOOL_UNAVAILABLE, Reason.TOO_BUSY, Reason.RATE_LIMITED)


class Asked:
    """One request for events: what it says, and what has become of it. The last three are there once it was judged."""

    __slots__ = ("access", "batch", "head", "headers", "outcome", "peer", "request", "unread")

    batch: Batch
    request: Request
    outcome: Outcome

    def __init__(self, headers: Headers, query: bytes, peer: str) -> None:
        """`peer` is the address of the connection."""
        self.head = read_head(headers, query)
        self.headers = headers
        self.peer = peer
        self.access: Access | None = None
        # Why its body could not be read, when it is kept all the same.
        self.unread: Refused | None = None

    @property
    def is_plain(self) -> bool:
        """True when all there is to say is how many events were accepted."""
        assert self.access is not None
        return not (self.unread or self.outcome.rejected or self.head.query or self.access.cookie_origins)


class Intake:
    """Takes the events of one worker."""

    def __init__(
        self,
        tools: Tools,
        spool: SpoolWriter,
        directory: Directory,
        counters: Counters,
        now_ms: Callable[[], int],
        trusted_proxies: Sequence[IPv4Network | IPv6Network],
        proxy_header: bytes = X_FORWARDED_FOR,
        throttle: Throttle | None = None,
    ) -> None:
        self.tools = tools
        self.directory = directory
        self.now_ms = now_ms
        self._spool = spool
        self._counters = counters
        self._slots = counters.slots
        self._trusted_proxies = trusted_proxies
        self._proxy_header = proxy_header
        self._throttle = throttle
        self.pressure = Pressure()
        self._requests, self._received, self._accepted = (
            counters.slot(name) for name in ("requests_total", "received_total", "accepted_total")
        )

    def count_request(self) -> None:
        """Count one request that carries events."""
        self._slots[self._requests] += 1

    def count_refusal(self, reason: Reason) -> None:
        """Count one request that was refused whole, here or before it was a request."""
        self._counters.add(f'refused_total{{reason="{reason.word}"}}')

    def take(self, asked: Asked, kind: str | None, body: bytes) -> None:
        """Decode and judge the events of a POST.

        A body that cannot be read is one rejected event, if its source is known.

        Args:
            asked: Its `check_body` has passed.
            kind: The type that the path gives to its one event; None for a batch.
            body: As sent, within BODY_BYTES_MAX.
        Raises:
            Refused: none of it can be taken.
        """
        if asked.head.encoding:
            body = unpack_as(asked.head.encoding, body)
        try:
            asked.batch = batch = decode_batch(body) if kind is None else decode_single(body, kind)
        except Refused as refused:
            self._keep(asked, body, refused)
        else:
            self._judge(asked, lambda: list(batch.raws or raw_events(body)))

    def _keep(self, asked: Asked, body: bytes, refused: Refused) -> None:
        """Judge a body that cannot be read, so that its bytes are kept. Raises Refused: nobody knows whose they are."""
        if refused.reason not in KEPT_REASONS:
            raise refused
        asked.batch, asked.unread = unreadable(body, refused), refused
        try:
            self._judge(asked, lambda: [body])
        except Refused as unkept:
            raise unkept if unkept.reason in _OF_THE_MOMENT else refused from None

    def take_pixel(self, asked: Asked) -> None:
        """Decode and judge the one event of a pixel's query. Raises Refused."""
        query, asked.head = asked.head.query, structs.replace(asked.head, query=b"")
        asked.batch = batch = decode_pixel(query.decode("latin-1"), asked.head.referer.decode("latin-1"))
        self._judge(asked, lambda: list(batch.raws))

    def store(self, asked: Asked, done: Callable[[Refused | None], None]) -> None:
        """Spool the rows; `done` is called once they are on the disk, and ours from there on, or cannot be."""
        outcome = asked.outcome
        packed = outcome.packed
        accepted, rejected, dropped = outcome.accepted, len(packed.failed), len(outcome.dropped)
        if not accepted and not rejected and not dropped:
            done(None)
            return
        record = frame(encode_packed(packed, outcome.counted_rows), accepted, rejected, dropped)
        self.pressure.waits()
        self._spool.commit(record, partial(self._stored, outcome, done))

    def _stored(
        self, outcome: Outcome, done: Callable[[Refused | None], None], problem: SpoolUnavailable | None
    ) -> None:
        self.pressure.moved()
        if problem is not None:
            done(Refused(Reason.SPOOL_UNAVAILABLE, f"events cannot be stored now ({problem}); send them again"))
            return
        slots = self._slots
        accepted = outcome.accepted
        slots[self._received] += accepted + len(outcome.packed.failed) + len(outcome.dropped)
        slots[self._accepted] += accepted
        for verdict in outcome.rejected:
            self._counters.add(f'rejected_total{{reason="{verdict.reason}"}}')
        for name, count in outcome.counts.items():
            self._counters.add(name, count)
        done(None)

    def answer(self, asked: Asked) -> Answer:
        """What the client is told of events that were stored."""
        assert asked.access is not None
        if asked.unread is not None:
            return self.refusal(asked, asked.unread)
        outcome, head = asked.outcome, asked.head
        accepted = outcome.accepted
        if asked.is_plain:
            return all_accepted(accepted)
        headers = [JSON, *cors_of(asked.access, head, self.directory)]
        if accepted and len(headers) > 2:
            judge = Judge(asked.batch, asked.request, self.tools, handled=False)
            headers += cookie(asked.batch, asked.access, judge.lacks)
        if head.query and asks_debug(head.query):
            return answer(200, headers, explain(asked.batch, outcome, asked.request))
        return answer(200, headers, verdict_body(accepted, outcome.rejected))

    def refusal(self, asked: Asked, refused: Refused) -> Answer:
        """What the client is told when nothing was taken; counts it."""
        self.count_refusal(refused.reason)
        return refusal(refused, cors_of(asked.access, asked.head, self.directory))

    def admit(self, key: str, origin: bytes) -> Access:
        """The source that this key opens to a page of this origin. Raises Refused."""
        if not key:
            raise Refused(
                Reason.KEY_MISSING, "no write key; send it by Basic auth, as writeKey in the body, or as ?writeKey="
            )
        access = self.directory.access(key)
        if access is None:
            raise Refused(Reason.KEY_UNKNOWN, "no source has this write key; `footfall sources list` shows the keys")
        if not access.enabled:
            raise Refused(Reason.SOURCE_DISABLED, f"source {access.source_id} is disabled; use another write key")
        if access.origins and origin and not access.is_server:
            sent = origin.decode("latin-1").lower()
            if sent not in access.origins:
                raise Refused(
                    Reason.ORIGIN_NOT_ALLOWED,
                    f"origin {sent[:200]} is not among those of source {access.source_id}; add it to the source",
                )
        return access

    def _judge(self, asked: Asked, raws: Callable[[], list[bytes]]) -> None:
        head, now_ms = asked.head, self.now_ms()
        self.pressure.check(now_ms)
        asked.access = access = self.admit(presented_key(head, asked.batch), head.origin)
        address = address_of(asked.peer, asked.headers, self._trusted_proxies, self._proxy_header)
        if self._throttle is not None:
            self._throttle.take(access.source_id, "" if access.is_server else address, len(asked.batch.events))
        asked.request = request = Request(
            now_ms,
            access.source_id,
            access.is_server,
            address,
            head.user_agent.decode("latin-1"),
            hints_of(head),
            access.environment,
            head.purpose.decode("latin-1") if head.purpose else "",
            signals_of(head) if not access.is_server and (head.gpc or head.dnt or head.cookie) else (),
            laid_over(self.tools.consent, access.consent) if access.consent is not None else None,
            exact_hints_of(head),
        )
        try:
            asked.outcome = process(asked.batch, request, self.tools, raws)
        except OSError as problem:  # the one contact with the disk is the salt of a new day
            raise Refused(
                Reason.SPOOL_UNAVAILABLE, f"visitors cannot be told apart now ({problem.strerror}); send it again"
            ) from problem
