with persons as (
    select
        upper(state) as state,
        left(postcode, 2) as postcode_area
    from {{ ref('persons') }}
),

places as (
    select
        'state' as kind,
        state as place
    from persons
    union all
    select
        'postcode_area' as kind,
        postcode_area as place
    from persons
),

places_of_at_least_ten as (
    select
        cast(kind as {{ dbt.type_string() }}) as kind,
        cast(place as {{ dbt.type_string() }}) as place
    from places
    where place is not null
    group by kind, place
    having count(*) >= 10
)

select * from places_of_at_least_ten
