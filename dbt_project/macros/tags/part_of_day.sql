{% macro part_of_day(hour) -%}
    {#- Local hour -> morning (5 to 11), afternoon (12 to 16), evening (17 to 21) or night (22 to 4). -#}
    case
        when {{ hour }} between 5 and 11 then 'morning'
        when {{ hour }} between 12 and 16 then 'afternoon'
        when {{ hour }} between 17 and 21 then 'evening'
        when {{ hour }} is not null then 'night'
    end
{%- endmacro %}
