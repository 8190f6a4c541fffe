"""Which facts change a tag when only the day moves on, read from a model's compiled SQL.

A comparison of a date with as_of_date, or with the day so many days before it, turns for the facts of a few days only:
those that enter or leave the window. Full years, as full_years_between.sql counts them (an age), turn on anniversaries.
Anything else that is computed from as_of_date (days since the last order, a weight that decays) moves for everybody
every day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlglot

_DAY = r"cast\(\s*'\d{4}-\d{2}-\d{2}'\s+as\s+date\s*\)"
_LIMIT = rf"(?:cast\(\s*{_DAY}\s*-\s*interval\s+'(?P<days>\d+)'\s+day\s+as\s+date\s*\)|{_DAY})"
_COLUMN = r"(?:max|min)?\s*\(?\s*(?:[\w\"]+\.)?\"?(?P<column>[a-z_]\w*)\"?\s*\)?"
_COMPARISON = re.compile(rf"(?<![\w.\"]){_COLUMN}\s*(?P<sign><=|>=|<|>)\s*{_LIMIT}(?!\s*[-+])", re.IGNORECASE)
_AS_OF_DATE = re.compile(_DAY, re.IGNORECASE)
_DATED = r"(?:[a-z_]\w*\.)?(?P<column>[a-z_]\w*)"
_FULL_YEARS = re.compile(
    rf"""
    cast\(\s*
        extract\(year\ from\ {_DAY}\)\s*-\s*extract\(year\ from\ (?P<date>{_DATED})\)\s*
        -\s*case\s+when\s+
            extract\(month\ from\ {_DAY}\)\s*\*\s*100\s*\+\s*extract\(day\ from\ {_DAY}\)\s*
            <\s*extract\(month\ from\ (?P=date)\)\s*\*\s*100\s*\+\s*extract\(day\ from\ (?P=date)\)\s+
            then\s+1\s+else\s+0\s+end\s+as\s+integer\s*
    \)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What full_years_between.sql makes of a column and as_of_date."""
_LOCAL_DAY = re.compile(
    r"CAST\(TIMEZONE\('[^']+', TIMEZONE\('UTC', (?:LEAST\(|GREATEST\()?(?P<moments>[\w\". ]+(?:, [\w\". ]+)*)\)?\)\)"
    r" AS DATE\) as (?P<day>\w+)",
    re.IGNORECASE,
)
"""What local_time.sql and a cast make of a moment of a row, as `_made_dates` tells of it."""

_PICKS_A_DATE = {
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
    anniversaries: frozenset[str] = frozenset()
    """Names of the dates, without their table, of which full years are counted."""

    @property
    def local_days(self) -> dict[str, frozenset[str]]:
        """Dates among `moves_daily` that are local days of a moment of a row, so at most a day from its day by UTC.

        Each with the columns, without their table, of which one holds that moment.
        """
        days: dict[str, frozenset[str]] = {}
        for piece in self.moves_daily:
            if found := _LOCAL_DAY.fullmatch(piece):
                moments = (moment.rpartition(".")[2].strip('" ').lower() for moment in found["moments"].split(","))
                day = found["day"].lower()
                days[day] = days.get(day, frozenset()) | frozenset(moments)
        return days

    @property
    def moves_for_everybody(self) -> tuple[str, ...]:
        """`moves_daily` but for the local days of moments."""
        return tuple(piece for piece in self.moves_daily if not _LOCAL_DAY.fullmatch(piece))


def names_the_day(compiled_sql: str) -> bool:
    """Whether anything in compiled SQL depends on as_of_date."""
    return bool(_AS_OF_DATE.search(compiled_sql))


@lru_cache(maxsize=1000)
def read_windows(compiled_sql: str) -> Reading:
    """Find the windows and anniversaries in compiled SQL, and what else is computed from as_of_date."""
    sql = re.sub(r"--[^\n]*", "", compiled_sql)
    windows = set()
    anniversaries = set()
    moving = []

    def note(found: re.Match) -> str:
        windows.add(Window(found["column"].lower(), int(found["days"] or 0), found["sign"] in (">=", "<")))
        return " true "

    def note_anniversary(found: re.Match) -> str:
        anniversaries.add(found["column"].lower())
        return " 0 "

    rest = _COMPARISON.sub(note, _FULL_YEARS.sub(note_anniversary, sql))
    for found in _AS_OF_DATE.finditer(rest):
        moving.append(" ".join(rest[max(0, found.start() - 60) : found.end() + 20].split()))
    dates = {window.column for window in windows} | anniversaries
    named = {column for column in dates if re.search(rf'\bas\s+"?{column}\b', sql, re.IGNORECASE)}
    made = _made_dates(sql, named) if named else []
    return Reading(frozenset(windows), tuple(moving + made), frozenset(anniversaries))


def anniversary_condition(date_sql: str, before: date, after: date) -> str:
    """SQL: whether full years since a date are other ones on the day `after` than on the day `before`.

    The days are less than a year apart.
    """
    year_day = f"(month({date_sql}) * 100 + day({date_sql}))"
    first, last = (day.month * 100 + day.day for day in (before, after))
    both = "and" if before.year == after.year else "or"
    return f"({year_day} > {first} {both} {year_day} <= {last})"


def _made_dates(sql: str, columns: set[str]) -> list[str]:
    """Expressions under the names of these columns, or of what they are picked from, that make another date."""
    # Takes long to load, and an update does without it.
    import sqlglot

    aliases = list(sqlglot.parse_one(sql, read="duckdb").find_all(sqlglot.exp.Alias))
    made = set()
    looked_at = set()
    waiting = set(columns)
    while waiting:
        looked_at |= waiting
        named = [alias for alias in aliases if alias.alias.lower() in waiting]
        waiting = set()
        for alias in named:
            expression = f"{alias.this.sql()} as {alias.alias}"
            picked = _dates_picked(alias.this)
            if picked is None:
                made.add(expression)
                picked = _columns(alias.this) if _LOCAL_DAY.fullmatch(expression) else set()
            waiting |= picked - looked_at
    return sorted(made)


def _columns(expression: sqlglot.exp.Expression) -> set[str]:
    return {part.name.lower() for part in expression.walk() if type(part).__name__ == "Column"}


def _dates_picked(expression: sqlglot.exp.Expression) -> set[str] | None:
    """The columns of which each value of the expression is one; None when it makes a new date.

    A cast of a moment makes one: it gives a day by UTC.
    """
    parts = expression.args
    match type(expression).__name__:
        case "Column":
            return {expression.name.lower()}
        case "Window" | "IgnoreNulls" | "Filter":
            dates = [expression.this]
        case "Case":
            dates = [*(branch.args["true"] for branch in parts["ifs"]), parts.get("default")]
        case "If":
            dates = [parts["true"], parts.get("false")]
        case "Cast":
            return None if _columns(expression) else set()
        case name if name in _PICKS_A_DATE:
            dates = list(expression.iter_expressions())
        case _:
            return None
    picked = [_dates_picked(date_of_a_row) for date_of_a_row in dates if date_of_a_row is not None]
    return None if None in picked else set().union(*picked)
