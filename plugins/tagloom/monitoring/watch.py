"""Measures every monitor up to a day, keeps the values and verdicts, and says what is alarming."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from tagloom.monitoring.declarations import Monitor
from tagloom.monitoring.rules import Day, Verdict, judge, low_days

COLUMNS = ("day", "part", "numerator", "denominator")
"""What the select of a monitor gives."""

SHOWN_DAYS = 35
"""Days that the drawing in a mail shows."""

TABLE = """
create schema if not exists operations;
create table if not exists operations.channel_alarms (
    as_of_date date not null, monitor varchar not null, part varchar not null, numerator double, denominator double,
    measured double, expected double, lowest double, highest double, is_alarming boolean not null,
    sentence varchar not null, primary key (monitor, part, as_of_date)
);
"""
"""One row per monitor, part and day that was judged: the history of alarms."""


@dataclass(frozen=True)
class Watched:
    """What is said of one part of a monitor on the day."""

    monitor: Monitor
    part: str
    verdict: Verdict
    days: tuple[tuple[date, float | None], ...]
    """The last days with their values, oldest first."""

    @property
    def sentence(self) -> str:
        """What is alarming, with its values; empty when nothing is."""
        verdict = self.verdict
        return verdict.sentence.format(
            measured=shown(verdict.measured, self.monitor.unit), expected=shown(verdict.expected, self.monitor.unit)
        )


def watch(connection: duckdb.DuckDBPyConnection, monitors: Iterable[Monitor], as_of_date: date) -> list[Watched]:
    """Judge the day for each part of each monitor and keep the verdicts; the same day again replaces its own.

    Days later than as_of_date are neither read nor touched. Raises ValueError, which names the monitor, when its SQL
    fails or gives other columns than COLUMNS.
    """
    connection.execute(TABLE)
    watched = []
    for monitor in monitors:
        for part, series in sorted(_series(connection, monitor, as_of_date).items()):
            alarming = _alarming_days(connection, monitor, part, as_of_date)
            verdict = judge(series, as_of_date, monitor.rule, alarming)
            days = [as_of_date - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
            values = tuple((day, series[day].value if day in series else None) for day in days)
            watched.append(Watched(monitor, part, verdict, values))
            today = series.get(as_of_date, Day(0, 0))
            connection.execute(
                "insert or replace into operations.channel_alarms values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(as_of_date, monitor.name, part, today.numerator, today.denominator),
                    *(verdict.measured, verdict.expected, verdict.lowest, verdict.highest),
                    *(verdict.is_alarming, watched[-1].sentence),
                ],
            )
    return watched


def shown(value: float | None, unit: str) -> str:
    """A value as people read it."""
    if value is None:
        return "nothing"
    return f"{value:.1%}" if unit == "share" else f"{value:,.2f}" if unit == "money" else f"{value:,.0f}"


def _series(connection: duckdb.DuckDBPyConnection, monitor: Monitor, as_of_date: date) -> dict[str, dict[date, Day]]:
    try:
        cursor = connection.execute(monitor.sql)
    except duckdb.Error as error:
        raise ValueError(f"monitors/{monitor.name}.yml: sql: {error}") from error
    names = tuple(column[0] for column in cursor.description)
    if set(names) != set(COLUMNS):
        raise ValueError(
            f"monitors/{monitor.name}.yml: sql: gives {', '.join(names)}; it must give {', '.join(COLUMNS)}"
        )
    place = {name: names.index(name) for name in COLUMNS}
    series: dict[str, dict[date, Day]] = defaultdict(dict)
    for row in cursor.fetchall():
        day, part = row[place["day"]], row[place["part"]]
        if day is not None and part is not None and day <= as_of_date:
            series[str(part)][day] = Day(float(row[place["numerator"]] or 0), float(row[place["denominator"]] or 0))
    return series


def _alarming_days(connection: duckdb.DuckDBPyConnection, monitor: Monitor, part: str, as_of_date: date) -> set[date]:
    """Days that earlier alarms were about: they do not show what is usual."""
    rows = connection.execute(
        "select as_of_date from operations.channel_alarms "
        "where monitor = ? and part = ? and is_alarming and as_of_date < ?",
        [monitor.name, part, as_of_date],
    ).fetchall()
    return {low for (day,) in rows for low in low_days(day, monitor.rule)}
