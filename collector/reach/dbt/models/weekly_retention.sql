-- Who came back, by the week of the first visit: a view with parameters, asked from a model.
select cohort, number as week, size, returned, share
from {{ footfall_view(
    'retention',
    source_id=quoted(var('source_id')),
    start_event=quoted('*'),
    return_event=quoted('*'),
    period=quoted('week'),
    kind=quoted('on'),
    since="now('UTC') - interval 180 day",
    until="now('UTC')",
    time_zone=quoted(var('time_zone')),
    counted_by=quoted('person'),
) }}
