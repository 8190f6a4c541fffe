{% macro iso_weekday(date_column) -%}
    {#- 1 Monday to 7 Sunday (ISO 8601). -#}
    {{ return(adapter.dispatch('iso_weekday', 'tagloom')(date_column)) }}
{%- endmacro %}

{% macro default__iso_weekday(date_column) -%}
    cast(isodow({{ date_column }}) as integer)
{%- endmacro %}

{% macro spark__iso_weekday(date_column) -%}
    (weekday({{ date_column }}) + 1)
{%- endmacro %}
