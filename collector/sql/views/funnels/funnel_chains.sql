-- funnel_chains: when each visitor was at each step of a funnel, for funnels of every kind.
--
-- Question    Who went this way, when were they at each step, and where did each of them stop?
-- Parameters  As funnel_by.
-- Grain       One row per visitor, person or session that reached the first step.
-- Reads       step_events
-- Definition  As funnel_by. Of several chains it is the longest; of several longest the one that was complete first; of
--             these the one whose other events are latest, in any order the one that began last.
--               times      Of each step reached, in the order in which they were, the time in milliseconds since 1970.
--               level      How many there are.
--               dimension  The event's value of the breakdown, of the first event that is step 1; in any order of the
--                          first that is any step.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        Linear in events; about six times funnel's CPU, because each visitor's chains are followed one by one.
-- Test        tests/sql/test_funnel_kinds.py
CREATE OR REPLACE VIEW {database}.funnel_chains AS
WITH
    {steps:Array(String)} AS conditions,
    length({steps:Array(String)}) AS last_step,
    {window_s:UInt32} * 1000 AS window_ms,
    toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}) AS until_ms,
    -- Of each excluded event: after which step it must not be, and up to which; 0 where it is not said. Constants, as
    -- they are without lambdas.
    arrayStringConcat({without:Array(String)}, '\x01') AS excluded,
    replaceRegexpAll(excluded, '(?:([0-9]+)-([0-9]+): )?[^\x01]+', '0\\1-0\\2') AS said,
    extractAll(said, '([0-9]+)-')::Array(Int32) AS after_steps,
    extractAll(said, '-([0-9]+)')::Array(Int32) AS up_to_steps
SELECT
    counted_id,
    if({kind:String} = 'any_order', set_in_any_order, arrayPopFront(chain_in_order)) AS times,
    length(times) AS level,
    if({kind:String} = 'any_order', first_of_any, first_of_one).3 AS dimension
