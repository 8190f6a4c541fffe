{% macro tag_histories() -%}
    {#- Written by `make tags` from the tag twins: object -> table of its history -> tags that it holds. -#}
    {{ return({
        'person': {
            'person_tags_behaviour_history': [
                'has_abandoned_cart_30d',
                'deepest_web_step_30d',
                'deepest_web_step_365d',
                'usual_web_exit',
                'has_unmet_search',
                'last_cart_outcome',
                'usual_web_platform'
            ],
            'person_tags_channel_history': [
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
            ],
            'person_tags_consumption_history': [
                'usual_mission',
                'purchase_rhythm',
                'is_fuel_buyer',
                'spend_trend'
            ],
            'person_tags_demographics_history': [
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
            ],
            'person_tags_habit_history': [
                'usual_weekday',
                'usual_part_of_day',
                'usual_part_of_month',
                'is_weekend_shopper'
            ],
            'person_tags_lifecycle_history': [
                'onboarding_step',
                'is_reactivated',
                'lifecycle_stage',
                'is_due_for_purchase'
            ],
            'person_tags_location_history': [
                'store_pattern',
                'has_changed_store',
                'has_weekend_store'
            ],
            'person_tags_marketing_history': [
                'vip_level',
                'is_staff',
                'do_not_promote',
                'is_in_campaign',
                'coupon_affinity'
            ],
            'person_tags_preference_history': [
                'pet_kind',
                'has_baby_needs',
                'is_alcohol_buyer',
                'is_tobacco_buyer',
                'brand_kind_preference',
                'discount_affinity',
                'eating_style'
            ],
            'person_tags_risk_history': [
                'attrition_risk',
                'is_valuable_at_risk',
                'churn_risk_band',
                'churn_risk_trend',
                'is_promotion_dependent'
            ],
            'person_tags_service_history': [
                'bought_after_service',
                'has_open_ticket',
                'is_unhappy'
            ],
            'person_tags_value_history': [
                'engagement_level',
                'loyalty_level',
                'purchase_likelihood_band',
                'rfm_segment',
                'spend_tier'
            ]
        },
        'household': {
            'household_tags_channel_history': [
                'gets_email_twice'
            ],
            'household_tags_consumption_history': [
                'spend_trend'
            ],
            'household_tags_members_history': [
                'has_children',
                'has_two_generations'
            ]
        },
        'product': {
            'product_tags_lifecycle_history': [
                'is_seasonal',
                'product_stage'
            ],
            'product_tags_price_history': [
                'price_band',
                'is_private_label',
                'is_coupon_product'
            ],
            'product_tags_sales_history': [
                'sales_trend'
            ]
        },
        'store': {
            'store_tags_sales_history': [
                'sells_fuel',
                'sales_trend',
                'busiest_weekday'
            ]
        }
    }) }}
{%- endmacro %}
