"""A hostile corpus: whatever is done to events, each is stored or quarantined with its bytes, and costs no neighbour.

The suite takes a few hundred; `make fuzz` has the long form: a million, half an hour of CPU, with what became of
them printed for benchmarks/results.
"""

from __future__ import annotations

import gc
import json
import os
import random
import re
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from plan.built import event, listing, number, plan_of, rules, text, thing

from collector.enrichment.enrich import LONG_PAGE_BYTES, Request
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.pipeline import Outcome, Tools, process
from collector.plan import CompiledPlan
from collector.plan.model import Action, Plan, Property, Rule, Sampling, Semantic, Type
from collector.reason import Reason, Refused, Rejected
from collector.record import EVENT_COLUMNS, FAILED_COLUMNS, EventRow, decode_rows, encode_rows
from collector.wire.decode import Batch, decode_batch, raw_events, unreadable

MUTATIONS = int(os.environ.get("FOOTFALL_TEST_MUTATIONS", "400"))
PARTS = 2  # tests that share the work
# Caches fill in the first fifth; what grows after that has no limit.
MEMORY_MB_MAX = 24
NOW_MS = 1_790_000_000_000
REQUEST = Request(NOW_MS, "shop", False, "8.8.8.8", "agent")

LINE = {"sku": "A-1", "name": "Shoe 👟", "price": 49.75, "quantity": 2}
ORDER = {"order_id": "O-1", "currency": "EUR", "value": 99.5, "items": [LINE, LINE], "coupon": 'é\n\\ "x"'}
PAGE = {"url": "https://shop.example/p?a=1", "title": "Shoe", "page_type": "product", "load_ms": 812}
EVENTS: list[dict[str, Any]] = [
    {"type": "track", "event": "purchase", "messageId": "m", "properties": ORDER, "timestamp": "2026-09-01T10:00:00Z"},
    {"type": "page", "anonymousId": "a", "properties": PAGE, "context": {"page": PAGE, "locale": "fr"}},
    {"type": "track", "event": "banner shown", "properties": {"mail": "ann@shop.example", "n": [1, {"a": None}]}},
    {"type": "track", "event": "e@2", "properties": {"mail": "ann", "n": 3, "o": {"l": ["x"]}}, "extra": {"slot": 1}},
    {"type": "identify", "userId": "u", "traits": {"plan": "pro"}, "context": {"library": {"name": "x"}}},
    {"type": "track", "event": "nps_response", "sequence": 7, "properties": {"score": 9.0, "survey_id": "q"}},
]
PIECES = [
    b"\\ud83d", b"\\udc4d\\ud83d", b"\\u0000", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f", b"\x00", b"\x1b",
    b"NaN", b"-Infinity", b"1e400", b"-0", b"01", b"1.", b"9" * 400, b"1" + b"0" * 5_000, b"0.1e-99999999999",
    b"[" * 2_000 + b"]" * 2_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000, b"[" * 40 + b"]" * 40, b"[[", b"]", b"}", b"{",
    b'"', b"\\", b",", b":", b'"properties":', b'"event":5,', b'"messageId":null,', b'"type":"page",', b"null", b"true",
    b'"x"', b"[]", b"{}", b'{"properties":{}}', b"\xef\xbb\xbf", b" \n\t", b'"ip":"192.0.2.7",', b"\\u00", b"\\u0069p",
]  # fmt: skip


def plain_plan() -> Plan:
    """Flags and quarantines only: what is stored is what was sent."""
    money = Property(name="value", type=Type(kind="decimal", minimum=0))
    line = Type(kind="object", properties=(text("sku", required=True), text("name"), number("quantity", minimum=1)))
    order = (text("order_id", required=True), money, text("currency", pattern="x", regex=r"\A[A-Z]{3}\Z"))
    purchase = (*order, listing("items", line, min_items=1), text("coupon"))
    score = (number("score", minimum=0, maximum=10, required=True), text("survey_id"))
    return plan_of(
        event(*purchase, name="purchase", semantic=Semantic(conversion="macro", value="value", currency="currency")),
        event(text("url"), text("title"), text("page_type"), number("load_ms"), name="page_view"),
        event(*score, name="nps_response"),
    )


