{% macro fixed_cuts_score(column, highest) -%}
    {#- 1 to one more than there are cuts, which follow as further arguments from the score of 2 on: with
        highest='most' they rise and a value that reaches one has its score, with 'least' they fall and a value at or
        below one has it. Unlike ntile_score it compares nobody with anybody. A missing value gets none. -#}
    {%- if highest not in ('most', 'least') or not varargs -%}
        {{ exceptions.raise_compiler_error(
            "fixed_cuts_score of " ~ column ~ " needs 'most' or 'least' and at least one cut after it, such as "
            ~ "fixed_cuts_score('orders', 'most', 2, 5, 10)."
        ) }}
    {%- endif -%}
    {%- if varargs | list != varargs | sort(reverse=highest == 'least') -%}
        {{ exceptions.raise_compiler_error(
            "The cuts of " ~ column ~ " are " ~ varargs | join(', ') ~ "; write them from the score of 2 on, "
            ~ ('rising' if highest == 'most' else 'falling') ~ "."
        ) }}
    {%- endif -%}
    case
        {%- for cut in varargs | reverse %}
        when {{ column }} {{ '>=' if highest == 'most' else '<=' }} {{ cut }} then {{ loop.revindex + 1 }}
        {%- endfor %}
        when {{ column }} is not null then 1
    end
{%- endmacro %}
