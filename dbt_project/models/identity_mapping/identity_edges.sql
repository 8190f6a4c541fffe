with identifiers as (
    select
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        identifiers.dominant_owner_key,
        identifiers.owned_since,
        identifiers.rejected_because,
        policy.strength,
        policy.vetoed_by_attributes
    from {{ ref('identity_identifiers') }} as identifiers
    inner join {{ ref('identity_policy') }} as policy
        on identifiers.identifier_type = policy.identifier_type
),

rules as (
    select
        max(case when name = 'attribute_veto.name_similarity_below' then cast(value as double) end) as similar_below,
        max(case when name = 'attribute_veto.birth_date_differs' then cast(value as integer) end) as digits_differ,
        max(case when name = 'attribute_veto.outweighed_by' then cast(value as integer) end) as outweighed_by
    from {{ ref('identity_rules') }}
),

decisions as (
    select
        decisions.decision_id,
        decisions.kind,
        least(left_identifiers.identifier_key, right_identifiers.identifier_key) as left_key,
        greatest(left_identifiers.identifier_key, right_identifiers.identifier_key) as right_key
    from {{ ref('stg_operations__identity_decisions') }} as decisions
    inner join identifiers as left_identifiers
        on
            decisions.left_type = left_identifiers.identifier_type
            and decisions.left_hash = left_identifiers.identifier_hash
    inner join identifiers as right_identifiers
        on
            decisions.right_type = right_identifiers.identifier_type
            and decisions.right_hash = right_identifiers.identifier_hash
    where decisions.kind in ('link', 'never_link')
),

decided_pairs as (
    -- of a link and a never-link of the same pair the newer one holds
    select
        left_key,
        right_key,
        max(case when kind = 'link' then decision_id else 0 end)
        > max(case when kind = 'never_link' then decision_id else 0 end) as is_linked
    from decisions
    where left_key <> right_key
    group by left_key, right_key
),

matched_pairs as (
    select
        least(left_identifiers.identifier_key, right_identifiers.identifier_key) as left_key,
        greatest(left_identifiers.identifier_key, right_identifiers.identifier_key) as right_key,
        max(matches.probability) as probability
    from {{ ref('stg_operations__identity_matches') }} as matches
    inner join identifiers as left_identifiers
        on
            matches.left_type = left_identifiers.identifier_type
            and matches.left_hash = left_identifiers.identifier_hash
    inner join identifiers as right_identifiers
        on
            matches.right_type = right_identifiers.identifier_type
            and matches.right_hash = right_identifiers.identifier_hash
    where left_identifiers.identifier_key <> right_identifiers.identifier_key
    group by
        least(left_identifiers.identifier_key, right_identifiers.identifier_key),
        greatest(left_identifiers.identifier_key, right_identifiers.identifier_key)
),

observations as (
    -- a record with one identifier alone links nothing
    select
        observations.record_hash,
        observations.source,
        observations.first_seen_at,
        observations.last_seen_at,
        observations.records,
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        identifiers.dominant_owner_key,
        identifiers.owned_since,
        identifiers.rejected_because,
        identifiers.strength,
        identifiers.vetoed_by_attributes
    from (
        select
            identity_observations.*,
            count(*) over (partition by identity_observations.record_hash) as identifiers_in_record
        from {{ ref('identity_observations') }} as identity_observations
    ) as observations
    inner join identifiers
        on
            observations.identifier_type = identifiers.identifier_type
            and observations.identifier_hash = identifiers.identifier_hash
    where observations.identifiers_in_record > 1
),

records as (
    select
        source,
        identifier_type,
        identifier_hash,
        recorded_at,
        given_name,
        surname,
        birth_date
    from {{ ref('identity_records') }}
),

described_identifiers as (
    -- whose name and birth date are both known; the newest record speaks
    select
        identifiers.identifier_key,
        identifiers.identifier_hash,
        newest_records.given_name,
        newest_records.surname,
        newest_records.birth_date
    from (
        select
            records.*,
            row_number() over (
                partition by records.identifier_type, records.identifier_hash
                order by records.recorded_at desc, records.given_name asc, records.surname asc, records.birth_date asc
            ) as newness
        from records
        where records.birth_date is not null and (records.given_name is not null or records.surname is not null)
    ) as newest_records
    inner join identifiers
        on
            newest_records.identifier_type = identifiers.identifier_type
            and newest_records.identifier_hash = identifiers.identifier_hash
    where newest_records.newness = 1
),

own_types as (
    select distinct
        source,
        identifier_type
    from records
),

