-- vitals: how quickly pages load and answer, as the visitors' browsers measured it.
--
-- Question    Is the site quick enough for three of four visitors, and which page is not, on which device?
-- Parameters  source_id   String.
--             since, until   DateTime64(3): event_time from, and before.
--                 SELECT * FROM vitals(source_id = 'shop', since = '2026-11-01', until = '2026-12-01')
--                     WHERE metric = 'LCP' AND device_class = '*' AND rating != 'good' ORDER BY samples DESC
-- Grain       One row per (metric, path, device_class), and with `*` for all paths, for all devices, and for all of both.
-- Reads       human_events
-- Definition  Of the events `web_vital`, which pages send that ask for the extra `vitals`.
--               metric     LCP, INP, FCP and TTFB in milliseconds; CLS has no unit.
--               samples    Measurements. visitors: who made them.
--               p75        Three of four measurements are at most this, and it is what a page is judged by. p50: the median.
--                          Both lie between two measurements in proportion, where they do not fall on one.
--               rating     Of p75: `good`, `needs improvement` or `poor`.
--               good_share, needs_improvement_share, poor_share   Of the samples. They are good up to, and poor above:
--                          LCP 2500 and 4000, INP 200 and 500, CLS 0.1 and 0.25, FCP 1800 and 3000, TTFB 800 and 1800.
-- Exact       Yes: percentiles are of all samples.
-- Time        event_time, UTC.
-- Cost        Reads these events and their properties, and holds every value once for each of the four.
-- Test        tests/sql/test_behaviour.py
CREATE OR REPLACE VIEW {database}.vitals AS
WITH
    transform(name, ['LCP', 'INP', 'CLS', 'FCP', 'TTFB'], [2500, 200, 0.1, 1800, 800], 0.) AS good_up_to,
    transform(name, ['LCP', 'INP', 'CLS', 'FCP', 'TTFB'], [4000, 500, 0.25, 3000, 1800], 0.) AS poor_above
SELECT
    name AS metric,
    on_path AS path,
    on_device AS device_class,
    count() AS samples,
    uniqExact(visitor_id) AS visitors,
    quantileExactInclusive(0.5)(measured) AS p50,
    quantileExactInclusive(0.75)(measured) AS p75,
    multiIf(p75 <= any(good_up_to), 'good', p75 <= any(poor_above), 'needs improvement', 'poor') AS rating,
    countIf(measured <= good_up_to) / samples AS good_share,
    countIf(measured > good_up_to AND measured <= poor_above) / samples AS needs_improvement_share,
    countIf(measured > poor_above) / samples AS poor_share
FROM
(
    SELECT
        path,
        device_class::String AS device_class,
        visitor_id,
        ifNull(property['name'], '') AS name,
        assumeNotNull(toFloat64OrNull(property['value'])) AS measured
    FROM {database}.human_events
    WHERE source_id = {source_id:String}
        AND event = 'web_vital'
        AND event_time >= {since:DateTime64(3, 'UTC')}
        AND event_time < {until:DateTime64(3, 'UTC')}
        AND property['name'] IN ('LCP', 'INP', 'CLS', 'FCP', 'TTFB')
        AND toFloat64OrNull(property['value']) >= 0
)
ARRAY JOIN [path, path, '*', '*'] AS on_path, [device_class, '*', device_class, '*'] AS on_device
GROUP BY name, on_path, on_device
ORDER BY metric, samples DESC, path, device_class
