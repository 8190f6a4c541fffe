{% materialization table_of_persons, default %}
    {#- A table whose rows belong to persons. A full build makes it like any table. An update computes the same SQL, keeps
        the rows of affected persons and puts them in the place of their old ones, in one transaction; so a person gets
        the same row both ways, whatever the SQL is. -#}
    {%- if not tagloom.is_update() -%}
        {{ return(context['materialization_table_' ~ adapter.type()]()) }}
    {%- endif -%}

    {%- set target_relation = load_cached_relation(this) -%}
    {%- if target_relation is none -%}
        {{ exceptions.raise_compiler_error(this ~ ' was never built; an update replaces rows, so run build_tags first.') }}
    {%- endif -%}
    {%- set new_rows = make_temp_relation(target_relation) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('new_rows') -%}
        {{ create_table_as(True, new_rows, tagloom.rows_of_affected_persons(sql)) }}
    {%- endcall %}
    {% call statement('old_rows') -%}
        delete from {{ target_relation }} where {{ tagloom.is_affected('person_id') }}
    {%- endcall %}
    {%- set columns = get_quoted_csv(adapter.get_columns_in_relation(target_relation) | map(attribute='name')) %}
    {% call statement('main') -%}
        insert into {{ target_relation }} ({{ columns }})
        select {{ columns }} from {{ new_rows }}
    {%- endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ drop_relation_if_exists(new_rows) }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro rows_of_affected_persons(select_sql) -%}
    select *
    from (
        {{ select_sql }}
    ) as everybody
    where {{ tagloom.is_affected('everybody.person_id') }}
{%- endmacro %}
