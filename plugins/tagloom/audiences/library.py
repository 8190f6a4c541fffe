"""The library of saved audiences: every version of each, who uses whom, and what may be deleted.

All functions take a session of the portal's store and leave the commit to the caller, so that what was done and its
entry in the audit log are kept together.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tagloom.audiences.rules import Definition, audiences_of, events_of, parse, tags_of
from tagloom.portal.store.audiences import Audience, AudienceRun, AudienceVersion, Export
from tagloom.portal.store.base import now, open_store, store_exists
from tagloom.settings import Settings

LONGEST_NAME = 120

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters and those that turn the direction of writing: a name must look like what it is."""


class AudienceError(ValueError):
    """What was asked for cannot be done; the message says why and what can be done."""


class UnknownAudienceError(AudienceError, LookupError):
    """There is no such audience, version or export."""


class AudienceInUseError(AudienceError):
    """The audience cannot be deleted, because something stands on it."""

    def __init__(self, name: str, users: list[str]):
        super().__init__(f"{name} cannot be deleted, it is used by: {'; '.join(users)}. Change or delete these first.")
        self.users = users


@dataclass(frozen=True)
class SavedAudience:
    """An audience with one version of its definition."""

    id: int
    name: str
    folder: str
    """Levels separated by a slash; empty: the top."""
    owner: str
    description: str
    created_at: datetime
    deleted_at: datetime | None
    number: int
    """The version."""
    definition: Definition
    note: str
    """Why this version was made."""
    changed_by: str
    changed_at: datetime

    @property
    def path(self) -> str:
        """Folder and name: what it is called in files."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def subject(self) -> str:
        """What the audit log and holds call it."""
        return f"audience:{self.id}"


def save(
    store: Session,
    definition: Definition | Mapping[str, Any],
    name: str,
    *,
    by: str,
    folder: str = "",
    owner: str | None = None,
    description: str = "",
    note: str = "",
    audience_id: int | None = None,
) -> SavedAudience:
    """Save a new audience, or with `audience_id` a new version of one; the same definition again makes no version.

    `owner`: who answers for it; None: `by`, or who did so far. The seed of holdout and split is kept over versions, so
    that nobody changes sides.
    Raises AudienceError when the name is taken or not fit, or the audience would contain itself, and RuleError when the
    definition is none.
    """
    parsed = definition if isinstance(definition, Definition) else parse(dict(definition))
    name, folder = clean_name(name), clean_folder(folder)
    moment = now()
    row = _row(store, audience_id) if audience_id is not None else None
    _check_name_is_free(store, name, folder, audience_id)
    _check_references(store, parsed, audience_id)
    if row is None:
        row = Audience(name=name, folder=folder, owner=owner or by, description=description.strip(), created_at=moment)
        store.add(row)
        store.flush()
        before = None
    else:
        row.name, row.folder, row.description = name, folder, description.strip()
        row.owner = owner or row.owner
        before = _newest_version(store, row.id)
    seed = parsed.seed or (Definition.model_validate(before.definition).seed if before else "") or secrets.token_hex(6)
    content = parsed.model_copy(update={"seed": seed}).as_json()
    if before is None or before.definition != content:
        before = AudienceVersion(
            audience_id=row.id,
            number=before.number + 1 if before else 1,
            definition=content,
            note=note.strip(),
            created_by=by,
            created_at=moment,
        )
        store.add(before)
    store.flush()
    return _saved(row, before)


def load(store: Session, audience_id: int, number: int | None = None, deleted: bool = False) -> SavedAudience:
    """Return an audience with its newest version, or the one of this number; `deleted`: also one that is deleted.

    Raises UnknownAudienceError.
    """
    row = _row(store, audience_id, deleted)
    version = store.get(AudienceVersion, (row.id, number)) if number is not None else _newest_version(store, row.id)
    if version is None:
        raise UnknownAudienceError(f"{row.name} has no version {number}.")
    return _saved(row, version)


def list_audiences(store: Session) -> list[SavedAudience]:
    """Return every audience that is not deleted with its newest version, by folder and name."""
    newest = (
        select(AudienceVersion.audience_id, func.max(AudienceVersion.number).label("number"))
        .group_by(AudienceVersion.audience_id)
        .subquery()
    )
    found = store.execute(
        select(Audience, AudienceVersion)
        .join(newest, newest.c.audience_id == Audience.id)
        .join(
            AudienceVersion,
            (AudienceVersion.audience_id == Audience.id) & (AudienceVersion.number == newest.c.number),
        )
        .where(Audience.deleted_at.is_(None))
    )
    saved = [_saved(row, version) for row, version in found]
    return sorted(saved, key=lambda audience: (audience.folder.casefold(), audience.name.casefold(), audience.id))


def versions(store: Session, audience_id: int) -> list[SavedAudience]:
    """Return every version of an audience, the newest first. Raises UnknownAudienceError."""
    row = _row(store, audience_id, deleted=True)
    found = store.scalars(
        select(AudienceVersion).where(AudienceVersion.audience_id == row.id).order_by(AudienceVersion.number.desc())
    )
    return [_saved(row, version) for version in found]


def delete(store: Session, audience_id: int) -> SavedAudience:
    """Delete an audience that nothing stands on. Its versions and runs stay, so that past exports can be explained.

    Raises AudienceInUseError with the list of users, and UnknownAudienceError.
    """
    audience = load(store, audience_id)
    users = users_of_audience(store, audience_id)
    if users:
        raise AudienceInUseError(audience.name, users)
    _row(store, audience_id).deleted_at = now()
    store.flush()
    return audience


def definitions(store: Session) -> Callable[[int], Definition]:
    """Return the function that compiling asks for the newest definition of an audience inside another one.

    It reads each once, and raises UnknownAudienceError.
    """
    known: dict[int, Definition] = {}

    def definition(audience_id: int) -> Definition:
        if audience_id not in known:
            known[audience_id] = load(store, audience_id).definition
        return known[audience_id]

    return definition


def with_inner(store: Session, definition: Definition) -> list[Definition]:
    """Return a definition and those of every audience inside it, at any depth, each once."""
    of = definitions(store)
    reached: dict[int, Definition] = {}
    waiting = list(audiences_of(definition))
    while waiting:
        audience_id = waiting.pop()
        if audience_id not in reached:
            reached[audience_id] = of(audience_id)
            waiting += audiences_of(reached[audience_id])
    return [definition, *reached.values()]


def tags_of_audience(store: Session, audience: SavedAudience) -> frozenset[str]:
    """Return every tag that decides who is in an audience: of rules, consent, suppression, and of inner audiences."""
    return frozenset().union(*(tags_of(definition) for definition in with_inner(store, audience.definition)))


def events_of_audience(store: Session, audience: SavedAudience) -> frozenset[str]:
    """Return every event that decides who is in an audience, those of inner audiences too."""
    return frozenset().union(*(events_of(definition) for definition in with_inner(store, audience.definition)))


def users_of_audience(store: Session, audience_id: int) -> list[str]:
    """Return what stands on an audience: audiences that contain it, and exports that may still run; one line each."""
    inside = [
        f"audience {audience.path}"
        for audience in list_audiences(store)
        if audience.id != audience_id and audience_id in audiences_of(audience.definition)
    ]
    sent = store.scalars(
        select(Export)
        .where(Export.audience_id == audience_id, Export.deleted_at.is_(None), Export.active)
        .order_by(Export.name)
    )
    return inside + [f"export {export.name}" for export in sent]


def users_of_tags(settings: Settings, tags: Iterable[str]) -> list[str]:
    """Return the saved audiences and active exports that stand on any of these tags, one line each.

    Empty when nobody has saved anything here yet.
    """
    wanted = frozenset(tags)
    if not wanted or not store_exists(settings):
        return []
    users = []
    with open_store(settings).session() as store:
        audiences = list_audiences(store)
        exports = store.scalars(
            select(Export).where(Export.deleted_at.is_(None), Export.active).order_by(Export.audience_id, Export.name)
        ).all()
        for audience in audiences:
            own = tags_of_audience(store, audience)
            if own & wanted:
                users.append(f"audience {audience.path}")
            users += [
                f"export {export.name} of audience {audience.path}"
                for export in exports
                if export.audience_id == audience.id and (own | set(export.columns)) & wanted
            ]
    return users


def runs(store: Session, audience_id: int, limit: int = 100) -> list[AudienceRun]:
    """Return what publishes made of an audience, the newest first."""
    return list(
        store.scalars(
            select(AudienceRun)
            .where(AudienceRun.audience_id == audience_id)
            .order_by(AudienceRun.id.desc())
            .limit(limit)
        )
    )


def last_runs(store: Session) -> dict[int, AudienceRun]:
    """Return the newest run of every audience that has one, by the audience's id."""
    newest = select(func.max(AudienceRun.id)).group_by(AudienceRun.audience_id)
    return {run.audience_id: run for run in store.scalars(select(AudienceRun).where(AudienceRun.id.in_(newest)))}


