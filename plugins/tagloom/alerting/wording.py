"""What failing tasks and runs are called in mails, what does not happen because of them, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagloom.alerting.messages import Missing
    from tagloom.settings import Settings

BUILD = "build_tags"

RUN_TITLES = {
    "update_tags": "update of tags",
    "monitor_channels": "watching channels",
    "run_audiences": "audiences",
    "document_models": "documentation",
}
"""DAGs of one or few tasks: what people call what they do."""

CONSEQUENCES = {
    "update_tags": "tags do not know the newest events",
    "monitor_channels": "nobody watches the channels",
    "run_audiences": "audiences and exports wait",
    "document_models": "the documentation is an older one",
}
"""DAG -> what does not happen when it fails."""

FULL_DISK = ("No space left on device", "Could not write", "could not write", "Disk quota exceeded", "disk is full")
"""How the operating system and DuckDB say that nothing more can be written."""


LATE_SOURCES = "late sources"
"""What the alert book calls sources that are late by the clock."""


LATE_CONSEQUENCE = "tags made of them stay as they are and are held"


def late_title(missing: Sequence[Missing]) -> str:
    """What people call the deliveries that are missing; `late deliveries` when there are several, or none any more."""
    return missing[0].title if len(missing) == 1 else "late deliveries"


def in_words(kind: str, sentence: str) -> str:
    """An incident as a sentence of what is wrong, by its kind."""
    return {
        "task": f"{sentence} failed",
        "quarantine": f"{sentence} was refused: too many rows are bad",
        "late": f"{sentence} are late",
        "deadline": f"{sentence} is late",
    }.get(kind, sentence)


def check_scope(layer: str) -> str:
    """What the alert book calls the checks of a layer, or of landing."""
    return f"checks of {layer}"


def run_scope(dag_id: str) -> str:
    """What the alert book calls runs of a DAG that failed as a whole."""
    return f"run {dag_id}"


def deadline_scope(dag_id: str) -> str:
    """What the alert book calls runs of a DAG that take too long."""
    return f"deadline {dag_id}"


def title(dag_id: str, task_id: str) -> str:
    """What a task does, as people call it."""
    if dag_id.startswith("ingest_"):
        steps = {"fetch": "fetching", "read_declaration": "declaration"}
        return f"{steps.get(task_id, 'landing')} of {dag_id.removeprefix('ingest_')}"
    if task_id == "publish":
        return "publishing"
    return run_title(dag_id) if dag_id in RUN_TITLES else f"building {task_id.replace('_', ' ')}"


def run_title(dag_id: str) -> str:
    """What runs of a DAG do, as people call it."""
    if dag_id.startswith("ingest_"):
        return f"landing of {dag_id.removeprefix('ingest_')}"
    return {BUILD: "build of tags", **RUN_TITLES}.get(dag_id, dag_id.replace("_", " "))


def consequence(dag_id: str) -> str:
    """What does not happen because of a failure; may be nothing."""
    if dag_id.startswith("ingest_"):
        return "its days have not landed"
    if dag_id == BUILD:
        return "nothing new is published"
    return CONSEQUENCES.get(dag_id, "")


def what_to_do(settings: Settings, task_id: str, exception: str) -> str:
    """The cure of a failed task where its error says it; else nothing."""
    if not any(words in exception for words in FULL_DISK):
        return ""
    return (
        f"Make room on the disk of {settings.home}: versions in published/ that CURRENT.json does not name, logs/ and "
        f"dbt/ may go. Nothing is half done. Then clear the task {task_id}."
    )
