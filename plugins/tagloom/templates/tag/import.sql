with entries as (
    select *
    from {{ ref('int_listed_tags') }}
    where
        person_id is not null
        and list_name = 'vip'
        and not is_expired
),

newest_first as (
    -- known by card and by e-mail, a person may be on a list twice
    select
        *,
        row_number() over (
            partition by person_id order by set_on desc, list_value asc, entry_id asc
        ) as place
    from entries
),

tagged as (
    select
        person_id,
        list_value as $name,
        set_on as ${name}_known_on
    from newest_first
    where place = 1
)

select * from tagged
