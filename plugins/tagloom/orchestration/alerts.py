"""What the DAGs tell people: checks and tasks that failed, what is well again, what a delivery brought unexpectedly."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow.sdk import BaseHook, Context

from tagloom.alerting.book import open_incidents, read_book
from tagloom.alerting.causes import causes_of_failed_models, compared_tables, probable_causes
from tagloom.alerting.deliver import Delivered, deliver
from tagloom.alerting.holds import users_of_tags
from tagloom.alerting.impact import failed_tables, impact_of, impact_of_build
from tagloom.alerting.mail_server import MailServer
from tagloom.alerting.messages import Alarm, Alert, Missing, TaskKind
from tagloom.alerting.report import Desk, report, report_changes, write_digest
from tagloom.alerting.routing import Routing, RoutingError, load_routing
from tagloom.alerting.trends import trends
from tagloom.alerting.wording import (
    BUILD,
    LATE_CONSEQUENCE,
    LATE_SOURCES,
    check_scope,
    consequence,
    late_title,
    run_scope,
    title,
    what_to_do,
)
from tagloom.landing.land import BadDeliveryError
from tagloom.landing.work import Landing
from tagloom.lineage import Dependents, load_manifest
from tagloom.publish import current_version
from tagloom.settings import CONTRACTS, Settings, load_settings
from tagloom.sources import Source, SourceError, load_source
from tagloom.transform import LAYERS

if TYPE_CHECKING:
    import duckdb

    from tagloom.alerting.late import Late
    from tagloom.monitoring.watch import Watched
    from tagloom.quality import CheckResult

log = logging.getLogger("tagloom")


class QualityError(RuntimeError):
    """Checks failed or told nothing; people have been told when it is raised."""

    def __init__(self, layer: str, results: list[CheckResult]) -> None:
        self.results = results
        stopping = [result for result in results if result.stops]
        sentences = (f"{result.table}: not true: {result.name}. {result.problem}".strip() for result in stopping)
        super().__init__(f"{len(stopping)} of {len(results)} checks of {layer} failed:\n" + "\n".join(sentences))


def tell_results(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    context: Context,
    layer: str,
    results: list[CheckResult],
    late: Sequence[Late] = (),
) -> int:
    """Write down what checks of a layer have found and what is well again; returns how many mails and messages wait.

    `late`: sources of which the build needs more than has landed. What watches the clock may have told of them before.
    The results are in the warehouse already. Nothing is sent: a slow mail server must not keep the warehouse open.
    """
    instance = context["task_instance"]
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    stopping = {result.table: result.as_of_date for result in results if result.stops}
    compared = compared_tables(CONTRACTS, [result for result in results if result.stops])
    with read_book(settings.alert_book) as book:
        told = {one.finding.subject for one in open_incidents(book, LATE_SOURCES)}
    missing = tuple(one for one in missing_deliveries(settings, late) if one.subject not in told)
    impact = impact_of(settings, [*(table for table in stopping if table), *(one.table for one in missing)])
    if "" in stopping:
        impact[""] = impact_of_build(settings)
    alert = Alert(
        run_id=context["run_id"],
        as_of_date=results[0].as_of_date,
        dag_id=instance.dag_id,
        task_id=instance.task_id,
        title=late_title(missing) if missing and not stopping else f"checks of {layer.replace('_', ' ')}",
        results=tuple(results),
        missing=missing,
        consequence=consequence(instance.dag_id) if stopping else LATE_CONSEQUENCE if missing else "",
        impact=impact,
        probable={
            table: probable_causes(connection, manifest, table, day, compared.get(table, ()))
            for table, day in stopping.items()
            if table
        },
        trends=trends(connection, results),
        in_use=in_use(settings),
        links={"Task log": instance.log_url},
        runbook=settings.runbook_url,
    )
    return report(desk(settings), check_scope(layer), alert, datetime.now(UTC))


def missing_deliveries(settings: Settings, late: Sequence[Late]) -> tuple[Missing, ...]:
    """What mails say of late sources."""
    return tuple(
        Missing(
            subject=f"late {one.source.name}",
            title=f"deliveries of {one.source.name}",
            sentence=one.sentence,
            owner=one.source.owner,
            table=raw_tables(settings, one.source.name),
            what_to_do=(
                f"Ask {one.source.owner} for the delivery. When it is there, land its days with "
                f"ingest_{one.source.name} and build the tags of the day again."
            ),
        )
        for one in late
    )


def tell_failure(context: Context) -> None:
    """Task callback: tell that a task failed, unless it was checks that failed: these are told with what they found."""
    exception = context.get("exception")
    reason = getattr(exception, "__cause__", None) or exception
    if isinstance(reason, QualityError):
        return
    settings = load_settings()
    instance = context["task_instance"]
    kind: TaskKind = "quarantine" if isinstance(reason, BadDeliveryError) else "task"
    table, impact = _hit(settings, instance, str(exception))
    day = day_of(context)
    probable = {}
    if instance.dag_id == BUILD and instance.task_id in LAYERS:
        manifest = load_manifest(settings.dbt_target / "manifest.json")
        probable = {table: causes_of_failed_models(settings, manifest, str(exception), day)}
    alert = Alert(
        run_id=context["run_id"],
        as_of_date=day,
        dag_id=instance.dag_id,
        task_id=_task_name(instance.task_id, instance.map_index),
        title=title(instance.dag_id, instance.task_id),
        consequence=consequence(instance.dag_id),
        exception=str(exception),
        exception_kind=kind,
        table=table,
        impact=impact,
        probable=probable,
        owner=context["task"].owner if "@" in context["task"].owner else "",
        what_to_do=what_to_do(settings, instance.task_id, str(exception)),
        in_use=in_use(settings),
        links={"Task log": instance.log_url},
        runbook=settings.runbook_url,
    )
    _report(settings, _task_scope(context), alert)


def tell_success(context: Context) -> None:
    """Task callback: tell those who heard that the task, or a run of its DAG, failed that it works again."""
    settings = load_settings()
    instance = context["task_instance"]
    scopes = [_task_scope(context)]
    if not getattr(context["task"], "downstream_task_ids", ("some",)):
        scopes.append(run_scope(instance.dag_id))
    tell_end(settings, context, scopes)


def tell_end(settings: Settings, context: Context, scopes: Sequence[str], thing: str = "") -> None:
    """Tell that what was wrong in these places is over, if anything was."""
    with read_book(settings.alert_book) as book:
        wrong = [scope for scope in scopes if open_incidents(book, scope)]
    instance = context["task_instance"]
    for scope in wrong:
        alert = Alert(
            run_id=context["run_id"],
            as_of_date=day_of(context),
            dag_id=instance.dag_id,
            task_id=_task_name(instance.task_id, instance.map_index),
            title=thing or title(instance.dag_id, instance.task_id),
            links={"Task log": instance.log_url},
            runbook=settings.runbook_url,
        )
        _report(settings, scope, alert)


def tell_changes(context: Context, source: Source, landings: list[Landing]) -> None:
    """Tell the owner of a source what has changed in its deliveries since the last landing, if anything."""
    changes: dict[str, tuple[str, ...]] = {}
    for landing in landings:
        table = f"{source.raw_schema}.{landing.table}"
        changes[table] = tuple(dict.fromkeys([*changes.get(table, ()), *landing.drift]))
    changes = {table: sentences for table, sentences in changes.items() if sentences}
    if not changes:
        return
    settings = load_settings()
    instance = context["task_instance"]
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    models = sorted({model for table in changes for model in _staging_models(manifest, table)})
    for table, sentences in changes.items():
        for sentence in sentences:
            log.warning("%s: %s", table, sentence)
    alert = Alert(
        run_id=context["run_id"],
        as_of_date=day_of(context),
        dag_id=instance.dag_id,
        task_id=instance.task_id,
        title=f"deliveries of {source.name}",
        warnings=changes,
        consequence="they have landed all the same",
        owner=source.owner,
        what_to_do=(
            "Ask the team of the system whether the change is meant to stay. If it is, say so in "
            f"sources/{source.name}.yml, run make tags and adapt {' and '.join(models) or 'what reads it'}. "
            "If it is not, let them deliver the days again and land them once more."
        ),
        impact=impact_of(settings, changes),
        links={"Task log": instance.log_url},
        runbook=settings.runbook_url,
    )
    server = _mail_server(settings)
    report_changes(_desk(settings, server), alert, datetime.now(UTC))
    _send(settings, server)


def tell_alarms(settings: Settings, context: Context, as_of_date: date, watched: list[Watched]) -> None:
    """Tell which metrics of channels are alarming, and which are well again."""
    instance = context["task_instance"]
    alarms = tuple(
        Alarm(
            subject=f"{found.monitor.name}: {found.part}",
            title=f"{found.monitor.title}, {found.part}",
            sentence=found.sentence,
            owner=found.monitor.owner,
            what_to_do=found.monitor.what_to_do,
            values=tuple(value for _, value in found.days),
            limit=found.verdict.lowest if found.verdict.lowest is not None else found.verdict.highest,
        )
        for found in watched
        if found.verdict.is_alarming
    )
    alert = Alert(
        run_id=context["run_id"],
        as_of_date=as_of_date,
        dag_id=instance.dag_id,
        task_id=instance.task_id,
        title=alarms[0].title if len(alarms) == 1 else "channels",
        alarms=alarms,
        links={"Task log": instance.log_url},
        runbook=settings.runbook_url,
    )
    _report(settings, "channels", alert)


def send_alerts(settings: Settings) -> Delivered:
    """Write the digest when its time has come, and hand over everything that waits and is due."""
    server = _mail_server(settings)
    write_digest(_desk(settings, server), datetime.now(UTC))
    return _send(settings, server)


def _report(settings: Settings, scope: str, alert: Alert) -> None:
    server = _mail_server(settings)
    if report(_desk(settings, server), scope, alert, datetime.now(UTC)):
        _send(settings, server)


def _send(settings: Settings, server: MailServer | None) -> Delivered:
    outcome = deliver(settings.alert_book, server, _routing(), datetime.now(UTC))
    for problem in dict.fromkeys(outcome.problems):
        log.warning("%s mails and messages wait in the alert book: %s", outcome.kept, problem)
    return outcome


def desk(settings: Settings) -> Desk:
    """Where alerts are written down, with the mail server's sender if there is one."""
    return _desk(settings, _mail_server(settings))


