{% materialization table_of_persons, default %}
    {#- A table whose rows belong to persons. A full build makes it like any table. Other runs replace some of its rows in
        one transaction: the same SQL over the facts of these rows, as tagloom.replacing has written it down. -#}
    {%- set replacement = tagloom.replacement_of(model.name) if tagloom.is_update() else none -%}
    {%- if replacement is none -%}
        {{ return(context['materialization_table_' ~ adapter.type()]()) }}
    {%- endif -%}
    {%- set target_relation = load_cached_relation(this) -%}
    {%- if target_relation is none -%}
        {{ exceptions.raise_compiler_error(this ~ ' was never built; an update replaces rows, so run build_tags first.') }}
    {%- endif -%}
    {%- set new_rows = make_temp_relation(target_relation) -%}
    {%- set columns = get_quoted_csv(adapter.get_columns_in_relation(target_relation) | map(attribute='name')) %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- for statement_sql in fromjson(replacement['first']) %}
        {% call statement('prepare_' ~ loop.index) -%} {{ statement_sql }} {%- endcall %}
    {%- endfor %}
    {% call statement('new_rows') -%}
        {{ create_table_as(True, new_rows, tagloom.over_facts_of_replaced_rows(sql, replacement)) }}
    {%- endcall %}
    {%- for template in fromjson(replacement['statements']) %}
        {% call statement('replace_' ~ loop.index) -%}
            {{ template | replace('old_rows', target_relation | string) | replace('new_rows', new_rows | string) }}
        {%- endcall %}
    {%- endfor %}
    {% call statement('main') -%}
        insert into {{ target_relation }} ({{ columns }})
        select {{ columns }} from {{ new_rows }}
        where {{ replacement['kept'] }}
    {%- endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ drop_relation_if_exists(new_rows) }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro over_facts_of_replaced_rows(select_sql, replacement) -%}
    {#- The compiled SQL of the running model, with a filter around each table that the replacement names. -#}
    {%- set reads = fromjson(replacement['reads']) -%}
    {%- set filtered = namespace(sql=select_sql) -%}
    {%- for parent in model.depends_on.nodes if graph.nodes[parent] and graph.nodes[parent].name in reads -%}
        {%- set filtered.sql = filtered.sql | replace(
            graph.nodes[parent].relation_name, '(' ~ reads[graph.nodes[parent].name] ~ ')'
        ) -%}
    {%- endfor -%}
    {{ return(filtered.sql) }}
{%- endmacro %}
