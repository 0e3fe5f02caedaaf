-- churn_risk: how likely each person is gone, by visits and by orders.
--
-- Question    Whom are we losing, and whom should we write to?
-- Parameters  source_id   String: a source, or '' for all.
--             as_of       DateTime64(3): only events before it, so that risks of the past can be had, too.
--             model       Array(Float64): r, alpha, a and b of a BG/NBD model of the source's customers whose unit of
--                         time is the day, as the Python package lifetimes fits it; [] for no p_alive.
--                 SELECT * FROM churn_risk(source_id = 'shop', as_of = now('UTC'), model = []) ORDER BY churn_risk DESC
-- Grain       One row per (source_id, person_id) with an event before as_of.
-- Reads       person_activity
-- Definition  idle_days, mean_gap_days, churn_risk   As in person_activity: from the person's own rhythm of visits.
--             repeat_orders   Days with an order, after the first.
--             recency_days    From the first day with an order to the last one.
--             age_days        From the first day with an order to that of as_of. All three are NULL without an order.
--             p_alive         The probability that the customer will ever order again, by the BG/NBD model of Fader,
--                             Hardie and Lee (2005): with x, t_x and T for the three above
--                             1 / (1 + a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ^ (r + x)), and 1 for x = 0.
-- Exact       Yes, but for the rounding of floating-point numbers.
-- Time        event_time, UTC; days are dates in UTC.
-- Cost        As person_activity.
-- Test        tests/sql/test_segments.py
CREATE OR REPLACE VIEW {database}.churn_risk AS
SELECT
    source_id,
    person_id,
    idle_days,
    mean_gap_days,
    churn_risk,
    if(orders > 0, toInt64(order_days) - 1, NULL) AS repeat_orders,
    toDate(last_order_at) - toDate(first_order_at) AS recency_days,
    toDate({as_of:DateTime64(3, 'UTC')}) - toDate(first_order_at) AS age_days,
    if(
        empty({model:Array(Float64)}),
        NULL,
        if(
            repeat_orders = 0,
            1,
            1 / (
                1 + {model:Array(Float64)}[3] / ({model:Array(Float64)}[4] + repeat_orders - 1) * exp(
                    ({model:Array(Float64)}[1] + repeat_orders) * (
                        log({model:Array(Float64)}[2] + age_days) - log({model:Array(Float64)}[2] + recency_days)
                    )
                )
            )
        )
    ) AS p_alive
FROM {database}.person_activity
(
    source_id = {source_id:String},
    as_of = {as_of:DateTime64(3, 'UTC')}
)
WHERE NOT throwIf(
    length({model:Array(Float64)}) NOT IN (0, 4) OR arrayExists(parameter -> NOT parameter > 0, {model:Array(Float64)}),
    'churn_risk: model is [] or four numbers above 0: r, alpha, a and b of BG/NBD'
)
