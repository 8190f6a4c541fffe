{{ config(meta={'updates': 'full_build'}) }}

with components as (
    select
        person_id,
        component_person_id
    from {{ ref('household_components') }}
),

relations as (
    select
        relations.person_id,
        relations.related_person_id,
        relations.since
    from {{ ref('person_relations') }} as relations
    inner join components as one
        on relations.person_id = one.person_id
    inner join components as other
        on
            relations.related_person_id = other.person_id
            and one.component_person_id = other.component_person_id
    where relations.kind = 'household'
),

since_when as (
    select
        person_id,
        min(since) as since
    from (
        select
            person_id,
            since
        from relations
        union all
        select
            related_person_id as person_id,
            since
        from relations
    ) as ends
    group by person_id
),

history as (
    select
        household_id,
        person_id,
        valid_from,
        valid_to
    from {{ tagloom.previous_household_history() }}
),

known_members as (
    -- whoever was merged into another person is that person
    select
        history.household_id,
        coalesce(redirects.survivor_id, history.person_id) as person_id,
        max(
            case
                when
                    history.valid_from <= {{ tagloom.as_of_date() }}
                    and (history.valid_to is null or history.valid_to > {{ tagloom.as_of_date() }})
                    then 1
                else 0
            end
        ) as is_member
    from history
    left join {{ ref('person_redirects') }} as redirects
        on history.person_id = redirects.person_id
    group by history.household_id, coalesce(redirects.survivor_id, history.person_id)
),

members_found_again as (
    select
        known_members.household_id,
        components.component_person_id,
        sum(known_members.is_member) as members,
        count(*) as known_members
    from known_members
    inner join components
        on known_members.person_id = components.person_id
    group by known_members.household_id, components.component_person_id
),

-- A household claims where most of its members are. One that has ended comes back when two who were in it meet again.
claims as (
    select
        household_id,
        component_person_id,
        members,
        row_number() over (
            partition by household_id
            order by members desc, known_members desc, component_person_id asc
        ) as claim_rank
    from members_found_again
    where members > 0 or known_members > 1
),

known_households as (
    select
        component_person_id,
        household_id,
        row_number() over (
            partition by component_person_id
            order by
                case when members > 0 then 0 else 1 end asc,
                length(household_id) asc,
                household_id asc
        ) as household_rank
    from claims
    where claim_rank = 1
),

last_number as (
    select coalesce(max(cast(substr(household_id, 2) as bigint)), 0) as household_number
    from history
),

new_components as (
    select
        components.component_person_id,
        row_number() over (order by components.component_person_id asc) as place
    from components
    left join known_households
        on components.component_person_id = known_households.component_person_id
    where
        components.person_id = components.component_person_id
        and known_households.component_person_id is null
),

households as (
    select
        component_person_id,
        household_id
    from known_households
    where household_rank = 1
    union all
    -- a build of a past day leaves no trace, so what is new in it gets no number of the sequence
    select
        new_components.component_person_id,
        concat(
            'H',
            cast(
                case
                    when {{ tagloom.is_past_household_build() }} then -new_components.place
                    else last_number.household_number + new_components.place
                end as {{ dbt.type_string() }}
            )
        ) as household_id
    from new_components
    cross join last_number
),

members as (
    select
        components.person_id,
        households.household_id,
        since_when.since
    from components
    inner join households
        on components.component_person_id = households.component_person_id
    inner join since_when
        on components.person_id = since_when.person_id
)

select * from members
