"""Source declarations: one YAML file says where a system's files are, what is in them and whom they identify."""

from __future__ import annotations

import codecs
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Airflow's names for common cron expressions."""

ON_ARRIVAL = "on arrival"

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


FormatName = Literal["csv", "tsv", "jsonl", "json", "parquet", "excel"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Column(_Strict):
    """One column of a delivery."""

    name: Name
    """What the raw table calls it: lower-case letters, digits and underscores."""
    type: ColumnType
    """text, integer, number, boolean, date, timestamp or decimal(digits,digits after the point)."""
    delivered_as: str | None = None
    """What the delivery calls it when that is not `name`: a header, or in JSON a dotted path such as customer.city."""
    format: str | None = None
    """How a date or timestamp is written (strptime), such as %d/%m/%Y, when it is not ISO 8601."""
    required: bool = False
    """A row without it goes to quarantine."""
    pattern: str | None = None
    """Regular expression that the whole text must match, else the row goes to quarantine."""
    personal_data: Literal["none", "indirect", "direct"] = "none"
    """indirect: a number that leads to a person. direct: says who or where a person is; hidden in quarantine."""
    description: str = ""
    """What it means; travels to dbt's documentation."""

    @property
    def sql_type(self) -> str:
        """The DuckDB type that the raw table stores it in."""
        return SQL_TYPES.get(self.type, self.type)

    @property
    def header(self) -> str:
        """What the delivery calls it."""
        return self.delivered_as or self.name

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"is not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _format_fits(self) -> Column:
        if self.format is not None and self.type not in ("date", "timestamp"):
            raise ValueError("format is for columns of type date or timestamp only")
        return self


class FileFormat(_Strict):
    """How the files of a delivery are written."""

    format: FormatName
    """csv, tsv, jsonl (an object a line), json (one document), parquet or excel. Text may be compressed: .gz, .zst."""
    encoding: str = "auto"
    """Character encoding of text, such as utf-8 or gb18030; auto looks at the file."""
    delimiter: str = Field(default="auto", min_length=1)
    """What separates the columns of csv; auto looks at the file. tsv has tabs."""
    skip_lines: int = Field(default=0, ge=0)
    """Lines above the header."""
    null_values: list[str] = []
    """Texts that mean nothing is known, such as NULL; an empty one always does."""
    sheet: str | None = None
    """Sheet of a workbook; the first one when not named."""
    records: str | None = None
    """Where the list of records is in a json document, as a dotted path; not named, the document is the list."""

    @field_validator("encoding")
    @classmethod
    def _is_an_encoding(cls, encoding: str) -> str:
        if encoding != "auto":
            try:
                codecs.lookup(encoding)
            except LookupError as error:
                raise ValueError("is no character encoding such as utf-8 or gb18030") from error
        return encoding

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, delimiter: str) -> str:
        if delimiter != "auto" and len(delimiter) != 1:
            raise ValueError('is "auto" or one character')
        return delimiter


class FileReader(FileFormat):
    """Files that the system, or somebody, puts into <landing>/<source>/."""

    kind: Literal["files"]
    path: str
    """Glob below the source's landing folder. {date} stands for the day of the delivery as YYYY-MM-DD; without it a
    file belongs to the UTC day on which it was last written."""

    @field_validator("path")
    @classmethod
    def _has_one_day(cls, path: str) -> str:
        if path.count("{date}") > 1:
            raise ValueError("may contain {date} once, so that a delivery belongs to one day")
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError("must stay below the landing folder of its source")
        return path


class DatabaseReader(_Strict):
    """Rows of a relational database, fetched by SQL.

    With `watermark`, a run fetches the rows whose watermark lies in its interval; without it, the whole table as it is.
    """

    kind: Literal["database"]
    connection: str
    """Airflow connection id."""
    table: str | None = None
    """Table or view, with its schema where needed; or give a query."""
    query: str | None = None
    """A select; with a watermark it is filtered from outside."""
    watermark: Name | None = None
    """Column with the moment of the last change (date or timestamp, in the source's time zone)."""

    @model_validator(mode="after")
    def _table_or_query(self) -> DatabaseReader:
        if (self.table is None) == (self.query is None):
            raise ValueError("a database reader needs either table or query")
        return self


