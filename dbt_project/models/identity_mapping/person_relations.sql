{{ config(meta={'updates': 'full_build'}) }}

with rules as (
    select
        max(case when name = 'household.at_most_persons' then cast(value as integer) end) as at_most_persons,
        max(case when name = 'attribute_veto.birth_date_differs' then cast(value as integer) end) as digits_differ
    from {{ ref('identity_rules') }}
),

-- Of what a person has only once, two values are two persons.
persons_with_their_own as (
    select
        identity_map.person_id,
        identity_map.identifier_type
    from {{ ref('identity_map') }} as identity_map
    inner join {{ ref('identity_policy') }} as policy
        on identity_map.identifier_type = policy.identifier_type
    where policy.per_person = 1
    group by identity_map.person_id, identity_map.identifier_type
),

shareable_identifiers as (
    select
        identifiers.identifier_key,
        policy.household as makes_household,
        identifiers.identifier_type in ('device_mac', 'app_device') as is_device
    from {{ ref('identity_identifiers') }} as identifiers
    inner join {{ ref('identity_policy') }} as policy
        on identifiers.identifier_type = policy.identifier_type
    where
        coalesce(identifiers.rejected_because, '') <> 'blocked value'
        and (policy.household or identifiers.identifier_type in ('device_mac', 'app_device'))
),

