{% macro ratio(dividend, divisor, scale=2) -%}
    {#- Quotient as decimal(14, scale), rounded half up; null when the divisor is zero. -#}
    cast(
        round(cast({{ dividend }} as double) / nullif(cast({{ divisor }} as double), 0), {{ scale }})
        as decimal(14, {{ scale }})
    )
{%- endmacro %}
