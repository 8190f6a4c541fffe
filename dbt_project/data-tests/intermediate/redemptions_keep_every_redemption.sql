-- As many redemptions as delivered up to as_of_date: neither products of a coupon nor baskets of
-- the day multiply them.
with delivered as (
    select count(*) as redemptions
    from {{ ref('stg_campaigns__redemptions') }}
    where {{ tagloom.known_by_as_of_date('redemption_date') }}
),

kept as (
    select count(*) as redemptions
    from {{ ref('int_coupon_redemptions') }}
)

select
    delivered.redemptions as delivered_redemptions,
    kept.redemptions as kept_redemptions
from delivered
cross join kept
where delivered.redemptions <> kept.redemptions
