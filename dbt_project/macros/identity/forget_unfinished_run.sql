{% macro forget_unfinished_run() -%}
    {#- Before a table of runs is added to: take away what a run has left that never got as far as the history. -#}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where run_number >= (select run_number from ({{ tagloom.run_of_identity() }}) as run)
    {%- endif -%}
{%- endmacro %}
