-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with person_aggregates as (
    select
        count(*) as objects,
        count(has_abandoned_cart_30d) as has_abandoned_cart_30d__filled,
        count(distinct has_abandoned_cart_30d) as has_abandoned_cart_30d__distinct,
        cast(min(has_abandoned_cart_30d) as {{ dbt.type_string() }}) as has_abandoned_cart_30d__lowest,
        cast(max(has_abandoned_cart_30d) as {{ dbt.type_string() }}) as has_abandoned_cart_30d__highest,
        count(abandoned_carts_365d) as abandoned_carts_365d__filled,
        count(distinct abandoned_carts_365d) as abandoned_carts_365d__distinct,
        cast(min(abandoned_carts_365d) as {{ dbt.type_string() }}) as abandoned_carts_365d__lowest,
        cast(max(abandoned_carts_365d) as {{ dbt.type_string() }}) as abandoned_carts_365d__highest,
        avg(abandoned_carts_365d) as abandoned_carts_365d__mean,
        count(cart_abandonment_rate) as cart_abandonment_rate__filled,
        count(distinct cart_abandonment_rate) as cart_abandonment_rate__distinct,
        cast(min(cart_abandonment_rate) as {{ dbt.type_string() }}) as cart_abandonment_rate__lowest,
        cast(max(cart_abandonment_rate) as {{ dbt.type_string() }}) as cart_abandonment_rate__highest,
        avg(cart_abandonment_rate) as cart_abandonment_rate__mean,
        count(last_abandoned_cart_date) as last_abandoned_cart_date__filled,
        count(distinct last_abandoned_cart_date) as last_abandoned_cart_date__distinct,
        cast(min(last_abandoned_cart_date) as {{ dbt.type_string() }}) as last_abandoned_cart_date__lowest,
        cast(max(last_abandoned_cart_date) as {{ dbt.type_string() }}) as last_abandoned_cart_date__highest,
        count(failed_payments_365d) as failed_payments_365d__filled,
        count(distinct failed_payments_365d) as failed_payments_365d__distinct,
        cast(min(failed_payments_365d) as {{ dbt.type_string() }}) as failed_payments_365d__lowest,
        cast(max(failed_payments_365d) as {{ dbt.type_string() }}) as failed_payments_365d__highest,
        avg(failed_payments_365d) as failed_payments_365d__mean,
        count(wifi_visits_30d) as wifi_visits_30d__filled,
        count(distinct wifi_visits_30d) as wifi_visits_30d__distinct,
        cast(min(wifi_visits_30d) as {{ dbt.type_string() }}) as wifi_visits_30d__lowest,
        cast(max(wifi_visits_30d) as {{ dbt.type_string() }}) as wifi_visits_30d__highest,
        avg(wifi_visits_30d) as wifi_visits_30d__mean,
        count(wifi_visits_90d) as wifi_visits_90d__filled,
        count(distinct wifi_visits_90d) as wifi_visits_90d__distinct,
        cast(min(wifi_visits_90d) as {{ dbt.type_string() }}) as wifi_visits_90d__lowest,
        cast(max(wifi_visits_90d) as {{ dbt.type_string() }}) as wifi_visits_90d__highest,
        avg(wifi_visits_90d) as wifi_visits_90d__mean,
        count(last_wifi_visit_date) as last_wifi_visit_date__filled,
        count(distinct last_wifi_visit_date) as last_wifi_visit_date__distinct,
        cast(min(last_wifi_visit_date) as {{ dbt.type_string() }}) as last_wifi_visit_date__lowest,
        cast(max(last_wifi_visit_date) as {{ dbt.type_string() }}) as last_wifi_visit_date__highest,
        count(average_visit_minutes) as average_visit_minutes__filled,
        count(distinct average_visit_minutes) as average_visit_minutes__distinct,
        cast(min(average_visit_minutes) as {{ dbt.type_string() }}) as average_visit_minutes__lowest,
        cast(max(average_visit_minutes) as {{ dbt.type_string() }}) as average_visit_minutes__highest,
        avg(average_visit_minutes) as average_visit_minutes__mean,
        count(browsing_visit_share) as browsing_visit_share__filled,
        count(distinct browsing_visit_share) as browsing_visit_share__distinct,
        cast(min(browsing_visit_share) as {{ dbt.type_string() }}) as browsing_visit_share__lowest,
        cast(max(browsing_visit_share) as {{ dbt.type_string() }}) as browsing_visit_share__highest,
        avg(browsing_visit_share) as browsing_visit_share__mean,
        count(web_sessions_30d) as web_sessions_30d__filled,
        count(distinct web_sessions_30d) as web_sessions_30d__distinct,
        cast(min(web_sessions_30d) as {{ dbt.type_string() }}) as web_sessions_30d__lowest,
        cast(max(web_sessions_30d) as {{ dbt.type_string() }}) as web_sessions_30d__highest,
        avg(web_sessions_30d) as web_sessions_30d__mean,
        count(web_sessions_90d) as web_sessions_90d__filled,
        count(distinct web_sessions_90d) as web_sessions_90d__distinct,
        cast(min(web_sessions_90d) as {{ dbt.type_string() }}) as web_sessions_90d__lowest,
        cast(max(web_sessions_90d) as {{ dbt.type_string() }}) as web_sessions_90d__highest,
        avg(web_sessions_90d) as web_sessions_90d__mean,
        count(web_sessions_365d) as web_sessions_365d__filled,
        count(distinct web_sessions_365d) as web_sessions_365d__distinct,
        cast(min(web_sessions_365d) as {{ dbt.type_string() }}) as web_sessions_365d__lowest,
        cast(max(web_sessions_365d) as {{ dbt.type_string() }}) as web_sessions_365d__highest,
        avg(web_sessions_365d) as web_sessions_365d__mean,
        count(last_web_visit_date) as last_web_visit_date__filled,
        count(distinct last_web_visit_date) as last_web_visit_date__distinct,
        cast(min(last_web_visit_date) as {{ dbt.type_string() }}) as last_web_visit_date__lowest,
        cast(max(last_web_visit_date) as {{ dbt.type_string() }}) as last_web_visit_date__highest,
        count(web_searches_365d) as web_searches_365d__filled,
        count(distinct web_searches_365d) as web_searches_365d__distinct,
        cast(min(web_searches_365d) as {{ dbt.type_string() }}) as web_searches_365d__lowest,
        cast(max(web_searches_365d) as {{ dbt.type_string() }}) as web_searches_365d__highest,
        avg(web_searches_365d) as web_searches_365d__mean,
        count(wishlist_adds_365d) as wishlist_adds_365d__filled,
        count(distinct wishlist_adds_365d) as wishlist_adds_365d__distinct,
        cast(min(wishlist_adds_365d) as {{ dbt.type_string() }}) as wishlist_adds_365d__lowest,
        cast(max(wishlist_adds_365d) as {{ dbt.type_string() }}) as wishlist_adds_365d__highest,
        avg(wishlist_adds_365d) as wishlist_adds_365d__mean,
        count(product_views_per_session) as product_views_per_session__filled,
        count(distinct product_views_per_session) as product_views_per_session__distinct,
        cast(min(product_views_per_session) as {{ dbt.type_string() }}) as product_views_per_session__lowest,
        cast(max(product_views_per_session) as {{ dbt.type_string() }}) as product_views_per_session__highest,
        avg(product_views_per_session) as product_views_per_session__mean,
        count(usual_web_platform) as usual_web_platform__filled,
        count(distinct usual_web_platform) as usual_web_platform__distinct,
        cast(min(usual_web_platform) as {{ dbt.type_string() }}) as usual_web_platform__lowest,
        cast(max(usual_web_platform) as {{ dbt.type_string() }}) as usual_web_platform__highest,
        count(usual_web_entry) as usual_web_entry__filled,
        count(distinct usual_web_entry) as usual_web_entry__distinct,
        cast(min(usual_web_entry) as {{ dbt.type_string() }}) as usual_web_entry__lowest,
        cast(max(usual_web_entry) as {{ dbt.type_string() }}) as usual_web_entry__highest,
        count(has_active_card) as has_active_card__filled,
        count(distinct has_active_card) as has_active_card__distinct,
        cast(min(has_active_card) as {{ dbt.type_string() }}) as has_active_card__lowest,
        cast(max(has_active_card) as {{ dbt.type_string() }}) as has_active_card__highest,
        count(has_web_account) as has_web_account__filled,
        count(distinct has_web_account) as has_web_account__distinct,
        cast(min(has_web_account) as {{ dbt.type_string() }}) as has_web_account__lowest,
        cast(max(has_web_account) as {{ dbt.type_string() }}) as has_web_account__highest,
        count(has_app) as has_app__filled,
        count(distinct has_app) as has_app__distinct,
        cast(min(has_app) as {{ dbt.type_string() }}) as has_app__lowest,
        cast(max(has_app) as {{ dbt.type_string() }}) as has_app__highest,
        count(has_wifi_device) as has_wifi_device__filled,
        count(distinct has_wifi_device) as has_wifi_device__distinct,
        cast(min(has_wifi_device) as {{ dbt.type_string() }}) as has_wifi_device__lowest,
        cast(max(has_wifi_device) as {{ dbt.type_string() }}) as has_wifi_device__highest,
        count(is_email_reachable) as is_email_reachable__filled,
        count(distinct is_email_reachable) as is_email_reachable__distinct,
        cast(min(is_email_reachable) as {{ dbt.type_string() }}) as is_email_reachable__lowest,
        cast(max(is_email_reachable) as {{ dbt.type_string() }}) as is_email_reachable__highest,
        count(is_phone_reachable) as is_phone_reachable__filled,
        count(distinct is_phone_reachable) as is_phone_reachable__distinct,
        cast(min(is_phone_reachable) as {{ dbt.type_string() }}) as is_phone_reachable__lowest,
        cast(max(is_phone_reachable) as {{ dbt.type_string() }}) as is_phone_reachable__highest,
        count(is_push_reachable) as is_push_reachable__filled,
        count(distinct is_push_reachable) as is_push_reachable__distinct,
        cast(min(is_push_reachable) as {{ dbt.type_string() }}) as is_push_reachable__lowest,
        cast(max(is_push_reachable) as {{ dbt.type_string() }}) as is_push_reachable__highest,
        count(email_consent) as email_consent__filled,
        count(distinct email_consent) as email_consent__distinct,
        cast(min(email_consent) as {{ dbt.type_string() }}) as email_consent__lowest,
        cast(max(email_consent) as {{ dbt.type_string() }}) as email_consent__highest,
        count(wants_newsletter) as wants_newsletter__filled,
        count(distinct wants_newsletter) as wants_newsletter__distinct,
        cast(min(wants_newsletter) as {{ dbt.type_string() }}) as wants_newsletter__lowest,
        cast(max(wants_newsletter) as {{ dbt.type_string() }}) as wants_newsletter__highest,
        count(app_platform) as app_platform__filled,
        count(distinct app_platform) as app_platform__distinct,
        cast(min(app_platform) as {{ dbt.type_string() }}) as app_platform__lowest,
        cast(max(app_platform) as {{ dbt.type_string() }}) as app_platform__highest,
        count(channels_used_365d) as channels_used_365d__filled,
        count(distinct channels_used_365d) as channels_used_365d__distinct,
        cast(min(channels_used_365d) as {{ dbt.type_string() }}) as channels_used_365d__lowest,
        cast(max(channels_used_365d) as {{ dbt.type_string() }}) as channels_used_365d__highest,
        avg(channels_used_365d) as channels_used_365d__mean,
        count(dominant_channel) as dominant_channel__filled,
        count(distinct dominant_channel) as dominant_channel__distinct,
        cast(min(dominant_channel) as {{ dbt.type_string() }}) as dominant_channel__lowest,
        cast(max(dominant_channel) as {{ dbt.type_string() }}) as dominant_channel__highest,
        count(is_multichannel) as is_multichannel__filled,
        count(distinct is_multichannel) as is_multichannel__distinct,
        cast(min(is_multichannel) as {{ dbt.type_string() }}) as is_multichannel__lowest,
        cast(max(is_multichannel) as {{ dbt.type_string() }}) as is_multichannel__highest,
        count(shopping_days_365d) as shopping_days_365d__filled,
        count(distinct shopping_days_365d) as shopping_days_365d__distinct,
        cast(min(shopping_days_365d) as {{ dbt.type_string() }}) as shopping_days_365d__lowest,
        cast(max(shopping_days_365d) as {{ dbt.type_string() }}) as shopping_days_365d__highest,
        avg(shopping_days_365d) as shopping_days_365d__mean,
        count(purchase_interval_days) as purchase_interval_days__filled,
        count(distinct purchase_interval_days) as purchase_interval_days__distinct,
        cast(min(purchase_interval_days) as {{ dbt.type_string() }}) as purchase_interval_days__lowest,
        cast(max(purchase_interval_days) as {{ dbt.type_string() }}) as purchase_interval_days__highest,
        avg(purchase_interval_days) as purchase_interval_days__mean,
        count(purchase_rhythm) as purchase_rhythm__filled,
        count(distinct purchase_rhythm) as purchase_rhythm__distinct,
        cast(min(purchase_rhythm) as {{ dbt.type_string() }}) as purchase_rhythm__lowest,
        cast(max(purchase_rhythm) as {{ dbt.type_string() }}) as purchase_rhythm__highest,
        count(orders_30d) as orders_30d__filled,
        count(distinct orders_30d) as orders_30d__distinct,
        cast(min(orders_30d) as {{ dbt.type_string() }}) as orders_30d__lowest,
        cast(max(orders_30d) as {{ dbt.type_string() }}) as orders_30d__highest,
        avg(orders_30d) as orders_30d__mean,
        count(orders_90d) as orders_90d__filled,
        count(distinct orders_90d) as orders_90d__distinct,
        cast(min(orders_90d) as {{ dbt.type_string() }}) as orders_90d__lowest,
        cast(max(orders_90d) as {{ dbt.type_string() }}) as orders_90d__highest,
        avg(orders_90d) as orders_90d__mean,
        count(orders_365d) as orders_365d__filled,
        count(distinct orders_365d) as orders_365d__distinct,
        cast(min(orders_365d) as {{ dbt.type_string() }}) as orders_365d__lowest,
        cast(max(orders_365d) as {{ dbt.type_string() }}) as orders_365d__highest,
        avg(orders_365d) as orders_365d__mean,
        count(spend_30d) as spend_30d__filled,
        count(distinct spend_30d) as spend_30d__distinct,
        cast(min(spend_30d) as {{ dbt.type_string() }}) as spend_30d__lowest,
        cast(max(spend_30d) as {{ dbt.type_string() }}) as spend_30d__highest,
        avg(spend_30d) as spend_30d__mean,
        count(spend_90d) as spend_90d__filled,
        count(distinct spend_90d) as spend_90d__distinct,
        cast(min(spend_90d) as {{ dbt.type_string() }}) as spend_90d__lowest,
        cast(max(spend_90d) as {{ dbt.type_string() }}) as spend_90d__highest,
        avg(spend_90d) as spend_90d__mean,
        count(spend_365d) as spend_365d__filled,
        count(distinct spend_365d) as spend_365d__distinct,
        cast(min(spend_365d) as {{ dbt.type_string() }}) as spend_365d__lowest,
        cast(max(spend_365d) as {{ dbt.type_string() }}) as spend_365d__highest,
        avg(spend_365d) as spend_365d__mean,
        count(average_basket_365d) as average_basket_365d__filled,
        count(distinct average_basket_365d) as average_basket_365d__distinct,
        cast(min(average_basket_365d) as {{ dbt.type_string() }}) as average_basket_365d__lowest,
        cast(max(average_basket_365d) as {{ dbt.type_string() }}) as average_basket_365d__highest,
        avg(average_basket_365d) as average_basket_365d__mean,
        count(largest_basket_365d) as largest_basket_365d__filled,
        count(distinct largest_basket_365d) as largest_basket_365d__distinct,
        cast(min(largest_basket_365d) as {{ dbt.type_string() }}) as largest_basket_365d__lowest,
        cast(max(largest_basket_365d) as {{ dbt.type_string() }}) as largest_basket_365d__highest,
        avg(largest_basket_365d) as largest_basket_365d__mean,
        count(units_365d) as units_365d__filled,
        count(distinct units_365d) as units_365d__distinct,
        cast(min(units_365d) as {{ dbt.type_string() }}) as units_365d__lowest,
        cast(max(units_365d) as {{ dbt.type_string() }}) as units_365d__highest,
        avg(units_365d) as units_365d__mean,
        count(is_fuel_buyer) as is_fuel_buyer__filled,
        count(distinct is_fuel_buyer) as is_fuel_buyer__distinct,
        cast(min(is_fuel_buyer) as {{ dbt.type_string() }}) as is_fuel_buyer__lowest,
        cast(max(is_fuel_buyer) as {{ dbt.type_string() }}) as is_fuel_buyer__highest,
        count(fuel_spend_365d) as fuel_spend_365d__filled,
        count(distinct fuel_spend_365d) as fuel_spend_365d__distinct,
        cast(min(fuel_spend_365d) as {{ dbt.type_string() }}) as fuel_spend_365d__lowest,
        cast(max(fuel_spend_365d) as {{ dbt.type_string() }}) as fuel_spend_365d__highest,
        avg(fuel_spend_365d) as fuel_spend_365d__mean,
        count(spend_trend) as spend_trend__filled,
        count(distinct spend_trend) as spend_trend__distinct,
        cast(min(spend_trend) as {{ dbt.type_string() }}) as spend_trend__lowest,
        cast(max(spend_trend) as {{ dbt.type_string() }}) as spend_trend__highest,
        count(distinct_products_365d) as distinct_products_365d__filled,
        count(distinct distinct_products_365d) as distinct_products_365d__distinct,
        cast(min(distinct_products_365d) as {{ dbt.type_string() }}) as distinct_products_365d__lowest,
        cast(max(distinct_products_365d) as {{ dbt.type_string() }}) as distinct_products_365d__highest,
        avg(distinct_products_365d) as distinct_products_365d__mean,
        count(departments_shopped_365d) as departments_shopped_365d__filled,
        count(distinct departments_shopped_365d) as departments_shopped_365d__distinct,
        cast(min(departments_shopped_365d) as {{ dbt.type_string() }}) as departments_shopped_365d__lowest,
        cast(max(departments_shopped_365d) as {{ dbt.type_string() }}) as departments_shopped_365d__highest,
        avg(departments_shopped_365d) as departments_shopped_365d__mean,
        count(repeat_product_share) as repeat_product_share__filled,
        count(distinct repeat_product_share) as repeat_product_share__distinct,
        cast(min(repeat_product_share) as {{ dbt.type_string() }}) as repeat_product_share__lowest,
        cast(max(repeat_product_share) as {{ dbt.type_string() }}) as repeat_product_share__highest,
        avg(repeat_product_share) as repeat_product_share__mean,
        count(income_band) as income_band__filled,
        count(distinct income_band) as income_band__distinct,
        cast(min(income_band) as {{ dbt.type_string() }}) as income_band__lowest,
        cast(max(income_band) as {{ dbt.type_string() }}) as income_band__highest,
        count(income_tier) as income_tier__filled,
        count(distinct income_tier) as income_tier__distinct,
        cast(min(income_tier) as {{ dbt.type_string() }}) as income_tier__lowest,
        cast(max(income_tier) as {{ dbt.type_string() }}) as income_tier__highest,
        count(household_size) as household_size__filled,
        count(distinct household_size) as household_size__distinct,
        cast(min(household_size) as {{ dbt.type_string() }}) as household_size__lowest,
        cast(max(household_size) as {{ dbt.type_string() }}) as household_size__highest,
        count(household_type) as household_type__filled,
        count(distinct household_type) as household_type__distinct,
        cast(min(household_type) as {{ dbt.type_string() }}) as household_type__lowest,
        cast(max(household_type) as {{ dbt.type_string() }}) as household_type__highest,
        count(kids_count) as kids_count__filled,
        count(distinct kids_count) as kids_count__distinct,
        cast(min(kids_count) as {{ dbt.type_string() }}) as kids_count__lowest,
        cast(max(kids_count) as {{ dbt.type_string() }}) as kids_count__highest,
        count(has_kids) as has_kids__filled,
        count(distinct has_kids) as has_kids__distinct,
        cast(min(has_kids) as {{ dbt.type_string() }}) as has_kids__lowest,
        cast(max(has_kids) as {{ dbt.type_string() }}) as has_kids__highest,
        count(home_ownership) as home_ownership__filled,
        count(distinct home_ownership) as home_ownership__distinct,
        cast(min(home_ownership) as {{ dbt.type_string() }}) as home_ownership__lowest,
        cast(max(home_ownership) as {{ dbt.type_string() }}) as home_ownership__highest,
        count(marital_status) as marital_status__filled,
        count(distinct marital_status) as marital_status__distinct,
        cast(min(marital_status) as {{ dbt.type_string() }}) as marital_status__lowest,
        cast(max(marital_status) as {{ dbt.type_string() }}) as marital_status__highest,
        count(age_band) as age_band__filled,
        count(distinct age_band) as age_band__distinct,
        cast(min(age_band) as {{ dbt.type_string() }}) as age_band__lowest,
        cast(max(age_band) as {{ dbt.type_string() }}) as age_band__highest,
        count(generation) as generation__filled,
        count(distinct generation) as generation__distinct,
        cast(min(generation) as {{ dbt.type_string() }}) as generation__lowest,
        cast(max(generation) as {{ dbt.type_string() }}) as generation__highest,
        count(birthday_month) as birthday_month__filled,
        count(distinct birthday_month) as birthday_month__distinct,
        cast(min(birthday_month) as {{ dbt.type_string() }}) as birthday_month__lowest,
        cast(max(birthday_month) as {{ dbt.type_string() }}) as birthday_month__highest,
        avg(birthday_month) as birthday_month__mean,
        count(state) as state__filled,
        count(distinct state) as state__distinct,
        cast(min(state) as {{ dbt.type_string() }}) as state__lowest,
        cast(max(state) as {{ dbt.type_string() }}) as state__highest,
        count(postcode_area) as postcode_area__filled,
        count(distinct postcode_area) as postcode_area__distinct,
        cast(min(postcode_area) as {{ dbt.type_string() }}) as postcode_area__lowest,
        cast(max(postcode_area) as {{ dbt.type_string() }}) as postcode_area__highest,
        count(membership_years) as membership_years__filled,
        count(distinct membership_years) as membership_years__distinct,
        cast(min(membership_years) as {{ dbt.type_string() }}) as membership_years__lowest,
        cast(max(membership_years) as {{ dbt.type_string() }}) as membership_years__highest,
        avg(membership_years) as membership_years__mean,
        count(household_id) as household_id__filled,
        count(distinct household_id) as household_id__distinct,
        cast(min(household_id) as {{ dbt.type_string() }}) as household_id__lowest,
        cast(max(household_id) as {{ dbt.type_string() }}) as household_id__highest,
        count(household_members) as household_members__filled,
        count(distinct household_members) as household_members__distinct,
        cast(min(household_members) as {{ dbt.type_string() }}) as household_members__lowest,
        cast(max(household_members) as {{ dbt.type_string() }}) as household_members__highest,
        avg(household_members) as household_members__mean,
        count(is_in_household) as is_in_household__filled,
        count(distinct is_in_household) as is_in_household__distinct,
        cast(min(is_in_household) as {{ dbt.type_string() }}) as is_in_household__lowest,
        cast(max(is_in_household) as {{ dbt.type_string() }}) as is_in_household__highest,
        count(usual_weekday) as usual_weekday__filled,
        count(distinct usual_weekday) as usual_weekday__distinct,
        cast(min(usual_weekday) as {{ dbt.type_string() }}) as usual_weekday__lowest,
        cast(max(usual_weekday) as {{ dbt.type_string() }}) as usual_weekday__highest,
        count(usual_part_of_day) as usual_part_of_day__filled,
        count(distinct usual_part_of_day) as usual_part_of_day__distinct,
        cast(min(usual_part_of_day) as {{ dbt.type_string() }}) as usual_part_of_day__lowest,
        cast(max(usual_part_of_day) as {{ dbt.type_string() }}) as usual_part_of_day__highest,
        count(weekend_order_share) as weekend_order_share__filled,
        count(distinct weekend_order_share) as weekend_order_share__distinct,
        cast(min(weekend_order_share) as {{ dbt.type_string() }}) as weekend_order_share__lowest,
        cast(max(weekend_order_share) as {{ dbt.type_string() }}) as weekend_order_share__highest,
        avg(weekend_order_share) as weekend_order_share__mean,
        count(is_weekend_shopper) as is_weekend_shopper__filled,
        count(distinct is_weekend_shopper) as is_weekend_shopper__distinct,
        cast(min(is_weekend_shopper) as {{ dbt.type_string() }}) as is_weekend_shopper__lowest,
        cast(max(is_weekend_shopper) as {{ dbt.type_string() }}) as is_weekend_shopper__highest,
        count(first_order_date) as first_order_date__filled,
        count(distinct first_order_date) as first_order_date__distinct,
        cast(min(first_order_date) as {{ dbt.type_string() }}) as first_order_date__lowest,
        cast(max(first_order_date) as {{ dbt.type_string() }}) as first_order_date__highest,
        count(last_order_date) as last_order_date__filled,
        count(distinct last_order_date) as last_order_date__distinct,
        cast(min(last_order_date) as {{ dbt.type_string() }}) as last_order_date__lowest,
        cast(max(last_order_date) as {{ dbt.type_string() }}) as last_order_date__highest,
        count(days_since_last_order) as days_since_last_order__filled,
        count(distinct days_since_last_order) as days_since_last_order__distinct,
        cast(min(days_since_last_order) as {{ dbt.type_string() }}) as days_since_last_order__lowest,
        cast(max(days_since_last_order) as {{ dbt.type_string() }}) as days_since_last_order__highest,
        avg(days_since_last_order) as days_since_last_order__mean,
        count(expected_cycle_days) as expected_cycle_days__filled,
        count(distinct expected_cycle_days) as expected_cycle_days__distinct,
        cast(min(expected_cycle_days) as {{ dbt.type_string() }}) as expected_cycle_days__lowest,
        cast(max(expected_cycle_days) as {{ dbt.type_string() }}) as expected_cycle_days__highest,
        avg(expected_cycle_days) as expected_cycle_days__mean,
        count(silence_ratio) as silence_ratio__filled,
        count(distinct silence_ratio) as silence_ratio__distinct,
        cast(min(silence_ratio) as {{ dbt.type_string() }}) as silence_ratio__lowest,
        cast(max(silence_ratio) as {{ dbt.type_string() }}) as silence_ratio__highest,
        avg(silence_ratio) as silence_ratio__mean,
        count(lifecycle_stage) as lifecycle_stage__filled,
        count(distinct lifecycle_stage) as lifecycle_stage__distinct,
        cast(min(lifecycle_stage) as {{ dbt.type_string() }}) as lifecycle_stage__lowest,
        cast(max(lifecycle_stage) as {{ dbt.type_string() }}) as lifecycle_stage__highest,
        count(is_due_for_purchase) as is_due_for_purchase__filled,
        count(distinct is_due_for_purchase) as is_due_for_purchase__distinct,
        cast(min(is_due_for_purchase) as {{ dbt.type_string() }}) as is_due_for_purchase__lowest,
        cast(max(is_due_for_purchase) as {{ dbt.type_string() }}) as is_due_for_purchase__highest,
        count(campaigns_received) as campaigns_received__filled,
        count(distinct campaigns_received) as campaigns_received__distinct,
        cast(min(campaigns_received) as {{ dbt.type_string() }}) as campaigns_received__lowest,
        cast(max(campaigns_received) as {{ dbt.type_string() }}) as campaigns_received__highest,
        avg(campaigns_received) as campaigns_received__mean,
        count(campaigns_received_90d) as campaigns_received_90d__filled,
        count(distinct campaigns_received_90d) as campaigns_received_90d__distinct,
        cast(min(campaigns_received_90d) as {{ dbt.type_string() }}) as campaigns_received_90d__lowest,
        cast(max(campaigns_received_90d) as {{ dbt.type_string() }}) as campaigns_received_90d__highest,
        avg(campaigns_received_90d) as campaigns_received_90d__mean,
        count(is_in_campaign) as is_in_campaign__filled,
        count(distinct is_in_campaign) as is_in_campaign__distinct,
        cast(min(is_in_campaign) as {{ dbt.type_string() }}) as is_in_campaign__lowest,
        cast(max(is_in_campaign) as {{ dbt.type_string() }}) as is_in_campaign__highest,
        count(coupons_redeemed_365d) as coupons_redeemed_365d__filled,
        count(distinct coupons_redeemed_365d) as coupons_redeemed_365d__distinct,
        cast(min(coupons_redeemed_365d) as {{ dbt.type_string() }}) as coupons_redeemed_365d__lowest,
        cast(max(coupons_redeemed_365d) as {{ dbt.type_string() }}) as coupons_redeemed_365d__highest,
        avg(coupons_redeemed_365d) as coupons_redeemed_365d__mean,
        count(last_redemption_date) as last_redemption_date__filled,
        count(distinct last_redemption_date) as last_redemption_date__distinct,
        cast(min(last_redemption_date) as {{ dbt.type_string() }}) as last_redemption_date__lowest,
        cast(max(last_redemption_date) as {{ dbt.type_string() }}) as last_redemption_date__highest,
        count(campaign_response_rate) as campaign_response_rate__filled,
        count(distinct campaign_response_rate) as campaign_response_rate__distinct,
        cast(min(campaign_response_rate) as {{ dbt.type_string() }}) as campaign_response_rate__lowest,
        cast(max(campaign_response_rate) as {{ dbt.type_string() }}) as campaign_response_rate__highest,
        avg(campaign_response_rate) as campaign_response_rate__mean,
        count(coupon_affinity) as coupon_affinity__filled,
        count(distinct coupon_affinity) as coupon_affinity__distinct,
        cast(min(coupon_affinity) as {{ dbt.type_string() }}) as coupon_affinity__lowest,
        cast(max(coupon_affinity) as {{ dbt.type_string() }}) as coupon_affinity__highest,
        count(favourite_department) as favourite_department__filled,
        count(distinct favourite_department) as favourite_department__distinct,
        cast(min(favourite_department) as {{ dbt.type_string() }}) as favourite_department__lowest,
        cast(max(favourite_department) as {{ dbt.type_string() }}) as favourite_department__highest,
        count(favourite_department_index) as favourite_department_index__filled,
        count(distinct favourite_department_index) as favourite_department_index__distinct,
        cast(min(favourite_department_index) as {{ dbt.type_string() }}) as favourite_department_index__lowest,
        cast(max(favourite_department_index) as {{ dbt.type_string() }}) as favourite_department_index__highest,
        avg(favourite_department_index) as favourite_department_index__mean,
        count(favourite_category) as favourite_category__filled,
        count(distinct favourite_category) as favourite_category__distinct,
        cast(min(favourite_category) as {{ dbt.type_string() }}) as favourite_category__lowest,
        cast(max(favourite_category) as {{ dbt.type_string() }}) as favourite_category__highest,
        count(favourite_category_index) as favourite_category_index__filled,
        count(distinct favourite_category_index) as favourite_category_index__distinct,
        cast(min(favourite_category_index) as {{ dbt.type_string() }}) as favourite_category_index__lowest,
        cast(max(favourite_category_index) as {{ dbt.type_string() }}) as favourite_category_index__highest,
        avg(favourite_category_index) as favourite_category_index__mean,
        count(distinctive_department) as distinctive_department__filled,
        count(distinct distinctive_department) as distinctive_department__distinct,
        cast(min(distinctive_department) as {{ dbt.type_string() }}) as distinctive_department__lowest,
        cast(max(distinctive_department) as {{ dbt.type_string() }}) as distinctive_department__highest,
        count(distinctive_department_lift) as distinctive_department_lift__filled,
        count(distinct distinctive_department_lift) as distinctive_department_lift__distinct,
        cast(min(distinctive_department_lift) as {{ dbt.type_string() }}) as distinctive_department_lift__lowest,
        cast(max(distinctive_department_lift) as {{ dbt.type_string() }}) as distinctive_department_lift__highest,
        avg(distinctive_department_lift) as distinctive_department_lift__mean,
        count(private_label_index) as private_label_index__filled,
        count(distinct private_label_index) as private_label_index__distinct,
        cast(min(private_label_index) as {{ dbt.type_string() }}) as private_label_index__lowest,
        cast(max(private_label_index) as {{ dbt.type_string() }}) as private_label_index__highest,
        avg(private_label_index) as private_label_index__mean,
        count(brand_kind_preference) as brand_kind_preference__filled,
        count(distinct brand_kind_preference) as brand_kind_preference__distinct,
        cast(min(brand_kind_preference) as {{ dbt.type_string() }}) as brand_kind_preference__lowest,
        cast(max(brand_kind_preference) as {{ dbt.type_string() }}) as brand_kind_preference__highest,
        count(discount_index) as discount_index__filled,
        count(distinct discount_index) as discount_index__distinct,
        cast(min(discount_index) as {{ dbt.type_string() }}) as discount_index__lowest,
        cast(max(discount_index) as {{ dbt.type_string() }}) as discount_index__highest,
        avg(discount_index) as discount_index__mean,
        count(discount_affinity) as discount_affinity__filled,
        count(distinct discount_affinity) as discount_affinity__distinct,
        cast(min(discount_affinity) as {{ dbt.type_string() }}) as discount_affinity__lowest,
        cast(max(discount_affinity) as {{ dbt.type_string() }}) as discount_affinity__highest,
        count(saved_365d) as saved_365d__filled,
        count(distinct saved_365d) as saved_365d__distinct,
        cast(min(saved_365d) as {{ dbt.type_string() }}) as saved_365d__lowest,
        cast(max(saved_365d) as {{ dbt.type_string() }}) as saved_365d__highest,
        avg(saved_365d) as saved_365d__mean,
        count(coupon_order_share) as coupon_order_share__filled,
        count(distinct coupon_order_share) as coupon_order_share__distinct,
        cast(min(coupon_order_share) as {{ dbt.type_string() }}) as coupon_order_share__lowest,
        cast(max(coupon_order_share) as {{ dbt.type_string() }}) as coupon_order_share__highest,
        avg(coupon_order_share) as coupon_order_share__mean,
        count(favourite_store_id) as favourite_store_id__filled,
        count(distinct favourite_store_id) as favourite_store_id__distinct,
        cast(min(favourite_store_id) as {{ dbt.type_string() }}) as favourite_store_id__lowest,
        cast(max(favourite_store_id) as {{ dbt.type_string() }}) as favourite_store_id__highest,
        count(favourite_store_index) as favourite_store_index__filled,
        count(distinct favourite_store_index) as favourite_store_index__distinct,
        cast(min(favourite_store_index) as {{ dbt.type_string() }}) as favourite_store_index__lowest,
        cast(max(favourite_store_index) as {{ dbt.type_string() }}) as favourite_store_index__highest,
        avg(favourite_store_index) as favourite_store_index__mean,
        count(stores_shopped_365d) as stores_shopped_365d__filled,
        count(distinct stores_shopped_365d) as stores_shopped_365d__distinct,
        cast(min(stores_shopped_365d) as {{ dbt.type_string() }}) as stores_shopped_365d__lowest,
        cast(max(stores_shopped_365d) as {{ dbt.type_string() }}) as stores_shopped_365d__highest,
        avg(stores_shopped_365d) as stores_shopped_365d__mean,
        count(tickets_365d) as tickets_365d__filled,
        count(distinct tickets_365d) as tickets_365d__distinct,
        cast(min(tickets_365d) as {{ dbt.type_string() }}) as tickets_365d__lowest,
        cast(max(tickets_365d) as {{ dbt.type_string() }}) as tickets_365d__highest,
        avg(tickets_365d) as tickets_365d__mean,
        count(has_open_ticket) as has_open_ticket__filled,
        count(distinct has_open_ticket) as has_open_ticket__distinct,
        cast(min(has_open_ticket) as {{ dbt.type_string() }}) as has_open_ticket__lowest,
        cast(max(has_open_ticket) as {{ dbt.type_string() }}) as has_open_ticket__highest,
        count(last_ticket_date) as last_ticket_date__filled,
        count(distinct last_ticket_date) as last_ticket_date__distinct,
        cast(min(last_ticket_date) as {{ dbt.type_string() }}) as last_ticket_date__lowest,
        cast(max(last_ticket_date) as {{ dbt.type_string() }}) as last_ticket_date__highest,
        count(main_ticket_topic) as main_ticket_topic__filled,
        count(distinct main_ticket_topic) as main_ticket_topic__distinct,
        cast(min(main_ticket_topic) as {{ dbt.type_string() }}) as main_ticket_topic__lowest,
        cast(max(main_ticket_topic) as {{ dbt.type_string() }}) as main_ticket_topic__highest,
        count(average_satisfaction) as average_satisfaction__filled,
        count(distinct average_satisfaction) as average_satisfaction__distinct,
        cast(min(average_satisfaction) as {{ dbt.type_string() }}) as average_satisfaction__lowest,
        cast(max(average_satisfaction) as {{ dbt.type_string() }}) as average_satisfaction__highest,
        avg(average_satisfaction) as average_satisfaction__mean,
        count(last_satisfaction) as last_satisfaction__filled,
        count(distinct last_satisfaction) as last_satisfaction__distinct,
        cast(min(last_satisfaction) as {{ dbt.type_string() }}) as last_satisfaction__lowest,
        cast(max(last_satisfaction) as {{ dbt.type_string() }}) as last_satisfaction__highest,
        avg(last_satisfaction) as last_satisfaction__mean,
        count(average_resolution_hours) as average_resolution_hours__filled,
        count(distinct average_resolution_hours) as average_resolution_hours__distinct,
        cast(min(average_resolution_hours) as {{ dbt.type_string() }}) as average_resolution_hours__lowest,
        cast(max(average_resolution_hours) as {{ dbt.type_string() }}) as average_resolution_hours__highest,
        avg(average_resolution_hours) as average_resolution_hours__mean,
        count(is_unhappy) as is_unhappy__filled,
        count(distinct is_unhappy) as is_unhappy__distinct,
        cast(min(is_unhappy) as {{ dbt.type_string() }}) as is_unhappy__lowest,
        cast(max(is_unhappy) as {{ dbt.type_string() }}) as is_unhappy__highest,
        count(recency_score) as recency_score__filled,
        count(distinct recency_score) as recency_score__distinct,
        cast(min(recency_score) as {{ dbt.type_string() }}) as recency_score__lowest,
        cast(max(recency_score) as {{ dbt.type_string() }}) as recency_score__highest,
        avg(recency_score) as recency_score__mean,
        count(frequency_score) as frequency_score__filled,
        count(distinct frequency_score) as frequency_score__distinct,
        cast(min(frequency_score) as {{ dbt.type_string() }}) as frequency_score__lowest,
        cast(max(frequency_score) as {{ dbt.type_string() }}) as frequency_score__highest,
        avg(frequency_score) as frequency_score__mean,
        count(monetary_score) as monetary_score__filled,
        count(distinct monetary_score) as monetary_score__distinct,
        cast(min(monetary_score) as {{ dbt.type_string() }}) as monetary_score__lowest,
        cast(max(monetary_score) as {{ dbt.type_string() }}) as monetary_score__highest,
        avg(monetary_score) as monetary_score__mean,
        count(rfm_cell) as rfm_cell__filled,
        count(distinct rfm_cell) as rfm_cell__distinct,
        cast(min(rfm_cell) as {{ dbt.type_string() }}) as rfm_cell__lowest,
        cast(max(rfm_cell) as {{ dbt.type_string() }}) as rfm_cell__highest,
        count(rfm_segment) as rfm_segment__filled,
        count(distinct rfm_segment) as rfm_segment__distinct,
        cast(min(rfm_segment) as {{ dbt.type_string() }}) as rfm_segment__lowest,
        cast(max(rfm_segment) as {{ dbt.type_string() }}) as rfm_segment__highest,
        count(lifetime_spend) as lifetime_spend__filled,
        count(distinct lifetime_spend) as lifetime_spend__distinct,
        cast(min(lifetime_spend) as {{ dbt.type_string() }}) as lifetime_spend__lowest,
        cast(max(lifetime_spend) as {{ dbt.type_string() }}) as lifetime_spend__highest,
        avg(lifetime_spend) as lifetime_spend__mean,
        count(spend_decile_365d) as spend_decile_365d__filled,
        count(distinct spend_decile_365d) as spend_decile_365d__distinct,
        cast(min(spend_decile_365d) as {{ dbt.type_string() }}) as spend_decile_365d__lowest,
        cast(max(spend_decile_365d) as {{ dbt.type_string() }}) as spend_decile_365d__highest,
        avg(spend_decile_365d) as spend_decile_365d__mean,
        count(spend_tier) as spend_tier__filled,
        count(distinct spend_tier) as spend_tier__distinct,
        cast(min(spend_tier) as {{ dbt.type_string() }}) as spend_tier__lowest,
        cast(max(spend_tier) as {{ dbt.type_string() }}) as spend_tier__highest
    from {{ ref('person_tags') }}
),

