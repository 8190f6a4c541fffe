{% macro is_fuel(department, product_type) -%}
    {#- True for motor fuel, whose quantity is a measure (thousandths of a gallon) and not a number of pieces. The
        catalogue keeps some gasoline under MISCELLANEOUS; the rest of that department is sold by the piece. -#}
    ({{ department }} = 'FUEL' or coalesce({{ product_type }}, '') like 'GASOLINE%')
{%- endmacro %}
