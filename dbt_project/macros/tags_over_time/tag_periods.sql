{% macro tag_periods(object, table, key, tags) -%}
    {#- Body of a CTE: a history of tags in long form, one row per object, tag and row of the history that has a value.
        Each tag is a select of its own, so that whoever asks for one tag reads one column. -#}
    {%- for tag in tags %}
    {{ 'union all' if not loop.first }}
    select
        '{{ object }}' as object,
        cast({{ key }} as {{ dbt.type_string() }}) as object_id,
        '{{ tag }}' as tag,
        cast({{ tag }} as {{ dbt.type_string() }}) as value,
        valid_from,
        valid_to
    from {{ table }}
    where {{ tag }} is not null and (valid_to is null or valid_to > valid_from)
    {%- endfor %}
{%- endmacro %}
