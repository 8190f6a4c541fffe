{% macro long_form(table, key, tags) -%}
    {#- Body of a CTE: a wide table in long form, one row per object and tag that has a value. `tags` is name: type. Each
        tag is a select of its own, so that whoever asks for one tag reads one column. -#}
    {%- for tag, type in tags.items() %}
    {{ 'union all' if not loop.first }}
    select
        {{ key }},
        '{{ tag }}' as tag,
        '{{ type }}' as data_type,
        cast({{ tag }} as {{ dbt.type_string() }}) as value
    from {{ table }}
    where {{ tag }} is not null
    {%- endfor %}
{%- endmacro %}
