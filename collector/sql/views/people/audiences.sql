-- audiences: the saved audiences, as of their last refresh.
--
-- Question    How large is each audience, when was it refreshed, and who came and went?
-- Grain       One row per audience that was ever refreshed or tried, without those that were deleted.
-- Reads       audience_refreshes, audience_deliveries
-- Definition  size           How many persons were in it at its last refresh.
--             entered, left  How many came and went with that refresh.
--             version        Of the query, as `footfall audience define` counts them.
--             refreshed_at   When the query was last asked with success; NULL for never.
--             failure        Why a refresh after that one failed; empty when none has.
--             told_at        When a webhook last took a batch; NULL for never.
--             undelivered    Why it did not take the newest one; empty when it did.
-- Exact       Yes.
-- Time        The collector's clock, UTC.
-- Cost        One row per refresh, and one per batch that was told.
-- Test        tests/audience/
CREATE OR REPLACE VIEW {database}.audiences AS
SELECT
    audience,
    description,
    version,
    size,
    entered,
    left,
    refreshed_at,
    duration_ms,
    failure,
    told.told_at AS told_at,
    told.undelivered AS undelivered,
    query
FROM
(
    SELECT
        audience,
        argMax(description, refresh_id) AS description,
        argMax(version, refresh_id) AS version,
        argMaxIf(members, refresh_id, counted) AS size,
        argMaxIf(came, refresh_id, counted) AS entered,
        argMaxIf(went, refresh_id, counted) AS left,
        nullIf(maxIf(asked_at, counted), toDateTime64(0, 3, 'UTC')) AS refreshed_at,
        argMaxIf(took_ms, refresh_id, counted) AS duration_ms,
        argMax(why, refresh_id) AS failure,
        argMax(query, refresh_id) AS query
    FROM
    (
        SELECT
            audience,
            refresh_id,
            description,
            version,
            members,
            entered AS came,
            left AS went,
            refreshed_at AS asked_at,
            duration_ms AS took_ms,
            failure AS why,
            query,
            failure = '' AS counted
        FROM {database}.audience_refreshes
    )
    GROUP BY audience
) AS refreshed
LEFT JOIN
(
    SELECT
        audience,
        nullIf(maxIf(at, why = ''), toDateTime64(0, 3, 'UTC')) AS told_at,
        argMax(why, (at, batch)) AS undelivered
    FROM (SELECT audience, told_at AS at, failure AS why, batch FROM {database}.audience_deliveries WHERE destination != 'export')
    GROUP BY audience
) AS told ON refreshed.audience = told.audience
WHERE version > 0
