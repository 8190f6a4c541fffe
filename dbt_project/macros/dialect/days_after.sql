{% macro days_after(date_column, days) -%}
    {#- The date that many days later; earlier for a negative number. -#}
    {{ return(adapter.dispatch('days_after', 'tagloom')(date_column, days)) }}
{%- endmacro %}

{% macro default__days_after(date_column, days) -%}
    cast({{ date_column }} + cast({{ days }} as integer) as date)
{%- endmacro %}

{% macro spark__days_after(date_column, days) -%}
    date_add({{ date_column }}, cast({{ days }} as int))
{%- endmacro %}
