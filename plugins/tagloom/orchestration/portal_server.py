"""The portal in a process of its own, with Airflow's log-in beside it: for who needs no DAGs, or to spread load."""

from __future__ import annotations

import uvicorn
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.middlewares.refresh_token import JWTRefreshMiddleware
from airflow.api_fastapi.core_api.routes.public.auth import auth_router
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from tagloom.orchestration.portal_login import AirflowLogin
from tagloom.portal.app import create_app
from tagloom.settings import Settings


def make_server(settings: Settings) -> FastAPI:
    """Return the portal at / with Airflow's log-in at /auth: its users, passwords, roles and tokens are Airflow's.

    Airflow's configuration must be in the environment and its metadata database prepared. Whoever is signed in to
    Airflow on the same host is signed in here too: the cookie is the same.
    """
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    manager = init_auth_manager(server)
    server.include_router(auth_router, prefix="/api/v2")
    server.mount("/", create_app(settings, AirflowLogin()))
    server.add_middleware(JWTRefreshMiddleware)
    for middleware, arguments in manager.get_fastapi_middlewares():
        server.add_middleware(middleware, **arguments)
    server.add_middleware(GZipMiddleware, minimum_size=1_024, compresslevel=5)
    return server


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until the process is asked to end."""
    uvicorn.run(make_server(settings), host=host, port=port, log_level="warning", server_header=False)
