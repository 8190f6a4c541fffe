{% macro is_affected(person_id) -%}
    {#- True for a person whose rows the running update replaces; tagloom.microbatch writes the table beforehand. -#}
    {{ person_id }} in (select person_id from operations.affected_persons)
{%- endmacro %}
