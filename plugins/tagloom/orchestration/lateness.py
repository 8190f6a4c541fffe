"""What is wrong with no task in particular: runs that take too long or fail as a whole, deliveries that do not come."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from airflow.sdk import AsyncCallback, Context, DeadlineAlert, DeadlineReference
from asgiref.sync import sync_to_async

from tagloom.alerting.book import open_incidents, read_book
from tagloom.alerting.impact import impact_of, impact_of_build
from tagloom.alerting.late import Late
from tagloom.alerting.messages import Alert
from tagloom.alerting.report import report
from tagloom.alerting.wording import (
    BUILD,
    LATE_CONSEQUENCE,
    LATE_SOURCES,
    check_scope,
    consequence,
    deadline_scope,
    late_title,
    run_scope,
    run_title,
)
from tagloom.orchestration.alerts import day_of, desk, in_use, missing_deliveries, send_alerts
from tagloom.settings import Settings, load_settings


def tell_run_failure(context: Context) -> None:
    """DAG callback: tell that a run failed for another reason than a task: tasks tell of themselves."""
    reason = context.get("reason", "")
    if reason in ("", "task_failure"):
        return
    dag = context["dag"]
    said = {"timed_out": "The run was stopped because it took too long.", "all_tasks_deadlocked": "No task can run."}
    _tell_of_run(
        dag.dag_id,
        context["run_id"],
        run_scope(dag.dag_id),
        title=run_title(dag.dag_id),
        exception=said.get(reason, f"The run failed: {reason.replace('_', ' ')}."),
        day=datetime.now(UTC).date(),
    )


def tell_missed_deadline(dag_id: str, run_id: str, started: datetime, day: date) -> int:
    """Tell that a run has not come to its end in time; a run is told of once, and its end by `tell_end`.

    Returns how many mails and messages wait.
    """
    settings = load_settings()
    return _tell_of_run(
        dag_id,
        run_id,
        deadline_scope(dag_id),
        title=run_title(dag_id),
        exception=(
            f"It was started at {started.astimezone(ZoneInfo(settings.time_zone)):%Y-%m-%d %H:%M %Z} and should have "
            f"been done {settings.build_minutes:g} minutes later (TAGLOOM_BUILD_MINUTES)."
        ),
        exception_kind="deadline",
        day=day,
        what_to_do=(
            "See in the Airflow UI which task it is at, and whether that waits or works: for the pool `warehouse` "
            "only one task at a time can have, for a process that has the warehouse open, or for the machine."
        ),
    )


async def missed_deadline(context: dict) -> None:
    """Callback of a deadline, run by the triggerer: `context` has the run as Airflow's API shows it, not the usual one.

    Airflow keeps deadlines of runs that failed; these were told of when they failed.
    """
    run = context["dag_run"]
    if run.get("state") in ("success", "failed"):
        return
    started = datetime.fromisoformat(run.get("queued_at") or run["run_after"])
    day = datetime.fromisoformat(run["run_after"]).date()
    # In a thread: the triggerer watches for deliveries in the meantime.
    await sync_to_async(tell_missed_deadline, thread_sensitive=False)(run["dag_id"], run["dag_run_id"], started, day)


def build_deadline(settings: Settings) -> DeadlineAlert | None:
    """The deadline of a build: so many minutes after it was queued; it has no logical date when assets start it.

    None where no DAG processor reads the file: under `airflow dags test`, Airflow 3.3.2 breaks off at the end of a run
    with a deadline (`DagRun.update_state` takes the alert itself for its id). There the tasks look at the clock.
    """
    if "dag-processor" not in sys.argv:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=settings.build_minutes),
        callback=AsyncCallback(missed_deadline),
        name="published in time",
    )


def look_at_the_clock(settings: Settings, context: Context) -> None:
    """Tell that the run takes too long, if it does: for runs without a scheduler, which nobody else watches."""
    started = context["dag_run"].start_date or context["dag_run"].run_after
    if datetime.now(UTC) - started > timedelta(minutes=settings.build_minutes):
        dag_id, run_id = context["task_instance"].dag_id, context["run_id"]
        if tell_missed_deadline(dag_id, run_id, started, day_of(context)):
            send_alerts(settings)


def tell_late(settings: Settings, context: Context, late: Sequence[Late]) -> int:
    """Tell which sources are late by the clock, and which are no more; returns how many mails and messages wait.

    A source that a build has found late is told of by the build.
    """
    with read_book(settings.alert_book) as book:
        told = {one.finding.subject for one in open_incidents(book, check_scope("landing"))}
        was_late = bool(open_incidents(book, LATE_SOURCES))
    missing = tuple(one for one in missing_deliveries(settings, late) if one.subject not in told)
    if not missing and not was_late:
        return 0
    instance = context["task_instance"]
    alert = Alert(
        run_id=context["run_id"],
        as_of_date=max((one.needed_until for one in late), default=datetime.now(UTC).date()) - timedelta(days=1),
        dag_id=instance.dag_id,
        task_id=instance.task_id,
        title=late_title(missing),
        consequence=LATE_CONSEQUENCE,
        missing=missing,
        impact=impact_of(settings, [one.table for one in missing]),
        in_use=in_use(settings),
        links={"Task log": instance.log_url},
        runbook=settings.runbook_url,
    )
    return report(desk(settings), LATE_SOURCES, alert, datetime.now(UTC))


def _tell_of_run(dag_id: str, run_id: str, scope: str, *, day: date, **alert: object) -> int:
    """Write down that a whole run is not well. Called outside tasks: the DAG send_alerts sends the mail."""
    settings = load_settings()
    with read_book(settings.alert_book) as book:
        if any(incident.last_seen_run == run_id for incident in open_incidents(book, scope)):
            return 0
    impact = {"": impact_of_build(settings)} if dag_id == BUILD else {}
    told = Alert(
        run_id=run_id,
        as_of_date=day,
        dag_id=dag_id,
        task_id="",
        consequence=consequence(dag_id),
        in_use=in_use(settings),
        links={"Run": f"{settings.base_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"},
        impact=impact,
        runbook=settings.runbook_url,
        **alert,
    )
    return report(desk(settings), scope, told, datetime.now(UTC))
