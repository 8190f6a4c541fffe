"""Who may do what in the portal: one table of roles and rights, and how Airflow's roles become ours."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency

from tagloom.portal.authentication import User, user_of
from tagloom.portal.errors import ForbiddenError
from tagloom.settings import SettingsError

RIGHTS: Mapping[str, str] = {
    "see": "Read tags, audiences, charts and quality; groups of fewer than ten persons stay hidden",
    "build": "Make and change audiences, charts and dashboards",
    "export": "Send an audience to a file, a table or a system",
    "see_person": "Look up one person; what identifies the person stays masked",
    "see_personal": "Read personal data of a person, and groups of fewer than ten",
    "steer_identity": "Decide who is who: split, link, review",
    "override": "Release what a failed check holds back",
    "administer": "Read the audit log, make tokens for other people",
}
"""Right -> what it lets a person do."""

ROLES: Mapping[str, frozenset[str]] = {
    "viewer": frozenset({"see"}),
    "analyst": frozenset({"see", "build"}),
    "marketer": frozenset({"see", "build", "export", "see_person"}),
    "steward": frozenset({"see", "build", "see_person", "see_personal", "steer_identity", "override"}),
    "admin": frozenset(RIGHTS),
}
"""Role -> its rights."""

AIRFLOW_ROLES: Mapping[str, str] = {
    "viewer": "viewer",
    "user": "analyst",
    "op": "steward",
    "admin": "admin",
    "tagloom viewer": "viewer",
    "tagloom analyst": "analyst",
    "tagloom marketer": "marketer",
    "tagloom steward": "steward",
    "tagloom admin": "admin",
}
"""Role in Airflow, in lower case -> role here. A role that is not named, such as Public, opens nothing."""


def airflow_roles() -> dict[str, str]:
    """Return the table from Airflow's roles to ours: AIRFLOW_ROLES, overlaid by TAGLOOM_PORTAL_ROLES.

    The variable reads `Airflow role=role, ...`, for example `Campaigns=marketer, Viewer=none`.
    Raises SettingsError when it names a role that does not exist here.
    """
    roles = dict(AIRFLOW_ROLES)
    for entry in os.environ.get("TAGLOOM_PORTAL_ROLES", "").split(","):
        if not entry.strip():
            continue
        theirs, _, ours = (part.strip() for part in entry.partition("="))
        if ours not in (*ROLES, "none") or not theirs:
            raise SettingsError(
                f"TAGLOOM_PORTAL_ROLES says {entry.strip()!r}; write `Airflow role=role`, where role is one of "
                f"{', '.join(ROLES)} or none."
            )
        roles[theirs.lower()] = ours
    return roles


def role_of(airflow_names: Iterable[str]) -> str | None:
    """Return the role with the most rights among those that these Airflow roles stand for, or None."""
    table = airflow_roles()
    roles = {table.get(name.lower(), "none") for name in airflow_names} - {"none"}
    return max(roles, key=lambda role: (len(ROLES[role]), role), default=None)


def may(user: User, right: str) -> bool:
    """Tell whether the user has the right."""
    return right in ROLES.get(user.role or "", frozenset())


def needs(right: str) -> Dependency:
    """Return the dependency that lets only users with this right pass: 401 for nobody, 403 without the right.

    Every route has it: `@router.get("/tags", dependencies=[needs("see")])`.
    """
    if right not in RIGHTS:
        raise ValueError(f"There is no right {right!r}; rights are {', '.join(RIGHTS)}.")

    def check(request: Request, user: User = Depends(user_of)) -> User:
        if not may(user, right):
            raise ForbiddenError(right)
        return user

    check.right = right
    return Depends(check)
