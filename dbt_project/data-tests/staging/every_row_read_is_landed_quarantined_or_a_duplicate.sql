-- Nothing that was delivered is lost: a row lands, is set aside with its reason, or repeats one that landed.
select
    run_id,
    source,
    table_name,
    rows_read,
    rows_landed,
    rows_quarantined,
    duplicates
from {{ source('operations', 'landing_log') }}
where rows_read <> rows_landed + rows_quarantined + duplicates
