{{ config(meta={'updates': 'full_build'}) }}

with orders as (
    select *
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

per_person as (
    select
        person_id,
        {{ tagloom.days_between('max(order_date)', tagloom.as_of_date()) }} as days_since_order,
        count(distinct order_date) as days_with_orders,
        sum(sales_amount) as sales_amount
    from orders
    group by person_id
),

scored as (
    select
        person_id,
        {{ tagloom.ntile_score('days_since_order', 5, 'least') }} as recency_score,
        {{ tagloom.ntile_score('days_with_orders', 5, 'most') }} as frequency_score,
        {{ tagloom.ntile_score('sales_amount', 5, 'most') }} as monetary_score
    from per_person
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
