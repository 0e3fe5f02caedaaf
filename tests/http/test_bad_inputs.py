"""The catalogue of bad inputs: what each is, where it is tested, and, where nowhere else, here.

All that is tested here is sent first; then a fresh event must still be taken and stored, and what became of each is
held against what was promised: never a 5xx, never a hang, and nothing that the sender was told is stored is not.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from serving import Serving

from collector.sources import add_source

pytestmark = pytest.mark.xdist_group("http_bad_inputs")

TESTS = Path(__file__).parents[1]
HERE = "here"
REFUSALS, WAY, ACCESS = "http/test_refusals.py", "http/test_way_of_an_event.py", "http/test_access.py"
UNREADABLE = f"{REFUSALS}::test_an_unreadable_body_is_refused_whole"
NOT_HTTP = f"{REFUSALS}::test_what_is_not_http_is_refused"
UNUSUAL = f"{REFUSALS}::test_what_is_unusual_but_http_is_taken"
HEADS = f"{REFUSALS}::test_a_url_and_a_head_have_limits"
CODINGS = f"{REFUSALS}::test_content_encodings"
ODD = f"{REFUSALS}::test_an_odd_but_readable_batch_is_judged_event_by_event"
VERDICTS = f"{WAY}::test_every_rejected_event_has_its_place_id_reason_pointer_and_fix"
TEXTS = f"{WAY}::test_text_of_any_kind_is_data"
SLOW = f"{REFUSALS}::test_slow_clients_are_told_and_do_not_hold_a_place"
ADDRESSES = "enrich/test_identity.py::test_the_client_is_the_rightmost_address_that_is_not_ours"

CATALOGUE: dict[int, tuple[str, str]] = {
    # HTTP
    1: ("empty body", UNREADABLE),
    2: ("whitespace", UNREADABLE),
    3: ("no content type", f"{REFUSALS}::test_content_types"),
    4: ("wrong content type", f"{REFUSALS}::test_content_types"),
    5: ("wrong method", f"{REFUSALS}::test_a_method_that_is_not_for_events_names_those_that_are"),
    6: ("unknown path", f"{REFUSALS}::test_a_path_that_is_not_there"),
    7: ("no content length", HERE),
    8: ("content length too short", HERE),
    9: ("content length too long", HERE),
    10: ("negative content length", NOT_HTTP),
    11: ("two content lengths", NOT_HTTP),
    12: ("content length and transfer encoding", NOT_HTTP),
    13: ("bad chunk", NOT_HTTP),
    14: ("no host", UNUSUAL),
    15: ("lines that end in LF only", NOT_HTTP),
    16: ("NUL in a header", NOT_HTTP),
    17: ("folded header", NOT_HTTP),
    18: ("header of 64 KB", HEADS),
    19: ("header of 100 MB", f"{REFUSALS}::test_a_header_without_end_is_cut_off"),
    20: ("10,000 headers", HEADS),
    21: ("URL over 8 KB", HEADS),
    22: ("slow header", SLOW),
    23: ("slow body", SLOW),
    24: ("client gone amid its body", f"{REFUSALS}::test_a_client_that_goes_away_costs_nothing"),
    25: ("Expect", f"{REFUSALS}::test_expect_continue_is_answered"),
    26: ("unknown encoding", CODINGS),
    27: ("corrupt gzip", CODINGS),
    28: ("truncated gzip", CODINGS),
    29: ("gzip of gzip", CODINGS),
    30: ("bomb", "http/test_unpack.py::test_a_bomb_is_given_up_at_the_limit_and_costs_next_to_nothing"),
    31: ("body over the limit", f"{REFUSALS}::test_a_client_that_sends_too_much_still_reads_why_it_is_refused"),
    32: ("preface of HTTP/2", NOT_HTTP),
    # JSON
    33: ("truncated", UNREADABLE),
    34: ("trailing garbage", UNREADABLE),
    35: ("two documents", UNREADABLE),
    36: ("byte order mark", HERE),
    37: ("UTF-16", UNREADABLE),
    38: ("not UTF-8", UNREADABLE),
    39: ("overlong UTF-8", UNREADABLE),
    40: ("lone surrogate", f"{WAY}::test_half_an_emoji_is_replaced"),
    41: ("NUL", UNREADABLE),
    42: ("control character", UNREADABLE),
    43: ("depth of 100,000", UNREADABLE),
    44: ("100,000 keys", UNREADABLE),
    45: ("duplicate keys", HERE),
    46: ("NaN", UNREADABLE),
    47: ("1e400", ODD),
    48: ("5,000 digits", ODD),
    49: ("-0", ODD),
    50: ("null as root", UNREADABLE),
    51: ("list as root", UNREADABLE),
    52: ("__proto__", TEXTS),
    53: ("trailing comma", UNREADABLE),
    # Events
    54: ("empty batch", HERE),
    55: ("too many events", UNREADABLE),
    56: ("one bad of many", f"{WAY}::test_neighbours_of_a_bad_event_are_stored"),
    57: ("unknown event", f"{WAY}::test_an_unplanned_event_is_stored_and_flagged"),
    58: ("unknown property", f"{WAY}::test_an_unplanned_property_is_stored_and_flagged"),
    59: ("wrong type", VERDICTS),
    60: ("missing required", VERDICTS),
    61: ("stale plan version", f"{WAY}::test_an_older_version_is_held_against_its_own_plan"),
    62: ("future plan version", f"{WAY}::test_a_version_that_the_plan_lacks_is_stored_and_flagged"),
    63: ("no id", HERE),
    64: ("id that is no UUID", HERE),
    65: ("same id twice in a batch", HERE),
    66: ("id sent again", HERE),
    67: ("id used again for another event", HERE),
    68: ("30 February", f"{WAY}::test_a_day_that_never_was_counts_as_now"),
    69: ("leap second", HERE),
    70: ("years 0 and 9999", HERE),
    71: ("time without zone", HERE),
    72: ("a year ahead", HERE),
    73: ("ten years ago", HERE),
    74: ("string bomb", HERE),
    75: ("right-to-left and zero-width", HERE),
    76: ("javascript: URL", TEXTS),
    77: ("international domain", HERE),
    78: ("formula of a spreadsheet", HERE),
    79: ("quotes of SQL", TEXTS),
    80: ("CRLF for the log", HERE),
    81: ("script element", HERE),
    82: ("bad key", f"{ACCESS}::test_without_a_known_key_nothing_is_taken"),
    83: ("key of a disabled source", f"{ACCESS}::test_a_disabled_source_is_refused"),
    84: ("foreign origin", f"{ACCESS}::test_a_browser_key_is_bound_to_its_origins"),
    85: ("forged X-Forwarded-For", "http/test_behind_proxies.py::test_only_the_header_counts_that_our_proxies_write"),
    86: ("IPv6 with zone, and mapped", ADDRESSES),
    87: ("garbage as address", ADDRESSES),
    88: ("user agent of 64 KB", HERE),
    89: ("no user agent", HERE),
    90: ("spam as referrer", HERE),
    91: ("pixel with bad base64", "http/test_pixel.py::test_the_answer_is_always_the_same_image"),
    92: ("HEAD of the pixel", "http/test_pixel.py::test_head_has_the_image_s_headers_and_makes_no_event"),
    93: ("Global Privacy Control", HERE),
    94: ("prefetch", HERE),
}


def test_each_of_the_94_is_tested_where_the_catalogue_says() -> None:
    assert list(CATALOGUE) == list(range(1, 95))
    for number, (_, place) in CATALOGUE.items():
        file, _, name = place.partition("::")
        if place == HERE:
            assert number in {probe.number for probe in PROBES}, number
        else:
            assert f"\ndef {name}(" in (TESTS / file).read_text(), number


class Probe(NamedTuple):
    """One input: its number, what is sent, and what is answered (None: another answer, see its test)."""

    number: int
    name: str
    body: bytes
    status: int
    accepted: int | None = 1
    headers: bytes = b""
    length: int | None = -1  # Content-Length; -1 as long as the body is, None for no such header


def event(message_id: str | None, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "bad_input", "messageId": message_id, "anonymousId": "v", **more}


def batch(*events: dict[str, Any]) -> bytes:
    return json.dumps({"batch": events, "writeKey": "KEY"}, ensure_ascii=False).encode()


def with_properties(name: str, text: str) -> bytes:
    return batch(event(name, properties={"text": text}, context={"page": {"title": text}}))


TEXT = {
    74: "A" * 30_000,
    75: "\u202emoc.evil\u202c zero\u200bwidth\u2066\ufeff",
    78: '=cmd|"/C calc"!A0',
    80: "a\r\n2026-01-01T00:00:00Z worker-0 ERROR forged\r\n",
    81: "</script><script>alert(1)</script>",
}
TIMES = {
    69: "2016-12-31T23:59:60Z",
    70: "0000-01-01T00:00:00Z",
    170: "9999-12-31T23:59:59Z",
    71: "2026-01-01T12:00:00",
    72: "AHEAD",
    73: "2010-01-01T00:00:00Z",
}
GOOD = event("kept")
PROBES = [
    Probe(7, "no length", batch(GOOD), 400, None, length=None),
    Probe(8, "short length", batch(GOOD), 400, None, length=20),
    Probe(9, "long length", batch(GOOD), 0, None, length=5_000),
    Probe(36, "mark", b"\xef\xbb\xbf" + batch(event("mark")), 200),
    Probe(45, "twice", batch(event("twice-1")).replace(b'"twice-1"', b'"twice-1","messageId":"twice-2"'), 200),
    Probe(54, "empty batch", batch(), 200, 0),
    Probe(63, "no id", batch(event(None, event="without_id"), event("", event="without_id")), 200, 2),
    Probe(64, "no uuid", batch(event("not a UUID / ü")), 200),
    Probe(65, "in one batch", batch(event("same"), event("same")), 200, 2),
    Probe(66, "again", batch(event("again")), 200),
    Probe(66, "and again", batch(event("again")), 200),
    Probe(67, "first", batch(event("reused", properties={"n": 1})), 200),
    Probe(67, "other", batch(event("reused", properties={"n": 2})), 200),
    *(Probe(number % 100, text, batch(event(f"time-{number}", timestamp=text)), 200) for number, text in TIMES.items()),
    *(Probe(number, f"text-{number}", with_properties(f"text-{number}", text), 200) for number, text in TEXT.items()),
    Probe(77, "international", batch(event("idn", context={"page": {"url": "https://bücher.example/straße"}})), 200),
    Probe(88, "long agent", batch(GOOD), 431, None, b"User-Agent: " + b"a" * 65_537 + b"\r\n"),
    Probe(88, "longest agent", batch(event("agent")), 200, 1, b"User-Agent: " + b"a" * 65_536 + b"\r\nX-A: b\r\n"),
    Probe(89, "no agent", batch(event("no-agent")), 200),
    Probe(
        90,
        "spam",
        batch(event("spam", context={"page": {"referrer": "https://buy-cheap.example/?<b>", "url": ""}})),
        200,
    ),
    Probe(93, "gpc", batch(event("gpc")), 200, 0, b"Sec-GPC: 1\r\n"),
    Probe(93, "agreed", batch(event("agreed", context={"consent": "granted"})), 200, 1, b"Sec-GPC: 1\r\n"),
    Probe(94, "prefetch", batch(event("prefetch")), 200, 1, b"Sec-Purpose: prefetch\r\nPurpose: prefetch\r\n"),
]


class Sent(NamedTuple):
    """What was answered, by the probe's name, and what is stored, by message id."""

    answers: dict[str, tuple[int, bytes]]
    rows: dict[str, list[dict[str, Any]]]
    nameless: int
    log: str


