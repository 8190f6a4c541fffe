{{ config(meta={'replaced': {
    'from': 'started_at',
    'to': 'ended_at',
    'facts': {'stg_wifi__sightings': 'seen_at'},
    'of': {'device_mac': 'wifi_device_hash', 'store_id': 'store_id'},
    'identifier': {'device_mac': 'wifi_device_hash'},
}}) }}

with sightings as (
    select * from {{ ref('stg_wifi__sightings') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

devices_and_their_persons as (
    {{ tagloom.persons_by_identifier('device_mac', 'device_mac', 'sightings') }}
),

sightings_with_the_one_before as (
    select
        *,
        lag(seen_at) over (partition by device_mac, store_id order by seen_at asc) as previous_at
    from sightings
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('seen_at')) }}
),

sightings_that_start_a_visit as (
    select
        *,
        case
            when {{ tagloom.starts_new_session('previous_at', 'seen_at') }} then 1
            else 0
        end as visit_start
    from sightings_with_the_one_before
),

sightings_with_visit_number as (
    select
        *,
        sum(visit_start) over (
            partition by device_mac, store_id
            order by seen_at asc
            rows between unbounded preceding and current row
        ) as visit_number
    from sightings_that_start_a_visit
),

sightings_added_up_per_visit as (
    select
        device_mac,
        store_id,
        visit_number,
        min(seen_at) as started_at,
        max(seen_at) as ended_at,
        count(distinct zone) as zones,
        sum(case when zone = 'checkout' then 1 else 0 end) as checkout_sightings
    from sightings_with_visit_number
    group by device_mac, store_id, visit_number
),

visits_of_persons as (
    select
        md5(
            concat(
                devices_and_their_persons.identifier_hash,
                '|', sightings_added_up_per_visit.store_id,
                '|', cast(sightings_added_up_per_visit.started_at as string)
            )
        ) as store_visit_id,
        devices_and_their_persons.person_id,
        devices_and_their_persons.identifier_hash as wifi_device_hash,
        sightings_added_up_per_visit.store_id,
        sightings_added_up_per_visit.started_at,
        sightings_added_up_per_visit.ended_at,
        {{ tagloom.local_date('sightings_added_up_per_visit.started_at') }} as visit_date,
        cast(
            floor(
                {{ tagloom.seconds_between(
                    'sightings_added_up_per_visit.started_at',
                    'sightings_added_up_per_visit.ended_at'
                ) }} / 60.0
            ) as int
        ) as duration_minutes,
        cast(sightings_added_up_per_visit.zones as int) as zones,
        sightings_added_up_per_visit.checkout_sightings > 0 as reached_checkout
    from sightings_added_up_per_visit
    left join devices_and_their_persons
        on sightings_added_up_per_visit.device_mac = devices_and_their_persons.device_mac
)

select * from visits_of_persons
