{% macro ntile_score(column, buckets=5, highest='most', within=none) -%}
    {#- 1 to `buckets` by rank among the rows that have a value; `buckets` is best. Unlike ntile(), equal values get
        equal scores (that of the lowest place they share), so the score never depends on the order of rows.
        highest: 'most' when a large value is good, 'least' when a small one is. -#}
    {%- set partition = 'partition by ' ~ within if within else '' -%}
    {%- set direction = {'most': 'asc', 'least': 'desc'}[highest] -%}
    case
        when {{ column }} is not null
            then 1 + cast(
                floor(
                    (rank() over ({{ partition }} order by {{ column }} {{ direction }} nulls last) - 1)
                    * {{ buckets }} / cast(count({{ column }}) over ({{ partition }}) as double)
                ) as integer
            )
    end
{%- endmacro %}
