{% macro default__get_assert_columns_equivalent(sql) -%}
    {#- Whether a model gives the columns of its contract: dbt's check, which has the engine plan the SQL twice more, in
        full builds. Other runs go on from one with the same SQL. -#}
    {{ return('' if tagloom.is_update() else assert_columns_equivalent(sql)) }}
{%- endmacro %}
