{% macro points(value, full_at, most) -%}
    {#- Part of a score: 0 for nothing or a missing value, `most` from full_at on, in proportion between them. -#}
    {{ most }} * greatest(0, least(1, coalesce(cast({{ value }} as double), 0) / {{ full_at }}))
{%- endmacro %}
