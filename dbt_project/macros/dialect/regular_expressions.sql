{% macro matches(column, pattern) -%}
    {#- True when the pattern is found anywhere in the column. Write [0-9], not \d: engines read backslashes differently. -#}
    {{ return(adapter.dispatch('matches', 'tagloom')(column, pattern)) }}
{%- endmacro %}

{% macro default__matches(column, pattern) -%}
    regexp_matches({{ column }}, {{ pattern }})
{%- endmacro %}

{% macro spark__matches(column, pattern) -%}
    regexp_like({{ column }}, {{ pattern }})
{%- endmacro %}

{% macro replace_all(column, pattern, replacement) -%}
    {#- Replaces every match of the pattern. -#}
    {{ return(adapter.dispatch('replace_all', 'tagloom')(column, pattern, replacement)) }}
{%- endmacro %}

{% macro default__replace_all(column, pattern, replacement) -%}
    regexp_replace({{ column }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}

{% macro spark__replace_all(column, pattern, replacement) -%}
    regexp_replace({{ column }}, '{{ pattern }}', '{{ replacement }}')
{%- endmacro %}
