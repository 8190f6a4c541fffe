{% macro first_by(value, keys) -%}
    {#- Aggregate: the value of the row of a group that comes first in the ascending order of all the keys, none of which
        may be null. A number is put in descending order by a minus, a date by days_between it and a day far
        ahead; as_of_date would do, but what is computed from it moves for everybody every day. Costs a third less than
        row_number() and a filter. -#}
    {{ return(adapter.dispatch('first_by', 'tagloom')(value, keys)) }}
{%- endmacro %}

{% macro default__first_by(value, keys) -%}
    min_by({{ value }}, row({{ keys | join(', ') }}))
{%- endmacro %}

{% macro spark__first_by(value, keys) -%}
    min_by({{ value }}, struct({{ keys | join(', ') }}))
{%- endmacro %}
