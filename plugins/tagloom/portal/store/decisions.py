"""What stewards asked for, what became of it, and what the portal shows of the warehouse besides published versions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tagloom.portal.store.base import Base, Moment

WAITING, RUNNING, DONE, REFUSED, FAILED, CANCELLED = "waiting", "running", "done", "refused", "failed", "cancelled"
"""What may be the state of a request. Refused: the decision contradicts others. Failed: a simulation broke."""

OPEN = (WAITING, RUNNING)


class SteeringRequest(Base):
    """One decision about identifiers, one withdrawal of a batch, or one simulation, asked for in the portal.

    Identifiers are held by type and hash. The row stays when it is done: it is the log.
    """

    __tablename__ = "steering_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """link, never_link, block, split, withdraw, simulate"""
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    """left, right: {type, hash}; person and identifiers of a split; batch; policy (text), decisions, only_identity."""
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str] = mapped_column(String(200))
    asked_at: Mapped[datetime] = mapped_column(Moment)
    """With asked_by it marks the batch of decisions that the request became."""
    status: Mapped[str] = mapped_column(String(20), default=WAITING, index=True)
    answer: Mapped[str] = mapped_column(Text, default="")
    """What became of it, one sentence."""
    batch: Mapped[int | None] = mapped_column()
    """Batch of decisions that it became."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What a simulation found, see tagloom.identity.differences.Simulation."""
    finished_at: Mapped[datetime | None] = mapped_column(Moment)


class SteeringNote(Base):
    """A copy of something small in the warehouse, such as the review queue: readers cannot open the warehouse."""

    __tablename__ = "steering_notes"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    """suspects, reviews, decisions, channels"""
    content: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    as_of_date: Mapped[date | None] = mapped_column(Date)
    """The day that the warehouse was built for."""
    taken_at: Mapped[datetime] = mapped_column(Moment)
    warehouse_changed_at: Mapped[float | None]
    """When the warehouse file was written last, seconds since 1970: unchanged, the note needs no renewal."""
