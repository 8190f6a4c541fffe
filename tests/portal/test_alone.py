"""`python -m tagloom portal`: the portal in a process of its own, with Airflow's log-in beside it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tagloom.portal.portal_commands import portal_port
from tagloom.settings import PROJECT, SettingsError

from tests.portal.airflow_server import free_port, wait_for
from tests.portal.world import make_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@dataclass
class Alone:
    url: str
    said: str
    """What the command has printed."""

    @property
    def password(self) -> str:
        return re.search(r"^password +(\S+)$", self.said, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    home = make_world(tmp_path_factory.mktemp("alone")).home
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TAGLOOM"))}
    ours = {"TAGLOOM_HOME": str(home), "TAGLOOM_IDENTITY_KEY": "k" * 40, "PYTHONPATH": str(PROJECT / "plugins")}
    log = Path(home) / "portal.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tagloom", "portal", "--port", str(port)],
            env=kept | ours,
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://localhost:{port}"
    try:
        wait_for(process, f"{url}/health", log)
        yield Alone(url, log.read_text(encoding="utf-8"))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


@pytest.mark.slow
def test_a_visitor_signs_in_and_out(alone: Alone, browser: Browser) -> None:
    from playwright.sync_api import expect

    page = browser.new_page(locale="en-GB")
    page.goto(f"{alone.url}/admin/rights")
    expect(page).to_have_url(re.compile("/auth/login"), timeout=60_000)
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(alone.password)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_text("You are admin, admin.")).to_be_visible(timeout=60_000)

    page.get_by_label("Account of admin").click()
    page.get_by_role("link", name="Sign out").click()
    expect(page).to_have_url(re.compile("/auth/login"), timeout=60_000)
    page.goto(f"{alone.url}/admin/rights")
    expect(page).to_have_url(re.compile("/auth/login"))
    page.close()


@pytest.mark.slow
def test_nothing_of_airflow_but_its_log_in_is_there(alone: Alone) -> None:
    token = httpx.post(f"{alone.url}/auth/token", json={"username": "admin", "password": alone.password}).json()
    signed_in = {"authorization": f"Bearer {token['access_token']}"}

    assert httpx.get(f"{alone.url}/tags").status_code == 401
    assert httpx.get(f"{alone.url}/tags", headers=signed_in).status_code == 200
    for path in ("/api/v2/dags", "/api/v2/version", "/execution/health", "/docs", "/openapi.json"):
        assert httpx.get(f"{alone.url}{path}", headers=signed_in).status_code == 404, path


def test_the_port_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGLOOM_PORTAL_PORT", "9000")
    assert portal_port() == 9000

    monkeypatch.setenv("TAGLOOM_PORTAL_PORT", "ninety")
    with pytest.raises(SettingsError, match="TAGLOOM_PORTAL_PORT"):
        portal_port()
