{% materialization identity_partition, default, supported_languages=['python'] %}
    {#- identity_components, changed in place: the Python model gives the rows that the table does not have yet. With the
        variable identity_solver at `sql`, as it is everywhere but on DuckDB, its Python is not run;
        connected_components makes the table anew. -#}
    {%- set solver = var('identity_solver', 'numpy' if target.type == 'duckdb' else 'sql') -%}
    {%- if solver not in ['numpy', 'sql'] -%}
        {%- do exceptions.raise_compiler_error("The variable identity_solver is '" ~ solver ~ "'; write numpy or sql.") -%}
    {%- endif -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- if existing_relation is not none and (should_full_refresh() or not existing_relation.is_table) -%}
        {{ drop_relation_if_exists(existing_relation) }}
    {%- endif -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if solver == 'sql' -%}
        {{ tagloom.partition_by_sql(target_relation, existing_relation) }}
    {%- else -%}
        {% call statement('main', language='python') -%}
{{ compiled_code }}


def materialize(outcome, connection):
    from tagloom.identity.partition import write

    write(connection, '{{ target_relation }}', outcome)
        {%- endcall %}
    {%- endif -%}
    {#- dbt enforces no contract on a Python model. -#}
    {%- do get_assert_columns_equivalent('select * from ' ~ target_relation) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
