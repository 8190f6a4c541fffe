{% macro percentile_within(column, within, least=10) -%}
    {#- How many of 100 others in the group have a smaller value: 0 the smallest, 100 the largest, equal values the same.
        Null without a value or a group, and in a group with fewer than `least` values, where a place is an accident. -#}
    case
        when
            {{ column }} is not null
            and {{ within }} is not null
            and count({{ column }}) over (partition by {{ within }}) >= {{ least }}
            then cast(
                round(
                    100 * cast(
                        rank() over (partition by {{ within }} order by {{ column }} asc nulls last) - 1 as double
                    ) / nullif(count({{ column }}) over (partition by {{ within }}) - 1, 0)
                ) as integer
            )
    end
{%- endmacro %}
