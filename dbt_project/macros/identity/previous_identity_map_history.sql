{% macro previous_identity_map_history() -%}
    {#- identity_map_history as the runs before have left it, for what is built before it. -#}
    {{ tagloom.previous('identity_map_history', {
        'identifier_key': 'bigint',
        'person_id': 'bigint',
        'valid_from': 'date',
        'valid_to': 'date',
        'run_number': 'bigint',
        'closed_run_number': 'bigint',
    }) }}
{%- endmacro %}

{% macro previous_person_registry() -%}
    {#- person_registry as the runs before have left it, for what is built before it. -#}
    {{ tagloom.previous('person_registry', {'person_id': 'bigint', 'anchor_key': 'bigint', 'registered_date': 'date'}) }}
{%- endmacro %}

{% macro previous_identity_map() -%}
    {#- Body of a CTE: who had which identifier on as_of_date, as far as the runs before know. For a day before the last
        run it is, where nothing is known of that day, who had it first afterwards. -#}
    select
        history.identifier_key,
        history.person_id
    from {{ tagloom.previous_identity_map_history() }} as history
    inner join (
        select
            identifier_key,
            min(run_number) as run_number
        from {{ tagloom.previous_identity_map_history() }}
        where valid_to is null or valid_to > {{ tagloom.as_of_date() }}
        group by identifier_key
    ) as first_rows
        on
            history.identifier_key = first_rows.identifier_key
            and history.run_number = first_rows.run_number
{%- endmacro %}

{% macro run_of_identity() -%}
    {#- Body of a CTE of one row: the number of this run, one more than that of the last one that changed anything, and
        whether it builds a day before the last change (is_past), which leaves the state as it is. -#}
    select
        cast(coalesce(max(greatest(run_number, coalesce(closed_run_number, run_number))), 0) + 1 as bigint) as run_number,
        coalesce(max(greatest(valid_from, coalesce(valid_to, valid_from))) > {{ tagloom.as_of_date() }}, false) as is_past
    from {{ tagloom.previous_identity_map_history() }}
{%- endmacro %}
