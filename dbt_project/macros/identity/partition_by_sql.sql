{% macro partition_by_sql(target_relation, existing_relation) -%}
    {#- Makes identity_components without Python. A component that breaks a limit per person or holds a never-linked pair
        loses all edges of its weakest strength, and again, until it breaks none; tagloom.identity.components leaves out
        one edge at a time instead, so it keeps more together. -#}
    {%- set work = 'work_' ~ target_relation.identifier -%}
    {%- set accepted_edges -%}
        (select left_key, right_key, strength from {{ ref('identity_edges') }} where rejected_because is null)
    {%- endset -%}
    {%- set strengths = run_query('select distinct strength from ' ~ accepted_edges ~ ' as edges order by strength') -%}
    {%- do tagloom.connected_components(accepted_edges, ref('identity_registry'), work ~ '_raw') -%}
    {%- do tagloom.make_work_table(work, 'select identifier_key, component_key from ' ~ work ~ '_raw') -%}
    {%- for strength in strengths.columns[0].values() -%}
        {%- do tagloom.make_work_table(work ~ '_broken', tagloom.identifiers_of_broken_components(work, manual_only=strength >= 9)) -%}
        {%- if not tagloom.has_rows(work ~ '_broken') -%}{%- break -%}{%- endif -%}
        {%- set stronger_edges -%}
            (
                select edges.left_key, edges.right_key
                from {{ accepted_edges }} as edges
                inner join {{ work }}_broken as broken on edges.left_key = broken.identifier_key
                where edges.strength > {{ strength }}
            )
        {%- endset -%}
        {%- do tagloom.connected_components(stronger_edges, work ~ '_broken', work ~ '_again') -%}
        {%- do tagloom.make_work_table(work ~ '_cut', tagloom.with_components_solved_again(work, work ~ '_again')) -%}
        {%- do tagloom.rename_work_table(work ~ '_cut', work) -%}
    {%- endfor -%}

    {%- set rows -%}
        select
            raw_components.identifier_key,
            raw_components.component_key as raw_component_key,
            components.component_key
        from {{ work }}_raw as raw_components
        inner join {{ work }} as components
            on raw_components.identifier_key = components.identifier_key
    {%- endset -%}
    {#- Not of this table any more: what the Python solver would go on from. -#}
    {%- set state = adapter.get_relation(target_relation.database, 'operations', 'identity_solver') -%}
    {%- if state is not none -%}
        {%- do run_query('drop table ' ~ state) -%}
    {%- endif -%}
    {%- if existing_relation is not none -%}
        {%- do run_query('drop table if exists ' ~ target_relation) -%}
    {%- endif -%}
    {%- call statement('main') -%}
        {{ create_table_as(False, target_relation, rows) }}
    {%- endcall -%}
    {%- for name in [work, work ~ '_raw', work ~ '_broken', work ~ '_again'] -%}
        {%- do run_query(tagloom.drop_work_table(name)) -%}
    {%- endfor -%}
{%- endmacro %}

{% macro identifiers_of_broken_components(components, manual_only) -%}
    {#- Limits per person do not stop manual edges: where there are no others, never-links alone are looked at. -#}
    select components.identifier_key
    from {{ components }} as components
    inner join (
        select left_components.component_key
        from {{ ref('stg_operations__identity_decisions') }} as decisions
        inner join {{ ref('identity_registry') }} as left_identifiers
            on
                decisions.left_type = left_identifiers.identifier_type
                and decisions.left_hash = left_identifiers.identifier_hash
        inner join {{ components }} as left_components
            on left_identifiers.identifier_key = left_components.identifier_key
        inner join {{ ref('identity_registry') }} as right_identifiers
            on
                decisions.right_type = right_identifiers.identifier_type
                and decisions.right_hash = right_identifiers.identifier_hash
        inner join {{ components }} as right_components
            on right_identifiers.identifier_key = right_components.identifier_key
        where
            decisions.kind = 'never_link'
            and left_components.component_key = right_components.component_key
            and left_components.identifier_key <> right_components.identifier_key
        {%- if not manual_only %}
        union
        select limited.component_key
        from (
            select
                components.component_key,
                identifiers.identifier_type,
                count(*) as identifiers
            from {{ components }} as components
            inner join {{ ref('identity_registry') }} as identifiers
                on components.identifier_key = identifiers.identifier_key
            group by components.component_key, identifiers.identifier_type
        ) as limited
        inner join {{ ref('identity_policy') }} as policy
            on limited.identifier_type = policy.identifier_type
        where limited.identifiers > policy.per_person
        {%- else %}
        group by left_components.component_key
        {%- endif %}
    ) as broken
        on components.component_key = broken.component_key
{%- endmacro %}

{% macro with_components_solved_again(components, solved_again) -%}
    select
        components.identifier_key,
        coalesce(solved_again.component_key, components.component_key) as component_key
    from {{ components }} as components
    left join {{ solved_again }} as solved_again
        on components.identifier_key = solved_again.identifier_key
{%- endmacro %}
