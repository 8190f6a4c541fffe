{{ config(severity='warn') }}
-- A coupon is handed in with a purchase; by UTC days instead of local ones, one in nine of the
-- demo's would lack it. Only a warning: a till may fail to deliver, or the card be nobody's.
select
    redemption_id,
    person_id,
    redemption_date
from {{ ref('int_coupon_redemptions') }}
where not is_on_order_day
