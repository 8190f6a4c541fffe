{% macro normalise_identifier(identifier_type, column) -%}
    {#- The one spelling of an identifier, null when nothing is left of it. Types without a rule are only trimmed. -#}
    {%- if identifier_type == 'email' -%}
        {{ tagloom.normalise_email(column) }}
    {%- elif identifier_type == 'phone' -%}
        {{ tagloom.normalise_phone(column) }}
    {%- elif identifier_type == 'device_mac' -%}
        {{ tagloom.normalise_mac(column) }}
    {%- else -%}
        nullif(trim({{ column }}), '')
    {%- endif -%}
{%- endmacro %}

{% macro normalise_email(column) -%}
    {#- Lower case, and without what stands between + and @ if the policy strips it; dots are left alone. -#}
    {%- set address = "lower(trim(" ~ column ~ "))" -%}
    {%- if tagloom.strips_plus_tags() -%}
        {%- set address = tagloom.replace_all(address, '[+][^@]*@', '@') -%}
    {%- endif -%}
    nullif({{ address }}, '')
{%- endmacro %}

{% macro normalise_mac(column) -%}
    {#- Twelve hexadecimal digits, whatever separates them; made-up (locally administered) addresses are kept. -#}
    {%- set digits = tagloom.replace_all(column, '[^0-9A-Fa-f]', '') -%}
    case when length({{ digits }}) = 12 then upper({{ digits }}) end
{%- endmacro %}

{% macro normalise_phone(column) -%}
    {#- E.164. Without a leading + or 00 it is a number of the country that TAGLOOM_COUNTRY_CODE names, default 1. -#}
    {%- set country = env_var('TAGLOOM_COUNTRY_CODE', '1') -%}
    {#- Digits of Chinese and Japanese keyboards, then extensions such as ext. 12, x12, #12 and 转12. -#}
    {%- set typed = "translate(lower(trim(" ~ column ~ ")), '０１２３４５６７８９＋', '0123456789+')" -%}
    {%- set number = tagloom.replace_all(typed, '[ ,;]*(;ext=|ext[.]?|extension|x|#|分机|转)[ .:]*[0-9]{1,7}$', '') -%}
    {%- set digits = tagloom.replace_all(number, '[^0-9]', '') -%}
    {%- set national = tagloom.replace_all(digits, '^0', '') -%}
    case
        when length({{ digits }}) not between 7 and 17 then null
        when {{ number }} like '+%' or {{ number }} like '(+%'
            then {{ tagloom.plausible_phone(tagloom.without_trunk_zero(number)) }}
        when {{ digits }} like '00%'
            then {{ tagloom.plausible_phone(tagloom.replace_all(digits, '^00', '')) }}
        {%- if country == '1' %}
        when length({{ digits }}) = 10 then concat('+1', {{ digits }})
        {%- elif country == '86' %}
        when {{ tagloom.matches(digits, "'^1[3-9][0-9]{9}$'") }} then concat('+86', {{ digits }})
        when {{ tagloom.matches(digits, "'^86(1[3-9][0-9]{9})$'") }} then concat('+', {{ digits }})
        when {{ tagloom.matches(digits, "'^0[0-9]{9,11}$'") }} then concat('+86', {{ national }})
        {%- else %}
        when {{ digits }} like '0%' then {{ tagloom.plausible_phone("concat('" ~ country ~ "', " ~ national ~ ")") }}
        {%- endif %}
        when length({{ digits }}) between 11 and 15 then concat('+', {{ digits }})
        {%- if country not in ('1', '86') %}
        else concat('+{{ country }}', {{ digits }})
        {%- endif %}
    end
{%- endmacro %}

{% macro without_trunk_zero(number) -%}
    {#- Digits of an international number; the (0) of +49 (0) 30 ... is for those who dial within the country. -#}
    {{ tagloom.replace_all(tagloom.replace_all(number, '[(]0[)]', ''), '[^0-9]', '') }}
{%- endmacro %}

{% macro plausible_phone(digits) -%}
    case when length({{ digits }}) between 8 and 15 then concat('+', {{ digits }}) end
{%- endmacro %}
