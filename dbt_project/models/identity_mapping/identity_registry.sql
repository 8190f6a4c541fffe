{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false, on_schema_change='fail') }}

with observed_identifiers as (
    select
        identifier_type,
        identifier_hash,
        min(first_seen_at) as first_seen_at
    from {{ ref('identity_observations') }}
    group by identifier_type, identifier_hash
),

{% if is_incremental() %}
registered_identifiers as (
    select
        identifier_key,
        identifier_type,
        identifier_hash
    from {{ this }}
),

last_key as (
    select coalesce(max(identifier_key), 0) as identifier_key
    from registered_identifiers
),

new_identifiers as (
    select
        observed_identifiers.identifier_type,
        observed_identifiers.identifier_hash,
        observed_identifiers.first_seen_at
    from observed_identifiers
    left join registered_identifiers
        on
            observed_identifiers.identifier_type = registered_identifiers.identifier_type
            and observed_identifiers.identifier_hash = registered_identifiers.identifier_hash
    where registered_identifiers.identifier_key is null
),
{% else %}
last_key as (
    select 0 as identifier_key
),

new_identifiers as (
    select
        identifier_type,
        identifier_hash,
        first_seen_at
    from observed_identifiers
),
{% endif %}

numbered_identifiers as (
    select
        cast(
            last_key.identifier_key + row_number() over (
                order by
                    new_identifiers.first_seen_at asc nulls last,
                    new_identifiers.identifier_type asc,
                    new_identifiers.identifier_hash asc
            ) as bigint
        ) as identifier_key,
        new_identifiers.identifier_type,
        new_identifiers.identifier_hash,
        {{ tagloom.as_of_date() }} as registered_date
    from new_identifiers
    cross join last_key
)

select * from numbered_identifiers
