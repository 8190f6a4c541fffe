{% macro value_counts(object, table, shapes) -%}
    {#- Body of a CTE: how many objects have each value of each tag, nobody's value (null) too. `shapes` holds tag: shape:

        listed          a yes or no, or a word from a list: each value is a bin
        text            any text: fifty bins by a hash
        whole           a whole number: half octaves (0, 1, 2, 3, 4 to 5, 6 to 7, 8 to 11, 12 to 15 ...)
        number          any number: half octaves (0, 1 to 1.414, 1.414 to 2 ...)
        date            its age in days on as_of_date, like a whole number
        [low, high, step]  a scale from low to high: bins `step` wide

        number is the value of a number and the age of a date, word the text of everything else and of a date. A bin is
        bin_from, its lower end, or bin_word. Bins follow from the value alone, so that those of any two days compare. -#}
    {%- for tag, shape in shapes.items() %}
    {%- set is_scale = shape is not string -%}
    {%- set age = tagloom.days_between(tag, tagloom.as_of_date()) -%}
    {%- set number = age if shape == 'date' else tag if is_scale or shape in ('whole', 'number') else none -%}
    {%- set no_word = 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
    {%- set word = 'cast(' ~ tag ~ ' as ' ~ dbt.type_string() ~ ')' -%}
    {%- set group = "'group ' || " ~ tagloom.group_of_text(tag, 50) %}
    {{ 'union all' if not loop.first }}
    select
        '{{ object }}' as object,
        '{{ tag }}' as tag,
        '{{ 'scale' if is_scale else shape }}' as shape,
        {{ 'cast(' ~ number ~ ' as double)' if number else 'cast(null as double)' }} as number,
        {{ word if not is_scale and shape in ('listed', 'text', 'date') else no_word }} as word,
        {% if is_scale -%}
        {{ tagloom.step_of_scale(tag, *shape) }}
        {%- elif number -%}
        {{ tagloom.half_octave(number) }}
        {%- else -%}
        cast(null as double)
        {%- endif %} as bin_from,
        cast({{ shape[2] if is_scale else 'null' }} as double) as bin_width,
        {{ word if shape == 'listed' else group if shape == 'text' else no_word }} as bin_word,
        cast(count(*) as bigint) as objects
    from {{ table }}
    group by {{ tag }}
    {%- endfor %}
{%- endmacro %}

{% macro step_of_scale(number, low, high, step) -%}
    {#- Lower end of the bin of a scale; what lies outside belongs to the first or the last bin. -#}
    case
        when {{ number }} is not null
            then cast(
                {{ low }} + {{ step }} * least(
                    greatest(floor((cast({{ number }} as double) - {{ low }}) / {{ step }}), 0),
                    {{ ((high - low) / step) | round(0, 'floor') | int - (0 if step == 1 else 1) }}
                ) as double
            )
    end
{%- endmacro %}

{% macro half_octave(number) -%}
    {#- Lower end of the half octave of a number: powers of the square root of two, from 1/128 on, on both sides of zero. -#}
    {%- set size = 'abs(cast(' ~ number ~ ' as double))' -%}
    {%- set octave = 'greatest(floor(2 * log2(' ~ size ~ ')), -14)' -%}
    case
        when {{ number }} is null then null
        when {{ number }} = 0 then 0
        when {{ number }} > 0 then round(power(2, {{ octave }} / 2), 6)
        else -round(power(2, ({{ octave }} + 1) / 2), 6)
    end
{%- endmacro %}

{% macro name_of_bin() -%}
    {#- What a bin is called, from the columns of value_counts: '3', '16 to 22', '10 to 20', 'gold', '23 to 31 days'. -#}
    {%- set upper = 'round(case when bin_from > 0 then bin_from * sqrt(2) else bin_from / sqrt(2) end, 6)' -%}
    {%- set first = 'case when bin_from > 0 then ceil(bin_from) else floor(bin_from) + 1 end' -%}
    {%- set last = 'case when bin_from > 0 then ceil(' ~ upper ~ ') - 1 else floor(' ~ upper ~ ') end' -%}
    {%- set only = 'case when bin_from = 0 then 0 else ' ~ last ~ ' end' -%}
    {%- set unit = "case when shape = 'date' then ' days' else '' end" -%}
    case
        when bin_word is not null then bin_word
        when bin_from is null then 'no value'
        when shape = 'scale' and bin_width = 1 then {{ tagloom.number_as_text('bin_from') }}
        when shape = 'scale'
            then concat(
                {{ tagloom.number_as_text('round(bin_from, 6)') }},
                ' to ',
                {{ tagloom.number_as_text('round(bin_from + bin_width, 6)') }}
            )
        when bin_from = 0 or (shape <> 'number' and {{ first }} = {{ last }})
            then concat({{ tagloom.number_as_text(only) }}, {{ unit }})
        when shape = 'number'
            then concat(
                {{ tagloom.number_as_text('round(bin_from, 3)') }},
                ' to ',
                {{ tagloom.number_as_text('round(' ~ upper ~ ', 3)') }}
            )
        else concat(
            {{ tagloom.number_as_text(first) }}, ' to ', {{ tagloom.number_as_text(last) }}, {{ unit }}
        )
    end
{%- endmacro %}

{% macro number_as_text(number) -%}
    {#- A double as text, without decimals where it is whole. -#}
    case
        when {{ number }} = floor({{ number }}) and abs({{ number }}) < 1e15
            then cast(cast({{ number }} as bigint) as {{ dbt.type_string() }})
        else cast({{ number }} as {{ dbt.type_string() }})
    end
{%- endmacro %}

{% macro group_of_text(text, groups) -%}
    {#- A text's group from 0 on, the same on every engine and day. -#}
    {{ return(adapter.dispatch('group_of_text', 'tagloom')(text, groups)) }}
{%- endmacro %}

{% macro default__group_of_text(text, groups) -%}
    cast(cast('0x' || substr(md5({{ text }}), 1, 7) as integer) % {{ groups }} as varchar)
{%- endmacro %}

{% macro spark__group_of_text(text, groups) -%}
    cast(cast(conv(substr(md5({{ text }}), 1, 7), 16, 10) as integer) % {{ groups }} as string)
{%- endmacro %}

{% macro text_list(text, order_by) -%}
    {#- The texts of a group in one, separated by commas, in the order of a number. -#}
    {{ return(adapter.dispatch('text_list', 'tagloom')(text, order_by)) }}
{%- endmacro %}

{% macro default__text_list(text, order_by) -%}
    string_agg({{ text }}, ', ' order by {{ order_by }})
{%- endmacro %}

{% macro spark__text_list(text, order_by) -%}
    array_join(transform(array_sort(collect_list(struct({{ order_by }}, {{ text }} as text))), pair -> pair.text), ', ')
{%- endmacro %}
