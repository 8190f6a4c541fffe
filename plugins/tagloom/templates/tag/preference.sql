{{ config(meta={'updates': 'full_build'}) }}

with order_lines as (
    -- what was bought long ago weighs little: half after 90 days
    select
        person_id,
        department,
        {{ tagloom.decay('order_date', 90) }} as weight
    from {{ ref('int_order_lines') }}
    where
        person_id is not null
        and is_in_catalogue
        and {{ tagloom.in_last_days('order_date', 365) }}
),

per_person as (
    select
        person_id,
        sum(weight) as own_weight,
        sum(case when department = 'PRODUCE' then weight else 0 end) as weight
    from order_lines
    group by person_id
),

everybody as (
    select
        sum(own_weight) as whole_weight_of_all,
        sum(weight) as weight_of_all
    from per_person
),

tagged as (
    -- 50 is as everybody
    select
        per_person.person_id,
        {{ tagloom.preference_index(
            'per_person.weight', 'per_person.own_weight',
            'everybody.weight_of_all', 'everybody.whole_weight_of_all'
        ) }} as $name
    from per_person
    cross join everybody
)

select * from tagged
