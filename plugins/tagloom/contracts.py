"""Quality contracts: one YAML file under soda/contracts/<layer>/ promises what is true of one table.

The files are Soda 4 contracts, so Soda's own command line reads them too. This module holds them to a stricter form:
every check is a sentence with an owner and a cure, and nothing is ignored, so a misspelt key cannot pass unnoticed.

What follows from a model's twin alone is written by machine, in the same folders below soda/skeleton/. Both parts of a
table are verified as one; a check by hand takes the place of the written one in the same place, or of the same name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

DATA_SOURCE = "warehouse"
"""First part of every `dataset:`; the name that the open connection goes by in a contract."""

VARIABLE = re.compile(r"\$\{ *var\.([A-Za-z_][A-Za-z_0-9]*) *\}")
"""A variable as Soda writes it. Every run has AS_OF_DATE (YYYY-MM-DD), and for each table ROWS_BEFORE: the mean number
of rows on the days before, 0 when too few are known."""

SKELETON = "skeleton"
"""Folder beside soda/contracts with the contracts that are written by machine."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

COLUMN_CHECKS = ("missing", "invalid", "duplicate", "aggregate", "metric", "failed_rows")
TABLE_CHECKS = ("row_count", "schema", "duplicate", "metric", "failed_rows")

Number = int | float


