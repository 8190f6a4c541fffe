"""Who did what and when: each look-up of a person, each export, each change. Rows are added, never changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from tagloom.portal.store.base import Base, Moment, now


class AuditEntry(Base):
    """One deed of one user."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    user_name: Mapped[str] = mapped_column(String(200), index=True)
    role: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(80), index=True)
    """A verb and its object, for example `audience saved`, `person looked up`."""
    subject: Mapped[str] = mapped_column(String(200))
    """What it was done to, for example `audience:7`; never personal data in the clear."""
    detail: Mapped[str] = mapped_column(String(2000))
    address: Mapped[str] = mapped_column(String(80))
    """Network address of the client."""


def record(
    session: Session, user_name: str, role: str, action: str, subject: str, detail: str = "", address: str = ""
) -> None:
    """Add an entry; the caller commits it together with what was done."""
    session.add(
        AuditEntry(
            at=now(),
            user_name=user_name,
            role=role,
            action=action,
            subject=subject[:200],
            detail=detail[:2000],
            address=address,
        )
    )


def entries(
    session: Session, words: str = "", action: str = "", before: int | None = None, limit: int = 100
) -> list[AuditEntry]:
    """Return entries, newest first: those whose user, subject or detail contains `words`, with an id below `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if words:
        columns = (AuditEntry.user_name, AuditEntry.subject, AuditEntry.detail)
        query = query.where(
            columns[0].icontains(words, autoescape=True)
            | columns[1].icontains(words, autoescape=True)
            | columns[2].icontains(words, autoescape=True)
        )
    if action:
        query = query.where(AuditEntry.action == action)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(session.scalars(query))


def actions(session: Session) -> list[str]:
    """Return every action that was recorded, in alphabetical order."""
    return sorted(session.scalars(select(AuditEntry.action).distinct()))
