{% macro is_update() -%}
    {#- True while an update replaces the rows of affected persons, false while everything is built. -#}
    {{ return(env_var('TAGLOOM_AFFECTED_ONLY', 'false') == 'true') }}
{%- endmacro %}
