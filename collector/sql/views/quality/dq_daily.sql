-- dq_daily: what came of each event day by day, beside what was to be expected, and how much of it is amiss.
--
-- Question    Is all the data there and sound, and if not, since when? `footfall doctor --data` says it in sentences.
-- Parameters  since, until   DateTime64(3): received_at from, and before. A day is 24 hours, counted back from `until`:
--                            with a midnight it is a calendar day, with now('UTC') the last one is the 24 hours until now;
--                            the first one has `since` in it.
--                 SELECT * FROM dq_daily(since = '2026-11-01', until = '2026-12-01') WHERE state != 'ok'
-- Grain       One row per (source_id, event, day), also for days without events, from the event's first day on; and one
--             with the event `*` for all events of the source. Events that did not come in four weeks are not known.
-- Reads       events, failed_events, recovered_events
-- Definition  day              The moment when the 24 hours begin.
--             events           Rows stored, bots among them.
--             volume           Events of people, each counted as often as its sample stands for.
--             expected         The median volume of the same day of the week in the four weeks before, of those that the
--                              event was there; with fewer than two such days NULL.
--             state            `stopped`: none came, and ten or more were expected; where expected is not known, the
--                              median of three to seven days before takes its place.
--                              `low`, `high`: less than half or more than twice of expected, and four standard deviations
--                              of chance away. `unknown`: expected is not known. Else `ok`.
--             failed           Rejected events of that name that are not stored by now. failed_share: of all that came.
--             late             Events that came more than an hour after they happened. late_share: of events.
--             duplicates       Events with a message_id that the same event has already on that day: they count double.
--                              duplicate_share: of events.
--             bots             Events flagged as bots'. bot_share: of events.
--             skewed           Events whose sender's clock was off by 5 minutes or more when it sent them.
--                              skewed_share: of the events that tell when they were sent.
--             skew_minutes     The median by which senders' clocks were ahead of ours, behind where negative; a day at
--                              most. NULL when no event tells when it was sent.
--             last_at          When the newest event was received; NULL on a day without.
--             Shares are NULL where there is nothing to share.
-- Exact       Yes. A failed event's name is spelled as stored events are; `(no name)` where it had none.
-- Time        received_at, UTC: what came, whenever it happened.
-- Cost        Reads the period and 29 days before it, few columns of each event. Memory grows with the events of the
--             period, whose ids are held, and not with the history.
-- Test        tests/sql/test_quality.py
CREATE OR REPLACE VIEW {database}.dq_daily AS
WITH
    86400000 AS day_ms,
    toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}) AS until_ms,
    toInt64(ceil(greatest(0, until_ms - toUnixTimestamp64Milli({since:DateTime64(3, 'UTC')})) / day_ms)) AS days,
    -- The first moment that is read: 29 days before the period, the first of which may be the event's own first.
    fromUnixTimestamp64Milli(until_ms - (days + 29) * day_ms, 'UTC') AS read_from,
    -- 0 for the last day of the period.
    moment -> intDiv(until_ms - toUnixTimestamp64Milli(moment) - 1, day_ms) AS back_of,
    name -> lowerUTF8(trimBoth(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(
        name,
        '@[0-9]{1,4}$', ''),
        '([a-z0-9])([A-Z])', '\\1_\\2'),
        '([A-Z]+)([A-Z][a-z])', '\\1_\\2'),
        '[^\\pL\\pM\\pN]+', '_'), '_')) AS stored_name,
    stored AS
    (
        SELECT
            source_id::String AS source_id,
            event::String AS event,
            back_of(received_at) AS back,
            count() AS rows,
            sumIf(1 / sample_rate, NOT is_bot) AS volume,
            countIf(is_bot) AS bots,
            countIf(dateDiff('millisecond', event_time, received_at) > 3600000) AS late,
            countIf(back < days) - uniqExactIf(message_id, back < days) AS duplicates,
            -- How often the clocks were off by how many minutes.
            sumMapIf(
                map(greatest(-1440, least(1440, toInt32(round(
                    dateDiff('millisecond', received_at, assumeNotNull(sent_at)) / 60000
                )))), 1::UInt64),
                isNotNull(sent_at) AND back < days
            ) AS skews,
            toNullable(max(received_at)) AS last_at
        FROM {database}.events FINAL
        WHERE received_at >= read_from AND received_at < {until:DateTime64(3, 'UTC')}
        GROUP BY source_id, event, back
    ),
    refused AS
    (
        SELECT
            source_id::String AS source_id,
            if(stored_name(event::String) = '', '(no name)', stored_name(event::String)) AS event,
            back_of(received_at) AS back,
            toInt64(count()) AS refusals
        FROM {database}.failed_events
        WHERE received_at >= read_from AND received_at < {until:DateTime64(3, 'UTC')}
        GROUP BY source_id, event, back
        UNION ALL
        SELECT source_id::String, event::String, back_of(failed_at) AS back, -toInt64(uniqExact(message_id))
        FROM {database}.recovered_events
        WHERE failed_at >= read_from AND failed_at < {until:DateTime64(3, 'UTC')}
        GROUP BY source_id, event, back
    ),
    -- One row per source, event and day that has any, `*` among the events.
    counted AS
    (
        SELECT
            source_id,
            name,
            back,
            sum(rows) AS rows,
            sum(volume) AS volume,
            greatest(sum(refusals), 0) AS failed,
            sum(late) AS late,
            sum(duplicates) AS duplicates,
            sum(bots) AS bots,
            sumMap(skews) AS skews,
            max(last_at) AS last_at
        FROM
        (
            SELECT *, 0::Int64 AS refusals FROM stored
            UNION ALL
            SELECT
                source_id, event, back,
                0 AS rows, 0 AS volume, 0 AS bots, 0 AS late, 0 AS duplicates,
                map()::Map(Int32, UInt64) AS skews, NULL AS last_at,
                refusals
            FROM refused
        )
        ARRAY JOIN [event, '*'] AS name
        GROUP BY source_id, name, back
    ),
    series AS
    (
        SELECT
            source_id,
            name,
            max(back) AS first_back,
            groupArray(back) AS backs,
            groupArray((rows, volume, failed, late, duplicates, bots, skews, last_at)) AS facts,
            mapFromArrays(backs, arrayMap(fact -> fact.2, facts)) AS volumes
        FROM counted
        GROUP BY source_id, name
    )
