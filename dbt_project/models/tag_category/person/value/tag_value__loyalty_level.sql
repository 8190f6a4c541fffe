with spend as (
    select * from {{ ref('tag_consumption__spend') }}
),

rhythm as (
    select * from {{ ref('tag_consumption__rhythm') }}
),

stages as (
    select * from {{ ref('tag_lifecycle__stage') }}
),

scored as (
    select
        spend.person_id,
        spend.spend_365d,
        {{ tagloom.fixed_cuts_score('stages.days_since_last_order', 'least', 90, 30, 14, 7) }}
            as recency_score,
        {{ tagloom.fixed_cuts_score('rhythm.shopping_days_365d', 'most', 6, 12, 26, 52) }}
            as frequency_score,
        {{ tagloom.fixed_cuts_score('spend.spend_365d', 'most', 250, 500, 1500, 3000) }}
            as monetary_score
    from spend
    inner join rhythm on spend.person_id = rhythm.person_id
    inner join stages on spend.person_id = stages.person_id
),

levelled as (
    select
        *,
        case
            when monetary_score = 5 and frequency_score >= 4 then 'gold'
            when monetary_score >= 4 and frequency_score >= 3 then 'silver'
            when monetary_score >= 3 then 'bronze'
            else 'basic'
        end as loyalty_level
    from scored
),

tagged as (
    select
        person_id,
        concat(
            cast(recency_score as {{ dbt.type_string() }}),
            cast(frequency_score as {{ dbt.type_string() }}),
            cast(monetary_score as {{ dbt.type_string() }})
        ) as fixed_rfm_cell,
        loyalty_level,
        cast(
            case loyalty_level
                when 'basic' then 500 - spend_365d
                when 'bronze' then greatest(0, 1500 - spend_365d)
                when 'silver' then greatest(0, 3000 - spend_365d)
            end as decimal(14, 2)
        ) as spend_to_next_level
    from levelled
)

select * from tagged