class Paging(_Strict):
    """How an HTTP API hands out its pages."""

    kind: Literal["none", "page", "offset", "cursor", "next_link", "link_header"] = "none"
    """What tells the pages apart; next_link stands in the answer, link_header in its header Link."""
    parameter: str | None = None
    """Query parameter with the page number, the offset or the cursor."""
    size_parameter: str | None = None
    """Query parameter with the number of records a page."""
    size: int = Field(default=100, gt=0)
    """Records a page, for size_parameter and for counting offsets."""
    first: int = 1
    """Number of the first page."""
    path: str | None = None
    """Dotted path in the answer of the next cursor or the next address."""

    @model_validator(mode="after")
    def _is_complete(self) -> Paging:
        if self.kind in ("page", "offset", "cursor") and not self.parameter:
            raise ValueError(f"paging by {self.kind} needs parameter")
        if self.kind in ("cursor", "next_link") and not self.path:
            raise ValueError(f"paging by {self.kind} needs path")
        return self


class ApiReader(_Strict):
    """Records of an HTTP API that answers in JSON, page by page."""

    kind: Literal["api"]
    connection: str
    """Airflow connection id (http): address, and how to log in (see docs/sources.md)."""
    path: str
    """Path below the connection's address; {first_day} and {end_day} stand for the run's days."""
    parameters: dict[str, str] = {}
    """Query parameters; {first_day} and {end_day} stand for the run's days [first, end)."""
    records: str | None = None
    """Where the list of records is in the answer, as a dotted path; not named, the answer is the list."""
    paging: Paging = Paging()
    requests_per_second: float = Field(default=5, gt=0)
    """Upper limit that this side keeps by itself."""


class ObjectStorageReader(FileFormat):
    """Files in an object store, or anywhere else that fsspec reaches, copied to the landing zone."""

    kind: Literal["object_storage"]
    url: str
    """Such as s3://bucket/exports/{date}/*.parquet; {date} stands for the day of the delivery as YYYY-MM-DD."""
    connection: str | None = None
    """Airflow connection id; its extra holds what fsspec's file system wants."""

    @field_validator("url")
    @classmethod
    def _has_scheme_and_day(cls, url: str) -> str:
        if not urlsplit(url).scheme:
            raise ValueError("needs a scheme such as s3:// or file://")
        if url.count("{date}") < 1:
            raise ValueError("must contain {date}, so that a delivery belongs to a day")
        return url


class PushReader(_Strict):
    """Events that systems send to the collector (POST /v1/events)."""

    kind: Literal["pushed"]


