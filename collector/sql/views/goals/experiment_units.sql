-- experiment_units: who saw which variant of an experiment, and what they did after that.
--
-- Question    Whose exposure and conversion is it? experiments counts them.
-- Parameters  source_id   String.
--             exposure    String: the condition, written as step_events says, that an exposure meets.
--             variant     String: the property of the exposure that names the variant.
--             goal        String: the condition that a conversion meets.
--             currency    String: the currency in which values are added up.
--             window_s    UInt32: seconds that a conversion may come after the first exposure; at least 1.
--             since, until   DateTime64(3): the first exposure is from, and before.
--             counted_by  String: 'visitor' or 'person'; a session is no unit, because it may not be alone in having seen.
-- Grain       One row per visitor or person who was exposed.
-- Reads       step_events, conversions
-- Definition  exposed_at       The first event that meets exposure and names a variant.
--             variants         All variants that were seen, also after that: more than one is a fault of the assignment.
--             converted_at     The first conversion after the exposure, NULL without one. An event that is both is not
--                              after itself. conversions: how many, an order that is sent twice counted once.
--             value            Sum of their values in `currency`. other_currencies: conversions whose value is in
--                              another, and is not in the sum.
-- Exact       Yes.
-- Time        event_time, UTC.
-- Cost        One pass over the events that meet a condition.
-- Test        tests/sql/test_experiments.py
CREATE OR REPLACE VIEW {database}.experiment_units AS
SELECT
    counted_id,
    exposure_.1 AS exposed_at,
    variants,
    if(empty(after), NULL, arrayMin(goal_ -> goal_.1, after)) AS converted_at,
    length(after) AS conversions,
    arraySum(goal_ -> if(goal_.5 = {currency:String}, goal_.4, 0), after) AS value,
    arrayCount(goal_ -> goal_.5 != {currency:String} AND goal_.4 != 0, after) AS other_currencies
FROM
(
    SELECT
        counted_id,
        arraySort(groupUniqArrayIf(dimension, step = 1)) AS variants,
        minIf((event_time, sequence, message_id), step = 1) AS exposure_,
        arrayFilter(
            goal_ -> (goal_.1, goal_.2, goal_.3) > exposure_
                AND goal_.1 <= exposure_.1 + toIntervalSecond({window_s:UInt32}),
            groupArrayIf((event_time, sequence, message_id, value, currency), step = 2)
        ) AS after
    FROM {database}.step_events
    (
        source_id = {source_id:String},
        steps = [{exposure:String}, {goal:String}],
        counted_by = {counted_by:String},
        breakdown = {variant:String},
        since = {since:DateTime64(3, 'UTC')},
        until = {until:DateTime64(3, 'UTC')} + toIntervalSecond({window_s:UInt32} + 1)
    )
    WHERE NOT throwIf({window_s:UInt32} = 0, 'experiments: window_s must be at least 1')
        AND NOT throwIf({variant:String} = '', 'experiments: variant must name the property that holds the variant')
        AND NOT throwIf(
            {counted_by:String} NOT IN ('visitor', 'person'),
            'experiments: counted_by is visitor or person'
        )
        AND if(
            step = 1,
            dimension != '',
            message_id NOT IN (
                SELECT message_id
                FROM {database}.conversions
                WHERE source_id = {source_id:String} AND is_repeat
            )
        )
    GROUP BY counted_id
    HAVING notEmpty(variants) AND exposure_.1 < {until:DateTime64(3, 'UTC')}
)
