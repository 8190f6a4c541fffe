"""Which facts change a tag when only the day moves on, read from a model's compiled SQL.

A comparison of a date with as_of_date, or with the day so many days before it, turns for the facts of a few days only:
those that enter or leave the window. Anything else that is computed from as_of_date (an age, days since the last order,
a weight that decays) moves for everybody every day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlglot

_DAY = r"cast\(\s*'\d{4}-\d{2}-\d{2}'\s+as\s+date\s*\)"
_LIMIT = rf"(?:cast\(\s*{_DAY}\s*-\s*interval\s+'(?P<days>\d+)'\s+day\s+as\s+date\s*\)|{_DAY})"
_COLUMN = r"(?:max|min)?\s*\(?\s*(?:[\w\"]+\.)?\"?(?P<column>[a-z_]\w*)\"?\s*\)?"
_COMPARISON = re.compile(rf"(?<![\w.\"]){_COLUMN}\s*(?P<sign><=|>=|<|>)\s*{_LIMIT}(?!\s*[-+])", re.IGNORECASE)
_AS_OF_DATE = re.compile(_DAY, re.IGNORECASE)

_PICKS_A_DATE = {
    "Column",
    "Max",
    "Min",
    "Coalesce",
    "Greatest",
    "Least",
    "Null",
    "Paren",
    "FirstValue",
    "LastValue",
    "Lag",
    "Lead",
}
"""Kinds of expressions, as sqlglot names them, that give one of several dates and make no new one."""


@dataclass(frozen=True)
class Window:
    """A comparison of a date with the limit of a window."""

    column: str
    """Name of what is compared, without its table."""
    days: int
    """The limit lies so many days before as_of_date."""
    counts_limit: bool
    """Whether a date on the limit is inside (`>=`, `<`); else the day after it is the first one (`>`, `<=`)."""

    def moved(self, before: date, after: date) -> tuple[date, date]:
        """First and last day of the dates whose comparison turns when as_of_date moves from one day to another."""
        shift = 0 if self.counts_limit else 1
        return before - timedelta(self.days - shift), after - timedelta(self.days - shift + 1)


@dataclass(frozen=True)
class Reading:
    """How a model depends on as_of_date."""

    windows: frozenset[Window]
    moves_daily: tuple[str, ...]
    """Pieces of SQL that are computed from as_of_date and are no window; empty when there are none."""


def read_windows(compiled_sql: str) -> Reading:
    """Find the windows in compiled SQL, and what else is computed from as_of_date."""
    sql = re.sub(r"--[^\n]*", "", compiled_sql)
    windows = set()
    moving = []

    def note(found: re.Match) -> str:
        windows.add(Window(found["column"].lower(), int(found["days"] or 0), found["sign"] in (">=", "<")))
        return " true "

    rest = _COMPARISON.sub(note, sql)
    for found in _AS_OF_DATE.finditer(rest):
        moving.append(" ".join(rest[max(0, found.start() - 60) : found.end() + 20].split()))
    named = {window.column for window in windows if re.search(rf'\bas\s+"?{window.column}\b', sql, re.IGNORECASE)}
    made = _made_dates(sql, named) if named else []
    return Reading(frozenset(windows), tuple(moving + made))


def _made_dates(sql: str, columns: set[str]) -> list[str]:
    """Expressions under the names of these columns that make another date than one of a fact."""
    # Takes long to load, and an update does without it.
    import sqlglot

    aliases = sqlglot.parse_one(sql, read="duckdb").find_all(sqlglot.exp.Alias)
    return sorted(
        {
            f"{alias.this.sql()} as {alias.alias}"
            for alias in aliases
            if alias.alias.lower() in columns and not _is_date_of_a_row(alias.this)
        }
    )


def _is_date_of_a_row(expression: sqlglot.exp.Expression) -> bool:
    """Whether each value of the expression is a date of some row. A cast of a moment is none: it gives a day by UTC."""
    parts = expression.args
    match type(expression).__name__:
        case "Window" | "IgnoreNulls" | "Filter":
            dates = [expression.this]
        case "Case":
            dates = [*(branch.args["true"] for branch in parts["ifs"]), parts.get("default")]
        case "If":
            dates = [parts["true"], parts.get("false")]
        case "Cast":
            return not any(type(part).__name__ == "Column" for part in expression.walk())
        case name if name in _PICKS_A_DATE:
            dates = [child for child in expression.iter_expressions() if type(child).__name__ != "Identifier"]
        case _:
            return False
    return all(_is_date_of_a_row(date_of_a_row) for date_of_a_row in dates if date_of_a_row is not None)
