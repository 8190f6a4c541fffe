{% macro tags_as_of(date, object='person', tags=none) -%}
    {#- To select from: one row per object that was known at the end of a day, with its key and the values that its tags
        had then. `date` is an SQL expression, `tags` a list of names; all tags with a history when left out. -#}
    {%- set key = object ~ '_id' -%}
    {%- set tables = tagloom.histories_of(object, tags) -%}
    (
        select
            objects.{{ key }}
            {%- for names in tables.values() %}{% for name in names %},
            {{ name }}
            {%- endfor %}{% endfor %}
        from (
            {%- for table in tables %}
            {{ 'union' if not loop.first }}
            select {{ key }} from {{ ref(table) }} where {{ tagloom.is_valid_on(date) }}
            {%- endfor %}
        ) as objects
        {%- for table, names in tables.items() %}
        left join (
            select
                {{ key }},
                {{ names | join(', ') }}
            from {{ ref(table) }}
            where {{ tagloom.is_valid_on(date) }}
        ) as {{ table }}
            on objects.{{ key }} = {{ table }}.{{ key }}
        {%- endfor %}
    )
{%- endmacro %}

{% macro is_valid_on(date, history=none) -%}
    {#- True for the rows of a history that say what was true at the end of a day. -#}
    {%- set of = history ~ '.' if history else '' -%}
    {{ of }}valid_from <= {{ date }} and ({{ of }}valid_to is null or {{ of }}valid_to > {{ date }})
{%- endmacro %}

{% macro histories_of(object, tags=none) -%}
    {#- History table -> those of the tags that it holds, for the tables that are needed. -#}
    {%- set everything = tagloom.tag_histories() -%}
    {%- if object not in everything -%}
        {{ exceptions.raise_compiler_error(
            "No tag of a " ~ object ~ " has a history; there are histories of " ~ everything | join(', ') ~ "."
        ) }}
    {%- endif -%}
    {%- set tables = everything[object] -%}
    {%- if tags is none -%}{{ return(tables) }}{%- endif -%}
    {%- set chosen = {} -%}
    {%- set found = [] -%}
    {%- for table, names in tables.items() -%}
        {%- set wanted = names | select('in', tags) | list -%}
        {%- if wanted -%}
            {%- do chosen.update({table: wanted}) -%}
            {%- do found.extend(wanted) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for tag in tags if tag not in found -%}
        {{ exceptions.raise_compiler_error(
            "The " ~ object ~ " tag " ~ tag ~ " has no history; write `history: true` into its twin and run `make tags`."
        ) }}
    {%- endfor -%}
    {{ return(chosen) }}
{%- endmacro %}
