"""A database over two real servers, beside the same on one: views, loading, erasing and all else. `make cluster`.

Views are asked as anybody asks them, without settings, on a server other than the one that loaded. AGREE are those that
show most; FOOTFALL_TEST_CLUSTER=all compares every view. Not in the suite: two servers and their views take a minute.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from audience.test_audience_members import Clock
from audience.test_audience_members import test_who_came_and_who_went_is_written_down as who_came_and_who_went
from click.testing import CliRunner
from clickhouse_server import USERS, ClickHouseServer
from load.spooled import NOW_MS, Data, assert_exactly_once, event, failed, load_all, record
from serving import footfall, serving
from sql.test_stored_sessions import (
    test_after_every_batch_stored_sessions_are_what_sessions_says as after_every_batch,
)
from tcp_proxy import Fault, Kind, proxied

from collector.audience.refresh import forget
from collector.cli.main import command
from collector.database.catalogue import View, catalogue
from collector.database.cluster import SHARDING, shards
from collector.database.migrate import MigrationError, migrate, pending
from collector.database.publish import record_version
from collector.database.query import answer
from collector.database.retention import apply_retention, read_rules
from collector.database.sessions import StoredSessions
from collector.database.store import Cluster, Store, StoreError
from collector.loading.load import Batch, Loader
from collector.paths import DEFAULT_PLAN_DIR
from collector.plan import load_plan
from collector.record import EventRow
from collector.rights.erase import Request, erase

pytestmark = pytest.mark.skipif(
    "FOOTFALL_TEST_CLUSTER" not in os.environ, reason="two servers and all views take minutes; `make cluster` runs it"
)

VIEWS = catalogue()
AGREE = (
    *("human_events", "visitors", "sessions", "entries", "transitions", "funnel", "identities", "churn_risk"),
    *("person_sessions", "persons_at", "kpis", "period_visitors", "attribution"),
)
# What such a view says of the moment at which it is asked differs between two questions.
OF_NOW = {"persons": "* EXCEPT (idle_days, churn_risk)"}
EVENTS = 3_000
# The moment at which both are asked, where a question says `now`.
NOW = "toDateTime64('2026-11-30 12:00:00', 3, 'UTC')"
# A user's devices are on the shard of each, so a person's rows may be on two: that is what is tested.
ROWS = f"""
    SELECT
        toString(number) AS message_id,
        ['page', 'page', 'track', 'track', 'identify', 'alias', 'group'][k] AS type,
        ['page_view', 'page_view', 'add_to_cart', 'purchase', 'identify', 'alias', 'group'][k] AS event,
        'shop' AS source_id,
        concat('v', toString(cityHash64(number, 1) % 300)) AS visitor_id,
        if(cityHash64(number, 2) % 4 = 0, concat('u', toString(cityHash64(number, 1) % 120)), '') AS user_id,
        toDateTime64('2026-11-01 00:00:00', 3, 'UTC') + toIntervalMillisecond(cityHash64(number, 3) % 2500000000)
            AS event_time,
        event_time AS occurred_at,
        event_time AS received_at,
        concat('/', ['pricing', 'blog', 'product', 'cart'][1 + cityHash64(number, 4) % 4]) AS path,
        ['direct', 'organic_search', 'email'][1 + cityHash64(number, 5) % 3] AS channel,
        ['desktop', 'mobile'][1 + cityHash64(number, 6) % 2] AS device_class,
        if(event = 'purchase', 'macro', '') AS conversion,
        if(event = 'purchase', cityHash64(number, 7) % 100, 0) AS value,
        if(event = 'purchase', 'EUR', '') AS currency,
        '{{"items":[{{"sku":"a"}},{{"sku":"b"}}],"plan":"pro"}}' AS properties,
        if(type = 'identify', '{{"plan":"pro"}}', '{{}}') AS traits,
        if(type = 'alias', concat('u', toString(cityHash64(number, 8) % 120)), '') AS previous_id
    FROM (SELECT number, [1, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7][1 + cityHash64(number) % 11] AS k FROM numbers({EVENTS}))
