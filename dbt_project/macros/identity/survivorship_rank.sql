{% macro survivorship_rank(attribute) -%}
    {#- 1 for the record whose value of the attribute survives: one that has any, of the most trusted source, the newest.
        Needs `records`, `identity_map` and `survivorship` in scope. -#}
    row_number() over (
        partition by identity_map.person_id
        order by
            case when records.{{ attribute }} is null then 1 else 0 end asc,
            case when survivorship.{{ attribute }}_trust is null then 1 else 0 end asc,
            survivorship.{{ attribute }}_trust asc,
            records.recorded_at desc,
            records.identifier_hash asc
    )
{%- endmacro %}
