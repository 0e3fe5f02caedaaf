-- journey_funnels: every journey of the tracking plan that is live, as a funnel.
--
-- Question    How many go each of the ways we know, and where do they leave it? Ways are edited in the plan, in git.
-- Parameters  source_id   String.
--             since, until   DateTime64(3): the first step is from `since` and before `until`; later ones may be later.
--                 SELECT * FROM journey_funnels(source_id = 'shop', since = '2026-11-01', until = now('UTC'))
-- Grain       One row per (journey, step), also for those that nobody reached. No plan or no journeys, no rows.
-- Reads       plan_versions, human_events, sessions
-- Definition  journey        Its name.
--             counted_by     The journey's `key`: visitor_id, user_id (events without one do not count) or session_id.
--             step           A step that must happen; its event is one with the values of `where`, and is later than
--                            the step before by a millisecond or more, and by no more than `within`, if there is one.
--                            `times: 3` is reached by the third event, and `within` is until the first. What has
--                            `times: 0` is no step: it must not happen between the steps around it.
--             condition      The event and its values, as step_events writes them.
--             reached        How many. Whoever reaches a step counts once in it and in all before it.
--             share_of_first, share_of_previous, lost   As in funnel; NULL shares when nobody began.
-- Exact       Yes. Unlike a check of the journey, which wants `times` exactly, more events do not spoil a step.
-- Time        event_time, UTC.
-- Cost        One pass over the events that are steps of any journey; they are followed one by one as in funnel_chains.
-- Test        tests/sql/test_funnel_kinds.py
CREATE OR REPLACE VIEW {database}.journey_funnels AS
WITH
    steps AS
    (
        SELECT
            entry.1 AS journey,
            JSONExtractString(entry.2, 'key') AS key,
            arrayEnumerate(JSONExtractArrayRaw(entry.2, 'steps')) AS places,
            JSONExtractArrayRaw(entry.2, 'steps') AS raws,
            arrayMap(raw -> JSONExtract(raw, 'times', 'Nullable(Int32)'), raws) AS asked,
            -- What must not happen has no number of its own, but that of the step before it.
            arrayMap(times -> ifNull(times, 1), asked) AS times_of,
            arrayCumSum(times_of) AS last_links,
            arrayCumSum(times -> times > 0, times_of) AS numbers,
            place,
            JSONExtractString(raws[place], 'event') AS event,
            JSONExtractKeysAndValues(raws[place], 'where', 'Nullable(String)') AS `where`,
            JSONExtractInt(raws[place], 'within_ms') AS within_ms,
            times_of[place] AS times,
            toInt64(last_links[place]) AS link,
            toInt64(last_links[-1]) AS links,
            numbers[place] AS step,
            -- An event is any of the `times` links of its step, or it cuts what is made up to the link before.
            multiIf(
                times > 0, arrayMap(i -> (link - i, if(i = times - 1, within_ms, 0)), range(times)),
                link > 0, [(-link, 0)],
                []
            )::Array(Tuple(Int64, Int64)) AS links_of
        FROM
        (
            SELECT arrayJoin(JSONExtractKeysAndValuesRaw(plan, 'head', 'journeys')) AS entry
            FROM
            (
                SELECT plan
                FROM {database}.plan_versions
                ORDER BY live_from DESC, hash
                LIMIT 1
            )
        )
        ARRAY JOIN places AS place
    ),
    reached AS
    (
        SELECT
            journey,
            arrayFold(
                -- state: (of each link of the chain when it was made last, 0 for never; how many were made at most)
                (state, event_) -> (
                    multiIf(
                        event_.2 < 0, true,
                        event_.2 = 1, event_.1 < toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}),
                        state.1[event_.2 - 1] > 0
                            AND (event_.3 = 0 OR event_.1 - state.1[event_.2 - 1] <= event_.3)
                    ) AS is_made,
                    (
                        if(
                            is_made,
                            arrayMap(
                                (made_at, link) -> if(link = abs(event_.2), if(event_.2 < 0, 0, event_.1), made_at),
                                state.1,
                                arrayEnumerate(state.1)
                            ),
                            state.1
                        ),
                        if(is_made, greatest(state.2, event_.2), state.2)
                    )
                ).2,
                arraySort(
                    event_ -> (event_.1, event_.2 > 0, -event_.2),
                    groupArray((toUnixTimestamp64Milli(event_time), links_of.1, links_of.2))
                ),
                (arrayWithConstant(any(links), toInt64(0)), toInt64(0))
            ).2 AS made
        FROM {database}.human_events AS event_
        INNER JOIN steps ON event_.event = steps.event
        ASOF LEFT JOIN
        (
            SELECT visitor_id, started_at, session_id AS id
            FROM {database}.sessions
            WHERE source_id = {source_id:String} AND (SELECT count() FROM steps WHERE key = 'session_id') > 0
        ) AS session ON event_.visitor_id = session.visitor_id AND event_.event_time >= session.started_at
        ARRAY JOIN links_of
        WHERE event_.source_id = {source_id:String}
            AND event_.event_time >= {since:DateTime64(3, 'UTC')}
            AND event_.event IN (SELECT event FROM steps)
            AND arrayAll(wanted -> ifNull(property[wanted.1] = wanted.2, wanted.2 IS NULL), `where`)
        GROUP BY
            journey,
            multiIf(key = 'user_id', user_id, key = 'session_id', session.id, event_.visitor_id) AS counted_id
        HAVING counted_id != ''
    )
SELECT
    journey,
    key AS counted_by,
    step,
    concat(
        event,
        arrayStringConcat(arrayMap(wanted -> concat(' & ', wanted.1, '=', ifNull(wanted.2, '')), `where`))
    ) AS condition,
    arrayCount(links_made -> links_made >= link, made_by) AS reached,
    reached / nullIf(max(reached) OVER (PARTITION BY journey), 0) AS share_of_first,
    reached / nullIf(lag(reached, 1, reached) OVER (PARTITION BY journey ORDER BY step) AS reached_before, 0)
        AS share_of_previous,
    reached_before - reached AS lost
FROM (SELECT * FROM steps WHERE times > 0) AS step_
LEFT JOIN (SELECT journey, groupArray(made) AS made_by FROM reached GROUP BY journey) AS people USING (journey)
ORDER BY journey, step
