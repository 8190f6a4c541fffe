{% macro preference_index(weight, own_weight, weight_of_all, whole_weight_of_all, prior=10) -%}
    {#- How much a person prefers something, 0 to 100: own share / (own share + share with all persons), so 50 is as
        everybody, 75 three times as much, 0 never. Each person starts with `prior` purchases like everybody's, so that
        one lucky find is no preference. Null when nobody has any of it. -#}
    {%- set own -%}
    (cast({{ weight }} as double) * {{ whole_weight_of_all }} + {{ prior }} * cast({{ weight_of_all }} as double))
    {%- endset -%}
    cast(
        round(
            100 * {{ own }}
            / nullif({{ own }} + cast({{ weight_of_all }} as double) * ({{ own_weight }} + {{ prior }}), 0)
        ) as integer
    )
{%- endmacro %}
