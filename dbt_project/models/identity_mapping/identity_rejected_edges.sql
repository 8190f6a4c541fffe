with edges as (
    select
        edges.left_key,
        edges.right_key,
        edges.kind,
        edges.rejected_because,
        left_component.component_key as left_component_key,
        right_component.component_key as right_component_key
    from {{ ref('identity_edges') }} as edges
    inner join {{ ref('identity_components') }} as left_component
        on edges.left_key = left_component.identifier_key
    inner join {{ ref('identity_components') }} as right_component
        on edges.right_key = right_component.identifier_key
),

components_never_linked as (
    select distinct
        least(left_component.component_key, right_component.component_key) as one_component_key,
        greatest(left_component.component_key, right_component.component_key) as other_component_key
    from {{ ref('stg_operations__identity_decisions') }} as decisions
    inner join {{ ref('identity_registry') }} as left_registry
        on
            decisions.left_type = left_registry.identifier_type
            and decisions.left_hash = left_registry.identifier_hash
    inner join {{ ref('identity_registry') }} as right_registry
        on
            decisions.right_type = right_registry.identifier_type
            and decisions.right_hash = right_registry.identifier_hash
    inner join {{ ref('identity_components') }} as left_component
        on left_registry.identifier_key = left_component.identifier_key
    inner join {{ ref('identity_components') }} as right_component
        on right_registry.identifier_key = right_component.identifier_key
    where decisions.kind = 'never_link'
),

policy as (
    select max(policy_version) as policy_version
    from {{ ref('identity_policy') }}
),

rejected_edges as (
    select
        edges.left_key,
        edges.right_key,
        edges.kind,
        case
            when edges.rejected_because is not null then edges.rejected_because
            when components_never_linked.one_component_key is not null then 'never linked'
            else 'component guard'
        end as rejected_because,
        policy.policy_version
    from edges
    cross join policy
    left join components_never_linked
        on
            least(edges.left_component_key, edges.right_component_key) = components_never_linked.one_component_key
            and greatest(edges.left_component_key, edges.right_component_key)
            = components_never_linked.other_component_key
    where
        edges.rejected_because is not null
        or edges.left_component_key <> edges.right_component_key
)

select * from rejected_edges
