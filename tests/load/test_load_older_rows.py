"""Rows that an older version spooled, before columns were added, are loaded like others, and exactly once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from load.spooled import (
    Data,
    assert_exactly_once,
    event,
    failed,
    load_all,
    never_merge,
    record,
    record_of_form_2,
    whole_record,
)

from collector.database.store import Store
from collector.loading.ledger import Ledger, LoadError, Manifest, Range, read_positions
from collector.loading.load import _EARLIER_SCHEMA, _FORM_2_SCHEMA, _SCHEMA_BEFORE, _WHOLE_ROWS_SCHEMA, SCHEMA
from collector.record import (
    ADDED_EVENT_VALUES,
    ADDED_FAILED_VALUES,
    EVENT_COLUMNS,
    FAILED_COLUMNS,
    EventRow,
    FailedRow,
    Rows,
    decode_rows,
    encode_rows,
)
from collector.spooling.spool import Record, frame, read_on

OLD_EVENT = len(EVENT_COLUMNS) - len(ADDED_EVENT_VALUES)
FORM_2_EVENT = EVENT_COLUMNS.index("region")  # columns of the version that packed rows first
OLD_FAILED = len(FAILED_COLUMNS) - len(ADDED_FAILED_VALUES)


@pytest.fixture
def data(tmp_path: Path, store: Store) -> Data:
    never_merge(store)
    return Data(tmp_path)


def old_payload(events: list[EventRow], rejected: list[FailedRow]) -> bytes:
    """Rows as the version before wrote them: without the columns that were added."""
    rows = decode_rows(encode_rows(Rows(events, rejected)))
    kept = [row[:OLD_EVENT] for row in rows.events], [row[:OLD_FAILED] for row in rows.failed]
    return msgspec.msgpack.encode(kept)


def old_record(events: list[EventRow], rejected: list[FailedRow]) -> bytes:
    return frame(old_payload(events, rejected), len(events), len(rejected))


def test_the_columns_of_before_are_those_of_the_released_version() -> None:
    """Fixed: a manifest that an older version wrote names them by this hash."""
    assert (EVENT_COLUMNS[OLD_EVENT - 1], FAILED_COLUMNS[OLD_FAILED - 1]) == ("violations", "raw")
    assert _EARLIER_SCHEMA == "4e833538d013d13d"
    assert _WHOLE_ROWS_SCHEMA == "36ebd2ca9cf69186"
    assert _FORM_2_SCHEMA == "4a10a0861aa20c13"
    assert _SCHEMA_BEFORE == "8a41a192ade5a11b"
    assert len({SCHEMA, _SCHEMA_BEFORE, _FORM_2_SCHEMA, _WHOLE_ROWS_SCHEMA, _EARLIER_SCHEMA}) == 5


def test_old_and_new_rows_of_one_batch_arrive_with_the_defaults_of_the_database(store: Store, data: Data) -> None:
    new = msgspec.structs.replace(event("new"), extra='{"a":1}', sample_rate=0.25, environment="dev", plan_version="2")
    newest = msgspec.structs.replace(new, message_id="z", properties=event("z").properties, asn=64_500, city="Ulm")
    form_2 = msgspec.structs.replace(new, message_id="middle", properties=event("middle").properties, path="/a")
    data.segment(
        old_record([event("old")], [failed("no")]),
        frame(record_of_form_2([form_2]), 1, 0),
        record([new, newest], [msgspec.structs.replace(failed("not"), sent_with="browser")]),
    )
    data.load(store)
    assert_exactly_once(store, data, ["old", "middle", "new", "z"], ["no", "not"])
    columns = "message_id, extra, sample_rate, environment, plan_version, path, asn, city, fragment, page_flags"
    rows = store.rows(f"SELECT {columns} FROM {store.database}.events ORDER BY message_id")
    assert rows == [
        ("middle", '{"a":1}', 0.25, "dev", "2", "/a", 0, "", "", ""),
        ("new", '{"a":1}', 0.25, "dev", "2", "", 0, "", "", ""),
        ("old", "{}", 1.0, "prod", "", "", 0, "", "", ""),
        ("z", '{"a":1}', 0.25, "dev", "2", "", 64_500, "Ulm", "", ""),
    ]
    columns = "message_id, environment, plan_hash, sent_with"
    rows = store.rows(f"SELECT {columns} FROM {store.database}.failed_events ORDER BY 1")
    assert rows == [("no", "prod", "", ""), ("not", "", "", "browser")]


@pytest.mark.parametrize("arrived", [False, True], ids=["lost", "arrived"])
def test_a_batch_that_the_older_version_left_in_flight_is_finished_under_its_token(
    store: Store, data: Data, arrived: bool
) -> None:
    ids = [f"event {n}" for n in range(50)]
    events, rejected = [event(each) for each in ids], [failed("no")]
    payload = old_payload(events, rejected)
    path = data.segment(frame(payload, len(events), len(rejected)))
    loader = data.loader(store)
    batch_id = loader._batch_id(1, _EARLIER_SCHEMA, [Record(0, 0, 0, 0, 0, payload, 0)], [], [])
    ledger = Ledger(received=51, stored=50, rejected=1)
    ranges = [Range(path.name, 8, path.stat().st_size)]
    manifest = Manifest(1, batch_id, ranges, [], [], _EARLIER_SCHEMA, ledger)
    (data.folder / "load" / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    if arrived:
        rows = [msgspec.to_builtins(row)[:OLD_EVENT] for row in events]
        columns = [*zip(*rows, strict=True), [batch_id] * len(rows)]
        store.insert("events", [*EVENT_COLUMNS[:OLD_EVENT], "batch_id"], columns, token=batch_id)
    loader.recover()
    load_all(loader)
    assert_exactly_once(store, data, ids, ["no"])
    assert read_positions(data.folder).sequence == 1


def test_a_batch_of_packed_rows_that_the_version_before_left_in_flight_is_finished_under_its_token(
    store: Store, data: Data
) -> None:
    ids = [f"event {n}" for n in range(20)]
    content = frame(record_of_form_2([event(each) for each in ids]), len(ids), 0)
    path = data.segment(content)
    loader = data.loader(store)
    (item,) = read_on(path, 8, 4_000_000, sealed=True)
    assert isinstance(item, Record)
    batch_id = loader._batch_id(1, _FORM_2_SCHEMA, [item], [], [])
    ledger = Ledger(received=20, stored=20)
    manifest = Manifest(1, batch_id, [Range(path.name, 8, path.stat().st_size)], [], [], _FORM_2_SCHEMA, ledger)
    (data.folder / "load" / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    rows = [msgspec.to_builtins(event(each))[:FORM_2_EVENT] for each in ids]
    columns = [*zip(*rows, strict=True), [batch_id] * len(rows)]
    store.insert("events", [*EVENT_COLUMNS[:FORM_2_EVENT], "batch_id"], columns, token=batch_id)
    loader.recover()
    load_all(loader)
    assert_exactly_once(store, data, ids)
    assert read_positions(data.folder).sequence == 1


@pytest.mark.parametrize("arrived", [False, True], ids=["lost", "arrived"])
def test_whole_rows_are_loaded_and_a_batch_of_them_in_flight_is_finished_under_its_token(
    store: Store, data: Data, arrived: bool
) -> None:
    """The form before rows were packed, which a replay still writes; its batches were named by their bytes."""
    ids = [f"event {n}" for n in range(50)]
    content = whole_record([event(each) for each in ids], [failed("no")])
    path = data.segment(content)
    loader = data.loader(store)
    payload = encode_rows(Rows([event(each) for each in ids], [failed("no")]))
    assert frame(payload, 50, 1) == content
    batch_id = loader._batch_id(1, _WHOLE_ROWS_SCHEMA, [Record(0, 0, 0, 0, 0, payload, 0)], [], [])
    ledger = Ledger(received=51, stored=50, rejected=1)
    manifest = Manifest(1, batch_id, [Range(path.name, 8, path.stat().st_size)], [], [], _WHOLE_ROWS_SCHEMA, ledger)
    (data.folder / "load" / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    if arrived:
        rows = [msgspec.to_builtins(event(each))[:FORM_2_EVENT] for each in ids]
        columns = [*zip(*rows, strict=True), [batch_id] * len(rows)]
        store.insert("events", [*EVENT_COLUMNS[:FORM_2_EVENT], "batch_id"], columns, token=batch_id)
    loader.recover()
    data.segment(whole_record([event("another")]), record([event("and another")]))
    load_all(loader)
    assert_exactly_once(store, data, [*ids, "another", "and another"], ["no"])


def test_rows_of_a_newer_version_are_left_where_they_are_and_it_is_said_which_version_to_start(
    store: Store, data: Data
) -> None:
    path = data.segment(frame(msgspec.msgpack.encode([4, [], [], [], []]), 1, 0))
    loader = data.loader(store)
    with pytest.raises(LoadError, match="rows of form 4, and this version reads 3; start the version that wrote them"):
        loader.step(wait=False)
    assert path.exists()


def test_rows_shorter_than_any_version_wrote_are_not_taken_for_old_ones(data: Data, store: Store) -> None:
    rows = decode_rows(encode_rows(Rows([event("a")], [])))
    payload = msgspec.msgpack.encode(([rows.events[0][: OLD_EVENT - 1]], []))
    data.segment(frame(payload, 1, 0))
    loader = data.loader(store)
    with pytest.raises(LoadError, match="rows of 51 columns, and this version reads 52 to 67"):
        loader.step(wait=False)
    assert store.rows(f"SELECT count() FROM {store.database}.events") == [(0,)]
