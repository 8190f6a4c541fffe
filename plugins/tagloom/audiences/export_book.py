"""The book of exports: what is sent where and when, who may send it, and what became of each.

All functions take a session of the portal's store and leave the commit to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from tagloom.audiences.destinations import PREFIXES, destinations, variable_of
from tagloom.audiences.library import AudienceError, UnknownAudienceError, clean_name, load
from tagloom.portal.store.audiences import SCHEDULES, SENT, SUPPRESSED, TARGETS, Export, ExportRun
from tagloom.portal.store.base import now

if TYPE_CHECKING:
    from tagloom.portal.serving import Tag

LONGEST_COLUMNS = 200

OWN_COLUMNS = ("person_id", "part", "published_version", "as_of_date")
"""Columns that an export writes itself."""

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,59}(\.[a-z][a-z0-9_]{0,59})?")


class ExportError(AudienceError):
    """An export cannot be made as asked; the message says why and what can be done."""


class ExportConfig(BaseModel):
    """What an export needs to know besides its columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: Literal["advertising", "service"] = "advertising"
    """Advertising never reaches who objected to it, whatever the audience says."""
    channel: Literal["email", "sms", "push", "none"] = "none"
    """The way they will be contacted: who has not allowed it, or cannot be reached so, is left out."""
    destination: str = ""
    """Name of the webhook or database, see tagloom.audiences.destinations."""
    table: str = ""
    """Table in the database, with or without its schema."""
    batch_rows: int = Field(default=500, ge=1, le=10_000)
    """Persons per request to a webhook."""
    sees_personal: bool = False
    """Whether its owner may read personal data; without it such tags are sent empty."""


def save_export(
    store: Session,
    audience_id: int,
    *,
    name: str,
    target: str,
    columns: Sequence[str],
    schedule: str,
    config: ExportConfig | Mapping[str, Any],
    owner: str,
    tags: Mapping[str, Tag],
    export_id: int | None = None,
) -> Export:
    """Save a new export of an audience, or change the one with `export_id`. `tags`: those of the published version.

    Raises ExportError when the target, a column or the destination does not exist, or a column is personal data that
    the owner may not read; UnknownAudienceError when there is no such audience or export.
    """
    load(store, audience_id)
    row = load_export(store, export_id) if export_id is not None else None
    name = clean_name(name)
    if target not in TARGETS:
        raise ExportError(f"{target!r} is no target; choose one of {', '.join(TARGETS)}.")
    if schedule not in SCHEDULES:
        raise ExportError(f"{schedule!r} is no schedule; choose one of {', '.join(SCHEDULES)}.")
    checked = _checked_config(config)
    _check_destination(target, checked)
    _check_columns(columns, tags, checked)
    taken = store.scalars(
        select(Export).where(Export.audience_id == audience_id, Export.name == name, Export.deleted_at.is_(None))
    ).first()
    if taken is not None and taken.id != export_id:
        raise ExportError(f"This audience already has an export {name}; choose another name.")
    if row is None:
        row = Export(audience_id=audience_id, owner=owner, active=True, created_at=now())
        store.add(row)
    row.name, row.target, row.schedule = name, target, schedule
    row.columns, row.config = list(dict.fromkeys(columns)), checked.model_dump()
    row.owner = owner
    store.flush()
    return row


def load_export(store: Session, export_id: int) -> Export:
    """Return an export that is not deleted. Raises UnknownAudienceError."""
    row = store.get(Export, export_id)
    if row is None or row.deleted_at is not None:
        raise UnknownAudienceError(f"There is no export {export_id}; it may have been deleted.")
    return row


def exports_of(store: Session, audience_id: int | None = None) -> list[Export]:
    """Return the exports of one audience or of all, by audience and name."""
    query = select(Export).where(Export.deleted_at.is_(None)).order_by(Export.audience_id, Export.name, Export.id)
    return list(store.scalars(query if audience_id is None else query.where(Export.audience_id == audience_id)))


def delete_export(store: Session, export_id: int) -> Export:
    """Delete an export; what it has sent stays in its log. Raises UnknownAudienceError."""
    row = load_export(store, export_id)
    row.deleted_at, row.active = now(), False
    store.flush()
    return row


def export_runs(
    store: Session, export_ids: Iterable[int], limit: int = 100, status: str | None = None
) -> list[ExportRun]:
    """Return what became of exports, the newest attempt first."""
    query = select(ExportRun).where(ExportRun.export_id.in_(list(export_ids)))
    if status is not None:
        query = query.where(ExportRun.status == status)
    return list(store.scalars(query.order_by(ExportRun.started_at.desc(), ExportRun.id.desc()).limit(limit)))


def run_of(store: Session, export_id: int, published_version: str) -> ExportRun | None:
    """Return what became of an export with a published version, None when it was not tried."""
    return store.scalars(
        select(ExportRun).where(ExportRun.export_id == export_id, ExportRun.published_version == published_version)
    ).one_or_none()


def is_due(store: Session, export: Export, published_version: str, as_of_date: date) -> bool:
    """Tell whether an export is to be sent with this version.

    What was held or failed is due again; days are counted in days of the data, so that a version that is published
    late does not shift them.
    """
    if not export.active:
        return False
    done = [
        run
        for run in store.scalars(select(ExportRun).where(ExportRun.export_id == export.id))
        if run.status in (SENT, SUPPRESSED)
    ]
    if any(run.published_version == published_version for run in done):
        return False
    newest = max((run.as_of_date for run in done), default=None)
    if newest is None or export.schedule == "each_publish":
        return True
    if export.schedule == "once":
        return False
    return as_of_date >= newest + timedelta(days=7 if export.schedule == "weekly" else 1)


def config_of(export: Export) -> ExportConfig:
    """Return the settings of an export."""
    return ExportConfig.model_validate(export.config)


def _checked_config(config: ExportConfig | Mapping[str, Any]) -> ExportConfig:
    if isinstance(config, ExportConfig):
        return config
    try:
        return ExportConfig.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ExportError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _check_destination(target: str, config: ExportConfig) -> None:
    if target not in PREFIXES:
        return
    known = destinations(target)
    if config.destination not in known:
        there = f"there are {', '.join(known)}" if known else "there is none"
        raise ExportError(
            f"{config.destination or 'nothing'!r} is no destination of a {target}: {there}. Who runs Tagloom adds one "
            f"as the environment variable {variable_of(target, 'name').removesuffix('NAME')}<NAME>."
        )
    if target == "table" and not _TABLE.fullmatch(config.table):
        raise ExportError(
            f"{config.table!r} is no name of a table; write lower-case letters, digits and underscores, such as "
            "spring_mailing or crm.spring_mailing."
        )


def _check_columns(columns: Sequence[str], tags: Mapping[str, Tag], config: ExportConfig) -> None:
    if len(columns) > LONGEST_COLUMNS:
        raise ExportError(f"{len(columns)} columns are more than {LONGEST_COLUMNS}; choose fewer tags.")
    for column in columns:
        if column not in tags or column in OWN_COLUMNS:
            raise ExportError(f"{column!r} is no published tag of persons; choose one from the catalogue.")
        if tags[column].personal_data == "direct" and not config.sees_personal:
            raise ExportError(f"{column} is personal data that you may not read; leave it out.")
