{% macro in_last_days(date_column, days) -%}
    {#- True for the `days` days that end with as_of_date: 7 means as_of_date and the six days before it. -#}
    {{ date_column }} > {{ tagloom.days_before_as_of(days) }} and {{ date_column }} <= {{ tagloom.as_of_date() }}
{%- endmacro %}

{% macro days_before_as_of(days) -%}
    cast({{ tagloom.as_of_date() }} - interval '{{ days }}' day as date)
{%- endmacro %}
