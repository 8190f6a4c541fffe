"""monitor_channels, which watches what channels achieve after each build."""

from __future__ import annotations

from datetime import date

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tagloom.orchestration.alerts import tell_alarms
from tagloom.orchestration.common import DAY, START_DATE, default_arguments, layer_asset, log
from tagloom.orchestration.lateness import tell_run_failure
from tagloom.publish import current_version
from tagloom.settings import load_settings
from tagloom.transform import LAYERS
from tagloom.warehouse import POOL, open_warehouse


def monitor_channels_dag(documentation: str) -> DAG:
    """Make the DAG that judges every monitor when the last layer has been built."""
    with DAG(
        dag_id="monitor_channels",
        description="Conversion, traffic, baskets and redemption by channel (渠道监控)",
        doc_md=documentation,
        schedule=[layer_asset(LAYERS[-1])],
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        params={
            "as_of_date": Param(
                None, type=["null", "string"], pattern=DAY, description="Day to judge; empty: the day that was built"
            )
        },
        default_args=default_arguments(),
        on_failure_callback=tell_run_failure,
        tags=["monitoring"],
    ) as dag:
        _watch()
    return dag


@task(task_id="watch", pool=POOL)
def _watch() -> dict:
    """Judge every monitor for the day that was built, keep the verdicts, tell what is alarming."""
    from tagloom.monitoring.declarations import MonitorError, load_monitors
    from tagloom.monitoring.watch import watch

    settings = load_settings()
    context = get_current_context()
    version = current_version(settings)
    if not context["params"]["as_of_date"] and version is None:
        raise AirflowSkipException("Nothing is published yet, so there is no day to judge.")
    day = date.fromisoformat(context["params"]["as_of_date"] or _built_day(context) or version.as_of_date)
    try:
        monitors = load_monitors()
        with open_warehouse(settings) as connection:
            watched = watch(connection, monitors, day)
    except (MonitorError, ValueError) as error:
        raise AirflowFailException(str(error)) from error
    alarming = [found for found in watched if found.verdict.is_alarming]
    for found in alarming:
        log.warning("%s, %s: %s", found.monitor.name, found.part, found.sentence)
    log.info("%s monitors, %s parts, %s alarming on %s", len(monitors), len(watched), len(alarming), day)
    tell_alarms(settings, context, day, watched)
    return {"as_of_date": day.isoformat(), "judged": len(watched), "alarming": len(alarming)}


def _built_day(context) -> str | None:
    """The day of the build that started the run."""
    events = [event for group in context["triggering_asset_events"].values() for event in group]
    days = [event.extra["as_of_date"] for event in events if event.extra.get("as_of_date")]
    return max(days, default=None)
