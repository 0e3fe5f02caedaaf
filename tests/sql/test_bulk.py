"""Invented events in any number: the same seed gives the same, and they hold what views must cope with."""

from __future__ import annotations

from datetime import UTC, datetime

from collector.database.store import Store
from collector.simulate.bulk import generate

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


def test_the_same_seed_makes_the_same_events_and_they_are_as_events_are(store: Store) -> None:
    for source_id, seed in (("first", 1), ("again", 1), ("other", 2)):
        assert list(generate(store, 8_000, source_id=source_id, until=UNTIL, seed=seed)) == [2_000]
    hashes = dict(
        store.rows(
            f"SELECT source_id, groupBitXor(cityHash64(message_id, visitor_id, event_time, event, path, value)) "
            f"FROM {store.database}.events GROUP BY source_id"
        )
    )
    assert hashes["first"] == hashes["again"] != hashes["other"]
    ((events, ids, late, bots, visitors, purchases),) = store.rows(
        f"SELECT count(), uniqExact(message_id), countIf(received_at > event_time + 60), countIf(is_bot), "
        f"uniqExact(visitor_id), countIf(conversion = 'macro') FROM {store.database}.events WHERE source_id = 'first'"
    )
    assert 7_000 < events < 9_000 and 0 < events - ids < 100, "some arrive twice"
    assert 150 < late < 400 and 0 < bots < 500 and 150 < visitors <= 200 and 5 < purchases < 200
    ((ties,),) = store.rows(
        f"SELECT count() FROM (SELECT visitor_id, event_time FROM {store.database}.human_events "
        "WHERE source_id = 'first' GROUP BY visitor_id, event_time HAVING count() > 1)"
    )
    assert ties > 5
