{% macro starts_new_session(previous_at, current_at) -%}
    {#- True for the first event of all and for one that comes 30 minutes or more after the one before it. -#}
    ({{ previous_at }} is null or {{ tagloom.seconds_between(previous_at, current_at) }} >= 1800)
{%- endmacro %}
