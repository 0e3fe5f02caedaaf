-- dq_properties: how many events of each kind lack each property, day by day.
--
-- Question    Did a property stop coming, or come less often, and since when?
-- Parameters  since, until   DateTime64(3): as in dq_daily; days are counted back from `until`.
--                 SELECT * FROM dq_properties(since = '2026-11-01', until = '2026-12-01')
--                     WHERE state IN ('gone', 'rarer')
-- Grain       One row per (source_id, event, property, day) of days with events; properties that had a value in none of
--             the days read are not known.
-- Reads       human_events
-- Definition  property         Its name; in brackets a column that is not filled from the properties: (user_id),
--                              (country), (path), (value) of conversions.
--             day              The moment when the 24 hours begin.
--             events           Events of people.
--             present          Those in which it has a value: it is there, and not null. A column has one when it is
--                              neither empty nor zero.
--             null_share       The share of the others.
--             expected_null_share   The same over the fourteen days before; NULL when they have fewer than 50 events.
--             state            `gone`: it is in none, and ten or more were expected. `rarer`: the share that has it fell
--                              by 0.2 or by half, and by four standard deviations of chance. `unknown`: nothing is
--                              expected. Else `ok`.
-- Exact       Yes.
-- Time        received_at, UTC.
-- Cost        Reads the properties of the period and of 14 days before it.
-- Test        tests/sql/test_quality.py
CREATE OR REPLACE VIEW {database}.dq_properties AS
WITH
    86400000 AS day_ms,
    toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}) AS until_ms,
    toInt64(ceil(greatest(0, until_ms - toUnixTimestamp64Milli({since:DateTime64(3, 'UTC')})) / day_ms)) AS days,
    fromUnixTimestamp64Milli(until_ms - (days + 14) * day_ms, 'UTC') AS read_from,
    read_events AS
    (
        SELECT
            source_id::String AS source_id,
            event::String AS event,
            intDiv(until_ms - toUnixTimestamp64Milli(received_at) - 1, day_ms) AS back,
            arrayConcat(
                arrayMap(
                    pair -> pair.1::String,
                    arrayFilter(pair -> isNotNull(pair.2), CAST(property, 'Array(Tuple(String, Nullable(String)))'))
                ),
                if(user_id != '', ['(user_id)'], []),
                if(country != '', ['(country)'], []),
                if(path != '', ['(path)'], []),
                if(conversion != '' AND value != 0, ['(value)'], [])
            ) AS names
        FROM {database}.human_events
        WHERE received_at >= read_from AND received_at < {until:DateTime64(3, 'UTC')}
    ),
    totals AS
    (
        SELECT source_id, event, map_of_days.1 AS backs, map_of_days.2 AS counts
        FROM
        (
            SELECT source_id, event, sumMap([back], [1::UInt64]) AS map_of_days
            FROM read_events
            GROUP BY source_id, event
        )
    ),
    presences AS
    (
        SELECT source_id, event, name, sumMap([back], [1::UInt64]) AS map_of_days
        FROM read_events
        ARRAY JOIN names AS name
        GROUP BY source_id, event, name
    )
SELECT
    source_id,
    event,
    name AS property,
    fromUnixTimestamp64Milli(until_ms - (back + 1) * day_ms, 'UTC') AS day,
    events,
    present,
    1 - present / events AS null_share,
    1 - share_before AS expected_null_share,
    multiIf(
        isNull(share_before), 'unknown',
        present = 0 AND events * share_before >= 10, 'gone',
        (share_before - present / events >= 0.2 OR present / events < share_before / 2)
            AND share_before - present / events > 4 * sqrt(greatest(share_before * (1 - share_before), 0.01) / events),
        'rarer',
        'ok'
    ) AS state
FROM
(
    SELECT
        source_id,
        event,
        name,
        back,
        totals.counts[indexOf(totals.backs, back)] AS events,
        presences.map_of_days.2[indexOf(presences.map_of_days.1, back)] AS present,
        arraySum((at, times) -> if(at > back AND at <= back + 14, times, 0), totals.backs, totals.counts) AS events_before,
        if(
            events_before < 50, NULL,
            arraySum(
                (at, times) -> if(at > back AND at <= back + 14, times, 0),
                presences.map_of_days.1, presences.map_of_days.2
            ) / events_before
        ) AS share_before
    FROM presences
    INNER JOIN totals USING (source_id, event)
    ARRAY JOIN arrayFilter(at -> at < days, totals.backs) AS back
)
ORDER BY source_id, event, property, day