household_aggregates as (
    select
        count(*) as objects,
        count(channels_used_365d) as channels_used_365d__filled,
        count(distinct channels_used_365d) as channels_used_365d__distinct,
        cast(min(channels_used_365d) as {{ dbt.type_string() }}) as channels_used_365d__lowest,
        cast(max(channels_used_365d) as {{ dbt.type_string() }}) as channels_used_365d__highest,
        avg(channels_used_365d) as channels_used_365d__mean,
        count(email_reachable_members) as email_reachable_members__filled,
        count(distinct email_reachable_members) as email_reachable_members__distinct,
        cast(min(email_reachable_members) as {{ dbt.type_string() }}) as email_reachable_members__lowest,
        cast(max(email_reachable_members) as {{ dbt.type_string() }}) as email_reachable_members__highest,
        avg(email_reachable_members) as email_reachable_members__mean,
        count(gets_email_twice) as gets_email_twice__filled,
        count(distinct gets_email_twice) as gets_email_twice__distinct,
        cast(min(gets_email_twice) as {{ dbt.type_string() }}) as gets_email_twice__lowest,
        cast(max(gets_email_twice) as {{ dbt.type_string() }}) as gets_email_twice__highest,
        count(spend_365d) as spend_365d__filled,
        count(distinct spend_365d) as spend_365d__distinct,
        cast(min(spend_365d) as {{ dbt.type_string() }}) as spend_365d__lowest,
        cast(max(spend_365d) as {{ dbt.type_string() }}) as spend_365d__highest,
        avg(spend_365d) as spend_365d__mean,
        count(orders_365d) as orders_365d__filled,
        count(distinct orders_365d) as orders_365d__distinct,
        cast(min(orders_365d) as {{ dbt.type_string() }}) as orders_365d__lowest,
        cast(max(orders_365d) as {{ dbt.type_string() }}) as orders_365d__highest,
        avg(orders_365d) as orders_365d__mean,
        count(shopping_members_365d) as shopping_members_365d__filled,
        count(distinct shopping_members_365d) as shopping_members_365d__distinct,
        cast(min(shopping_members_365d) as {{ dbt.type_string() }}) as shopping_members_365d__lowest,
        cast(max(shopping_members_365d) as {{ dbt.type_string() }}) as shopping_members_365d__highest,
        avg(shopping_members_365d) as shopping_members_365d__mean,
        count(main_shopper_share) as main_shopper_share__filled,
        count(distinct main_shopper_share) as main_shopper_share__distinct,
        cast(min(main_shopper_share) as {{ dbt.type_string() }}) as main_shopper_share__lowest,
        cast(max(main_shopper_share) as {{ dbt.type_string() }}) as main_shopper_share__highest,
        avg(main_shopper_share) as main_shopper_share__mean,
        count(spend_trend) as spend_trend__filled,
        count(distinct spend_trend) as spend_trend__distinct,
        cast(min(spend_trend) as {{ dbt.type_string() }}) as spend_trend__lowest,
        cast(max(spend_trend) as {{ dbt.type_string() }}) as spend_trend__highest,
        count(distinctive_department) as distinctive_department__filled,
        count(distinct distinctive_department) as distinctive_department__distinct,
        cast(min(distinctive_department) as {{ dbt.type_string() }}) as distinctive_department__lowest,
        cast(max(distinctive_department) as {{ dbt.type_string() }}) as distinctive_department__highest,
        count(last_order_date) as last_order_date__filled,
        count(distinct last_order_date) as last_order_date__distinct,
        cast(min(last_order_date) as {{ dbt.type_string() }}) as last_order_date__lowest,
        cast(max(last_order_date) as {{ dbt.type_string() }}) as last_order_date__highest,
        count(members) as members__filled,
        count(distinct members) as members__distinct,
        cast(min(members) as {{ dbt.type_string() }}) as members__lowest,
        cast(max(members) as {{ dbt.type_string() }}) as members__highest,
        avg(members) as members__mean,
        count(active_members_90d) as active_members_90d__filled,
        count(distinct active_members_90d) as active_members_90d__distinct,
        cast(min(active_members_90d) as {{ dbt.type_string() }}) as active_members_90d__lowest,
        cast(max(active_members_90d) as {{ dbt.type_string() }}) as active_members_90d__highest,
        avg(active_members_90d) as active_members_90d__mean,
        count(has_children) as has_children__filled,
        count(distinct has_children) as has_children__distinct,
        cast(min(has_children) as {{ dbt.type_string() }}) as has_children__lowest,
        cast(max(has_children) as {{ dbt.type_string() }}) as has_children__highest,
        count(has_two_generations) as has_two_generations__filled,
        count(distinct has_two_generations) as has_two_generations__distinct,
        cast(min(has_two_generations) as {{ dbt.type_string() }}) as has_two_generations__lowest,
        cast(max(has_two_generations) as {{ dbt.type_string() }}) as has_two_generations__highest
    from {{ ref('household_tags') }}
),

