"""Whatever the bytes: a body is refused with a Refused, or each of its events ends as one row or one failed row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fuzz.targets import judge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.app.unpack import unpack
from collector.enrichment.enrich import object_bytes, read_context, without_secrets
from collector.enrichment.geo import open_geo
from collector.enrichment.identity import Salts
from collector.ingest.clock import parse_time
from collector.ingest.pipeline import Tools
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import compile_plan, load_plan
from collector.reason import Refused
from collector.wire.decode import Batch, decode_batch, decode_single
from collector.wire.names import snake_case
from collector.wire.pixel import decode_pixel

BOUNDED = settings(
    max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
RECEIVED_MS = 1_790_000_000_000


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    salts = Salts(tmp_path_factory.mktemp("salts") / "salts.json")
    yield Tools(plan=compile_plan(load_plan(Path(DEFAULT_PLAN_DIR))), geo=open_geo("registry"), salts=salts)


TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "track", "page", "identify", "purchase", "purchase@1", "search@9", "Order Completed", "\0", "@"]
    ),
    st.sampled_from(
        ["2024-02-30", "2024-01-01T00:00:00Z", "9999-12-31", "17000000000", "https://a.b/?utm_source=x", "::1"]
    ),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
FIELDS = st.sampled_from(
    [
        *(
            "type",
            "event",
            "name",
            "category",
            "messageId",
            "anonymousId",
            "userId",
            "groupId",
            "previousId",
            "sequence",
        ),
        *("timestamp", "originalTimestamp", "sentAt", "writeKey", "properties", "traits", "context", "batch"),
        *("page", "url", "referrer", "title", "screen", "width", "library", "campaign", "locale", "ip"),
        *("value", "currency", "items", "sequence", "order_id", "query", "results"),
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS | TEXTS, inner, max_size=6),
    max_leaves=25,
)
EVENTS = (
    st.dictionaries(FIELDS, VALUES, max_size=8).map(lambda event: {"type": "track", "event": "e", **event}) | VALUES
)
BODIES = st.fixed_dictionaries(
    {"batch": st.lists(EVENTS, max_size=4)},
    optional={"context": VALUES, "sentAt": VALUES, "writeKey": VALUES, "x": VALUES},
).map(lambda body: json.dumps(body, ensure_ascii=False).encode())
ESCAPED = BODIES.map(lambda body: json.dumps(json.loads(body)).encode())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON with some bytes cut, replaced or repeated."""
    body = bytearray(draw(BODIES | ESCAPED))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        kind = draw(st.sampled_from(["cut", "replace", "insert", "repeat"]))
        some = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"\\", b'"', b"\\ud83d", b"{", b"]", b",", b"1e999", b"\xef\xbb\xbf"])
        )
        width = draw(st.integers(0, 8))
        if kind == "cut":
            del body[at : at + width]
        elif kind == "replace":
            body[at : at + width] = some
        elif kind == "insert":
            body[at:at] = some
        else:
            body[at:at] = body[at : at + width] * draw(st.integers(1, 50))
    return bytes(body)


@BOUNDED
@given(
    body=BODIES | ESCAPED | damaged() | st.binary(max_size=200), kind=st.sampled_from(["batch", "track", "page", ""])
)
def test_no_bytes_raise_anything_but_a_refusal(tools: Tools, body: bytes, kind: str) -> None:
    for is_server in (False, True):
        try:
            batch = decode_batch(body) if kind == "batch" else decode_single(body, kind)
        except Refused:
            continue
        judge(batch, body, tools, is_server=is_server)


@BOUNDED
@given(bodies=BODIES | ESCAPED)
def test_a_readable_batch_is_never_refused_for_its_events(tools: Tools, bodies: bytes) -> None:
    assert isinstance(decode_batch(bodies), Batch)


PARAMETERS = st.lists(st.tuples(FIELDS | st.just("data") | TEXTS, TEXTS | st.text(max_size=60)), max_size=6)


@BOUNDED
@given(query=st.text(max_size=200) | PARAMETERS.map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)))
def test_no_query_raises_anything_but_a_refusal(tools: Tools, query: str) -> None:
    query = query.encode("utf-8", "replace").decode("latin-1")
    try:
        batch = decode_pixel(query)
    except Refused:
        return
    judge(batch, b"", tools, is_server=False)


@BOUNDED
@given(data=st.binary(max_size=100))
def test_no_bytes_are_compressed_by_accident(data: bytes) -> None:
    for coding in ("gzip", "zstd"):
        if data or coding == "gzip":
            with pytest.raises(Refused):
                unpack(data, coding)


@BOUNDED
@given(value=st.one_of(st.none(), st.text(max_size=50), st.integers(), st.floats(), st.datetimes().map(str)))
def test_a_time_is_none_or_in_this_age(value: str | int | float | None) -> None:
    found = parse_time(value)
    assert found is None or 0 <= found <= 4_102_444_800_000


@BOUNDED
@given(name=st.text(max_size=60))
def test_a_name_in_snake_case_stays_as_it_is(name: str) -> None:
    once = snake_case(name)
    assert snake_case(once) == once
    assert not once.startswith("_")
    assert "__" not in once


@BOUNDED
@given(outer=VALUES, inner=VALUES)
def test_any_context_is_read_and_loses_its_address(outer: Any, inner: Any) -> None:
    raws = [msgspec.Raw(json.dumps(value).replace("\\ud", "\\ue").encode()) for value in (outer, inner)]
    facts = read_context(object_bytes(raws[0]), raws[1])
    assert "ip" not in json.loads(facts.text)


@BOUNDED
@given(event=VALUES)
def test_an_event_without_its_secrets_is_still_json(event: Any) -> None:
    kept = json.loads(without_secrets(json.dumps(event).encode()))
    if isinstance(event, dict):
        assert "ip" not in kept
        assert "writeKey" not in kept
        assert not (isinstance(kept.get("context"), dict) and "ip" in kept["context"])
