"""What a declaration demands of a row, as SQL: the typed value of each column, and the faults that set a row aside."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tagloom.sources import Column, Table
from tagloom.sql_text import quoted

HAS_ZONE = r"[0-9]:[0-9]{2}.*([A-Za-z]+(/[A-Za-z_]+)*|[+-][0-9]{2}(:?[0-9]{2})?)$"
"""A timestamp that says itself in which zone it is; DuckDB's cast to a timestamp without one drops that silently."""

LITERALS = re.compile(r"[A-Za-z0-9_ -]+(\|[A-Za-z0-9_ -]+)*")
"""A pattern that only lists the allowed texts."""

FUTURE_DAYS = 2
"""A row may be true until the end of the UTC day after its delivery's: local calendars are up to 14 hours ahead."""

_FUTURE = "'lies after the day of its delivery'"

TYPED = "_typed_"
"""Prefix of the typed columns inside the query that checks the rows."""


@dataclass(frozen=True)
class Fault:
    """One reason to set a row aside."""

    column: str
    condition: str
    """SQL over the delivered columns and the typed ones (prefix TYPED); true when the row is bad."""
    reason: str
    """SQL text."""


def typed_value(column: Column, is_text: bool, time_zone: str) -> str:
    """SQL of the column's typed value in UTC; null when it has none. `time_zone` is the source's (IANA)."""
    name = f'"{column.name}"'
    if column.type == "text":
        return name if is_text else f"cast({name} as varchar)"
    if is_text and column.type == "boolean":
        return f"try_cast(trim({name}) as boolean)"
    if column.type == "date" and column.format and is_text:
        return f"cast({_moment(column)} as date)"
    if column.type != "timestamp":
        return f"try_cast({name} as {column.sql_type})"
    local = _moment(column) if column.format and is_text else f"try_cast({name} as timestamp)"
    utc = local if time_zone == "UTC" else f"timezone('UTC', timezone('{time_zone}', {local}))"
    if not is_text:
        instant = f"timezone('UTC', try_cast({name} as timestamptz))"
        return f"case when typeof({name}) = 'TIMESTAMP WITH TIME ZONE' then {instant} else {utc} end"
    if column.format:
        return utc
    # Looking for a zone costs more than the cast: what has the length of a plain timestamp is not searched.
    is_plain = f"length({name}) in (10, 16) or (length({name}) = 19 and substr({name}, 17, 1) = ':')"
    has_zone = f"not ({is_plain}) and regexp_matches({name}, '{HAS_ZONE}')"
    return f"case when {has_zone} then timezone('UTC', try_cast({name} as timestamptz)) else {utc} end"


def _moment(column: Column) -> str:
    """SQL of a date or timestamp in the writing of its source; a workbook has real dates, which come as ISO 8601."""
    name = f'"{column.name}"'
    return f"coalesce(try_strptime({name}, {quoted(column.format or '')}), try_cast({name} as timestamp))"


def faults(table: Table, is_text: dict[str, bool]) -> list[Fault]:
    """Every fault that a row of the table can have; the first that holds is the one to report."""
    found = [Fault("", "_torn_reason is not null", "_torn_reason")]
    for column in table.columns:
        found += _faults_of(column, is_text[column.name], column.name in table.primary_key)
    if table.event_time:
        found.append(
            Fault(
                table.event_time,
                f'"{TYPED}{table.event_time}" >= _interval + interval {FUTURE_DAYS} days',
                _FUTURE,
            )
        )
    return found


def _faults_of(column: Column, is_text: bool, is_key: bool) -> list[Fault]:
    name, typed = f'"{column.name}"', f'"{TYPED}{column.name}"'
    found = []
    if column.required or is_key:
        found.append(Fault(column.name, _is_empty(column, is_text), "'is missing'"))
    if column.type != "text":
        wrong = _no_value(column)
        if column.type == "integer":
            # The cast would round.
            looks_broken = f"contains({name}, '.') or contains({name}, 'e')" if is_text else "true"
            wrong += f" or (({looks_broken}) and {typed} <> try_cast({name} as double))"
        elif column.type in ("number", "date", "timestamp"):
            wrong += f" or not isfinite({typed})"
        found.append(Fault(column.name, f"({wrong})", f"'is no {column.type}'"))
    if column.pattern:
        text = name if is_text else typed if column.type == "text" else f"cast({name} as varchar)"
        found.append(
            Fault(column.name, _mismatch(text, column.pattern), f"'does not match ' || {quoted(column.pattern)}")
        )
    return found


def is_bad(table: Table, is_text: dict[str, bool]) -> str:
    """SQL that is true for a row with any of `faults`: the same rows, found with fewer comparisons."""
    conditions = [fault.condition for fault in faults(table, is_text) if not fault.column]
    for column in table.columns:
        found = {fault.reason: fault.condition for fault in _faults_of(column, is_text[column.name], False)}
        is_needed = column.required or column.name in table.primary_key
        if is_needed and column.type != "text":
            # Whatever is missing, blank or of another type has no typed value.
            conditions.append(f'"{TYPED}{column.name}" is null')
            found = {reason: condition.replace(_no_value(column), "false") for reason, condition in found.items()}
        elif is_needed and column.pattern and not re.fullmatch(column.pattern, " "):
            conditions.append(f'"{column.name}" is null')
        elif is_needed:
            conditions.append(_is_empty(column, is_text[column.name]))
        conditions += [condition for reason, condition in found.items() if reason != "'is missing'"]
    conditions += [fault.condition for fault in faults(table, is_text) if fault.reason == _FUTURE]
    return " or ".join(f"({condition})" for condition in conditions)


def _no_value(column: Column) -> str:
    return f'"{column.name}" is not null and "{TYPED}{column.name}" is null'


def _mismatch(text: str, pattern: str) -> str:
    if LITERALS.fullmatch(pattern):
        return f"{text} not in ({', '.join(quoted(literal) for literal in pattern.split('|'))})"
    return f"not regexp_full_match({text}, {quoted(pattern)})"


def _is_empty(column: Column, is_text: bool) -> str:
    name = f'"{column.name}"'
    # Only what sorts before the first sign after the blank can be blank as a whole; comparing is faster than trimming.
    return f"{name} is null or ({name} < '!' and trim({name}) = '')" if is_text else f"{name} is null"


def raw_text(table: Table, prefix: str = "") -> str:
    """SQL of a row as JSON for people to read; what a column of direct personal data held is hidden."""
    shown = ", ".join(
        f"'{column.name}': "
        + (
            f"case when \"{prefix}{column.name}\" is not null then '•••' end"
            if column.personal_data == "direct"
            else f'cast("{prefix}{column.name}" as varchar)'
        )
        for column in table.columns
    )
    return f"cast(to_json({{{shown}}}) as varchar)"


def torn_text(table: Table) -> str:
    """SQL of the text of a row that could not be split; hidden where any column may be personal."""
    if any(column.personal_data == "direct" for column in table.columns):
        return "'(' || length(_torn) || ' characters, hidden because they may be personal)'"
    return "_torn"
