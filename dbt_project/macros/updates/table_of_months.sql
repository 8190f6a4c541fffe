{% materialization table_of_months, default %}
    {#- A table whose rows belong to calendar months, by their column month_start, and to no person. A full build makes it
        like any table; a build that goes on from the day before replaces months, as tagloom.day_build.months has written
        it down. Updates leave it as it is. -#}
    {{ return(context['materialization_table_of_persons_default']()) }}
{% endmaterialization %}
