with source as (
    select * from {{ source('scores', 'scores') }}
),

renamed as (
    select
        -- identifiers
        {{ tagloom.normalise_identifier('loyalty_card', 'card_number') }} as card_number,

        -- the prediction
        model,
        model_version,
        score,

        -- time
        scored_at
    from source
)

select * from renamed
