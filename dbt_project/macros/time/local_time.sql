{% macro local_time(utc_timestamp) -%}
    {#- UTC timestamp without a zone -> wall-clock timestamp of the business, whose days and hours tags count in. -#}
    {{ return(adapter.dispatch('local_time', 'tagloom')(utc_timestamp)) }}
{%- endmacro %}

{% macro default__local_time(utc_timestamp) -%}
    timezone('{{ env_var("TAGLOOM_TIME_ZONE", "America/New_York") }}', timezone('UTC', {{ utc_timestamp }}))
{%- endmacro %}

{% macro spark__local_time(utc_timestamp) -%}
    from_utc_timestamp({{ utc_timestamp }}, '{{ env_var("TAGLOOM_TIME_ZONE", "America/New_York") }}')
{%- endmacro %}
