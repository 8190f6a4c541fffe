"""Lands one data interval of a source: good rows in raw_<source>, bad ones in quarantine, a line in landing_log.

For every run and table: rows read = landed + quarantined + duplicates.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from tagloom.landing.books import (
    KEPT_OF_STOPPED,
    keep_stopped,
    restated_days,
    tell_watcher,
    too_many_bad_rows,
    write_books,
    write_log,
)
from tagloom.landing.drift import differences, record_differences
from tagloom.landing.raw_tables import create_raw_table
from tagloom.landing.retention import remove_expired
from tagloom.landing.rows import prepare_set_aside, read, refuse_new_columns
from tagloom.landing.work import (
    LANDED,
    NOTHING,
    UNCHANGED,
    Landing,
    all_opened,
    below_landing,
    declaration_mark,
    file_state,
    plan,
    rows_read,
)
from tagloom.operations import create_operations_tables
from tagloom.reading.deliveries import DeliveryError, find_deliveries
from tagloom.repairs import repaired_ids
from tagloom.settings import Settings
from tagloom.sources import Source, Table

if TYPE_CHECKING:
    import duckdb


class BadDeliveryError(DeliveryError):
    """More rows are bad than the source's tolerated share; nothing of the delivery was landed."""


def land_source(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    first_day: date,
    end_day: date,
    run_id: str,
) -> list[Landing]:
    """Land every table of a source for the days of delivery [first_day, end_day).

    Each table is brought up to date in one transaction, so a run that is repeated or killed leaves the same rows. Files
    that have landed and are the same, under the same declaration, are not read again; a day with a changed or removed
    file is landed anew.

    Raises DeliveryError when a file cannot be used, BadDeliveryError when too many of its rows are bad.
    """
    create_operations_tables(connection)
    landings = [_land_table(connection, settings, source, table, first_day, end_day, run_id) for table in source.tables]
    if source.is_on_arrival:
        tell_watcher(connection, settings, source)
    return landings


def _land_table(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    table: Table,
    first_day: date,
    end_day: date,
    run_id: str,
) -> Landing:
    started = time.monotonic()
    create_raw_table(connection, source, table)
    deliveries = find_deliveries(settings.landing / source.name, table, first_day, end_day)
    size = sum(delivery.path.stat().st_size for delivery in deliveries)
    declaration = declaration_mark(source, table)
    states = {below_landing(settings, delivery): file_state(delivery) for delivery in deliveries}
    landing = Landing(
        source.name,
        table.name,
        str(first_day),
        str(end_day),
        status=NOTHING,
        files=len(deliveries),
        bytes=size,
        fingerprint=hashlib.sha256(f"{declaration} {sorted(states.items())}".encode()).hexdigest(),
    )
    works = plan(connection, settings, source, table, deliveries, first_day, end_day, declaration)
    if not works:
        if deliveries:
            return replace(landing, status=UNCHANGED)
        write_log(connection, landing, run_id)
        return landing

    connection.execute("begin")
    try:
        prepare_set_aside(connection)
        for work in works:
            read(connection, settings, work)
        found = differences(connection, table, [opened for work in works for opened in work.opened], rows_read(works))
        refuse_new_columns(source, table, works)
        (quarantined,) = connection.execute("select count(*) from set_aside").fetchall()[0]
        landing = replace(
            landing,
            status=LANDED,
            rows_read=rows_read(works),
            rows_landed=sum(work.rows_inserted for work in works),
            rows_quarantined=quarantined,
            duplicates=sum(work.duplicates for work in works),
            rows_removed=sum(work.rows_removed for work in works),
            restated_days=", ".join(restated_days(connection, works)),
            undeclared_columns=", ".join(sorted({name for item in all_opened(works) for name in item.undeclared})),
        )
        repaired = repaired_ids(settings.landing, source.name, table.name)
        problem = too_many_bad_rows(connection, works, repaired, found)
        if problem:
            kept = connection.sql(f"select * from set_aside limit {KEPT_OF_STOPPED}").to_arrow_table()
            connection.execute("rollback")
            keep_stopped(connection, works, landing, kept, run_id)
            raise BadDeliveryError(problem)
        write_books(connection, settings, works, repaired, declaration, run_id)
        new_sentences = record_differences(connection, source, table, found, run_id)
        remove_expired(connection, settings, source, table)
        landing = replace(landing, drift=tuple(new_sentences), seconds=round(time.monotonic() - started, 3))
        write_log(connection, landing, run_id)
        connection.execute("commit")
    except BadDeliveryError:
        raise
    except BaseException:
        connection.execute("rollback")
        raise
    return landing
