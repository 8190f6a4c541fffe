{% macro is_update() -%}
    {#- True while a run replaces rows in tables of persons, false while everything is built. -#}
    {{ return(env_var('TAGLOOM_AFFECTED_ONLY', 'false') == 'true') }}
{%- endmacro %}
