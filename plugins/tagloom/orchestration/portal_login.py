"""The portal's users are Airflow's: the same log-in, whichever auth manager Airflow has."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import get_user
from airflow.configuration import conf
from fastapi import HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool

from tagloom.portal.authentication import User
from tagloom.portal.rights import role_of


class AirflowLogin:
    """Takes the session cookie of Airflow, or an Airflow token in the Authorization header."""

    async def user(self, request: Request) -> User | None:
        """Return who is signed in to Airflow; without a role when Airflow lets them see nothing either."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = HTTPAuthorizationCredentials(scheme=scheme, credentials=token) if token else None
        try:
            user = await get_user(request, None, bearer)
        except HTTPException:
            # No token, an expired or a forged one: nobody.
            return None
        return await run_in_threadpool(_ours, user)

    def login_url(self, request: Request, back: str) -> str | None:
        """Return Airflow's log-in, which leads back afterwards."""
        address = urlsplit(str(request.base_url))
        return get_auth_manager().get_url_login(next_url=f"{address.scheme}://{address.netloc}{back}")

    def logout_url(self, request: Request) -> str | None:
        """Return Airflow's own way out: it also ends the token."""
        return f"{airflow_path()}/api/v2/auth/logout"


def airflow_path() -> str:
    """Return the path that Airflow is reached below, empty when it has a host of its own."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def _ours(user: BaseUser) -> User:
    roles = role_names(user)
    allowed = get_auth_manager().is_authorized_view(access_view=AccessView.WEBSITE, user=user)
    name = user.get_name()
    return User(name, _display_name(user) or name, role_of(roles) if allowed else None)


def role_names(user: BaseUser) -> list[str]:
    """Return the Airflow roles of a user: one name with the simple auth manager, objects with names with FAB."""
    many = getattr(user, "roles", None)
    if many is not None:
        return [str(getattr(role, "name", role)) for role in many]
    one = getattr(user, "role", None)
    return [str(one)] if one else []


def _display_name(user: BaseUser) -> str:
    parts = (getattr(user, "first_name", None), getattr(user, "last_name", None))
    return " ".join(part for part in parts if part)
