"""Runs the quality contracts of a layer over an open warehouse, keeps the results. The only module that imports Soda.

Soda reports many faults only through its logger (a missing table, a misspelt check, a query that fails), so this module
trusts nothing: contracts are read strictly beforehand (`contracts`), and every declared check must come back evaluated.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from tagloom.contracts import DATA_SOURCE, SKELETON, Contract, DeclaredCheck, load_layer, resolve
from tagloom.samples import SAMPLE_ROWS, mask, sample_query

if TYPE_CHECKING:
    from soda_core.contracts.contract_verification import CheckResult as SodaResult
    from soda_core.contracts.contract_verification import ContractVerificationSessionResult

Outcome = Literal["passed", "warned", "failed", "not evaluated"]

OUTCOMES: dict[str, Outcome] = {"PASSED": "passed", "WARN": "warned", "FAILED": "failed"}
"""Soda's word -> ours; every other word of Soda's means that the check told nothing."""

RESULTS_TABLE = "operations.check_results"

_TEXTS = ("layer", "contract", "table", "column", "name", "check_type", "outcome")
_SQL_TYPES = {
    **{"run_id": "varchar", "as_of_date": "date"},
    **dict.fromkeys(_TEXTS, "varchar"),
    **{"measured": "double", "unit": "varchar", "threshold": "varchar", "owner": "varchar", "what_to_do": "varchar"},
    **{"sample": "varchar[]", "problem": "varchar", "milliseconds": "double", "table_rows": "bigint"},
}
"""Field of a result -> its type in the table, in the order of its columns."""

KNOWN_DAYS = 28
"""Numbers of rows are compared with the mean of so many days before."""

LEAST_DAYS = 7
"""When fewer of these days are known, there is nothing to compare with."""


@dataclass(frozen=True)
class CheckResult:
    """What one check found in one run."""

    run_id: str
    as_of_date: date
    layer: str
    contract: str
    """File below soda/contracts that declares the check; `skeleton/...`: file below soda/skeleton."""
    table: str
    """<schema>.<table>; empty when the contract could not be read."""
    column: str
    """Empty for a check of the whole table."""
    name: str
    """A sentence that is true when the check passes."""
    check_type: str
    """missing, invalid, duplicate, row_count, schema, aggregate, metric, failed_rows; `contract`: the file itself."""
    outcome: Outcome
    measured: float | None
    unit: str
    """What follows the measured value, such as ` %`; may be nothing."""
    threshold: str
    """What is allowed, in words."""
    owner: str
    """E-mail address of who acts; empty when the contract could not be read."""
    what_to_do: str
    sample: tuple[str, ...]
    """Masked keys of rows that fail, five at most; of a schema check, how columns differ."""
    problem: str
    """Why the check was not evaluated; empty for the others."""
    milliseconds: float
    """Its contract's time divided by the contract's checks: Soda measures many checks in one query."""
    table_rows: int | None = None
    """Rows of the table that were looked at; the days to come are compared with them."""

    @property
    def stops(self) -> bool:
        """Whether the layers above must not be built on it."""
        return self.outcome in ("failed", "not evaluated")

    @property
    def measured_text(self) -> str:
        """The measured value as people read it, for example `2.5 %`."""
        if self.measured is None:
            return "nothing"
        if self.measured % 1 == 0:
            return f"{self.measured:,.0f}{self.unit}"
        return f"{self.measured:,.{1 if abs(self.measured) >= 1000 else 4}f}".rstrip("0").rstrip(".") + self.unit


def check_layer(
    connection: duckdb.DuckDBPyConnection, contracts: Path, layer: str, run_id: str, as_of_date: date
) -> list[CheckResult]:
    """Verify every contract <contracts>/<layer>/**/*.yml over the open connection, which stays open.

    Those of soda/skeleton beside it are verified with them. `as_of_date` reaches the contracts as `${var.AS_OF_DATE}`,
    the mean number of a table's rows on the days before as `${var.ROWS_BEFORE}`. What cannot be evaluated (a bad file,
    a missing table, SQL that fails, a layer without contracts) is a result with outcome "not evaluated" and a sentence
    in `problem`, so that the other contracts are still verified. Nothing is written to the warehouse.
    """
    found, problems = load_layer(contracts, layer)
    run = _Run(connection, layer, run_id, as_of_date, _all_columns(connection), _rows_before(connection, as_of_date))
    if not found and not problems:
        return [run.broken(f"{layer}/", f"{contracts / layer} holds no contract (*.yml); a layer is never unwatched")]
    results = [run.broken(file, str(error), error.table, error.owner) for file, error in problems.items()]
    # Its import takes a second, which is not the first contract's time.
    _soda()
    with _listening() as records:
        for contract in found:
            if not run.waits_for_its_first_landing(contract):
                results.extend(run.verify(contract, records))
                records.clear()
    return results


def record_results(connection: duckdb.DuckDBPyConnection, results: Iterable[CheckResult]) -> None:
    """Keep the results in `operations.check_results`, in one transaction; a rerun replaces its own run and layer."""
    results = list(results)
    connection.begin()
    try:
        connection.execute("create schema if not exists operations")
        connection.execute(
            f"""
            create table if not exists {RESULTS_TABLE} (
                run_id varchar not null, as_of_date date not null, layer varchar not null, contract varchar not null,
                table_name varchar not null, column_name varchar not null, check_name varchar not null,
                check_type varchar not null, outcome varchar not null, measured double, unit varchar not null,
                threshold varchar not null, owner varchar not null, what_to_do varchar not null,
                sample varchar[] not null, problem varchar not null, milliseconds double not null, table_rows bigint
            )
            """
        )
        # A warehouse of an older version lacks it.
        connection.execute(f"alter table {RESULTS_TABLE} add column if not exists table_rows bigint")
        for run_id, layer in {(result.run_id, result.layer) for result in results}:
            connection.execute(f"delete from {RESULTS_TABLE} where run_id = ? and layer = ?", [run_id, layer])
        # All in one statement: a row at a time takes a hundredth of a second each.
        columns = {name: [getattr(result, name) for result in results] for name in CheckResult.__dataclass_fields__}
        columns["sample"] = [list(sample) for sample in columns["sample"]]
        listed = ", ".join(f"unnest(${name}::{sql_type}[])" for name, sql_type in _SQL_TYPES.items())
        connection.execute(f"insert into {RESULTS_TABLE} select {listed}", columns)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@dataclass(frozen=True)
class _Run:
    """One verification of one layer."""

    connection: duckdb.DuckDBPyConnection
    layer: str
    run_id: str
    as_of_date: date
    columns: dict[str, set[str]]
    """<schema>.<table> -> its columns, of everything in the warehouse."""
    rows_before: dict[str, float]
    """<schema>.<table> -> mean number of rows on the days before, of those with enough known days."""

    def variables(self, contract: Contract) -> dict[str, str]:
        """Give the values of a contract's variables; of one that neither run nor contract knows there is none."""
        rows_before = round(self.rows_before.get(contract.table, 0))
        values = {"AS_OF_DATE": self.as_of_date.isoformat(), "ROWS_BEFORE": f"{rows_before}"}
        return {name: default for name, default in contract.variables.items() if default} | values

    def waits_for_its_first_landing(self, contract: Contract) -> bool:
        """Whether it is the written contract of a declared table of which nothing has come yet; that stops no build."""
        is_written = contract.file.startswith(f"{SKELETON}/")
        return self.layer == "landing" and is_written and contract.table not in self.columns

    def verify(self, contract: Contract, records: list[logging.LogRecord]) -> list[CheckResult]:
        """Verify one contract. One result for each declared check, or one for what keeps it from being verified.

        `records`: where Soda's warnings and errors arrive.
        """
        variables = self.variables(contract)
        problem = self._cannot_start(contract, variables)
        if problem:
            return [self.broken(contract.file, problem, contract.table, contract.owner)]
        started = time.perf_counter()
        try:
            session = _run_soda(self.connection, contract, variables)
        except Exception as error:
            # Of whatever kind: one contract that Soda stumbles over must not keep the others from being verified.
            return [
                self.broken(
                    contract.file,
                    f"{contract.file}: Soda gave up: {_first_line(str(error))}",
                    contract.table,
                    contract.owner,
                )
            ]
        milliseconds = (time.perf_counter() - started) * 1000 / len(contract.checks)
        parts = session.contract_verification_results
        found = {item.check.name: item for part in parts for item in part.check_results}
        messages = [*session.get_errors(), *(record.getMessage() for record in records)]
        complaint = f"Soda could not follow it: {_first_line(messages[0])}" if messages else ""
        results = [
            self._result(contract, declared, found.get(declared.check.name), milliseconds, complaint)
            for declared in contract.checks
        ]
        if complaint and not any(result.stops for result in results):
            # Whatever Soda complains about, it must not stay a line in a log under a green light.
            results.append(self.broken(contract.file, f"{contract.file}: {complaint}", contract.table, contract.owner))
        return results

    def broken(self, file: str, problem: str, table: str = "", owner: str = "") -> CheckResult:
        """Make the result of a contract that could not be verified at all, and leaves its table unwatched."""
        return CheckResult(
            run_id=self.run_id,
            as_of_date=self.as_of_date,
            layer=self.layer,
            contract=file,
            table=table,
            column="",
            name=f"The contract {file} can be verified",
            check_type="contract",
            outcome="not evaluated",
            measured=None,
            unit="",
            threshold="verified",
            owner=owner,
            what_to_do=_correct(file),
            sample=(),
            problem=problem,
            milliseconds=0.0,
        )

    def _cannot_start(self, contract: Contract, variables: dict[str, str]) -> str | None:
        """Say what Soda would hide: a table or column that is not there, a variable that no run has."""
        unknown = sorted(set(contract.variables) - set(variables))
        if unknown:
            return f"{contract.file}: variables: {unknown[0]} has no value; a run gives {', '.join(variables)} only"
        columns = self.columns.get(contract.table)
        if not columns:
            return (
                f"{contract.file}: dataset: the table {contract.table} does not exist in the warehouse; "
                "correct the name, or run the task that makes it"
            )
        absent = sorted(contract.column_names - columns)
        if absent:
            return f"{contract.file}: columns: {contract.table} has no column {', '.join(absent)}"
        for declared in contract.checks:
            reference = getattr(declared.check, "valid_reference_data", None)
            if reference and reference.column not in self.columns.get(reference.table, ()):
                where = f"columns.{declared.column}.checks.invalid.valid_reference_data"
                return f"{declared.file}: {where}: there is no column {reference.table}.{reference.column}"
        return None

    def _result(
        self,
        contract: Contract,
        declared: DeclaredCheck,
        found: SodaResult | None,
        milliseconds: float,
        complaint: str,
    ) -> CheckResult:
        outcome = OUTCOMES.get(found.outcome.name, "not evaluated") if found else "not evaluated"
        value = found.threshold_value if found else None
        rows = (found.diagnostic_metric_values or {}).get("dataset_rows_tested") if found else None
        return CheckResult(
            run_id=self.run_id,
            as_of_date=self.as_of_date,
            layer=self.layer,
            contract=declared.file,
            table=contract.table,
            column=declared.column,
            name=declared.check.name,
            check_type=declared.kind,
            outcome=outcome,
            measured=float(value) if value is not None else None,
            unit=declared.check.unit,
            threshold=declared.check.allowed,
            owner=declared.owner,
            what_to_do=declared.what_to_do if outcome in OUTCOMES.values() else _correct(declared.file),
            sample=self._sample(contract, declared, found) if outcome in ("failed", "warned") else (),
            problem=self._why(contract, declared, complaint) if outcome == "not evaluated" else "",
            milliseconds=milliseconds,
            table_rows=int(rows) if rows is not None else None,
        )

    def _sample(self, contract: Contract, declared: DeclaredCheck, found: SodaResult) -> tuple[str, ...]:
        if declared.kind == "schema":
            return tuple(_differences(found))[:SAMPLE_ROWS]
        query = sample_query(contract, declared, self.variables(contract))
        if query is None:
            return ()
        try:
            cursor = self.connection.execute(query)
        except duckdb.Error as error:
            # The check itself worked: its message must not be lost because the example could not be found.
            logging.getLogger(__name__).warning("%s: no sample for %r: %s", declared.file, declared.check.name, error)
            return ()
        names = [column[0] for column in cursor.description]
        shown = [position for position, name in enumerate(names) if name in declared.key] or [0]
        text = mask if declared.masked else str
        return tuple(", ".join(text(row[position]) for position in shown) for row in cursor.fetchall())

    def _why(self, contract: Contract, declared: DeclaredCheck, complaint: str) -> str:
        """Say why a check told nothing: its own SQL fails, returns nothing, or another check's SQL took it along."""
        place = f"columns.{declared.column}.checks.{declared.kind}" if declared.column else f"checks.{declared.kind}"
        where = f"{declared.file}: {place}"
        failure = self._sql_error(contract, declared)
        if failure:
            return f"{where}: its SQL fails: {failure}"
        for other in contract.checks:
            failure = self._sql_error(contract, other)
            if failure:
                return f"{where}: could not be measured because {other.check.name!r} fails: {failure}"
        nothing = f"it measured nothing, for example because the table {contract.table} is empty"
        return f"{where}: {complaint or nothing}"

    def _sql_error(self, contract: Contract, declared: DeclaredCheck) -> str:
        check = declared.check
        variables = self.variables(contract)
        query = resolve(getattr(check, "query", None) or "", variables)
        expression = resolve(getattr(check, "expression", None) or "", variables)
        if expression and declared.kind == "failed_rows":
            query = f"select 1 from {contract.table} where ({expression})"
        elif expression:
            query = f"select {expression} from {contract.table}"
        elif not query and check.filter:
            query = f"select 1 from {contract.table} where ({resolve(check.filter, variables)})"
        elif not query and declared.kind == "aggregate":
            query = f'select {check.function}("{declared.column}") from {contract.table}'
        try:
            if query:
                self.connection.execute(query)
        except duckdb.Error as error:
            return _first_line(str(error))
        return ""


