-- Visits by day, channel and kind of device.
select
    toDate(started_at, '{{ var("time_zone") }}') as day,
    channel,
    device_class,
    count() as visits,
    uniqExact(visitor_id) as visitors,
    sum(pageviews) as pageviews,
    countIf(is_bounce) as bounces,
    countIf(is_engaged) as engaged,
    sum(conversions) as conversions
from {{ source('footfall', 'sessions') }}
where source_id = {{ quoted(var('source_id')) }}
group by day, channel, device_class
