-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(meta={'updates': 'full_build', 'published': False}) }}

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
)

select * from value_counts
