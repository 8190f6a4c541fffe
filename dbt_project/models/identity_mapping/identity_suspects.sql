with policy as (
    select
        identifier_type,
        title,
        strength,
        counted_owner,
        max_owners
    from {{ ref('identity_policy') }}
),

rules as (
    select
        max(case when name = 'attribute_veto.name_similarity_below' then cast(value as double) end) as similar_below,
        max(case when name = 'attribute_veto.birth_date_differs' then cast(value as integer) end) as digits_differ,
        max(case when name = 'household.at_most_persons' then cast(value as integer) end) as persons_of_household
    from {{ ref('identity_rules') }}
),

identifiers as (
    select
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        identifiers.records,
        identifiers.owners,
        identifiers.rejected_because,
        identity_map.person_id,
        policy.title,
        policy.strength,
        policy.counted_owner,
        policy.max_owners
    from {{ ref('identity_identifiers') }} as identifiers
    inner join policy
        on identifiers.identifier_type = policy.identifier_type
    left join {{ ref('identity_map') }} as identity_map
        on identifiers.identifier_key = identity_map.identifier_key
),

edges as (
    select
        edges.left_key,
        edges.right_key,
        edges.kind,
        rejected_edges.rejected_because
    from {{ ref('identity_edges') }} as edges
    left join {{ ref('identity_rejected_edges') }} as rejected_edges
        on
            edges.left_key = rejected_edges.left_key
            and edges.right_key = rejected_edges.right_key
),

links as (
    select
        left_key as identifier_key,
        right_key as linked_key
    from edges
    where rejected_because is null
    union all
    select
        right_key as identifier_key,
        left_key as linked_key
    from edges
    where rejected_because is null
),

described_identifiers as (
    select
        identifiers.person_id,
        identifiers.identifier_key,
        records.given_name,
        records.surname,
        records.birth_date
    from {{ ref('identity_records') }} as records
    inner join identifiers
        on
            records.identifier_type = identifiers.identifier_type
            and records.identifier_hash = identifiers.identifier_hash
    where
        identifiers.person_id is not null
        and records.birth_date is not null
        and (records.given_name is not null or records.surname is not null)
),

contradictions as (
    select distinct
        one.identifier_key as left_key,
        other.identifier_key as right_key
    from described_identifiers as one
    inner join described_identifiers as other
        on
            one.person_id = other.person_id
            and one.identifier_key < other.identifier_key
    cross join rules
    where
        {{ tagloom.birth_dates_contradict('one.birth_date', 'other.birth_date', 'rules.digits_differ') }}
        and {{ tagloom.names_contradict('one', 'other', 'rules.similar_below') }}
),

known_to_both as (
    select
        contradictions.left_key,
        contradictions.right_key,
        one.linked_key as identifier_key
    from contradictions
    inner join links as one
        on contradictions.left_key = one.identifier_key
    inner join links as other
        on
            contradictions.right_key = other.identifier_key
            and one.linked_key = other.linked_key
),

-- What both know directly joins them; if there is no such identifier, the younger of the two is the suspect.
joined_contradictions as (
    select
        contradictions.left_key,
        contradictions.right_key,
        coalesce(known_to_both.identifier_key, contradictions.right_key) as identifier_key
    from contradictions
    left join known_to_both
        on
            contradictions.left_key = known_to_both.left_key
            and contradictions.right_key = known_to_both.right_key
),

sizes as (
    select
        person_id,
        identifiers,
        row_number() over (order by identifiers desc, person_id asc) as largest_first,
        row_number() over (order by identifiers asc, person_id asc) as smallest_first,
        count(*) over () as persons
    from (
        select
            person_id,
            count(*) as identifiers
        from {{ ref('identity_map') }}
        group by person_id
    ) as counted_persons
),

usual_sizes as (
    select min(identifiers) as identifiers
    from sizes
    where smallest_first >= 0.99 * persons
),

large_persons as (
    -- more identifiers than 99 of 100 persons have, and of those the largest
    select sizes.person_id
    from sizes
    cross join usual_sizes
    where
        sizes.largest_first <= 50
        and sizes.identifiers > usual_sizes.identifiers
),

held_identifiers as (
    -- the stronger ones that it holds: accounts and cards behind a phone number
    select
        links.identifier_key,
        links.linked_key as held_key
    from links
    inner join identifiers as holders
        on links.identifier_key = holders.identifier_key
    inner join large_persons
        on holders.person_id = large_persons.person_id
    inner join identifiers as held
        on links.linked_key = held.identifier_key
    where holders.strength < held.strength
),