def _soda() -> tuple[Any, Any, Any]:
    """Soda's session, its data source for DuckDB, and the contract that it is given; it is kept from phoning home."""
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
    return _imported_soda()


@cache
def _imported_soda() -> tuple[Any, Any, Any]:
    """Import Soda, which takes a second, and keep it from reading a .env file.

    Soda reads YAML with a slow library, a hundredth of a second for each check, so it gets what is read already.
    """
    before = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    try:
        from ruamel.yaml import CommentedMap, CommentedSeq
        from soda_core.common.yaml import ContractYamlSource, FileType, YamlObject
        from soda_core.contracts.contract_verification import ContractVerificationSession
        from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl
    finally:
        if before is None:
            del os.environ["PYTHON_DOTENV_DISABLED"]
        else:
            os.environ["PYTHON_DOTENV_DISABLED"] = before

    def located(value: Any) -> Any:
        """Make mappings and lists to those that know their place in a file, which Soda asks for."""
        if isinstance(value, dict):
            items = CommentedMap((key, located(item)) for key, item in value.items())
        elif isinstance(value, list):
            items = CommentedSeq(located(item) for item in value)
            for place in range(len(items)):
                items.lc.add_idx_line_col(place, [0, 0])
        else:
            return value
        items.lc.line = items.lc.col = 0
        return items

    class ReadContract(ContractYamlSource, file_type=FileType.CONTRACT):
        """A contract that is no text any more."""

        def __init__(self, content: dict, file: str) -> None:
            super().__init__(file_path=file, yaml_str="")
            self.content = content

        def parse(self) -> YamlObject:
            return YamlObject(self, located(self.content))

    return ContractVerificationSession, DuckDBDataSourceImpl, ReadContract


