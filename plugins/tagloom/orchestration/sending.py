"""send_alerts, which hands over what waits in the alert book."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowException

from tagloom.alerting.late import landed_until, late_sources
from tagloom.orchestration.alerts import send_alerts
from tagloom.orchestration.common import START_DATE, log
from tagloom.orchestration.lateness import tell_late
from tagloom.settings import load_settings
from tagloom.sources import readable_sources

EVERY = timedelta(minutes=5)
"""What fails is told at once by the task itself; this is for what nobody took then, quiet hours and the digest."""


def send_alerts_dag(documentation: str) -> DAG:
    """Make the DAG that sends waiting mails and messages."""
    with DAG(
        dag_id="send_alerts",
        description="Mails and messages that wait (告警发送)",
        doc_md=documentation,
        schedule=EVERY,
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        # A mail server that is down cannot be told by mail: no callback.
        default_args={"owner": "tagloom", "retries": 2, "retry_delay": timedelta(seconds=30)},
        tags=["alerts"],
    ) as dag:
        _watch_sources() >> _send()
    return dag


@task(task_id="watch_sources")
def _watch_sources() -> dict:
    """Note which sources that say `expected_by` are late, and which have come; `send` tells."""
    settings = load_settings()
    landed = landed_until(settings)
    if landed is None:
        return {"late": []}
    sources = readable_sources(settings.sources)[0]
    late = late_sources(sources, landed, datetime.now(UTC), settings.time_zone)
    for one in late:
        log.warning("%s: %s", one.source.name, one.sentence)
    tell_late(settings, get_current_context(), late)
    return {"late": [one.source.name for one in late]}


@task(task_id="send", trigger_rule="all_done")
def _send() -> dict:
    """Hand over what is due; tried again, and failed at last, when something was not taken."""
    outcome = send_alerts(load_settings())
    log.info("%s sent, %s go on waiting", outcome.sent, outcome.kept)
    if outcome.problems:
        raise AirflowException("\n".join(outcome.problems))
    return {"sent": outcome.sent, "kept": outcome.kept}