product_aggregates as (
    select
        count(*) as objects,
        count(average_price_365d) as average_price_365d__filled,
        count(distinct average_price_365d) as average_price_365d__distinct,
        cast(min(average_price_365d) as {{ dbt.type_string() }}) as average_price_365d__lowest,
        cast(max(average_price_365d) as {{ dbt.type_string() }}) as average_price_365d__highest,
        avg(average_price_365d) as average_price_365d__mean,
        count(price_band) as price_band__filled,
        count(distinct price_band) as price_band__distinct,
        cast(min(price_band) as {{ dbt.type_string() }}) as price_band__lowest,
        cast(max(price_band) as {{ dbt.type_string() }}) as price_band__highest,
        count(is_private_label) as is_private_label__filled,
        count(distinct is_private_label) as is_private_label__distinct,
        cast(min(is_private_label) as {{ dbt.type_string() }}) as is_private_label__lowest,
        cast(max(is_private_label) as {{ dbt.type_string() }}) as is_private_label__highest,
        count(discounted_order_share) as discounted_order_share__filled,
        count(distinct discounted_order_share) as discounted_order_share__distinct,
        cast(min(discounted_order_share) as {{ dbt.type_string() }}) as discounted_order_share__lowest,
        cast(max(discounted_order_share) as {{ dbt.type_string() }}) as discounted_order_share__highest,
        avg(discounted_order_share) as discounted_order_share__mean,
        count(is_coupon_product) as is_coupon_product__filled,
        count(distinct is_coupon_product) as is_coupon_product__distinct,
        cast(min(is_coupon_product) as {{ dbt.type_string() }}) as is_coupon_product__lowest,
        cast(max(is_coupon_product) as {{ dbt.type_string() }}) as is_coupon_product__highest,
        count(sales_365d) as sales_365d__filled,
        count(distinct sales_365d) as sales_365d__distinct,
        cast(min(sales_365d) as {{ dbt.type_string() }}) as sales_365d__lowest,
        cast(max(sales_365d) as {{ dbt.type_string() }}) as sales_365d__highest,
        avg(sales_365d) as sales_365d__mean,
        count(orders_365d) as orders_365d__filled,
        count(distinct orders_365d) as orders_365d__distinct,
        cast(min(orders_365d) as {{ dbt.type_string() }}) as orders_365d__lowest,
        cast(max(orders_365d) as {{ dbt.type_string() }}) as orders_365d__highest,
        avg(orders_365d) as orders_365d__mean,
        count(buyers_90d) as buyers_90d__filled,
        count(distinct buyers_90d) as buyers_90d__distinct,
        cast(min(buyers_90d) as {{ dbt.type_string() }}) as buyers_90d__lowest,
        cast(max(buyers_90d) as {{ dbt.type_string() }}) as buyers_90d__highest,
        avg(buyers_90d) as buyers_90d__mean,
        count(sales_decile) as sales_decile__filled,
        count(distinct sales_decile) as sales_decile__distinct,
        cast(min(sales_decile) as {{ dbt.type_string() }}) as sales_decile__lowest,
        cast(max(sales_decile) as {{ dbt.type_string() }}) as sales_decile__highest,
        avg(sales_decile) as sales_decile__mean,
        count(repeat_purchase_share) as repeat_purchase_share__filled,
        count(distinct repeat_purchase_share) as repeat_purchase_share__distinct,
        cast(min(repeat_purchase_share) as {{ dbt.type_string() }}) as repeat_purchase_share__lowest,
        cast(max(repeat_purchase_share) as {{ dbt.type_string() }}) as repeat_purchase_share__highest,
        avg(repeat_purchase_share) as repeat_purchase_share__mean,
        count(sales_trend) as sales_trend__filled,
        count(distinct sales_trend) as sales_trend__distinct,
        cast(min(sales_trend) as {{ dbt.type_string() }}) as sales_trend__lowest,
        cast(max(sales_trend) as {{ dbt.type_string() }}) as sales_trend__highest,
        count(last_sold_date) as last_sold_date__filled,
        count(distinct last_sold_date) as last_sold_date__distinct,
        cast(min(last_sold_date) as {{ dbt.type_string() }}) as last_sold_date__lowest,
        cast(max(last_sold_date) as {{ dbt.type_string() }}) as last_sold_date__highest
    from {{ ref('product_tags') }}
),

