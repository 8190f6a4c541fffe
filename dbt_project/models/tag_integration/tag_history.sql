-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='view',
    meta={'updates': 'full_build', 'sort_key': ['object', 'tag', 'object_id', 'valid_from']}
) }}

with periods as (
    {{ tagloom.tag_periods('person', ref('person_tags_behaviour_history'), 'person_id', [
        'has_abandoned_cart_30d',
        'deepest_web_step_30d',
        'deepest_web_step_365d',
        'usual_web_exit',
        'has_unmet_search',
        'last_cart_outcome',
        'usual_web_platform'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_channel_history'), 'person_id', [
        'contact_channel',
        'is_promotable',
        'is_web_to_store_shopper',
        'has_active_card',
        'has_web_account',
        'has_app',
        'has_wifi_device',
        'is_email_reachable',
        'is_phone_reachable',
        'is_push_reachable',
        'email_consent',
        'wants_newsletter',
        'app_platform',
        'dominant_channel',
        'is_multichannel'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_consumption_history'), 'person_id', [
        'usual_mission',
        'purchase_rhythm',
        'is_fuel_buyer',
        'spend_trend'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_demographics_history'), 'person_id', [
        'income_tier',
        'household_size',
        'household_type',
        'kids_count',
        'has_kids',
        'home_ownership',
        'marital_status',
        'life_stage',
        'age_band',
        'generation',
        'is_in_household'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_habit_history'), 'person_id', [
        'usual_weekday',
        'usual_part_of_day',
        'usual_part_of_month',
        'is_weekend_shopper'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_lifecycle_history'), 'person_id', [
        'onboarding_step',
        'is_reactivated',
        'lifecycle_stage',
        'is_due_for_purchase'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_location_history'), 'person_id', [
        'store_pattern',
        'has_changed_store',
        'has_weekend_store'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_marketing_history'), 'person_id', [
        'vip_level',
        'is_staff',
        'do_not_promote',
        'is_in_campaign',
        'coupon_affinity'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_preference_history'), 'person_id', [
        'pet_kind',
        'has_baby_needs',
        'is_alcohol_buyer',
        'is_tobacco_buyer',
        'brand_kind_preference',
        'discount_affinity',
        'eating_style'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_risk_history'), 'person_id', [
        'attrition_risk',
        'is_valuable_at_risk',
        'churn_risk_band',
        'churn_risk_trend',
        'is_promotion_dependent'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_service_history'), 'person_id', [
        'bought_after_service',
        'has_open_ticket',
        'is_unhappy'
    ]) }}
    union all
    {{ tagloom.tag_periods('person', ref('person_tags_value_history'), 'person_id', [
        'engagement_level',
        'loyalty_level',
        'purchase_likelihood_band',
        'rfm_segment',
        'spend_tier'
    ]) }}
    union all
    {{ tagloom.tag_periods('household', ref('household_tags_channel_history'), 'household_id', [
        'gets_email_twice'
    ]) }}
    union all
    {{ tagloom.tag_periods('household', ref('household_tags_consumption_history'), 'household_id', [
        'spend_trend'
    ]) }}
    union all
    {{ tagloom.tag_periods('household', ref('household_tags_members_history'), 'household_id', [
        'has_children',
        'has_two_generations'
    ]) }}
    union all
    {{ tagloom.tag_periods('product', ref('product_tags_lifecycle_history'), 'product_id', [
        'is_seasonal',
        'product_stage'
    ]) }}
    union all
    {{ tagloom.tag_periods('product', ref('product_tags_price_history'), 'product_id', [
        'price_band',
        'is_private_label',
        'is_coupon_product'
    ]) }}
    union all
    {{ tagloom.tag_periods('product', ref('product_tags_sales_history'), 'product_id', [
        'sales_trend'
    ]) }}
    union all
    {{ tagloom.tag_periods('store', ref('store_tags_sales_history'), 'store_id', [
        'sells_fuel',
        'sales_trend',
        'busiest_weekday'
    ]) }}
),

beginnings as (
    select
        object,
        object_id,
        tag,
        value,
        valid_from,
        valid_to,
        case
            when
                lag(valid_to) over (partition by object, object_id, tag order by valid_from) = valid_from
                and lag(value) over (partition by object, object_id, tag order by valid_from) = value
                then 0
            else 1
        end as begins
    from periods
),

numbered as (
    select
        object,
        object_id,
        tag,
        value,
        valid_from,
        valid_to,
        sum(begins) over (
            partition by object, object_id, tag order by valid_from
            rows between unbounded preceding and current row
        ) as period_number
    from beginnings
),

merged as (
    select
        object,
        object_id,
        tag,
        value,
        min(valid_from) as valid_from,
        case when count(valid_to) = count(*) then max(valid_to) end as valid_to
    from numbered
    group by object, object_id, tag, value, period_number
)

select * from merged
