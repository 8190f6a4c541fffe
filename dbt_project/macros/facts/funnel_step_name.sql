{% macro funnel_step_name(step) -%}
    {#- funnel_step of int_web_events -> the word for it that tags use; null for null. -#}
    case {{ step }}
        when 1 then 'visit'
        when 2 then 'product'
        when 3 then 'cart'
        when 4 then 'checkout'
        when 5 then 'purchase'
    end
{%- endmacro %}
