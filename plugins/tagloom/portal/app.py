"""The portal as one ASGI app: alone under a server of its own, or mounted by the Airflow plugin."""

from __future__ import annotations

import logging
import os
from importlib import import_module

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tagloom.portal.authentication import Authentication
from tagloom.portal.errors import NotFoundError, NotSignedInError, PortalError, TooManyRequestsError
from tagloom.portal.languages import translate
from tagloom.portal.page import Page, page_language
from tagloom.portal.rendering import STATIC
from tagloom.portal.security import Limiter, Security
from tagloom.portal.serving import NothingPublishedError, QueryTooLongError, Serving
from tagloom.portal.store.base import open_store
from tagloom.portal.store.tokens import Tokens
from tagloom.settings import Settings, SettingsError

PAGES = (
    "tagloom.portal.pages.overview",
    "tagloom.portal.pages.tags",
    "tagloom.portal.pages.value",
    "tagloom.portal.pages.dashboards",
    "tagloom.portal.pages.audiences",
    "tagloom.portal.pages.exports",
    "tagloom.portal.pages.persons",
    "tagloom.portal.pages.identity",
    "tagloom.portal.pages.quality",
    "tagloom.portal.pages.runbook",
    "tagloom.portal.pages.admin",
    "tagloom.portal.api",
)
"""Modules with a `router`; each route of theirs says which right it needs."""

NAVIGATION = (
    ("Overview", "/", "see"),
    ("Tags", "/tags", "see"),
    ("Audiences", "/audiences", "see"),
    ("Customers", "/persons", "see_person"),
    ("Value", "/value", "see"),
    ("Dashboards", "/dashboards", "see"),
    ("Identity", "/identity", "see"),
    ("Quality", "/quality", "see"),
    ("Admin", "/admin/rights", "see"),
)
"""Title, path and right of each entry of the portal's own navigation."""

BELONGS_TO = {"exports": "audiences", "runbook": "quality"}
"""First part of a path -> that of the entry it stands below, where they differ."""

REQUESTS_PER_MINUTE = 1_200
"""What a user may ask for in a minute, unless TAGLOOM_PORTAL_REQUESTS_PER_MINUTE says otherwise."""

log = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    authentication: Authentication,
    serving: Serving | None = None,
    requests_per_minute: int | None = None,
) -> FastAPI:
    """Return the portal over one installation; who its users are, `authentication` says.

    Opens nothing: the published version, and the store with its tables, are opened by the first request that needs
    them. Raises SettingsError for a setting that is wrong.
    """
    app = FastAPI(title="Tagloom", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    app.state.authentication = authentication
    app.state.store = open_store(settings)
    app.state.tokens = Tokens(app.state.store)
    app.state.limiter = Limiter(requests_per_minute or _requests_per_minute())
    app.state.serving = serving or Serving(settings)
    for module in PAGES:
        app.include_router(import_module(module).router)
    app.add_api_route("/health", _health, methods=["GET"])
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.add_middleware(Security)
    app.add_exception_handler(PortalError, _portal_error)
    app.add_exception_handler(NothingPublishedError, _nothing_published)
    app.add_exception_handler(QueryTooLongError, _query_too_long)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(Exception, _unexpected)
    return app


def navigation(page: Page) -> list[tuple[str, str, bool]]:
    """Return title, path and "this is here" of the entries that the user may open."""
    part = page.path.split("/")[1]
    here = BELONGS_TO.get(part, part)
    return [(title, path, path.split("/")[1] == here) for title, path, right in NAVIGATION if page.may(right)]


def _requests_per_minute() -> int:
    text = os.environ.get("TAGLOOM_PORTAL_REQUESTS_PER_MINUTE") or str(REQUESTS_PER_MINUTE)
    if not text.isdecimal() or int(text) == 0:
        raise SettingsError(f"TAGLOOM_PORTAL_REQUESTS_PER_MINUTE must be a whole number above 0, not {text!r}.")
    return int(text)


async def _health() -> PlainTextResponse:
    """Say that the portal answers, and nothing else: anybody may ask."""
    return PlainTextResponse("ok")


class _Static(StaticFiles):
    """Built files; an address with a hash in it never means another content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = b"v=" in scope["query_string"] and response.status_code == 200
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        return response


def _portal_error(request: Request, error: PortalError) -> Response:
    if isinstance(error, NotSignedInError) and wants_page(request) and request.method == "GET":
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        login = request.app.state.authentication.login_url(request, back)
        if login:
            return RedirectResponse(login, 303)
    response = _answer(request, error)
    if isinstance(error, TooManyRequestsError):
        response.headers["retry-after"] = str(error.seconds)
    if isinstance(error, NotSignedInError):
        response.headers["www-authenticate"] = "Bearer"
    return response


def _nothing_published(request: Request, error: NothingPublishedError) -> Response:
    told = PortalError(
        "The portal shows what build_tags publishes, and no run of it has come to its end yet.",
        "Run `make demo`, or start the DAG build_tags in Airflow, and reload this page.",
    )
    told.status, told.title = 503, "Nothing is published yet"
    return _answer(request, told)


def _query_too_long(request: Request, error: QueryTooLongError) -> Response:
    told = PortalError("The question took longer than the portal allows, so it was stopped.", "Ask for less at once.")
    told.status, told.title = 504, "That took too long"
    return _answer(request, told)


def _http_error(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        return _answer(
            request, NotFoundError("There is no page at this address.", "Go to the overview, or use the navigation.")
        )
    told = PortalError(str(error.detail))
    told.status = error.status_code
    return _answer(request, told)


def _wrong_request(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    told = PortalError(f"{place or 'The request'}: {first['msg']}.", "Correct it and try again.")
    told.status = 422
    return _answer(request, told)


def _unexpected(request: Request, error: Exception) -> Response:
    # What it was stands in the log: an error's text may hold data.
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    told = PortalError("The portal made a mistake; it is in its log.", "Try again, and tell the data team if it stays.")
    told.status = 500
    return _answer(request, told)


def wants_page(request: Request) -> bool:
    """Tell whether a person looks at the answer, not a program."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return "text/html" in request.headers.get("accept", "") and not path.startswith("/api/")


def _answer(request: Request, error: PortalError) -> Response:
    if not wants_page(request):
        told = {"error": error.message, **({"cure": error.cure} if error.cure else {})}
        language = page_language(request)
        told = {name: translate(text, language, **error.values) for name, text in told.items()}
        return JSONResponse(told, error.status)
    from starlette.datastructures import FormData

    page = Page(request, getattr(request.state, "tagloom_user", None), FormData())
    page.status = error.status
    return page.render("errors/error.html", error=error)
