{% macro number_of_hash(identifier_hash) -%}
    {#- A number for the keyed hash, an eighth of its size, in fact tables of many rows: by it the rows of an identifier
        are found when it comes to belong to somebody else. Two identifiers with one number do no harm there. -#}
    {{ return(adapter.dispatch('number_of_hash', 'tagloom')(identifier_hash)) }}
{%- endmacro %}

{% macro default__number_of_hash(identifier_hash) -%}
    cast(hash({{ identifier_hash }}) >> 1 as bigint)
{%- endmacro %}

{% macro spark__number_of_hash(identifier_hash) -%}
    xxhash64({{ identifier_hash }})
{%- endmacro %}
