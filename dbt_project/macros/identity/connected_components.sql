{% macro connected_components(edges, nodes, result) -%}
    {#- Makes the work table `result` (identifier_key, component_key): for each identifier_key of `nodes` the smallest one
        that `edges` (left_key, right_key) lead to. Randomised contraction (Bögeholz, Brand, Todor 2020): in each round
        every vertex picks, of itself and its neighbours, the one that comes first in a shuffled order; edges between
        those that were picked make the next, smaller graph. Nothing but joins, group by and integer arithmetic, and the
        shuffles are the same in every run. Keys are 1 to 2,147,483,646. -#}
    {%- set prime = 2147483647 -%}
    {%- set shuffle = namespace(multiplier=1, inverse=1) -%}
    {%- set rounds = [] -%}
    {%- set now = result ~ '_edges' -%}
    {%- set next = result ~ '_next_edges' -%}
    {%- do tagloom.make_work_table(now, tagloom.graph_edges(edges)) -%}
    {%- for number in range(1, 200) -%}
        {%- if not tagloom.has_rows(now) -%}{%- break -%}{%- endif -%}
        {#- v -> multiplier * v modulo the prime shuffles all keys; the inverse undoes it. -#}
        {%- set shuffle.multiplier = (shuffle.multiplier * 1105902161) % prime -%}
        {%- set shuffle.inverse = (shuffle.inverse * 1501501136) % prime -%}
        {%- set picked = result ~ '_picked_' ~ number -%}
        {%- do tagloom.make_work_table(picked, tagloom.picked_neighbours(now, shuffle.multiplier, shuffle.inverse, prime)) -%}
        {%- do tagloom.make_work_table(next, tagloom.contracted_edges(now, picked)) -%}
        {%- do tagloom.rename_work_table(next, now) -%}
        {%- do rounds.append(picked) -%}
    {%- endfor -%}
    {%- for number in range(rounds | length - 1, 0, -1) -%}
        {#- Backwards: what the vertex that was picked became itself. -#}
        {%- do tagloom.make_work_table(result ~ '_followed', tagloom.followed(rounds[number - 1], rounds[number])) -%}
        {%- do tagloom.rename_work_table(result ~ '_followed', rounds[number - 1]) -%}
    {%- endfor -%}
    {%- do tagloom.make_work_table(result, tagloom.smallest_of_component(nodes, rounds[0] if rounds else none)) -%}
    {%- for name in rounds + [now] -%}
        {%- do run_query(tagloom.drop_work_table(name)) -%}
    {%- endfor -%}
{%- endmacro %}

{% macro make_work_table(name, select_sql) -%}
    {#- Runs what makes a work table in the place of one of that name. -#}
    {%- do run_query(tagloom.drop_work_table(name)) -%}
    {%- do run_query(tagloom.create_work_table(name, select_sql)) -%}
{%- endmacro %}

{% macro rename_work_table(name, new_name) -%}
    {#- Runs what puts one work table in the place of another. -#}
    {%- do run_query(tagloom.drop_work_table(new_name)) -%}
    {%- do run_query('alter table ' ~ name ~ ' rename to ' ~ new_name) -%}
{%- endmacro %}

{% macro has_rows(relation) -%}
    {{ return(run_query('select 1 as found from ' ~ relation ~ ' limit 1').rows | length > 0) }}
{%- endmacro %}

{% macro graph_edges(edges) -%}
    select
        cast(left_key as bigint) as left_key,
        cast(right_key as bigint) as right_key
    from {{ edges }} as edges
    where left_key <> right_key
{%- endmacro %}

{% macro picked_neighbours(edges, multiplier, inverse, prime) -%}
    select
        vertex,
        (least(min(shuffled_neighbour), (vertex * {{ multiplier }}) % {{ prime }}) * {{ inverse }}) % {{ prime }} as picked
    from (
        select
            left_key as vertex,
            (right_key * {{ multiplier }}) % {{ prime }} as shuffled_neighbour
        from {{ edges }}
        union all
        select
            right_key as vertex,
            (left_key * {{ multiplier }}) % {{ prime }} as shuffled_neighbour
        from {{ edges }}
    ) as neighbours
    group by vertex
{%- endmacro %}

{% macro contracted_edges(edges, picked) -%}
    select distinct
        least(left_picked.picked, right_picked.picked) as left_key,
        greatest(left_picked.picked, right_picked.picked) as right_key
    from {{ edges }} as edges
    inner join {{ picked }} as left_picked
        on edges.left_key = left_picked.vertex
    inner join {{ picked }} as right_picked
        on edges.right_key = right_picked.vertex
    where left_picked.picked <> right_picked.picked
{%- endmacro %}

{% macro followed(picked, picked_later) -%}
    select
        earlier.vertex,
        coalesce(later.picked, earlier.picked) as picked
    from {{ picked }} as earlier
    left join {{ picked_later }} as later
        on earlier.picked = later.vertex
{%- endmacro %}

{% macro smallest_of_component(nodes, picked) -%}
    {%- if picked is none %}
    select
        identifier_key,
        identifier_key as component_key
    from {{ nodes }} as nodes
    {%- else %}
    select
        nodes.identifier_key,
        coalesce(smallest.vertex, nodes.identifier_key) as component_key
    from {{ nodes }} as nodes
    left join {{ picked }} as picked
        on nodes.identifier_key = picked.vertex
    left join (
        select
            picked,
            min(vertex) as vertex
        from {{ picked }}
        group by picked
    ) as smallest
        on picked.picked = smallest.picked
    {%- endif %}
{%- endmacro %}
