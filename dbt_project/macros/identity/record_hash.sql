{% macro record_hash(table, columns) -%}
    {#- Keyed hash of the identifiers that stand together in a row of the table; missing ones count as empty. -#}
    {%- set values = [] -%}
    {%- for column in columns -%}
        {%- do values.append("coalesce(" ~ column ~ ", '')") -%}
    {%- endfor -%}
    {{ tagloom.identifier_hash('record', "'" ~ table ~ "|' || " ~ values | join(" || '|' || ")) }}
{%- endmacro %}
