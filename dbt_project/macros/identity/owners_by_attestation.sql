{% macro owners_by_attestation(speakers) -%}
    {#- Per identifier: who the records with it are about, the best attested one first: seen most often, by most sources,
        first. `speakers` is a CTE with record_hash and speaker_key. Needs the CTEs observations and identifiers. -#}
    select
        observations.identifier_key,
        speakers.speaker_key,
        row_number() over (
            partition by observations.identifier_key
            order by
                sum(observations.records) desc,
                count(distinct observations.source) desc,
                min(observations.first_seen_at) asc nulls last,
                min(speaking.identifier_hash) asc
        ) as precedence
    from observations
    inner join {{ speakers }} as speakers
        on observations.record_hash = speakers.record_hash
    inner join identifiers as speaking
        on speakers.speaker_key = speaking.identifier_key
    where
        observations.rejected_because is null
        and (observations.owned_since is null or observations.last_seen_at >= observations.owned_since)
    group by observations.identifier_key, speakers.speaker_key
{%- endmacro %}
