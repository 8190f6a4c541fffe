with targets as (
    select * from {{ ref('stg_campaigns__targets') }}
),

campaigns as (
    select * from {{ ref('stg_campaigns__campaigns') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

cards_and_their_persons as (
    {{ tagloom.persons_by_identifier('loyalty_card', 'card_number', 'targets') }}
),

persons_addressed_once_per_campaign as (
    select distinct
        cards_and_their_persons.person_id,
        targets.campaign_id
    from targets
    inner join cards_and_their_persons
        on targets.card_number = cards_and_their_persons.card_number
    where cards_and_their_persons.person_id is not null
),

targets_of_started_campaigns as (
    select
        persons_addressed_once_per_campaign.person_id,
        persons_addressed_once_per_campaign.campaign_id,
        campaigns.campaign_type,
        campaigns.start_date,
        campaigns.end_date
    from persons_addressed_once_per_campaign
    inner join campaigns
        on persons_addressed_once_per_campaign.campaign_id = campaigns.campaign_id
    where {{ tagloom.known_by_as_of_date('campaigns.start_date') }}
)

select * from targets_of_started_campaigns
