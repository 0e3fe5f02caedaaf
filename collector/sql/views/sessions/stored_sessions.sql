-- stored_sessions: the sessions as the collector keeps them, read and not computed.
--
-- Question    As sessions, where an answer is wanted at once: dashboards over months, filters on started_at.
-- Grain       One row per (source_id, visitor_id, session_number).
-- Reads       visitor_sessions
-- Definition  The columns are those of sessions, and so are the rows once all that was stored is in them: the collector
--             computes the visitors anew of whom events have arrived, once in `stored_sessions_seconds` (60 by default).
--               computed_at   What was stored up to then is in the visitor's sessions.
--               page_paths    Paths of the page views (event `page_view`) in order.
--               entry_path, exit_path   First and last of page_paths; without a page view, of the events.
--               conversions   Events the tracking plan calls macro conversions. micro_conversions: the micro ones.
--               revenue       Sum of `value` over the macro conversions.
--               revenue_currency  Their currency, `mixed` when they have more than one: then revenue is no amount.
--               is_bounce     One page view and nothing else; identify, group and alias calls are not counted.
--               is_engaged    10 seconds or more, two page views or more, or a conversion of either kind.
-- Exact       Yes, as of computed_at.
-- Time        event_time, UTC.
-- Cost        Reads the columns that are named, of all visitors of the source.
-- Test        tests/sql/test_stored_sessions.py
CREATE OR REPLACE VIEW {database}.stored_sessions AS
SELECT
    source_id,
    visitor_id,
    visits.session_number AS session_number,
    visits.session_id AS session_id,
    visits.user_id AS user_id,
    visits.started_at AS started_at,
    visits.ended_at AS ended_at,
    visits.duration_ms AS duration_ms,
    visits.events AS events,
    visits.pageviews AS pageviews,
    visits.page_paths AS page_paths,
    visits.entry_path AS entry_path,
    visits.exit_path AS exit_path,
    visits.referrer_host AS referrer_host,
    visits.channel AS channel,
    visits.utm_source AS utm_source,
    visits.utm_medium AS utm_medium,
    visits.utm_campaign AS utm_campaign,
    visits.utm_term AS utm_term,
    visits.utm_content AS utm_content,
    visits.device_class AS device_class,
    visits.browser AS browser,
    visits.os AS os,
    visits.country AS country,
    visits.conversions AS conversions,
    visits.micro_conversions AS micro_conversions,
    visits.revenue AS revenue,
    visits.revenue_currency AS revenue_currency,
    visits.is_bounce AS is_bounce,
    visits.is_engaged AS is_engaged,
    computed_at
FROM {database}.visitor_sessions FINAL
ARRAY JOIN visits