def _run_soda(
    connection: duckdb.DuckDBPyConnection, contract: Contract, variables: dict[str, str]
) -> ContractVerificationSessionResult:
    session, data_source, read_contract = _soda()
    return session.execute(
        contract_yaml_sources=[read_contract(_for_soda(contract, variables), contract.file)],
        data_source_impls=[data_source.from_existing_cursor(connection, name=DATA_SOURCE)],
    )


def _for_soda(contract: Contract, variables: dict[str, str]) -> dict:
    """Make what Soda needs of a contract and its written part: no owners, no descriptions, no variables left."""
    checks: dict[str, list[dict]] = {}
    for declared in contract.checks:
        keys = declared.check.model_dump(exclude_unset=True, exclude={"attributes"})
        checks.setdefault(declared.column, []).append({declared.kind: keys})
    # Columns without a check matter to nothing else, and each costs time.
    has_schema = any(declared.kind == "schema" for declared in contract.checks)
    columns = [
        {"name": name, **types, **({"checks": checks[name]} if name in checks else {})}
        for name, types in contract.columns.items()
        if has_schema or name in checks
    ]
    content = {"dataset": contract.document.dataset, "columns": columns}
    if "" in checks:
        content["checks"] = checks[""]
    if contract.filter:
        content["filter"] = contract.filter
    return _resolved(content, variables)