def clean_name(name: str) -> str:
    """Return a name as it is kept. Raises AudienceError when it is empty, too long or cannot be shown."""
    cleaned = " ".join(name.split())
    if not cleaned:
        raise AudienceError("A name is missing; write one that says who is in it.")
    if len(cleaned) > LONGEST_NAME:
        raise AudienceError(f"The name has {len(cleaned)} characters; shorten it to {LONGEST_NAME}.")
    if _UNPRINTABLE.search(cleaned) or "/" in cleaned:
        raise AudienceError("The name has a slash or characters that cannot be seen; leave them out.")
    return cleaned


def clean_folder(folder: str) -> str:
    """Return a folder as it is kept: names with one slash between them. Raises AudienceError."""
    levels = [clean_name(level) for level in folder.split("/") if level.strip()]
    cleaned = "/".join(levels)
    if any(level in (".", "..") for level in levels) or len(cleaned) > LONGEST_NAME:
        raise AudienceError(f"{cleaned!r} is no folder; write names with slashes between them, such as spring/mails.")
    return cleaned


def _check_name_is_free(store: Session, name: str, folder: str, audience_id: int | None) -> None:
    other = store.scalars(
        select(Audience).where(Audience.name == name, Audience.folder == folder, Audience.deleted_at.is_(None))
    ).first()
    if other is not None and other.id != audience_id:
        where = f"the folder {folder}" if folder else "the top folder"
        raise AudienceError(f"There is already an audience {name} in {where}; choose another name or folder.")


