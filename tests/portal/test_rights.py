"""Who may open what: every route is walked as nobody and as each role."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount
from starlette.testclient import TestClient
from tagloom.portal.rights import RIGHTS, ROLES, needs, role_of
from tagloom.settings import SettingsError

OPEN = {"/health"}
"""Routes that need no log-in; they say nothing."""

VALUES = {"object": "person", "tag": "lifecycle_stage", "format": "csv"}


def _routes(app: FastAPI) -> Iterator[APIRoute]:
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route
        elif not isinstance(route, Mount):
            yield from getattr(route, "routes", [])


def _calls(app: FastAPI) -> Iterator[tuple[str, str, set[str]]]:
    """Yield method, path and the rights that each route needs."""
    for route in _routes(app):
        if route.path in OPEN:
            continue
        rights = {right for dependency in route.dependant.dependencies if (right := _right(dependency.call))}
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: VALUES.get(found[1], "1"), route.path)
        for method in sorted(route.methods):
            yield method, path, rights


def _right(call: Callable[..., object] | None) -> str | None:
    return getattr(call, "right", None)


def test_every_route_says_which_right_it_needs(app: FastAPI) -> None:
    without = [f"{method} {path}" for method, path, rights in _calls(app) if not rights]

    assert without == []


def test_only_built_files_are_open_to_everybody(app: FastAPI) -> None:
    mounted = [route.path for route in app.routes if isinstance(route, Mount)]

    assert mounted == ["/static"]
    assert {route.path for route in _routes(app)} >= OPEN


def test_nobody_gets_in_anywhere(app: FastAPI, client_as: Callable[..., TestClient]) -> None:
    client = client_as(None)
    client.headers["accept"] = "application/json"
    let_in = [
        f"{method} {path}: {answer.status_code}"
        for method, path, _ in _calls(app)
        if (answer := client.request(method, path)).status_code != 401
    ]

    assert let_in == []


@pytest.mark.parametrize("role", [*ROLES, "none"])
def test_a_role_gets_in_where_its_rights_say_so_and_nowhere_else(
    app: FastAPI, client_as: Callable[..., TestClient], role: str
) -> None:
    client = client_as(role)
    client.headers["accept"] = "application/json"
    wrong = []
    for method, path, rights in _calls(app):
        allowed = rights <= ROLES.get(role, frozenset())
        # What is allowed would change things: that is tested page by page.
        if allowed and method != "GET":
            continue
        answer = client.request(method, path)
        if (answer.status_code in (401, 403)) == allowed or (answer.status_code >= 500 and answer.status_code != 503):
            wrong.append(f"{method} {path}: {answer.status_code}, allowed: {allowed}")

    assert wrong == []


def test_someone_who_is_not_signed_in_is_led_to_the_log_in_and_back(client_as: Callable[..., TestClient]) -> None:
    answer = client_as(None).get("/admin/tokens?x=1")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/auth/login?next=/admin/tokens?x=1"


def test_a_page_without_the_right_says_what_is_missing(client_as: Callable[..., TestClient]) -> None:
    answer = client_as("viewer").get("/admin/audit")

    assert answer.status_code == 403
    assert "administer" in answer.text


def test_a_right_that_does_not_exist_is_a_mistake_at_once() -> None:
    with pytest.raises(ValueError, match="no right 'fly'"):
        needs("fly")


def test_the_best_of_several_airflow_roles_counts() -> None:
    assert role_of(["Viewer", "Tagloom Marketer"]) == "marketer"
    assert role_of(["Admin"]) == "admin"
    assert role_of(["Public"]) is None


def test_roles_can_be_given_by_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGLOOM_PORTAL_ROLES", "Campaigns=marketer, Viewer=none")

    assert role_of(["campaigns"]) == "marketer"
    assert role_of(["Viewer"]) is None


@pytest.mark.parametrize("text", ["Campaigns=king", "=admin", "admin"])
def test_a_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TAGLOOM_PORTAL_ROLES", text)

    with pytest.raises(SettingsError, match="TAGLOOM_PORTAL_ROLES"):
        role_of(["Viewer"])


def test_an_administrator_has_every_right() -> None:
    assert ROLES["admin"] == set(RIGHTS)
