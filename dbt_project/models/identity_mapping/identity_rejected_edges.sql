with edges as (
    select
        edges.left_key,
        edges.right_key,
        edges.sources,
        edges.observations,
        edges.rejected_because,
        left_component.component_key as left_component_key,
        right_component.component_key as right_component_key
    from {{ ref('identity_edges') }} as edges
    inner join {{ ref('identity_components') }} as left_component
        on edges.left_key = left_component.identifier_key
    inner join {{ ref('identity_components') }} as right_component
        on edges.right_key = right_component.identifier_key
),

rejected_edges as (
    select
        left_key,
        right_key,
        sources,
        observations,
        coalesce(rejected_because, 'unique conflict') as rejected_because
    from edges
    where
        rejected_because is not null
        or left_component_key <> right_component_key
)

select * from rejected_edges
