with entries as (
    select
        *,
        -- The keeper knows the customer by one of them.
        coalesce(
            {{ tagloom.identifier_hash('loyalty_card', 'card_number') }},
            {{ tagloom.identifier_hash('crm_customer', 'customer_number') }},
            {{ tagloom.identifier_hash('email', 'email') }},
            {{ tagloom.identifier_hash('phone', 'phone') }}
        ) as identifier_hash
    from {{ ref('stg_lists__entries') }}
    where {{ tagloom.known_by_as_of_date('set_on') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

entries_numbered_per_customer as (
    -- two keepers may have written one number in two ways
    select
        *,
        row_number() over (
            partition by identifier_type, identifier_hash, list_name
            order by set_on desc, expires_on desc nulls first, list_value asc, identifier asc
        ) as entry_number
    from entries
    where identifier_hash is not null
),

entries_of_persons as (
    select
        md5(
            concat(
                entries_numbered_per_customer.identifier_type,
                '|', entries_numbered_per_customer.identifier_hash,
                '|', entries_numbered_per_customer.list_name
            )
        ) as entry_id,
        identity_map.person_id,
        entries_numbered_per_customer.identifier_type,
        entries_numbered_per_customer.list_name,
        entries_numbered_per_customer.list_value,
        entries_numbered_per_customer.list_owner,
        entries_numbered_per_customer.set_on,
        entries_numbered_per_customer.expires_on,
        -- An objection holds until it is taken back, whatever last day somebody gave it.
        entries_numbered_per_customer.list_name <> 'do_not_promote'
        and coalesce(
            entries_numbered_per_customer.expires_on < {{ tagloom.as_of_date() }}, false
        ) as is_expired
    from entries_numbered_per_customer
    left join identity_map
        on
            entries_numbered_per_customer.identifier_type = identity_map.identifier_type
            and entries_numbered_per_customer.identifier_hash = identity_map.identifier_hash
    where entries_numbered_per_customer.entry_number = 1
)

select * from entries_of_persons
