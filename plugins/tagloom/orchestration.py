"""The two kinds of DAG: ingest_<source>, one per declaration, and build_tags, which turns what landed into tags."""

from __future__ import annotations

import logging
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.sdk import (
    DAG,
    Asset,
    AssetAll,
    BaseHook,
    Context,
    CronDataIntervalTimetable,
    Param,
    chain,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tagloom import layer_state
from tagloom.alerts import Alert, alert_messages
from tagloom.landing import NOTHING, OPERATIONS_TABLES, land_source
from tagloom.lineage import dependents, load_manifest
from tagloom.mail import FlushResult, MailServer, flush, queue
from tagloom.publish import current_version, publish
from tagloom.quality import CheckResult, check_layer, record_results
from tagloom.readers import DeliveryError
from tagloom.settings import PROJECT, Settings, load_settings
from tagloom.sources import Source, load_source, load_sources
from tagloom.transform import DOCUMENTATION, LAYERS, TransformError, build_layer, write_documentation
from tagloom.warehouse import POOL, open_warehouse

START_DATE = datetime(2017, 1, 1, tzinfo=UTC)

DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

CONTRACTS = PROJECT / "soda" / "contracts"

log = logging.getLogger("tagloom")


class QualityError(RuntimeError):
    """Checks failed or told nothing; `results` holds every result of the layer."""

    def __init__(self, layer: str, results: list[CheckResult]) -> None:
        self.results = results
        stopping = [result for result in results if result.stops]
        sentences = (f"{result.table}: not true: {result.name}. {result.problem}".strip() for result in stopping)
        super().__init__(f"{len(stopping)} of {len(results)} checks of {layer} failed:\n" + "\n".join(sentences))


def raw_asset(source_name: str) -> Asset:
    """The asset that says: this source's days have landed. Its events carry first_day, end_day and the row counts."""
    return Asset(name=f"raw_{source_name}", uri=f"tagloom://raw/{source_name}")


def layer_asset(layer: str) -> Asset:
    """The asset that says: this layer is built and checked. Its events carry every model's state, rows and seconds."""
    return Asset(name=layer, uri=f"tagloom://layer/{layer}")


def ingest_dag(source: Source, documentation: str) -> DAG:
    """Make the DAG that lands one source, a data interval per run."""
    with DAG(
        dag_id=f"ingest_{source.name}",
        description=f"{source.title} ({source.title_zh})",
        doc_md=documentation,
        schedule=CronDataIntervalTimetable(source.schedule, timezone="UTC"),
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        params={
            "first_day": Param(None, type=["null", "string"], pattern=DAY, description="First day to land (UTC)"),
            "end_day": Param(None, type=["null", "string"], pattern=DAY, description="Day after the last one to land"),
        },
        default_args=_default_arguments(source.owner),
        tags=["ingest", f"party: {source.party}"],
    ) as dag:

        @task(task_id="land", pool=POOL, outlets=[raw_asset(source.name)])
        def land(source_name: str) -> dict:
            settings = load_settings()
            declaration = load_source(settings.sources / f"{source_name}.yml")
            context = get_current_context()
            first_day, end_day = _days_to_land(context)
            with open_warehouse(settings) as connection:
                try:
                    landings = land_source(connection, settings, declaration, first_day, end_day, context["run_id"])
                except DeliveryError as error:
                    # The same files would fail again: no retry.
                    raise AirflowFailException(str(error)) from error
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
            if all(landing.status == NOTHING for landing in landings):
                raise AirflowSkipException(f"{source_name}: nothing was delivered for {first_day} to {end_day}")
            summary = {
                "first_day": first_day.isoformat(),
                "end_day": end_day.isoformat(),
                "tables": [landing.as_dict() for landing in landings],
            }
            context["outlet_events"][raw_asset(source_name)].extra = summary
            return summary

        land(source.name)
    return dag


def build_tags_dag(sources: list[Source], documentation: str) -> DAG:
    """Make the DAG that builds, checks and publishes everything, layer by layer."""
    awaited = [raw_asset(source.name) for source in sources if source.build_waits_for_it]
    with DAG(
        dag_id="build_tags",
        description="Persons, tags, audiences and reports (人群标签)",
        doc_md=documentation,
        schedule=AssetAll(*awaited),
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        params={
            "as_of_date": Param(
                None,
                type=["null", "string"],
                pattern=DAY,
                description="Last day to know of; empty: the last complete one",
            ),
            "rebuild": Param(False, type="boolean", description="Build layers again although nothing has changed"),
        },
        default_args=_default_arguments(),
        tags=["build"],
    ) as dag:
        landing = _check_landing()
        layers = [
            _build_and_check.override(task_id=layer, outlets=[layer_asset(layer)])(layer, landing) for layer in LAYERS
        ]
        published = _publish(landing)
        chain(landing, *layers, published, _document(landing))
    return dag


@task(task_id="landing", pool=POOL)
def _check_landing() -> str:
    """Decide which day to build for, and check what landed."""
    settings = load_settings()
    context = get_current_context()
    as_of_date = _as_of_date(settings, context)
    log.info("building for %s", as_of_date)
    _check(settings, "landing", as_of_date, context["run_id"])
    return as_of_date.isoformat()


@task(pool=POOL)
def _build_and_check(layer: str, as_of_date: str) -> dict:
    """Build one layer with dbt in this process and check it with Soda, unless it is built from the same inputs."""
    settings = load_settings()
    day = date.fromisoformat(as_of_date)
    fingerprint = _begin(settings, layer, day)
    if fingerprint is None:
        log.info("%s: unchanged", layer)
        return {"as_of_date": as_of_date, "unchanged": True}
    started = time.monotonic()
    try:
        nodes = build_layer(settings, layer, day)
    except TransformError as error:
        raise AirflowFailException(str(error)) from error
    built = time.monotonic()
    results = _check(settings, layer, day, get_current_context()["run_id"], fingerprint)
    models = {
        node.name: {"status": node.status, "rows": node.rows, "seconds": node.seconds}
        for node in nodes
        if node.kind != "test"
    }
    tests = [node for node in nodes if node.kind == "test"]
    summary = {
        "as_of_date": as_of_date,
        "models": models,
        "data_tests": len(tests),
        "data_tests_warned": [node.name for node in tests if node.status == "warn"],
        "checks": {outcome: sum(result.outcome == outcome for result in results) for outcome in ("passed", "warned")},
        "build_seconds": round(built - started, 2),
        "check_seconds": round(time.monotonic() - built, 2),
    }
    log.info(
        "%s: %s models and seeds, %s data tests in %.1f s; %s checks in %.1f s",
        layer,
        len(models),
        len(tests),
        summary["build_seconds"],
        len(results),
        summary["check_seconds"],
    )
    get_current_context()["outlet_events"][layer_asset(layer)].extra = summary
    return summary


@task(task_id="publish", pool=POOL)
def _publish(as_of_date: str) -> dict:
    """Make the checked tables the version that readers see, and hand in mails that are still waiting."""
    settings = load_settings()
    version = publish(settings, date.fromisoformat(as_of_date))
    log.info("published version %s: %s tables", version.name, len(version.tables))
    _send_waiting_mails(settings)
    return {"version": version.name, "tables": version.tables}


@task(task_id="document", pool=POOL)
def _document(as_of_date: str) -> str:
    """Write dbt's documentation of every model and column as one HTML file."""
    settings = load_settings()
    day = date.fromisoformat(as_of_date)
    fingerprint = _begin(settings, "document", day)
    if fingerprint is not None:
        write_documentation(settings, day)
        with open_warehouse(settings) as connection:
            layer_state.finish(connection, "document", fingerprint, day)
        log.info("documentation written")
    return str(settings.dbt_target / DOCUMENTATION)


def _begin(settings: Settings, step: str, as_of_date: date) -> str | None:
    """Fingerprint of the inputs of a step that is to be done now, None when it was done from the same ones."""
    with open_warehouse(settings) as connection:
        fingerprint = layer_state.inputs_fingerprint(connection, settings, as_of_date)
        rebuild = get_current_context()["params"]["rebuild"]
        if not rebuild and layer_state.is_current(connection, step, fingerprint):
            return None
        layer_state.begin(connection, step)
    return fingerprint


def _check(
    settings: Settings, layer: str, as_of_date: date, run_id: str, fingerprint: str | None = None
) -> list[CheckResult]:
    """Check a layer; when it passes and `fingerprint` is given, remember what it was built from."""
    with open_warehouse(settings) as connection:
        results = check_layer(connection, CONTRACTS, layer, run_id, as_of_date)
        record_results(connection, results)
        if fingerprint and not any(result.stops for result in results):
            layer_state.finish(connection, layer, fingerprint, as_of_date)
    if any(result.stops for result in results):
        # Data do not get better by looking again: no retry.
        error = QualityError(layer, results)
        raise AirflowFailException(str(error)) from error
    return results


def _days_to_land(context: Context) -> tuple[date, date]:
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


def _as_of_date(settings: Settings, context: Context) -> date:
    """The day to build for: the parameter, else the last local day that is complete in what landed.

    A run that assets start has no logical date; what the assets' events say landed decides.
    """
    if context["params"]["as_of_date"]:
        return date.fromisoformat(context["params"]["as_of_date"])
    events = [event for group in context["triggering_asset_events"].values() for event in group]
    end_days = [date.fromisoformat(event.extra["end_day"]) for event in events if event.extra.get("end_day")]
    end_day = min(end_days) if end_days else _last_landed_day(settings)
    return last_complete_day(end_day, ZoneInfo(settings.time_zone))


def last_complete_day(end_day: date, time_zone: ZoneInfo) -> date:
    """Last local day that is over when UTC days before end_day have landed.

    In New York the UTC day of the 31st ends at 19:00, so it completes the 30th; in Shanghai it completes the 31st.
    """
    landed_until = datetime(end_day.year, end_day.month, end_day.day, tzinfo=UTC)
    return landed_until.astimezone(time_zone).date() - timedelta(days=1)


def _last_landed_day(settings: Settings) -> date:
    awaited = [source.name for source in load_sources(settings.sources) if source.build_waits_for_it]
    with open_warehouse(settings) as connection:
        connection.execute(OPERATIONS_TABLES)
        (end_day,) = connection.execute(
            """
            select min(end_day)
            from (select max(end_day) as end_day from operations.landing_log
                  where status = 'landed' and list_contains($sources, source) group by source)
            """,
            {"sources": awaited},
        ).fetchall()[0]
    if end_day is None:
        raise AirflowFailException(f"Nothing has landed yet; run ingest_{awaited[0]} first or set as_of_date.")
    return end_day


def _default_arguments(owner: str = "tagloom") -> dict:
    return {
        "owner": owner,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "on_failure_callback": mail_failure,
    }


def mail_failure(context: Context) -> None:
    """Task callback: queue one mail per recipient about what failed and try to send it."""
    settings = load_settings()
    instance = context["task_instance"]
    exception = context.get("exception")
    cause = getattr(exception, "__cause__", None) or exception
    results = tuple(cause.results) if isinstance(cause, QualityError) else ()
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    version = current_version(settings)
    alert = Alert(
        run_id=context["run_id"],
        as_of_date=results[0].as_of_date if results else _day_of(context),
        dag_id=instance.dag_id,
        task_id=instance.task_id,
        title=_title(instance.dag_id, instance.task_id, bool(results)),
        results=results,
        consequence=_consequence(instance.dag_id),
        exception="" if results else str(exception),
        owner=context["task"].owner if "@" in context["task"].owner else "",
        impact={
            result.table: dependents(manifest, result.table) for result in results if result.stops and result.table
        },
        in_use=f"Version {version.name} (tags of {version.as_of_date}) stays in use." if version else "",
        links={"Task log": instance.log_url},
    )
    server = _mail_server(settings)
    for message in alert_messages(alert, settings.alert_recipients, server.sender if server else "tagloom@localhost"):
        queue(message, settings.mails)
    _send_waiting_mails(settings)


def _title(dag_id: str, task_id: str, is_about_checks: bool) -> str:
    if dag_id.startswith("ingest_"):
        return f"landing of {dag_id.removeprefix('ingest_')}"
    layer = "landing" if task_id == "landing" else task_id.replace("_", " ")
    return f"checks of {layer}" if is_about_checks else f"building {layer}"


def _consequence(dag_id: str) -> str:
    return "nothing new is published" if dag_id == "build_tags" else "its days have not landed"


def _day_of(context: Context) -> date:
    instance = context["task_instance"]
    day = instance.xcom_pull(task_ids="landing") if instance.dag_id == "build_tags" else None
    if day:
        return date.fromisoformat(day)
    params = context["params"]
    given = params.get("as_of_date") or params.get("first_day")
    return date.fromisoformat(given) if given else context["dag_run"].run_after.date()


def _send_waiting_mails(settings: Settings) -> None:
    outbox = settings.mails / "outbox"
    waiting = len(list(outbox.glob("*.eml")))
    if not waiting:
        return
    server = _mail_server(settings)
    if server is None:
        log.warning("%s mails wait in %s until there is a mail server: set TAGLOOM_SMTP_URL", waiting, outbox)
        return
    outcome: FlushResult = flush(server, settings.mails)
    for problem in outcome.problems:
        log.warning("%s", problem)


def _mail_server(settings: Settings) -> MailServer | None:
    """The mail server of the Airflow connection, None when there is no such connection."""
    try:
        return MailServer.from_connection(BaseHook.get_connection(settings.smtp_connection))
    except Exception as error:
        # Whatever keeps the connection from being read, the mail itself must be kept and the failure reported.
        log.warning("no mail server: connection %s cannot be read: %s", settings.smtp_connection, error)
        return None


def foreground_run(dag_id: str, conf: dict[str, str]) -> str:
    """Run a DAG of dags/ in this process, without any service, and return the state of its run.

    Pools are not honoured this way, so only one such run may be under way.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(PROJECT / "dags")
    if bag.import_errors:
        raise RuntimeError("\n".join(bag.import_errors.values()))
    return str(bag.get_dag(dag_id).test(run_conf=conf).state)
