"""Runs dbt in this process, one layer at a time, and reports what became of every model, seed and test."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from tagloom.operations import create_operations_tables
from tagloom.settings import PROJECT, Settings
from tagloom.warehouse import open_warehouse

LAYERS = ("staging", "identity_mapping", "intermediate", "tag_category", "tag_integration", "serving")
"""The layers in the order they are built; each is a folder under dbt_project/models and a schema of the warehouse."""

DOCUMENTATION = "static_index.html"
"""Name of the documentation's file in dbt's target folder."""

log = logging.getLogger(__name__)


class TransformError(RuntimeError):
    """Models or data tests failed; the message names each with its file and reason."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one dbt node."""

    name: str
    kind: str
    """model, seed, test ..."""
    status: str
    """success, pass, warn, error, fail, skipped ..."""
    seconds: float
    rows: int | None = None
    """Rows of the table that was built; None for views and tests."""
    message: str = ""

    def as_dict(self) -> dict:
        """Plain values, for XCom and asset extras."""
        return asdict(self)


def build_layer(
    settings: Settings, layer: str, as_of_date: date, *, chosen: list[str] | None = None
) -> list[NodeResult]:
    """Build the models of a layer, and the seeds before the first, with the tests of its folder of data-tests.

    Data tests that twins declare of their models are left to Soda, which verifies them after the layer, many in one
    query (`quality_skeleton`). Unit tests are left to `make test`: they test the SQL, which a scheduled run does not
    change. `chosen` are the names of the models of the layer that are built, the others stay as they are, and of some
    data tests: of tables of persons those rows are replaced that operations.replacements names (`replacing`), and no
    other test is run.

    Raises TransformError when there is no such layer, or a model or a data test fails; tables built before it stay, the
    published version too.
    """
    if layer not in LAYERS:
        raise TransformError(f"There is no layer {layer!r}; the layers are {', '.join(LAYERS)}.")
    selected, excluded = [f"path:models/{layer},resource_type:model", f"path:data-tests/{layer}"], []
    if layer == LAYERS[0]:
        selected.append("path:seeds")
    if chosen is not None:
        selected, excluded = selectors(layer, chosen, PROJECT / "dbt_project")
    # dbt need not look for the tests of each model and their other parents: it takes longer than to build some layers.
    arguments = ["build", "--select", *selected, "--indirect-selection", "empty"]
    arguments += ["--exclude", *excluded] if excluded else []
    if layer != LAYERS[0]:
        # The first layer has written the manifest of the whole project; writing it again takes as long as some layers.
        arguments.append("--no-write-json")
    nodes = run_dbt(settings, arguments, as_of_date, affected_only=chosen is not None)
    if chosen is None:
        _drop_orphans(settings, layer, nodes)
    return nodes


def selectors(layer: str, chosen: list[str], project: Path) -> tuple[list[str], list[str]]:
    """What dbt is to select and to exclude so that it builds just the nodes of these names.

    dbt compares each word with each of its nodes, so most models of a layer are called by their folder.
    """
    models = {path.stem for path in (project / "models" / layer).rglob("*.sql")}
    left_out = models - set(chosen)
    if len(left_out) > len(models) / 2:
        return sorted(chosen), []
    return [f"path:models/{layer},resource_type:model", *sorted(set(chosen) - models)], sorted(left_out)


def run_dbt(
    settings: Settings,
    arguments: list[str],
    as_of_date: date,
    *,
    affected_only: bool = False,
    project: Path | None = None,
) -> list[NodeResult]:
    """Run one dbt command and let go of the warehouse afterwards.

    With `affected_only`, of tables of persons those rows are replaced that operations.replacements names (`replacing`).
    `project` is the folder of another dbt project than this one, as a simulation has a copy.

    Raises TransformError when dbt reports an error or a failed test.
    """
    from dbt.cli.main import dbtRunner

    if arguments[0] != "parse":
        # Models read them whether or not anything was ever written there.
        with open_warehouse(settings) as connection:
            create_operations_tables(connection)
    with (
        _dbt_environment(settings, as_of_date, affected_only, project or PROJECT / "dbt_project"),
        _released_warehouse(),
    ):
        outcome = dbtRunner().invoke([*arguments, "--quiet", "--no-use-colors"])
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception
    if outcome.exception:
        reason = " ".join(str(outcome.exception).split())
        raise TransformError(f"dbt {arguments[0]} could not start: {reason}") from outcome.exception
    results = list(getattr(outcome.result, "results", []))
    rows = _rows_per_table(settings) if arguments[0] == "build" else {}
    nodes = [_node_result(result, rows) for result in results]
    for node in nodes:
        log.info("%-8s %-60s %10s rows %7.2f s", node.status, node.name, _shown(node.rows), node.seconds)
    failed = [result for result in results if result.status in ("error", "fail", "runtime error")]
    if failed:
        raise TransformError("\n".join(_sentence(result) for result in failed))
    return nodes


