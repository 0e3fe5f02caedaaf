"""Replay: what the plan accepts by now is stored once, with its own times and ids, whatever happens in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plan import built
from plan.hindsight import NOW_MS, SAFARI, SECOND_MS, Site, site, track

from collector.database.publish import record_version
from collector.database.store import Store
from collector.hindsight import HindsightError
from collector.hindsight.failed import Wanted, again, pages, tools_for
from collector.hindsight.replay import Replayed, replay
from collector.hindsight.segment import Replayer
from collector.loading.ledger import Ledger, read_positions
from collector.plan import compile_plan
from collector.plan.lock import sealed
from collector.plan.model import Action, Plan, Property
from collector.record import EVENT_COLUMNS
from collector.spooling.spool import SEGMENT_MAGIC, segments

ALL = Wanted(0)
STRICT = built.plan_of(
    built.event(built.number("n", required=True), built.text("email", "sha256", format="email"), name="bought"),
    built.event(built.text("note", max_length=3), name="noted"),
)
LENIENT = built.plan_of(
    built.event(built.number("n"), built.text("email", "sha256", format="email"), name="bought"),
    built.event(built.text("note", max_length=30), name="noted"),
)
CONTEXT = {"page": {"url": "https://shop.example/a?utm_source=x", "title": "A"}, "locale": "nl-NL", "ip": "81.2.69.142"}


@pytest.fixture
def shop(tmp_path: Path, dsn: str, store: Store) -> Site:
    return site(tmp_path, dsn, store, STRICT)


def run(shop: Site, plan: Plan, wanted: Wanted = ALL, *, page_rows: int = 500, load: bool = True) -> Replayed:
    """One whole replay."""
    replayer = Replayer(shop.data.folder)
    try:
        with shop.asking() as ask:
            done = replay(ask, tools_for(compile_plan(plan), shop.data.folder), wanted, replayer, page_rows)
        replayer.seal()
    finally:
        replayer.close()
    if load:
        shop.load()
    return done


def ids(shop: Site) -> list[str]:
    rows = shop.store.rows(f"SELECT message_id FROM {shop.store.database}.events ORDER BY message_id")
    return [row[0] for row in rows]


def row_of(shop: Site, message_id: str) -> dict[str, Any]:
    names = [name for name in EVENT_COLUMNS if name != "plan_version"]
    (row,) = shop.store.rows(
        f"SELECT {', '.join(names)} FROM {shop.store.database}.events WHERE message_id = {{id:String}}",
        {"id": message_id},
    )
    return dict(zip(names, row, strict=True))


def test_what_was_wrong_with_a_value_that_was_hashed_stands_until_its_property_changes(
    tmp_path: Path, dsn: str, store: Store
) -> None:
    """Only the hash of what was no address is left, and a hash breaks no rule."""
    rules = built.rules({"constraint": Action.QUARANTINE})

    def plan(email: Property, *, required: bool) -> Plan:
        return sealed(
            built.plan_of(built.event(built.number("n", required=required), email, name="bought", rules=rules))
        )

    email = built.text("email", "sha256", max_length=9)
    strict = plan(email, required=True)
    shop = site(tmp_path, dsn, store, strict)
    record_version(store, strict, NOW_MS)
    wrong = [track("Bought", "a", n=1, email="no address"), track("Bought", "b", n=1, email=5)]
    shop.receive(*wrong, track("Bought", "c"))
    shop.load()
    for tried, stored in (
        (strict, []),
        (plan(email, required=False), ["c"]),
        (plan(built.text("email", "sha256"), required=False), ["a", "b", "c"]),
    ):
        done = run(shop, tried)
        assert (done.total("failed"), done.total("still_failing"), ids(shop)) == (3, 3 - len(stored), stored)


def test_an_event_is_stored_as_if_the_plan_had_accepted_it_at_once(shop: Site) -> None:
    """But for the version of the plan, all columns are those of an event that was never refused."""
    sent: dict[str, Any] = {"context": CONTEXT, "sentAt": "2026-09-21T14:13:12.000Z"}
    shop.receive(track("Bought", "a", email="A@b.example"), **sent)
    shop.load()
    assert ids(shop) == []
    assert run(shop, LENIENT).total("replayed") == 1
    replayed = row_of(shop, "a")
    shop.receive(track("Bought", "b", email="A@b.example"), tools=shop.tools_of(LENIENT), **sent)
    shop.load()
    direct = row_of(shop, "b")
    expected = direct | {"message_id": "a", "visitor_id": "visitor of a"}
    assert replayed == expected
    assert replayed["country"] == "NL"
    assert "A@b.example" not in str(replayed)


def test_twice_in_a_row_adds_nothing(shop: Site) -> None:
    shop.receive(*(track("noted", f"m{n:02}", note="longer") for n in range(20)))
    shop.load()
    first = run(shop, LENIENT)
    assert (first.total("failed"), first.total("replayed")) == (20, 20)
    before = read_positions(shop.data.folder).ledger
    second = run(shop, LENIENT)
    assert (second.total("failed"), second.total("replayed"), second.total("stored")) == (20, 0, 20)
    assert ids(shop) == [f"m{n:02}" for n in range(20)]
    assert read_positions(shop.data.folder).ledger == before


def test_what_was_recovered_can_be_asked_for(shop: Site) -> None:
    shop.receive(track("noted", "again", note="longer"), track("noted", "late", note="longer"))
    shop.receive(track("noted", "never", note="l" * 31))
    shop.load()
    view = f"{shop.store.database}.recovered_events"
    assert shop.store.rows(f"SELECT * FROM {view}") == []
    shop.receive(track("noted", "late", note="ok"), received_ms=NOW_MS + SECOND_MS)  # its sender corrected it
    shop.load()
    run(shop, LENIENT)
    asked = f"SELECT message_id, how, event, reason, pointer, refused_by, accepted_by FROM {view} ORDER BY message_id"
    version = STRICT.version
    assert shop.store.rows(asked) == [
        ("again", "replayed", "noted", "constraint", "/properties/note", version, version),
        ("late", "sent again", "noted", "constraint", "/properties/note", version, version),
    ]
    nameless = {"type": "track", "event": "noted", "messageId": "alone", "properties": {"note": "longer"}}
    shop.receive(nameless)
    shop.load()
    run(shop, LENIENT)
    assert ("alone",) in shop.store.rows(f"SELECT message_id FROM {view}")


def test_only_what_the_plan_accepts_is_stored_and_the_rest_says_why_not(shop: Site) -> None:
    shop.receive(
        track("noted", "short", note="longer"), track("noted", "long", note="l" * 31), track("noted", "n", note=1)
    )
    shop.load()
    done = run(shop, LENIENT)
    assert ids(shop) == ["short"]
    assert {key: (one.failed, one.replayed, one.still) for key, one in done.tallies.items()} == {
        ("noted", "constraint"): (2, 1, {"constraint": 1}),
        ("noted", "wrong_type"): (1, 0, {"wrong_type": 1}),
    }


def test_killed_between_the_spool_and_the_database_a_second_run_leaves_no_double(shop: Site) -> None:
    """The first run's segment is in the spool when the second looks into the database, which so finds nothing."""
    shop.receive(*(track("noted", f"m{n}", note="longer") for n in range(7)))
    shop.load()
    run(shop, LENIENT, load=False)
    run(shop, LENIENT, load=False)
    shop.load()
    assert ids(shop) == [f"m{n}" for n in range(7)]
    assert read_positions(shop.data.folder).ledger == Ledger(received=21, stored=7, deduplicated=7, rejected=7)
    assert segments(shop.data.spool) == []


