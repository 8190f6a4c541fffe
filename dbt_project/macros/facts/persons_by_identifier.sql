{% macro persons_by_identifier(identifier_type, column, relation) -%}
    {#- Each distinct value of the column in the relation, its hash, a number for the hash and its person. Facts join the
        value they hold themselves, so a hash is computed once per card and not once per line. Needs a CTE named
        identity_map. -#}
    select
        identifiers.{{ column }},
        identifiers.identifier_hash,
        {{ tagloom.number_of_hash('identifiers.identifier_hash') }} as hash_number,
        identity_map.person_id
    from (
        select
            observed.{{ column }},
            {{ tagloom.identifier_hash(identifier_type, 'observed.' ~ column) }} as identifier_hash
        from (
            select distinct {{ column }}
            from {{ relation }}
            where {{ column }} is not null
        ) as observed
    ) as identifiers
    left join identity_map
        on
            identity_map.identifier_type = '{{ identifier_type }}'
            and identifiers.identifier_hash = identity_map.identifier_hash
{%- endmacro %}
