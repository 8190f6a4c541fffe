"""The mails of the DAGs: what failed, and what a delivery brought that nobody expected."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, Context

from tagloom.alerts import Alert, alert_messages
from tagloom.landing.work import Landing
from tagloom.lineage import dependents, load_manifest
from tagloom.mail import FlushResult, MailServer, flush, queue
from tagloom.publish import current_version
from tagloom.settings import Settings, load_settings
from tagloom.sources import Source

if TYPE_CHECKING:
    from tagloom.quality import CheckResult

log = logging.getLogger("tagloom")


class QualityError(RuntimeError):
    """Checks failed or told nothing; `results` holds every result of the layer."""

    def __init__(self, layer: str, results: list[CheckResult]) -> None:
        self.results = results
        stopping = [result for result in results if result.stops]
        sentences = (f"{result.table}: not true: {result.name}. {result.problem}".strip() for result in stopping)
        super().__init__(f"{len(stopping)} of {len(results)} checks of {layer} failed:\n" + "\n".join(sentences))


def mail_failure(context: Context) -> None:
    """Task callback: queue one mail per recipient about what failed and try to send it."""
    settings = load_settings()
    instance = context["task_instance"]
    exception = context.get("exception")
    cause = getattr(exception, "__cause__", None) or exception
    results = tuple(cause.results) if isinstance(cause, QualityError) else ()
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    alert = Alert(
        run_id=context["run_id"],
        as_of_date=results[0].as_of_date if results else _day_of(context),
        dag_id=instance.dag_id,
        task_id=_task_name(instance.task_id, instance.map_index),
        title=_title(instance.dag_id, instance.task_id, bool(results)),
        results=results,
        consequence=_consequence(instance.dag_id),
        exception="" if results else str(exception),
        owner=context["task"].owner if "@" in context["task"].owner else "",
        impact={
            result.table: dependents(manifest, result.table) for result in results if result.stops and result.table
        },
        in_use=_in_use(settings),
        # Updates follow each other by the minute: the same failure is told once an hour.
        once=f"{datetime.now(UTC):%Y-%m-%d %H} {exception}" if instance.dag_id == "update_tags" else "",
        links={"Task log": instance.log_url},
    )
    _send(settings, alert)


def mail_drift(context: Context, source: Source, landings: list[Landing]) -> None:
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
    _send(
        settings,
        Alert(
            run_id=context["run_id"],
            as_of_date=_day_of(context),
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
            impact={table: dependents(manifest, table) for table in changes},
            links={"Task log": instance.log_url},
        ),
    )


def _send(settings: Settings, alert: Alert) -> None:
    server = _mail_server(settings)
    for message in alert_messages(alert, settings.alert_recipients, server.sender if server else "tagloom@localhost"):
        queue(message, settings.mails)
    send_waiting_mails(settings)


def _staging_models(manifest: dict, table: str) -> list[str]:
    """Paths of the models that read a raw table at first hand."""
    nodes = manifest.get("nodes", {})
    for name, node in manifest.get("sources", {}).items():
        if f"{node['schema']}.{node['identifier']}" == table:
            readers = (nodes.get(child, {}) for child in manifest.get("child_map", {}).get(name, ()))
            return [node["original_file_path"] for node in readers if node.get("resource_type") == "model"]
    return []


def _task_name(task_id: str, map_index: int) -> str:
    # Tables are fetched side by side by one task; each that fails gets a mail of its own.
    return f"{task_id} {map_index}" if map_index >= 0 else task_id


def _in_use(settings: Settings) -> str:
    version = current_version(settings)
    return f"Version {version.name} (tags of {version.as_of_date}) stays in use." if version else ""


def _title(dag_id: str, task_id: str, is_about_checks: bool) -> str:
    if dag_id.startswith("ingest_"):
        steps = {"fetch": "fetching", "read_declaration": "declaration"}
        return f"{steps.get(task_id, 'landing')} of {dag_id.removeprefix('ingest_')}"
    if dag_id == "update_tags":
        return "update of tags"
    layer = "landing" if task_id == "landing" else task_id.replace("_", " ")
    return f"checks of {layer}" if is_about_checks else f"building {layer}"


def _consequence(dag_id: str) -> str:
    if dag_id == "update_tags":
        return "tags do not know the newest events"
    return "nothing new is published" if dag_id == "build_tags" else "its days have not landed"


def _day_of(context: Context) -> date:
    instance = context["task_instance"]
    day = instance.xcom_pull(task_ids="landing") if instance.dag_id == "build_tags" else None
    if day:
        return date.fromisoformat(day)
    params = context["params"]
    given = params.get("as_of_date") or params.get("first_day")
    return date.fromisoformat(given) if given else context["dag_run"].run_after.date()


def send_waiting_mails(settings: Settings) -> None:
    """Hand what waits in the outbox to the mail server; what it does not take goes on waiting."""
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