def strict_plan() -> Plan:
    """Every action and handling at once."""
    stripped: dict[str, Action | Rule] = dict.fromkeys(("wrong_type", "constraint", "unknown_property"), Action.STRIP)
    own = rules(stripped | {"undeclared_pii": Action.DROP})
    strings = Type(kind="string", max_length=3)
    events = (
        event(
            text("mail", "sha256"), number("n", maximum=5), thing("o", listing("l", strings, min_items=1)), rules=own
        ),
        event(text("url", "strip_query_except"), text("title", "mask_detected"), name="page_view", rules=own),
        event(text("order_id", "drop"), name="purchase", sampling=Sampling(rate=0.5, by="event"), rules=own),
    )
    return plan_of(*events, rules=own)


def mutated(dice: random.Random) -> bytes:
    """One event to which one to three things were done."""
    data = json.dumps(dice.choice(EVENTS), ensure_ascii=dice.random() < 0.5).encode()
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        at = dice.randrange(len(data) + 1)
        match dice.choice((0, 1, 1, 2, 3, 4, 4, 4, 4, 4, 5, 5, 6, 7)):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + dice.choice(PIECES) + data[at:]
            case 2:
                data = data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
            case 3:
                data = data[:at] + data[at + dice.randrange(1, 30) :]
            case 4:  # a value becomes something else
                spots = [i for i in range(len(data)) if data[i : i + 1] == b":"] or [at]
                spot = dice.choice(spots) + 1
                end = min((i for i in (data.find(b",", spot), data.find(b"}", spot)) if i >= 0), default=spot)
                data = data[:spot] + dice.choice(PIECES) + data[end:]
            case 5:  # a member stands twice
                other = json.dumps(dice.choice(EVENTS)).encode()
                data = data[:-1] + b"," + other[1:]
            case 6:
                data = data.replace(dice.choice((b"e", b"a", b'"', b"1", b"o")), dice.choice(PIECES), 1)
            case 7:
                start = dice.randrange(len(data) + 1)
                data = data[:at] + data[start : start + dice.randrange(40)] + data[at:]
    return data


@pytest.fixture(scope="module")
def salts(tmp_path_factory: pytest.TempPathFactory) -> Salts:
    return Salts(tmp_path_factory.mktemp("salts") / "salts.json")


@pytest.mark.parametrize("part", range(PARTS))
def test_every_mutated_event_is_stored_or_quarantined_and_costs_no_neighbour(salts: Salts, part: int) -> None:
    dice = random.Random(part)
    geo = open_geo("registry")
    plain = Tools(plan=CompiledPlan(plain_plan()), geo=geo, salts=salts, random=lambda size: b"r" * size)
    strict = Tools(plan=CompiledPlan(strict_plan()), geo=geo, salts=salts, random=lambda size: b"r" * size)
    seen = {"accepted": 0, "rejected": 0, "dropped": 0, "refused": 0}
    done = 0
    sizes = [_memory_mb()]
    while done < MUTATIONS // PARTS:
        if done >= len(sizes) * MUTATIONS // PARTS // 10:
            sizes.append(_memory_mb())
        events = [mutated(dice) for _ in range(dice.choice((1, 8)))]
        done += len(events)
        if not _judged(events, plain, strict, seen):
            for one in events:  # a broken bracket or quote costs the batch it came in, so each has a batch of its own
                seen["refused"] += not _judged([one], plain, strict, seen)
    seconds = time.process_time()
    sizes.append(_memory_mb())
    print(f"\npart {part}: {done:,} events, {seen}, {seconds:,.0f} s of CPU, MB after each tenth: {sizes}")
    assert min(seen.values()) > MUTATIONS // PARTS // 200, seen
    assert seen["refused"] < done * 0.6, "most of the corpus was not looked at"
    left = sum(isinstance(one, Rejected) for one in gc.get_objects())
    assert not left, f"{left} refusals are kept in memory, each with the batch it came in"
    assert sizes[-1] - sizes[2] < MEMORY_MB_MAX, f"memory grew: {sizes} MB"