described_speakers as (
    -- who a record is about: its own number before one that it refers to, then the strongest
    select
        record_hash,
        identifier_key as speaker_key,
        identifier_key as through_key
    from (
        select
            observations.record_hash,
            observations.identifier_key,
            row_number() over (
                partition by observations.record_hash
                order by
                    case when own_types.source is null then 1 else 0 end asc,
                    observations.strength desc,
                    observations.identifier_hash asc
            ) as precedence
        from observations
        inner join described_identifiers
            on observations.identifier_key = described_identifiers.identifier_key
        left join own_types
            on
                observations.source = own_types.source
                and observations.identifier_type = own_types.identifier_type
        where observations.rejected_because is null
    ) as described_in_record
    where precedence = 1
),

described_owners as (
    {{ tagloom.owners_by_attestation('described_speakers') }}
),

first_proxies as (
    -- a record that names nobody, such as a login, is about the owner of an identifier that families do not share
    {{ tagloom.speakers_by_proxy('described_speakers', 'described_owners', least_strength=3) }}
),

known_speakers as (
    select
        record_hash,
        speaker_key,
        through_key
    from described_speakers
    union all
    select
        record_hash,
        speaker_key,
        through_key
    from first_proxies
),

known_owners as (
    {{ tagloom.owners_by_attestation('known_speakers') }}
),

second_proxies as (
    -- or of any, now that the numbers are known which appear beside such a one elsewhere
    {{ tagloom.speakers_by_proxy('known_speakers', 'known_owners', least_strength=1) }}
),

speakers as (
    select
        record_hash,
        speaker_key,
        through_key
    from known_speakers
    union all
    select
        record_hash,
        speaker_key,
        through_key
    from second_proxies
),

owners as (
    {{ tagloom.owners_by_attestation('speakers') }}
),

best_owners as (
    -- an identifier with a name of its own is its own best owner
    select
        owners.identifier_key,
        coalesce(described_identifiers.identifier_key, owners.speaker_key) as best_key
    from owners
    left join described_identifiers
        on owners.identifier_key = described_identifiers.identifier_key
    where owners.precedence = 1
),

contradicting_owners as (
    select
        owners.identifier_key,
        owners.speaker_key,
        rules.outweighed_by,
        sum(identifiers.strength) over (partition by owners.speaker_key, best.birth_date) as shared_strength
    from owners
    inner join best_owners
        on
            owners.identifier_key = best_owners.identifier_key
            and owners.speaker_key <> best_owners.best_key
    inner join described_identifiers as best
        on best_owners.best_key = best.identifier_key
    inner join described_identifiers as speaker
        on owners.speaker_key = speaker.identifier_key
    inner join identifiers
        on
            owners.identifier_key = identifiers.identifier_key
            and identifiers.vetoed_by_attributes
    cross join rules
    where
        {{ tagloom.birth_dates_contradict('best.birth_date', 'speaker.birth_date', 'rules.digits_differ') }}
        and {{ tagloom.names_contradict('best', 'speaker', 'rules.similar_below') }}
),

vetoed_owners as (
    -- who shares a card and a phone with somebody is the same person with a form that was filled in wrongly
    select
        identifier_key,
        speaker_key
    from contradicting_owners
    where shared_strength < outweighed_by
),

contested_identifiers as (
    -- several people have it for certain, so it speaks for nobody who is not known to be the best owner
    select distinct vetoed_owners.identifier_key
    from vetoed_owners
    left join described_identifiers
        on vetoed_owners.identifier_key = described_identifiers.identifier_key
    where described_identifiers.identifier_key is null
),

dominated_records as (
    select distinct
        observations.record_hash,
        observations.identifier_key
    from observations
    inner join observations as dominant_owners
        on
            observations.record_hash = dominant_owners.record_hash
            and observations.dominant_owner_key = dominant_owners.identifier_key
),

judged_observations as (
    -- may this record speak for this identifier? 0: yes; else the smaller number is the better reason
    select
        observations.record_hash,
        observations.source,
        observations.first_seen_at,
        observations.last_seen_at,
        observations.records,
        observations.identifier_key,
        observations.strength,
        observations.owned_since,
        case
            when observations.rejected_because = 'blocked value' then 1
            when observations.rejected_because = 'shared identifier' then 2
            when observations.last_seen_at < observations.owned_since then 3
            when observations.dominant_owner_key is not null and dominated_records.record_hash is null then 4
            when vetoed_owners.identifier_key is not null then 5
            when
                contested_identifiers.identifier_key is not null
                and (speakers.through_key is null or speakers.through_key = observations.identifier_key)
                then 5
            else 0
        end as objection
    from observations
    left join contested_identifiers
        on observations.identifier_key = contested_identifiers.identifier_key
    left join speakers
        on observations.record_hash = speakers.record_hash
    left join vetoed_owners
        on
            observations.identifier_key = vetoed_owners.identifier_key
            and speakers.speaker_key = vetoed_owners.speaker_key
    left join dominated_records
        on
            observations.record_hash = dominated_records.record_hash
            and observations.identifier_key = dominated_records.identifier_key
),

