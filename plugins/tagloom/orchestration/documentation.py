"""document_models, which writes dbt's documentation when the definitions have changed."""

from __future__ import annotations

from datetime import date

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from tagloom import layer_state
from tagloom.orchestration.common import START_DATE, default_arguments, layer_asset, log
from tagloom.orchestration.lateness import tell_run_failure
from tagloom.publish import current_version
from tagloom.settings import load_settings
from tagloom.transform import DOCUMENTATION, LAYERS, write_documentation
from tagloom.warehouse import POOL

DOCUMENTED = "documented.txt"
"""File beside the page that says which definitions it describes."""


def document_models_dag(documentation: str) -> DAG:
    """Make the DAG that documents the models after a build that changed them."""
    with DAG(
        dag_id="document_models",
        description="dbt's documentation as one HTML file (模型文档)",
        doc_md=documentation,
        schedule=[layer_asset(LAYERS[-1])],
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(),
        on_failure_callback=tell_run_failure,
        tags=["build"],
    ) as dag:
        _document()
    return dag


@task(task_id="document", pool=POOL)
def _document() -> str:
    """Write the documentation, unless it is there for these definitions."""
    settings = load_settings()
    version = current_version(settings)
    if version is None:
        raise AirflowSkipException("Nothing is published yet, so there is nothing to document.")
    page, documented = settings.dbt_target / DOCUMENTATION, settings.dbt_target / DOCUMENTED
    fingerprint = layer_state.definitions_fingerprint(settings)
    if page.exists() and documented.exists() and documented.read_text(encoding="utf-8") == fingerprint:
        log.info("documentation: unchanged")
        return str(page)
    write_documentation(settings, date.fromisoformat(version.as_of_date))
    documented.write_text(fingerprint, encoding="utf-8")
    log.info("documentation written")
    return str(page)
