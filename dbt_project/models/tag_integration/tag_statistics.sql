-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='as_of_date',
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build'}
) }}

with value_counts as (
    {{ tagloom.value_counts('person', ref('person_tags_behaviour'), {
        'has_abandoned_cart_30d': 'listed',
        'abandoned_carts_365d': 'whole',
        'cart_abandonment_rate': [0, 100, 10],
        'last_abandoned_cart_date': 'date',
        'failed_payments_365d': 'whole',
        'deepest_web_step_30d': 'listed',
        'deepest_web_step_365d': 'listed',
        'usual_web_exit': 'listed',
        'search_days_bought_365d': 'whole',
        'search_to_order_rate': [0, 100, 10],
        'has_unmet_search': 'listed',
        'long_looks_365d': 'whole',
        'repeat_view_days_365d': 'whole',
        'last_cart_outcome': 'listed',
        'wifi_visits_30d': 'whole',
        'wifi_visits_90d': 'whole',
        'last_wifi_visit_date': 'date',
        'average_visit_minutes': 'number',
        'browsing_visit_share': [0, 100, 10],
        'web_sessions_30d': 'whole',
        'web_sessions_90d': 'whole',
        'web_sessions_365d': 'whole',
        'last_web_visit_date': 'date',
        'web_searches_365d': 'whole',
        'wishlist_adds_365d': 'whole',
        'product_views_per_session': 'number',
        'usual_web_platform': 'listed',
        'usual_web_entry': 'text'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_channel'), {
        'contact_channel': 'listed',
        'is_promotable': 'listed',
        'web_led_store_orders_365d': 'whole',
        'is_web_to_store_shopper': 'listed',
        'has_active_card': 'listed',
        'has_web_account': 'listed',
        'has_app': 'listed',
        'has_wifi_device': 'listed',
        'is_email_reachable': 'listed',
        'is_phone_reachable': 'listed',
        'is_push_reachable': 'listed',
        'email_consent': 'listed',
        'wants_newsletter': 'listed',
        'app_platform': 'listed',
        'channels_used_365d': 'whole',
        'dominant_channel': 'listed',
        'is_multichannel': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_consumption'), {
        'usual_mission': 'listed',
        'stock_up_trips_365d': 'whole',
        'last_order_amount': 'number',
        'shopping_days_365d': 'whole',
        'purchase_interval_days': 'number',
        'purchase_rhythm': 'listed',
        'orders_30d': 'whole',
        'orders_90d': 'whole',
        'orders_365d': 'whole',
        'spend_30d': 'number',
        'spend_90d': 'number',
        'spend_365d': 'number',
        'average_basket_365d': 'number',
        'largest_basket_365d': 'number',
        'units_365d': 'whole',
        'is_fuel_buyer': 'listed',
        'fuel_spend_365d': 'number',
        'spend_trend': 'listed',
        'distinct_products_365d': 'whole',
        'departments_shopped_365d': 'whole',
        'repeat_product_share': [0, 100, 10],
        'novelty_index': [0, 100, 10]
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_demographics'), {
        'income_band': 'text',
        'income_tier': 'listed',
        'household_size': 'listed',
        'household_type': 'listed',
        'kids_count': 'listed',
        'has_kids': 'listed',
        'home_ownership': 'listed',
        'marital_status': 'listed',
        'life_stage': 'listed',
        'age_band': 'listed',
        'generation': 'listed',
        'birthday_month': [1, 12, 1],
        'state': 'text',
        'postcode_area': 'text',
        'membership_years': 'whole',
        'household_id': 'text',
        'household_members': 'whole',
        'is_in_household': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_habit'), {
        'usual_interval_days': 'whole',
        'cycle_regularity_index': [0, 100, 10],
        'next_order_due_date': 'date',
        'due_category': 'text',
        'due_categories': 'whole',
        'usual_weekday': 'listed',
        'usual_part_of_day': 'listed',
        'usual_hour': [0, 23, 2.3],
        'usual_part_of_month': 'listed',
        'weekend_order_share': [0, 100, 10],
        'is_weekend_shopper': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_lifecycle'), {
        'onboarding_step': 'listed',
        'days_to_second_order': 'whole',
        'is_reactivated': 'listed',
        'first_order_date': 'date',
        'last_order_date': 'date',
        'days_since_last_order': 'whole',
        'expected_cycle_days': 'whole',
        'silence_ratio': 'number',
        'lifecycle_stage': 'listed',
        'is_due_for_purchase': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_location'), {
        'last_store_id': 'text',
        'store_pattern': 'listed',
        'has_changed_store': 'listed',
        'has_weekend_store': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_marketing'), {
        'vip_level': 'listed',
        'is_staff': 'listed',
        'do_not_promote': 'listed',
        'campaigns_received': 'whole',
        'campaigns_received_90d': 'whole',
        'is_in_campaign': 'listed',
        'coupons_redeemed_365d': 'whole',
        'last_redemption_date': 'date',
        'campaign_response_rate': [0, 100, 10],
        'coupon_affinity': 'listed',
        'campaigns_since_answer': 'whole',
        'average_days_to_redeem': 'number'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_preference'), {
        'favourite_department': 'text',
        'favourite_department_index': [0, 100, 10],
        'favourite_category': 'text',
        'favourite_category_index': [0, 100, 10],
        'distinctive_department': 'text',
        'distinctive_department_lift': 'number',
        'pet_kind': 'listed',
        'has_baby_needs': 'listed',
        'is_alcohol_buyer': 'listed',
        'is_tobacco_buyer': 'listed',
        'private_label_index': [0, 100, 10],
        'brand_kind_preference': 'listed',
        'discount_index': [0, 100, 10],
        'discount_affinity': 'listed',
        'saved_365d': 'number',
        'coupon_order_share': [0, 100, 10],
        'favourite_store_id': 'text',
        'favourite_store_index': [0, 100, 10],
        'stores_shopped_365d': 'whole',
        'signature_category': 'text',
        'signature_category_index': [0, 100, 10],
        'signature_categories': 'text',
        'fresh_food_index': [0, 100, 10],
        'convenience_food_index': [0, 100, 10],
        'home_cooking_index': [0, 100, 10],
        'eating_style': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_risk'), {
        'attrition_score': [0, 100, 10],
        'attrition_risk': 'listed',
        'is_valuable_at_risk': 'listed',
        'spend_at_risk_365d': 'number',
        'churn_risk': [0, 100, 10],
        'churn_risk_band': 'listed',
        'churn_risk_trend': 'listed',
        'discount_depth': [0, 100, 10],
        'is_promotion_dependent': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_service'), {
        'tickets_after_order_365d': 'whole',
        'repeated_tickets_365d': 'whole',
        'bought_after_service': 'listed',
        'tickets_365d': 'whole',
        'has_open_ticket': 'listed',
        'last_ticket_date': 'date',
        'main_ticket_topic': 'text',
        'average_satisfaction': [1, 5, 0.4],
        'last_satisfaction': [1, 5, 1],
        'average_resolution_hours': 'number',
        'is_unhappy': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('person', ref('person_tags_value'), {
        'engagement_score': [0, 100, 10],
        'engagement_level': 'listed',
        'fixed_rfm_cell': 'text',
        'loyalty_level': 'listed',
        'spend_to_next_level': 'number',
        'spend_percentile_in_state': [0, 100, 10],
        'spend_percentile_in_age_band': [0, 100, 10],
        'spend_headroom_365d': 'number',
        'purchase_likelihood_7d': [0, 100, 10],
        'purchase_likelihood_band': 'listed',
        'recency_score': [1, 5, 1],
        'frequency_score': [1, 5, 1],
        'monetary_score': [1, 5, 1],
        'rfm_cell': 'text',
        'rfm_segment': 'listed',
        'lifetime_spend': 'number',
        'spend_decile_365d': [1, 10, 1],
        'spend_tier': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('household', ref('household_tags_channel'), {
        'channels_used_365d': 'whole',
        'email_reachable_members': 'whole',
        'gets_email_twice': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('household', ref('household_tags_consumption'), {
        'spend_365d': 'number',
        'orders_365d': 'whole',
        'shopping_members_365d': 'whole',
        'main_shopper_share': [0, 100, 10],
        'spend_trend': 'listed',
        'distinctive_department': 'text',
        'last_order_date': 'date'
    }) }}
    union all
    {{ tagloom.value_counts('household', ref('household_tags_members'), {
        'members': 'whole',
        'active_members_90d': 'whole',
        'has_children': 'listed',
        'has_two_generations': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('product', ref('product_tags_lifecycle'), {
        'peak_month': [1, 12, 1],
        'is_seasonal': 'listed',
        'product_stage': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('product', ref('product_tags_price'), {
        'average_price_365d': 'number',
        'price_band': 'listed',
        'is_private_label': 'listed',
        'discounted_order_share': [0, 100, 10],
        'is_coupon_product': 'listed'
    }) }}
    union all
    {{ tagloom.value_counts('product', ref('product_tags_sales'), {
        'sales_365d': 'number',
        'orders_365d': 'whole',
        'buyers_90d': 'whole',
        'sales_decile': [1, 10, 1],
        'repeat_purchase_share': [0, 100, 10],
        'repurchase_cycle_days': 'number',
        'sales_trend': 'listed',
        'last_sold_date': 'date'
    }) }}
    union all
    {{ tagloom.value_counts('store', ref('store_tags_sales'), {
        'top_department': 'text',
        'private_label_share': [0, 100, 10],
        'sells_fuel': 'listed',
        'sales_365d': 'number',
        'orders_365d': 'whole',
        'orders_90d': 'whole',
        'buyers_90d': 'whole',
        'average_basket_365d': 'number',
        'sales_decile': [1, 10, 1],
        'sales_trend': 'listed',
        'busiest_weekday': 'listed',
        'last_order_date': 'date'
    }) }}
    union all
    {{ tagloom.value_counts('store', ref('store_tags_visits'), {
        'wifi_visits_90d': 'whole',
        'average_visit_minutes_90d': 'number',
        'checkout_share_90d': [0, 100, 10]
    }) }}
),

counts as (
    select
        object,
        tag,
        cast(sum(objects) as bigint) as objects,
        cast(sum(case when number is not null or word is not null then objects else 0 end) as bigint) as filled,
        count(case when number is not null or word is not null then 1 end) as distinct_values,
        min(word) as lowest_word,
        max(word) as highest_word,
        min(case when shape <> 'date' then number end) as lowest_number,
        max(case when shape <> 'date' then number end) as highest_number,
        round(sum(case when shape <> 'date' then number * objects end), 6) as total
    from value_counts
    group by object, tag
),

numbers_in_order as (
    select
        value_counts.object,
        value_counts.tag,
        value_counts.number,
        counts.filled,
        sum(value_counts.objects) over (
            partition by value_counts.object, value_counts.tag order by value_counts.number
            rows between unbounded preceding and current row
        ) as objects_up_to_here
    from value_counts
    inner join counts
        on
            value_counts.object = counts.object
            and value_counts.tag = counts.tag
    where value_counts.number is not null
),

quantiles as (
    select
        object,
        tag,
        min(case when objects_up_to_here >= 0.05 * filled then number end) as p05,
        min(case when objects_up_to_here >= 0.25 * filled then number end) as p25,
        min(case when objects_up_to_here >= 0.50 * filled then number end) as p50,
        min(case when objects_up_to_here >= 0.75 * filled then number end) as p75,
        min(case when objects_up_to_here >= 0.95 * filled then number end) as p95
    from numbers_in_order
    group by object, tag
),

frequent_values as (
    select
        value_counts.object,
        value_counts.tag,
        coalesce(value_counts.word, {{ tagloom.number_as_text('value_counts.number') }}) as value,
        value_counts.objects
    from value_counts
    inner join counts
        on
            value_counts.object = counts.object
            and value_counts.tag = counts.tag
    where
        (value_counts.number is not null or value_counts.word is not null)
        and value_counts.objects * 1000 >= counts.objects
),

places as (
    select
        object,
        tag,
        concat(value, ': ', cast(objects as {{ dbt.type_string() }})) as value_and_objects,
        row_number() over (partition by object, tag order by objects desc, value asc) as place
    from frequent_values
),

top_values as (
    select
        object,
        tag,
        {{ tagloom.text_list('value_and_objects', 'place') }} as top_values
    from places
    where place <= 5
    group by object, tag
),

compared_days as (
    select
        'previous' as compared_with,
        max(as_of_date) as as_of_date
    from {{ ref('tag_distributions') }}
    where as_of_date < {{ tagloom.as_of_date() }}
    union all
    select
        '28d' as compared_with,
        max(as_of_date) as as_of_date
    from {{ ref('tag_distributions') }}
    where as_of_date <= {{ tagloom.days_before_as_of(28) }}
),

compared_bins as (
    select
        compared_days.compared_with,
        distributions.object,
        distributions.tag,
        distributions.bin,
        distributions.objects as objects_before,
        0 as objects_now
    from {{ ref('tag_distributions') }} as distributions
    inner join compared_days
        on distributions.as_of_date = compared_days.as_of_date
    union all
    select
        compared_days.compared_with,
        distributions.object,
        distributions.tag,
        distributions.bin,
        0 as objects_before,
        distributions.objects as objects_now
    from {{ ref('tag_distributions') }} as distributions
    cross join compared_days
    where
        distributions.as_of_date = {{ tagloom.as_of_date() }}
        and compared_days.as_of_date is not null
),

bins as (
    select
        compared_with,
        object,
        tag,
        bin,
        -- Half an object more in each bin: an empty one, or a few objects, must not look like an upheaval.
        cast(sum(objects_before) as double) + 0.5 as objects_before,
        cast(sum(objects_now) as double) + 0.5 as objects_now,
        sum(sum(objects_before)) over (partition by compared_with, object, tag) as all_objects_before
    from compared_bins
    group by compared_with, object, tag, bin
),

shares as (
    select
        compared_with,
        object,
        tag,
        objects_before / sum(objects_before) over (partition by compared_with, object, tag) as share_before,
        objects_now / sum(objects_now) over (partition by compared_with, object, tag) as share_now
    from bins
    where all_objects_before > 0
),

indices as (
    select
        compared_with,
        object,
        tag,
        round(sum((share_now - share_before) * ln(share_now / share_before)), 4) as stability_index
    from shares
    group by compared_with, object, tag
),

stability as (
    select
        object,
        tag,
        max(case when compared_with = 'previous' then stability_index end) as psi_previous,
        max(case when compared_with = '28d' then stability_index end) as psi_28d
    from indices
    group by object, tag
),

tags_of_models as (
    select
        object,
        tag,
        model,
        count(*) over (partition by model) as tags
    from {{ ref('tag_catalog') }}
    where status = 'published'
),

run_times as (
    select
        tags_of_models.object,
        tags_of_models.tag,
        cast(max(model_runs.seconds) / max(tags_of_models.tags) as double) as run_seconds
    from tags_of_models
    inner join {{ ref('stg_operations__model_runs') }} as model_runs
        on tags_of_models.model = model_runs.model
    where model_runs.layer = 'tag_category' and model_runs.as_of_date = {{ tagloom.as_of_date() }}
    group by tags_of_models.object, tags_of_models.tag
),

statistics as (
    select
        counts.object,
        counts.tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        counts.objects,
        counts.filled,
        counts.objects - counts.filled as missing,
        counts.filled / cast(nullif(counts.objects, 0) as double) as coverage,
        counts.distinct_values,
        coalesce(counts.lowest_word, {{ tagloom.number_as_text('counts.lowest_number') }}) as lowest_value,
        coalesce(counts.highest_word, {{ tagloom.number_as_text('counts.highest_number') }}) as highest_value,
        round(counts.total / nullif(counts.filled, 0), 6) as mean_value,
        quantiles.p05,
        quantiles.p25,
        quantiles.p50,
        quantiles.p75,
        quantiles.p95,
        top_values.top_values,
        stability.psi_previous,
        stability.psi_28d,
        case
            when coalesce(stability.psi_previous, stability.psi_28d) is null or counts.objects < 100 then null
            when greatest(coalesce(stability.psi_previous, 0), coalesce(stability.psi_28d, 0)) >= 0.25 then 'strong'
            when greatest(coalesce(stability.psi_previous, 0), coalesce(stability.psi_28d, 0)) >= 0.1 then 'slight'
            else 'none'
        end as drift,
        run_times.run_seconds
    from counts
    left join quantiles
        on
            counts.object = quantiles.object
            and counts.tag = quantiles.tag
    left join top_values
        on
            counts.object = top_values.object
            and counts.tag = top_values.tag
    left join stability
        on
            counts.object = stability.object
            and counts.tag = stability.tag
    left join run_times
        on
            counts.object = run_times.object
            and counts.tag = run_times.tag
)

select * from statistics
