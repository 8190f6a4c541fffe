"""What a published version makes of saved audiences: members as a Parquet file, and who entered, stayed and left.

A run is there once for an audience, a version of its definition and a published version. It may be killed at any
moment: the file is renamed into place before the row is written, and both are made again when one is missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlalchemy import select
from sqlalchemy.orm import Session

from tagloom.audiences import library
from tagloom.audiences.compile import Query, compile_members
from tagloom.audiences.evaluate import events_of_version
from tagloom.audiences.library import SavedAudience
from tagloom.audiences.locks import only_one
from tagloom.audiences.rules import Definition, RuleError
from tagloom.portal.serving import Snapshot
from tagloom.portal.store.audiences import AudienceRun
from tagloom.portal.store.base import now, open_store
from tagloom.settings import Settings


@dataclass(frozen=True)
class Materialised:
    """What became of one audience."""

    audience: SavedAudience
    run: AudienceRun | None
    """None when it cannot be worked out with this version."""
    is_new: bool = False
    """False: this was done before."""
    problem: str = ""
    """Why there is no run."""


def materialise_all(settings: Settings, snapshot: Snapshot) -> list[Materialised]:
    """Work out the members of every saved audience; one that cannot be does not stop the others."""
    with open_store(settings).session() as store:
        audiences = library.list_audiences(store)
    done = []
    for audience in audiences:
        try:
            run, is_new = materialise(settings, snapshot, audience.id)
            done.append(Materialised(audience, run, is_new))
        except (RuleError, library.AudienceError, duckdb.Error) as error:
            done.append(Materialised(audience, None, problem=f"Audience {audience.path}: {error}"))
    return done


def materialise(settings: Settings, snapshot: Snapshot, audience_id: int) -> tuple[AudienceRun, bool]:
    """Work out the members of an audience with this published version; returns the run and whether it is new.

    Raises RuleError when the version lacks a tag or event of the definition, and UnknownAudienceError.
    """
    folder = settings.home / "audiences" / str(audience_id)
    store = open_store(settings)
    with only_one(folder / ".lock"), store.transaction() as session:
        audience = library.load(session, audience_id)
        newest = next(iter(library.runs(session, audience_id, limit=1)), None)
        if newest is not None and _is_of(newest, snapshot, audience) and members_file(settings, newest).exists():
            return newest, False
        before = _before(session, audience, snapshot)
        file = folder / f"{snapshot.name}-{audience.number}.parquet"
        query = members_query(session, snapshot, audience.definition)
        size, entered, left = _write(settings, snapshot, query, file, before and members_file(settings, before))
        run = newest if newest is not None and _is_of(newest, snapshot, audience) else None
        if run is None:
            run = AudienceRun(
                audience_id=audience_id,
                version_number=audience.number,
                published_version=snapshot.name,
                as_of_date=snapshot.as_of_date,
            )
            session.add(run)
        run.size, run.entered, run.stayed, run.left_count = size, entered, size - entered, left
        run.computed_at = now()
        session.flush()
        _remove_old(settings, folder, session, audience_id)
        return run, True


def members_query(store: Session, snapshot: Snapshot, definition: Definition) -> Query:
    """The query that lists the members with their part and whether they are held out. Raises RuleError."""
    return compile_members(
        definition, snapshot.tags, events_of_version(snapshot), library.definitions(store), snapshot.as_of_date
    )


def members_file(settings: Settings, run: AudienceRun) -> Path:
    """The Parquet file of a run: person_id, part, is_held_out, sorted by person_id."""
    folder = settings.home / "audiences" / str(run.audience_id)
    return folder / f"{run.published_version}-{run.version_number}.parquet"


def audiences_of_person(settings: Settings, person_id: int) -> list[AudienceRun]:
    """The newest runs of the audiences in whose members a person is, as materialised last."""
    with open_store(settings).session() as store:
        runs = [run for run in library.last_runs(store).values() if members_file(settings, run).exists()]
    with duckdb.connect() as connection:
        return [
            run
            for run in runs
            if connection.execute(
                "select 1 from read_parquet(?) where person_id = ? limit 1",
                [str(members_file(settings, run)), person_id],
            ).fetchall()
        ]


@contextmanager
def workbench(settings: Settings, snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection over a published version that may write files, unlike the one the portal reads with."""
    with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as connection:
        connection.execute("set time zone 'UTC'")
        connection.execute(
            f"attach {_quoted(settings.published / f'tags-{snapshot.name}.duckdb')} as published (read_only)"
        )
        connection.execute("use published")
        yield connection


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A draft beside a file, which takes its place at the end; nothing is left when the block fails."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".draft-{os.getpid()}-{file.name}")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _write(
    settings: Settings, snapshot: Snapshot, query: Query, file: Path, before: Path | None
) -> tuple[int, int, int]:
    """Write the members; returns how many there are, entered and left since the file `before`."""
    with workbench(settings, snapshot) as connection, replacing(file) as draft:
        connection.execute(f"create temp table members as {query.sql}", query.parameters)
        connection.execute(
            f"copy (from members order by person_id) to {_quoted(draft)} (format parquet, compression zstd)"
        )
        size = connection.execute("select count(*) from members").fetchall()[0][0]
        if before is None or not before.exists():
            return size, size, 0
        stayed, known = connection.execute(
            """
            select count(members.person_id), count(*)
            from read_parquet(?) as before
            left join members on before.person_id = members.person_id
            """,
            [str(before)],
        ).fetchall()[0]
        return size, size - stayed, known - stayed


def _before(store: Session, audience: SavedAudience, snapshot: Snapshot) -> AudienceRun | None:
    """The newest run that is of another published version or another definition: what is compared with."""
    for run in store.scalars(
        select(AudienceRun).where(AudienceRun.audience_id == audience.id).order_by(AudienceRun.id.desc())
    ):
        if not _is_of(run, snapshot, audience):
            return run
    return None


def _is_of(run: AudienceRun, snapshot: Snapshot, audience: SavedAudience) -> bool:
    return run.published_version == snapshot.name and run.version_number == audience.number


def _remove_old(settings: Settings, folder: Path, store: Session, audience_id: int) -> None:
    """Remove files that are out of use for settings.keep_days days, and what killed runs left behind."""
    kept = {members_file(settings, run).name for run in library.runs(store, audience_id, limit=2)}
    _remove(folder.glob("*.parquet"), kept, settings.keep_days * 86_400)
    _remove(folder.glob(".draft-*"), set(), 3_600)


def _remove(files: Iterable[Path], kept: set[str], seconds: float) -> None:
    for file in files:
        with suppress(FileNotFoundError):
            if file.name not in kept and time.time() - file.stat().st_mtime > seconds:
                file.unlink()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