def _desk(settings: Settings, server: MailServer | None) -> Desk:
    return Desk(
        book=settings.alert_book,
        routing=_routing(),
        default_recipients=settings.alert_recipients,
        time_zone=ZoneInfo(settings.time_zone),
        sender=server.sender if server else MailServer.sender,
        runbook=settings.runbook_url,
        users=partial(users_of_tags, settings),
    )


def _routing() -> Routing:
    try:
        return load_routing()
    except RoutingError as error:
        # A slip in the rules must not keep anybody from hearing of a failure: the default rules tell everybody.
        log.error("the rules of alerts/routing.yml are not used:\n%s", error)
        return Routing(warnings="at once")


def _staging_models(manifest: dict, table: str) -> list[str]:
    """Paths of the models that read a raw table at first hand."""
    nodes = manifest.get("nodes", {})
    for name, node in manifest.get("sources", {}).items():
        if f"{node['schema']}.{node['identifier']}" == table:
            readers = (nodes.get(child, {}) for child in manifest.get("child_map", {}).get(name, ()))
            return [node["original_file_path"] for node in readers if node.get("resource_type") == "model"]
    return []


def _task_scope(context: Context) -> str:
    instance = context["task_instance"]
    return f"task {instance.dag_id}.{_task_name(instance.task_id, instance.map_index)}"


