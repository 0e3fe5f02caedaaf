-- page_groups: one row per page, with the group that rules put it into.
--
-- Question    Which pages do my rules bring together, and how often is each of them viewed?
-- Parameters  source_id   String.
--             pages       Array(String): rules, of which the first that fits names the page; [] for none. A rule is
--                           '/product/*'           a path; `*` stands for anything; the group is called by the rule;
--                           'product=/product/*'   the same, and the group is called `product`;
--                           '2'                    all paths, cut to so many segments: '/blog/2026'.
--                 SELECT page, sum(pageviews) FROM page_groups(source_id = 'shop', pages = ['product=/p/*', '1'])
--                     GROUP BY page
-- Grain       One row per path that was viewed.
-- Reads       human_events
-- Definition  page       The group that the path is in, or the path itself when no rule fits.
--             rule       The number of the rule that fits, 0 for none.
--             pageviews  Events `page_view` of that path.
--             entries, exits, journeys, sankey, loops, purchase_paths and drop_offs name pages so.
-- Exact       Yes.
-- Time        All time.
-- Cost        One pass over the paths of the source.
-- Test        tests/sql/test_journeys.py
CREATE OR REPLACE VIEW {database}.page_groups AS
WITH
    arrayMap(
        rule -> if(position(rule, '=') > 0, substring(rule, 1, position(rule, '=') - 1), rule),
        {pages:Array(String)}
    ) AS names,
    arrayMap(rule -> toUInt8OrZero(rule), {pages:Array(String)}) AS segments,
    -- Of LIKE, `%`, `_` and `\` are no more than themselves.
    arrayMap(
        rule -> replaceAll(replaceRegexpAll(substring(rule, position(rule, '=') + 1), '[%_\\\\]', '\\\\\\0'), '*', '%'),
        {pages:Array(String)}
    ) AS patterns
SELECT
    path,
    pageviews,
    arrayFirstIndex((pattern, most) -> most > 0 OR path LIKE pattern, patterns, segments) AS rule,
    multiIf(
        rule = 0, path,
        segments[rule] > 0, arrayStringConcat(arraySlice(splitByChar('/', path), 1, segments[rule] + 1), '/'),
        names[rule]
    ) AS page
FROM
(
    SELECT path, count() AS pageviews
    FROM {database}.human_events
    WHERE source_id = {source_id:String}
        AND event = 'page_view'
        AND NOT throwIf(
            arrayExists(rule -> NOT match(rule, '^([^=]+=)?[/*]|^[1-9][0-9]?$'), {pages:Array(String)}),
            'pages: a rule is a path with or without *, NAME=PATH, or a number of segments from 1 to 99; write it so'
        )
    GROUP BY path
)
