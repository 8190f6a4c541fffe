with entries as (
    select *
    from {{ ref('int_listed_tags') }}
    where person_id is not null and not is_expired
),

entries_numbered as (
    -- known by card and by e-mail, a person may be on a list twice: the entry made last counts
    select
        *,
        row_number() over (
            partition by person_id, list_name order by set_on desc, list_value desc, entry_id asc
        ) as place
    from entries
),

tagged as (
    select
        person_id,
        max(case when list_name = 'vip' then list_value end) as vip_level,
        max(case when list_name = 'vip' then set_on end) as vip_known_on,
        count(case when list_name = 'staff' then 1 end) > 0 as is_staff,
        max(case when list_name = 'staff' then set_on end) as staff_known_on,
        count(case when list_name = 'do_not_promote' then 1 end) > 0 as do_not_promote
    from entries_numbered
    where place = 1
    group by person_id
)

select * from tagged
