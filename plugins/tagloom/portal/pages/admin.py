"""Rights, API tokens and the audit log."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tagloom.portal.errors import ForbiddenError, NotFoundError, PortalError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import RIGHTS, ROLES, airflow_roles, may, needs
from tagloom.portal.store import audit, tokens
from tagloom.portal.store.base import now

router = APIRouter()

ENTRIES = 100
"""Entries of the audit log on one page."""


@router.get("/admin/rights", dependencies=[needs("see")])
def rights(page: Page = Depends(page_of)) -> Response:
    """Show the one table of roles and rights, and what the reader may do."""
    given: dict[str, list[str]] = {role: [] for role in ROLES}
    for theirs, ours in airflow_roles().items():
        given.setdefault(ours, []).append(theirs)
    return page.render("admin/rights.html", rights=RIGHTS, roles=ROLES, given=given)


@router.get("/admin/tokens", dependencies=[needs("see")])
def list_tokens(page: Page = Depends(page_of)) -> Response:
    """Show the reader's API tokens; an administrator's page shows everybody's."""
    return _tokens_page(page)


@router.post("/admin/tokens", dependencies=[needs("see")])
def create_token(page: Page = Depends(page_of)) -> Response:
    """Make a token of at most the reader's own rights, and show it this one time."""
    role = str(page.form.get("role", ""))
    if role not in _roles_to_give(page):
        raise ForbiddenError("administer", "A token can have at most your own rights.")
    days = str(page.form.get("days", ""))
    try:
        token, text = tokens.create(
            page.store, str(page.form.get("name", "")), role, page.user.name, int(days) if days.isdecimal() else 0
        )
    except ValueError as error:
        raise PortalError(str(error)) from error
    page.audit("token created", f"token:{token.id}", f"{token.name}, role {role}, until {token.expires_at:%Y-%m-%d}")
    return _tokens_page(page, text)


@router.post("/admin/tokens/{number}/revoke", dependencies=[needs("see")])
def revoke_token(number: int, page: Page = Depends(page_of)) -> Response:
    """End a token of one's own; an administrator ends anybody's."""
    token = page.store.get(tokens.ApiToken, number)
    if token is None or not (token.owner == page.user.name or page.may("administer")):
        raise NotFoundError("There is no such token.")
    tokens.revoke(page.store, token)
    page.audit("token revoked", f"token:{token.id}", token.name)
    return page.redirect("/admin/tokens", page.t("The token opens nothing any more."))


@router.get("/admin/audit", dependencies=[needs("administer")])
def audit_log(page: Page = Depends(page_of), q: str = "", action: str = "", before: int | None = None) -> Response:
    """Show who did what, newest first."""
    found = audit.entries(page.store, q, action, before, ENTRIES + 1)
    older = found[ENTRIES - 1].id if len(found) > ENTRIES else None
    return page.render(
        "admin/audit.html", entries=found[:ENTRIES], older=older, q=q, action=action, actions=audit.actions(page.store)
    )


def _tokens_page(page: Page, created: str = "") -> Response:
    owner = None if page.may("administer") else page.user.name
    return page.render(
        "admin/tokens.html",
        tokens=tokens.tokens(page.store, owner),
        created=created,
        roles=_roles_to_give(page),
        now=now(),
    )


def _roles_to_give(page: Page) -> list[str]:
    return [role for role, rights in ROLES.items() if all(may(page.user, right) for right in rights)]
