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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from tagloom.contracts import DATA_SOURCE, Contract, ContractError, DeclaredCheck, load_contract, resolve
from tagloom.samples import mask, sample_query

if TYPE_CHECKING:
    from soda_core.contracts.contract_verification import CheckResult as SodaResult
    from soda_core.contracts.contract_verification import ContractVerificationSessionResult

Outcome = Literal["passed", "warned", "failed", "not evaluated"]

OUTCOMES: dict[str, Outcome] = {"PASSED": "passed", "WARN": "warned", "FAILED": "failed"}
"""Soda's word -> ours; every other word of Soda's means that the check told nothing."""

RESULTS_TABLE = "operations.check_results"


@dataclass(frozen=True)
class CheckResult:
    """What one check found in one run."""

    run_id: str
    as_of_date: date
    layer: str
    contract: str
    """File below soda/contracts that declares the check."""
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
    """Masked keys of rows that fail, five at most."""
    problem: str
    """Why the check was not evaluated; empty for the others."""
    milliseconds: float
    """Its contract's time divided by the contract's checks: Soda measures many checks in one query."""

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

    `as_of_date` reaches the contracts as `${var.AS_OF_DATE}`. What cannot be evaluated (a bad file, a missing table,
    SQL that fails, a layer without contracts) is a result with outcome "not evaluated" and a sentence in `problem`, so
    that the other contracts are still verified. Nothing is written to the warehouse.
    """
    paths = sorted((contracts / layer).rglob("*.yml"))
    run = _Run(connection, layer, run_id, as_of_date)
    if not paths:
        return [run.broken(f"{layer}/", f"{contracts / layer} holds no contract (*.yml); a layer is never unwatched")]
    results: list[CheckResult] = []
    for path in paths:
        try:
            contract = load_contract(path, contracts)
        except ContractError as error:
            results.append(run.broken(path.relative_to(contracts).as_posix(), str(error)))
        else:
            results.extend(run.verify(contract))
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
                sample varchar[] not null, problem varchar not null, milliseconds double not null
            )
            """
        )
        for run_id, layer in {(result.run_id, result.layer) for result in results}:
            connection.execute(f"delete from {RESULTS_TABLE} where run_id = ? and layer = ?", [run_id, layer])
        for result in results:
            row = [list(value) if isinstance(value, tuple) else value for value in vars(result).values()]
            connection.execute(f"insert into {RESULTS_TABLE} values ({', '.join('?' * len(row))})", row)
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

    @property
    def variables(self) -> dict[str, str]:
        return {"AS_OF_DATE": self.as_of_date.isoformat()}

    def verify(self, contract: Contract) -> list[CheckResult]:
        """Verify one contract. One result for each declared check, or one for what keeps it from being verified."""
        problem = self._cannot_start(contract)
        if problem:
            return [self.broken(contract.file, problem, contract)]
        started = time.perf_counter()
        with _listening() as records:
            session = _run_soda(self.connection, contract, self.variables)
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
            results.append(self.broken(contract.file, f"{contract.file}: {complaint}", contract))
        return results

    def broken(self, file: str, problem: str, contract: Contract | None = None) -> CheckResult:
        """Make the result of a contract that could not be verified at all."""
        owners = sorted({declared.owner for declared in contract.checks}) if contract else []
        return CheckResult(
            run_id=self.run_id,
            as_of_date=self.as_of_date,
            layer=self.layer,
            contract=file,
            table=contract.table if contract else "",
            column="",
            name=f"The contract {file} can be verified",
            check_type="contract",
            outcome="not evaluated",
            measured=None,
            unit="",
            threshold="verified",
            owner=owners[0] if owners else "",
            what_to_do=_correct(file),
            sample=(),
            problem=problem,
            milliseconds=0.0,
        )

    def _cannot_start(self, contract: Contract) -> str | None:
        """Say what Soda would hide: a table or column that is not there, a variable that no run has."""
        unknown = sorted(
            name for name in contract.variables if name not in self.variables and not _default(contract, name)
        )
        if unknown:
            return (
                f"{contract.file}: variables: {unknown[0]} has no value; a run gives {', '.join(self.variables)} only"
            )
        columns = _columns(self.connection, contract.table)
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
            if reference and reference.column not in _columns(self.connection, reference.table):
                where = f"columns.{declared.column}.checks.invalid.valid_reference_data"
                return f"{contract.file}: {where}: there is no column {reference.table}.{reference.column}"
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
        return CheckResult(
            run_id=self.run_id,
            as_of_date=self.as_of_date,
            layer=self.layer,
            contract=contract.file,
            table=contract.table,
            column=declared.column,
            name=declared.check.name,
            check_type=declared.kind,
            outcome=outcome,
            measured=float(value) if value is not None else None,
            unit=declared.check.unit,
            threshold=declared.check.allowed,
            owner=declared.owner,
            what_to_do=declared.what_to_do if outcome in OUTCOMES.values() else _correct(contract.file),
            sample=self._sample(contract, declared) if outcome in ("failed", "warned") else (),
            problem=self._why(contract, declared, complaint) if outcome == "not evaluated" else "",
            milliseconds=milliseconds,
        )

    def _sample(self, contract: Contract, declared: DeclaredCheck) -> tuple[str, ...]:
        query = sample_query(contract, declared, self.variables)
        if query is None:
            return ()
        try:
            cursor = self.connection.execute(query)
        except duckdb.Error as error:
            # The check itself worked: its message must not be lost because the example could not be found.
            logging.getLogger(__name__).warning("%s: no sample for %r: %s", contract.file, declared.check.name, error)
            return ()
        names = [column[0] for column in cursor.description]
        shown = [position for position, name in enumerate(names) if name in declared.key] or [0]
        return tuple(", ".join(mask(row[position]) for position in shown) for row in cursor.fetchall())

    def _why(self, contract: Contract, declared: DeclaredCheck, complaint: str) -> str:
        """Say why a check told nothing: its own SQL fails, returns nothing, or another check's SQL took it along."""
        where = f"columns.{declared.column}.checks.{declared.kind}" if declared.column else f"checks.{declared.kind}"
        failure = self._sql_error(contract, declared)
        if failure:
            return f"{contract.file}: {where}: its SQL fails: {failure}"
        for other in contract.checks:
            failure = self._sql_error(contract, other)
            if failure:
                return f"{contract.file}: {where}: could not be measured because {other.check.name!r} fails: {failure}"
        nothing = f"it measured nothing, for example because the table {contract.table} is empty"
        return f"{contract.file}: {where}: {complaint or nothing}"

    def _sql_error(self, contract: Contract, declared: DeclaredCheck) -> str:
        check = declared.check
        query = resolve(getattr(check, "query", None) or "", self.variables)
        expression = resolve(getattr(check, "expression", None) or "", self.variables)
        if expression and declared.kind == "failed_rows":
            query = f"select 1 from {contract.table} where ({expression})"
        elif expression:
            query = f"select {expression} from {contract.table}"
        elif not query and check.filter:
            query = f"select 1 from {contract.table} where ({resolve(check.filter, self.variables)})"
        elif not query and declared.kind == "aggregate":
            query = f'select {check.function}("{declared.column}") from {contract.table}'
        try:
            if query:
                self.connection.execute(query)
        except duckdb.Error as error:
            return _first_line(str(error))
        return ""