def test_killed_before_the_segment_has_its_name_nothing_has_happened(shop: Site) -> None:
    shop.receive(*(track("noted", f"m{n}", note="longer") for n in range(7)))
    shop.load()
    (shop.data.spool / ".replay.new").write_bytes(SEGMENT_MAGIC + b"half a rec")
    shop.load()
    assert ids(shop) == []
    run(shop, LENIENT)
    assert len(ids(shop)) == 7


def test_what_was_sent_again_and_accepted_is_not_stored_a_second_time(shop: Site) -> None:
    shop.receive(track("noted", "a", note="longer"))
    shop.receive(track("noted", "a", note="ok"), received_ms=NOW_MS + 5 * SECOND_MS)
    shop.load()
    done = run(shop, LENIENT)
    assert (done.total("replayed"), done.total("stored")) == (0, 1)
    assert row_of(shop, "a")["properties"] == '{"note":"ok"}'


def test_an_event_that_was_refused_twice_is_stored_once(shop: Site) -> None:
    shop.receive(track("noted", "a", note="longer"))
    shop.receive(track("noted", "a", note=17), received_ms=NOW_MS + 5 * SECOND_MS)
    shop.receive(track("noted", "a", note="and longer"), received_ms=NOW_MS + 9 * SECOND_MS)
    shop.load()
    run(shop, LENIENT)
    assert ids(shop) == ["a"]


def test_events_and_reasons_can_be_chosen(shop: Site) -> None:
    shop.receive(track("Noted", "a", note="longer"), track("bought", "b"), track("bought@2", "c"))
    shop.load()
    assert run(shop, LENIENT, Wanted(0, event="bought", reason="constraint")).total("failed") == 0
    run(shop, LENIENT, Wanted(0, event="bought"))
    assert ids(shop) == ["b", "c"]
    run(shop, LENIENT, Wanted(0, reason="constraint"))
    assert ids(shop) == ["a", "b", "c"]
    assert run(shop, LENIENT, Wanted(NOW_MS + 1)).total("failed") == 0


