"""What a handler gets and gives back: the user, the snapshot, the store, and ways to answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tagloom.portal.authentication import User, user_of
from tagloom.portal.languages import LANGUAGES, preferred_language, translate
from tagloom.portal.rendering import render
from tagloom.portal.rights import may
from tagloom.portal.security import secure_cookie
from tagloom.portal.store import audit
from tagloom.settings import Settings

if TYPE_CHECKING:
    from tagloom.portal.serving import Snapshot

LANGUAGE_COOKIE = "tagloom_language"
THEME_COOKIE = "tagloom_theme"
NOTICE_COOKIE = "tagloom_notice"
THEMES = ("auto", "light", "dark")
YEAR_SECONDS = 365 * 86_400


class Page:
    """One request: everything a handler may use, and its answer. It belongs to one thread at a time."""

    def __init__(self, request: Request, user: User | None, form: FormData):
        self.request = request
        self.user = user
        self.form = form
        """Fields of a posted form; empty for any other request."""
        self.status = 200
        """Status of the next `render`."""

    @property
    def settings(self) -> Settings:
        """Settings of this installation."""
        return self.request.app.state.settings

    @cached_property
    def snapshot(self) -> Snapshot:
        """The published version that this request reads from beginning to end.

        Raises tagloom.portal.serving.NothingPublished before the first publish.
        """
        return self.request.app.state.serving.snapshot()

    @cached_property
    def store(self) -> Session:
        """What people saved. `render`, `redirect`, `json` and `audit` commit; an error before them changes nothing."""
        return self.request.app.state.store.session()

    @cached_property
    def language(self) -> str:
        """The reader's language, one of languages.LANGUAGES: as chosen, else as the browser prefers."""
        return page_language(self.request)

    @property
    def theme(self) -> str:
        """The reader's choice: auto (as Airflow around it, else as the system), light or dark."""
        chosen = self.request.cookies.get(THEME_COOKIE)
        return chosen if chosen in THEMES else "auto"

    @property
    def root(self) -> str:
        """Where the portal is mounted: /tagloom within Airflow, empty alone."""
        return self.request.scope.get("root_path", "").rstrip("/")

    @property
    def path(self) -> str:
        """The path within the portal, for example /tags."""
        return self.request.scope["path"].removeprefix(self.root) or "/"

    def t(self, text: str, **values: object) -> str:
        """Return an English text of the portal in the reader's language; `{name}` takes a value."""
        return translate(text, self.language, **values)

    def title(self, thing: object) -> str:
        """Return the title of a tag, an event or anything with `title` and `title_zh`, in the reader's language."""

        def get(name: str) -> str | None:
            return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)

        return (self.language == "zh" and get("title_zh")) or get("title") or ""

    def may(self, right: str) -> bool:
        """Tell whether the user has a right of rights.RIGHTS."""
        return self.user is not None and may(self.user, right)

    def url(self, path: str, **query: object) -> str:
        """Return the address of a page of the portal, wherever it is mounted; a query value of None is left out."""
        given = {name: value for name, value in query.items() if value is not None and value != ""}
        return f"{self.root}{quote(path, safe='/%')}" + (f"?{urlencode(given, doseq=True)}" if given else "")

    def here(self, **query: object) -> str:
        """Return the address of this page with these query values in place of its own."""
        return self.url(self.path, **({**self.request.query_params, **query}))

    def audit(self, action: str, subject: str, detail: str = "") -> None:
        """Write into the audit log what the user did, and commit it together with the change."""
        assert self.user is not None
        name = self.user.name + (f" ({self.user.token})" if self.user.token else "")
        client = self.request.client.host if self.request.client else ""
        audit.record(self.store, name, self.user.role or "", action, subject, detail, client)
        self.store.commit()

    def render(self, template: str, **context: object) -> HTMLResponse:
        """Answer with templates/<template>; it gets `page`, `t` (also as `_`), `may`, `url` and the context."""
        self.commit()
        notice = unquote(self.request.cookies.get(NOTICE_COOKIE, ""))
        response = HTMLResponse(render(template, self, notice=notice, **context), self.status)
        if notice:
            response.delete_cookie(NOTICE_COOKIE, **secure_cookie(self.request))
        return response

    def redirect(self, path: str, notice: str = "") -> RedirectResponse:
        """Answer a POST by sending the browser to another page of the portal, which shows the notice once.

        `path` is what `url` takes, with a query already in it if there is one.
        """
        self.commit()
        response = RedirectResponse(f"{self.root}{path}", status_code=303)
        if notice:
            response.set_cookie(NOTICE_COOKIE, quote(notice), max_age=60, **secure_cookie(self.request))
        return response

    def json(self, data: object, status: int = 200) -> JSONResponse:
        """Answer with JSON; dates become ISO text, decimals numbers."""
        self.commit()
        return JSONResponse(json.loads(json.dumps(data, default=_plain)), status)

    def download(self, content: bytes, name: str, media_type: str) -> Response:
        """Answer with a file that the browser saves under `name`."""
        self.commit()
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return Response(content, media_type=media_type, headers={"content-disposition": disposition})

    def commit(self) -> None:
        """Commit what was changed in the store, if it was opened at all."""
        if "store" in self.__dict__:
            self.store.commit()

    def close(self) -> None:
        """Give the store's session back; what was not committed is undone."""
        if "store" in self.__dict__:
            self.store.close()


def page_language(request: Request) -> str:
    """Return the language of whoever sent this request, one of languages.LANGUAGES."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in LANGUAGES else preferred_language(request.headers.get("accept-language", ""))


async def page_of(request: Request, user: User = Depends(user_of)) -> AsyncIterator[Page]:
    """Dependency of every handler: `page: Page = Depends(page_of)`."""
    kind = request.headers.get("content-type", "")
    posted = kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data"))
    page = Page(request, user, await request.form(max_files=10, max_fields=1_000) if posted else FormData())
    try:
        yield page
    finally:
        await run_in_threadpool(page.close)


def _plain(value: object) -> object:
    from datetime import date, datetime
    from decimal import Decimal

    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON.")
