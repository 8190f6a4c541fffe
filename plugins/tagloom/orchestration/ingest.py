"""ingest_<source>: fetches the delivery of a data interval where that is needed, and lands it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from airflow.sdk import (
    DAG,
    Asset,
    AssetWatcher,
    BaseHook,
    Context,
    CronDataIntervalTimetable,
    Param,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from tagloom import arrivals, quality_book
from tagloom.fetching.fetch import ConnectionDetails, FetchError, fetch_table
from tagloom.landing.land import land_source
from tagloom.landing.work import LANDED, NOTHING, Landing
from tagloom.orchestration.alerts import tell_changes
from tagloom.orchestration.arrival_trigger import ArrivalTrigger
from tagloom.orchestration.common import (
    BUILD_TAGS,
    DAY,
    FIRST_IN_LINE,
    START_DATE,
    default_arguments,
    log,
    raw_asset,
)
from tagloom.orchestration.lateness import tell_run_failure
from tagloom.reading.deliveries import DeliveryError
from tagloom.settings import Settings, load_settings
from tagloom.sources import Source, load_source
from tagloom.warehouse import POOL, open_warehouse

BUILD_WAIT = timedelta(seconds=5)
"""How long until a landing that waits for a build looks again."""


def ingest_dag(source: Source, documentation: str) -> DAG:
    """Make the DAG that lands one source: a data interval per run, or what has arrived."""
    if source.is_on_arrival:
        schedule: object = arrival_asset(source.name)
    else:
        schedule = CronDataIntervalTimetable(source.schedule, timezone="UTC")
    with DAG(
        dag_id=f"ingest_{source.name}",
        description=f"{source.title} ({source.title_zh})",
        doc_md=documentation,
        schedule=schedule,
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        params={
            "first_day": Param(None, type=["null", "string"], pattern=DAY, description="First day to land (UTC)"),
            "end_day": Param(None, type=["null", "string"], pattern=DAY, description="Day after the last one to land"),
        },
        default_args=default_arguments(source.owner),
        on_failure_callback=tell_run_failure,
        tags=["ingest", f"party: {source.party}"],
    ) as dag:
        line = FIRST_IN_LINE if source.is_on_arrival else {}
        landed = _land.override(outlets=[raw_asset(source.name)], **line)(source.name)
        fetched = [table.name for table in source.tables if table.is_fetched]
        if fetched:
            _fetch.partial(source_name=source.name).expand(table_name=fetched) >> landed
        if source.is_on_arrival:
            _refused.expand(problem=landed)
    return dag


def unreadable_dags(problems: list[str], documentation: str) -> list[DAG]:
    """Make a DAG for each source whose declaration is wrong (`sources.readable_sources` says how).

    It takes the place of the source's own, so that its runs stay to be seen; it fails every day and says why by mail.
    """
    by_file: dict[str, list[str]] = {}
    for problem in problems:
        by_file.setdefault(problem.partition(".yml:")[0], []).append(problem)
    return [_unreadable_dag(Path(file).name, "\n".join(found), documentation) for file, found in by_file.items()]


def _unreadable_dag(file: str, problem: str, documentation: str) -> DAG:
    with DAG(
        dag_id=f"ingest_{re.sub('[^A-Za-z0-9_.-]', '_', file)}",
        description=f"The declaration {file}.yml is wrong",
        doc_md=f"{documentation}\n\n#### Why it fails now\n\n```\n{problem}\n```\n",
        schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments() | {"retries": 0},
        tags=["ingest", "wrong declaration"],
    ) as dag:

        @task(task_id="read_declaration")
        def read_declaration(problem: str) -> None:
            raise AirflowFailException(problem)

        read_declaration(problem)
    return dag


def arrival_asset(source_name: str) -> Asset:
    """The asset that says: files have arrived. The triggerer watches the landing folder for it."""
    return Asset(
        name=f"arrivals_{source_name}",
        uri=f"tagloom://arrivals/{source_name}",
        watchers=[AssetWatcher(name=f"watch_{source_name}", trigger=ArrivalTrigger(source_name))],
    )


@task(task_id="fetch")
def _fetch(source_name: str, table_name: str) -> list[str]:
    """Get the delivery of one table and put it as files into the landing zone."""
    settings = load_settings()
    source = load_source(settings.sources / f"{source_name}.yml")
    table = source.table(table_name)
    first_day, end_day = days_of_run(get_current_context())
    try:
        files = fetch_table(
            source, table, first_day, end_day, settings.landing, connection_details(table.reader.connection)
        )
    except FetchError as error:
        if error.may_pass:
            raise
        raise AirflowFailException(str(error)) from error
    log.info("%s.%s: %s files fetched for %s to %s", source_name, table_name, len(files), first_day, end_day)
    return [file.relative_to(settings.landing).as_posix() for file in files]


@task(task_id="land", pool=POOL)
def _land(source_name: str) -> list[str]:
    """Land the days of the run and return why others of them were refused, a text each."""
    settings = load_settings()
    source = load_source(settings.sources / f"{source_name}.yml")
    context = get_current_context()
    if source.is_on_arrival and not context["params"]["first_day"]:
        landings, refused = _land_what_arrived(settings, source, context)
    else:
        first_day, end_day = days_of_run(context)
        with open_warehouse(settings) as connection:
            try:
                landings = land_source(connection, settings, source, first_day, end_day, context["run_id"])
            except DeliveryError as error:
                quality_book.record(settings, connection, [])
                # The same files would fail again: no retry.
                raise AirflowFailException(str(error)) from error
            quality_book.record(settings, connection, [])
        refused = []
        if all(landing.status == NOTHING for landing in landings):
            raise AirflowSkipException(f"{source_name}: nothing was delivered for {first_day} to {end_day}")
    for landing in landings:
        log.info(
            "%s.%s: %s, %s rows landed, %s quarantined, %s duplicates dropped, %.1f s",
            landing.source,
            landing.table,
            landing.status,
            f"{landing.rows_landed:,}",
            f"{landing.rows_quarantined:,}",
            f"{landing.duplicates:,}",
            landing.seconds,
        )
    tell_changes(context, source, landings)
    summary = {
        "first_day": min(landing.first_day for landing in landings),
        "end_day": max(landing.end_day for landing in landings),
        "tables": [landing.as_dict() for landing in landings],
    }
    context["outlet_events"][raw_asset(source_name)].extra = summary
    context["ti"].xcom_push("summary", summary)
    return refused


@task(task_id="refused", retries=0)
def _refused(problem: str) -> None:
    """Fail for a delivery that could not be landed while others could, so that it is seen and told."""
    raise AirflowFailException(problem)


def _land_what_arrived(settings: Settings, source: Source, context: Context) -> tuple[list[Landing], list[str]]:
    """Land the days of the events that started the run and all others that wait; return what was refused too.

    Airflow may leave events out of a run that came while another one was under way, so the events alone do not decide.
    """
    if context["ti"].get_dr_count(dag_id=BUILD_TAGS, states=["running"]):
        # Rows that come in between two layers of a build would be known to one of them only.
        log.info("a build is under way: landing goes on when it has ended")
        raise AirflowRescheduleException(datetime.now(UTC) + BUILD_WAIT)
    days = sorted({*_announced_days(context), *arrivals.waiting_days(settings, source)})
    if not days:
        raise AirflowSkipException(f"{source.name}: everything that arrived has landed already")
    landings: list[Landing] = []
    problems: dict[date, str] = {}
    waiting = list(arrivals.intervals(days))
    with open_warehouse(settings) as connection:
        while waiting:
            first_day, end_day = waiting.pop(0)
            try:
                landings += land_source(connection, settings, source, first_day, end_day, context["run_id"])
            except DeliveryError as error:
                if end_day - first_day == timedelta(days=1):
                    problems[first_day] = str(error)
                else:
                    # Each day by itself, so that the others land.
                    waiting += [(day, day + timedelta(days=1)) for day in days if first_day <= day < end_day]
        quality_book.record(settings, connection, [])
    arrivals.accept(settings, source, [day for day in days if day not in problems])
    news = [problem for day, problem in problems.items() if arrivals.refuse(settings, source, day, problem)]
    for problem in problems.values():
        log.warning("refused: %s", problem)
    if not any(landing.status == LANDED for landing in landings):
        if news:
            raise AirflowFailException("\n".join(news))
        if context["ti"].try_number == 1:
            raise AirflowSkipException(
                f"{source.name}: nothing new to land" + (", and what is refused was told before" if problems else "")
            )
        # An earlier try may have landed everything and been killed before it could say so.
    return landings, news


def _announced_days(context: Context) -> set[date]:
    events = [event for group in (context["triggering_asset_events"] or {}).values() for event in group]
    return {date.fromisoformat(day) for event in events for day in event.extra.get("payload", {}).get("days", [])}


def days_of_run(context: Context) -> tuple[date, date]:
    """The days [first, end) of a run: its parameters, else the days that its data interval touches."""
    params = context["params"]
    if params["first_day"]:
        first_day = date.fromisoformat(params["first_day"])
        end_day = date.fromisoformat(params["end_day"]) if params["end_day"] else first_day + timedelta(days=1)
        if end_day <= first_day:
            raise AirflowFailException(f"end_day {end_day} must be after first_day {first_day}.")
        return first_day, end_day
    start, end = context["data_interval_start"], context["data_interval_end"]
    return start.date(), (end - timedelta(microseconds=1)).date() + timedelta(days=1)


def connection_details(connection_id: str | None) -> ConnectionDetails | None:
    """What the Airflow connection of that id says; None when no id is given or there is no such connection."""
    if connection_id is None:
        return None
    try:
        connection = BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return None
    return ConnectionDetails(
        connection_id=connection_id,
        kind=connection.conn_type,
        host=connection.host or None,
        port=connection.port,
        login=connection.login or None,
        password=connection.password or None,
        schema=connection.schema or None,
        extra=connection.extra_dejson,
    )