"""
CONFIG = (
    "<clickhouse><users_config>{users}</users_config><remote_servers><two>{shards}</two>"
    "<doubled><shard>{replicas}</shard></doubled></remote_servers></clickhouse>"
)
REPLICA = "<replica><host>127.0.0.1</host><port>{port}</port></replica>"


class Both(NamedTuple):
    """The same rows in one database of one server, and in one over two."""

    one: Store
    two: Store


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ClickHouseServer]]:
    """Two, each of which knows the cluster `two` of both."""
    folder = tmp_path_factory.mktemp("cluster")
    config = folder / "config.xml"
    made = [ClickHouseServer(folder / name, config) for name in ("first", "second")]
    replicas = [REPLICA.format(port=server.tcp_port) for server in made]
    of_two = "".join(f"<shard>{replica}</shard>" for replica in replicas)
    config.write_text(CONFIG.format(users=USERS, shards=of_two, replicas="".join(replicas)))
    try:
        for server in made:
            server.start()
        yield made
    finally:
        for server in made:
            server.kill()


def spread(servers: list[ClickHouseServer], name: str, at: int = 0, **how: bool) -> Store:
    """A database over both, asked at one of them."""
    return Store(f"{servers[at].url}/{name}", cluster=Cluster("two", tuple(one.url for one in servers)), **how)


@pytest.fixture(scope="module")
def both(servers: list[ClickHouseServer]) -> Iterator[Both]:
    one, two = Store(f"{servers[0].url}/one"), spread(servers, "two")
    names = re.findall(r" AS (\w+)(?:,\n|\n    FROM)", ROWS)
    for store in (one, two):
        migrate(store)
        store.command(f"INSERT INTO {store.database}.events ({', '.join(names)}) {ROWS}")
    # Whoever asks has no settings of ours; the second server is asked as well as the first.
    yield Both(Store(f"{servers[0].url}/one", inside=True), Store(f"{servers[1].url}/two", inside=True))


def asked(view: View) -> str:
    """The view with the parameters of its example, all of which mean one moment by `now`."""
    return re.sub(r"now(64)?\((3, )?'UTC'\)", NOW, view.call)


def answered(store: Store, sql: str) -> list[str]:
    """Rows in an order of their own; of floats nine digits, as sums over shards are added in another order."""
    return sorted(str([_rounded(v) if isinstance(v, float) else v for v in row]) for row in store.rows(sql))


def _rounded(number: float) -> str:
    return "0" if abs(number) < 1e-7 else f"{number:.9g}"


def _answer_or_refusal(store: Store, sql: str) -> list[str] | str:
    try:
        return answered(store, sql)
    except StoreError as error:
        return str(error)


def test_both_shards_have_rows(both: Both) -> None:
    counts = both.two.rows("SELECT _shard_num, count(), uniqExact(visitor_id) FROM events GROUP BY 1 ORDER BY 1")
    assert len(counts) == 2
    assert min(count for _, count, _ in counts) > EVENTS // 4
    assert sum(count for _, count, _ in counts) == EVENTS
    assert sum(visitors for *_, visitors in counts) == both.one.rows("SELECT uniqExact(visitor_id) FROM events")[0][0]


@pytest.mark.parametrize("name", VIEWS if os.environ.get("FOOTFALL_TEST_CLUSTER") == "all" else AGREE)
def test_a_view_answers_on_two_shards_what_it_answers_on_one(both: Both, name: str) -> None:
    view = VIEWS[name]
    sql = f"SELECT {OF_NOW.get(name, '*')} FROM {asked(view)}"
    assert _answer_or_refusal(both.two, sql) == _answer_or_refusal(both.one, sql)


# From here on: how rows come there, and go.


@pytest.fixture(scope="module")
def made(servers: list[ClickHouseServer]) -> Iterator[Store]:
    """A database over both servers for the tests that write."""
    with closing(spread(servers, "work")) as store:
        assert migrate(store)[0] == "001_events.sql"
        yield store


@pytest.fixture
def store(made: Store) -> Iterator[Store]:
    """The same, empty."""
    yield made
    for shard in shards(made):
        for (table,) in shard.rows(f"SELECT name FROM system.tables WHERE database = '{shard.database}'"):
            if table != "migrations":
                shard.command(f"TRUNCATE TABLE {shard.database}.{table}")


def held(store: Store, table: str) -> list[int]:
    """How many rows each shard has."""
    return [shard.rows(f"SELECT count() FROM {shard.database}.{table}")[0][0] for shard in shards(store)]


def visits(count: int) -> list[EventRow]:
    """Events of as many visitors."""
    return [event(f"{n}", visitor_id=f"visitor-{n}") for n in range(count)]


def test_a_visitor_is_on_one_shard_and_what_is_small_is_on_the_first(store: Store, tmp_path: Path) -> None:
    data = Data(tmp_path)
    data.segment(record([event(f"{n}", visitor_id=f"visitor-{n % 40}") for n in range(400)]))
    data.load(store)
    assert sum(held(store, "events")) == 400
    assert min(held(store, "events")) > 50
    assert sum(held(store, "visitor_marks")) == 40
    of = "SELECT DISTINCT visitor_id FROM {}.{}"
    first, second = shards(store)
    for table in ("events", "visitor_marks"):
        ones, others = (set(one.rows(of.format(one.database, table))) for one in (first, second))
        assert ones.isdisjoint(others), table
    store.insert("audience_claims", ["audience"], [["vip"] * 3], token="claim")
    assert held(store, "audience_claims") == [3, 0]
    own = {name for (name,) in first.rows("SELECT name FROM system.tables WHERE database = 'work_shard'")}
    spread_out = {name for (name,) in first.rows("SELECT name FROM system.tables WHERE engine = 'Distributed' "
                                                 "AND database = 'work'")}  # fmt: skip
    assert own - {"migrations"} == spread_out >= set(SHARDING)


class Killed(Loader):
    """Ends between the inserts and what it writes of them."""

    def _commit(self, batch: Batch) -> None:
        raise InterruptedError


@pytest.mark.parametrize("fault", ["drop", "cut"])
def test_an_insert_whose_answer_is_lost_is_stored_once(
    store: Store, servers: list[ClickHouseServer], tmp_path: Path, fault: Kind
) -> None:
    """Of what was stored, and of what arrived in part: on each shard the token makes the second attempt nothing."""
    data, ids = Data(tmp_path), [f"{n}" for n in range(500)]
    for shard in shards(store):
        shard.command(f"SYSTEM STOP MERGES {shard.database}.events")
    with proxied(servers[0].url) as proxy:
        data.segment(record(visits(500), [failed(each) for each in ids]))
        through = Store(f"http://127.0.0.1:{proxy.port}/work", cluster=store.cluster)
        proxy.arm(*[Fault(fault, b"INSERT INTO work.events")] * 2)  # the driver tries twice by itself
        loader = data.loader(through)
        loader.recover()
        with pytest.raises(StoreError):
            load_all(loader)
        loader.recover()
        load_all(loader)
        through.close()
        assert proxy.happened.total() == 2
    data.load(store)
    assert_exactly_once(store, data, ids, ids)
    assert min(held(store, "events")) > 100
    # A process that is killed before it has written down how far it came: its successor finds all of it on the shards.
    data.segment(record(visits(600)[500:], [failed("last")]))
    killed = data.loader(store, Killed)
    killed.recover()
    with pytest.raises(InterruptedError):
        load_all(killed)
    data.load(store)
    assert_exactly_once(store, data, [f"{n}" for n in range(600)], [*ids, "last"])
    for shard in shards(store):
        shard.command(f"SYSTEM START MERGES {shard.database}.events")


def test_while_a_shard_is_away_nothing_is_lost_nothing_is_double_and_no_number_is_too_small(
    servers: list[ClickHouseServer], store: Store, tmp_path: Path
) -> None:
    data = Data(tmp_path)
    data.segment(record(visits(100)))
    data.load(store)
    data.segment(record(visits(300)[100:]))
    servers[1].kill()
    loader = data.loader(store)
    with pytest.raises(StoreError):
        loader.recover()
        load_all(loader)
    with pytest.raises(StoreError):
        store.rows("SELECT count() FROM work.events")
    with pytest.raises(StoreError, match=f"shard 2 \\({servers[1].url}\\) cannot be "):
        erase(
            loader, spread(servers, "work"), lambda sql: b"", tmp_path, Request("visitor", "visitor-1", "shop"), NOW_MS
        )
    with pytest.raises(StoreError, match="shard 2"):
        migrate(spread(servers, "work"))
    assert store.rows("SELECT count() FROM work_shard.events")[0][0] > 0
    servers[1].start()
    loader.recover()
    load_all(loader)
    assert_exactly_once(store, data, [f"{n}" for n in range(300)])


def test_a_person_is_erased_on_every_shard(store: Store, servers: list[ClickHouseServer], tmp_path: Path) -> None:
    data = Data(tmp_path, now_ms=NOW_MS + 3_600_000)
    name = store.database
    first, second = shards(store)
    rows = [msgspec.structs.replace(one, user_id="ann" if n < 20 else "") for n, one in enumerate(visits(60))] + [
        event("late", visitor_id="visitor-50")
    ]
    data.segment(record(rows, [msgspec.structs.replace(failed(f"f{n}"), user_id="ann") for n in range(10)]))
    second.command(
        f"CREATE TABLE {name}.by_hand (source_id String, visitor_id String) ENGINE = MergeTree ORDER BY () "
        "SETTINGS cleanup_delay_period = 2, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 2"
    )
    second.command(f"INSERT INTO {name}.by_hand VALUES ('shop', 'visitor-3'), ('shop', 'visitor-30')")
    ours = ("events", "failed_events", "visitor_sessions", "visitor_marks")
    holders = [(shard, f"{shard.database}.{table}") for shard in (first, second) for table in ours]
    for shard, table in (*holders, (second, f"{name}.by_hand")):
        # A new table first looks for old parts after 30 s, one that is loaded when it was told to.
        shard.command(f"DETACH TABLE {table} SYNC")
        shard.command(f"ATTACH TABLE {table}")
    loader = data.load(store)
    StoredSessions().refresh(store)
    questions = spread(servers, name, at=1, read_only=True)

    receipt = erase(
        loader, store, lambda sql: answer(questions, sql, "JSON"), tmp_path, Request("user", "ann", "shop"), data.now_ms
    )

    assert (receipt.ok, receipt.left, receipt.old_parts) == (True, {}, 0)
    assert (receipt.removed["events"], receipt.removed["failed_events"], receipt.removed["by_hand"]) == (20, 10, 1)
    for shard in (first, second):
        assert shard.rows(f"SELECT count() FROM {shard.database}.events WHERE user_id = 'ann'") == [(0,)]
        assert shard.rows(f"SELECT count() FROM system.parts WHERE database = '{shard.database}' AND NOT active "
                          "AND table = 'events' AND rows > 0") == [(0,)]  # fmt: skip
        tables = f"SELECT count() FROM system.tables WHERE database = '{shard.database}' AND name LIKE 'erasing%'"
        assert shard.rows(tables) == [(0,)]
    assert sum(held(store, "events")) == 41
    assert store.rows(f"SELECT sum(events), sum(failed_events) FROM {name}.erasures") == [(20, 10)]
    data.segment(record(rows[:20]))
    load_all(loader)
    assert sum(held(store, "events")) == 41, "what comes late is not stored"
    second.command(f"DROP TABLE {name}.by_hand SYNC")


def test_stored_sessions_are_those_of_the_view(store: Store) -> None:
    after_every_batch(store)
    first, second = held(store, "visitor_sessions")
    assert min(first, second) > 0
    StoredSessions().reconcile(store)


def test_retention_reaches_every_shard_and_is_set_once(store: Store) -> None:
    rules = read_rules(["*=365"])
    assert apply_retention(store, rules, 30) == ["retention of events", "retention of failed_events"]
    assert apply_retention(store, rules, 30) == []
    for shard in shards(store):
        kept = shard.rows(
            f"SELECT count() FROM system.tables WHERE database = '{shard.database}' AND engine_full LIKE '% TTL %' "
            "AND name IN ('events', 'failed_events')"
        )
        assert kept == [(2,)]
    assert apply_retention(store, [], 0) == ["retention of events", "retention of failed_events"]


def test_audiences_are_refreshed_and_forgotten(store: Store, servers: list[ClickHouseServer]) -> None:
    with closing(spread(servers, "work", at=1, inside=True)) as lane:
        who_came_and_who_went(lane)
        assert forget(lane, "some", Clock()) > 0
        assert lane.rows("SELECT count() FROM audience_snapshots") == [(0,)]
        assert lane.rows("SELECT count() FROM audience_moves") == [(0,)]


def test_a_second_migration_does_nothing_and_a_plan_is_shown_on_every_shard(store: Store) -> None:
    plan = load_plan(DEFAULT_PLAN_DIR)
    assert pending(store) == [] == migrate(store)
    assert "event_purchase" in migrate(store, plan=plan)
    assert migrate(store, plan=plan) == [] == pending(store, plan=plan)
    assert record_version(store, plan, NOW_MS) is True
    assert record_version(store, plan, NOW_MS + 1) is False
    for shard in shards(store):
        assert shard.rows(f"SELECT count() FROM {store.database}.event_purchase") == [(0,)]
        assert shard.rows(f"SELECT count() FROM {store.database}.plan_versions") == [(1,)]
    # A column that one shard was given, by hand or by an upgrade that was killed, is seen by all.
    for shard in shards(store):
        shard.command(f"ALTER TABLE {shard.database}.events ADD COLUMN of_mine UInt8")
    assert migrate(store) == ["events on the cluster"]
    assert store.rows("SELECT max(of_mine) FROM work.events") == [(0,)]
    for shard in shards(store):
        shard.command(f"ALTER TABLE {shard.database}.events DROP COLUMN of_mine")
    assert migrate(store) == ["events on the cluster"]


def test_what_is_no_such_cluster_is_said_in_a_sentence(
    both: Both, store: Store, servers: list[ClickHouseServer]
) -> None:
    urls = [server.url for server in servers]
    url = servers[0].url
    for name, shards_, said in (
        ("three", (), "the server knows no cluster three (clickhouse_cluster); name it in the configuration of each"),
        ("two", urls[:1], "clickhouse_shards names 1 servers and cluster two has 2 shards; name one server for each"),
        ("two", urls[::-1], f"{urls[1]} is not shard 1 of cluster two; name the shards' servers in their order"),
        ("two", [urls[0], "http://127.0.0.1:1"], "shard 2 (http://127.0.0.1:1) cannot be used: "),
        ("doubled", (), "shard 1 of cluster doubled has 2 replicas, and footfall uses one server for each shard"),
    ):
        with closing(Store(f"{url}/work", cluster=Cluster(name, tuple(shards_)))) as wrong:
            with pytest.raises(StoreError) as failure:
                migrate(wrong)
            assert str(failure.value).startswith(said)
    with closing(spread(servers, "one")) as single, pytest.raises(StoreError, match="holds rows as on one server"):
        migrate(single)
    with (
        closing(Store(f"{url}/work")) as unspread,
        pytest.raises(MigrationError, match="is spread over a cluster; name it in clickhouse_cluster"),
    ):
        migrate(unspread)
    assert both.one.rows("SELECT count() FROM events") == [(EVENTS,)]


PAGE = Path(__file__).parents[2] / "collector/docs/cluster.md"


def test_a_database_of_one_server_grows_onto_the_cluster_by_the_statements_of_the_page(
    servers: list[ClickHouseServer], tmp_path: Path
) -> None:
    statements = re.findall(r"^   ((?:RENAME|INSERT) .*);$", PAGE.read_text("utf-8"), re.MULTILINE)
    rename, *copies = [re.sub(r"\bfootfall", "grown", one) for one in statements]
    data = Data(tmp_path)
    with closing(Store(f"{servers[0].url}/grown")) as one:
        migrate(one)
        data.segment(record(visits(200), [failed("f")]))
        data.load(one)
        StoredSessions().refresh(one)
        record_version(one, load_plan(DEFAULT_PLAN_DIR), NOW_MS)
        before = one.rows("SELECT * FROM grown.sessions ORDER BY ALL")
        tables = {name for (name,) in one.rows("SELECT name FROM system.tables WHERE database = 'grown' AND "
                                               "engine LIKE '%MergeTree'")}  # fmt: skip
        one.command(rename)
    with closing(spread(servers, "grown")) as two:
        migrate(two)
        for statement in copies:
            two.command(statement)
        assert {one.split()[2].removeprefix("grown.") for one in copies} == tables - {"migrations", "visitor_sessions"}
        two.command(copies[0])  # as after one that broke off
        assert two.rows("SELECT * FROM grown.sessions ORDER BY ALL") == before
        StoredSessions().refresh(two)
        columns = "* EXCEPT computed_at"
        assert two.rows(f"SELECT {columns} FROM grown.stored_sessions ORDER BY ALL") == before
        assert two.rows("SELECT count() FROM grown.plan_versions") == [(1,)]
        for shard in shards(two):
            shard.command(f"OPTIMIZE TABLE {shard.database}.events FINAL")
        data.segment(record(visits(210)[195:], [failed("g")]))
        data.load(two)
        assert_exactly_once(two, data, [f"{n}" for n in range(210)], "fg", deduplicated=5)


def test_a_collector_runs_on_it_from_migrate_to_doctor_and_erase(
    servers: list[ClickHouseServer], tmp_path: Path
) -> None:
    config, dsn = tmp_path / "footfall.toml", f"{servers[1].url}/served"
    config.write_text(f'clickhouse = "{dsn}"\nclickhouse_cluster = "two"\n'
                      f"clickhouse_shards = {[server.url for server in servers]}\n")  # fmt: skip
    where = ("--data", tmp_path / "data", "--config", config)
    first = footfall("migrate", *where)
    assert first.stdout.endswith("the database is up to date\n"), first.stderr
    assert "applied events on the cluster\n" in first.stdout
    assert footfall("migrate", *where).stdout == "the database is up to date\n"
    with serving(tmp_path / "data", "--config", str(config), FOOTFALL_CLICKHOUSE=dsn) as running:
        for n in range(40):
            page = {"type": "page", "messageId": f"{n}", "anonymousId": f"visitor-{n % 20}"}
            running.send(page, {"type": "nonsense"})
        running.until_loaded()
        assert running.sql("SELECT count() AS n FROM sessions") == [{"n": 20}]
        erased = footfall("privacy", "erase", "--visitor", "visitor-7", "--yes", *where)
        assert erased.returncode == 0, erased.stdout + erased.stderr
        assert running.sql("SELECT count() AS n FROM events") == [{"n": 38}]
        doctor = footfall("doctor", *where)
        assert doctor.returncode == 0, doctor.stdout
        assert "of those in tables 2 were erased since" in doctor.stdout
    with closing(spread(servers, "served")) as store:
        assert min(held(store, "events")) > 0
    stopped = footfall("sql", "SELECT count() FROM events", "--format", "CSV", *where)
    assert stopped.stdout == '"count()"\n38\n', stopped.stderr
    forgotten = footfall("sql", "SELECT 1", *where[:2], FOOTFALL_CLICKHOUSE=dsn)
    assert "is spread over a cluster; name it in clickhouse_cluster" in forgotten.stderr


def test_access_is_granted_on_every_shard(servers: list[ClickHouseServer], store: Store) -> None:
    """The tests' servers can keep no users, so what is applied is seen from what they say of it; the rest is read."""
    environment = {"FOOTFALL_CLICKHOUSE": f"{servers[0].url}/work", "FOOTFALL_CLICKHOUSE_CLUSTER": "two"}
    environment["FOOTFALL_CLICKHOUSE_SHARDS"] = ",".join(server.url for server in servers)
    told = CliRunner().invoke(command, ["grants"], env=environment)
    assert told.output.startswith("-- For each shard of cluster two.\n")
    assert "GRANT SELECT ON `work_shard`.* TO footfall_analyst;" in told.output
    assert "prefer_global_in_and_join = 1" in told.output
    for statement in told.stdout.splitlines()[1:]:
        if statement.endswith(";"):
            assert store.rows("SELECT formatQuery({sql:String})", {"sql": statement.removesuffix(";")})
