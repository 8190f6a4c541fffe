{% macro full_years_between(earlier, later) -%}
    {#- Birthdays or anniversaries passed: the year counts from its day on, and 29 February counts from 1 March. -#}
    cast(
        extract(year from {{ later }}) - extract(year from {{ earlier }})
        - case
            when
                extract(month from {{ later }}) * 100 + extract(day from {{ later }})
                < extract(month from {{ earlier }}) * 100 + extract(day from {{ earlier }})
                then 1
            else 0
        end as integer
    )
{%- endmacro %}