class ContractError(ValueError):
    """A contract is wrong; the message names file, key and cure."""

    table: str = ""
    """<schema>.<table> that nobody watches now, as far as the file's place or content tells."""
    owner: str = ""
    """Who answers for it, where that can be read."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Attributes(_Strict):
    """Who is told when a check fails, and what they do about it. Written once for a contract, overridable per check."""

    owner: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    """E-mail address."""
    what_to_do: str | None = None
    """The first step of the cure, as a sentence."""
    key: list[str] = []
    """Columns that identify a row; a mail shows them, masked, for rows that fail."""
    masked: bool | None = None
    """False: the key tells nothing of a person, such as the name of a tag, and is shown as it is."""
    unit: str | None = None
    """What a metric counts in, such as `%`, `days` or `times`; a threshold in percent needs none."""


class Range(_Strict):
    """Two bounds, both allowed."""

    greater_than_or_equal: Number
    less_than_or_equal: Number


class Comparison(_Strict):
    """What a measured number is held against."""

    must_be: Number | None = None
    must_not_be: Number | None = None
    must_be_greater_than: Number | None = None
    must_be_greater_than_or_equal: Number | None = None
    must_be_less_than: Number | None = None
    must_be_less_than_or_equal: Number | None = None
    must_be_between: Range | None = None
    must_be_not_between: Range | None = None
    level: Literal["fail", "warn"] = "fail"

    @model_validator(mode="after")
    def _compares_once(self) -> Comparison:
        found = [name for name in _WORDS if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_WORDS)}, not {', '.join(found) or 'none'}")
        return self

    def words(self, unit: str) -> str:
        """The comparison as people say it, for example `at most 5 %`."""
        name = next(name for name in _WORDS if getattr(self, name) is not None)
        value = getattr(self, name)
        bounds = isinstance(value, Range)
        numbers = [value.greater_than_or_equal, value.less_than_or_equal] if bounds else [value]
        return _WORDS[name].format(*(f"{number:,}" for number in numbers)) + unit


_WORDS = {
    "must_be": "exactly {}",
    "must_not_be": "not {}",
    "must_be_greater_than": "more than {}",
    "must_be_greater_than_or_equal": "at least {}",
    "must_be_less_than": "less than {}",
    "must_be_less_than_or_equal": "at most {}",
    "must_be_between": "between {} and {}",
    "must_be_not_between": "outside {} to {}",
}


class Threshold(Comparison):
    """A comparison, what it counts in, and a second comparison of the other level."""

    metric: Literal["count", "percent"] = "count"
    additional: Comparison | None = None


class Format(_Strict):
    """A regular expression and what it is called."""

    regex: str
    name: str

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str) -> str:
        try:
            re.compile(regex)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return regex


class Reference(_Strict):
    """The column that every value must occur in."""

    dataset: str
    column: str

    @property
    def table(self) -> str:
        """<schema>.<table>"""
        return ".".join(self.dataset.split("/")[1:])


class Check(_Strict):
    """What every check says, whatever its type."""

    name: str
    """A sentence which is true when the check passes."""
    qualifier: str | None = None
    """Tells two checks of one type in one place apart."""
    attributes: Attributes = Attributes()
    threshold: Threshold | None = None
    filter: str | None = None
    """SQL condition of the rows that are looked at."""

    @field_validator("name")
    @classmethod
    def _is_a_sentence(cls, name: str) -> str:
        if len(name.split()) < 3:
            raise ValueError("must be a sentence that is true when the check passes, such as 'Every card has a number'")
        return name

    @property
    def unit(self) -> str:
        """What the measured value is followed by, such as ` %`; may be nothing."""
        if self.attributes.unit:
            return f" {self.attributes.unit}"
        return " %" if self.threshold and self.threshold.metric == "percent" else ""

    @property
    def allowed(self) -> str:
        """The threshold in words; without one Soda wants no bad row."""
        if self.threshold is None:
            return "exactly 0"
        text = self.threshold.words(self.unit)
        if self.threshold.additional:
            return f"{text}, and better {self.threshold.additional.words(self.unit)}"
        return text


class Missing(Check):
    """Rows without a value."""

    missing_values: list[str | int] = []
    missing_format: Format | None = None


class Invalid(Missing):
    """Rows with a value that is not allowed."""

    valid_values: list[str | Number] | None = None
    invalid_values: list[str | Number] | None = None
    valid_format: Format | None = None
    invalid_format: Format | None = None
    valid_min: Number | None = None
    valid_max: Number | None = None
    valid_length: int | None = None
    valid_min_length: int | None = None
    valid_max_length: int | None = None
    valid_reference_data: Reference | None = None

    @model_validator(mode="after")
    def _says_what_is_valid(self) -> Invalid:
        if all(getattr(self, name) is None for name in type(self).model_fields if re.match("(in)?valid_", name)):
            raise ValueError("does not say what is valid; add valid_values, valid_format, valid_min, valid_max, ...")
        return self


class Duplicate(Check):
    """Rows whose column, or list of columns, occurs more than once."""

    columns: list[str] | None = None


class RowCount(Check):
    """How many rows there are."""

    @property
    def allowed(self) -> str:
        """The threshold in words; without one Soda wants at least one row."""
        return "more than 0" if self.threshold is None else super().allowed


class Schema(Check):
    """The columns are there, in their types."""

    allow_extra_columns: bool | None = None
    allow_other_column_order: bool | None = None


class Aggregate(Check):
    """avg, sum, min, max ... of one column."""

    function: str
    threshold: Threshold


class Metric(Check):
    """One number, from an expression over the table or a query of its own."""

    expression: str | None = None
    query: str | None = None
    threshold: Threshold

    @model_validator(mode="after")
    def _measures_once(self) -> Metric:
        if (self.expression is None) == (self.query is None):
            raise ValueError("needs either expression or query")
        return self


class FailedRows(Check):
    """Rows that must not exist, by a condition or a query that finds them."""

    expression: str | None = None
    query: str | None = None
    rows_tested_query: str | None = None

    @model_validator(mode="after")
    def _looks_once(self) -> FailedRows:
        if (self.expression is None) == (self.query is None):
            raise ValueError("needs either expression or query")
        in_percent = self.threshold is not None and self.threshold.metric == "percent"
        if in_percent and self.query and not self.rows_tested_query:
            raise ValueError("counts percent of a query, so it needs rows_tested_query")
        return self


class _CheckOfOneType(_Strict):
    missing: Missing | None = None
    invalid: Invalid | None = None
    duplicate: Duplicate | None = None
    aggregate: Aggregate | None = None
    metric: Metric | None = None
    failed_rows: FailedRows | None = None
    row_count: RowCount | None = None
    check_schema: Schema | None = Field(default=None, alias="schema")

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, content: object) -> object:
        if isinstance(content, dict) and "freshness" in content:
            raise ValueError("a freshness check looks at the clock; use a metric check against ${var.AS_OF_DATE}")
        if not isinstance(content, dict) or len(content) != 1 or not isinstance(next(iter(content.values())), dict):
            raise ValueError("a check is one type with its keys below it, such as `missing:` and then `name:`")
        return content

    @property
    def pair(self) -> tuple[str, Check]:
        """Type and check."""
        return next(
            (type(self).model_fields[name].alias or name, check)
            for name in type(self).model_fields
            if (check := getattr(self, name)) is not None
        )


class ContractColumn(_Strict):
    """A column and its checks."""

    name: str
    data_type: str | None = None
    """Compared by a schema check only."""
    numeric_precision: int | None = None
    """Digits of a decimal."""
    numeric_scale: int | None = None
    """Of these behind the point."""
    checks: list[_CheckOfOneType] = []


class _Document(_Strict):
    dataset: Annotated[str, Field(pattern=rf"^{DATA_SOURCE}/[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$")]
    description: str = ""
    variables: dict[str, dict[str, str | Number] | None] = {}
    filter: str | None = None
    check_attributes: Attributes = Attributes()
    columns: list[ContractColumn]
    checks: list[_CheckOfOneType] = []


@dataclass(frozen=True)
class DeclaredCheck:
    """One check of a contract with what it inherits from the contract."""

    kind: str
    """missing, invalid, duplicate, row_count, schema, aggregate, metric or failed_rows."""
    column: str
    """The column it looks at; empty for a check of the whole table."""
    check: Check
    owner: str
    what_to_do: str
    key: tuple[str, ...]
    masked: bool = True
    """Whether examples of the key are shown masked."""
    file: str = ""
    """The contract that declares it, as `Contract.file`."""

    @property
    def place(self) -> tuple[str, str, str | None]:
        """What no other check of the table has: column, kind and qualifier."""
        return self.column, self.kind, self.check.qualifier


@dataclass(frozen=True)
class Contract:
    """One contract, read and found right."""

    path: Path
    file: str
    """The path as people know it: <layer>/<...>/<table>.yml, or skeleton/<layer>/<...>/<table>.yml."""
    document: _Document
    skeleton: Contract | None = None
    """The written part of the same table."""

    @property
    def schema(self) -> str:
        """Schema of the table in the warehouse."""
        return self.document.dataset.split("/")[1]

    @property
    def table(self) -> str:
        """<schema>.<table>"""
        return ".".join(self.document.dataset.split("/")[1:])

    @property
    def owner(self) -> str:
        """E-mail address of who answers for the table, of its first check where the contract has none of its own."""
        return self.document.check_attributes.owner or self.checks[0].owner

    @property
    def filter(self) -> str | None:
        """SQL condition of the rows that the whole contract is about."""
        return self.document.filter

    @property
    def variables(self) -> dict[str, str]:
        """Name of each variable it declares -> its default, empty when a run must give the value."""
        inherited = self.skeleton.variables if self.skeleton else {}
        return inherited | {
            name: str((given or {}).get("default", "")) for name, given in self.document.variables.items()
        }

    @cached_property
    def checks(self) -> tuple[DeclaredCheck, ...]:
        """Every check, by hand before written, those of columns first."""
        declared = tuple(self._declared())
        if self.skeleton is None:
            return declared
        taken = {item.place for item in declared}
        names = {item.check.name for item in declared}
        written = (item for item in self.skeleton.checks if item.place not in taken and item.check.name not in names)
        return (*declared, *written)

    @cached_property
    def columns(self) -> dict[str, dict[str, str | int]]:
        """Name of each column -> keys that say its type, where it is promised; the written columns first."""
        columns = dict(self.skeleton.columns) if self.skeleton else {}
        for column in self.document.columns:
            keys = column.model_dump(exclude_none=True, include={"data_type", "numeric_precision", "numeric_scale"})
            columns[column.name] = keys or columns.get(column.name, {})
        return columns

    @cached_property
    def column_names(self) -> set[str]:
        """Every column that the contract names by itself, not inside SQL."""
        names = set(self.columns) | set(self.document.check_attributes.key)
        for declared in self.checks:
            names.update(declared.key)
            if isinstance(declared.check, Duplicate):
                names.update(declared.check.columns or [])
        return names

    def _declared(self) -> Iterator[DeclaredCheck]:
        places = [(column.name, item) for column in self.document.columns for item in column.checks]
        for column, item in [*places, *(("", item) for item in self.document.checks)]:
            kind, check = item.pair
            inherited = self.document.check_attributes
            yield DeclaredCheck(
                kind=kind,
                column=column,
                check=check,
                owner=check.attributes.owner or inherited.owner or "",
                what_to_do=check.attributes.what_to_do or inherited.what_to_do or "",
                key=tuple(check.attributes.key or inherited.key),
                masked=next((it for it in (check.attributes.masked, inherited.masked) if it is not None), True),
                file=self.file,
            )


def load_layer(folder: Path, layer: str) -> tuple[list[Contract], dict[str, ContractError]]:
    """Read the contracts of a layer, those by hand with the written part of their table; and file -> what is wrong.

    `folder`: soda/contracts, beside which soda/skeleton lies. A table's second contract stands by itself, and so does
    one with another `filter`: what is written of a table need not hold for some of its rows.
    """
    contracts: list[Contract] = []
    problems: dict[str, ContractError] = {}
    written: dict[str, Contract] = {}
    skeleton = folder.parent / SKELETON
    for root, found in ((skeleton, written), (folder, None)):
        for path in sorted((root / layer).rglob("*.yml")):
            try:
                contract = load_contract(path, root)
            except ContractError as error:
                error.table = error.table or _table_of(path.relative_to(root))
                if not error.owner and error.table in written:
                    error.owner = written[error.table].document.check_attributes.owner or ""
                problems[_file(path, root)] = error
                continue
            if found is not None:
                found[contract.table] = contract
            elif contract.table in written and contract.filter == written[contract.table].filter:
                contracts.append(replace(contract, skeleton=written.pop(contract.table)))
            else:
                contracts.append(contract)
    return sorted([*contracts, *written.values()], key=lambda contract: contract.table), problems


def load_contract(path: Path, folder: Path) -> Contract:
    """Read one contract; `folder` is soda/contracts or soda/skeleton, which the messages name files from.

    Raises ContractError with file, key and what was found there.
    """
    file = _file(path, folder)
    text = path.read_text(encoding="utf-8")
    try:
        content = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "it ends too early or holds a forbidden character"
        raise ContractError(f"{file}: {where}is not readable as YAML: {problem}") from error
    try:
        document = _Document.model_validate(content)
    except ValidationError as error:
        raise _refusal(file, _sentences(error, content), content) from error
    contract = Contract(path=path, file=file, document=document)
    problems = list(_problems(contract, text))
    if problems:
        raise _refusal(file, problems, content)
    return contract


def _refusal(file: str, problems: Iterable[str], content: object) -> ContractError:
    """Make the error of a file that can be read but is wrong; whose table it is about must not be forgotten."""
    error = ContractError("; ".join(f"{file}: {problem}" for problem in problems))
    keys = content if isinstance(content, dict) else {}
    place = str(keys.get("dataset") or "").split("/")
    error.table = ".".join(place[1:]) if len(place) == 3 else ""
    attributes = keys.get("check_attributes")
    owner = attributes.get("owner") if isinstance(attributes, dict) else None
    error.owner = owner if isinstance(owner, str) and "@" in owner else ""
    return error


def _table_of(place: Path) -> str:
    """<schema>.<table> of a contract that cannot be read, by where it lies below its root."""
    schema = f"raw_{place.parent.name}" if place.parts[0] == "landing" else place.parts[0]
    return f"{schema}.{place.stem}"


def _file(path: Path, folder: Path) -> str:
    file = path.relative_to(folder).as_posix()
    return f"{SKELETON}/{file}" if folder.name == SKELETON else file


def resolve(text: str, variables: dict[str, str]) -> str:
    """Put the values of `${var.NAME}` into SQL, as Soda does; unknown names stay."""
    return VARIABLE.sub(lambda match: variables.get(match.group(1), match.group(0)), text)


def _problems(contract: Contract, text: str) -> Iterator[str]:
    if contract.path.stem != contract.document.dataset.split("/")[2]:
        names, called = contract.document.dataset, contract.path.stem
        yield f"dataset: names {names!r}, but the file is called {called!r}; make them agree"
    if not contract.checks:
        yield "checks: there is no check; add one or remove the file"
    for name in sorted(set(VARIABLE.findall(text)) - set(contract.variables)):
        yield f"variables: {name} is used but not declared; add `variables: {{{name}: {{}}}}`"
    names: set[str] = set()
    places: set[tuple[str, str, str | None]] = set()
    for declared in contract.checks:
        where = f"columns.{declared.column}.checks.{declared.kind}" if declared.column else f"checks.{declared.kind}"
        allowed, place_name = (COLUMN_CHECKS, "a column") if declared.column else (TABLE_CHECKS, "the table")
        if declared.kind not in allowed:
            yield f"{where}: does not belong to {place_name}; there it may be {', '.join(allowed)}"
        if not declared.owner:
            yield f"{where}: has no owner; write attributes.owner here or check_attributes.owner for the whole contract"
        if not declared.what_to_do:
            yield f"{where}: does not say what to do; write attributes.what_to_do here or for the whole contract"
        if declared.kind == "duplicate" and bool(declared.column) == bool(declared.check.columns):
            yield f"{where}: columns: belongs to a duplicate check of the table, and to no other"
        if declared.check.name in names:
            yield f"{where}: the name {declared.check.name!r} is there twice; say what is different"
        names.add(declared.check.name)
        if declared.place in places:
            yield f"{where}: is there twice; give each a qualifier of its own"
        places.add(declared.place)


def _sentences(error: ValidationError, content: object) -> Iterator[str]:
    for item in error.errors():
        where = _where(item["loc"], content)
        match item["type"]:
            case "extra_forbidden":
                yield f"{where}: is not a known key{_spelling(str(item['loc'][-1]), item['loc'])}"
            case "missing":
                yield f"{where}: is missing"
            case "model_type":
                yield f"{where}: must be keys and values, not {item['input']!r:.60}"
            case "string_pattern_mismatch" | "literal_error":
                expected = item["ctx"].get("expected") or item["ctx"].get("pattern")
                yield f"{where}: {item['input']!r} is not allowed; expected {expected}"
            case "value_error":
                yield f"{where}: {item['msg'].removeprefix('Value error, ')}"
            case _:
                yield f"{where}: {item['msg']} (found {item['input']!r:.80})"


def _where(location: tuple, content: object) -> str:
    """The path to a key, with the names of columns instead of their positions."""
    parts: list[str] = []
    for part in location:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            content = None
        named = isinstance(part, int) and isinstance(content, dict) and isinstance(content.get("name"), str)
        parts.append(content["name"] if named else f"{part + 1}" if isinstance(part, int) else str(part))
    return ".".join(parts) or "(top level)"


def _spelling(key: str, location: tuple) -> str:
    known = {
        name
        for model in [*Check.__subclasses__(), Invalid, Threshold, Attributes, _Document]
        for name in model.model_fields
    }
    if len(location) > 1 and isinstance(location[-2], int):
        known = {*COLUMN_CHECKS, *TABLE_CHECKS}
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; remove it or correct its spelling"
