-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(materialized='view') }}

with stale_values as (
    select
        'person' as object,
        cast(person_id as {{ dbt.type_string() }}) as object_id,
        'vip_level' as tag,
        vip_known_on as known_on,
        365 as valid_days,
        concat('not learnt again since ', cast(vip_known_on as {{ dbt.type_string() }})) as reason
    from {{ ref('tag_marketing__lists') }}
    where
        vip_level is not null
        and vip_known_on < {{ tagloom.days_before_as_of(365) }}
    union all
    select
        'person' as object,
        cast(person_id as {{ dbt.type_string() }}) as object_id,
        'is_staff' as tag,
        staff_known_on as known_on,
        365 as valid_days,
        concat('not learnt again since ', cast(staff_known_on as {{ dbt.type_string() }})) as reason
    from {{ ref('tag_marketing__lists') }}
    where
        is_staff is not null
        and staff_known_on < {{ tagloom.days_before_as_of(365) }}
    union all
    select
        'person' as object,
        cast(person_id as {{ dbt.type_string() }}) as object_id,
        'churn_risk' as tag,
        churn_risk_known_on as known_on,
        35 as valid_days,
        concat('not learnt again since ', cast(churn_risk_known_on as {{ dbt.type_string() }})) as reason
    from {{ ref('tag_risk__churn') }}
    where
        churn_risk is not null
        and churn_risk_known_on < {{ tagloom.days_before_as_of(35) }}
    union all
    select
        'person' as object,
        cast(person_id as {{ dbt.type_string() }}) as object_id,
        'churn_risk_band' as tag,
        churn_risk_known_on as known_on,
        35 as valid_days,
        concat('not learnt again since ', cast(churn_risk_known_on as {{ dbt.type_string() }})) as reason
    from {{ ref('tag_risk__churn') }}
    where
        churn_risk_band is not null
        and churn_risk_known_on < {{ tagloom.days_before_as_of(35) }}
    union all
    select
        'person' as object,
        cast(person_id as {{ dbt.type_string() }}) as object_id,
        'churn_risk_trend' as tag,
        churn_risk_known_on as known_on,
        35 as valid_days,
        concat('not learnt again since ', cast(churn_risk_known_on as {{ dbt.type_string() }})) as reason
    from {{ ref('tag_risk__churn') }}
    where
        churn_risk_trend is not null
        and churn_risk_known_on < {{ tagloom.days_before_as_of(35) }}
    union all
    select
        'person' as object,
        cast(person_id as {{ dbt.type_string() }}) as object_id,
        'purchase_likelihood_7d' as tag,
        purchase_likelihood_known_on as known_on,
        35 as valid_days,
        concat('not learnt again since ', cast(purchase_likelihood_known_on as {{ dbt.type_string() }})) as reason
    from {{ ref('tag_value__predictions') }}
    where
        purchase_likelihood_7d is not null
        and purchase_likelihood_known_on < {{ tagloom.days_before_as_of(35) }}
    union all
    select
        'person' as object,
        cast(person_id as {{ dbt.type_string() }}) as object_id,
        'purchase_likelihood_band' as tag,
        purchase_likelihood_known_on as known_on,
        35 as valid_days,
        concat('not learnt again since ', cast(purchase_likelihood_known_on as {{ dbt.type_string() }})) as reason
    from {{ ref('tag_value__predictions') }}
    where
        purchase_likelihood_band is not null
        and purchase_likelihood_known_on < {{ tagloom.days_before_as_of(35) }}
)

select * from stale_values
