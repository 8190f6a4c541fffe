"""History of snapshots: which row was true from which day of delivery to which."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def replace_period(
    connection: duckdb.DuckDBPyConnection,
    stored: str,
    arrived: str,
    key: Iterable[str],
    content: Iterable[str],
    first_day: date,
    end_day: date | None,
) -> None:
    """Make the history say that from first_day until end_day (None: until further notice) `arrived` was true.

    stored: table with the columns of `arrived`, _valid_from and _valid_to; per key its periods never overlap. arrived:
    one row per key. content: the columns whose change makes a new version. What was said about the period before is
    forgotten, what is said about other days stays, so snapshots may come in any order and any number of times. Rows
    that say nothing new are not touched.
    """
    key, content = list(key), list(content)
    keys = ", ".join(f'"{name}"' for name in key)
    same_key = " and ".join(f'old."{name}" = new."{name}"' for name in key)
    same_content = " and ".join(f'old."{name}" is not distinct from new."{name}"' for name in content) or "true"
    period = {"first_day": first_day, "end_day": end_day or date.max}
    connection.execute(
        f"""
        create or replace temp table said_already as
        select old.rowid as _old_id, new.rowid as _new_id
        from {stored} as old
        inner join {arrived} as new on {same_key} and {same_content}
        where old._valid_from <= $first_day and coalesce(old._valid_to, date '9999-12-31') >= $end_day
        """,
        period,
    )
    connection.execute(
        f"""
        create or replace temp table contradicted as
        select *, rowid as _old_id
        from {stored}
        where _valid_from < $end_day and coalesce(_valid_to, date '9999-12-31') > $first_day
            and rowid not in (select _old_id from said_already)
        """,
        period,
    )
    connection.execute(f"delete from {stored} where rowid in (select _old_id from contradicted)")
    connection.execute(
        f"""
        create or replace temp table pieces as
        select * exclude (_old_id) replace ($first_day as _valid_to) from contradicted where _valid_from < $first_day
        union all by name
        select * exclude (_old_id) replace ($end_day as _valid_from) from contradicted
        where coalesce(_valid_to, date '9999-12-31') > $end_day
        union all by name
        select *, $first_day as _valid_from, nullif($end_day, date '9999-12-31') as _valid_to
        from {arrived}
        where rowid not in (select _new_id from said_already)
        """,
        period,
    )
    # Two periods that touch and say the same are one: the same snapshots give the same history in whatever order.
    columns = ", ".join(f'"{name}"' for name in content)
    connection.execute(
        f"""
        insert into pieces by name
        select stored.* from {stored} as stored semi join pieces using ({keys})
        """
    )
    connection.execute(f"delete from {stored} as old using pieces as new where {same_key}")
    connection.execute(
        f"""
        insert into {stored} by name
        with islands as (
            select *, count(*) filter (where not _continues) over (
                partition by {keys} order by _valid_from rows unbounded preceding
            ) as _island
            from (
                select *, coalesce(
                    lag(_valid_to) over in_order = _valid_from and lag(row({columns})) over in_order
                        is not distinct from row({columns}), false
                ) as _continues
                from pieces
                window in_order as (partition by {keys} order by _valid_from)
            )
        )
        select * exclude (_continues, _island, _island_end, _place, _valid_to),
            nullif(_island_end, date '9999-12-31') as _valid_to
        from (
            select *, max(coalesce(_valid_to, date '9999-12-31')) over (partition by {keys}, _island) as _island_end,
                row_number() over (partition by {keys}, _island order by _valid_from) as _place
            from islands
        )
        where _place = 1
        """
    )
    connection.execute("drop table said_already; drop table contradicted; drop table pieces")
