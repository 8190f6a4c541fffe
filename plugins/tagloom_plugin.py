"""The Airflow plugin: mounts the portal in the API server and adds it to the navigation."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

URL_PREFIX = "/tagloom"

_ROOT = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + URL_PREFIX


class Portal:
    """The portal, made by the first request: every process of Airflow imports plugins, only one serves pages.

    Airflow protects nothing of a mounted app; the portal asks each request itself.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # Making it takes seconds, in which Airflow's own pages must not stand still.
        app = self._app or await asyncio.to_thread(self._made)
        await app(scope, receive, send)

    def _made(self) -> ASGIApp:
        with self._lock:
            if self._app is None:
                from tagloom.orchestration.portal_login import AirflowLogin
                from tagloom.portal.app import create_app
                from tagloom.settings import load_settings

                self._app = create_app(load_settings(), AirflowLogin())
            return self._app


class TagloomPlugin(AirflowPlugin):
    """What Airflow reads."""

    name = "tagloom"
    fastapi_apps: ClassVar[list[Any]] = [{"app": Portal(), "url_prefix": URL_PREFIX, "name": "Tagloom"}]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Tagloom",
            "href": f"{_ROOT}/",
            "destination": "nav",
            "url_route": "tagloom",
            "icon": f"{_ROOT}/static/icon.svg",
            "icon_dark_mode": f"{_ROOT}/static/icon-dark.svg",
            "nav_top_level": True,
        }
    ]
