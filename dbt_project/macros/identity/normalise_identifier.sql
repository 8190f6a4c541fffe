{% macro normalise_identifier(identifier_type, column) -%}
    {#- The one spelling of an identifier, null when nothing is left of it. Types without a rule are only trimmed. -#}
    {%- if identifier_type == 'email' -%}
        nullif(lower(trim({{ column }})), '')
    {%- elif identifier_type == 'phone' -%}
        {{ tagloom.normalise_phone(column) }}
    {%- elif identifier_type == 'device_mac' -%}
        nullif(upper({{ tagloom.replace_all(column, '[^0-9A-Fa-f]', '') }}), '')
    {%- else -%}
        nullif(trim({{ column }}), '')
    {%- endif -%}
{%- endmacro %}

{% macro normalise_phone(column) -%}
    {#- E.164. Ten digits are a number of the country that TAGLOOM_COUNTRY_CODE names, default 1 (United States). -#}
    {%- set digits = tagloom.replace_all(column, '[^0-9]', '') -%}
    {%- set country = env_var('TAGLOOM_COUNTRY_CODE', '1') -%}
    case
        when length({{ digits }}) = 10 then concat('+{{ country }}', {{ digits }})
        when length({{ digits }}) between 8 and 15 then concat('+', {{ digits }})
    end
{%- endmacro %}