store_aggregates as (
    select
        count(*) as objects,
        count(top_department) as top_department__filled,
        count(distinct top_department) as top_department__distinct,
        cast(min(top_department) as {{ dbt.type_string() }}) as top_department__lowest,
        cast(max(top_department) as {{ dbt.type_string() }}) as top_department__highest,
        count(private_label_share) as private_label_share__filled,
        count(distinct private_label_share) as private_label_share__distinct,
        cast(min(private_label_share) as {{ dbt.type_string() }}) as private_label_share__lowest,
        cast(max(private_label_share) as {{ dbt.type_string() }}) as private_label_share__highest,
        avg(private_label_share) as private_label_share__mean,
        count(sells_fuel) as sells_fuel__filled,
        count(distinct sells_fuel) as sells_fuel__distinct,
        cast(min(sells_fuel) as {{ dbt.type_string() }}) as sells_fuel__lowest,
        cast(max(sells_fuel) as {{ dbt.type_string() }}) as sells_fuel__highest,
        count(sales_365d) as sales_365d__filled,
        count(distinct sales_365d) as sales_365d__distinct,
        cast(min(sales_365d) as {{ dbt.type_string() }}) as sales_365d__lowest,
        cast(max(sales_365d) as {{ dbt.type_string() }}) as sales_365d__highest,
        avg(sales_365d) as sales_365d__mean,
        count(orders_365d) as orders_365d__filled,
        count(distinct orders_365d) as orders_365d__distinct,
        cast(min(orders_365d) as {{ dbt.type_string() }}) as orders_365d__lowest,
        cast(max(orders_365d) as {{ dbt.type_string() }}) as orders_365d__highest,
        avg(orders_365d) as orders_365d__mean,
        count(orders_90d) as orders_90d__filled,
        count(distinct orders_90d) as orders_90d__distinct,
        cast(min(orders_90d) as {{ dbt.type_string() }}) as orders_90d__lowest,
        cast(max(orders_90d) as {{ dbt.type_string() }}) as orders_90d__highest,
        avg(orders_90d) as orders_90d__mean,
        count(buyers_90d) as buyers_90d__filled,
        count(distinct buyers_90d) as buyers_90d__distinct,
        cast(min(buyers_90d) as {{ dbt.type_string() }}) as buyers_90d__lowest,
        cast(max(buyers_90d) as {{ dbt.type_string() }}) as buyers_90d__highest,
        avg(buyers_90d) as buyers_90d__mean,
        count(average_basket_365d) as average_basket_365d__filled,
        count(distinct average_basket_365d) as average_basket_365d__distinct,
        cast(min(average_basket_365d) as {{ dbt.type_string() }}) as average_basket_365d__lowest,
        cast(max(average_basket_365d) as {{ dbt.type_string() }}) as average_basket_365d__highest,
        avg(average_basket_365d) as average_basket_365d__mean,
        count(sales_decile) as sales_decile__filled,
        count(distinct sales_decile) as sales_decile__distinct,
        cast(min(sales_decile) as {{ dbt.type_string() }}) as sales_decile__lowest,
        cast(max(sales_decile) as {{ dbt.type_string() }}) as sales_decile__highest,
        avg(sales_decile) as sales_decile__mean,
        count(sales_trend) as sales_trend__filled,
        count(distinct sales_trend) as sales_trend__distinct,
        cast(min(sales_trend) as {{ dbt.type_string() }}) as sales_trend__lowest,
        cast(max(sales_trend) as {{ dbt.type_string() }}) as sales_trend__highest,
        count(busiest_weekday) as busiest_weekday__filled,
        count(distinct busiest_weekday) as busiest_weekday__distinct,
        cast(min(busiest_weekday) as {{ dbt.type_string() }}) as busiest_weekday__lowest,
        cast(max(busiest_weekday) as {{ dbt.type_string() }}) as busiest_weekday__highest,
        count(last_order_date) as last_order_date__filled,
        count(distinct last_order_date) as last_order_date__distinct,
        cast(min(last_order_date) as {{ dbt.type_string() }}) as last_order_date__lowest,
        cast(max(last_order_date) as {{ dbt.type_string() }}) as last_order_date__highest,
        count(wifi_visits_90d) as wifi_visits_90d__filled,
        count(distinct wifi_visits_90d) as wifi_visits_90d__distinct,
        cast(min(wifi_visits_90d) as {{ dbt.type_string() }}) as wifi_visits_90d__lowest,
        cast(max(wifi_visits_90d) as {{ dbt.type_string() }}) as wifi_visits_90d__highest,
        avg(wifi_visits_90d) as wifi_visits_90d__mean,
        count(average_visit_minutes_90d) as average_visit_minutes_90d__filled,
        count(distinct average_visit_minutes_90d) as average_visit_minutes_90d__distinct,
        cast(min(average_visit_minutes_90d) as {{ dbt.type_string() }}) as average_visit_minutes_90d__lowest,
        cast(max(average_visit_minutes_90d) as {{ dbt.type_string() }}) as average_visit_minutes_90d__highest,
        avg(average_visit_minutes_90d) as average_visit_minutes_90d__mean,
        count(checkout_share_90d) as checkout_share_90d__filled,
        count(distinct checkout_share_90d) as checkout_share_90d__distinct,
        cast(min(checkout_share_90d) as {{ dbt.type_string() }}) as checkout_share_90d__lowest,
        cast(max(checkout_share_90d) as {{ dbt.type_string() }}) as checkout_share_90d__highest,
        avg(checkout_share_90d) as checkout_share_90d__mean
    from {{ ref('store_tags') }}
),

