{% macro replacement_of(model_name) -%}
    {#- The row of operations.replacements that is about a model, none when there is none. -#}
    {%- set found = run_query(
        "select reads, first, statements, kept from operations.replacements where model = '" ~ model_name ~ "'"
    ) -%}
    {{ return(found.rows[0] if found.rows | length else none) }}
{%- endmacro %}
