"""Tokens for programs that use the API: shown once, kept as a hash, with a role and an end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from fastapi import Request
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from starlette.concurrency import run_in_threadpool

from tagloom.portal.authentication import User
from tagloom.portal.store.base import Base, Moment, Store, now

PREFIX = "tagloom_"
"""Every token begins with it, so that scanners of leaked secrets can find one."""

LONGEST_DAYS = 366


class ApiToken(Base):
    """One token; the token itself is nowhere."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the token; it has 256 random bits, so no salt is needed."""
    beginning: Mapped[str] = mapped_column(String(20))
    """Its first characters, by which its owner knows it again."""
    role: Mapped[str] = mapped_column(String(40))
    owner: Mapped[str] = mapped_column(String(200), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)

    def is_valid(self, at: datetime) -> bool:
        """Tell whether the token opens anything at this moment."""
        return self.revoked_at is None and at < self.expires_at


def create(session: Session, name: str, role: str, owner: str, days: int) -> tuple[ApiToken, str]:
    """Add a token and return it with its text, which nobody can be shown again.

    Raises ValueError when the name is empty or the token would live longer than LONGEST_DAYS.
    """
    if not name.strip():
        raise ValueError("A token needs a name that says which program uses it.")
    if not 1 <= days <= LONGEST_DAYS:
        raise ValueError(f"A token lives from 1 to {LONGEST_DAYS} days, not {days}.")
    text = PREFIX + secrets.token_urlsafe(32)
    begin = now()
    token = ApiToken(
        name=name.strip()[:100],
        hash=_hash(text),
        beginning=text[: len(PREFIX) + 4],
        role=role,
        owner=owner,
        created_at=begin,
        expires_at=begin + timedelta(days=days),
    )
    session.add(token)
    session.flush()
    return token, text


def revoke(session: Session, token: ApiToken) -> None:
    """End a token now; a second time changes nothing."""
    token.revoked_at = token.revoked_at or now()


def tokens(session: Session, owner: str | None = None) -> list[ApiToken]:
    """Return the tokens of one owner or of all, newest first."""
    query = select(ApiToken).order_by(ApiToken.id.desc())
    return list(session.scalars(query if owner is None else query.where(ApiToken.owner == owner)))


class Tokens:
    """Finds the user that a bearer token stands for."""

    def __init__(self, store: Store):
        self._store = store

    async def user(self, request: Request) -> User | None:
        """Return who the token of this request belongs to.

        None when there is none of ours, or it is unknown, revoked or expired. Only paths
        below /api/ take tokens: pages are for people.
        """
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if scheme.lower() != "bearer" or not text.startswith(PREFIX) or not path.startswith("/api/"):
            return None
        return await run_in_threadpool(self._find, text)

    def _find(self, text: str) -> User | None:
        with self._store.session() as session:
            token = session.scalars(select(ApiToken).where(ApiToken.hash == _hash(text))).one_or_none()
            moment = now()
            if token is None or not token.is_valid(moment):
                return None
            # To the minute: one write a minute and token is enough to see which are in use.
            if token.last_used_at is None or moment - token.last_used_at > timedelta(minutes=1):
                token.last_used_at = moment
                session.commit()
            return User(token.owner, f"{token.owner} ({token.name})", token.role, token.name)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
