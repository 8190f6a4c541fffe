{% macro strips_plus_tags() -%}
    {#- Written by `make tags` from identity/policy.yml; change that, not this file. -#}
    {{ return(True) }}
{%- endmacro %}
