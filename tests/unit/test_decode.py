"""From bytes to envelopes: what is repaired, what is refused, and what each event keeps of itself."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from collector.ingest.clock import parse_time
from collector.limits import EVENTS_MAX
from collector.reason import Reason, Refused, Rejected
from collector.record import Envelope
from collector.wire.decode import Batch, decode_batch, decode_single, raw_events
from collector.wire.malformed import Malformed, salvage
from collector.wire.names import snake_case
from collector.wire.pixel import decode_pixel

FAR_MS = 4_102_444_800_000  # 2100-01-01


def one(event: bytes) -> Envelope | Rejected:
    return decode_batch(b'{"batch":[' + event + b"]}").events[0]


def envelope(event: bytes) -> Envelope:
    found = one(event)
    assert isinstance(found, Envelope), found
    return found


def rejected(event: bytes) -> Rejected:
    found = one(event)
    assert isinstance(found, Rejected), found
    return found


def refused(body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        decode_batch(body)
    return caught.value


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb"\ud83d\ude00", "😀"),
        (rb"\uD83D\uDE00", "😀"),
        (rb"\ud83d", "\ufffd"),
        (rb"\ude00", "\ufffd"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\ud83d\ude00\ude00", "😀\ufffd"),
        (rb"\ud83dx\ude00", "\ufffdx\ufffd"),
        (rb"\ud83d\n\ude00", "\ufffd\n\ufffd"),
        (rb"\\ud83d", "\\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\\\\ud83d", "\\\\ud83d"),
        (rb"\\ud83d\ude00", "\\ud83d\ufffd"),
        (rb"\\\ud83d\ude00", "\\😀"),
        (rb"\"\ud83d", '"\ufffd'),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
    ],
)
def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_stays(sent: bytes, read: str) -> None:
    event = b'{"event":"' + sent + b'","properties":{"t":"' + sent + b'"}}'
    for found in (envelope(event), decode_single(event, "track").events[0]):
        assert isinstance(found, Envelope)
        assert found.event == read
        assert isinstance(found.properties, msgspec.Raw)
        assert msgspec.json.decode(found.properties) == {"t": read}


def test_half_a_surrogate_pair_beside_a_bad_event_is_replaced_too() -> None:
    batch = decode_batch(rb'{"batch":[5,{"event":"\\ud83d\ude00"}]}')
    assert isinstance(batch.events[1], Envelope)
    assert raw_events(rb'{"batch":[5,{"event":"\ud83d"}]}')[1] == rb'{"event":"\ufffd"}'


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode_batch(b'\xef\xbb\xbf{"batch":[]}').events == []
    assert envelope('{"event":"é"}'.encode()).event == "é"
    assert len(decode_batch(b"\xef\xbb\xbf" + '{"batch":[{"event":"é"}]}'.encode()).events) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"batch":[]}'.encode("utf-16"), "not UTF-8 at byte 0"),
        (b'{"batch":["\xff]}', "not UTF-8 at byte 11"),
        (b'{"batch":[],"context":"\xed\xa0\x80"}', "not UTF-8 at byte 23"),
        (b'{"batch":[],"context":NaN}', "byte 22"),
        (b'{"batch":[]} x', "byte 14"),
        (b'{"batch":[' + b"[" * 100_000, "nested too deeply"),
        (b'{"batch":[5],"x":' + b"[" * 100_000, "nested too deeply"),
        (b'{"batch":[{]}]}', "byte 11"),
        (b'{"batch":[5,tru}', "byte 13"),
        (b'{"batch":[5,,5]}', "byte 12"),
        (b'{"batch":[5,]}', "byte 12"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place(body: bytes, says: str) -> None:
    error = refused(body)
    assert error.reason is Reason.NOT_JSON
    assert says in error.sentence


def test_what_is_no_object_is_refused_on_single_paths() -> None:
    for body, reason in (
        (b"5", Reason.NOT_A_BATCH),
        (b"[]", Reason.NOT_A_BATCH),
        (b'{"event":5,"a":tru]', Reason.NOT_JSON),
        (b'{"event":5,"a":' + b"[" * 100_000, Reason.NOT_JSON),
        (b'{"batch":[]}', Reason.NOT_A_BATCH),
    ):
        with pytest.raises(Refused) as caught:
            decode_single(body, "track")
        assert caught.value.reason is reason


def test_a_property_named_batch_is_no_batch() -> None:
    assert isinstance(decode_single(b'{"event":"e","properties":{"batch":1}}', "track").events[0], Envelope)


def test_the_path_names_the_type() -> None:
    event = decode_single(b'{"type":"page","event":"e"}', "track").events[0]
    assert isinstance(event, Envelope)
    assert event.type == "track"


@pytest.mark.parametrize(
    ("event", "reason", "pointer"),
    [
        (b"5", Reason.EVENT_NOT_OBJECT, ""),
        (b"null", Reason.EVENT_NOT_OBJECT, ""),
        (b"[]", Reason.EVENT_NOT_OBJECT, ""),
        (b"1e400", Reason.EVENT_NOT_OBJECT, ""),
        (b'{"event":5}', Reason.EVENT_FIELD_INVALID, "/event"),
        (b'{"type":null}', Reason.EVENT_FIELD_INVALID, "/type"),
        (b'{"messageId":5}', Reason.EVENT_FIELD_INVALID, "/messageId"),
        (b'{"userId":1.5}', Reason.EVENT_FIELD_INVALID, "/userId"),
        (b'{"userId":true}', Reason.EVENT_FIELD_INVALID, "/userId"),
        (b'{"userId":' + b"9" * 5_000 + b"}", Reason.EVENT_FIELD_INVALID, "/userId"),
        (b'{"timestamp":1e400}', Reason.EVENT_FIELD_INVALID, "/timestamp"),
        (b'{"sequence":1.0,"event":5}', Reason.EVENT_FIELD_INVALID, "/event"),
        (b'{"event":"e","event":5}', Reason.EVENT_FIELD_INVALID, "/event"),
    ],
)
def test_an_event_of_the_wrong_shape_is_rejected_with_a_pointer(event: bytes, reason: Reason, pointer: str) -> None:
    for found in (rejected(event), *([] if pointer == "" else decode_single(event, "track").events)):
        assert isinstance(found, Rejected)
        assert (found.reason, found.pointer) == (reason, pointer)
        assert found.fix.isprintable()


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"7", 7),
        (b"3.0", 3),
        (b"3.9", 3),
        (b'"3"', None),
        (b"true", None),
        (b"{}", None),
        (b"1e400", None),
        (b"9" * 5_000, None),
        (b"null", None),
    ],
)
def test_an_odd_sequence_costs_no_event(sent: bytes, read: int | None) -> None:
    event = b'{"type":"track","event":"e","sequence":' + sent + b',"properties":{"n":1.50}}'
    for found in (envelope(event), decode_single(event, "track").events[0]):
        assert isinstance(found, Envelope)
        assert (found.sequence, found.event) == (read, "e")
        assert bytes(found.properties) == b'{"n":1.50}'  # type: ignore[arg-type]  # it was sent


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("event", "pointers", "says"),
    [
        (b'{"properties":{"a":NaN}}', ["/properties/a"], "properties.a is NaN, which is not JSON; send null"),
        (b'{"properties":{"a":-Infinity,"b":[1,tru]}}', ["/properties/a", "/properties/b/1"], "is -Infinity"),
        (b'{"properties":{"a":"\xff"},"event":5}', ["/properties/a", "/event"], "is not UTF-8 at byte 1"),
        (b'{"properties":{"a":' + DEEP + b"}}", ["/properties/a" + "/0" * 15], "is nested too deeply"),
        (b'{"x":' + DEEP + b"}", ["/x" + "/0" * 16], "is nested too deeply"),
        (b"NaN", [""], "is NaN, which is not JSON"),
        (b'"\xed\xa0\x80"', [""], "is not UTF-8"),
        (b'{"a":01,"b":"\x00"}', ["/a", "/b"], "is not JSON"),
        (b'{"a":{"b/c~":[{"\\u0064":+1}]}}', ["/a/b~1c~0/0/d"], "is not JSON"),
        (b'{"event":5,"type":7}', ["/event", "/type"], "send it as the Segment API has it"),
        (b'{"sequence":NaN}', ["/sequence"], "is NaN"),
        (b'{"\xff":1,"sequence":"7"}', ["/sequence"], "send it as the Segment API has it"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, bytes) else None,
)
def test_an_event_that_is_no_json_costs_its_neighbours_nothing(event: bytes, pointers: list[str], says: str) -> None:
    good = b'{"event":"e","messageId":"m"}'
    batch = decode_batch(b'{"sentAt":7,"batch":[' + good + b", " + event + b"," + good + b'],"writeKey":"k"}')
    first, bad, last = batch.events
    assert isinstance(first, Envelope)
    assert first == last
    assert (batch.sent_at, batch.write_key) == (7, "k")
    assert batch.raws[1] == event
    assert isinstance(bad, Malformed)
    assert says in bad.fix
    assert bad.violations == [f"event_field_invalid:{pointer}" for pointer in pointers]


def test_a_list_however_deep_is_no_event() -> None:
    batch = decode_batch(b'{"batch":[' + DEEP + b',{"event":"e"}]}')
    assert isinstance(batch.events[0], Rejected)
    assert batch.events[0].reason is Reason.EVENT_NOT_OBJECT
    assert isinstance(batch.events[1], Envelope)


def test_what_can_be_read_of_an_event_that_is_no_json_is() -> None:
    found = salvage(b'{"type":"track","messageId":"m","properties":{"a":NaN},"event":"\xff"}', Envelope)
    assert (found.type, found.messageId, found.event) == ("track", "m", None)


def test_a_body_made_to_be_slow_is_refused() -> None:
    error = refused(b'{"batch":[NaN,' + b"[],".join([b""] * 160_000) + b"5]}")
    assert error.reason is Reason.NOT_JSON


def test_a_bad_event_costs_its_batch_neither_clock_nor_key() -> None:
    batch = decode_batch(b'{"batch":[5,{"event":"e"}],"sentAt":1700000000000,"writeKey":"k","context":{"a":1}}')
    assert (batch.sent_at, batch.write_key) == (1_700_000_000_000, "k")
    assert bytes(batch.context) == b'{"a":1}'  # type: ignore[arg-type]  # it was sent
    assert list(batch.raws) == [b"5", b'{"event":"e"}']


@pytest.mark.parametrize("odd", [b"{}", b"1e400", b"9" * 5_000, b"[" * 700 + b"]" * 700, b"true", b"null"])
def test_odd_batch_fields_are_as_good_as_absent(odd: bytes) -> None:
    batch = decode_batch(b'{"batch":[5,{"event":"e"}],"sentAt":' + odd + b',"writeKey":' + odd + b',"context":null}')
    assert (batch.sent_at, batch.write_key) == (None, None)
    assert isinstance(batch.events[1], Envelope)


def test_properties_are_kept_to_the_byte() -> None:
    sent = b'{"n": 1.50, "big": 123456789012345678901234567890, "n": 2,\t"t":"\\u00e9"}'
    assert bytes(envelope(b'{"properties":' + sent + b"}").properties) == sent  # type: ignore[arg-type]  # it was sent


def test_the_number_of_events_has_a_limit() -> None:
    assert len(decode_batch(b'{"batch":[' + b"{}," * (EVENTS_MAX - 1) + b"{}]}").events) == EVENTS_MAX
    for event in (b"{}", b"5"):
        assert refused(b'{"batch":[' + (event + b",") * EVENTS_MAX + event + b"]}").reason is Reason.BODY_TOO_LARGE


def test_an_empty_batch_is_one() -> None:
    assert decode_batch(b'{"batch":[]}').events == []


def test_what_can_be_read_of_a_bad_event_is() -> None:
    found = salvage(b'{"type":"track","event":5,"messageId":"m","userId":7,"timestamp":{},"context":{"a":1}}', Envelope)
    assert (found.type, found.event, found.messageId, found.userId) == ("track", None, "m", 7)
    assert bytes(found.context) == b'{"a":1}'  # type: ignore[arg-type]  # it was sent
    for raw in (b"5", b"[]", b"null", b"[" * 100_000, b'{"type"'):
        assert salvage(raw, Envelope) == Envelope()


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("2024-03-22T15:45:00Z", 1_711_122_300_000),
        ("2024-03-22T17:45:00+02:00", 1_711_122_300_000),
        ("2024-03-22T15:45:00.123456Z", 1_711_122_300_123),
        ("2024-03-22T15:45:00", 1_711_122_300_000),
        ("2024-03-22", 1_711_065_600_000),
        ("20240322", 1_711_065_600_000),
        ("1711122300000", 1_711_122_300_000),
        ("1711122300", 1_711_122_300_000),
        (1_711_122_300_000, 1_711_122_300_000),
        (1_711_122_300, 1_711_122_300_000),
        (1_711_122_300.5, 1_711_122_300_500),
        (0, 0),
        (-5, 0),
        (1e308, FAR_MS),
        (-1e308, 0),
        (10**4_000, FAR_MS),
        ("0001-01-01T00:00:00+14:00", 0),
        ("9999-12-31T23:59:59-14:00", FAR_MS),
        ("2024-02-30T00:00:00Z", None),
        ("2016-12-31T23:59:60Z", None),
        ("0000-01-01", None),
        ("10000-01-01", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        ("2024-01-01T00:00:00Z" + "0" * 100_000, None),
        ("١٧١١١٢٢٣٠٠", 1_711_122_300_000),
    ],
    ids=lambda value: f"{str(value)[:25]}-{type(value).__name__}",
)
def test_times(value: Any, milliseconds: int | None) -> None:
    assert parse_time(value) == milliseconds


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Order Completed", "order_completed"),
        ("orderCompleted", "order_completed"),
        ("order_completed", "order_completed"),
        ("ORDER COMPLETED", "order_completed"),
        ("HTMLParser", "html_parser"),
        ("  a--b__c  ", "a_b_c"),
        ("v2Launch", "v2_launch"),
        ("Été arrivé", "été_arrivé"),
        ("注文 完了", "注文_完了"),
        ("का", "का"),
        ("की", "की"),
        ("ซื้อแล้ว", "ซื้อแล้ว"),
        ("a\u200bb", "a_b"),
        ("\u202eabc", "abc"),
        ("!!!", ""),
        ("🎉", ""),
        ("", ""),
    ],
)
def test_names_in_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_a_pixel_of_too_many_parameters_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        decode_pixel("a=1&" * 201)
    assert caught.value.reason is Reason.BAD_QUERY


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("", "page"),
        ("event=e", "track"),
        ("event=", "track"),
        ("type=group&groupId=g", "group"),
        ("data=" + json.dumps({"type": "alias"}), "alias"),
        ("data={}", "page"),
    ],
)
def test_a_pixel_s_type(query: str, kind: str) -> None:
    batch: Batch = decode_pixel(query)
    assert isinstance(batch.events[0], Envelope)
    assert batch.events[0].type == kind


def test_a_pixel_s_key_is_no_property() -> None:
    batch = decode_pixel("write_key=a&writeKey=b&x=1")
    assert batch.write_key == "a"
    assert isinstance(batch.events[0], Envelope)
    assert bytes(batch.events[0].properties) == b'{"x":"1"}'  # type: ignore[arg-type]  # it was sent
