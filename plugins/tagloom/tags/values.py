"""How values of a tag are spread, in few lines: each value of a word, ranges of numbers, months of dates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MOST_VALUES = 12
"""Values that are listed one by one; of more the most frequent are, numbers and dates get ranges."""

RANGES = 10
"""At most so many ranges of numbers."""

NULL = "null"
OTHERS = "all others"

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE", "DECIMAL")
_TIMES = ("DATE", "TIMESTAMP")


@dataclass(frozen=True)
class Labels:
    """Names for values, such as `20 to 50`."""

    sql: Callable[[str], str]
    """SQL expression -> the SQL of its label; null stays null."""
    order: tuple[str, ...]
    """Labels in the order in which people read them; () for the most frequent first."""


def is_number(data_type: str) -> bool:
    """Whether DuckDB's name of a type is that of numbers."""
    return data_type.upper().startswith(_NUMBERS)


def is_time(data_type: str) -> bool:
    """Whether DuckDB's name of a type is that of days or moments."""
    return data_type.upper().startswith(_TIMES)


def labels(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str], data_type: str, *, hide: bool = False
) -> Labels:
    """Labels that fit the values of some columns of a relation together, all of the same type.

    hide: name no single value, for personal data.
    """
    pooled = " union all ".join(f"select {column} as value from {relation}" for column in columns)
    if hide:
        return Labels(lambda sql: f"case when {sql} is not null then '(hidden)' end", ())
    [(distinct,)] = connection.execute(f"select count(distinct value) from ({pooled})").fetchall()
    if is_number(data_type) and distinct > MOST_VALUES:
        return _ranges(connection, pooled, is_whole=data_type.upper().endswith("INT") or data_type.upper() == "INTEGER")
    if is_time(data_type) and distinct > MOST_VALUES:
        return _periods(connection, pooled)
    top = connection.execute(
        f"select value, value::varchar from ({pooled}) where value is not null group by value "
        f"order by count(*) desc, value limit {MOST_VALUES}"
    ).fetchall()
    listed = ", ".join(_quoted(text) for _, text in top)
    if not top:
        return Labels(lambda sql: f"{sql}::varchar", ())
    order: tuple[str, ...] = ()
    if is_number(data_type) or is_time(data_type) or data_type.upper() == "BOOLEAN":
        order = tuple(text for _, text in sorted(top))
    if distinct <= MOST_VALUES:
        return Labels(lambda sql: f"{sql}::varchar", order)
    return Labels(
        lambda sql: (
            f"case when {sql}::varchar in ({listed}) then {sql}::varchar "
            f"when {sql} is not null then {_quoted(OTHERS)} end"
        ),
        order,
    )


def counts(connection: duckdb.DuckDBPyConnection, relation: str, column: str, found: Labels) -> dict[str, int]:
    """Label -> rows, with a label for null."""
    rows = connection.execute(
        f"select coalesce({found.sql(column)}, '{NULL}') as label, count(*) from {relation} group by label"
    ).fetchall()
    return dict(rows)


def in_order(found: Labels, *countings: dict[str, int]) -> list[str]:
    """All labels that occur, as people read them: null last, before it what is left over."""
    present = {label for counting in countings for label in counting}
    last = [label for label in (OTHERS, NULL) if label in present]
    if found.order:
        return [label for label in found.order if label in present] + last
    frequent = sorted(
        present - set(last), key=lambda label: (-sum(counting.get(label, 0) for counting in countings), label)
    )
    return frequent + last


def edges(low: float, median: float, high: float) -> list[float]:
    """Round numbers between which values lie: even steps, or 1-2-5 when they spread over orders of magnitude."""
    high = max(high, low + 1e-9)
    if low >= 0 and high > 20 * max(median, 0.05 * high / 20):
        first = math.floor(math.log10(max(median, high / 10**6))) - 1
        steps = [digit * 10.0**power for power in range(first, math.ceil(math.log10(high)) + 1) for digit in (1, 2, 5)]
        chosen = [step for step in steps if step < high]
        return [0.0, *chosen[-(RANGES - 2) :]]
    width = (high - low) / (RANGES - 2)
    magnitude = 10.0 ** math.floor(math.log10(width))
    step = next(digit * magnitude for digit in (1, 2, 5, 10) if digit * magnitude >= width)
    begin = math.floor(low / step)
    return [round((begin + number) * step, 10) for number in range(math.ceil(high / step) - begin)]


def _ranges(connection: duckdb.DuckDBPyConnection, pooled: str, *, is_whole: bool) -> Labels:
    low, median, high = connection.execute(
        "select quantile_disc(value::double, 0.01), quantile_disc(value::double, 0.5), "
        f"quantile_disc(value::double, 0.99) from ({pooled})"
    ).fetchall()[0]
    borders = edges(low, median, high)
    if is_whole:
        # Nothing lies between 0.2 and 0.5.
        borders = sorted({float(math.ceil(border)) for border in borders})
    borders += [borders[-1] + 1] * (len(borders) == 1)
    names = [
        f"below {_shown(borders[1])}",
        *(f"{_shown(one)} to {_shown(other)}" for one, other in pairwise(borders[1:])),
        f"from {_shown(borders[-1])}",
    ]

    def sql(expression: str) -> str:
        whens = " ".join(
            f"when {expression} < {border!r} then {_quoted(name)}"
            for border, name in zip(borders[1:], names, strict=False)
        )
        return f"case when {expression} is null then null {whens} else {_quoted(names[-1])} end"

    return Labels(sql, tuple(names))


def _periods(connection: duckdb.DuckDBPyConnection, pooled: str) -> Labels:
    first, last = connection.execute(f"select min(value)::date, max(value)::date from ({pooled})").fetchall()[0]
    shape = "%Y-%m" if (last - first).days <= 31 * MOST_VALUES else "%Y"
    rows = connection.execute(
        f"select distinct strftime(value, '{shape}') as label from ({pooled}) where value is not null order by label"
    ).fetchall()
    return Labels(lambda sql: f"strftime({sql}, '{shape}')", tuple(label for (label,) in rows))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:,g}"


def shown(value: object) -> str:
    """A value in a sentence."""
    match value:
        case None:
            return NULL
        case bool():
            return str(value).lower()
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case date():
            return value.isoformat()
        case _:
            return str(value)
