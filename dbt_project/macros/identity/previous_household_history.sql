{% macro previous_household_history() -%}
    {#- household_history as the builds before have left it, for what is built before it. -#}
    {{ tagloom.previous('household_history', {
        'household_id': 'varchar',
        'person_id': 'bigint',
        'valid_from': 'date',
        'valid_to': 'date',
    }) }}
{%- endmacro %}

{% macro is_past_household_build() -%}
    {#- True in a build of a day before the last change of any household, which leaves the history as it is. -#}
    (
        select coalesce(max(greatest(valid_from, coalesce(valid_to, valid_from))) > {{ tagloom.as_of_date() }}, false)
        from {{ tagloom.previous_household_history() }}
    )
{%- endmacro %}
