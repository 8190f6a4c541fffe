-- A card that was issued, used or addressed belongs to a person, whatever the guards reject.
select identifiers.identifier_key
from {{ ref('identity_identifiers') }} as identifiers
left join {{ ref('identity_map') }} as identity_map
    on identifiers.identifier_key = identity_map.identifier_key
where
    identifiers.identifier_type = 'loyalty_card'
    and identifiers.rejected_because is null
    and identity_map.identifier_key is null
