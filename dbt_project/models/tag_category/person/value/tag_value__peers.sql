{{ config(meta={'updates': 'full_build'}) }}

with spenders as (
    select
        person_id,
        spend_365d
    from {{ ref('tag_consumption__spend') }}
    where spend_365d > 0
),

grouped as (
    select
        spenders.person_id,
        spenders.spend_365d,
        profiles.state,
        profiles.age_band
    from spenders
    left join {{ ref('tag_demographics__profile') }} as profiles
        on spenders.person_id = profiles.person_id
),

age_bands as (
    select
        age_band,
        {{ tagloom.quantile('spend_365d', 0.75) }} as good_spend,
        count(*) as persons
    from grouped
    where age_band is not null
    group by age_band
),

tagged as (
    select
        grouped.person_id,
        {{ tagloom.percentile_within('grouped.spend_365d', 'grouped.state', least=30) }}
            as spend_percentile_in_state,
        {{ tagloom.percentile_within('grouped.spend_365d', 'grouped.age_band', least=30) }}
            as spend_percentile_in_age_band,
        case
            when age_bands.persons >= 30
                then cast(greatest(0, age_bands.good_spend - grouped.spend_365d) as decimal(14, 2))
        end as spend_headroom_365d
    from grouped
    left join age_bands on grouped.age_band = age_bands.age_band
)

select * from tagged
