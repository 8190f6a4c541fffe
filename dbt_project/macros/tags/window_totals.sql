{% macro count_in_last_days(date_column, days, condition=none) -%}
    {#- How many rows of a group lie in the last days (and meet the condition), as an integer; 0 when none does. -#}
    cast(
        count(
            case
                when {{ tagloom.in_last_days(date_column, days) }}{{ ' and ' ~ condition if condition }} then 1
            end
        ) as integer
    )
{%- endmacro %}

{% macro sum_in_last_days(amount, date_column, days) -%}
    {#- Sum over the rows of a group that lie in the last days, in the type that sum() gives; 0 when none does. -#}
    coalesce(sum(case when {{ tagloom.in_last_days(date_column, days) }} then {{ amount }} end), 0)
{%- endmacro %}
