{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- The folder's name alone: tables are found by layer, whoever builds them. -#}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
