-- depends_on: {{ ref('person_registry') }}
-- depends_on: {{ ref('identity_changes') }}
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['identifier_key', 'run_number'],
    full_refresh=false,
    on_schema_change='fail'
) }}

with identity_map as (
    select
        identifier_key,
        person_id
    from {{ ref('identity_map') }}
),

run as ({{ tagloom.run_of_identity() }}),

open_rows as (
    select
        identifier_key,
        person_id,
        valid_from,
        run_number
    from {{ tagloom.previous_identity_map_history() }}
    where valid_to is null
),

closed_rows as (
    select
        open_rows.identifier_key,
        open_rows.person_id,
        open_rows.valid_from,
        {{ tagloom.as_of_date() }} as valid_to,
        open_rows.run_number,
        run.run_number as closed_run_number
    from open_rows
    cross join run
    left join identity_map
        on open_rows.identifier_key = identity_map.identifier_key
    where
        not run.is_past
        and (identity_map.person_id is null or identity_map.person_id <> open_rows.person_id)
),

opened_rows as (
    select
        identity_map.identifier_key,
        identity_map.person_id,
        {{ tagloom.as_of_date() }} as valid_from,
        cast(null as date) as valid_to,
        run.run_number,
        cast(null as bigint) as closed_run_number
    from identity_map
    cross join run
    left join open_rows
        on identity_map.identifier_key = open_rows.identifier_key
    where
        not run.is_past
        and (open_rows.person_id is null or identity_map.person_id <> open_rows.person_id)
),

changed_rows as (
    select * from closed_rows
    union all
    select * from opened_rows
)

select * from changed_rows
