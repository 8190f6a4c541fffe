{% macro names_contradict(one, other, below) -%}
    {#- True when given name or surname is less similar than `below`, and also when one record has the two swapped.
        `one` and `other` are relations with given_name and surname; a part that either lacks says nothing. -#}
    least(
        coalesce({{ tagloom.text_similarity(one ~ '.given_name', other ~ '.given_name') }}, 1.0),
        coalesce({{ tagloom.text_similarity(one ~ '.surname', other ~ '.surname') }}, 1.0)
    ) < {{ below }}
    and coalesce(
        least(
            {{ tagloom.text_similarity(one ~ '.given_name', other ~ '.surname') }},
            {{ tagloom.text_similarity(one ~ '.surname', other ~ '.given_name') }}
        ),
        0.0
    ) < {{ below }}
{%- endmacro %}

{% macro text_similarity(one, other) -%}
    {#- 1 minus edit distance divided by the longer length, without regard to case; null when either is null. -#}
    (
        1.0 - levenshtein(lower({{ one }}), lower({{ other }}))
        / cast(nullif(greatest(length({{ one }}), length({{ other }})), 0) as double)
    )
{%- endmacro %}

{% macro birth_dates_contradict(one, other, digits) -%}
    {#- True when at least so many digits of YYYY-MM-DD must be changed to make the dates equal; null when one is. -#}
    levenshtein(cast({{ one }} as varchar(10)), cast({{ other }} as varchar(10))) >= {{ digits }}
{%- endmacro %}
