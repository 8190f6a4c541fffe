{{ config(meta={'updates': 'full_build'}) }}

with orders as (
    select *
    from {{ ref('int_orders') }}
    where person_id is not null
),

per_person as (
    select
        person_id,
        sum(sales_amount) as lifetime_spend,
        sum(
            case when {{ tagloom.in_last_days('order_date', 365) }} then sales_amount end
        ) as spend_365d
    from orders
    group by person_id
),

ranked as (
    select
        person_id,
        lifetime_spend,
        {{ tagloom.ntile_score('spend_365d', 10) }} as spend_decile_365d
    from per_person
),

tagged as (
    select
        person_id,
        cast(lifetime_spend as decimal(14, 2)) as lifetime_spend,
        spend_decile_365d,
        case
            when spend_decile_365d = 10 then 'top'
            when spend_decile_365d >= 8 then 'high'
            when spend_decile_365d >= 4 then 'middle'
            when spend_decile_365d is not null then 'low'
        end as spend_tier
    from ranked
)

select * from tagged