class Table(_Strict):
    """One kind of record that a system delivers, landed as one raw table."""

    name: Name
    """The raw table is raw_<source>.<name>, its staging model stg_<source>__<name>."""
    title: str
    """What a row is, in words."""
    reader: Annotated[
        FileReader | DatabaseReader | ApiReader | ObjectStorageReader | PushReader, Field(discriminator="kind")
    ]
    """How its rows come: kind is files, database, api, object_storage or pushed."""
    grain: Literal["event", "snapshot", "change"]
    """event: each day's deliveries add that day's rows. snapshot: a delivery says all that is true from its day on.
    change: each row says that something was made, changed or deleted. Snapshots and changes keep their history."""
    primary_key: list[Name] = Field(min_length=1)
    """Columns that together tell a row from every other one."""
    event_time: Name | None = None
    """The column that says when the row was true; identity takes first and last seen from it."""
    operation: Name | None = None
    """grain change: the column that says what was done."""
    deletions: list[str] = ["D", "d", "delete", "DELETE"]
    """grain change: values of `operation` that mean deleted."""
    identifiers: dict[Name, Name] = {}
    """Column of the staging model -> identifier type. Identifiers in one row belong to one person."""
    duplicates: Literal["quarantine", "keep_first", "keep_last"] = "quarantine"
    """Exact copies are dropped and counted. Of rows with one primary key and different content, quarantine keeps the
    first and sets the others aside, keep_first and keep_last (by event_time, then file and line) drop and count."""
    overlap_days: int = Field(default=0, ge=0, le=366)
    """So many days before its own may a delivery repeat or restate; of rows with one key the last delivered is seen.
    A fetched table is asked for these days too, so rows that were committed late are found."""
    new_columns: Literal["ignore", "land", "refuse"] = "ignore"
    """Columns that nobody declared are always reported; land keeps them as JSON in _extra, refuse stops the run."""
    columns: list[Column] = Field(min_length=1)
    """What lands; what else is delivered is reported."""

    @property
    def format(self) -> str:
        """csv, tsv, jsonl, json, parquet or excel: how the files in the landing zone are written."""
        match self.reader:
            case FileFormat():
                return self.reader.format
            case DatabaseReader():
                return "parquet"
            case _:
                return "jsonl"

    @property
    def path(self) -> str:
        """Glob of its files below the source's landing folder."""
        match self.reader:
            case FileReader():
                return self.reader.path
            case ObjectStorageReader():
                return f"{self.name}/{{date}}/**"
            case DatabaseReader():
                return f"{self.name}/{{date}}.parquet"
            case ApiReader():
                return f"{self.name}/{{date}}.jsonl"
            case _:
                return f"{self.name}/{{date}}/*.jsonl"

    @property
    def file_format(self) -> FileFormat:
        """How its files in the landing zone are written."""
        return self.reader if isinstance(self.reader, FileFormat) else FileFormat(format=self.format, encoding="utf-8")

    @property
    def is_fetched(self) -> bool:
        """Whether a run must go and get the delivery before it can be landed."""
        return isinstance(self.reader, DatabaseReader | ApiReader | ObjectStorageReader)

    @cached_property
    def column_names(self) -> list[str]:
        """Names in declared order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    @model_validator(mode="after")
    def _names_exist(self) -> Table:
        for what in ("name", "header"):
            names = [getattr(column, what) for column in self.columns]
            doubled = {name for name in names if names.count(name) > 1}
            if doubled:
                raise ValueError(f"columns are declared twice: {', '.join(sorted(doubled))}")
        mentioned = {
            "primary_key": self.primary_key,
            "event_time": [self.event_time],
            "operation": [self.operation],
            "reader.watermark": [getattr(self.reader, "watermark", None)],
        }
        for key, names in mentioned.items():
            for name in names:
                if name is not None and name not in self.column_names:
                    raise ValueError(f"{key} names {name!r}, which is not among its columns")
        if self.event_time and self.column(self.event_time).type not in ("date", "timestamp"):
            raise ValueError(f"event_time names {self.event_time!r}, which is neither a date nor a timestamp")
        return self

    def _fetches_days(self) -> None:
        """Raise ValueError when each run would fetch everything and land it again as if it were new."""
        match self.reader:
            case DatabaseReader(watermark=None):
                raise ValueError(
                    f"grain {self.grain} needs reader.watermark; without it each run fetches the whole table"
                )
            case ApiReader(path=path, parameters=parameters) if not re.search(
                r"\{[a-z_]+\}", path + "".join(parameters.values())
            ):
                raise ValueError(
                    f"grain {self.grain} needs {{first_day}} in reader.path or reader.parameters; "
                    "without it each run fetches everything"
                )

    @model_validator(mode="after")
    def _grain_fits(self) -> Table:
        if self.grain == "change" and not (self.event_time and self.operation):
            raise ValueError("grain change needs event_time and operation")
        if self.grain != "change" and self.operation:
            raise ValueError("operation is for grain change only")
        if self.grain != "snapshot":
            self._fetches_days()
        if self.grain == "snapshot" and self.overlap_days:
            raise ValueError("overlap_days is for grains event and change: a snapshot replaces what was there anyway")
        return self


class Source(_Strict):
    """One system that knows customers or things they touch."""

    name: Name
    """As the file is called, without .yml."""
    title: str
    """What people call it, in English."""
    title_zh: str
    """What people call it, in Chinese."""
    owner: str
    """E-mail address of who is told when its deliveries are wrong."""
    party: Literal["first", "second", "third"]
    """first: an own system. second: a partner's. third: bought or public."""
    consent_basis: str
    """Why the data may be used, such as contract or consent."""
    licence: str
    """Under which terms the data may be used."""
    schedule: str = "@daily"
    """Cron expression or Airflow preset, in UTC; or `on arrival`: a run starts as soon as files or events come in."""
    expected_by: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    """Such as "06:00", in the business time zone: when a data interval must have landed after its end. People are told
    when it has not. Without it a late delivery is noticed by the build that needs it."""
    time_zone: str = "UTC"
    """IANA zone of the timestamps in its files; they land in UTC."""
    build_waits_for_it: bool = False
    """The tags of a day are built when every source that says so has landed the day; the others come as they come."""
    tolerated_bad_share: float = Field(default=0.01, ge=0, le=1)
    """Share of bad rows in one delivery above which the run stops instead of going on without them."""
    tolerated_bad_rows: int = Field(default=0, ge=0)
    """So many bad rows never stop a run, whatever their share; small deliveries need it."""
    retention_days: int | None = Field(default=None, gt=0)
    """Rows, quarantine and files of deliveries older than this, counted from the newest one, are deleted."""
    tables: list[Table] = Field(min_length=1)
    """What it delivers, one entry for each kind of record."""

    @model_validator(mode="after")
    def _schedule_fits(self) -> Source:
        fetched = [table.name for table in self.tables if table.is_fetched]
        if self.is_on_arrival and fetched:
            raise ValueError(
                f"tables {', '.join(fetched)} are fetched, so nothing arrives by itself; "
                "give schedule a cron expression"
            )
        if self.is_on_arrival and self.expected_by:
            raise ValueError("expected_by is for a source with a schedule: what comes on arrival has no data intervals")
        return self

    @model_validator(mode="after")
    def _tables_differ(self) -> Source:
        names = [table.name for table in self.tables]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"tables are declared twice: {', '.join(sorted(doubled))}")
        return self

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, schedule: str) -> str:
        if schedule == ON_ARRIVAL or schedule in PRESETS:
            return schedule
        # Here and not above: only declarations with a schedule of their own pay for it.
        from croniter import croniter

        if schedule.startswith("@") or not croniter.is_valid(schedule):
            raise ValueError(
                f"is neither a cron expression such as '30 4 * * *', nor one of {', '.join(PRESETS)}, nor 'on arrival'"
            )
        return schedule

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, time_zone: str) -> str:
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no IANA time zone such as Asia/Shanghai") from error
        return time_zone

    @property
    def is_on_arrival(self) -> bool:
        """Whether deliveries are landed as they come, in small batches."""
        return self.schedule == ON_ARRIVAL

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
    sources, problems = readable_sources(folder)
    if problems:
        raise SourceError("\n".join(problems))
    return sources


def readable_sources(folder: Path) -> tuple[list[Source], list[str]]:
    """The declarations of a folder that are right, in name order, and what is wrong with the others.

    For who must go on with the rest: one declaration that is broken must not take every source's DAG down.
    """
    sources, problems = [], []
    paths = sorted(folder.glob("*.yml"))
    for path in paths:
        try:
            sources.append(load_source(path))
        except SourceError as error:
            problems += str(error).splitlines()
    if not paths:
        problems.append(f"{folder}: holds no source declaration (*.yml)")
    return sources, problems


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
