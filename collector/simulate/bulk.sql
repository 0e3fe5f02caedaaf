-- Invented events of a web shop, as many as wanted, made inside ClickHouse: what `footfall generate` and benchmarks use.
--
-- Parameters  source_id String; seed UInt64; first, count UInt64: which visits; visitors UInt64: of how many people;
--             days UInt32; until DateTime64(3): visits begin in the days before it.
-- Definition  The same parameters make the same rows, and two ranges of visits make together what one range makes.
--             A visit is of visitor number visitors * u^(5/3), u uniform: a few come often, most once or twice (a power
--             law with exponent 0.4). It has 1 + a geometric number of events, 4 in the mean and 60 at most, that walk
--             over the states below by TRANSITIONS. Between two events pass -ln(u) * 40 s; 1 in 250 happens in the same
--             millisecond as the one before. 1 of 33 events arrives up to two days late, but none after `until`, 1 of 200
--             twice, 1 of 50 visitors is a bot. A fifth of all visitors sign in, and two of them are one user on two devices.
INSERT INTO {database}.events
(
    message_id, type, event, event_original, event_version, source_id, visitor_id, user_id, sequence,
    event_time, occurred_at, sent_at, received_at, url, host, path, title, referrer, referrer_host, channel,
    utm_source, utm_medium, utm_campaign, browser, browser_version, os, device_class, country, language, time_zone,
    screen_width, screen_height, viewport_width, viewport_height, is_bot, bot_reason, conversion, value, currency,
    library, properties, batch_id
)
SETTINGS async_insert = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0
WITH
    -- States: 1 home, 2 category, 3 product, 4 add_to_cart, 5 checkout, 6 purchase, 7 blog, 8 pricing, 9 search, 10 sign_up.
    [
        [2, 2, 2, 2, 2, 2, 3, 3, 3, 7, 7, 8, 8, 9, 9, 10],
        [3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 1, 9, 9, 8],
        [4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 2, 9, 1, 7, 8],
        [5, 5, 5, 5, 5, 5, 3, 3, 3, 2, 2, 2, 4, 1, 9, 9],
        [6, 6, 6, 6, 6, 6, 6, 6, 3, 3, 2, 1, 8, 9, 10, 10],
        [1, 1, 1, 1, 2, 2, 2, 3, 3, 7, 7, 9, 10, 10, 10, 1],
        [7, 7, 7, 7, 7, 7, 1, 1, 1, 2, 2, 3, 8, 8, 9, 10],
        [10, 10, 10, 1, 1, 1, 2, 2, 2, 3, 3, 7, 7, 8, 8, 9],
        [3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 9, 9, 9, 9, 1, 7],
        [2, 2, 2, 2, 1, 1, 1, 3, 3, 3, 7, 7, 8, 8, 9, 5]
    ]::Array(Array(UInt8)) AS transitions,
    [1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 7, 7, 7, 7, 8, 9]::Array(UInt8) AS landings,
    [
        ('direct', '', '', ''), ('organic_search', 'www.google.com', '', ''), ('paid_search', 'www.google.com', 'google', 'cpc'),
        ('organic_social', 'www.facebook.com', '', ''), ('paid_social', 'www.facebook.com', 'facebook', 'paid_social'),
        ('email', '', 'newsletter', 'email'), ('referral', 'blog.example.org', '', ''), ('ai_assistant', 'chatgpt.com', '', '')
    ] AS sources,
    [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7] AS shares,
    toUnixTimestamp64Milli({until:DateTime64(3, 'UTC')}) AS until_ms,
    -- Each number below is one draw: a hash of the seed, what is drawn for, and the visit or visitor.
    (what, number) -> cityHash64({seed:UInt64}, what, number) AS draw,
    hash -> (hash % 1000003 + 1) / 1000004 AS uniform
