"""The portal over a small made-up world, and clients that are signed in as each role."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.testclient import TestClient
from tagloom.audiences import library
from tagloom.portal.app import create_app
from tagloom.portal.authentication import User
from tagloom.settings import Settings

from tests.portal.airflow_server import AirflowPortal, airflow_server, free_port
from tests.portal.world import make_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ORIGIN = "http://testserver"

CHROMIUM = Path("/usr/bin/chromium")


class Headers:
    """An authentication for tests: the header X-User says `name role`."""

    async def user(self, request: Request) -> User | None:
        name, _, role = request.headers.get("x-user", "").partition(" ")
        return User(name, name.capitalize(), role or None) if name else None

    def login_url(self, request: Request, back: str) -> str | None:
        return f"/auth/login?next={back}"

    def logout_url(self, request: Request) -> str | None:
        return "/auth/logout"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home with a published version of 2,000 made-up persons; read it, change nothing in it."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def app(world: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FastAPI:
    """The portal over the world, with a store of its own for each test."""
    monkeypatch.setenv("TAGLOOM_PORTAL_DATABASE", f"sqlite:///{tmp_path / 'portal.sqlite'}")
    return create_app(world, Headers(), requests_per_minute=100_000)


@pytest.fixture
def client_as(app: FastAPI) -> Iterator[Callable[..., TestClient]]:
    """Give a client for a role: client_as("analyst"); client_as(None) is nobody. It sends what a page of ours sends.

    `client_as("viewer", name="zoe", language="zh")` names the user and the language; redirects are not followed.
    """
    clients: list[TestClient] = []

    def make(role: str | None, name: str = "ada", language: str = "en") -> TestClient:
        headers = {"origin": ORIGIN, "accept-language": language, "accept": "text/html"}
        if role is not None:
            headers["x-user"] = f"{name} {role}"
        client = TestClient(app, base_url=ORIGIN, headers=headers, follow_redirects=False, raise_server_exceptions=True)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium; the tests that need it are skipped where it is not installed.

    Of each file its own: Playwright allows one at a time in a process, and others have theirs.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def portal_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a portal that really listens, with one audience; the header X-User (`name role`) says who asks."""
    settings = make_world(tmp_path_factory.mktemp("served"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAGLOOM_PORTAL_DATABASE", raising=False)
        app = create_app(settings, Headers(), requests_per_minute=100_000)
    rule = {"combinator": "and", "rules": [{"field": "tag:rfm_segment", "operator": "in", "value": ["champion"]}]}
    with app.state.store.transaction() as session:
        library.save(session, {"schema": 1, "rule": rule}, "Champions", by="ada")
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def airflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Airflow API server with the portal over a world of its own."""
    with airflow_server(make_world(tmp_path_factory.mktemp("airflow"))) as url:
        yield url


@pytest.fixture(scope="module")
def airflow_portal(airflow_url: str, browser: Browser) -> Iterator[AirflowPortal]:
    """The portal within Airflow, and pages that are signed in to it; mark its tests slow."""
    portal = AirflowPortal(airflow_url, browser)
    yield portal
    portal.close()
