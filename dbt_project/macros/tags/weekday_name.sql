{% macro weekday_name(iso_weekday) -%}
    {#- 1 to 7 -> 'monday' to 'sunday', in every language setting of the engine. -#}
    case {{ iso_weekday }}
        when 1 then 'monday'
        when 2 then 'tuesday'
        when 3 then 'wednesday'
        when 4 then 'thursday'
        when 5 then 'friday'
        when 6 then 'saturday'
        when 7 then 'sunday'
    end
{%- endmacro %}