pairs_in_records as (
    select
        one.identifier_key as left_key,
        other.identifier_key as right_key,
        one.source,
        one.records,
        one.first_seen_at,
        one.last_seen_at,
        least(one.strength, other.strength) as strength,
        case
            when one.objection = 0 then other.objection
            when other.objection = 0 then one.objection
            else least(one.objection, other.objection)
        end as objection,
        greatest(
            case when one.objection = 3 then one.owned_since end,
            case when other.objection = 3 then other.owned_since end
        ) as valid_to
    from judged_observations as one
    inner join judged_observations as other
        on
            one.record_hash = other.record_hash
            and one.identifier_key < other.identifier_key
),

pairs_seen_together as (
    -- one record that may speak for both is enough
    select
        left_key,
        right_key,
        cast(count(distinct source) as integer) as sources,
        cast(sum(records) as bigint) as observations,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        max(valid_to) as valid_to,
        min(strength) as strength,
        min(objection) as objection
    from pairs_in_records
    group by left_key, right_key
),

vetoed_matches as (
    select
        matched_pairs.left_key,
        matched_pairs.right_key
    from matched_pairs
    inner join described_identifiers as one
        on matched_pairs.left_key = one.identifier_key
    inner join described_identifiers as other
        on matched_pairs.right_key = other.identifier_key
    cross join rules
    where
        {{ tagloom.birth_dates_contradict('one.birth_date', 'other.birth_date', 'rules.digits_differ') }}
        and {{ tagloom.names_contradict('one', 'other', 'rules.similar_below') }}
),

all_pairs as (
    select
        left_key,
        right_key
    from pairs_seen_together
    union
    select
        left_key,
        right_key
    from matched_pairs
    union
    select
        left_key,
        right_key
    from decided_pairs
    where is_linked
),

judged_pairs as (
    select
        all_pairs.left_key,
        all_pairs.right_key,
        case
            when decided_pairs.is_linked then 'manual'
            when pairs_seen_together.left_key is not null then 'exact'
            else 'probabilistic'
        end as kind,
        coalesce(pairs_seen_together.sources, 0) as sources,
        coalesce(pairs_seen_together.observations, 0) as observations,
        pairs_seen_together.first_seen_at,
        pairs_seen_together.last_seen_at,
        pairs_seen_together.valid_to,
        pairs_seen_together.strength,
        matched_pairs.probability,
        decided_pairs.is_linked,
        case
            when pairs_seen_together.left_key is not null then pairs_seen_together.objection
            when 'blocked value' in (left_end.rejected_because, right_end.rejected_because) then 1
            when coalesce(left_end.rejected_because, right_end.rejected_because) is not null then 2
            when vetoed_matches.left_key is not null then 5
            else 0
        end as objection
    from all_pairs
    inner join identifiers as left_end
        on all_pairs.left_key = left_end.identifier_key
    inner join identifiers as right_end
        on all_pairs.right_key = right_end.identifier_key
    left join pairs_seen_together
        on
            all_pairs.left_key = pairs_seen_together.left_key
            and all_pairs.right_key = pairs_seen_together.right_key
    left join matched_pairs
        on
            all_pairs.left_key = matched_pairs.left_key
            and all_pairs.right_key = matched_pairs.right_key
    left join vetoed_matches
        on
            all_pairs.left_key = vetoed_matches.left_key
            and all_pairs.right_key = vetoed_matches.right_key
    left join decided_pairs
        on
            all_pairs.left_key = decided_pairs.left_key
            and all_pairs.right_key = decided_pairs.right_key
),

edges as (
    select
        left_key,
        right_key,
        kind,
        sources,
        observations,
        first_seen_at,
        last_seen_at,
        cast(case when kind = 'exact' and objection = 3 then valid_to end as timestamp) as valid_to,
        case kind
            when 'manual' then 9
            when 'exact' then strength
            else 1
        end as strength,
        cast(case when kind = 'probabilistic' then probability end as double) as probability,
        case
            when is_linked then null
            when not is_linked then 'never linked'
            when objection = 1 then 'blocked value'
            when objection = 2 then 'shared identifier'
            when objection = 3 then 'recycled'
            when objection = 4 then 'not the dominant owner'
            when objection = 5 then 'attribute veto'
        end as rejected_because
    from judged_pairs
)

select * from edges