def _soda() -> tuple[Any, Any]:
    """Import Soda, which takes a second; before that, keep it from phoning home and from reading a .env file."""
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
    before = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    try:
        from soda_core.contracts import verify_contract_locally
        from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl
    finally:
        if before is None:
            del os.environ["PYTHON_DOTENV_DISABLED"]
        else:
            os.environ["PYTHON_DOTENV_DISABLED"] = before
    return verify_contract_locally, DuckDBDataSourceImpl


def _run_soda(
    connection: duckdb.DuckDBPyConnection, contract: Contract, variables: dict[str, str]
) -> ContractVerificationSessionResult:
    verify_contract_locally, data_source = _soda()
    return verify_contract_locally(
        data_sources=[data_source.from_existing_cursor(connection, name=DATA_SOURCE)],
        contract_file_path=str(contract.path),
        variables={name: value for name, value in variables.items() if name in contract.variables},
    )


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


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    schema, name = table.split(".")
    rows = connection.execute(
        "select column_name from information_schema.columns where table_schema = ? and table_name = ?", [schema, name]
    ).fetchall()
    return {row[0] for row in rows}


def _correct(file: str) -> str:
    return f"Correct soda/contracts/{file}, or build what it names, and run the layer again."


def _default(contract: Contract, name: str) -> bool:
    return (contract.document.variables.get(name) or {}).get("default") is not None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
