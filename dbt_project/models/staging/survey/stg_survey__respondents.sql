with source as (
    select * from {{ source('survey', 'respondents') }}
),

renamed as (
    select
        -- identifiers
        {{ tagloom.normalise_identifier('loyalty_card', 'card_number') }} as card_number,

        -- answers
        age_band,
        income_band,
        home_ownership,
        marital_status,
        household_size,
        household_composition,
        kids_count
    from source
)

select * from renamed
