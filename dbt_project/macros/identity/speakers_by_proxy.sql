{% macro speakers_by_proxy(known_speakers, owners, least_strength) -%}
    {#- Who the other records are about: the best owner of the strongest identifier that stands in them. `known_speakers`
        is a CTE with record_hash, `owners` one of owners_by_attestation. Needs the CTE observations. -#}
    select
        record_hash,
        speaker_key,
        through_key
    from (
        select
            observations.record_hash,
            owners.speaker_key,
            observations.identifier_key as through_key,
            row_number() over (
                partition by observations.record_hash
                order by observations.strength desc, observations.identifier_hash asc
            ) as precedence
        from observations
        inner join {{ owners }} as owners
            on
                observations.identifier_key = owners.identifier_key
                and owners.precedence = 1
        left join {{ known_speakers }} as known_speakers
            on observations.record_hash = known_speakers.record_hash
        where
            known_speakers.record_hash is null
            and observations.strength >= {{ least_strength }}
            and observations.rejected_because is null
            and (observations.owned_since is null or observations.last_seen_at >= observations.owned_since)
    ) as owned_in_record
    where precedence = 1
{%- endmacro %}
