{% macro try_compact_date(column) -%}
    {#- 'YYYYMMDD' -> date, null when it is not one. -#}
    {{ return(adapter.dispatch('try_compact_date', 'tagloom')(column)) }}
{%- endmacro %}

{% macro default__try_compact_date(column) -%}
    cast(try_strptime({{ column }}, '%Y%m%d') as date)
{%- endmacro %}

{% macro spark__try_compact_date(column) -%}
    cast(try_to_timestamp({{ column }}, 'yyyyMMdd') as date)
{%- endmacro %}
