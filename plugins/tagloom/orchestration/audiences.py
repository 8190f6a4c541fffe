"""run_audiences, which works out saved audiences after each publish and sends their exports."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from tagloom.orchestration.common import PUBLISHED, START_DATE, default_arguments, log
from tagloom.settings import Settings, load_settings

if TYPE_CHECKING:
    from tagloom.portal.serving import Snapshot

EVERY_HOUR = "20 * * * *"
"""What was held goes out within the hour after the incident ends, without waiting for the next publish."""


def run_audiences_dag(documentation: str) -> DAG:
    """Make the DAG that follows a publish, and looks again every hour."""
    with DAG(
        dag_id="run_audiences",
        description="Members of saved audiences, and their exports (人群运行与导出)",
        doc_md=documentation,
        schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable(EVERY_HOUR, timezone="UTC"), assets=[PUBLISHED]),
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(),
        tags=["audiences"],
    ) as dag:
        # Neither waits for the other: one broken definition must not keep the exports of all others back.
        _work_out()
        _send()
    return dag


@task(task_id="members")
def _work_out() -> dict:
    """Work out who is in each audience now, and who entered and left."""
    from tagloom.audiences.runs import materialise_all

    settings = load_settings()
    done = materialise_all(settings, _snapshot(settings))
    for one in done:
        if one.run is not None and one.is_new:
            log.info(
                "%s: %s members, %s entered, %s left",
                one.audience.path,
                one.run.size,
                one.run.entered,
                one.run.left_count,
            )
    problems = [one.problem for one in done if one.problem]
    if problems:
        # A definition does not get better by trying again.
        raise AirflowFailException("\n".join(problems))
    return {"audiences": len(done), "new": sum(one.is_new for one in done)}


@task(task_id="send")
def _send() -> dict:
    """Send the exports that are due, unless a hold keeps them back."""
    from tagloom.audiences.exports import run_due_exports
    from tagloom.portal.store.audiences import FAILED, HELD

    settings = load_settings()
    sent = run_due_exports(settings, _snapshot(settings))
    for run in sent:
        log.log(
            logging.WARNING if run.status in (FAILED, HELD) else logging.INFO,
            "export %s: %s, %s persons. %s",
            run.export_id,
            run.status,
            run.rows,
            run.reason or run.file,
        )
    failed = [f"Export {run.export_id}: {run.reason}" for run in sent if run.status == FAILED]
    if failed:
        raise AirflowException("\n".join(failed))
    return dict(Counter(run.status for run in sent))


def _snapshot(settings: Settings) -> Snapshot:
    from tagloom.portal.serving import NothingPublishedError, Serving
    from tagloom.portal.store.base import store_exists

    if not store_exists(settings):
        raise AirflowSkipException("Nobody has saved an audience yet.")
    try:
        return Serving(settings).snapshot()
    except NothingPublishedError as error:
        raise AirflowSkipException(str(error)) from error