def _check_references(store: Session, definition: Definition, audience_id: int | None) -> None:
    """Refuse a definition with an audience that is not there, or that would contain itself."""
    reached: set[int] = set()
    waiting = list(audiences_of(definition))
    while waiting:
        inner = waiting.pop()
        if inner == audience_id:
            raise AudienceError(
                "The audience would contain itself, through another one; leave that condition out."
                if reached
                else "The audience would contain itself; leave that condition out."
            )
        if inner not in reached:
            waiting += audiences_of(load(store, inner).definition)
            reached.add(inner)


def _row(store: Session, audience_id: int, deleted: bool = False) -> Audience:
    row = store.get(Audience, audience_id)
    if row is None or (row.deleted_at is not None and not deleted):
        raise UnknownAudienceError(f"There is no audience {audience_id}; it may have been deleted.")
    return row


def _newest_version(store: Session, audience_id: int) -> AudienceVersion:
    return store.scalars(
        select(AudienceVersion)
        .where(AudienceVersion.audience_id == audience_id)
        .order_by(AudienceVersion.number.desc())
        .limit(1)
    ).one()


def _saved(row: Audience, version: AudienceVersion) -> SavedAudience:
    return SavedAudience(
        id=row.id,
        name=row.name,
        folder=row.folder,
        owner=row.owner,
        description=row.description,
        created_at=row.created_at,
        deleted_at=row.deleted_at,
        number=version.number,
        definition=parse(version.definition),
        note=version.note,
        changed_by=version.created_by,
        changed_at=version.created_at,
    )
