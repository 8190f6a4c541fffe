-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(materialized='view') }}

with spine as (
    select person_id
    from {{ ref('persons') }}
),

person_tags_behaviour as (
    select
        person_id,
        has_abandoned_cart_30d,
        abandoned_carts_365d,
        cart_abandonment_rate,
        last_abandoned_cart_date,
        failed_payments_365d,
        deepest_web_step_30d,
        deepest_web_step_365d,
        usual_web_exit,
        search_days_bought_365d,
        search_to_order_rate,
        has_unmet_search,
        long_looks_365d,
        repeat_view_days_365d,
        last_cart_outcome,
        wifi_visits_30d,
        wifi_visits_90d,
        last_wifi_visit_date,
        average_visit_minutes,
        browsing_visit_share,
        web_sessions_30d,
        web_sessions_90d,
        web_sessions_365d,
        last_web_visit_date,
        web_searches_365d,
        wishlist_adds_365d,
        product_views_per_session,
        usual_web_platform,
        usual_web_entry
    from {{ ref('person_tags_behaviour') }}
),

person_tags_channel as (
    select
        person_id,
        contact_channel,
        is_promotable,
        web_led_store_orders_365d,
        is_web_to_store_shopper,
        has_active_card,
        has_web_account,
        has_app,
        has_wifi_device,
        is_email_reachable,
        is_phone_reachable,
        is_push_reachable,
        email_consent,
        wants_newsletter,
        app_platform,
        channels_used_365d,
        dominant_channel,
        is_multichannel
    from {{ ref('person_tags_channel') }}
),

person_tags_consumption as (
    select
        person_id,
        usual_mission,
        stock_up_trips_365d,
        last_order_amount,
        shopping_days_365d,
        purchase_interval_days,
        purchase_rhythm,
        orders_30d,
        orders_90d,
        orders_365d,
        spend_30d,
        spend_90d,
        spend_365d,
        average_basket_365d,
        largest_basket_365d,
        units_365d,
        is_fuel_buyer,
        fuel_spend_365d,
        spend_trend,
        distinct_products_365d,
        departments_shopped_365d,
        repeat_product_share,
        novelty_index
    from {{ ref('person_tags_consumption') }}
),

person_tags_demographics as (
    select
        person_id,
        income_band,
        income_tier,
        household_size,
        household_type,
        kids_count,
        has_kids,
        home_ownership,
        marital_status,
        life_stage,
        age_band,
        generation,
        birthday_month,
        state,
        postcode_area,
        membership_years,
        household_id,
        household_members,
        is_in_household
    from {{ ref('person_tags_demographics') }}
),

person_tags_habit as (
    select
        person_id,
        usual_interval_days,
        cycle_regularity_index,
        next_order_due_date,
        due_category,
        due_categories,
        usual_weekday,
        usual_part_of_day,
        usual_hour,
        usual_part_of_month,
        weekend_order_share,
        is_weekend_shopper
    from {{ ref('person_tags_habit') }}
),

person_tags_lifecycle as (
    select
        person_id,
        onboarding_step,
        days_to_second_order,
        is_reactivated,
        first_order_date,
        last_order_date,
        days_since_last_order,
        expected_cycle_days,
        silence_ratio,
        lifecycle_stage,
        is_due_for_purchase
    from {{ ref('person_tags_lifecycle') }}
),

person_tags_location as (
    select
        person_id,
        last_store_id,
        store_pattern,
        has_changed_store,
        has_weekend_store
    from {{ ref('person_tags_location') }}
),

person_tags_marketing as (
    select
        person_id,
        vip_level,
        is_staff,
        do_not_promote,
        campaigns_received,
        campaigns_received_90d,
        is_in_campaign,
        coupons_redeemed_365d,
        last_redemption_date,
        campaign_response_rate,
        coupon_affinity,
        campaigns_since_answer,
        average_days_to_redeem
    from {{ ref('person_tags_marketing') }}
),

