"""Sums per calendar month of which a day computes again only the months that can have changed.

A model is such a table when it is a `table_of_months` and says in its meta what it adds up:

    months: {of: a large table of facts, date: its local date, moment: of that date in the staging view behind it}

Its SQL groups rows of this table by `month_start`, the first day of the month of `date`, and never looks at whose they
are. Then a month is another one only when rows of it came in, when the catalogue describes what is sold in it anew, or
when the edge of a window has moved within it.
"""

from __future__ import annotations

from datetime import date, timedelta

from tagloom.affected import exists
from tagloom.day_build.models import Graph, replaced_of
from tagloom.replacing import OLD, Replacement
from tagloom.windows import Reading

MONTH_TABLE = "table_of_months"


def is_month_table(node: dict) -> bool:
    """Whether rows of the model belong to calendar months and can be replaced month by month."""
    return node["config"]["materialized"] == MONTH_TABLE


def months_of(node: dict) -> dict:
    """`meta: {months: ...}` of the model."""
    return node["config"]["meta"]["months"]


def replace_months(graph: Graph, node: dict, months: set[date]) -> Replacement:
    """Compute the rows of these months, by their first days, over the facts of these months alone."""
    declared = months_of(node)
    day = declared["date"]
    # Literals let DuckDB skip what lies in other months.
    within = " or ".join(f"({day} >= date '{month}' and {day} < date '{_next(month)}')" for month in sorted(months))
    facts = graph.node(declared["of"])
    return Replacement(
        node["name"],
        {facts["name"]: f"select * from {facts['schema']}.{facts['name']} where {within or 'false'}"},
        statements=(f"delete from {OLD} where {rows_of_months(months)}",),
    )


def rows_of_months(months: set[date]) -> str:
    """Condition for the rows of a table of months."""
    listed = ", ".join(f"date '{month}'" for month in sorted(months))
    return f"month_start in ({listed})" if months else "false"


def changed_months(graph: Graph, node: dict, reading: Reading | None, before: date, day: date) -> set[date] | None:
    """First days of the months that may be others on a day than they were on the day before, the base's.

    None: any may, as when the model's SQL computes something else from as_of_date than windows. What came in is read
    from operations.arrived_<facts>, so it has to be found first.
    """
    if reading is None or reading.moves_daily or reading.anniversaries:
        return None
    if not exists(graph.connection, node["schema"], node["name"]):
        return None
    months = set()
    for window in reading.windows:
        first, last = window.moved(before, day)
        months |= {_first_of_month(first + timedelta(days)) for days in range((last - first).days + 1)}
    declared = months_of(node)
    [(_, key)] = replaced_of(graph.node(declared["of"]))["facts"].items()
    moment = declared["moment"]
    # The local day of a moment is that of UTC or one beside it.
    rows = graph.connection.execute(
        f"""
        select distinct cast({moment} as date)
        from operations.replaced_{declared["of"]}_facts
        where {key} in (select unit from operations.arrived_{declared["of"]}) and {moment} is not null
        """
    ).fetchall()
    return months | {_first_of_month(found + timedelta(days)) for (found,) in rows for days in (-1, 0, 1)}


def _first_of_month(day: date) -> date:
    return day.replace(day=1)


def _next(month: date) -> date:
    return _first_of_month(month + timedelta(31))
