{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['household_id', 'person_id', 'valid_from'],
    full_refresh=false,
    on_schema_change='fail',
    meta={'updates': 'full_build'}
) }}

with members as (
    select
        household_id,
        person_id
    from {{ ref('household_members') }}
),

open_rows as (
    select
        household_id,
        person_id,
        valid_from
    from {{ tagloom.previous_household_history() }}
    where valid_to is null
),

closed_rows as (
    select
        open_rows.household_id,
        open_rows.person_id,
        open_rows.valid_from,
        {{ tagloom.as_of_date() }} as valid_to
    from open_rows
    left join members
        on
            open_rows.household_id = members.household_id
            and open_rows.person_id = members.person_id
    where members.person_id is null
),

opened_rows as (
    select
        members.household_id,
        members.person_id,
        {{ tagloom.as_of_date() }} as valid_from,
        cast(null as date) as valid_to
    from members
    left join open_rows
        on
            members.household_id = open_rows.household_id
            and members.person_id = open_rows.person_id
    where open_rows.person_id is null
),

changed_rows as (
    select * from closed_rows
    union all
    select * from opened_rows
)

select *
from changed_rows
where not {{ tagloom.is_past_household_build() }}