person_tags_preference as (
    select
        person_id,
        favourite_department,
        favourite_department_index,
        favourite_category,
        favourite_category_index,
        distinctive_department,
        distinctive_department_lift,
        pet_kind,
        has_baby_needs,
        is_alcohol_buyer,
        is_tobacco_buyer,
        private_label_index,
        brand_kind_preference,
        discount_index,
        discount_affinity,
        saved_365d,
        coupon_order_share,
        favourite_store_id,
        favourite_store_index,
        stores_shopped_365d,
        signature_category,
        signature_category_index,
        signature_categories,
        fresh_food_index,
        convenience_food_index,
        home_cooking_index,
        eating_style
    from {{ ref('person_tags_preference') }}
),

person_tags_risk as (
    select
        person_id,
        attrition_score,
        attrition_risk,
        is_valuable_at_risk,
        spend_at_risk_365d,
        churn_risk,
        churn_risk_band,
        churn_risk_trend,
        discount_depth,
        is_promotion_dependent
    from {{ ref('person_tags_risk') }}
),

person_tags_service as (
    select
        person_id,
        tickets_after_order_365d,
        repeated_tickets_365d,
        bought_after_service,
        tickets_365d,
        has_open_ticket,
        last_ticket_date,
        main_ticket_topic,
        average_satisfaction,
        last_satisfaction,
        average_resolution_hours,
        is_unhappy
    from {{ ref('person_tags_service') }}
),

person_tags_value as (
    select
        person_id,
        engagement_score,
        engagement_level,
        fixed_rfm_cell,
        loyalty_level,
        spend_to_next_level,
        spend_percentile_in_state,
        spend_percentile_in_age_band,
        spend_headroom_365d,
        purchase_likelihood_7d,
        purchase_likelihood_band,
        recency_score,
        frequency_score,
        monetary_score,
        rfm_cell,
        rfm_segment,
        lifetime_spend,
        spend_decile_365d,
        spend_tier
    from {{ ref('person_tags_value') }}
),

