{% macro as_of_date() -%}
    {#- The last day that a run may know of. Never the clock, so that any past day can be built again. It is read while a
        run executes, not while dbt parses, so that another day does not make dbt parse the project again. -#}
    {%- set day = var('as_of_date', env_var('TAGLOOM_AS_OF_DATE', '')) if execute else '1970-01-01' -%}
    {%- if not day -%}
        {{ exceptions.raise_compiler_error(
            "as_of_date is not set. Say which day to build for: --vars 'as_of_date: 2017-12-31' "
            ~ "or TAGLOOM_AS_OF_DATE in the environment."
        ) }}
    {%- endif -%}
    cast('{{ day }}' as date)
{%- endmacro %}
