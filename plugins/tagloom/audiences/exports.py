"""Sends the members of an audience to a file, a webhook or a table: once per published version.

Held back while an open incident makes something stale that the export stands on (`tagloom.alerting.holds`). Whoever
has not allowed the channel, or has objected to advertising, is left out here whatever the audience says. So are those
held out; they are kept in `holdout.parquet` to compare with. Every attempt may be killed and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from sqlalchemy.orm import Session

from tagloom.audiences import export_book, library, runs
from tagloom.audiences.destinations import destinations, variable_of
from tagloom.audiences.export_book import ExportConfig, ExportError
from tagloom.audiences.library import SavedAudience
from tagloom.audiences.locks import only_one
from tagloom.audiences.rules import CONSENT_TAGS, SUPPRESSION_TAGS, RuleError
from tagloom.portal.serving import Snapshot
from tagloom.portal.store.audiences import FAILED, HELD, SENDING, SENT, SUPPRESSED, AudienceRun, Export, ExportRun
from tagloom.portal.store.base import now, open_store
from tagloom.settings import Settings, SettingsError

if TYPE_CHECKING:
    from tagloom.alerting.holds import Hold

EVENT_TABLE = "serving.person_events"

HOLDOUT_FILE = "holdout.parquet"
MANIFEST = "manifest.json"

FORMULA_SIGNS = "=+-@\t\r\n＝＋－＠"
"""A spreadsheet takes a cell that begins with one of these for a formula (OWASP, "CSV Injection")."""


@dataclass(frozen=True)
class Job:
    """Everything that sending one export with one published version needs."""

    settings: Settings
    snapshot: Snapshot
    export: Export
    config: ExportConfig
    audience: SavedAudience
    run: ExportRun
    members: AudienceRun

    @property
    def columns(self) -> list[str]:
        """Columns that are sent, in their order."""
        part = ["part"] if self.audience.definition.split else []
        return ["person_id", *part, *self.export.columns]

    @property
    def masked(self) -> list[str]:
        """Columns that are sent empty, because the owner may not read personal data."""
        if self.config.sees_personal:
            return []
        return [name for name in self.export.columns if self.snapshot.tags[name].personal_data == "direct"]


@dataclass(frozen=True)
class Counts:
    """Who of the members is sent."""

    rows: int
    held_out: int
    withheld: int


def run_due_exports(settings: Settings, snapshot: Snapshot) -> list[ExportRun]:
    """Send every export that is due with this version; one that is held or fails does not stop the others."""
    with open_store(settings).session() as store:
        due = [
            export.id
            for export in export_book.exports_of(store)
            if export_book.is_due(store, export, snapshot.name, snapshot.as_of_date)
        ]
    return [run_export(settings, snapshot, export_id) for export_id in due]


def run_export(settings: Settings, snapshot: Snapshot, export_id: int, wait: bool = True) -> ExportRun:
    """Send one export with this version, due or not; what was sent with it already is not sent again.

    Returns its run, whose status and reason say what became of it. Raises UnknownAudienceError when there is no such
    export, and without `wait` ExportError when another process is sending it at this moment.
    """
    try:
        with only_one(settings.home / "exports" / str(export_id) / ".lock", wait):
            return _run(settings, snapshot, export_id)
    except BlockingIOError as error:
        raise ExportError("It is being sent at this moment.") from error


def _run(settings: Settings, snapshot: Snapshot, export_id: int) -> ExportRun:
    with open_store(settings).transaction() as session:
        export = export_book.load_export(session, export_id)
        audience = library.load(session, export.audience_id)
        run = export_book.run_of(session, export_id, snapshot.name)
        if run is not None and run.status in (SENT, SUPPRESSED):
            return run
        run = _begin(session, run, export, audience, snapshot)
        holds = holds_of(settings, session, export, audience)
        if holds:
            run.status, run.reason, run.finished_at = HELD, _why_held(holds), now()
            return run
    try:
        members, _ = runs.materialise(settings, snapshot, audience.id)
        job = Job(settings, snapshot, export, export_book.config_of(export), audience, run, members)
        counts, file = _send(job)
    except (ExportError, RuleError, SettingsError, duckdb.Error, OSError) as error:
        return _finish(settings, run, FAILED, reason=str(error))
    if counts.rows:
        return _finish(settings, run, SENT, counts, file=file)
    left_out = "Nobody is left to send: all members are held out, have not consented, or have objected."
    return _finish(settings, run, SUPPRESSED, counts, left_out if counts.held_out + counts.withheld else "It is empty.")


def export_file(settings: Settings, run: ExportRun) -> Path | None:
    """The file that an export has written with a version; None when it wrote none or it is gone."""
    folder = (settings.home / "exports").resolve()
    file = (folder / run.file).resolve()
    # The path comes from a database that others may write to.
    return file if run.file and file.is_relative_to(folder) and file.is_file() else None


def may_hold_personal(export: Export, snapshot: Snapshot) -> bool:
    """Whether the files of an export may hold personal data in the clear."""
    tags = snapshot.tags
    # What was personal data when a file was written may have left the catalogue.
    return export_book.config_of(export).sees_personal and any(
        name not in tags or tags[name].personal_data == "direct" for name in export.columns
    )


def _begin(
    session: Session, run: ExportRun | None, export: Export, audience: SavedAudience, snapshot: Snapshot
) -> ExportRun:
    form = _form(export, audience)
    if run is None:
        run = ExportRun(
            export_id=export.id,
            published_version=snapshot.name,
            as_of_date=snapshot.as_of_date,
            attempts=0,
            batches=0,
            form=form,
        )
        session.add(run)
    if run.form != form:
        run.form, run.batches = form, 0
    run.version_number = audience.number
    run.started_at, run.finished_at = now(), None
    run.attempts += 1
    run.status, run.reason = SENDING, ""
    session.flush()
    return run


def _form(export: Export, audience: SavedAudience) -> str:
    said = [audience.number, export.target, export.columns, export.config]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def holds_of(settings: Settings, session: Session, export: Export, audience: SavedAudience) -> list[Hold]:
    """What holds an export back now: incidents about what it stands on, from which nobody has released it."""
    from tagloom.alerting.holds import holds_for

    tags = library.tags_of_audience(session, audience) | set(export.columns)
    tables = [EVENT_TABLE] if library.events_of_audience(session, audience) else []
    found = holds_for(settings, tags, tables, f"export:{export.id}")
    # A release of the audience releases what is made of it.
    still = {hold.incident_id for hold in holds_for(settings, tags, tables, audience.subject)} if found else set()
    return [hold for hold in found if hold.incident_id in still]


def _why_held(holds: list[Hold]) -> str:
    reasons = [hold.reason.rstrip(".") for hold in holds]
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return f"{'; '.join(reasons[:3])}{more}."


def _finish(
    settings: Settings,
    run: ExportRun,
    status: str,
    counts: Counts | None = None,
    reason: str = "",
    file: str = "",
) -> ExportRun:
    with open_store(settings).transaction() as session:
        kept = session.get_one(ExportRun, run.id)
        kept.status, kept.reason, kept.file, kept.finished_at = status, reason, file, now()
        if counts:
            kept.rows, kept.held_out, kept.withheld = counts.rows, counts.held_out, counts.withheld
        return kept


def _send(job: Job) -> tuple[Counts, str]:
    """Send what may be sent; returns how many that are, and the file below home/exports."""
    with runs.workbench(job.settings, job.snapshot) as connection:
        counts = _select(connection, job)
        if job.export.target in ("csv", "parquet"):
            return counts, _write_files(connection, job, counts) if counts.rows else ""
        file = _write_files(connection, job, counts, holdout_only=True) if counts.held_out else ""
        if counts.rows and job.export.target == "webhook":
            from tagloom.audiences.webhook import post_batches

            post_batches(connection, job, counts, _address(job))
        elif counts.rows:
            from tagloom.audiences.database import replace_table

            replace_table(connection, job, counts, _address(job))
        return counts, file


def _address(job: Job) -> str:
    known = destinations(job.export.target)
    if job.config.destination not in known:
        variable = variable_of(job.export.target, job.config.destination)
        raise ExportError(f"{variable} is not set; it holds the address of {job.config.destination}.")
    return known[job.config.destination]


def _select(connection: duckdb.DuckDBPyConnection, job: Job) -> Counts:
    """Make the temporary tables `sent`, with what is sent, and `kept`, with those held out."""
    definition = job.audience.definition
    needed = {CONSENT_TAGS[channel] for channel in (definition.consent, job.config.channel) if channel in CONSENT_TAGS}
    unwanted = set(SUPPRESSION_TAGS) if definition.suppression or job.config.purpose == "advertising" else set()
    missing = sorted((needed | unwanted | set(job.export.columns)) - set(job.snapshot.tags))
    if missing:
        raise ExportError(
            f"The published version has no tag {', '.join(missing)}, which the export needs; nothing was sent."
        )
    allowed = " and ".join(
        ["true"]
        + [f'coalesce(person_tags."{tag}", false)' for tag in sorted(needed)]
        + [f'not coalesce(person_tags."{tag}", false)' for tag in sorted(unwanted)]
    )
    tags = "".join(
        f', null::varchar as "{name}"' if name in job.masked else f', person_tags."{name}"'
        for name in job.export.columns
    )
    connection.execute(
        f"""
        create temp table chosen as
        select members.person_id, members.part{tags}, members.is_held_out, {allowed} as is_allowed
        from read_parquet(?) as members
        inner join tag_integration.person_tags on members.person_id = person_tags.person_id
        """,
        [str(runs.members_file(job.settings, job.members))],
    )
    listed = ", ".join(f'"{name}"' for name in job.columns)
    connection.execute(
        f"create temp table sent as select {listed} from chosen where is_allowed and not is_held_out order by person_id"
    )
    connection.execute(
        """
        create temp table kept as
        select person_id, part from chosen where is_allowed and is_held_out order by person_id
        """
    )
    rows, held_out, withheld = connection.execute(
        """
        select
            count(*) filter (is_allowed and not is_held_out),
            count(*) filter (is_allowed and is_held_out),
            count(*) filter (not is_allowed)
        from chosen
        """
    ).fetchall()[0]
    return Counts(rows, held_out, withheld)


def _write_files(connection: duckdb.DuckDBPyConnection, job: Job, counts: Counts, holdout_only: bool = False) -> str:
    """Write the file, those held out and the manifest into a folder that appears whole; returns the file's path."""
    name = HOLDOUT_FILE if holdout_only else f"{_slug(job.export.name)}-{job.snapshot.as_of_date}.{job.export.target}"
    with _new_folder(job.settings.home / "exports" / str(job.export.id), job.snapshot.name) as folder:
        if not holdout_only:
            _copy(connection, job, folder / name)
        if counts.held_out:
            connection.execute(f"copy (from kept) to {_quoted(folder / HOLDOUT_FILE)} (format parquet)")
        manifest = {
            "export": job.export.name,
            "audience": job.audience.path,
            "audience_id": job.audience.id,
            "definition_version": job.audience.number,
            "published_version": job.snapshot.name,
            "as_of_date": job.snapshot.as_of_date.isoformat(),
            "target": job.export.target,
            "columns": job.columns,
            "masked": job.masked,
            "rows": counts.rows,
            "held_out": counts.held_out,
            "withheld": counts.withheld,
            "consent": job.audience.definition.consent,
            "channel": job.config.channel,
            "purpose": job.config.purpose,
            "files": {file.name: _sha256(file) for file in sorted(folder.iterdir())},
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _remove_old(job.settings, job.export.id, job.snapshot.name)
    return f"{job.export.id}/{job.snapshot.name}/{name}"


def _copy(connection: duckdb.DuckDBPyConnection, job: Job, file: Path) -> None:
    if job.export.target == "parquet":
        connection.execute(f"copy (from sent) to {_quoted(file)} (format parquet, compression zstd)")
        return
    types = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns() where table_name = 'sent' and internal = false"
        ).fetchall()
    )
    listed = ", ".join(
        guarded(f'"{name}"') + f' as "{name}"' if types[name].startswith(("VARCHAR", "ENUM")) else f'"{name}"'
        for name in job.columns
    )
    connection.execute(f"copy (select {listed} from sent) to {_quoted(file)} (format csv, header)")


def guarded(column: str) -> str:
    """SQL of a text column that no spreadsheet takes for a formula: an apostrophe in front of what could be one."""
    text = f"{column}::varchar"
    signs = FORMULA_SIGNS.replace("'", "''")
    risky = f"{text} <> '' and contains('{signs}', left({text}, 1))"
    return f"case when {risky} then '''' || {text} else {text} end"


@contextmanager
def _new_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder that takes its place when the block ends well."""
    draft = parent / f".draft-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(parent / name, ignore_errors=True)
        draft.rename(parent / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _remove_old(settings: Settings, export_id: int, newest: str) -> None:
    """Remove the files of versions that are older than settings.keep_days days, and what killed runs left behind."""
    for folder in (settings.home / "exports" / str(export_id)).iterdir():
        if not folder.is_dir() or folder.name == newest:
            continue
        seconds = 3_600 if folder.name.startswith(".draft-") else settings.keep_days * 86_400
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > seconds:
                shutil.rmtree(folder, ignore_errors=True)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "export"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
