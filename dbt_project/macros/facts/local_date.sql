{% macro local_date(utc_timestamp) -%}
    {#- UTC timestamp without a zone -> the business's calendar day, which tags count in. -#}
    cast({{ tagloom.local_time(utc_timestamp) }} as date)
{%- endmacro %}
