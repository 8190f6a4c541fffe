{% macro decay(date_column, half_life_days, halvings=3) -%}
    {#- What a fact still weighs: 1 in the half_life_days that end with as_of_date, a half in as many days before them, a
        quarter before those, and nothing after so many halvings. In steps, because a weight that shrinks day by day
        moves the tags of everybody every day, and in powers of two, because their sums do not depend on the order. -#}
    cast(
        case
            {%- for halving in range(halvings + 1) %}
            when {{ tagloom.in_last_days(date_column, half_life_days * (halving + 1)) }} then {{ 0.5 ** halving }}
            {%- endfor %}
            else 0
        end as decimal(9, 6)
    )
{%- endmacro %}