joined_otherwise as (
    select
        held_identifiers.identifier_key,
        held_identifiers.held_key,
        next_links.linked_key as joined_key
    from held_identifiers
    inner join links as next_links
        on
            held_identifiers.held_key = next_links.identifier_key
            and held_identifiers.identifier_key <> next_links.linked_key
    union
    select
        held_identifiers.identifier_key,
        held_identifiers.held_key,
        second_links.linked_key as joined_key
    from held_identifiers
    inner join links as next_links
        on
            held_identifiers.held_key = next_links.identifier_key
            and held_identifiers.identifier_key <> next_links.linked_key
    inner join links as second_links
        on next_links.linked_key = second_links.identifier_key
),

groups_of_held as (
    select
        held_identifiers.identifier_key,
        held_identifiers.held_key,
        least(held_identifiers.held_key, coalesce(min(others.held_key), held_identifiers.held_key)) as group_key
    from held_identifiers
    left join joined_otherwise
        on
            held_identifiers.identifier_key = joined_otherwise.identifier_key
            and held_identifiers.held_key = joined_otherwise.held_key
    left join held_identifiers as others
        on
            joined_otherwise.identifier_key = others.identifier_key
            and joined_otherwise.joined_key = others.held_key
    group by held_identifiers.identifier_key, held_identifiers.held_key
),

refused_edges as (
    -- from the weaker end, which is the one that people share
    select
        case when one.strength <= other.strength then edges.left_key else edges.right_key end as identifier_key,
        edges.left_key,
        edges.right_key,
        edges.rejected_because,
        case when one.strength <= other.strength then other.person_id else one.person_id end as person_id
    from edges
    inner join identifiers as one
        on edges.left_key = one.identifier_key
    inner join identifiers as other
        on edges.right_key = other.identifier_key
    where edges.rejected_because in ('shared identifier', 'component guard', 'attribute veto')
),

suspicions as (
    select
        identifier_key,
        1 as urgency,
        cast(2 as bigint) as persons,
        min(left_key) as left_key,
        min(right_key) as right_key
    from joined_contradictions
    group by identifier_key
    union all
    select
        identifier_key,
        2 as urgency,
        count(distinct group_key) as persons,
        cast(null as bigint) as left_key,
        cast(null as bigint) as right_key
    from groups_of_held
    group by identifier_key
    having count(distinct group_key) > 1
    union all
    select
        refused_edges.identifier_key,
        3 as urgency,
        count(distinct refused_edges.person_id) as persons,
        cast(null as bigint) as left_key,
        cast(null as bigint) as right_key
    from refused_edges
    cross join rules
    where refused_edges.rejected_because = 'shared identifier'
    group by refused_edges.identifier_key, rules.persons_of_household
    having count(distinct refused_edges.person_id) > rules.persons_of_household
    union all
    select
        refused_edges.identifier_key,
        case when refused_edges.rejected_because = 'component guard' then 4 else 5 end as urgency,
        count(distinct refused_edges.person_id) + 1 as persons,
        min(refused_edges.left_key) as left_key,
        min(refused_edges.right_key) as right_key
    from refused_edges
    inner join identifiers
        on refused_edges.identifier_key = identifiers.identifier_key
    where
        refused_edges.rejected_because in ('component guard', 'attribute veto')
        and refused_edges.person_id <> identifiers.person_id
    group by refused_edges.identifier_key, refused_edges.rejected_because
),

most_urgent_suspicions as (
    select *
    from (
        select
            suspicions.*,
            row_number() over (
                partition by suspicions.identifier_key
                order by suspicions.urgency asc
            ) as precedence
        from suspicions
    ) as ranked_suspicions
    where precedence = 1
),

suspects as (
    select
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        cast(most_urgent_suspicions.persons as integer) as persons,
        identifiers.records,
        case
            when most_urgent_suspicions.urgency = 3 then 'block the value'
            when most_urgent_suspicions.urgency = 2 and identifiers.owners > 1 and identifiers.max_owners > 1
                then 'lower at_most'
            else 'never-link'
        end as proposal,
        case most_urgent_suspicions.urgency
            when 1 then concat(identifiers.title, ' of one person with two names and two birth dates')
            when 2
                then concat(
                    identifiers.title, ' that alone joins ', cast(most_urgent_suspicions.persons as varchar),
                    ' groups of identifiers in one of the largest persons'
                )
            when 3
                then concat(
                    identifiers.title, ' of ', cast(most_urgent_suspicions.persons as varchar),
                    ' persons, more than a household has; a guard holds it back'
                )
            when 4
                then concat(identifiers.title, ' that would join more than one person may have; a guard holds it back')
            else concat(identifiers.title, ' whose owners have different names and birth dates; a guard parts them')
        end as because,
        most_urgent_suspicions.urgency,
        most_urgent_suspicions.left_key,
        most_urgent_suspicions.right_key
    from most_urgent_suspicions
    inner join identifiers
        on most_urgent_suspicions.identifier_key = identifiers.identifier_key
)

select * from suspects
