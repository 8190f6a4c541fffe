-- The views of the same shoppers agree: an order ever gives spend and stage,
-- an order in the last 365 days a segment, a rhythm and a dominant channel too.
with spend as (
    select * from {{ ref('tag_consumption__spend') }}
),

stage as (
    select * from {{ ref('tag_lifecycle__stage') }}
),

rfm as (
    select * from {{ ref('tag_value__rfm') }}
),

rhythm as (
    select * from {{ ref('tag_consumption__rhythm') }}
),

usage as (
    select * from {{ ref('tag_channel__usage') }}
)

select coalesce(spend.person_id, stage.person_id, rfm.person_id) as person_id
from spend
full outer join stage on spend.person_id = stage.person_id
full outer join rfm on spend.person_id = rfm.person_id
left join rhythm on spend.person_id = rhythm.person_id
left join usage on spend.person_id = usage.person_id
where
    spend.person_id is null
    or stage.person_id is null
    or (spend.orders_365d > 0) <> (rfm.person_id is not null)
    or (spend.orders_365d > 0) <> (rhythm.person_id is not null)
    or (spend.orders_365d > 0 and usage.dominant_channel is null)
    or (spend.orders_365d > 0) <> (stage.days_since_last_order < 365)
