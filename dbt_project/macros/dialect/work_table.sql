{% macro create_work_table(name, select_sql) -%}
    {#- SQL that makes a table which only this session needs; drop_work_table takes it away. -#}
    {{ return(adapter.dispatch('create_work_table', 'tagloom')(name, select_sql)) }}
{%- endmacro %}

{% macro default__create_work_table(name, select_sql) -%}
    create temporary table {{ name }} as {{ select_sql }}
{%- endmacro %}

{% macro spark__create_work_table(name, select_sql) -%}
    {#- Spark's temporary views would be computed again by everything that reads them. -#}
    create table {{ name }} using parquet as {{ select_sql }}
{%- endmacro %}

{% macro drop_work_table(name) -%}
    drop table if exists {{ name }}
{%- endmacro %}
