"""Airflow imports this module at start, from PYTHONPATH. It makes the scheduler load what tasks need, once for all.

Tasks are forked from the scheduler, so they find it already loaded: several seconds less for each task that runs dbt.
Only packages from outside are loaded here; Tagloom's own modules may change while the scheduler runs.
"""

import importlib
import logging
import sys
import tempfile

__all__: list[str] = []
"""Nothing here is to replace a name in airflow.settings."""

NEEDED_BY_TASKS = (
    "dbt.adapters.duckdb",
    "dbt.cli.main",
    "dbt.task.build",
    "dbt_common.clients.agate_helper",
    "duckdb",
    "jinja2",
    "numpy",
    "pandas",
    "psutil",
    "pydantic",
    "soda_core.check_collections.session",
    "soda_core.contracts",
    "soda_duckdb.common.data_sources.duckdb_data_source",
    "sqlparse",
    "yaml",
    "zoneinfo",
)


def _warm_up() -> None:
    """Parse the project once, to nowhere: dbt builds its decoders and its adapter on first use, a second a task.

    Without dbt's static parser: its threads, started here, would be missing in the forked tasks, which would wait for
    them for ever as soon as they have a file to parse. Tasks start their own.
    """
    from dbt.cli.main import dbtRunner

    with tempfile.TemporaryDirectory() as nowhere:
        outcome = dbtRunner().invoke(
            ["parse", "--quiet", "--no-static-parser", "--target-path", nowhere, "--log-path", nowhere]
        )
    if not outcome.success:
        # The first build says what is wrong with the project; here it only costs the second.
        logging.getLogger(__name__).warning("dbt could not be warmed up: %s", outcome.exception)


if sys.argv[1:2] == ["scheduler"]:
    for name in NEEDED_BY_TASKS:
        importlib.import_module(name)
    _warm_up()
