-- Whoever lives was created, revived or split off, whoever is gone merged or retired: nobody comes or goes unlogged.
with logged as (
    select
        coalesce(sum(case
            when kind in ('create', 'revive', 'split') then 1
            when kind in ('merge', 'retire') then -1
            else 0
        end), 0) as persons
    from {{ ref('identity_changes') }}
),

living as (
    select count(distinct person_id) as persons
    from {{ ref('identity_map_history') }}
    where valid_to is null
)

select
    logged.persons as persons_logged,
    living.persons as persons_living
from logged
cross join living
where logged.persons <> living.persons
