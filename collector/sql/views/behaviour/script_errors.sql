-- script_errors: what goes wrong in the scripts of pages, and for how many visitors.
--
-- Question    Which error should be mended first, since when is it there, and in which browsers?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM script_errors(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per (message, script, line).
-- Reads       human_events
-- Definition  Of the events `error`, which pages send that ask for the extra `errors`.
--               message         The error's own words. script, line: where it arose; 0 when the browser does not say.
--               errors          How often. visitors: for how many.
--               visitor_share   visitors divided by all visitors of the source in the period.
--               paths           The number of pages that it happened on. top_path: the page with most of them.
--               browsers        The browsers that it happened in, by name.
--               first_at, last_at   The first and the last time in the period.
--               stack           Of the newest one that has it.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Reads these events and their properties, and the visitors of the period.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.script_errors AS
SELECT
    ifNull(property['message'], '') AS message,
    ifNull(property['source'], '') AS script,
    ifNull(toUInt32OrNull(property['line']), 0) AS line,
    count() AS errors,
    uniqExact(visitor_id) AS visitors,
    visitors /
    (
        SELECT uniqExact(visitor_id)
        FROM {database}.human_events
        WHERE source_id = {source_id:String}
            AND event_time >= {since:DateTime64(3, 'UTC')}
            AND event_time < {until:DateTime64(3, 'UTC')}
    ) AS visitor_share,
    uniqExact(path) AS paths,
    arraySort(place -> (-toInt64(place.2), place.1), CAST(
        sumMap(map(path, 1::UInt64)), 'Array(Tuple(String, UInt64))'
    ))[1].1 AS top_path,
    arraySort(groupUniqArray(browser::String)) AS browsers,
    min(event_time) AS first_at,
    max(event_time) AS last_at,
    argMaxIf(ifNull(property['stack'], ''), event_time, ifNull(property['stack'], '') != '') AS stack
FROM {database}.human_events
WHERE source_id = {source_id:String}
    AND event = 'error'
    AND event_time >= {since:DateTime64(3, 'UTC')}
    AND event_time < {until:DateTime64(3, 'UTC')}
GROUP BY message, script, line
ORDER BY visitors DESC, errors DESC, message, script, line