def _memory_mb() -> int:
    """What this process holds, garbage collected; 0 where the system does not say."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def _judged(events: list[bytes], plain: Tools, strict: Tools, seen: dict[str, int]) -> bool:
    """Send them between two good ones; False when the body as a whole is refused, and rightly."""
    body = b'{"batch":[' + b", ".join([_good("first"), *events, _good("last")]) + b"]}"
    try:
        batch = decode_batch(body)
    except Refused as refused:
        assert refused.reason in (Reason.NOT_JSON, Reason.NOT_A_BATCH)
        assert not _python_reads(body), "a body that is JSON was refused"
        if len(events) == 1:
            _check_kept(process(unreadable(body, refused), REQUEST, plain, lambda: [body]), refused, body)
        return False
    raws = list(batch.raws or raw_events(body))
    outcome = process(batch, REQUEST, strict, raws.copy)
    _check_whole(outcome, batch)
    seen["dropped"] += len(outcome.dropped)
    outcome = process(batch, REQUEST, plain, raws.copy)
    _check_whole(outcome, batch)
    _check_bytes(outcome, raws, body)
    seen["accepted"] += len(outcome.rows.events) - 2
    seen["rejected"] += len(outcome.rejected)
    return True


def _check_kept(outcome: Outcome, refused: Refused, body: bytes) -> None:
    """A body that nobody can read is one rejected event, with all its bytes but secrets."""
    (row,) = outcome.rows.failed
    assert not outcome.rows.events
    assert (row.reason, row.fix) == (refused.reason.word, refused.sentence)
    sent = body.decode("utf-8", "backslashreplace")
    assert row.raw == sent or _loses(body)


def _loses(raw: bytes) -> bool:
    """May something of these bytes be kept from the disk: an address, a key, NUL, the credentials before a host, or the
    first of two members that may be personal, of which the last is read?
    """
    return (
        any(word in raw for word in (b"ip", b"writeKey", b"\\u00"))
        or any(raw.count(name) > 1 for name in (b'"properties"', b'"context"', b'"extra"'))
        or re.search(rb":\\?/\\?/[^/]*@", raw) is not None
    )


def _good(name: str) -> bytes:
    return b'{"type":"track","event":"good","messageId":"%b","properties":{"of": "%b"}}' % (
        name.encode(),
        name.encode(),
    )


def _python_reads(body: bytes) -> bool:
    """Does Python's own reader, which also takes NaN and half surrogate pairs, find an object with a list as batch?"""
    try:
        return isinstance(json.loads(body)["batch"], list)
    except (ValueError, RecursionError, KeyError, TypeError):
        return False


def _check_whole(outcome: Outcome, batch: Batch) -> None:
    """Each event has one fate, the neighbours theirs, and what is spooled can be read again."""
    rows, failed = outcome.rows.events, outcome.rows.failed
    assert len(rows) + len(failed) + len(outcome.dropped) == len(batch.events)
    assert len(failed) == len(outcome.rejected)
    for row, name in ((rows[0], "first"), (rows[-1], "last")):
        assert (row.message_id, row.event) == (name, "good")
        assert row.properties == f'{{"of": "{name}"}}'
    again = decode_rows(encode_rows(outcome.rows))
    assert [row[:3] for row in again.events] == [[row.message_id, row.type, row.event] for row in rows]
    assert {len(row) for row in again.events} <= {len(EVENT_COLUMNS)}
    assert {len(row) for row in again.failed} <= {len(FAILED_COLUMNS)}
    for row in rows:
        _check_columns(row)
    for refused in failed:
        assert refused.reason
        assert refused.fix
        assert refused.violations


def _check_columns(row: EventRow) -> None:
    """The row fits its table."""
    assert 0 <= row.event_version <= 65_535
    assert 0 <= row.sequence < 2**32
    for moment in (row.event_time, row.occurred_at, row.received_at, row.sent_at or 0):
        assert 0 <= moment <= 4_102_444_800_000
    assert abs(Decimal(row.value)) < 10**14
    assert 0 < row.sample_rate <= 1
    msgspec.json.decode(row.extra, type=dict[str, msgspec.Raw])


def _check_bytes(outcome: Outcome, raws: list[bytes], body: bytes) -> None:
    """Under a plan that strips nothing, what was sent is found again, byte for byte, but for a page's long texts."""
    rejected = {verdict.index for verdict in outcome.rejected}
    accepted = [raw for index, raw in enumerate(raws) if index not in rejected]
    for row, raw in zip(outcome.rows.events, accepted, strict=True):
        for kept in (row.properties, row.traits):
            is_cut = row.type == "page" and len(raw) > LONG_PAGE_BYTES
            assert kept == "{}" or kept.encode() in raw or is_cut or _loses(raw)
    for quarantined, index in zip(outcome.rows.failed, sorted(rejected), strict=True):
        sent = raws[index].decode("utf-8", "backslashreplace")
        assert quarantined.raw == sent or _loses(raws[index])
    if b"\\ud" not in body:
        at, between = 0, b""
        for raw in raws:
            start = body.index(raw, at)
            between += body[at:start]
            at = start + len(raw)
        assert re.fullmatch(rb'\{"batch":\[[\s,]*\]\}', between + body[at:]), "bytes that belong to no event"
