-- kpis: the figures that a business is steered by, each beside its previous period.
--
-- Question    How are conversion, order value, revenue, repeat buying, churn, support and satisfaction developing?
-- Parameters  source_id   String.
--             period      String: 'day', 'week' (from Monday) or 'month'.
--             since, until   DateTime64(3): from the period of `since` to the last that begins before `until`.
--             time_zone   String: where days begin and end, as 'Europe/Berlin' or 'UTC'.
--             counted_by  String: 'visitor' or 'person'.
--             support     String: the condition, written as step_events says, that a contact with support meets; '' for
--                         none.
--             nps, csat   String: the conditions that an answer to the question of recommending, and to the question how
--                         satisfied somebody is, meets; '' for none.
--             score       String: the property that holds the answer's number; for nps 0 to 10.
--             csat_from   Float64: the least score of somebody satisfied, as 4 on a scale to 5.
--                 SELECT * FROM kpis(source_id = 'shop', period = 'week', since = now('UTC') - INTERVAL 90 DAY, until = now('UTC'),
--                     time_zone = 'Europe/Berlin', counted_by = 'person', support = 'support_contacted',
--                     nps = 'nps_response', csat = 'survey_answered & survey=csat', score = 'score', csat_from = 4)
-- Grain       One row per (period_start, kpi, currency). currency is '' but for revenue and average_value, which have a
--             row for each currency of the range.
-- Reads       kpi_counts, periods
-- Definition  kpi, and its value:
--               visitors           Visitors or persons with an event.
--               conversions        Macro conversions, as in the view conversions.
--               conversion_rate    Of those who came, the share that converted.
--               revenue            Sum of value, in currency. There is no sum over currencies.
--               average_value      revenue divided by the conversions with a value in this currency: the average cart.
--               repeat_rate        Of those who converted, the share for whom it was at least the second time ever.
--               churn_rate         Of those who came in the period before, the share that did not come in this one.
--               support_contacts   Events that meet support. support_rate: of those who came, the share with one.
--               nps                100 x (share of 9 and 10 - share of 0 to 6), by the last answer of each in the period.
--               csat               The share that is satisfied, by the last answer of each in the period.
--             n             Of how many a rate, a sum, an average or a score is; a count's is itself.
--             low, high     95% interval: of shares Wilson's; of nps that of Wald with three answers added (3/4 against,
--                           3/2 neither, 3/4 for), from two answers on. NULL for other figures.
--             previous      The value of the period before. difference: value - previous. change: difference / previous.
--             is_whole      The period was over at `until`. One that is not had less time than the one before.
--             NULL is what is not known: a share of nobody, and every figure of a period without a single event.
--             kpi  Name of the figure, as listed.
--             value  The figure; NULL where it is not known.
-- Exact       Yes; a row that stands for more by its sample_rate counts as one.
-- Time        event_time, in time_zone; periods are counted as dates, so a day of 23 or 25 hours is one day.
-- Cost        One pass over the source's events of the range and of two periods before it, and its conversions from the
--             beginning, because repeat buying is known only so. By person it reads visitors too.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.kpis AS
WITH
    1.959963984540054 AS z
SELECT
    period_start,
    kpi,
    currency,
    value,
    n,
    multiIf(
        NOT has_interval, NULL,
        part = 'nps', greatest(middle - reach, -100),
        hits = 0, 0,
        middle - reach
    ) AS low,
    multiIf(
        NOT has_interval, NULL,
        part = 'nps', least(middle + reach, 100),
        hits = n, 1,
        middle + reach
    ) AS high,
    previous,
    value - previous AS difference,
    difference / nullIf(previous, 0) AS change,
    is_whole
FROM
(
    SELECT
        number,
        period_start,
        is_whole,
        figure.1 AS kpi,
        figure.2 AS currency,
        figure.3 AS part,
        figure.4 AS hits,
        toUInt64(figure.5) AS n,
        figure.6 AS decided,
        -- Nothing at all was heard of a period without visitors, so nothing is known of it.
        multiIf(
            counts['visitors'] = 0 OR part = 'not asked', NULL,
            part = 'count', hits,
            part = 'nps', 100 * hits / nullIf(n, 0),
            hits / nullIf(n, 0)
        ) AS value,
        lagInFrame(value) OVER (PARTITION BY kpi, currency ORDER BY number) AS previous,
        value IS NOT NULL AND (part = 'share' OR part = 'nps' AND n > 1) AS has_interval,
        if(part = 'nps', 100 * hits / (n + 3), (hits + z * z / 2) / (n + z * z)) AS middle,
        if(
            part = 'nps',
            100 * z * sqrt(decided + 1.5 - hits * hits / (n + 3)) / (n + 3),
            z * sqrt(hits * (n - hits) / n + z * z / 4) / (n + z * z)
        ) AS reach
    FROM
    (
        SELECT
            number,
            period_start,
            is_whole,
            sumMapIf(map(name, toFloat64(amount)), currency = '') AS counts,
            sumMapIf(map(currency, toFloat64(amount)), name = 'revenue') AS revenue,
            sumMapIf(map(currency, toFloat64(amount)), name = 'valued') AS valued,
            groupUniqArrayArray(mapKeys(revenue)) OVER () AS currencies
        FROM {database}.periods
        (
            period = {period:String}, since = {since:DateTime64(3, 'UTC')}, until = {until:DateTime64(3, 'UTC')},
            time_zone = {time_zone:String}
        ) AS period_
        LEFT JOIN {database}.kpi_counts
        (
            source_id = {source_id:String}, period = {period:String}, since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')}, time_zone = {time_zone:String}, counted_by = {counted_by:String},
            support = {support:String}, nps = {nps:String}, csat = {csat:String}, score = {score:String},
            csat_from = {csat_from:Float64}
        ) AS counted USING (period_start)
        GROUP BY number, period_start, is_whole
    )
    -- (kpi, currency, what it is, how many or how much, of how many, and of NPS how many are for or against)
    ARRAY JOIN arrayConcat(
        [
            ('visitors', '', 'count', counts['visitors'], counts['visitors'], 0),
            ('conversions', '', 'count', counts['conversions'], counts['conversions'], 0),
            ('conversion_rate', '', 'share', counts['converted'], counts['visitors'], 0),
            ('repeat_rate', '', 'share', counts['repeated'], counts['converted'], 0),
            ('churn_rate', '', 'share', counts['lost'], counts['visitors_before'], 0),
            (
                'support_contacts', '', if({support:String} = '', 'not asked', 'count'),
                counts['contacts'], counts['contacts'], 0
            ),
            (
                'support_rate', '', if({support:String} = '', 'not asked', 'share'),
                counts['contacting'], counts['visitors'], 0
            ),
            (
                'nps', '', 'nps', counts['promoters'] - counts['detractors'], counts['nps_answers'],
                counts['promoters'] + counts['detractors']
            ),
            ('csat', '', 'share', counts['satisfied'], counts['csat_answers'], 0)
        ],
        arrayMap(currency -> ('revenue', currency, 'count', revenue[currency], valued[currency], 0), currencies),
        arrayMap(currency -> ('average_value', currency, 'mean', revenue[currency], valued[currency], 0), currencies)
    ) AS figure
)
WHERE number > 0
ORDER BY period_start, kpi, currency
