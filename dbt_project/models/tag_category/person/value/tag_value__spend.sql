{{ config(meta={'updates': 'full_build'}) }}

with ranked as (
    select
        person_id,
        lifetime_spend,
        {{ tagloom.ntile_score('spend_365d', 10) }} as spend_decile_365d
    from {{ ref('int_order_history') }}
),

tagged as (
    select
        person_id,
        lifetime_spend,
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