def _task_name(task_id: str, map_index: int) -> str:
    # Tables are fetched side by side by one task; each that fails gets a mail of its own.
    return f"{task_id} {map_index}" if map_index >= 0 else task_id


def in_use(settings: Settings) -> str:
    """What readers see meanwhile."""
    version = current_version(settings)
    return f"Version {version.name} (tags of {version.as_of_date}) stays in use." if version else ""


def _hit(settings: Settings, instance: object, exception: str) -> tuple[str, dict[str, Dependents]]:
    """The table that a failed task is about, empty when it is about none or many, and what depends on it."""
    dag_id, task_id = instance.dag_id, instance.task_id
    if dag_id.startswith("ingest_"):
        table = raw_tables(settings, dag_id.removeprefix("ingest_"), instance.map_index)
        return table, impact_of(settings, [table])
    if dag_id == BUILD:
        manifest = load_manifest(settings.dbt_target / "manifest.json")
        tables = failed_tables(manifest, exception) if task_id in LAYERS else []
        table = tables[0] if len(tables) == 1 else ""
        return table, {table: impact_of_build(settings, exception if tables else "")}
    return "", {}


def raw_tables(settings: Settings, source_name: str, fetched: int = -1) -> str:
    """The only table of a source, or the one that a mapped task fetches; else `raw_<source>.*`."""
    try:
        tables = load_source(settings.sources / f"{source_name}.yml").tables
    except (SourceError, OSError):
        return f"raw_{source_name}.*"
    if fetched >= 0:
        tables = [table for table in tables if table.is_fetched][fetched : fetched + 1] or tables
    return f"raw_{source_name}.{tables[0].name if len(tables) == 1 else '*'}"


def day_of(context: Context) -> date:
    """The day of data that a run is about."""
    instance = context["task_instance"]
    day = instance.xcom_pull(task_ids="landing") if instance.dag_id == "build_tags" else None
    if day:
        return date.fromisoformat(day)
    params = context["params"]
    given = params.get("as_of_date") or params.get("first_day")
    return date.fromisoformat(given) if given else context["dag_run"].run_after.date()


def _mail_server(settings: Settings) -> MailServer | None:
    """The mail server of the Airflow connection, None when there is no such connection."""
    try:
        return MailServer.from_connection(BaseHook.get_connection(settings.smtp_connection))
    except Exception as error:
        # Whatever keeps the connection from being read, the alert itself must be kept and the failure reported. It is
        # said by who hands over what waits: while nothing waits nobody has to know.
        log.debug("no mail server: connection %s cannot be read: %s", settings.smtp_connection, error)
        return None
