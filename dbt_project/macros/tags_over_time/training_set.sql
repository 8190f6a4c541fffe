{% macro training_set(labels, label_date, tags, gap_days=0, object='person') -%}
    {#- To select from: the rows of `labels` with the values that tags had before the label's day, so that nothing which
        happened on that day or later can leak into the features.

        labels      a relation, or a select in brackets, with the object's key and the column label_date
        label_date  name of its date column: the first day that the label speaks of
        tags        names of tags with a history
        gap_days    days just before label_date that must not be known either, such as the days that a campaign needs
        feature_date, the day whose end the values are of, is label_date minus gap_days minus one day. -#}
    {%- set key = object ~ '_id' -%}
    {%- set tables = tagloom.histories_of(object, tags) -%}
    {%- if gap_days is not integer or gap_days < 0 -%}
        {{ exceptions.raise_compiler_error("training_set: gap_days is " ~ gap_days ~ "; write 0 or more whole days.") }}
    {%- endif -%}
    {%- set feature_date = 'cast(labels.' ~ label_date ~ " - interval '" ~ (gap_days + 1) ~ "' day as date)" -%}
    (
        select
            labels.*,
            {{ feature_date }} as feature_date
            {%- for tag in tags %},
            {{ tag }}
            {%- endfor %}
        from {{ labels }} as labels
        {%- for table, names in tables.items() %}
        left join (
            select
                {{ key }},
                valid_from,
                valid_to,
                {{ names | join(', ') }}
            from {{ ref(table) }}
        ) as {{ table }}
            on
                labels.{{ key }} = {{ table }}.{{ key }}
                and {{ tagloom.is_valid_on(feature_date, table) }}
        {%- endfor %}
    )
{%- endmacro %}