SELECT
    source_id,
    name AS event,
    fromUnixTimestamp64Milli(until_ms - (back + 1) * day_ms, 'UTC') AS day,
    toUInt64(fact.1) AS events,
    fact.2 AS volume,
    expected,
    multiIf(
        volume = 0 AND ifNull(coalesce(expected, usual) >= 10, false), 'stopped',
        isNull(expected), 'unknown',
        volume < expected / 2 AND expected - volume > 4 * sqrt(expected), 'low',
        volume > expected * 2 AND volume - expected > 4 * sqrt(expected), 'high',
        'ok'
    ) AS state,
    toUInt64(fact.3) AS failed,
    failed / nullIf(events + failed, 0) AS failed_share,
    toUInt64(fact.4) AS late,
    late / nullIf(events, 0) AS late_share,
    toUInt64(fact.5) AS duplicates,
    duplicates / nullIf(events, 0) AS duplicate_share,
    toUInt64(fact.6) AS bots,
    bots / nullIf(events, 0) AS bot_share,
    arraySum((minutes, times) -> if(abs(minutes) >= 5, times, 0), skew_keys, skew_times) AS skewed,
    skewed / nullIf(arraySum(skew_times), 0) AS skewed_share,
    if(
        empty(skew_keys), NULL,
        skew_keys[arrayFirstIndex(sum_so_far -> sum_so_far * 2 >= arraySum(skew_times), arrayCumSum(skew_times))]
    ) AS skew_minutes,
    fact.8 AS last_at
FROM
(
    SELECT
        source_id,
        name,
        back,
        facts[indexOf(backs, back)] AS fact,
        arraySort(mapKeys(fact.7)) AS skew_keys,
        arrayMap(minutes -> fact.7[minutes], skew_keys) AS skew_times,
        arrayFilter(past -> past < first_back, [back + 7, back + 14, back + 21, back + 28]) AS weeks_before,
        arrayFilter(past -> past < first_back, arrayMap(n -> back + n, range(1, 8))) AS days_before,
        if(length(weeks_before) < 2, NULL,
            arrayReduce('quantileExactInclusive(0.5)', arrayMap(past -> volumes[past], weeks_before))) AS expected,
        if(length(days_before) < 3, NULL,
            arrayReduce('quantileExactInclusive(0.5)', arrayMap(past -> volumes[past], days_before))) AS usual
    FROM series
    ARRAY JOIN range(0, toInt64(least(days, first_back + 1))) AS back
)
ORDER BY source_id, event, day
