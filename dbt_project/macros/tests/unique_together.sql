{% test unique_together(model, columns) %}
    {#- No two rows share the values of these columns: the grain of a table whose key has several parts. -#}
    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
