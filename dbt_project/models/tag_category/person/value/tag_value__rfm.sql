{{ config(meta={'updates': 'full_build'}) }}

with customers as (
    select *
    from {{ ref('int_order_history') }}
    where {{ tagloom.in_last_days('last_order_date', 365) }}
),

scored as (
    select
        person_id,
        {{ tagloom.ntile_score('last_order_date', 5) }} as recency_score,
        {{ tagloom.ntile_score('days_with_orders_365d', 5) }} as frequency_score,
        {{ tagloom.ntile_score('spend_365d', 5) }} as monetary_score
    from customers
),

tagged as (
    select
        person_id,
        recency_score,
        frequency_score,
        monetary_score,
        concat(
            cast(recency_score as {{ dbt.type_string() }}),
            cast(frequency_score as {{ dbt.type_string() }}),
            cast(monetary_score as {{ dbt.type_string() }})
        ) as rfm_cell,
        case
            when recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4 then 'champion'
            when recency_score >= 3 and frequency_score >= 4 then 'loyal'
            when recency_score >= 3 and monetary_score >= 4 then 'big basket'
            when recency_score >= 4 then 'promising'
            when recency_score = 3 then 'needs attention'
            when frequency_score >= 4 or monetary_score >= 4 then 'at risk'
            when recency_score = 2 then 'hibernating'
            else 'lost'
        end as rfm_segment
    from scored
)

select * from tagged