identity_map as (
    select
        identifier_key,
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

-- A number that its first owner has given up and a pair that somebody has forbidden say nothing about a home.
edges as (
    select
        left_key,
        right_key,
        first_seen_at
    from {{ ref('identity_edges') }}
    where
        valid_to is null
        and coalesce(rejected_because, '') not in ('blocked value', 'recycled', 'never linked')
),

edges_from_both_ends as (
    select
        left_key as identifier_key,
        right_key as other_key,
        first_seen_at
    from edges
    union all
    select
        right_key as identifier_key,
        left_key as other_key,
        first_seen_at
    from edges
),

persons_of_identifiers as (
    select
        shareable_identifiers.identifier_key,
        shareable_identifiers.makes_household,
        shareable_identifiers.is_device,
        identity_map.person_id,
        min(edges_from_both_ends.first_seen_at) as since
    from shareable_identifiers
    inner join edges_from_both_ends
        on shareable_identifiers.identifier_key = edges_from_both_ends.identifier_key
    inner join identity_map
        on edges_from_both_ends.other_key = identity_map.identifier_key
    group by
        shareable_identifiers.identifier_key,
        shareable_identifiers.makes_household,
        shareable_identifiers.is_device,
        identity_map.person_id
),

-- What more persons share than a home may have belongs to a clerk, an office or a kiosk.
identifiers_of_few as (
    select persons_of_identifiers.identifier_key
    from persons_of_identifiers
    cross join rules
    group by persons_of_identifiers.identifier_key, rules.at_most_persons
    having count(*) between 2 and rules.at_most_persons
),

persons_sharing as (
    select persons_of_identifiers.*
    from persons_of_identifiers
    inner join identifiers_of_few
        on persons_of_identifiers.identifier_key = identifiers_of_few.identifier_key
),

pairs_by_identifier as (
    select
        one.person_id,
        other.person_id as related_person_id,
        one.identifier_key,
        one.makes_household,
        one.is_device,
        case when one.since >= other.since or other.since is null then one.since else other.since end as since
    from persons_sharing as one
    inner join persons_sharing as other
        on
            one.identifier_key = other.identifier_key
            and one.person_id < other.person_id
),

records as (
    select
        identity_map.person_id,
        {{ tagloom.address_key('records.street') }} as street,
        {{ tagloom.address_key('records.postcode') }} as postcode,
        records.given_name,
        records.surname,
        records.birth_date,
        records.recorded_at
    from {{ ref('identity_records') }} as records
    inner join identity_map
        on
            records.identifier_type = identity_map.identifier_type
            and records.identifier_hash = identity_map.identifier_hash
),

-- A street without a house number is no address, and one house of more persons than a home may have is none either.
addresses_of_few as (
    select
        records.street,
        records.postcode
    from records
    cross join rules
    where {{ tagloom.matches('records.street', "'[0-9]'") }}
    group by records.street, records.postcode, rules.at_most_persons
    having count(distinct records.person_id) between 2 and rules.at_most_persons
),

records_at_shared_addresses as (
    select records.*
    from records
    inner join addresses_of_few
        on
            records.street = addresses_of_few.street
            and records.postcode = addresses_of_few.postcode
    where records.surname is not null
),

pairs_by_address as (
    select
        one.person_id,
        other.person_id as related_person_id,
        min(
            case
                when one.recorded_at >= other.recorded_at or other.recorded_at is null then one.recorded_at
                else other.recorded_at
            end
        ) as since
    from records_at_shared_addresses as one
    inner join records_at_shared_addresses as other
        on
            one.street = other.street
            and one.postcode = other.postcode
            and one.person_id < other.person_id
            and {{ tagloom.text_similarity('one.surname', 'other.surname') }} >= 0.75
    group by one.person_id, other.person_id
),

pairs_to_tell_apart as (
    select
        person_id,
        related_person_id
    from pairs_by_identifier
    where makes_household
    union
    select
        person_id,
        related_person_id
    from pairs_by_address
),

-- Who shares a phone and has the other's name, or none, is sooner a record not recognised than one more person.
pairs_with_two_names as (
    select
        pairs_to_tell_apart.person_id,
        pairs_to_tell_apart.related_person_id
    from pairs_to_tell_apart
    inner join records as one
        on pairs_to_tell_apart.person_id = one.person_id
    inner join records as other
        on pairs_to_tell_apart.related_person_id = other.person_id
    cross join rules
    where
        one.given_name is not null
        and other.given_name is not null
    group by pairs_to_tell_apart.person_id, pairs_to_tell_apart.related_person_id
    having
        max(
            case
                when not {{ tagloom.names_contradict('one', 'other', '0.75') }} then 1
                when
                    {{ tagloom.text_similarity('one.given_name', 'other.given_name') }} >= 0.5
                    and not {{ tagloom.birth_dates_contradict(
                        'one.birth_date', 'other.birth_date', 'rules.digits_differ'
                    ) }}
                    then 1
                else 0
            end
        ) = 0
),

pairs_with_two_of_a_kind as (
    select
        pairs_to_tell_apart.person_id,
        pairs_to_tell_apart.related_person_id
    from pairs_to_tell_apart
    inner join persons_with_their_own as one
        on pairs_to_tell_apart.person_id = one.person_id
    inner join persons_with_their_own as other
        on
            pairs_to_tell_apart.related_person_id = other.person_id
            and one.identifier_type = other.identifier_type
),

pairs_of_two_persons as (
    select * from pairs_with_two_names
    union
    select * from pairs_with_two_of_a_kind
),

evidence as (
    select
        pairs_by_identifier.person_id,
        pairs_by_identifier.related_person_id,
        'household' as kind,
        pairs_by_identifier.identifier_key,
        pairs_by_identifier.since
    from pairs_by_identifier
    inner join pairs_of_two_persons
        on
            pairs_by_identifier.person_id = pairs_of_two_persons.person_id
            and pairs_by_identifier.related_person_id = pairs_of_two_persons.related_person_id
    where pairs_by_identifier.makes_household
    union all
    select
        pairs_by_address.person_id,
        pairs_by_address.related_person_id,
        'household' as kind,
        cast(null as bigint) as identifier_key,
        pairs_by_address.since
    from pairs_by_address
    inner join pairs_of_two_persons
        on
            pairs_by_address.person_id = pairs_of_two_persons.person_id
            and pairs_by_address.related_person_id = pairs_of_two_persons.related_person_id
    union all
    select
        person_id,
        related_person_id,
        'shared_device' as kind,
        identifier_key,
        since
    from pairs_by_identifier
    where is_device
),

relations as (
    select
        person_id,
        related_person_id,
        kind,
        min(identifier_key) as identifier_key,
        cast(count(*) as integer) as evidence,
        min(since) as since
    from evidence
    group by person_id, related_person_id, kind
)

select * from relations
