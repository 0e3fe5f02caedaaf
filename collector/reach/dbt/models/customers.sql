-- Persons with what they bought and how likely they are to be lost.
select
    person_id,
    user_id,
    first_seen_at,
    last_seen_at,
    sessions,
    orders,
    value_by_currency,
    rfm_segment,
    churn_risk,
    first_channel
from {{ source('footfall', 'persons') }}
where source_id = {{ quoted(var('source_id')) }}
