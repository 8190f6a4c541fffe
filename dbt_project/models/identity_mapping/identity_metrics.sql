{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='as_of_date',
    full_refresh=false,
    on_schema_change='fail'
) }}

with identity_map as (
    select
        identifier_key,
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

rules as (
    select
        max(case when name = 'attribute_veto.name_similarity_below' then cast(value as double) end) as similar_below,
        max(case when name = 'attribute_veto.birth_date_differs' then cast(value as integer) end) as digits_differ
    from {{ ref('identity_rules') }}
),

sizes as (
    select
        person_id,
        count(*) as identifiers
    from identity_map
    group by person_id
),

ranked_sizes as (
    select
        identifiers,
        row_number() over (order by identifiers asc) as size_rank,
        count(*) over () as persons
    from sizes
),

sizes_of_persons as (
    select
        count(*) as persons,
        sum(identifiers) as identifiers,
        min(case when size_rank >= 0.5 * persons then identifiers end) as median_size,
        min(case when size_rank >= 0.99 * persons then identifiers end) as large_size,
        max(identifiers) as largest_size,
        count(case when identifiers = 1 then 1 end) as singletons
    from ranked_sizes
),

components as (
    select max(identifiers) as largest_size
    from (
        select count(*) as identifiers
        from {{ ref('identity_components') }}
        group by component_key
    ) as sizes_of_components
),

records_of_persons as (
    select
        identity_map.person_id,
        records.given_name,
        records.surname,
        records.birth_date,
        identity_map.identifier_key
    from {{ ref('identity_records') }} as records
    inner join identity_map
        on
            records.identifier_type = identity_map.identifier_type
            and records.identifier_hash = identity_map.identifier_hash
    where records.birth_date is not null and (records.given_name is not null or records.surname is not null)
),

persons_that_contradict_themselves as (
    select count(distinct one.person_id) as persons
    from records_of_persons as one
    inner join records_of_persons as other
        on
            one.person_id = other.person_id
            and one.identifier_key < other.identifier_key
    cross join rules
    where
        {{ tagloom.birth_dates_contradict('one.birth_date', 'other.birth_date', 'rules.digits_differ') }}
        and {{ tagloom.names_contradict('one', 'other', 'rules.similar_below') }}
),

-- A record is resolved when it has a strong identifier, or its person is known from other records, too.
records as (
    select
        observations.record_hash,
        max(policy.strength) as strength,
        max(coalesce(sizes.identifiers, 0)) as identifiers_of_person,
        count(distinct observations.identifier_hash) as identifiers
    from {{ ref('identity_observations') }} as observations
    inner join {{ ref('identity_policy') }} as policy
        on observations.identifier_type = policy.identifier_type
    left join identity_map
        on
            observations.identifier_type = identity_map.identifier_type
            and observations.identifier_hash = identity_map.identifier_hash
    left join sizes
        on identity_map.person_id = sizes.person_id
    group by observations.record_hash
),

unresolved_records as (
    select
        count(*) as records,
        count(case when strength < 4 and identifiers_of_person <= identifiers then 1 end) as unresolved
    from records
),

changes as (
    select
        kind,
        identifiers
    from {{ ref('identity_changes') }}
    where as_of_date = {{ tagloom.as_of_date() }}
),

kinds as (
    select
        all_kinds.kind,
        count(changes.identifiers) as changes
    from (
        select 'create' as kind
        union all
        select 'merge' as kind
        union all
        select 'split' as kind
        union all
        select 'reassign' as kind
        union all
        select 'retire' as kind
        union all
        select 'revive' as kind
    ) as all_kinds
    left join changes
        on all_kinds.kind = changes.kind
    group by all_kinds.kind
),

moved_identifiers as (
    select coalesce(sum(case when kind in ('merge', 'split', 'reassign') then identifiers end), 0) as identifiers
    from changes
),

truth as (
    select
        truth.true_person,
        -- an identifier of nobody is taken for somebody of its own
        coalesce(identity_map.person_id, -row_number() over (order by truth.identifier_type, truth.identifier_hash))
            as person_id
    from {{ tagloom.identity_truth() }} as truth
    left join identity_map
        on
            truth.identifier_type = identity_map.identifier_type
            and truth.identifier_hash = identity_map.identifier_hash
),

agreed as (
    select
        true_person,
        person_id,
        cast(count(*) as double) as identifiers
    from truth
    group by true_person, person_id
),

found as (
    select
        person_id,
        sum(identifiers) as identifiers
    from agreed
    group by person_id
),

really as (
    select
        true_person,
        sum(identifiers) as identifiers
    from agreed
    group by true_person
),

pairs as (
    select
        (select sum(identifiers * (identifiers - 1)) from agreed) as agreed,
        (select sum(identifiers * (identifiers - 1)) from found) as found,
        (select sum(identifiers * (identifiers - 1)) from really) as really
),

b_cubed as (
    select
        sum(agreed.identifiers * agreed.identifiers / found.identifiers) / sum(agreed.identifiers) as b_cubed_precision,
        sum(agreed.identifiers * agreed.identifiers / really.identifiers) / sum(agreed.identifiers) as b_cubed_recall
    from agreed
    inner join found
        on agreed.person_id = found.person_id
    inner join really
        on agreed.true_person = really.true_person
),

measured as (
    select
        'persons' as metric,
        cast(persons as double) as value
    from sizes_of_persons
    union all
    select
        'identifiers' as metric,
        identifiers as value
    from sizes_of_persons
    union all
    select
        'identifiers_per_person_p50' as metric,
        median_size as value
    from sizes_of_persons
    union all
    select
        'identifiers_per_person_p99' as metric,
        large_size as value
    from sizes_of_persons
    union all
    select
        'identifiers_per_person_max' as metric,
        largest_size as value
    from sizes_of_persons
    union all
    select
        'singleton_rate' as metric,
        cast(singletons as double) / nullif(persons, 0) as value
    from sizes_of_persons
    union all
    select
        'largest_component' as metric,
        largest_size as value
    from components
    union all
    select
        'over_merge_rate' as metric,
        cast(persons_that_contradict_themselves.persons as double) / nullif(sizes_of_persons.persons, 0) as value
    from persons_that_contradict_themselves
    cross join sizes_of_persons
    union all
    select
        'unresolved_rate' as metric,
        cast(unresolved as double) / nullif(records, 0) as value
    from unresolved_records
    union all
    select
        concat('changes_', kind) as metric,
        changes as value
    from kinds
    union all
    select
        'churn' as metric,
        cast(moved_identifiers.identifiers as double) / nullif(sizes_of_persons.identifiers, 0) as value
    from moved_identifiers
    cross join sizes_of_persons
    union all
    select
        concat('rejected_edges_', replace(rejected_because, ' ', '_')) as metric,
        count(*) as value
    from {{ ref('identity_rejected_edges') }}
    group by rejected_because
    union all
    select
        'pairwise_precision' as metric,
        agreed / nullif(found, 0) as value
    from pairs
    union all
    select
        'pairwise_recall' as metric,
        agreed / nullif(really, 0) as value
    from pairs
    union all
    select
        'pairwise_f1' as metric,
        2 * agreed / nullif(found + really, 0) as value
    from pairs
    union all
    select
        'b_cubed_precision' as metric,
        b_cubed_precision as value
    from b_cubed
    union all
    select
        'b_cubed_recall' as metric,
        b_cubed_recall as value
    from b_cubed
),

metrics as (
    select
        {{ tagloom.as_of_date() }} as as_of_date,
        metric,
        cast(value as double) as value
    from measured
    where value is not null
)

select * from metrics
