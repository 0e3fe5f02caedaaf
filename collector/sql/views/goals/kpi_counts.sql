-- kpi_counts: what is counted in each period to make the figures of kpis.
--
-- Question    How many came, converted, stayed away, asked for help? kpis divides these by each other.
-- Parameters  As kpis.
-- Grain       One row per (period_start, name, currency), where there is something to count.
-- Reads       period_visitors, counted_conversions, step_events
-- Definition  name, and amount:
--               visitors, visitors_before, lost   As period_visitors.
--               converted         Those with a macro conversion; repeated: those of them for whom it was not the first.
--               conversions       Macro conversions. valued: those with a value; revenue: its sum; both per currency.
--               contacts          Events that meet support. contacting: visitors or persons with one.
--               nps_answers       Visitors or persons whose last answer is a number of 0 to 10; promoters: 9 and 10;
--                                 detractors: 0 to 6. Anything else is no answer.
--               csat_answers      Those whose last answer is a number; satisfied: of csat_from or more.
--             period_start  First moment of the period.
--             name  What is counted, as listed.
--             amount  The count, or for revenue the sum.
-- Exact       Yes: sums are decimals.
-- Time        event_time, in time_zone.
-- Cost        As kpis.
-- Test        tests/sql/test_goals.py
CREATE OR REPLACE VIEW {database}.kpi_counts AS
WITH
    day -> multiIf({period:String} = 'day', day, {period:String} = 'week', toMonday(day), toStartOfMonth(day))
        AS start_of
SELECT period_start, name, currency, amount
FROM
(
    SELECT
        period_start,
        came.1 AS name,
        '' AS currency,
        toDecimal128(came.2, 4) AS amount
    FROM {database}.period_visitors
    (
        source_id = {source_id:String}, period = {period:String}, since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')}, time_zone = {time_zone:String}, counted_by = {counted_by:String}
    )
    ARRAY JOIN [('visitors', visitors), ('visitors_before', visitors_before), ('lost', lost)] AS came

    UNION ALL
    SELECT period_start, fact.1 AS name, fact.2 AS currency, sum(fact.3) AS amount
    FROM
    (
        SELECT
            start_of(toDate(event_time, {time_zone:String})) AS period_start,
            max(number) > 1 AS is_repeated,
            groupArrayIf((currency, value), is_valued) AS sums,
            [
                ('converted', '', toDecimal128(1, 4)),
                ('repeated', '', toDecimal128(is_repeated, 4)),
                ('conversions', '', toDecimal128(count(), 4))
            ] AS counts
        FROM {database}.counted_conversions
        (source_id = {source_id:String}, until = {until:DateTime64(3, 'UTC')}, counted_by = {counted_by:String})
        WHERE kind = 'macro'
        GROUP BY counted_id, period_start
    )
    ARRAY JOIN arrayConcat(
        counts,
        arrayMap(sum_ -> ('revenue', sum_.1::String, toDecimal128(sum_.2, 4)), sums),
        arrayMap(sum_ -> ('valued', sum_.1::String, toDecimal128(1, 4)), sums)
    ) AS fact
    GROUP BY period_start, name, currency

    UNION ALL
    SELECT period_start, fact.1 AS name, '' AS currency, toDecimal128(sum(fact.2), 4) AS amount
    FROM
    (
        WITH
            ifNull(toFloat64OrNull(dimension), nan) AS number_,
            isFinite(number_) AND (step = 3 OR number_ BETWEEN 0 AND 10) AS is_answer
        SELECT
            start_of(toDate(event_time, {time_zone:String})) AS period_start,
            step,
            count() AS contacts,
            countIf(is_answer) > 0 AS did_answer,
            argMaxIf(number_, (event_time, sequence, message_id), is_answer) AS answer
        FROM {database}.step_events
        (
            source_id = {source_id:String},
            steps = [{support:String}, {nps:String}, {csat:String}],
            counted_by = {counted_by:String},
            breakdown = {score:String},
            since = {since:DateTime64(3, 'UTC')} - toIntervalDay(63),
            until = {until:DateTime64(3, 'UTC')}
        )
        WHERE [{support:String}, {nps:String}, {csat:String}][step] != ''
        GROUP BY counted_id, period_start, step
    )
    ARRAY JOIN multiIf(
        step = 1, [('contacts', contacts), ('contacting', 1)],
        NOT did_answer, [],
        step = 2, [('nps_answers', 1), ('promoters', answer >= 9), ('detractors', answer <= 6)],
        [('csat_answers', 1), ('satisfied', answer >= {csat_from:Float64})]
    ) AS fact
    GROUP BY period_start, name
)
