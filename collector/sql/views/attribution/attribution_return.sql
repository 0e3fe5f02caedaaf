-- attribution_return: what channels or campaigns cost, and what they brought.
--
-- Question    Which channel or campaign earns its money, by which model?
-- Parameters  As attribution, and
--             model       String: one of the six of attribution.
--             costs       Array(Tuple(String, Float64)): (touch, what it cost in the period); several of one are added
--                         up.
--             currency    String: of the costs.
--                 SELECT * FROM attribution_return(source_id = 'shop', goal = 'purchase', touch = 'utm_campaign',
--                     lookback_days = 30, half_life_days = 7, since = '2026-11-01', until = '2026-12-01',
--                     counted_by = 'person', model = 'position', costs = [('spring', 1200), ('sale', 300)],
--                     currency = 'EUR')
-- Grain       One row per (touch, currency) with a cost or a credit.
-- Reads       attribution
-- Definition  conversions, revenue   As the model has them.
--             touch       What gets the credit: the channel, campaign or page.
--             currency    Of the revenue, and of the cost.
--             cost        What was given, 0 when nothing was; NULL in a currency that is not that of the costs.
--             cost_per_conversion   cost divided by conversions, NULL without any.
--             return_on_cost   revenue divided by cost, NULL without any. profit: revenue less cost.
-- Exact       As the model.
-- Time        event_time, UTC.
-- Cost        As the model.
-- Test        tests/sql/test_attribution_models.py
CREATE OR REPLACE VIEW {database}.attribution_return AS
WITH
    credits AS
    (
        SELECT touch, currency AS paid_in, conversions, revenue
        FROM {database}.attribution
        (
            source_id = {source_id:String},
            goal = {goal:String},
            touch = {touch:String},
            lookback_days = {lookback_days:UInt32},
            half_life_days = {half_life_days:Float64},
            since = {since:DateTime64(3, 'UTC')},
            until = {until:DateTime64(3, 'UTC')},
            counted_by = {counted_by:String}
        )
        WHERE model = {model:String}
        UNION ALL
        -- So that what cost something and brought nothing has a row, too.
        SELECT cost.1 AS touch, {currency:String} AS paid_in, 0 AS conversions, 0 AS revenue
        FROM (SELECT arrayJoin({costs:Array(Tuple(String, Float64))}) AS cost)
    )
SELECT
    touch,
    paid_in AS currency,
    if(
        paid_in = {currency:String},
        arraySum(cost -> if(cost.1 = touch, cost.2, 0), {costs:Array(Tuple(String, Float64))}),
        NULL
    ) AS cost,
    sum(credits.conversions) AS conversions,
    sum(credits.revenue) AS revenue,
    cost / nullIf(conversions, 0) AS cost_per_conversion,
    revenue / nullIf(cost, 0) AS return_on_cost,
    revenue - cost AS profit
FROM credits
WHERE NOT throwIf(
    {model:String} NOT IN ('first', 'last', 'last_non_direct', 'linear', 'position', 'time_decay'),
    'attribution_return: model is first, last, last_non_direct, linear, position or time_decay'
)
GROUP BY touch, paid_in
ORDER BY revenue DESC, touch, currency
