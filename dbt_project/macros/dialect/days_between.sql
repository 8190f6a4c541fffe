{% macro days_between(earlier, later) -%}
    {#- Whole days from one date to another, as an integer; negative when the order is reversed. -#}
    {{ return(adapter.dispatch('days_between', 'tagloom')(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    cast(date_diff('day', {{ earlier }}, {{ later }}) as integer)
{%- endmacro %}

{% macro spark__days_between(earlier, later) -%}
    datediff({{ later }}, {{ earlier }})
{%- endmacro %}
