{% macro known_by_as_of_date(date_column) -%}
    {#- True for what had happened by the end of as_of_date: the one door by which time enters the facts. -#}
    {{ date_column }} <= {{ tagloom.as_of_date() }}
{%- endmacro %}
