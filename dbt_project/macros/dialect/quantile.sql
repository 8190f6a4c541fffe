{% macro quantile(column, part) -%}
    {#- Aggregate: the value below which the given part of a group lies, 0.5 for the median; a double, between two values
        where it falls between them. Missing values do not count. -#}
    {{ return(adapter.dispatch('quantile', 'tagloom')(column, part)) }}
{%- endmacro %}

{% macro default__quantile(column, part) -%}
    quantile_cont(cast({{ column }} as double), {{ part }})
{%- endmacro %}

{% macro spark__quantile(column, part) -%}
    percentile({{ column }}, {{ part }})
{%- endmacro %}