@pytest.mark.parametrize("page_rows", [1, 3, 100])
def test_every_failed_event_is_read_once_however_large_the_pages(shop: Site, page_rows: int) -> None:
    """Also where events share a moment, an id or both."""
    for moment in (NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS - 5_000):
        shop.receive(*(track("noted", f"m{n}", note="longer") for n in range(5)), received_ms=moment)
        shop.receive(track("noted", "m1", note=1), track("", "m'\\1"), received_ms=moment)
    shop.load()
    total = shop.store.rows(f"SELECT count() FROM {shop.store.database}.failed_events")[0][0]
    with shop.asking() as ask:
        read = [one for page in pages(ask, ALL, page_rows) for one in page]
    assert len(read) == total == 7
    assert run(shop, LENIENT, page_rows=page_rows).total("replayed") == 5
    assert ids(shop) == [f"m{n}" for n in range(5)]


def test_an_event_without_ids_gets_those_under_which_it_was_kept(shop: Site) -> None:
    anonymous = track("noted", "", note="longer")
    del anonymous["anonymousId"], anonymous["messageId"]
    shop.receive(anonymous)
    shop.load()
    (kept,) = shop.store.rows(f"SELECT message_id, visitor_id FROM {shop.store.database}.failed_events")
    run(shop, LENIENT)
    run(shop, LENIENT)
    assert shop.store.rows(f"SELECT message_id, visitor_id FROM {shop.store.database}.events") == [kept]


def test_an_event_is_a_servers_or_a_browsers_by_its_key_and_not_by_what_it_calls_itself(shop: Site) -> None:
    event = track("noted", "", note="longer") | {"context": {"userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"}}  # fmt: skip  # noqa: E501 - one user agent
    event["originalTimestamp"] = "2026-05-01T00:00:00Z"  # a server may report what was long ago
    library = "python-requests/2.31"
    sent = {"a": (True, library), "b": (True, SAFARI), "c": (False, library), "of before": (True, library)}
    for message_id, (is_server, agent) in sent.items():
        again = event | {"messageId": message_id, "anonymousId": message_id}
        shop.receive(again, is_server=is_server, user_agent=agent, sentAt="2026-09-21T14:13:20.000Z")
    shop.load()
    failed = f"{shop.store.database}.failed_events"
    # Of a row from before it was kept with which key it came, the agent tells.
    shop.store.command(f"ALTER TABLE {failed} UPDATE sent_with = '' WHERE message_id = 'of before' SETTINGS mutations_sync = 1")  # fmt: skip  # noqa: E501 - one statement
    run(shop, LENIENT)
    for message_id in ("a", "b", "of before"):
        row = row_of(shop, message_id)
        assert (row["is_bot"], row["device_class"]) == (False, "mobile"), message_id
        assert row["event_time"].strftime("%Y-%m-%d") == "2026-05-01", message_id
    row = row_of(shop, "c")
    assert (row["is_bot"], row["bot_reason"]) == (True, "http_client")
    assert row["event_time"].strftime("%Y-%m-%d") > "2026-05-01"


def test_what_the_plan_drops_is_counted_and_not_stored(shop: Site) -> None:
    shop.receive(track("noted", "a", note="longer"))
    shop.load()
    rules = built.rules({"undeclared_pii": Action.DROP})
    dropping = built.plan_of(built.event(built.text("note", max_length=99), name="noted", rules=rules))
    shop.receive(track("noted", "b", note="4 111", x="me@shop.example"))
    shop.load()
    done = run(shop, dropping)
    assert (done.total("replayed"), done.total("dropped")) == (1, 1)
    assert ids(shop) == ["a"]


def test_a_second_replay_at_the_same_time_is_refused(shop: Site) -> None:
    first = Replayer(shop.data.folder)
    with pytest.raises(HindsightError, match="another replay is under way"):
        Replayer(shop.data.folder)
    first.close()
    Replayer(shop.data.folder).close()


def test_what_was_no_event_stays_refused(shop: Site) -> None:
    shop.receive(track("noted", "a", note="longer") | {"anonymousId": "x" * 300})
    shop.receive({"type": "track", "messageId": "b", "event": ["noted"]})
    shop.load()
    done = run(shop, LENIENT)
    assert (done.total("failed"), done.total("still_failing")) == (2, 2)
    assert ids(shop) == []


def test_rules_are_those_of_the_day_an_event_arrived(shop: Site) -> None:
    """A version that has ended since accepts what came while it was current."""
    import datetime

    ended = built.plan_of(
        built.event(built.text("note", max_length=30), name="noted", sunset=datetime.date(2026, 10, 1))
    )
    shop.receive(track("noted", "before", note="longer"), received_ms=NOW_MS)
    shop.receive(track("noted", "after", note="longer"), received_ms=NOW_MS + 30 * 86_400_000)
    shop.load()
    run(shop, ended)
    assert ids(shop) == ["before"]


def test_rows_of_failed_events_name_what_again_needs(shop: Site) -> None:
    shop.receive(track("noted", "a", note="longer"))
    shop.load()
    with shop.asking() as ask:
        ((failed,),) = list(pages(ask, ALL))
    retried = again(failed, tools_for(compile_plan(STRICT), shop.data.folder))
    assert retried is not None
    assert retried.row is None
    assert [one.reason for one in retried.outcome.rejected] == ["constraint"]
