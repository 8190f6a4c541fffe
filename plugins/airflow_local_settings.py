"""Airflow imports this module at start, from PYTHONPATH. It makes the scheduler load dbt and Soda once, for all tasks.

Tasks are forked from the scheduler, so they find both already imported: several seconds less for each task that runs
dbt. Only packages from outside are loaded here; Tagloom's own modules may change while the scheduler runs.
"""

import sys

__all__: list[str] = []
"""Nothing here is to replace a name in airflow.settings."""

if sys.argv[1:2] == ["scheduler"]:
    import dbt.adapters.duckdb
    import dbt.cli.main  # noqa: F401 (loaded for its effect only, as are the next two)
    import soda_core.contracts  # noqa: F401
    import soda_duckdb.common.data_sources.duckdb_data_source  # noqa: F401
