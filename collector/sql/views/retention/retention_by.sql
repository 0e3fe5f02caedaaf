-- retention_by: retention by where people came from, and in spans of periods of one's own choice.
--
-- Question    Which people come back: those of which campaign, plan or device? And in their first days, or later?
-- Parameters  As retention, and
--             brackets    Array(UInt32): the first numbers of spans of periods, ascending, from 1: with period = 'day'
--                         [1, 4, 8, 31] asks for days 1 to 3, 4 to 7 and 8 to 30. [] for every period on its own.
--             breakdown   String: a name as in a condition of step_events: cohorts by its value at the first start
--                         event; '' for one cohort a period.
--                 SELECT * FROM retention_by(source_id = 'shop', start_event = 'sign_up', return_event = '*',
--                     period = 'day', kind = 'on', brackets = [1, 4, 8, 31], breakdown = 'utm_source',
--                     since = '2026-09-01', until = now('UTC'), time_zone = 'UTC', counted_by = 'person')
-- Grain       One row per (cohort, dimension, span) and one for the cohort's own period, for every span that is over
--             before `until`, also without returns.
-- Reads       events_with_steps
-- Definition  As retention.
--               cohort     The period, as its first day, of the first start event ever.
--               dimension  That event's own value of the breakdown.
--               size       Those who began.
--               first_number, last_number   The span: periods after the cohort's own; both 0 for that one.
--               returned   Of those who began, who came back in the span; with kind 'on_or_after' in it or later.
--               share      returned divided by size.
-- Exact       Yes.
-- Time        event_time, in time_zone; periods are counted as dates, so a day of 23 or 25 hours is one day.
-- Cost        Reads all events of the source that meet either condition, from the beginning: a first is known only so.
-- Test        tests/sql/test_retention.py
CREATE OR REPLACE VIEW {database}.retention_by AS
WITH
    -- The number of a date's period; and the first day of the period with a number.
    day -> multiIf(
        {period:String} = 'day', toInt32(day),
        {period:String} = 'week', intDiv(toInt32(day) + 3, 7),
        toInt32(toYear(day) * 12 + toMonth(day) - 1)
    ) AS number_of,
    number -> multiIf(
        {period:String} = 'day', toDate(number),
        {period:String} = 'week', toDate(number * 7 - 3),
        makeDate(intDiv(number, 12), number % 12 + 1, 1)
    ) AS first_day_of,
    arrayMap(place -> {brackets:Array(UInt32)}[place + 1] - 1, range(1, length({brackets:Array(UInt32)}))) AS ends
SELECT
    first_day_of(began) AS cohort,
    dimension,
    span.1 AS first_number,
    span.2 AS last_number,
    size,
    if(last_number = 0, size, returns[indexOf(slots, span.3)]) AS returned,
    returned / size AS share
FROM
(
    SELECT
        began,
        dimension,
        count() AS size,
        sumMap(came_back, arrayMap(slot -> toUInt64(1), came_back)) AS returned_in,
        returned_in.1 AS slots,
        returned_in.2 AS returns
    FROM
    (
        SELECT
            number_of(toDate(minIf(event_time, bitTest(step_bits, 1)), {time_zone:String})) AS began,
            -- A tie of time and sequence goes to the smaller value, so that the answer is always the same.
            if({breakdown:String} = '', '', minIf((event_time, sequence, dimension), bitTest(step_bits, 1)).3) AS dimension,
            arrayFilter(
                number -> number > 0,
                arrayMap(
                    number -> number - began,
                    -- As 16 bits, like dates themselves: a set of them takes half the time of 32.
                    groupUniqArrayIf(
                        toUInt16(number_of(toDate(event_time, {time_zone:String}))),
                        bitTest(step_bits, 2)
                    )
                )
            ) AS numbers,
            -- A slot is a number, or the place of a span among spans.
            if(
                empty({brackets:Array(UInt32)}),
                numbers,
                arrayDistinct(arrayMap(
                    number -> toInt32(arrayCount(first -> first <= number, {brackets:Array(UInt32)})),
                    numbers
                ))
            ) AS returned_on,
            if(
                {kind:String} = 'on',
                returned_on,
                range(1, toInt32(ifNull(arrayMax(returned_on), 0)) + 1)
            ) AS came_back
        FROM {database}.events_with_steps
        (
            source_id = {source_id:String},
            steps = [{start_event:String}, {return_event:String}],
            counted_by = {counted_by:String},
            breakdown = {breakdown:String},
            -- Not the epoch: ClickHouse sends it to shards as '0', which it cannot read there.
            since = toDateTime64('2001-09-10 00:00:00', 3, 'UTC'),
            until = {until:DateTime64(3, 'UTC')}
        )
        WHERE NOT throwIf({period:String} NOT IN ('day', 'week', 'month'), 'retention: period is day, week or month')
            AND NOT throwIf({kind:String} NOT IN ('on', 'on_or_after'), 'retention: kind is on or on_or_after')
            AND NOT throwIf(
                {counted_by:String} NOT IN ('visitor', 'person'),
                'retention: counted_by is visitor or person'
            )
            AND NOT throwIf(
                notEmpty({brackets:Array(UInt32)}) AND (
                    length({brackets:Array(UInt32)}) = 1
                    OR {brackets:Array(UInt32)}[1] = 0
                    OR arraySort(arrayDistinct({brackets:Array(UInt32)})) != {brackets:Array(UInt32)}
                ),
                'retention: brackets are at least two ascending numbers from 1, as [1, 4, 8]; the last one ends a span'
            )
        GROUP BY counted_id
        HAVING countIf(bitTest(step_bits, 1)) > 0 AND minIf(event_time, bitTest(step_bits, 1)) >= {since:DateTime64(3, 'UTC')}
    )
    GROUP BY began, dimension
)
ARRAY JOIN
    arrayConcat(
        [(0, 0, 0)],
        arrayFilter(
            span -> began + span.2 < number_of(toDate({until:DateTime64(3, 'UTC')}, {time_zone:String})),
            if(
                empty({brackets:Array(UInt32)}),
                arrayMap(
                    number -> (number, number, number),
                    range(1, greatest(1, number_of(toDate({until:DateTime64(3, 'UTC')}, {time_zone:String})) - began))
                ),
                arrayMap(
                    (first, last, place) -> (toInt32(first), toInt32(last), toInt32(place)),
                    arrayPopBack({brackets:Array(UInt32)}),
                    ends,
                    arrayEnumerate(ends)
                )
            )
        )
    ) AS span
ORDER BY cohort, dimension, first_number
