{% macro share_index(part, whole) -%}
    {#- Part of a whole as a whole number from 0 to 100; null when there is no whole. -#}
    cast(round(100 * cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0)) as integer)
{%- endmacro %}