side_by_side as (
    select
        spine.person_id,
        person_tags_behaviour.has_abandoned_cart_30d,
        person_tags_behaviour.abandoned_carts_365d,
        person_tags_behaviour.cart_abandonment_rate,
        person_tags_behaviour.last_abandoned_cart_date,
        person_tags_behaviour.failed_payments_365d,
        person_tags_behaviour.deepest_web_step_30d,
        person_tags_behaviour.deepest_web_step_365d,
        person_tags_behaviour.usual_web_exit,
        person_tags_behaviour.search_days_bought_365d,
        person_tags_behaviour.search_to_order_rate,
        person_tags_behaviour.has_unmet_search,
        person_tags_behaviour.long_looks_365d,
        person_tags_behaviour.repeat_view_days_365d,
        person_tags_behaviour.last_cart_outcome,
        person_tags_behaviour.wifi_visits_30d,
        person_tags_behaviour.wifi_visits_90d,
        person_tags_behaviour.last_wifi_visit_date,
        person_tags_behaviour.average_visit_minutes,
        person_tags_behaviour.browsing_visit_share,
        person_tags_behaviour.web_sessions_30d,
        person_tags_behaviour.web_sessions_90d,
        person_tags_behaviour.web_sessions_365d,
        person_tags_behaviour.last_web_visit_date,
        person_tags_behaviour.web_searches_365d,
        person_tags_behaviour.wishlist_adds_365d,
        person_tags_behaviour.product_views_per_session,
        person_tags_behaviour.usual_web_platform,
        person_tags_behaviour.usual_web_entry,
        person_tags_channel.contact_channel,
        person_tags_channel.is_promotable,
        person_tags_channel.web_led_store_orders_365d,
        person_tags_channel.is_web_to_store_shopper,
        person_tags_channel.has_active_card,
        person_tags_channel.has_web_account,
        person_tags_channel.has_app,
        person_tags_channel.has_wifi_device,
        person_tags_channel.is_email_reachable,
        person_tags_channel.is_phone_reachable,
        person_tags_channel.is_push_reachable,
        person_tags_channel.email_consent,
        person_tags_channel.wants_newsletter,
        person_tags_channel.app_platform,
        person_tags_channel.channels_used_365d,
        person_tags_channel.dominant_channel,
        person_tags_channel.is_multichannel,
        person_tags_consumption.usual_mission,
        person_tags_consumption.stock_up_trips_365d,
        person_tags_consumption.last_order_amount,
        person_tags_consumption.shopping_days_365d,
        person_tags_consumption.purchase_interval_days,
        person_tags_consumption.purchase_rhythm,
        person_tags_consumption.orders_30d,
        person_tags_consumption.orders_90d,
        person_tags_consumption.orders_365d,
        person_tags_consumption.spend_30d,
        person_tags_consumption.spend_90d,
        person_tags_consumption.spend_365d,
        person_tags_consumption.average_basket_365d,
        person_tags_consumption.largest_basket_365d,
        person_tags_consumption.units_365d,
        person_tags_consumption.is_fuel_buyer,
        person_tags_consumption.fuel_spend_365d,
        person_tags_consumption.spend_trend,
        person_tags_consumption.distinct_products_365d,
        person_tags_consumption.departments_shopped_365d,
        person_tags_consumption.repeat_product_share,
        person_tags_consumption.novelty_index,
        person_tags_demographics.income_band,
        person_tags_demographics.income_tier,
        person_tags_demographics.household_size,
        person_tags_demographics.household_type,
        person_tags_demographics.kids_count,
        person_tags_demographics.has_kids,
        person_tags_demographics.home_ownership,
        person_tags_demographics.marital_status,
        person_tags_demographics.life_stage,
        person_tags_demographics.age_band,
        person_tags_demographics.generation,
        person_tags_demographics.birthday_month,
        person_tags_demographics.state,
        person_tags_demographics.postcode_area,
        person_tags_demographics.membership_years,
        person_tags_demographics.household_id,
        person_tags_demographics.household_members,
        person_tags_demographics.is_in_household,
        person_tags_habit.usual_interval_days,
        person_tags_habit.cycle_regularity_index,
        person_tags_habit.next_order_due_date,
        person_tags_habit.due_category,
        person_tags_habit.due_categories,
        person_tags_habit.usual_weekday,
        person_tags_habit.usual_part_of_day,
        person_tags_habit.usual_hour,
        person_tags_habit.usual_part_of_month,
        person_tags_habit.weekend_order_share,
        person_tags_habit.is_weekend_shopper,
        person_tags_lifecycle.onboarding_step,
        person_tags_lifecycle.days_to_second_order,
        person_tags_lifecycle.is_reactivated,
        person_tags_lifecycle.first_order_date,
        person_tags_lifecycle.last_order_date,
        person_tags_lifecycle.days_since_last_order,
        person_tags_lifecycle.expected_cycle_days,
        person_tags_lifecycle.silence_ratio,
        person_tags_lifecycle.lifecycle_stage,
        person_tags_lifecycle.is_due_for_purchase,
        person_tags_location.last_store_id,
        person_tags_location.store_pattern,
        person_tags_location.has_changed_store,
        person_tags_location.has_weekend_store,
        person_tags_marketing.vip_level,
        person_tags_marketing.is_staff,
        person_tags_marketing.do_not_promote,
        person_tags_marketing.campaigns_received,
        person_tags_marketing.campaigns_received_90d,
        person_tags_marketing.is_in_campaign,
        person_tags_marketing.coupons_redeemed_365d,
        person_tags_marketing.last_redemption_date,
        person_tags_marketing.campaign_response_rate,
        person_tags_marketing.coupon_affinity,
        person_tags_marketing.campaigns_since_answer,
        person_tags_marketing.average_days_to_redeem,
        person_tags_preference.favourite_department,
        person_tags_preference.favourite_department_index,
        person_tags_preference.favourite_category,
        person_tags_preference.favourite_category_index,
        person_tags_preference.distinctive_department,
        person_tags_preference.distinctive_department_lift,
        person_tags_preference.pet_kind,
        person_tags_preference.has_baby_needs,
        person_tags_preference.is_alcohol_buyer,
        person_tags_preference.is_tobacco_buyer,
        person_tags_preference.private_label_index,
        person_tags_preference.brand_kind_preference,
        person_tags_preference.discount_index,
        person_tags_preference.discount_affinity,
        person_tags_preference.saved_365d,
        person_tags_preference.coupon_order_share,
        person_tags_preference.favourite_store_id,
        person_tags_preference.favourite_store_index,
        person_tags_preference.stores_shopped_365d,
        person_tags_preference.signature_category,
        person_tags_preference.signature_category_index,
        person_tags_preference.signature_categories,
        person_tags_preference.fresh_food_index,
        person_tags_preference.convenience_food_index,
        person_tags_preference.home_cooking_index,
        person_tags_preference.eating_style,
        person_tags_risk.attrition_score,
        person_tags_risk.attrition_risk,
        person_tags_risk.is_valuable_at_risk,
        person_tags_risk.spend_at_risk_365d,
        person_tags_risk.churn_risk,
        person_tags_risk.churn_risk_band,
        person_tags_risk.churn_risk_trend,
        person_tags_risk.discount_depth,
        person_tags_risk.is_promotion_dependent,
        person_tags_service.tickets_after_order_365d,
        person_tags_service.repeated_tickets_365d,
        person_tags_service.bought_after_service,
        person_tags_service.tickets_365d,
        person_tags_service.has_open_ticket,
        person_tags_service.last_ticket_date,
        person_tags_service.main_ticket_topic,
        person_tags_service.average_satisfaction,
        person_tags_service.last_satisfaction,
        person_tags_service.average_resolution_hours,
        person_tags_service.is_unhappy,
        person_tags_value.engagement_score,
        person_tags_value.engagement_level,
        person_tags_value.fixed_rfm_cell,
        person_tags_value.loyalty_level,
        person_tags_value.spend_to_next_level,
        person_tags_value.spend_percentile_in_state,
        person_tags_value.spend_percentile_in_age_band,
        person_tags_value.spend_headroom_365d,
        person_tags_value.purchase_likelihood_7d,
        person_tags_value.purchase_likelihood_band,
        person_tags_value.recency_score,
        person_tags_value.frequency_score,
        person_tags_value.monetary_score,
        person_tags_value.rfm_cell,
        person_tags_value.rfm_segment,
        person_tags_value.lifetime_spend,
        person_tags_value.spend_decile_365d,
        person_tags_value.spend_tier
    from spine
    inner join person_tags_behaviour
        on spine.person_id = person_tags_behaviour.person_id
    inner join person_tags_channel
        on spine.person_id = person_tags_channel.person_id
    inner join person_tags_consumption
        on spine.person_id = person_tags_consumption.person_id
    inner join person_tags_demographics
        on spine.person_id = person_tags_demographics.person_id
    inner join person_tags_habit
        on spine.person_id = person_tags_habit.person_id
    inner join person_tags_lifecycle
        on spine.person_id = person_tags_lifecycle.person_id
    inner join person_tags_location
        on spine.person_id = person_tags_location.person_id
    inner join person_tags_marketing
        on spine.person_id = person_tags_marketing.person_id
    inner join person_tags_preference
        on spine.person_id = person_tags_preference.person_id
    inner join person_tags_risk
        on spine.person_id = person_tags_risk.person_id
    inner join person_tags_service
        on spine.person_id = person_tags_service.person_id
    inner join person_tags_value
        on spine.person_id = person_tags_value.person_id
)

select * from side_by_side