def _resolved(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, variables) for item in value]
    return resolve(value, variables) if isinstance(value, str) else value


@contextmanager
def _listening() -> Iterator[list[logging.LogRecord]]:
    """Collect Soda's warnings and errors, and keep its progress report (INFO) out of the task log.

    Never above WARNING: Soda itself detects its faults by listening to this logger.
    """
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.getLogger("soda")
    level = logger.level
    collector = Collector(level=logging.WARNING)
    logger.addHandler(collector)
    logger.setLevel(logging.WARNING)
    try:
        yield records
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)


def _differences(found: SodaResult) -> Iterator[str]:
    """Say how the columns of a table differ from what its contract promises."""
    yield from (f"{name} is missing" for name in found.expected_column_names_not_actual)
    yield from (f"{name} is new" for name in found.actual_column_names_not_expected)
    for item in found.column_data_type_mismatches:
        yield f"{item.column} is {item.get_actual()}, not {item.get_expected()}"


def _all_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    rows = connection.execute(
        "select schema_name || '.' || table_name, list(column_name) from duckdb_columns() "
        "where database_name in (current_database(), 'temp') group by all"
    ).fetchall()
    return {table: set(columns) for table, columns in rows}


def _rows_before(connection: duckdb.DuckDBPyConnection, as_of_date: date) -> dict[str, float]:
    """<schema>.<table> -> mean number of rows on the KNOWN_DAYS before, as the checks of those days counted them.

    A table that is known on fewer than LEAST_DAYS is not among them. Days with a failed check of it do not count, nor
    those on which it was empty: else a source that has just begun would seem to grow tenfold every day.
    """
    if "table_rows" not in _all_columns(connection).get(RESULTS_TABLE, ()):
        return {}
    rows = connection.execute(
        f"""
        with runs as (
            select table_name, as_of_date, run_id, max(table_rows) as table_rows, max(rowid) as place
            from {RESULTS_TABLE}
            where as_of_date >= $day - $known::integer and as_of_date < $day and table_name <> ''
            group by all
            having bool_and(outcome in ('passed', 'warned')) and max(table_rows) > 0
        ),
        days as (select table_name, as_of_date, arg_max(table_rows, place) as table_rows from runs group by all)
        select table_name, avg(table_rows) from days group by table_name having count(*) >= $least
        """,
        {"day": as_of_date, "known": KNOWN_DAYS, "least": LEAST_DAYS},
    ).fetchall()
    return dict(rows)


def _correct(file: str) -> str:
    if file.startswith(f"{SKELETON}/"):
        return f"Run `python -m tagloom quality skeleton`, or build what soda/{file} names; then run the layer again."
    return f"Correct soda/contracts/{file}, or build what it names, and run the layer again."


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
