{% macro address_key(column) -%}
    {#- The one spelling of a part of an address: lower case, without blanks and punctuation. -#}
    {{ tagloom.replace_all('lower(' ~ column ~ ')', '[ ,，.;:/#-]', '') }}
{%- endmacro %}