def send(collector: Serving, probe: Probe, key: str) -> tuple[int, bytes]:
    """One request as bytes; the status (0 when there is none) and the body of its first answer."""
    body = probe.body.replace(b'"KEY"', json.dumps(key).encode())
    ahead = datetime.now(UTC).replace(microsecond=0)
    body = body.replace(b"AHEAD", ahead.replace(year=ahead.year + 1, day=1).isoformat().encode())
    length = len(body) if probe.length == -1 else probe.length
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\n" + probe.headers
    head += b"" if length is None else b"Content-Length: %d\r\n" % length
    data = b""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=8) as connection:
        connection.sendall(head + b"\r\n" + body)
        connection.shutdown(socket.SHUT_WR)  # nothing more comes, so it is answered what can be, and closed
        while received := connection.recv(65_536):
            data += received
    answers = re.findall(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n(\{.*?\}(?=HTTP|$))", data, re.DOTALL)
    assert all(int(status) < 500 for status, _ in answers), data
    return (int(answers[0][0]), answers[0][1]) if answers else (0, data)


@pytest.fixture(scope="module")
def sent(collector: Serving) -> Iterator[Sent]:
    source, _ = add_source(collector.data_dir, "Bad inputs", [])
    answers = {probe.name: send(collector, probe, source.write_key) for probe in PROBES}
    fresh = collector.send(event("fresh"), key=source.write_key)
    assert fresh.json == {"accepted": 1, "rejected": []}
    collector.until_loaded()
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in collector.sql(f"SELECT * FROM events FINAL WHERE source_id = '{source.id}'"):
        rows.setdefault(row["message_id"], []).append(row)
    nameless = sum(row["event"] == "without_id" for found in rows.values() for row in found)
    yield Sent(answers, rows, nameless, collector.log())


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.number} {probe.name}")
def test_it_is_answered_in_its_own_way(sent: Sent, probe: Probe) -> None:
    status, body = sent.answers[probe.name]
    assert status == probe.status, body
    if probe.accepted is not None:
        assert json.loads(body) == {"accepted": probe.accepted, "rejected": []}
    elif status:
        assert set(json.loads(body)) == {"error", "reason"}


