"""Tables of saved audiences: every version of a definition, what each publish made of it, and where it is sent."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Date, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tagloom.portal.store.base import Base, Moment

TARGETS = ("csv", "parquet", "webhook", "table")
"""Where an export may go."""

SCHEDULES = ("each_publish", "daily", "weekly", "once")
"""When an export is due; days are days of the data, not of the clock."""

SENDING, SENT, HELD, FAILED, SUPPRESSED = "sending", "sent", "held", "failed", "suppressed"
"""What may be the state of an export's run. Sending: it is under way, or was killed. Suppressed: nobody may be sent."""


class Audience(Base):
    """One saved audience; a deleted one stays, so that its runs can still be explained."""

    __tablename__ = "audiences"
    __table_args__ = (
        Index(
            "one_audience_of_a_name",
            "folder",
            "name",
            unique=True,
            sqlite_where=text("deleted_at is null"),
            postgresql_where=text("deleted_at is null"),
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    """Unique within its folder among those that are not deleted."""
    folder: Mapped[str] = mapped_column(String(120), default="")
    """Levels separated by a slash; empty: the top."""
    owner: Mapped[str] = mapped_column(String(200))
    """User name of who answers for it."""
    description: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)


class AudienceVersion(Base):
    """One version of an audience's definition; never changed once it is written."""

    __tablename__ = "audience_versions"

    audience_id: Mapped[int] = mapped_column(ForeignKey("audiences.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    """1, 2, 3 ..."""
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """As in tagloom.audiences.rules."""
    note: Mapped[str] = mapped_column(Text, default="")
    """Why it was changed."""
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(Moment)


class AudienceRun(Base):
    """What a published version made of an audience. The last row of an audience says who is in it now."""

    __tablename__ = "audience_runs"
    __table_args__ = (Index("runs_of_an_audience", "audience_id", "id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    audience_id: Mapped[int] = mapped_column(ForeignKey("audiences.id"))
    version_number: Mapped[int] = mapped_column(Integer)
    published_version: Mapped[str] = mapped_column(String(60))
    as_of_date: Mapped[date] = mapped_column(Date)
    """The last day that the published version knows of."""
    size: Mapped[int] = mapped_column(Integer)
    """Members; those held out count."""
    entered: Mapped[int] = mapped_column(Integer)
    """Members that were not in the run before; everybody in the first run."""
    stayed: Mapped[int] = mapped_column(Integer)
    left_count: Mapped[int] = mapped_column(Integer)
    """Members of the run before that are not in this one."""
    computed_at: Mapped[datetime] = mapped_column(Moment)


class Export(Base):
    """Where the members of an audience go, in which form and when."""

    __tablename__ = "exports"
    __table_args__ = (
        Index(
            "one_export_of_a_name",
            "audience_id",
            "name",
            unique=True,
            sqlite_where=text("deleted_at is null"),
            postgresql_where=text("deleted_at is null"),
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    audience_id: Mapped[int] = mapped_column(ForeignKey("audiences.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    target: Mapped[str] = mapped_column(String(20))
    columns: Mapped[list[str]] = mapped_column(JSON)
    """Tags that are sent besides the person; the person_id is always there."""
    schedule: Mapped[str] = mapped_column(String(20))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    """See tagloom.audiences.export_book.ExportConfig."""
    owner: Mapped[str] = mapped_column(String(200))
    """User name of who made it: their rights decide what it may hold."""
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)


class ExportRun(Base):
    """What became of an export with one published version. There is one row for both: it is sent once."""

    __tablename__ = "export_runs"
    __table_args__ = (UniqueConstraint("export_id", "published_version"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    export_id: Mapped[int] = mapped_column(ForeignKey("exports.id"))
    published_version: Mapped[str] = mapped_column(String(60))
    version_number: Mapped[int] = mapped_column(Integer)
    """Version of the audience's definition."""
    as_of_date: Mapped[date] = mapped_column(Date)
    started_at: Mapped[datetime] = mapped_column(Moment)
    """Of the last attempt."""
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    attempts: Mapped[int] = mapped_column(Integer, default=1)
    rows: Mapped[int] = mapped_column(Integer, default=0)
    """Persons sent."""
    batches: Mapped[int] = mapped_column(Integer, default=0)
    """Batches that a webhook has taken: where a killed run goes on."""
    form: Mapped[str] = mapped_column(String(12), default="")
    """Hash of definition, columns and settings: a run that was made with others does not go on, it begins again."""
    held_out: Mapped[int] = mapped_column(Integer, default=0)
    """Members that are left out to compare with."""
    withheld: Mapped[int] = mapped_column(Integer, default=0)
    """Members that are left out for want of consent, or because they objected."""
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text, default="")
    """Why it is held, failed or suppressed: one sentence."""
    file: Mapped[str] = mapped_column(String(400), default="")
    """What was written, below home/exports."""
