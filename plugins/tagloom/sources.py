"""Source declarations: one YAML file says where a system's files are, what is in them and whom they identify."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

NAME = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, Field(pattern=NAME)]
ColumnType = Annotated[str, Field(pattern=r"^(text|integer|number|boolean|date|timestamp|decimal\([0-9]+,[0-9]+\))$")]

SQL_TYPES = {
    "text": "varchar",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
"""Declared type -> DuckDB type; decimal(p,s) is the same in both."""


class SourceError(ValueError):
    """A source declaration is wrong; the message names file, key and cure."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """One column of a delivered file."""

    name: Name
    type: ColumnType
    required: bool = False
    """A row without it goes to quarantine."""
    pattern: str | None = None
    """Regular expression that the whole text must match, else the row goes to quarantine."""
    personal_data: Literal["none", "indirect", "direct"] = "none"
    description: str = ""

    @property
    def sql_type(self) -> str:
        """The DuckDB type that the raw table stores it in."""
        return SQL_TYPES.get(self.type, self.type)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"is not a regular expression: {error}") from error
        return pattern


class Table(_Strict):
    """One kind of file that a system delivers, landed as one raw table."""

    name: Name
    title: str
    format: Literal["csv", "jsonl", "parquet", "excel"]
    path: str
    """Glob below the source's landing folder. {date} stands for the day of the delivery as YYYY-MM-DD."""
    grain: Literal["event", "snapshot"]
    """event: each day's files add that day's rows. snapshot: the newest delivery replaces the table."""
    primary_key: list[Name] = Field(min_length=1)
    event_time: Name | None = None
    """The column that says when the row was true; identity takes first and last seen from it."""
    identifiers: dict[Name, Name] = {}
    """Column of the staging model -> identifier type. Identifiers in one row belong to one person."""
    duplicates: Literal["quarantine", "drop_exact"] = "quarantine"
    """Rows with a primary key seen before: kept aside, or dropped when the whole row is the same."""
    columns: list[Column] = Field(min_length=1)

    @cached_property
    def column_names(self) -> list[str]:
        """Names in declared order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    @model_validator(mode="after")
    def _names_exist(self) -> Table:
        doubled = {name for name in self.column_names if self.column_names.count(name) > 1}
        if doubled:
            raise ValueError(f"columns are declared twice: {', '.join(sorted(doubled))}")
        for key, names in (("primary_key", self.primary_key), ("event_time", [self.event_time])):
            for name in names:
                if name is not None and name not in self.column_names:
                    raise ValueError(f"{key} names {name!r}, which is not among its columns")
        if self.path.count("{date}") > 1 or "{date}" not in self.path:
            raise ValueError("path must contain {date} once, so that a delivery belongs to a day")
        return self


class Source(_Strict):
    """One system that knows customers or things they touch."""

    name: Name
    title: str
    title_zh: str
    owner: str
    """E-mail address of who is told when its deliveries are wrong."""
    party: Literal["first", "second", "third"]
    consent_basis: str
    licence: str
    schedule: str = "@daily"
    """Cron expression or Airflow preset, in UTC."""
    time_zone: str = "UTC"
    """IANA zone of the timestamps in its files; they land in UTC."""
    build_waits_for_it: bool = False
    """The tags of a day are built when every source that says so has landed the day; the others come as they come."""
    tolerated_bad_share: float = Field(default=0.01, ge=0, le=1)
    """Share of bad rows in one delivery above which the run stops instead of going on without them."""
    tables: list[Table] = Field(min_length=1)

    @model_validator(mode="after")
    def _tables_differ(self) -> Source:
        names = [table.name for table in self.tables]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"tables are declared twice: {', '.join(sorted(doubled))}")
        return self

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, time_zone: str) -> str:
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no IANA time zone such as Asia/Shanghai") from error
        return time_zone

    @property
    def raw_schema(self) -> str:
        """Schema of the warehouse that its tables land in."""
        return f"raw_{self.name}"

    def table(self, name: str) -> Table:
        """The table of that name."""
        return next(table for table in self.tables if table.name == name)


def load_source(path: Path) -> Source:
    """Read one declaration.

    Raises SourceError with file, key and what was found there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{path.name}: not readable as YAML: {' '.join(str(error).split())}") from error
    try:
        source = Source.model_validate(content)
    except ValidationError as error:
        raise SourceError("\n".join(f"{path.name}: {_sentence(item)}" for item in error.errors())) from error
    if source.name != path.stem:
        raise SourceError(
            f"{path.name}: name: is {source.name!r}, but the file is called {path.stem!r}; make them agree"
        )
    return source


def load_sources(folder: Path) -> list[Source]:
    """Read every declaration of a folder, in name order. Raises SourceError naming all that is wrong at once."""
    sources, problems = [], []
    for path in sorted(folder.glob("*.yml")):
        try:
            sources.append(load_source(path))
        except SourceError as error:
            problems.append(str(error))
    if problems:
        raise SourceError("\n".join(problems))
    if not sources:
        raise SourceError(f"{folder}: holds no source declaration (*.yml)")
    return sources


def _sentence(item: dict) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "(top level)"
    match item["type"]:
        case "extra_forbidden":
            return f"{where}: is not a known key; remove it or correct its spelling"
        case "missing":
            return f"{where}: is missing"
        case "literal_error" | "string_pattern_mismatch":
            expected = item["ctx"].get("expected") or item["ctx"].get("pattern")
            return f"{where}: {item['input']!r} is not allowed; expected {expected}"
        case _:
            found = "" if isinstance(item["input"], dict | list) else f" (found {item['input']!r:.80})"
            return f"{where}: {item['msg'].removeprefix('Value error, ')}{found}"
