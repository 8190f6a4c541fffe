{% macro identity_truth() -%}
    {#- Which identifier is really whose, where somebody knows: a table of the demo and of tests, empty elsewhere. -#}
    {{ tagloom.table_if_there('operations', 'identity_truth', {
        'identifier_type': 'varchar',
        'identifier_hash': 'varchar',
        'true_person': 'varchar',
    }) }}
{%- endmacro %}