def test_after_all_of_them_a_fresh_event_is_stored(sent: Sent) -> None:
    assert len(sent.rows["fresh"]) == 1


def test_what_was_refused_is_not_stored(sent: Sent) -> None:
    assert "kept" not in sent.rows


def test_each_event_is_stored_once_whatever_its_id_is(sent: Sent) -> None:
    assert {name: len(rows) for name, rows in sent.rows.items() if len(rows) != 1} == {}
    assert sent.nameless == 2
    assert {"same", "again", "reused", "not a UUID / ü", "mark", "twice-2", "agent", "no-agent"} <= set(sent.rows)
    assert "twice-1" not in sent.rows, "of a name that stands twice the last counts"


def test_of_an_id_that_is_used_again_the_first_event_stays(sent: Sent) -> None:
    assert json.loads(sent.rows["reused"][0]["properties"]) == {"n": 1}


@pytest.mark.parametrize("number", [70, 170, 72])
def test_a_time_that_cannot_be_is_that_of_the_arrival(sent: Sent, number: int) -> None:
    (row,) = sent.rows[f"time-{number}"]
    assert row["event_time"] <= row["received_at"]
    assert row["event_time"][:13] >= row["received_at"][:10], "of the same day"


def test_a_time_long_ago_is_clamped_to_what_a_browser_may_claim(sent: Sent) -> None:
    for number in (69, 73):
        (row,) = sent.rows[f"time-{number}"]
        days = datetime.fromisoformat(row["received_at"]) - datetime.fromisoformat(row["event_time"])
        assert 0 <= days.total_seconds() / 86_400 <= 31


def test_a_time_without_zone_is_utc(sent: Sent) -> None:
    assert sent.rows["time-71"][0]["occurred_at"] == "2026-01-01 12:00:00.000"


@pytest.mark.parametrize("number", TEXT)
def test_text_is_stored_as_it_is_and_reaches_no_log(sent: Sent, number: int) -> None:
    (row,) = sent.rows[f"text-{number}"]
    assert json.loads(row["properties"]) == {"text": TEXT[number]}
    assert row["title"] == TEXT[number][:512]
    assert "forged" not in sent.log


def test_an_international_domain_and_a_spammer_s_referrer_are_data(sent: Sent) -> None:
    assert sent.rows["idn"][0]["path"]
    assert "cher" in sent.rows["idn"][0]["host"]
    assert sent.rows["spam"][0]["referrer_host"] == "buy-cheap.example"


def test_signals_of_the_browser_cost_no_event_but_what_a_visitor_refuses_by_them(sent: Sent) -> None:
    assert {"agreed", "prefetch"} <= set(sent.rows)
    assert "gpc" not in sent.rows
