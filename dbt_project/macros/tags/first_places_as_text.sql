{% macro first_places_as_text(column, place, places) -%}
    {#- The values of a group that hold places 1 to `places`, best first, as 'MILK, EGGS'; fewer when there are fewer. -#}
    concat_ws(
        ', ',
        {%- for number in range(1, places + 1) %}
        max(case when {{ place }} = {{ number }} then {{ column }} end){{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
