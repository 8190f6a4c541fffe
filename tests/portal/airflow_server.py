"""A real `airflow api-server` with the portal in it, for tests with a browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tagloom.environment import airflow_environment
from tagloom.service import prepare_metadata
from tagloom.settings import PROJECT, Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

USERS = {"admin": "admin", "olga": "op", "uma": "user", "vera": "viewer"}
"""User -> role in Airflow; each one's password is their name and `-password`."""

START_SECONDS = 180

KEY = "a-key-that-only-the-tests-use-0123456789"


@dataclass
class AirflowPortal:
    """Where Airflow is, and how to come in with a browser."""

    url: str
    """Root of Airflow, without a slash at the end; the portal is at /tagloom/ below it."""
    browser: Browser
    _contexts: list[Any] = field(default_factory=list)

    def page(self, user: str | None = "admin", **context: Any) -> Page:
        """Open an empty page, signed in as one of USERS (None: as nobody); `context` as browser.new_context takes."""
        opened = self.browser.new_context(**{"viewport": {"width": 1400, "height": 900}, "locale": "en-GB", **context})
        self._contexts.append(opened)
        if user is not None:
            opened.add_cookies([{"name": "_token", "value": self.token(user), "url": self.url}])
        return opened.new_page()

    def token(self, user: str) -> str:
        """Sign in with user and password and return Airflow's token."""
        body = json.dumps({"username": user, "password": f"{user}-password"}).encode()
        request = urllib.request.Request(f"{self.url}/auth/token", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["access_token"]

    def close(self) -> None:
        """Close every page that was opened."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()


@contextmanager
def airflow_server(settings: Settings) -> Iterator[str]:
    """Start the API server over a home, give its address when it answers, and end it afterwards."""
    port = free_port()
    url = f"http://localhost:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AIRFLOW", "TAGLOOM", "DBT", "SODA"))]:
            patch.delenv(name)
        patch.setenv("TAGLOOM_IDENTITY_KEY", KEY)
        patch.setenv("TAGLOOM_PORT", str(port))
        patch.setenv(
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", ",".join(f"{user}:{role}" for user, role in USERS.items())
        )
        prepare_metadata(settings, lambda line: None)
        environment = os.environ | airflow_environment(settings)
    passwords = settings.airflow_home / "simple_auth_manager_passwords.json.generated"
    passwords.write_text(json.dumps({user: f"{user}-password" for user in USERS}), encoding="utf-8")
    log = settings.airflow_home / "api-server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(process, f"{url}/api/v2/monitor/health", log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(process: subprocess.Popen, address: str, log: Path) -> None:
    """Wait until the process answers at this address; raise RuntimeError with the end of its log when it does not."""
    begin = time.monotonic()
    while time.monotonic() - begin < START_SECONDS and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')[-3000:]}")
