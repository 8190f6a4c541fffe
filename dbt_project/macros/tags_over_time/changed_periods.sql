{% macro changed_periods(table, days, key, columns) -%}
    {#- Body of a CTE: the rows by which a history of tags changes when a day is built, to be put in the place of those
        with the same key and valid_from. `table` holds the values of the day, `days` the days that were ever built,
        `columns` name: type.

        A build says what is true from its day until the next day that was built. It replaces what the history said
        about that period, and neighbours that say the same become one: so the history does not depend on the order in
        which days were built, or how often. A row that is no longer needed is replaced by one without any day
        (valid_to = valid_from), for an incremental model cannot take rows away.

        Where a run has replaced the rows of some objects in `table`, others cannot have changed: it says whose with
        tagloom.replacing, and only theirs are compared. -#}
    {%- set is_other = [] -%}
    {%- set is_same = [] -%}
    {%- for name in columns -%}
        {%- do is_other.append('this_day.' ~ name ~ ' is distinct from standing.' ~ name) -%}
        {%- do is_same.append('lag(' ~ name ~ ') over in_order is not distinct from ' ~ name) -%}
    {%- endfor -%}
    {#- A column that the table does not have yet, that of a new tag, is null before. -#}
    {%- set known = adapter.get_columns_in_relation(this) | map(attribute='name') | list if is_incremental() else [] -%}
    {%- set replaced = tagloom.replacement_of(this.identifier) if is_incremental() and tagloom.is_update() else none %}
    with this_day as (
        select
            {{ key }},
            {{ columns | join(',\n            ') }}
        from {{ table }}
        where
            {{ key ~ ' > 0' if key == 'person_id' else key ~ ' is not null' }}
            {%- if replaced %}
            and {{ replaced['kept'] }}
            {%- endif %}
    ),

    period as (
        select
            {{ tagloom.as_of_date() }} as first_day,
            min(as_of_date) as end_day
        from {{ days }}
        where as_of_date > {{ tagloom.as_of_date() }}
    )
    {%- if not is_incremental() %}

    select
        this_day.{{ key }},
        period.first_day as valid_from,
        period.end_day as valid_to,
        {{ columns | join(',\n        ') }}
    from this_day
    cross join period
    {%- else %},

    history as (
        select
            {{ key }},
            valid_from,
            valid_to
            {%- for name, type in columns.items() %},
            {{ name if name in known else tagloom.null_of_type(type) ~ ' as ' ~ name }}
            {%- endfor %}
        from {{ this }}
        where
            (valid_to is null or valid_to > valid_from)
            {%- if replaced %}
            and {{ replaced['kept'] }}
            {%- endif %}
    ),

    standing as (
        select history.*
        from history
        where {{ tagloom.is_valid_on(tagloom.as_of_date()) }}
    ),

    changed as (
        select coalesce(this_day.{{ key }}, standing.{{ key }}) as {{ key }}
        from this_day
        full join standing
            on this_day.{{ key }} = standing.{{ key }}
        where
            this_day.{{ key }} is null
            or standing.{{ key }} is null
            or {{ is_other | join('\n            or ') }}
    ),

    near as (
        select history.*
        from history
        inner join changed
            on history.{{ key }} = changed.{{ key }}
        cross join period
        where
            (history.valid_to is null or history.valid_to >= period.first_day)
            and (period.end_day is null or history.valid_from <= period.end_day)
    ),

    pieces as (
        select
            near.{{ key }},
            near.valid_from,
            case
                when near.valid_to is null or near.valid_to > period.first_day then period.first_day
                else near.valid_to
            end as valid_to,
            {{ columns | join(',\n            ') }}
        from near
        cross join period
        where near.valid_from < period.first_day
        union all
        select
            near.{{ key }},
            case when near.valid_from < period.end_day then period.end_day else near.valid_from end as valid_from,
            near.valid_to,
            {{ columns | join(',\n            ') }}
        from near
        cross join period
        where period.end_day is not null and (near.valid_to is null or near.valid_to > period.end_day)
        union all
        select
            this_day.{{ key }},
            period.first_day as valid_from,
            period.end_day as valid_to,
            {{ columns | join(',\n            ') }}
        from this_day
        inner join changed
            on this_day.{{ key }} = changed.{{ key }}
        cross join period
    ),

    beginnings as (
        select
            pieces.*,
            case
                when
                    lag(valid_to) over in_order = valid_from
                    and {{ is_same | join('\n                    and ') }}
                    then 0
                else 1
            end as begins
        from pieces
        window in_order as (partition by {{ key }} order by valid_from)
    ),

    numbered as (
        select
            beginnings.*,
            sum(begins) over (
                partition by {{ key }} order by valid_from rows between unbounded preceding and current row
            ) as row_number_of_object
        from beginnings
    ),

    merged as (
        select
            {{ key }},
            min(valid_from) as valid_from,
            case when count(valid_to) = count(*) then max(valid_to) end as valid_to
            {%- for name in columns %},
            min({{ name }}) as {{ name }}
            {%- endfor %}
        from numbered
        group by {{ key }}, row_number_of_object
    )

    select
        {{ key }},
        valid_from,
        valid_to,
        {{ columns | join(',\n        ') }}
    from merged
    union all
    select
        near.{{ key }},
        near.valid_from,
        near.valid_from as valid_to
        {%- for name, type in columns.items() %},
        {{ tagloom.null_of_type(type) }} as {{ name }}
        {%- endfor %}
    from near
    left join merged
        on
            near.{{ key }} = merged.{{ key }}
            and near.valid_from = merged.valid_from
    where merged.{{ key }} is null
    {%- endif %}
{%- endmacro %}

{% macro null_of_type(type) -%}
    {#- Null of a type as a twin declares it. -#}
    cast(null as {{ dbt.type_string() if type == 'varchar' else type }})
{%- endmacro %}