statistics as (
    select
        'person' as object,
        'has_abandoned_cart_30d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_abandoned_cart_30d__filled as filled,
        has_abandoned_cart_30d__filled / cast(nullif(objects, 0) as double) as coverage,
        has_abandoned_cart_30d__distinct as distinct_values,
        has_abandoned_cart_30d__lowest as lowest_value,
        has_abandoned_cart_30d__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'abandoned_carts_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        abandoned_carts_365d__filled as filled,
        abandoned_carts_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        abandoned_carts_365d__distinct as distinct_values,
        abandoned_carts_365d__lowest as lowest_value,
        abandoned_carts_365d__highest as highest_value,
        cast(abandoned_carts_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'cart_abandonment_rate' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        cart_abandonment_rate__filled as filled,
        cart_abandonment_rate__filled / cast(nullif(objects, 0) as double) as coverage,
        cart_abandonment_rate__distinct as distinct_values,
        cart_abandonment_rate__lowest as lowest_value,
        cart_abandonment_rate__highest as highest_value,
        cast(cart_abandonment_rate__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'last_abandoned_cart_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_abandoned_cart_date__filled as filled,
        last_abandoned_cart_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_abandoned_cart_date__distinct as distinct_values,
        last_abandoned_cart_date__lowest as lowest_value,
        last_abandoned_cart_date__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'failed_payments_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        failed_payments_365d__filled as filled,
        failed_payments_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        failed_payments_365d__distinct as distinct_values,
        failed_payments_365d__lowest as lowest_value,
        failed_payments_365d__highest as highest_value,
        cast(failed_payments_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'wifi_visits_30d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        wifi_visits_30d__filled as filled,
        wifi_visits_30d__filled / cast(nullif(objects, 0) as double) as coverage,
        wifi_visits_30d__distinct as distinct_values,
        wifi_visits_30d__lowest as lowest_value,
        wifi_visits_30d__highest as highest_value,
        cast(wifi_visits_30d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'wifi_visits_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        wifi_visits_90d__filled as filled,
        wifi_visits_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        wifi_visits_90d__distinct as distinct_values,
        wifi_visits_90d__lowest as lowest_value,
        wifi_visits_90d__highest as highest_value,
        cast(wifi_visits_90d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'last_wifi_visit_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_wifi_visit_date__filled as filled,
        last_wifi_visit_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_wifi_visit_date__distinct as distinct_values,
        last_wifi_visit_date__lowest as lowest_value,
        last_wifi_visit_date__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'average_visit_minutes' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        average_visit_minutes__filled as filled,
        average_visit_minutes__filled / cast(nullif(objects, 0) as double) as coverage,
        average_visit_minutes__distinct as distinct_values,
        average_visit_minutes__lowest as lowest_value,
        average_visit_minutes__highest as highest_value,
        cast(average_visit_minutes__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'browsing_visit_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        browsing_visit_share__filled as filled,
        browsing_visit_share__filled / cast(nullif(objects, 0) as double) as coverage,
        browsing_visit_share__distinct as distinct_values,
        browsing_visit_share__lowest as lowest_value,
        browsing_visit_share__highest as highest_value,
        cast(browsing_visit_share__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'web_sessions_30d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        web_sessions_30d__filled as filled,
        web_sessions_30d__filled / cast(nullif(objects, 0) as double) as coverage,
        web_sessions_30d__distinct as distinct_values,
        web_sessions_30d__lowest as lowest_value,
        web_sessions_30d__highest as highest_value,
        cast(web_sessions_30d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'web_sessions_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        web_sessions_90d__filled as filled,
        web_sessions_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        web_sessions_90d__distinct as distinct_values,
        web_sessions_90d__lowest as lowest_value,
        web_sessions_90d__highest as highest_value,
        cast(web_sessions_90d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'web_sessions_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        web_sessions_365d__filled as filled,
        web_sessions_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        web_sessions_365d__distinct as distinct_values,
        web_sessions_365d__lowest as lowest_value,
        web_sessions_365d__highest as highest_value,
        cast(web_sessions_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'last_web_visit_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_web_visit_date__filled as filled,
        last_web_visit_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_web_visit_date__distinct as distinct_values,
        last_web_visit_date__lowest as lowest_value,
        last_web_visit_date__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'web_searches_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        web_searches_365d__filled as filled,
        web_searches_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        web_searches_365d__distinct as distinct_values,
        web_searches_365d__lowest as lowest_value,
        web_searches_365d__highest as highest_value,
        cast(web_searches_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'wishlist_adds_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        wishlist_adds_365d__filled as filled,
        wishlist_adds_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        wishlist_adds_365d__distinct as distinct_values,
        wishlist_adds_365d__lowest as lowest_value,
        wishlist_adds_365d__highest as highest_value,
        cast(wishlist_adds_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'product_views_per_session' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        product_views_per_session__filled as filled,
        product_views_per_session__filled / cast(nullif(objects, 0) as double) as coverage,
        product_views_per_session__distinct as distinct_values,
        product_views_per_session__lowest as lowest_value,
        product_views_per_session__highest as highest_value,
        cast(product_views_per_session__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'usual_web_platform' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        usual_web_platform__filled as filled,
        usual_web_platform__filled / cast(nullif(objects, 0) as double) as coverage,
        usual_web_platform__distinct as distinct_values,
        usual_web_platform__lowest as lowest_value,
        usual_web_platform__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'usual_web_entry' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        usual_web_entry__filled as filled,
        usual_web_entry__filled / cast(nullif(objects, 0) as double) as coverage,
        usual_web_entry__distinct as distinct_values,
        usual_web_entry__lowest as lowest_value,
        usual_web_entry__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'has_active_card' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_active_card__filled as filled,
        has_active_card__filled / cast(nullif(objects, 0) as double) as coverage,
        has_active_card__distinct as distinct_values,
        has_active_card__lowest as lowest_value,
        has_active_card__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'has_web_account' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_web_account__filled as filled,
        has_web_account__filled / cast(nullif(objects, 0) as double) as coverage,
        has_web_account__distinct as distinct_values,
        has_web_account__lowest as lowest_value,
        has_web_account__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'has_app' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_app__filled as filled,
        has_app__filled / cast(nullif(objects, 0) as double) as coverage,
        has_app__distinct as distinct_values,
        has_app__lowest as lowest_value,
        has_app__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'has_wifi_device' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_wifi_device__filled as filled,
        has_wifi_device__filled / cast(nullif(objects, 0) as double) as coverage,
        has_wifi_device__distinct as distinct_values,
        has_wifi_device__lowest as lowest_value,
        has_wifi_device__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_email_reachable' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_email_reachable__filled as filled,
        is_email_reachable__filled / cast(nullif(objects, 0) as double) as coverage,
        is_email_reachable__distinct as distinct_values,
        is_email_reachable__lowest as lowest_value,
        is_email_reachable__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_phone_reachable' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_phone_reachable__filled as filled,
        is_phone_reachable__filled / cast(nullif(objects, 0) as double) as coverage,
        is_phone_reachable__distinct as distinct_values,
        is_phone_reachable__lowest as lowest_value,
        is_phone_reachable__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_push_reachable' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_push_reachable__filled as filled,
        is_push_reachable__filled / cast(nullif(objects, 0) as double) as coverage,
        is_push_reachable__distinct as distinct_values,
        is_push_reachable__lowest as lowest_value,
        is_push_reachable__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'email_consent' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        email_consent__filled as filled,
        email_consent__filled / cast(nullif(objects, 0) as double) as coverage,
        email_consent__distinct as distinct_values,
        email_consent__lowest as lowest_value,
        email_consent__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'wants_newsletter' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        wants_newsletter__filled as filled,
        wants_newsletter__filled / cast(nullif(objects, 0) as double) as coverage,
        wants_newsletter__distinct as distinct_values,
        wants_newsletter__lowest as lowest_value,
        wants_newsletter__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'app_platform' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        app_platform__filled as filled,
        app_platform__filled / cast(nullif(objects, 0) as double) as coverage,
        app_platform__distinct as distinct_values,
        app_platform__lowest as lowest_value,
        app_platform__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'channels_used_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        channels_used_365d__filled as filled,
        channels_used_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        channels_used_365d__distinct as distinct_values,
        channels_used_365d__lowest as lowest_value,
        channels_used_365d__highest as highest_value,
        cast(channels_used_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'dominant_channel' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        dominant_channel__filled as filled,
        dominant_channel__filled / cast(nullif(objects, 0) as double) as coverage,
        dominant_channel__distinct as distinct_values,
        dominant_channel__lowest as lowest_value,
        dominant_channel__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_multichannel' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_multichannel__filled as filled,
        is_multichannel__filled / cast(nullif(objects, 0) as double) as coverage,
        is_multichannel__distinct as distinct_values,
        is_multichannel__lowest as lowest_value,
        is_multichannel__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'shopping_days_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        shopping_days_365d__filled as filled,
        shopping_days_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        shopping_days_365d__distinct as distinct_values,
        shopping_days_365d__lowest as lowest_value,
        shopping_days_365d__highest as highest_value,
        cast(shopping_days_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'purchase_interval_days' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        purchase_interval_days__filled as filled,
        purchase_interval_days__filled / cast(nullif(objects, 0) as double) as coverage,
        purchase_interval_days__distinct as distinct_values,
        purchase_interval_days__lowest as lowest_value,
        purchase_interval_days__highest as highest_value,
        cast(purchase_interval_days__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'purchase_rhythm' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        purchase_rhythm__filled as filled,
        purchase_rhythm__filled / cast(nullif(objects, 0) as double) as coverage,
        purchase_rhythm__distinct as distinct_values,
        purchase_rhythm__lowest as lowest_value,
        purchase_rhythm__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'orders_30d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        orders_30d__filled as filled,
        orders_30d__filled / cast(nullif(objects, 0) as double) as coverage,
        orders_30d__distinct as distinct_values,
        orders_30d__lowest as lowest_value,
        orders_30d__highest as highest_value,
        cast(orders_30d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'orders_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        orders_90d__filled as filled,
        orders_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        orders_90d__distinct as distinct_values,
        orders_90d__lowest as lowest_value,
        orders_90d__highest as highest_value,
        cast(orders_90d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'orders_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        orders_365d__filled as filled,
        orders_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        orders_365d__distinct as distinct_values,
        orders_365d__lowest as lowest_value,
        orders_365d__highest as highest_value,
        cast(orders_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'spend_30d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_30d__filled as filled,
        spend_30d__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_30d__distinct as distinct_values,
        spend_30d__lowest as lowest_value,
        spend_30d__highest as highest_value,
        cast(spend_30d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'spend_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_90d__filled as filled,
        spend_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_90d__distinct as distinct_values,
        spend_90d__lowest as lowest_value,
        spend_90d__highest as highest_value,
        cast(spend_90d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'spend_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_365d__filled as filled,
        spend_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_365d__distinct as distinct_values,
        spend_365d__lowest as lowest_value,
        spend_365d__highest as highest_value,
        cast(spend_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'average_basket_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        average_basket_365d__filled as filled,
        average_basket_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        average_basket_365d__distinct as distinct_values,
        average_basket_365d__lowest as lowest_value,
        average_basket_365d__highest as highest_value,
        cast(average_basket_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'largest_basket_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        largest_basket_365d__filled as filled,
        largest_basket_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        largest_basket_365d__distinct as distinct_values,
        largest_basket_365d__lowest as lowest_value,
        largest_basket_365d__highest as highest_value,
        cast(largest_basket_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'units_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        units_365d__filled as filled,
        units_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        units_365d__distinct as distinct_values,
        units_365d__lowest as lowest_value,
        units_365d__highest as highest_value,
        cast(units_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_fuel_buyer' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_fuel_buyer__filled as filled,
        is_fuel_buyer__filled / cast(nullif(objects, 0) as double) as coverage,
        is_fuel_buyer__distinct as distinct_values,
        is_fuel_buyer__lowest as lowest_value,
        is_fuel_buyer__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'fuel_spend_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        fuel_spend_365d__filled as filled,
        fuel_spend_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        fuel_spend_365d__distinct as distinct_values,
        fuel_spend_365d__lowest as lowest_value,
        fuel_spend_365d__highest as highest_value,
        cast(fuel_spend_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'spend_trend' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_trend__filled as filled,
        spend_trend__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_trend__distinct as distinct_values,
        spend_trend__lowest as lowest_value,
        spend_trend__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'distinct_products_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        distinct_products_365d__filled as filled,
        distinct_products_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        distinct_products_365d__distinct as distinct_values,
        distinct_products_365d__lowest as lowest_value,
        distinct_products_365d__highest as highest_value,
        cast(distinct_products_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'departments_shopped_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        departments_shopped_365d__filled as filled,
        departments_shopped_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        departments_shopped_365d__distinct as distinct_values,
        departments_shopped_365d__lowest as lowest_value,
        departments_shopped_365d__highest as highest_value,
        cast(departments_shopped_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'repeat_product_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        repeat_product_share__filled as filled,
        repeat_product_share__filled / cast(nullif(objects, 0) as double) as coverage,
        repeat_product_share__distinct as distinct_values,
        repeat_product_share__lowest as lowest_value,
        repeat_product_share__highest as highest_value,
        cast(repeat_product_share__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'income_band' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        income_band__filled as filled,
        income_band__filled / cast(nullif(objects, 0) as double) as coverage,
        income_band__distinct as distinct_values,
        income_band__lowest as lowest_value,
        income_band__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'income_tier' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        income_tier__filled as filled,
        income_tier__filled / cast(nullif(objects, 0) as double) as coverage,
        income_tier__distinct as distinct_values,
        income_tier__lowest as lowest_value,
        income_tier__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'household_size' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        household_size__filled as filled,
        household_size__filled / cast(nullif(objects, 0) as double) as coverage,
        household_size__distinct as distinct_values,
        household_size__lowest as lowest_value,
        household_size__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'household_type' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        household_type__filled as filled,
        household_type__filled / cast(nullif(objects, 0) as double) as coverage,
        household_type__distinct as distinct_values,
        household_type__lowest as lowest_value,
        household_type__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'kids_count' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        kids_count__filled as filled,
        kids_count__filled / cast(nullif(objects, 0) as double) as coverage,
        kids_count__distinct as distinct_values,
        kids_count__lowest as lowest_value,
        kids_count__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'has_kids' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_kids__filled as filled,
        has_kids__filled / cast(nullif(objects, 0) as double) as coverage,
        has_kids__distinct as distinct_values,
        has_kids__lowest as lowest_value,
        has_kids__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'home_ownership' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        home_ownership__filled as filled,
        home_ownership__filled / cast(nullif(objects, 0) as double) as coverage,
        home_ownership__distinct as distinct_values,
        home_ownership__lowest as lowest_value,
        home_ownership__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'marital_status' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        marital_status__filled as filled,
        marital_status__filled / cast(nullif(objects, 0) as double) as coverage,
        marital_status__distinct as distinct_values,
        marital_status__lowest as lowest_value,
        marital_status__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'age_band' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        age_band__filled as filled,
        age_band__filled / cast(nullif(objects, 0) as double) as coverage,
        age_band__distinct as distinct_values,
        age_band__lowest as lowest_value,
        age_band__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'generation' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        generation__filled as filled,
        generation__filled / cast(nullif(objects, 0) as double) as coverage,
        generation__distinct as distinct_values,
        generation__lowest as lowest_value,
        generation__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'birthday_month' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        birthday_month__filled as filled,
        birthday_month__filled / cast(nullif(objects, 0) as double) as coverage,
        birthday_month__distinct as distinct_values,
        birthday_month__lowest as lowest_value,
        birthday_month__highest as highest_value,
        cast(birthday_month__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'state' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        state__filled as filled,
        state__filled / cast(nullif(objects, 0) as double) as coverage,
        state__distinct as distinct_values,
        state__lowest as lowest_value,
        state__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'postcode_area' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        postcode_area__filled as filled,
        postcode_area__filled / cast(nullif(objects, 0) as double) as coverage,
        postcode_area__distinct as distinct_values,
        postcode_area__lowest as lowest_value,
        postcode_area__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'membership_years' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        membership_years__filled as filled,
        membership_years__filled / cast(nullif(objects, 0) as double) as coverage,
        membership_years__distinct as distinct_values,
        membership_years__lowest as lowest_value,
        membership_years__highest as highest_value,
        cast(membership_years__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'household_id' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        household_id__filled as filled,
        household_id__filled / cast(nullif(objects, 0) as double) as coverage,
        household_id__distinct as distinct_values,
        household_id__lowest as lowest_value,
        household_id__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'household_members' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        household_members__filled as filled,
        household_members__filled / cast(nullif(objects, 0) as double) as coverage,
        household_members__distinct as distinct_values,
        household_members__lowest as lowest_value,
        household_members__highest as highest_value,
        cast(household_members__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_in_household' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_in_household__filled as filled,
        is_in_household__filled / cast(nullif(objects, 0) as double) as coverage,
        is_in_household__distinct as distinct_values,
        is_in_household__lowest as lowest_value,
        is_in_household__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'usual_weekday' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        usual_weekday__filled as filled,
        usual_weekday__filled / cast(nullif(objects, 0) as double) as coverage,
        usual_weekday__distinct as distinct_values,
        usual_weekday__lowest as lowest_value,
        usual_weekday__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'usual_part_of_day' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        usual_part_of_day__filled as filled,
        usual_part_of_day__filled / cast(nullif(objects, 0) as double) as coverage,
        usual_part_of_day__distinct as distinct_values,
        usual_part_of_day__lowest as lowest_value,
        usual_part_of_day__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'weekend_order_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        weekend_order_share__filled as filled,
        weekend_order_share__filled / cast(nullif(objects, 0) as double) as coverage,
        weekend_order_share__distinct as distinct_values,
        weekend_order_share__lowest as lowest_value,
        weekend_order_share__highest as highest_value,
        cast(weekend_order_share__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_weekend_shopper' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_weekend_shopper__filled as filled,
        is_weekend_shopper__filled / cast(nullif(objects, 0) as double) as coverage,
        is_weekend_shopper__distinct as distinct_values,
        is_weekend_shopper__lowest as lowest_value,
        is_weekend_shopper__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'first_order_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        first_order_date__filled as filled,
        first_order_date__filled / cast(nullif(objects, 0) as double) as coverage,
        first_order_date__distinct as distinct_values,
        first_order_date__lowest as lowest_value,
        first_order_date__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'last_order_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_order_date__filled as filled,
        last_order_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_order_date__distinct as distinct_values,
        last_order_date__lowest as lowest_value,
        last_order_date__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'days_since_last_order' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        days_since_last_order__filled as filled,
        days_since_last_order__filled / cast(nullif(objects, 0) as double) as coverage,
        days_since_last_order__distinct as distinct_values,
        days_since_last_order__lowest as lowest_value,
        days_since_last_order__highest as highest_value,
        cast(days_since_last_order__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'expected_cycle_days' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        expected_cycle_days__filled as filled,
        expected_cycle_days__filled / cast(nullif(objects, 0) as double) as coverage,
        expected_cycle_days__distinct as distinct_values,
        expected_cycle_days__lowest as lowest_value,
        expected_cycle_days__highest as highest_value,
        cast(expected_cycle_days__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'silence_ratio' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        silence_ratio__filled as filled,
        silence_ratio__filled / cast(nullif(objects, 0) as double) as coverage,
        silence_ratio__distinct as distinct_values,
        silence_ratio__lowest as lowest_value,
        silence_ratio__highest as highest_value,
        cast(silence_ratio__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'lifecycle_stage' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        lifecycle_stage__filled as filled,
        lifecycle_stage__filled / cast(nullif(objects, 0) as double) as coverage,
        lifecycle_stage__distinct as distinct_values,
        lifecycle_stage__lowest as lowest_value,
        lifecycle_stage__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_due_for_purchase' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_due_for_purchase__filled as filled,
        is_due_for_purchase__filled / cast(nullif(objects, 0) as double) as coverage,
        is_due_for_purchase__distinct as distinct_values,
        is_due_for_purchase__lowest as lowest_value,
        is_due_for_purchase__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'campaigns_received' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        campaigns_received__filled as filled,
        campaigns_received__filled / cast(nullif(objects, 0) as double) as coverage,
        campaigns_received__distinct as distinct_values,
        campaigns_received__lowest as lowest_value,
        campaigns_received__highest as highest_value,
        cast(campaigns_received__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'campaigns_received_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        campaigns_received_90d__filled as filled,
        campaigns_received_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        campaigns_received_90d__distinct as distinct_values,
        campaigns_received_90d__lowest as lowest_value,
        campaigns_received_90d__highest as highest_value,
        cast(campaigns_received_90d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_in_campaign' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_in_campaign__filled as filled,
        is_in_campaign__filled / cast(nullif(objects, 0) as double) as coverage,
        is_in_campaign__distinct as distinct_values,
        is_in_campaign__lowest as lowest_value,
        is_in_campaign__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'coupons_redeemed_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        coupons_redeemed_365d__filled as filled,
        coupons_redeemed_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        coupons_redeemed_365d__distinct as distinct_values,
        coupons_redeemed_365d__lowest as lowest_value,
        coupons_redeemed_365d__highest as highest_value,
        cast(coupons_redeemed_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'last_redemption_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_redemption_date__filled as filled,
        last_redemption_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_redemption_date__distinct as distinct_values,
        last_redemption_date__lowest as lowest_value,
        last_redemption_date__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'campaign_response_rate' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        campaign_response_rate__filled as filled,
        campaign_response_rate__filled / cast(nullif(objects, 0) as double) as coverage,
        campaign_response_rate__distinct as distinct_values,
        campaign_response_rate__lowest as lowest_value,
        campaign_response_rate__highest as highest_value,
        cast(campaign_response_rate__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'coupon_affinity' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        coupon_affinity__filled as filled,
        coupon_affinity__filled / cast(nullif(objects, 0) as double) as coverage,
        coupon_affinity__distinct as distinct_values,
        coupon_affinity__lowest as lowest_value,
        coupon_affinity__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'favourite_department' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        favourite_department__filled as filled,
        favourite_department__filled / cast(nullif(objects, 0) as double) as coverage,
        favourite_department__distinct as distinct_values,
        favourite_department__lowest as lowest_value,
        favourite_department__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'favourite_department_index' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        favourite_department_index__filled as filled,
        favourite_department_index__filled / cast(nullif(objects, 0) as double) as coverage,
        favourite_department_index__distinct as distinct_values,
        favourite_department_index__lowest as lowest_value,
        favourite_department_index__highest as highest_value,
        cast(favourite_department_index__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'favourite_category' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        favourite_category__filled as filled,
        favourite_category__filled / cast(nullif(objects, 0) as double) as coverage,
        favourite_category__distinct as distinct_values,
        favourite_category__lowest as lowest_value,
        favourite_category__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'favourite_category_index' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        favourite_category_index__filled as filled,
        favourite_category_index__filled / cast(nullif(objects, 0) as double) as coverage,
        favourite_category_index__distinct as distinct_values,
        favourite_category_index__lowest as lowest_value,
        favourite_category_index__highest as highest_value,
        cast(favourite_category_index__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'distinctive_department' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        distinctive_department__filled as filled,
        distinctive_department__filled / cast(nullif(objects, 0) as double) as coverage,
        distinctive_department__distinct as distinct_values,
        distinctive_department__lowest as lowest_value,
        distinctive_department__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'distinctive_department_lift' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        distinctive_department_lift__filled as filled,
        distinctive_department_lift__filled / cast(nullif(objects, 0) as double) as coverage,
        distinctive_department_lift__distinct as distinct_values,
        distinctive_department_lift__lowest as lowest_value,
        distinctive_department_lift__highest as highest_value,
        cast(distinctive_department_lift__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'private_label_index' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        private_label_index__filled as filled,
        private_label_index__filled / cast(nullif(objects, 0) as double) as coverage,
        private_label_index__distinct as distinct_values,
        private_label_index__lowest as lowest_value,
        private_label_index__highest as highest_value,
        cast(private_label_index__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'brand_kind_preference' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        brand_kind_preference__filled as filled,
        brand_kind_preference__filled / cast(nullif(objects, 0) as double) as coverage,
        brand_kind_preference__distinct as distinct_values,
        brand_kind_preference__lowest as lowest_value,
        brand_kind_preference__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'discount_index' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        discount_index__filled as filled,
        discount_index__filled / cast(nullif(objects, 0) as double) as coverage,
        discount_index__distinct as distinct_values,
        discount_index__lowest as lowest_value,
        discount_index__highest as highest_value,
        cast(discount_index__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'discount_affinity' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        discount_affinity__filled as filled,
        discount_affinity__filled / cast(nullif(objects, 0) as double) as coverage,
        discount_affinity__distinct as distinct_values,
        discount_affinity__lowest as lowest_value,
        discount_affinity__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'saved_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        saved_365d__filled as filled,
        saved_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        saved_365d__distinct as distinct_values,
        saved_365d__lowest as lowest_value,
        saved_365d__highest as highest_value,
        cast(saved_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'coupon_order_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        coupon_order_share__filled as filled,
        coupon_order_share__filled / cast(nullif(objects, 0) as double) as coverage,
        coupon_order_share__distinct as distinct_values,
        coupon_order_share__lowest as lowest_value,
        coupon_order_share__highest as highest_value,
        cast(coupon_order_share__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'favourite_store_id' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        favourite_store_id__filled as filled,
        favourite_store_id__filled / cast(nullif(objects, 0) as double) as coverage,
        favourite_store_id__distinct as distinct_values,
        favourite_store_id__lowest as lowest_value,
        favourite_store_id__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'favourite_store_index' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        favourite_store_index__filled as filled,
        favourite_store_index__filled / cast(nullif(objects, 0) as double) as coverage,
        favourite_store_index__distinct as distinct_values,
        favourite_store_index__lowest as lowest_value,
        favourite_store_index__highest as highest_value,
        cast(favourite_store_index__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'stores_shopped_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        stores_shopped_365d__filled as filled,
        stores_shopped_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        stores_shopped_365d__distinct as distinct_values,
        stores_shopped_365d__lowest as lowest_value,
        stores_shopped_365d__highest as highest_value,
        cast(stores_shopped_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'tickets_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        tickets_365d__filled as filled,
        tickets_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        tickets_365d__distinct as distinct_values,
        tickets_365d__lowest as lowest_value,
        tickets_365d__highest as highest_value,
        cast(tickets_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'has_open_ticket' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_open_ticket__filled as filled,
        has_open_ticket__filled / cast(nullif(objects, 0) as double) as coverage,
        has_open_ticket__distinct as distinct_values,
        has_open_ticket__lowest as lowest_value,
        has_open_ticket__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'last_ticket_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_ticket_date__filled as filled,
        last_ticket_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_ticket_date__distinct as distinct_values,
        last_ticket_date__lowest as lowest_value,
        last_ticket_date__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'main_ticket_topic' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        main_ticket_topic__filled as filled,
        main_ticket_topic__filled / cast(nullif(objects, 0) as double) as coverage,
        main_ticket_topic__distinct as distinct_values,
        main_ticket_topic__lowest as lowest_value,
        main_ticket_topic__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'average_satisfaction' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        average_satisfaction__filled as filled,
        average_satisfaction__filled / cast(nullif(objects, 0) as double) as coverage,
        average_satisfaction__distinct as distinct_values,
        average_satisfaction__lowest as lowest_value,
        average_satisfaction__highest as highest_value,
        cast(average_satisfaction__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'last_satisfaction' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_satisfaction__filled as filled,
        last_satisfaction__filled / cast(nullif(objects, 0) as double) as coverage,
        last_satisfaction__distinct as distinct_values,
        last_satisfaction__lowest as lowest_value,
        last_satisfaction__highest as highest_value,
        cast(last_satisfaction__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'average_resolution_hours' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        average_resolution_hours__filled as filled,
        average_resolution_hours__filled / cast(nullif(objects, 0) as double) as coverage,
        average_resolution_hours__distinct as distinct_values,
        average_resolution_hours__lowest as lowest_value,
        average_resolution_hours__highest as highest_value,
        cast(average_resolution_hours__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'is_unhappy' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_unhappy__filled as filled,
        is_unhappy__filled / cast(nullif(objects, 0) as double) as coverage,
        is_unhappy__distinct as distinct_values,
        is_unhappy__lowest as lowest_value,
        is_unhappy__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'recency_score' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        recency_score__filled as filled,
        recency_score__filled / cast(nullif(objects, 0) as double) as coverage,
        recency_score__distinct as distinct_values,
        recency_score__lowest as lowest_value,
        recency_score__highest as highest_value,
        cast(recency_score__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'frequency_score' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        frequency_score__filled as filled,
        frequency_score__filled / cast(nullif(objects, 0) as double) as coverage,
        frequency_score__distinct as distinct_values,
        frequency_score__lowest as lowest_value,
        frequency_score__highest as highest_value,
        cast(frequency_score__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'monetary_score' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        monetary_score__filled as filled,
        monetary_score__filled / cast(nullif(objects, 0) as double) as coverage,
        monetary_score__distinct as distinct_values,
        monetary_score__lowest as lowest_value,
        monetary_score__highest as highest_value,
        cast(monetary_score__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'rfm_cell' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        rfm_cell__filled as filled,
        rfm_cell__filled / cast(nullif(objects, 0) as double) as coverage,
        rfm_cell__distinct as distinct_values,
        rfm_cell__lowest as lowest_value,
        rfm_cell__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'rfm_segment' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        rfm_segment__filled as filled,
        rfm_segment__filled / cast(nullif(objects, 0) as double) as coverage,
        rfm_segment__distinct as distinct_values,
        rfm_segment__lowest as lowest_value,
        rfm_segment__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'lifetime_spend' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        lifetime_spend__filled as filled,
        lifetime_spend__filled / cast(nullif(objects, 0) as double) as coverage,
        lifetime_spend__distinct as distinct_values,
        lifetime_spend__lowest as lowest_value,
        lifetime_spend__highest as highest_value,
        cast(lifetime_spend__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'spend_decile_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_decile_365d__filled as filled,
        spend_decile_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_decile_365d__distinct as distinct_values,
        spend_decile_365d__lowest as lowest_value,
        spend_decile_365d__highest as highest_value,
        cast(spend_decile_365d__mean as double) as mean_value
    from person_aggregates
    union all
    select
        'person' as object,
        'spend_tier' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_tier__filled as filled,
        spend_tier__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_tier__distinct as distinct_values,
        spend_tier__lowest as lowest_value,
        spend_tier__highest as highest_value,
        cast(null as double) as mean_value
    from person_aggregates
    union all
    select
        'household' as object,
        'channels_used_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        channels_used_365d__filled as filled,
        channels_used_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        channels_used_365d__distinct as distinct_values,
        channels_used_365d__lowest as lowest_value,
        channels_used_365d__highest as highest_value,
        cast(channels_used_365d__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'email_reachable_members' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        email_reachable_members__filled as filled,
        email_reachable_members__filled / cast(nullif(objects, 0) as double) as coverage,
        email_reachable_members__distinct as distinct_values,
        email_reachable_members__lowest as lowest_value,
        email_reachable_members__highest as highest_value,
        cast(email_reachable_members__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'gets_email_twice' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        gets_email_twice__filled as filled,
        gets_email_twice__filled / cast(nullif(objects, 0) as double) as coverage,
        gets_email_twice__distinct as distinct_values,
        gets_email_twice__lowest as lowest_value,
        gets_email_twice__highest as highest_value,
        cast(null as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'spend_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_365d__filled as filled,
        spend_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_365d__distinct as distinct_values,
        spend_365d__lowest as lowest_value,
        spend_365d__highest as highest_value,
        cast(spend_365d__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'orders_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        orders_365d__filled as filled,
        orders_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        orders_365d__distinct as distinct_values,
        orders_365d__lowest as lowest_value,
        orders_365d__highest as highest_value,
        cast(orders_365d__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'shopping_members_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        shopping_members_365d__filled as filled,
        shopping_members_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        shopping_members_365d__distinct as distinct_values,
        shopping_members_365d__lowest as lowest_value,
        shopping_members_365d__highest as highest_value,
        cast(shopping_members_365d__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'main_shopper_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        main_shopper_share__filled as filled,
        main_shopper_share__filled / cast(nullif(objects, 0) as double) as coverage,
        main_shopper_share__distinct as distinct_values,
        main_shopper_share__lowest as lowest_value,
        main_shopper_share__highest as highest_value,
        cast(main_shopper_share__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'spend_trend' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        spend_trend__filled as filled,
        spend_trend__filled / cast(nullif(objects, 0) as double) as coverage,
        spend_trend__distinct as distinct_values,
        spend_trend__lowest as lowest_value,
        spend_trend__highest as highest_value,
        cast(null as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'distinctive_department' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        distinctive_department__filled as filled,
        distinctive_department__filled / cast(nullif(objects, 0) as double) as coverage,
        distinctive_department__distinct as distinct_values,
        distinctive_department__lowest as lowest_value,
        distinctive_department__highest as highest_value,
        cast(null as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'last_order_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_order_date__filled as filled,
        last_order_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_order_date__distinct as distinct_values,
        last_order_date__lowest as lowest_value,
        last_order_date__highest as highest_value,
        cast(null as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'members' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        members__filled as filled,
        members__filled / cast(nullif(objects, 0) as double) as coverage,
        members__distinct as distinct_values,
        members__lowest as lowest_value,
        members__highest as highest_value,
        cast(members__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'active_members_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        active_members_90d__filled as filled,
        active_members_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        active_members_90d__distinct as distinct_values,
        active_members_90d__lowest as lowest_value,
        active_members_90d__highest as highest_value,
        cast(active_members_90d__mean as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'has_children' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_children__filled as filled,
        has_children__filled / cast(nullif(objects, 0) as double) as coverage,
        has_children__distinct as distinct_values,
        has_children__lowest as lowest_value,
        has_children__highest as highest_value,
        cast(null as double) as mean_value
    from household_aggregates
    union all
    select
        'household' as object,
        'has_two_generations' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        has_two_generations__filled as filled,
        has_two_generations__filled / cast(nullif(objects, 0) as double) as coverage,
        has_two_generations__distinct as distinct_values,
        has_two_generations__lowest as lowest_value,
        has_two_generations__highest as highest_value,
        cast(null as double) as mean_value
    from household_aggregates
    union all
    select
        'product' as object,
        'average_price_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        average_price_365d__filled as filled,
        average_price_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        average_price_365d__distinct as distinct_values,
        average_price_365d__lowest as lowest_value,
        average_price_365d__highest as highest_value,
        cast(average_price_365d__mean as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'price_band' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        price_band__filled as filled,
        price_band__filled / cast(nullif(objects, 0) as double) as coverage,
        price_band__distinct as distinct_values,
        price_band__lowest as lowest_value,
        price_band__highest as highest_value,
        cast(null as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'is_private_label' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_private_label__filled as filled,
        is_private_label__filled / cast(nullif(objects, 0) as double) as coverage,
        is_private_label__distinct as distinct_values,
        is_private_label__lowest as lowest_value,
        is_private_label__highest as highest_value,
        cast(null as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'discounted_order_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        discounted_order_share__filled as filled,
        discounted_order_share__filled / cast(nullif(objects, 0) as double) as coverage,
        discounted_order_share__distinct as distinct_values,
        discounted_order_share__lowest as lowest_value,
        discounted_order_share__highest as highest_value,
        cast(discounted_order_share__mean as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'is_coupon_product' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        is_coupon_product__filled as filled,
        is_coupon_product__filled / cast(nullif(objects, 0) as double) as coverage,
        is_coupon_product__distinct as distinct_values,
        is_coupon_product__lowest as lowest_value,
        is_coupon_product__highest as highest_value,
        cast(null as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'sales_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        sales_365d__filled as filled,
        sales_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        sales_365d__distinct as distinct_values,
        sales_365d__lowest as lowest_value,
        sales_365d__highest as highest_value,
        cast(sales_365d__mean as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'orders_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        orders_365d__filled as filled,
        orders_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        orders_365d__distinct as distinct_values,
        orders_365d__lowest as lowest_value,
        orders_365d__highest as highest_value,
        cast(orders_365d__mean as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'buyers_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        buyers_90d__filled as filled,
        buyers_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        buyers_90d__distinct as distinct_values,
        buyers_90d__lowest as lowest_value,
        buyers_90d__highest as highest_value,
        cast(buyers_90d__mean as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'sales_decile' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        sales_decile__filled as filled,
        sales_decile__filled / cast(nullif(objects, 0) as double) as coverage,
        sales_decile__distinct as distinct_values,
        sales_decile__lowest as lowest_value,
        sales_decile__highest as highest_value,
        cast(sales_decile__mean as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'repeat_purchase_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        repeat_purchase_share__filled as filled,
        repeat_purchase_share__filled / cast(nullif(objects, 0) as double) as coverage,
        repeat_purchase_share__distinct as distinct_values,
        repeat_purchase_share__lowest as lowest_value,
        repeat_purchase_share__highest as highest_value,
        cast(repeat_purchase_share__mean as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'sales_trend' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        sales_trend__filled as filled,
        sales_trend__filled / cast(nullif(objects, 0) as double) as coverage,
        sales_trend__distinct as distinct_values,
        sales_trend__lowest as lowest_value,
        sales_trend__highest as highest_value,
        cast(null as double) as mean_value
    from product_aggregates
    union all
    select
        'product' as object,
        'last_sold_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_sold_date__filled as filled,
        last_sold_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_sold_date__distinct as distinct_values,
        last_sold_date__lowest as lowest_value,
        last_sold_date__highest as highest_value,
        cast(null as double) as mean_value
    from product_aggregates
    union all
    select
        'store' as object,
        'top_department' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        top_department__filled as filled,
        top_department__filled / cast(nullif(objects, 0) as double) as coverage,
        top_department__distinct as distinct_values,
        top_department__lowest as lowest_value,
        top_department__highest as highest_value,
        cast(null as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'private_label_share' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        private_label_share__filled as filled,
        private_label_share__filled / cast(nullif(objects, 0) as double) as coverage,
        private_label_share__distinct as distinct_values,
        private_label_share__lowest as lowest_value,
        private_label_share__highest as highest_value,
        cast(private_label_share__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'sells_fuel' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        sells_fuel__filled as filled,
        sells_fuel__filled / cast(nullif(objects, 0) as double) as coverage,
        sells_fuel__distinct as distinct_values,
        sells_fuel__lowest as lowest_value,
        sells_fuel__highest as highest_value,
        cast(null as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'sales_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        sales_365d__filled as filled,
        sales_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        sales_365d__distinct as distinct_values,
        sales_365d__lowest as lowest_value,
        sales_365d__highest as highest_value,
        cast(sales_365d__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'orders_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        orders_365d__filled as filled,
        orders_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        orders_365d__distinct as distinct_values,
        orders_365d__lowest as lowest_value,
        orders_365d__highest as highest_value,
        cast(orders_365d__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'orders_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        orders_90d__filled as filled,
        orders_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        orders_90d__distinct as distinct_values,
        orders_90d__lowest as lowest_value,
        orders_90d__highest as highest_value,
        cast(orders_90d__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'buyers_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        buyers_90d__filled as filled,
        buyers_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        buyers_90d__distinct as distinct_values,
        buyers_90d__lowest as lowest_value,
        buyers_90d__highest as highest_value,
        cast(buyers_90d__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'average_basket_365d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        average_basket_365d__filled as filled,
        average_basket_365d__filled / cast(nullif(objects, 0) as double) as coverage,
        average_basket_365d__distinct as distinct_values,
        average_basket_365d__lowest as lowest_value,
        average_basket_365d__highest as highest_value,
        cast(average_basket_365d__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'sales_decile' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        sales_decile__filled as filled,
        sales_decile__filled / cast(nullif(objects, 0) as double) as coverage,
        sales_decile__distinct as distinct_values,
        sales_decile__lowest as lowest_value,
        sales_decile__highest as highest_value,
        cast(sales_decile__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'sales_trend' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        sales_trend__filled as filled,
        sales_trend__filled / cast(nullif(objects, 0) as double) as coverage,
        sales_trend__distinct as distinct_values,
        sales_trend__lowest as lowest_value,
        sales_trend__highest as highest_value,
        cast(null as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'busiest_weekday' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        busiest_weekday__filled as filled,
        busiest_weekday__filled / cast(nullif(objects, 0) as double) as coverage,
        busiest_weekday__distinct as distinct_values,
        busiest_weekday__lowest as lowest_value,
        busiest_weekday__highest as highest_value,
        cast(null as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'last_order_date' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        last_order_date__filled as filled,
        last_order_date__filled / cast(nullif(objects, 0) as double) as coverage,
        last_order_date__distinct as distinct_values,
        last_order_date__lowest as lowest_value,
        last_order_date__highest as highest_value,
        cast(null as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'wifi_visits_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        wifi_visits_90d__filled as filled,
        wifi_visits_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        wifi_visits_90d__distinct as distinct_values,
        wifi_visits_90d__lowest as lowest_value,
        wifi_visits_90d__highest as highest_value,
        cast(wifi_visits_90d__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'average_visit_minutes_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        average_visit_minutes_90d__filled as filled,
        average_visit_minutes_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        average_visit_minutes_90d__distinct as distinct_values,
        average_visit_minutes_90d__lowest as lowest_value,
        average_visit_minutes_90d__highest as highest_value,
        cast(average_visit_minutes_90d__mean as double) as mean_value
    from store_aggregates
    union all
    select
        'store' as object,
        'checkout_share_90d' as tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        objects,
        checkout_share_90d__filled as filled,
        checkout_share_90d__filled / cast(nullif(objects, 0) as double) as coverage,
        checkout_share_90d__distinct as distinct_values,
        checkout_share_90d__lowest as lowest_value,
        checkout_share_90d__highest as highest_value,
        cast(checkout_share_90d__mean as double) as mean_value
    from store_aggregates
)

select * from statistics
