"""The questions that all three engines are asked, each as one function of one engine that returns rows.

Those of DuckDB and Polars are written as their users would: window functions and joins, no user-defined functions.
Polars is asked for sessions twice: by windows over visitors, and in a way that is right only because the rows are in
order in its memory already, which is as fast as it gets. Attribution and transitions are asked in that way alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import polars as pl
from polars.lazyframe.group_by import LazyGroupBy

from collector.database.sessions import StoredSessions
from collector.database.store import Store

Rows = list[tuple[Any, ...]]
SOURCE = "shop"
SINCE, UNTIL = "2026-08-03 00:00:00", "2026-11-01 00:00:00"  # the period of generate.py's events
LAST_WEEK_OVER = "2026-11-02 00:00:00"  # retention leaves out a week that is not over; the others do not
FUNNEL_S = 7 * 86_400
STEPS = ["page_view", "page_view & path=/p/*", "add_to_cart", "page_view & path=/checkout", "purchase"]
LOOKBACK_DAYS, HALF_LIFE_DAYS = 30, 7
PERIOD = f"since = '{SINCE}', until = '{UNTIL}'"

OURS = {
    "sessions": f"""
        SELECT count(), sum(events), sum(conversions), sum(duration_ms), countIf(is_bounce), countIf(entry_path = '/')
        FROM sessions WHERE source_id = '{SOURCE}'""",
    "funnel": f"""
        SELECT step, reached
        FROM funnel(source_id = '{SOURCE}', steps = {STEPS}, window_s = {FUNNEL_S}, {PERIOD}, counted_by = 'visitor',
                    without = [], breakdown = '')
        ORDER BY step""",
    "attribution": f"""
        SELECT model, touch, round(conversions, 3)
        FROM attribution(source_id = '{SOURCE}', goal = 'purchase', touch = 'channel', lookback_days = {LOOKBACK_DAYS},
                         half_life_days = {HALF_LIFE_DAYS}, {PERIOD}, counted_by = 'visitor')
        WHERE model IN ('first', 'last', 'linear', 'time_decay')
        ORDER BY model, touch""",
    "transitions": f"""
        SELECT from, to, count FROM transitions WHERE source_id = '{SOURCE}' ORDER BY count DESC, from, to LIMIT 100""",
    "retention": f"""
        SELECT toString(cohort), number, size, returned
        FROM retention(source_id = '{SOURCE}', start_event = '*', return_event = '*', period = 'week', kind = 'on',
                       since = '{SINCE}', until = '{LAST_WEEK_OVER}', time_zone = 'UTC', counted_by = 'visitor')
        ORDER BY cohort, number""",
}

_TOTALS = "count(), sum(events), sum(conversions), sum(duration_ms), countIf(is_bounce), countIf(entry_path = '/')"
_FIRSTS = [
    "page_view",
    "page_view & path=/",
    "page_view & path=/c/*",
    "page_view & path=/p/*",
    "page_view & path=/pricing",
]
_LASTS = ["purchase", "sign_up", "add_to_cart", "page_view & path=/checkout"]

# What only we are asked: stored sessions beside live ones, a day of them, and a screen full of saved funnels.
ALONE = {
    "sessions, live": f"SELECT {_TOTALS} FROM sessions WHERE source_id = '{SOURCE}'",
    "sessions, stored": f"SELECT {_TOTALS} FROM stored_sessions WHERE source_id = '{SOURCE}'",
    "one day's dashboard": f"""
        SELECT channel, count(), uniqExact(visitor_id), sum(pageviews), avg(is_bounce), sum(conversions), sum(revenue)
        FROM stored_sessions
        WHERE source_id = '{SOURCE}' AND started_at >= '2026-10-15' AND started_at < '2026-10-16'
        GROUP BY channel ORDER BY channel""",
    "20 funnels at once": f"""
        SELECT funnel, step, reached
        FROM funnels(source_id = '{SOURCE}', funnels = {[[first, last] for first in _FIRSTS for last in _LASTS]},
                     window_s = {FUNNEL_S}, {PERIOD}, counted_by = 'visitor')""",
    "20 funnels, each by itself": " UNION ALL ".join(
        f"""SELECT '{first} > {last}' AS funnel, step, reached
            FROM funnel(source_id = '{SOURCE}', steps = ['{first}', '{last}'], window_s = {FUNNEL_S}, {PERIOD},
                        counted_by = 'visitor', without = [], breakdown = '')"""
        for first in _FIRSTS
        for last in _LASTS
    ),
}

_SESSIONS = """
    WITH cut AS (
        SELECT *, coalesce(ms - lag(ms) OVER w > 1800000, true)::INT AS is_start
        FROM events WINDOW w AS (PARTITION BY visitor_id ORDER BY ms, sequence, message_id)
    ), numbered AS (
        SELECT *, sum(is_start) OVER (PARTITION BY visitor_id ORDER BY ms, sequence, message_id) AS number FROM cut
    )"""

DUCKDB = {
    "sessions": f"""
        {_SESSIONS}, sessions AS (
            SELECT count(*) AS events, count(*) FILTER (conversion = 'macro') AS conversions,
                   max(ms) - min(ms) AS duration,
                   count(*) FILTER (event = 'page_view') AS pageviews,
                   coalesce(arg_min(path, (ms, sequence, message_id)) FILTER (event = 'page_view'),
                            arg_min(path, (ms, sequence, message_id))) AS entry_path
            FROM numbered GROUP BY visitor_id, number
        )
        SELECT count(*), sum(events), sum(conversions), sum(duration), count(*) FILTER (pageviews = 1 AND events = 1),
               count(*) FILTER (entry_path = '/')
        FROM sessions""",
    # Exact: the latest start of a chain that ends in an event of step n, over events strictly before in time.
    "funnel": f"""
        WITH f0 AS (
            SELECT visitor_id, ms, event = 'page_view' AS m1, event = 'page_view' AND starts_with(path, '/p/') AS m2,
                   event = 'add_to_cart' AS m3,
                   event = 'page_view' AND path = '/checkout' AS m4, event = 'purchase' AS m5
            FROM events WHERE event IN ('page_view', 'add_to_cart', 'purchase')
        ), f1 AS (SELECT *, CASE WHEN m1 THEN ms END AS s1 FROM f0)
        {
        "".join(
            f''', f{n} AS (
            SELECT *, CASE WHEN m{n} THEN
                       max(s{n - 1}) OVER (
                           PARTITION BY visitor_id ORDER BY ms RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                       )
                   END AS b{n}, CASE WHEN b{n} >= ms - {FUNNEL_S * 1000} THEN b{n} END AS s{n}
            FROM f{n - 1}
        )'''
            for n in range(2, 6)
        )
    }
        SELECT step, count(DISTINCT visitor_id) FROM (
            {" UNION ALL ".join(f"SELECT {n} AS step, visitor_id FROM f5 WHERE s{n} IS NOT NULL" for n in range(1, 6))}
        ) GROUP BY step ORDER BY step""",
    "attribution": f"""
        {_SESSIONS}, visits AS (
            SELECT visitor_id, min(ms) AS started,
                   coalesce(arg_min(channel, (ms, sequence, message_id)) FILTER (channel NOT IN ('', 'internal')),
                            'direct') AS channel
            FROM numbered GROUP BY visitor_id, number
        ), purchases AS (SELECT visitor_id, ms, message_id FROM events WHERE event = 'purchase'),
        earlier AS (
            SELECT p.message_id, p.ms, v.started, v.channel, p.ms - v.started <= {LOOKBACK_DAYS * 86_400_000} AS recent,
                   row_number() OVER (PARTITION BY p.message_id ORDER BY v.started DESC) AS back
            FROM purchases p JOIN visits v ON v.visitor_id = p.visitor_id AND v.started <= p.ms
        ), touches AS (
            SELECT *, back = 1 AS is_last, back = max(back) OVER c AS is_first, count(*) OVER c AS n,
                   pow(2, -(ms - started) / {HALF_LIFE_DAYS * 86_400_000}.0) AS weight, sum(weight) OVER c AS weights
            FROM earlier WHERE recent OR back = 1
            WINDOW c AS (PARTITION BY message_id)
        ), credits AS (
            SELECT 'first' AS model, channel, is_first::DOUBLE AS credit FROM touches
            UNION ALL SELECT 'last', channel, is_last::DOUBLE FROM touches
            UNION ALL SELECT 'linear', channel, 1.0 / n FROM touches
            UNION ALL SELECT 'time_decay', channel, weight / weights FROM touches
        )
        SELECT model, channel, round(sum(credit), 3) FROM credits GROUP BY ALL HAVING sum(credit) > 0 ORDER BY ALL""",
    "transitions": f"""
        {_SESSIONS}, moves AS (
            SELECT path,
                   coalesce(lag(path) OVER w, '(entrance)') AS before,
                   lead(path) OVER w IS NULL AS is_exit
            FROM numbered WHERE event = 'page_view'
            WINDOW w AS (PARTITION BY visitor_id, number ORDER BY ms, sequence, message_id)
        )
        SELECT "from", "to", sum(n)::BIGINT AS count FROM (
            SELECT before AS "from", path AS "to", count(*) AS n FROM moves GROUP BY ALL
            UNION ALL SELECT path, '(exit)', count(*) FROM moves WHERE is_exit GROUP BY ALL
        ) GROUP BY ALL ORDER BY count DESC, "from", "to" LIMIT 100""",
    "retention": """
        WITH weeks AS (SELECT DISTINCT visitor_id, (ms // 86400000 + 3) // 7 AS week FROM events),
        cohorts AS (SELECT visitor_id, min(week) AS cohort FROM weeks GROUP BY visitor_id),
        sizes AS (SELECT cohort, count(*) AS size FROM cohorts GROUP BY cohort)
        SELECT (DATE '1970-01-01' + ((cohort * 7 - 3)::INT))::VARCHAR, week - cohort AS number, any_value(size),
               count(*)
        FROM weeks JOIN cohorts USING (visitor_id) JOIN sizes USING (cohort)
        GROUP BY cohort, number ORDER BY cohort, number""",
}


def ask_ours(store: Store, question: str) -> Rows:
    """One of OURS or ALONE, or SQL."""
    return store.rows(OURS.get(question) or ALONE.get(question) or question)


def absorb_late_batch(store: Store, sessions: StoredSessions) -> Rows:
    """Insert an event each of 1,000 visitors, days late, and store the sessions anew that it changes."""
    store.command(f"""
        INSERT INTO {store.database}.events
            (message_id, event, type, source_id, visitor_id, event_time, occurred_at, received_at, path, batch_id)
        SELECT concat('late-', visitor_id), 'page_view', 'page', '{SOURCE}', visitor_id, at, at, now64(3),
               '/late', 'late'
        FROM
        (
            SELECT visitor_id, min(marked_at) AS marked_at, toDateTime64('2026-10-01 12:00:00', 3, 'UTC') AS at
            FROM {store.database}.visitor_marks
            GROUP BY visitor_id
            ORDER BY cityHash64(visitor_id)
            LIMIT 1000
        )""")
    store.command(f"""
        INSERT INTO {store.database}.visitor_marks (source_id, visitor_id)
        SELECT source_id, visitor_id FROM {store.database}.events WHERE batch_id = 'late'""")
    return [(sessions.refresh(store),)]


def ask_duckdb(connection: duckdb.DuckDBPyConnection, question: str) -> Rows:
    """One of DUCKDB."""
    return connection.execute(DUCKDB[question]).fetchall()


def ask_polars(events: pl.DataFrame, question: str) -> Rows:
    """One of POLARS."""
    return POLARS[question](events.lazy()).collect().rows()


def _numbered(events: pl.LazyFrame) -> pl.LazyFrame:
    """With the number of the visitor's session."""
    gap_ms = pl.col("ms").diff().over("visitor_id")
    return events.with_columns((gap_ms > 1_800_000).fill_null(True).alias("is_start")).with_columns(
        pl.col("is_start").cum_sum().over("visitor_id").alias("session")
    )


def _numbered_in_order(events: pl.LazyFrame) -> pl.LazyFrame:
    """With a number that no other session has. Right only of events sorted by visitor and time."""
    gap = pl.col("ms").diff() > 1_800_000
    new = pl.col("visitor_id") != pl.col("visitor_id").shift()
    return events.with_columns((gap | new).fill_null(True).cum_sum().alias("session"))


def _sessions(events: pl.LazyFrame) -> pl.LazyFrame:
    return _totals(_numbered(events).group_by("visitor_id", "session"))


def _sessions_in_order(events: pl.LazyFrame) -> pl.LazyFrame:
    return _totals(_numbered_in_order(events).group_by("session"))


def _totals(sessions: LazyGroupBy) -> pl.LazyFrame:
    is_view = pl.col("event") == "page_view"
    return sessions.agg(
        pl.len().alias("events"),
        (pl.col("conversion") == "macro").sum().alias("conversions"),
        (pl.col("ms").last() - pl.col("ms").first()).alias("duration"),
        is_view.sum().alias("views"),
        pl.coalesce(pl.col("path").filter(is_view).first(), pl.col("path").first()).alias("entry_path"),
    ).select(
        pl.len(),
        pl.col("events").sum(),
        pl.col("conversions").sum(),
        pl.col("duration").sum(),
        ((pl.col("views") == 1) & (pl.col("events") == 1)).sum().alias("bounces"),
        (pl.col("entry_path") == "/").sum(),
    )


def _funnel(events: pl.LazyFrame) -> pl.LazyFrame:
    event, path = pl.col("event"), pl.col("path")
    steps = [
        event == "page_view",
        (event == "page_view") & path.str.starts_with("/p/"),
        event == "add_to_cart",
        (event == "page_view") & (path == "/checkout"),
        event == "purchase",
    ]
    frame = events.filter(event.is_in(["page_view", "add_to_cart", "purchase"])).select(
        "visitor_id", "ms", *[step.alias(f"m{n}") for n, step in enumerate(steps, 1)]
    )
    frame = frame.with_columns(
        pl.when("m1").then("ms").alias("s1"),
        # Of events of one moment all look at what was before the first of them.
        ((pl.col("visitor_id") != pl.col("visitor_id").shift()) | (pl.col("ms") != pl.col("ms").shift()))
        .fill_null(True)
        .cum_sum()
        .alias("moment"),
    )
    for n in range(2, 6):
        latest = pl.col(f"s{n - 1}").cum_max().forward_fill().shift().over("visitor_id")
        frame = frame.with_columns(latest.alias("latest")).with_columns(
            pl.col("latest").first(ignore_nulls=False).over("moment").alias("before")
        )
        fits = pl.col(f"m{n}") & (pl.col("before") >= pl.col("ms") - FUNNEL_S * 1000)
        frame = frame.with_columns(pl.when(fits).then("before").alias(f"s{n}"))
    reached = [pl.col("visitor_id").filter(pl.col(f"s{n}").is_not_null()).n_unique().alias(f"{n}") for n in range(1, 6)]
    return frame.select(reached).unpivot().select(pl.col("variable").cast(pl.Int64), "value")


def _attribution(events: pl.LazyFrame) -> pl.LazyFrame:
    channel = pl.col("channel")
    numbered = _numbered_in_order(events)
    visits = numbered.group_by("session").agg(
        pl.col("visitor_id").first(),
        pl.col("ms").first().alias("started"),
        channel.filter(~channel.is_in(["", "internal"])).first().fill_null("direct"),
    )
    purchases = events.filter(pl.col("event") == "purchase").select("visitor_id", "ms", "message_id")
    touches = (
        purchases.join(visits, on="visitor_id")
        .filter(pl.col("started") <= pl.col("ms"))
        .with_columns(
            is_last=pl.col("started") == pl.col("started").max().over("message_id"),
            age=pl.col("ms") - pl.col("started"),
        )
        .filter((pl.col("age") <= LOOKBACK_DAYS * 86_400_000) | pl.col("is_last"))
        .with_columns(weight=2 ** (-pl.col("age") / (HALF_LIFE_DAYS * 86_400_000.0)))
        .with_columns(
            first=(pl.col("started") == pl.col("started").min().over("message_id")).cast(pl.Float64),
            last=pl.col("is_last").cast(pl.Float64),
            linear=1 / pl.len().over("message_id"),
            time_decay=pl.col("weight") / pl.col("weight").sum().over("message_id"),
        )
    )
    return (
        touches.group_by("channel")
        .agg(pl.col("first", "last", "linear", "time_decay").sum())
        .unpivot(index="channel", variable_name="model", value_name="credit")
        .filter(pl.col("credit") > 0)
        .select("model", "channel", pl.col("credit").round(3))
        .sort("model", "channel")
    )


def _transitions(events: pl.LazyFrame) -> pl.LazyFrame:
    views = _numbered_in_order(events).filter(pl.col("event") == "page_view")
    moves = views.select(
        pl.col("path").alias("to"),
        pl.when(pl.col("session") == pl.col("session").shift())
        .then(pl.col("path").shift())
        .otherwise(pl.lit("(entrance)"))
        .alias("from"),
        (pl.col("session") != pl.col("session").shift(-1)).fill_null(True).alias("is_exit"),
    )
    ways = moves.group_by("from", "to").agg(pl.len().alias("count"))
    exits = (
        moves.filter("is_exit")
        .group_by(pl.col("to").alias("from"))
        .agg(pl.len().alias("count"))
        .select("from", pl.lit("(exit)").alias("to"), "count")
    )
    both = pl.concat([ways.select("from", "to", "count"), exits])
    return both.sort("count", "from", "to", descending=[True, False, False]).head(100)


def _retention(events: pl.LazyFrame) -> pl.LazyFrame:
    weeks = events.select("visitor_id", ((pl.col("ms") // 86_400_000 + 3) // 7).alias("week")).unique()
    placed = weeks.with_columns(pl.col("week").min().over("visitor_id").alias("cohort"))
    grouped = placed.group_by("cohort", (pl.col("week") - pl.col("cohort")).alias("number")).agg(pl.len().alias("n"))
    return grouped.sort("cohort", "number").select(
        (pl.col("cohort") * 7 - 3).cast(pl.Int32).cast(pl.Date).cast(pl.String),
        "number",
        pl.col("n").filter(pl.col("number") == 0).first().over("cohort").alias("size"),
        "n",
    )


POLARS: dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "sessions": _sessions,
    "sessions, in order": _sessions_in_order,
    "funnel": _funnel,
    "attribution": _attribution,
    "transitions": _transitions,
    "retention": _retention,
}