def write_documentation(settings: Settings, as_of_date: date) -> Path:
    """Write dbt's documentation as one static HTML file and return its path."""
    run_dbt(settings, ["docs", "generate", "--static"], as_of_date)
    return settings.dbt_target / DOCUMENTATION


@contextmanager
def _dbt_environment(settings: Settings, as_of_date: date, affected_only: bool, project: Path) -> Iterator[None]:
    wanted = {
        # Not as dbt variables: whenever one of those changes, dbt parses the whole project again.
        "TAGLOOM_AS_OF_DATE": as_of_date.isoformat(),
        "TAGLOOM_AFFECTED_ONLY": "true" if affected_only else "false",
        "TAGLOOM_WAREHOUSE": str(settings.warehouse),
        "TAGLOOM_MEMORY_LIMIT": settings.memory_limit,
        "TAGLOOM_TIME_ZONE": settings.time_zone,
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(settings.dbt_target),
        "DBT_LOG_PATH": str(settings.dbt_logs),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        # dbt's own default is a hundred thousand lines of debug a build.
        "DBT_LOG_LEVEL_FILE": os.environ.get("DBT_LOG_LEVEL_FILE", "info"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _released_warehouse() -> Iterator[None]:
    """Close dbt-duckdb's connection at the end: it keeps the file open as long as its process lives."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    try:
        yield
    finally:
        environment, DuckDBConnectionManager._ENV = DuckDBConnectionManager._ENV, None
        if environment is not None:
            environment.close()


def _drop_orphans(settings: Settings, layer: str, built: list[NodeResult]) -> None:
    """Drop what no model of the layer stands behind any more, so that a deleted tag's values are really gone.

    Histories stay: that a category has no tag with a history today does not undo what was true.
    """
    known = [node.name for node in built if node.kind == "model"]
    with open_warehouse(settings) as connection:
        orphans = connection.execute(
            """
            select table_name, table_type from information_schema.tables
            where table_schema = $layer and not list_contains($known, table_name) and not suffix(table_name, '_history')
            """,
            {"layer": layer, "known": known},
        ).fetchall()
        for name, table_type in orphans:
            connection.execute(f'drop {"view" if table_type == "VIEW" else "table"} {layer}."{name}" cascade')
            log.info("dropped %s.%s: no model stands behind it any more", layer, name)


def _rows_per_table(settings: Settings) -> dict[tuple[str, str], int]:
    with open_warehouse(settings) as connection:
        tables = connection.execute("select schema_name, table_name, estimated_size from duckdb_tables()").fetchall()
    return {(schema, name): rows for schema, name, rows in tables}


def _node_result(result: object, rows: dict[tuple[str, str], int]) -> NodeResult:
    node = result.node
    is_table = node.resource_type in ("model", "seed")
    return NodeResult(
        name=node.name,
        kind=str(node.resource_type),
        status=str(result.status),
        seconds=round(result.execution_time, 3),
        rows=rows.get((node.schema, getattr(node, "alias", node.name))) if is_table else None,
        message="" if str(result.status) in ("success", "pass") else str(result.message or ""),
    )


def _sentence(result: object) -> str:
    node = result.node
    reason = " ".join(str(result.message or "no reason given").split())
    if node.resource_type == "test":
        return f"{node.original_file_path}: the data test {node.name} failed: {reason}"
    return f"{node.original_file_path}: the {node.resource_type} {node.name} could not be built: {reason}"


def _shown(rows: int | None) -> str:
    return "" if rows is None else f"{rows:,}"
