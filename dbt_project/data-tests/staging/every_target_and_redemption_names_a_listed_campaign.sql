{{ config(severity='warn') }}
-- A campaign that marketing does not list has no dates, so int_campaign_targets leaves it out.
with campaigns as (
    select campaign_id
    from {{ ref('stg_campaigns__campaigns') }}
),

named_campaigns as (
    select campaign_id
    from {{ ref('stg_campaigns__targets') }}
    union
    select campaign_id
    from {{ ref('stg_campaigns__redemptions') }}
)

select named_campaigns.campaign_id
from named_campaigns
left join campaigns
    on named_campaigns.campaign_id = campaigns.campaign_id
where campaigns.campaign_id is null
