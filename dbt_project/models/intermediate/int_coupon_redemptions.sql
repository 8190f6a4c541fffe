with redemptions as (
    select * from {{ ref('stg_campaigns__redemptions') }}
),

campaigns as (
    select * from {{ ref('stg_campaigns__campaigns') }}
),

orders as (
    select * from {{ ref('int_orders') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

cards_and_their_persons as (
    {{ tagloom.persons_by_identifier('loyalty_card', 'card_number', 'redemptions') }}
),

redemptions_known_by_as_of_date as (
    select *
    from redemptions
    where {{ tagloom.known_by_as_of_date('redemption_date') }}
),

days_with_an_order as (
    select distinct
        person_id,
        order_date
    from orders
    where person_id is not null
),

-- The products a coupon is good for are not joined: they would repeat each redemption.
redemptions_of_persons as (
    select
        md5(
            concat(
                cards_and_their_persons.identifier_hash,
                '|', redemptions_known_by_as_of_date.coupon_upc,
                '|', redemptions_known_by_as_of_date.campaign_id,
                '|', cast(redemptions_known_by_as_of_date.redemption_date as string)
            )
        ) as redemption_id,
        cards_and_their_persons.person_id,
        redemptions_known_by_as_of_date.campaign_id,
        campaigns.campaign_type,
        redemptions_known_by_as_of_date.coupon_upc,
        redemptions_known_by_as_of_date.redemption_date,
        days_with_an_order.person_id is not null as is_on_order_day
    from redemptions_known_by_as_of_date
    left join cards_and_their_persons
        on redemptions_known_by_as_of_date.card_number = cards_and_their_persons.card_number
    left join campaigns
        on redemptions_known_by_as_of_date.campaign_id = campaigns.campaign_id
    left join days_with_an_order
        on
            cards_and_their_persons.person_id = days_with_an_order.person_id
            and redemptions_known_by_as_of_date.redemption_date = days_with_an_order.order_date
)

select * from redemptions_of_persons
