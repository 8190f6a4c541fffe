{% macro spend_trend(recent, previous) -%}
    {#- Two equally long periods side by side: a quarter more is rising, a quarter less is falling.
        Null when there was nothing in either. -#}
    case
        when {{ recent }} > 0 and {{ previous }} = 0 then 'started'
        when {{ recent }} = 0 and {{ previous }} > 0 then 'stopped'
        when {{ recent }} >= {{ previous }} * 1.25 and {{ previous }} > 0 then 'rising'
        when {{ recent }} <= {{ previous }} * 0.75 and {{ previous }} > 0 then 'falling'
        when {{ previous }} > 0 then 'steady'
    end
{%- endmacro %}