SELECT
    lower(hex(MD5(concat(toString({seed:UInt64}), '-', toString(visit), '-', toString(step))))) AS message_id,
    if(state IN (4, 6, 10), 'track', 'page') AS type,
    ['page_view', 'page_view', 'page_view', 'add_to_cart', 'page_view', 'purchase', 'page_view', 'page_view', 'page_view', 'sign_up'][state] AS event,
    event AS event_original,
    1 AS event_version,
    {source_id:String} AS source_id,
    lower(hex(MD5(concat(toString({seed:UInt64}), 'visitor', toString(visitor))))) AS visitor_id,
    if(draw('member', visitor) % 5 = 0 AND draw('signed in', visit) % 2 = 0, concat('u-', toString(intDiv(visitor, 10))), '') AS user_id,
    step AS sequence,
    fromUnixTimestamp64Milli(started_ms + elapsed_ms, 'UTC') AS event_time,
    event_time AS occurred_at,
    event_time AS sent_at,
    greatest(
        event_time,
        least(
            {until:DateTime64(3, 'UTC')},
            event_time
                + toIntervalMillisecond(if(draw(concat('late', toString(step)), visit) % 33 = 0, draw('late by', visit) % 172800000, 900))
                + toIntervalSecond(30 * repeated)
        )
    ) AS received_at,
    concat('https://shop.example', path) AS url,
    'shop.example' AS host,
    ['/', concat('/c/', toString(item % 40)), concat('/p/', toString(item % 1000)), concat('/p/', toString(item % 1000)), '/checkout', '/thanks',
     concat('/blog/', toString(item % 200)), '/pricing', '/search', '/sign-up'][state] AS path,
    concat('Shop ', path) AS title,
    if(step = 1 AND source.2 != '', concat('https://', source.2, '/'), '') AS referrer,
    if(step = 1, source.2, '') AS referrer_host,
    if(step = 1, source.1, '') AS channel,
    if(step = 1, source.3, '') AS utm_source,
    if(step = 1, source.4, '') AS utm_medium,
    if(step = 1 AND source.3 != '', concat('campaign-', toString(draw('campaign', visit) % 12)), '') AS utm_campaign,
    ['Chrome', 'Chrome', 'Chrome', 'Mobile Safari', 'Safari', 'Firefox', 'Edge'][device % 7 + 1] AS browser,
    toString(120 + device % 20) AS browser_version,
    ['Windows', 'Android', 'macOS', 'iOS', 'macOS', 'Linux', 'Windows'][device % 7 + 1] AS os,
    ['desktop', 'mobile', 'desktop', 'mobile', 'desktop', 'desktop', 'desktop'][device % 7 + 1] AS device_class,
    ['US', 'DE', 'GB', 'FR', 'IN', 'BR', 'JP', 'NL', 'ES', 'PL'][least(device % 17, 9) + 1] AS country,
    ['en', 'de', 'en', 'fr', 'en', 'pt', 'ja', 'nl', 'es', 'pl'][least(device % 17, 9) + 1] AS language,
    'Europe/Berlin' AS time_zone,
    [1920, 412, 1440, 390, 1440, 2560, 1366][device % 7 + 1] AS screen_width,
    [1080, 915, 900, 844, 900, 1440, 768][device % 7 + 1] AS screen_height,
    screen_width AS viewport_width,
    screen_height - 120 AS viewport_height,
    draw('bot', visitor) % 50 = 0 AS is_bot,
    if(is_bot, 'crawler', '') AS bot_reason,
    multiIf(state = 6, 'macro', state = 10, 'micro', '') AS conversion,
    if(state = 6, 5 + item % 20000 / 100, 0)::Decimal(18, 4) AS value,
    if(state = 6, 'EUR', '') AS currency,
    'footfall.js/1.0.0' AS library,
    multiIf(
        state = 6, concat('{"order_id":"o-', toString(visit), '-', toString(step), '","value":', toString(value), ',"currency":"EUR","quantity":', toString(item % 3 + 1), '}'),
        state = 4, concat('{"product_id":"p-', toString(item % 1000), '","price":', toString(item % 20000 / 100), ',"quantity":', toString(item % 3 + 1), '}'),
        state = 9, concat('{"query":"item ', toString(item % 300), '","results":', toString(item % 7), '}'),
        '{}'
    ) AS properties,
    'generated' AS batch_id
FROM
(
    SELECT
        visit,
        visitor,
        draw('device', visitor) AS device,
        sources[shares[draw('source', visit) % 16 + 1] + 1] AS source,
        started_ms,
        state,
        step,
        elapsed_ms,
        draw(concat('item', toString(step)), visit) AS item,
        repeated
    FROM
    (
        SELECT
            number AS visit,
            toUInt64(floor({visitors:UInt64} * pow(uniform(draw('visitor', visit)), 5 / 3))) AS visitor,
            -- A day of the period, and an hour that is likely around noon: the mean of two draws.
            until_ms - 86400000 * (1 + draw('day', visit) % {days:UInt32})
                + toInt64(43200000 * (uniform(draw('hour', visit)) + uniform(draw('minute', visit)))) AS started_ms,
            toUInt8(least(60, 1 + floor(log(uniform(draw('length', visit))) / log(0.75)))) AS length,
            arrayMap(step -> draw(concat('step', toString(step)), visit), range(1, length)) AS draws,
            arrayFold(
                (walk, hash) -> arrayPushBack(walk, transitions[walk[-1]][hash % 16 + 1]),
                draws,
                [landings[draw('landing', visit) % 16 + 1]]
            ) AS states,
            arrayCumSum(arrayPushFront(
                arrayMap(hash -> if(intDiv(hash, 16) % 250 = 0, 0, toInt64(-log(uniform(intDiv(hash, 16))) * 40000)), draws), 0
            )) AS elapsed
        FROM numbers({first:UInt64}, {count:UInt64})
    )
    ARRAY JOIN states AS state, elapsed AS elapsed_ms, arrayEnumerate(states) AS step
    ARRAY JOIN if(draw(concat('twice', toString(step)), visit) % 200 = 0, [0, 1], [0]) AS repeated
)
