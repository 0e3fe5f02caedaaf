-- drop_offs: where those are lost who had begun and did not arrive, and what they did instead.
--
-- Question    Who put something into the cart and did not buy: where did they go next, and where did they leave?
-- Parameters  begun       String: the condition that the beginning meets, written as step_events says.
--             wanted      String: the condition of what should have come after it.
--             source_id, events, pages, counted_by, since, until   As journey_steps.
--                 SELECT * FROM drop_offs(source_id = 'shop', begun = 'add_to_cart', wanted = 'purchase', events = [],
--                     pages = [], counted_by = 'session', since = '2026-11-01', until = '2026-12-01')
-- Grain       One row per (next_step, last_step).
-- Reads       journey_steps
-- Definition  Of sessions (or visitors, persons) with an event that meets `begun` and none after it that meets
--             `wanted`:
--               next_step   The first other step after the beginning, `(exit)` when there was none.
--               last_step   The last step of all: after `(exit)` that of the beginning or, when it was none, the one
--                           before it.
--               lost        How many were lost so. share: lost divided by all that were lost.
--               steps_after   How many steps they took after the beginning, on average.
--               next_step_loss   Of all with that next step, arrived or not, the share that was lost. Where it is
--                           more than for other next steps, this is what leads away.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        As journey_steps; memory for every different (next_step, last_step).
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.drop_offs AS
SELECT *
FROM
(
    SELECT
        next_step,
        last_step,
        countIf(NOT reached) AS lost,
        lost / sum(lost) OVER () AS share,
        avgIf(steps_after, NOT reached) AS steps_after,
        sum(lost) OVER same_next / sum(count()) OVER same_next AS next_step_loss
    FROM
    (
        SELECT
            reached,
            arraySlice(steps, if(start_is_step, 2, 1)) AS after,
            length(after) AS steps_after,
            if(empty(after), '(exit)', after[1]) AS next_step,
            if(empty(steps), step_before, steps[-1]) AS last_step
        FROM {database}.journey_steps
        (
            source_id = {source_id:String},
            start_event = {begun:String},
            end_event = {wanted:String},
            goal = '',
            events = {events:Array(String)},
            pages = {pages:Array(String)},
            collapse = true,
            counted_by = {counted_by:String},
            since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')}
        )
        WHERE NOT throwIf(
            {begun:String} = '' OR {wanted:String} = '',
            'drop_offs: begun and wanted must not be empty; name an event, or * for any'
        )
    )
    GROUP BY next_step, last_step
    WINDOW same_next AS (PARTITION BY next_step)
)
WHERE lost > 0
ORDER BY lost DESC, next_step, last_step
