"""Who is in front of the portal. Where users come from is somebody else's business: Airflow's, or a test's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fastapi import Request

from tagloom.portal.errors import NotSignedInError


@dataclass(frozen=True)
class User:
    """Somebody who is signed in, or a program with a token."""

    name: str
    """Unique and stable: what the audit log and owners say."""
    display_name: str
    role: str | None
    """One of rights.ROLES; None: known, but nothing here is open to them."""
    token: str | None = None
    """Name of the API token that was used; None for a person with a session."""


class Authentication(Protocol):
    """Where users come from."""

    async def user(self, request: Request) -> User | None:
        """Return who sent this request, None when nobody is signed in."""

    def login_url(self, request: Request, back: str) -> str | None:
        """Return where to sign in and come back to `back` (a path with its query) afterwards; None: nowhere."""

    def logout_url(self, request: Request) -> str | None:
        """Return where to sign out; None: there is nothing to sign out of."""


class Anonymous:
    """Nobody is ever signed in: what an app without a log-in of its own has, where only API tokens open anything."""

    async def user(self, request: Request) -> User | None:
        """Nobody."""
        return None

    def login_url(self, request: Request, back: str) -> str | None:
        """Nowhere."""
        return None

    def logout_url(self, request: Request) -> str | None:
        """Nowhere."""
        return None


async def user_of(request: Request) -> User:
    """Dependency: the user of this request, counted against the rate limit.

    On paths below /api/ a bearer token of ours is taken in place of a session. Raises NotSignedInError
    and TooManyRequestsError.
    """
    known = getattr(request.state, "tagloom_user", None)
    if known is not None:
        return known
    state = request.app.state
    user = await state.tokens.user(request) or await state.authentication.user(request)
    client = request.client.host if request.client else "unknown"
    state.limiter.take(f"user {user.name}" if user else f"address {client}")
    if user is None:
        raise NotSignedInError()
    request.state.tagloom_user = user
    return user
