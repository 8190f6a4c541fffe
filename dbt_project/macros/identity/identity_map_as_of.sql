{% macro identity_map_as_of(date) -%}
    {#- The identity map as it was in use at the end of a day, to select from: identifier_key, person_id. -#}
    (
        select
            identifier_key,
            person_id
        from {{ ref('identity_map_history') }}
        where valid_from <= {{ date }} and (valid_to is null or valid_to > {{ date }})
    )
{%- endmacro %}
