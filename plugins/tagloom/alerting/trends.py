"""What checks have measured on earlier days, for the small drawing in a mail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tagloom.alerting.messages import subject_of

if TYPE_CHECKING:
    import duckdb

    from tagloom.quality import CheckResult

MOST_DAYS = 30


def trends(connection: duckdb.DuckDBPyConnection, results: Iterable[CheckResult]) -> dict[str, tuple[float, ...]]:
    """Subject of each check that did not pass -> its measured values by as_of_date, the newest last; 30 days at most.

    Of a day that was built several times the newest run counts. Reads operations.check_results, where the results of
    this run are already.
    """
    found = {}
    for result in results:
        if result.outcome == "passed" or result.measured is None:
            continue
        rows = connection.execute(
            """
            select as_of_date, arg_max(measured, rowid) as measured
            from operations.check_results
            where contract = $contract and check_name = $name and as_of_date <= $day and measured is not null
            group by as_of_date
            order by as_of_date desc
            limit $days
            """,
            {"contract": result.contract, "name": result.name, "day": result.as_of_date, "days": MOST_DAYS},
        ).fetchall()
        found[subject_of(result)] = tuple(measured for _, measured in reversed(rows))
    return found