FROM
(
    SELECT
        counted_id,
        first_of_one,
        first_of_any,
        -- state: (of each step the newest chain that ends there, as its last rank and its times; that of the event
        -- before this one; the longest so far)
        arrayFold(
            (state, event_) -> (
                if(
                    event_.2 > last_step,
                    arrayMap(
                        (old, step) -> if(
                            step < after_steps[event_.2 - last_step]
                                OR step >= if(
                                    up_to_steps[event_.2 - last_step] = 0,
                                    last_step,
                                    up_to_steps[event_.2 - last_step]
                                ),
                            old,
                            []
                        ),
                        state.1,
                        arrayEnumerate(state.1)
                    ),
                    arrayMap((old, step) -> if(step = event_.2, chain, old), state.1, arrayEnumerate(state.1))
                ),
                multiIf(
                    event_.2 = 1 AND event_.1 < until_ms,
                    [event_.3, event_.1],
                    event_.2 BETWEEN 2 AND last_step
                        AND notEmpty(state.1[event_.2 - 1])
                        AND event_.1 - state.1[event_.2 - 1][2] <= window_ms
                        AND event_.1 > state.1[event_.2 - 1][-1]
                        AND ({kind:String} != 'strict' OR event_.3 = state.1[event_.2 - 1][1] + 1),
                    arrayConcat([event_.3], arrayPopFront(state.1[event_.2 - 1]), [event_.1]),
                    state.1[event_.2]
                ) AS chain,
                if(length(state.2) > length(state.3), state.2, state.3)
            ),
            if({kind:String} = 'any_order', [], arrayPushBack(ranked, (toInt64(0), last_step + 1, toInt64(0)))),
            (arrayWithConstant(last_step, emptyArrayInt64()), emptyArrayInt64(), emptyArrayInt64())
        ).3 AS chain_in_order,
        -- From the last event to the first. state: (of each condition the times of the next events that meet it, as
        -- many as it is asked for; those within a window from the event before this one; the best of these so far)
        arrayFold(
            (state, event_) -> (
                arrayMap(
                    (next, step) -> multiIf(
                        event_.2 > last_step, [],
                        event_.2 = step,
                        arraySlice(arrayPushFront(next, event_.1), 1, countEqual(conditions, conditions[event_.2])),
                        next
                    ),
                    state.1,
                    arrayEnumerate(state.1)
                ) AS near,
                if(
                    event_.1 < until_ms,
                    arraySort(arrayFilter(time -> time <= event_.1 + window_ms, arrayFlatten(near))),
                    []
                ),
                -- The same start and end again is another event of that millisecond: now all of it are known.
                if(
                    length(state.2) > length(state.3)
                        OR (length(state.2) = length(state.3) AND (
                            state.2[-1] < state.3[-1] OR (state.2[-1] = state.3[-1] AND state.2[1] = state.3[1])
                        )),
                    state.2,
                    state.3
                )
            ),
            if(
                {kind:String} = 'any_order',
                arrayPushBack(arrayReverse(ranked), (toInt64(0), last_step + 1, toInt64(0))),
                []
            ),
            (arrayWithConstant(last_step, emptyArrayInt64()), emptyArrayInt64(), emptyArrayInt64())
        ).3 AS set_in_any_order
    FROM
    (
        SELECT
            counted_id,
            first_of_one,
            first_of_any,
            -- Events as (millisecond, step, rank), but those that nothing more is asked of. The rank tells whether
            -- another event is in between, where that counts.
            arrayFilter(
                event_ -> multiIf(
                    {kind:String} = 'strict', event_.2 <= last_step,
                    {kind:String} = 'any_order', indexOf(conditions, conditions[event_.2]) IN (0, event_.2),
                    1
                ),
                arrayMap(
                    (event_, rank) -> (event_.1, event_.3, rank),
                    in_order,
                    arrayCumSum(
                        (event_, before) -> (event_.1, event_.2) != (before.1, before.2),
                        in_order,
                        arrayPushFront(arrayPopBack(in_order), (toInt64(0), toInt128(0), toUInt64(0)))
                    )::Array(Int64)
                )
            ) AS ranked
        FROM
        (
            SELECT
                counted_id,
                arraySort(
                    event_ -> (event_.1, event_.2, -event_.3),
                    groupArray((
                        toUnixTimestamp64Milli(event_time),
                        if({kind:String} = 'strict', moment, toInt128(0)),
                        step::UInt64
                    ))
                ) AS in_order,
                -- A tie of time and sequence goes to the smaller value, so that the answer is always the same.
                minIf((event_time, sequence, dimension), step = 1) AS first_of_one,
                minIf((event_time, sequence, dimension), step <= last_step) AS first_of_any
            FROM {database}.step_events
            (
                source_id = {source_id:String},
                steps = arrayConcat(
                    {steps:Array(String)},
                    extractAll(
                        arrayStringConcat({without:Array(String)}, '\x01'),
                        '(?:[0-9]+-[0-9]+: )?([^\x01]+)'
                    )
                ),
                counted_by = {counted_by:String},
                breakdown = {breakdown:String},
                since = {since:DateTime64(3, 'UTC')},
                until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32})
            )
            WHERE NOT throwIf(
                    {kind:String} NOT IN ('ordered', 'strict', 'any_order'),
                    'funnel: kind is ordered, strict or any_order'
                )
                AND NOT throwIf(
                    last_step > 16,
                    'funnel has more than 16 steps, the most there can be; leave some out, or ask for two funnels'
                )
                AND NOT throwIf({window_s:UInt32} = 0, 'funnel: window_s is 0; a window has at least a second')
                AND NOT throwIf(
                    {kind:String} != 'ordered' AND match(excluded, '(?:^|\x01)[0-9]+-[0-9]+: '),
                    'funnel: without says between which steps, which only the kind ordered can; leave the numbers out'
                )
                AND NOT throwIf(
                    arrayExists(
                        (begin, end, text) -> match(text, '^[0-9]+-[0-9]+: ')
                            AND (begin < 1 OR begin >= end OR end > last_step),
                        after_steps, up_to_steps, {without:Array(String)}
                    ),
                    'funnel: without is between steps that are not there, or not in order; write it as 2-3: refund'
                )
            GROUP BY counted_id
        )
    )
)
WHERE notEmpty(times)
