{% macro previous(model_name, columns) -%}
    {#- What the last run left in a table of this schema, for a model that goes on from it and cannot `ref` it, because
        that table is built after this one. `columns` holds name: type; where the table was never built it is an empty
        select of these columns. Unit tests override the macro that wraps it. -#}
    {{- tagloom.table_if_there(this.schema, model_name, columns) -}}
{%- endmacro %}

{% macro table_if_there(schema, name, columns) -%}
    {#- The table, or an empty select of these columns (name: type) where there is none. -#}
    {%- set table = adapter.get_relation(this.database, schema, name) if execute else none -%}
    {%- if table is not none -%}
        {{ table }}
    {%- else -%}
        (select {% for column, type in columns.items() %}cast(null as {{ type }}) as {{ column }}{{ ', ' if not loop.last }}{% endfor %} where false)
    {%- endif -%}
{%- endmacro %}
