"""Requests to an HTTP API that answers in JSON: logging in, keeping its limits, and trying again when it fails."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from tagloom.fetching.fetch import ConnectionDetails, FetchError, short

# It logs every address, and the next page's may be as good as a login.
logging.getLogger("httpx").setLevel(logging.WARNING)

ATTEMPTS = 8
"""So many times a request is made before fetching gives up."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the second attempt and the most before any other; each pause is about twice the one before."""

PAUSE_JITTER = 1.0
"""Up to so many random seconds are added, so that many clients do not come back at the same moment."""

LONGEST_WAIT = 900.0
"""Seconds that an API may ask to wait by Retry-After; for a longer wait the run fails and is tried again later."""

TIMEOUT = httpx.Timeout(60, connect=20)
"""Seconds without any progress after which a request counts as failed."""

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may be gone at the next attempt."""

CURES = {
    401: "check login, password and extra of the connection",
    403: "check that the connection's user may read this",
    404: "correct reader.path or the connection's host",
}

KNOWN_EXTRA = (
    "token_url",
    "scope",
    "audience",
    "token_parameters",
    "client_authentication",
    "api_key_header",
    "headers",
)
"""What the connection's extra may hold; any other key is a spelling mistake."""

TOKEN_MARGIN = 30.0
"""Seconds before its end at which a token is renewed, but never more than a tenth of its life."""


class _TryAgainError(Exception):
    """A request failed in a way that may be gone soon; `wait` is what the API asked for, in seconds."""

    def __init__(self, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.wait = wait


@dataclass(frozen=True)
class Page:
    """One answer: where it came from, as text, parsed, and the address in its Link header that follows."""

    url: httpx.URL
    text: str
    document: object
    next_link: str | None


class Session:
    """Requests to one API: logged in, not too many at a time, made again when they fail.

    Raises FetchError, which begins with `what`.
    """

    def __init__(self, connection: ConnectionDetails, requests_per_second: float, what: str) -> None:
        self._connection = connection
        self._what = what
        self._interval = 1 / requests_per_second
        self._free_at = 0.0
        self._base = self._own_address()
        self._token: str | None = None
        self._token_ends = 0.0
        unknown = sorted(set(connection.options(*KNOWN_EXTRA)))
        if unknown:
            raise FetchError(
                f"{what}: extra of the connection has unknown keys {', '.join(unknown)}; known are "
                f"{', '.join(KNOWN_EXTRA)}",
                may_pass=False,
            )
        headers = {"Accept": "application/json", "User-Agent": "tagloom"} | (connection.extra.get("headers") or {})
        # Following a redirect could take the login to another host.
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT, follow_redirects=False)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def address(self, path: str) -> httpx.URL:
        """The address of a path below the connection's."""
        return httpx.URL(f"{str(self._base).rstrip('/')}/{path.lstrip('/')}")

    def is_own(self, url: httpx.URL) -> bool:
        """Whether an address is at the host that the login is for."""
        return (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)

    def describe(self, page: Page) -> str:
        """The beginning of a sentence about a page."""
        return f"{self._what}: {self._hide(str(page.url))}"

    def get(self, url: httpx.URL, may_be_missing: bool = False) -> Page | None:
        """One page; None when it may be missing and is (404)."""
        renewed = False

        def ask() -> httpx.Response:
            nonlocal renewed
            response = self._send("GET", url, headers=self._login_headers(), auth=self._basic())
            if response.status_code == 401 and self._connection.extra.get("token_url") and not renewed:
                # Tokens may be taken back before their time.
                renewed, self._token = True, None
                raise _TryAgainError("401, login expired", wait=0)
            return response

        response = self._repeated(ask, url)
        if response.status_code == 404 and may_be_missing:
            return None
        if response.status_code == 204:
            return Page(url, "null", None, None)
        if not response.is_success:
            cure = CURES.get(response.status_code, "correct reader.path and reader.parameters")
            if response.is_redirect:
                there = self._hide(response.headers.get("Location", ""))
                cure = f"it redirects to {there}; put the final address into the connection"
            raise FetchError(
                f"{self._what}: {self._hide(str(url))} answered {response.status_code}; {cure}. It begins: "
                f"{self._short(response.text)}",
                may_pass=False,
            )
        try:
            text = _decoded(response)
            document = json.loads(text)
        except (ValueError, LookupError, RecursionError) as error:
            raise FetchError(
                f"{self._what}: {self._hide(str(url))} answered with something that is not JSON; check the "
                f"connection's host and reader.path. It begins: {self._short(response.text)}"
            ) from error
        return Page(url, text, document, response.links.get("next", {}).get("url"))

    def _repeated(self, ask: Callable[[], httpx.Response], url: httpx.URL) -> httpx.Response:
        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgainError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            sleep=time.sleep,
            reraise=True,
        )
        try:
            return retrying(ask)
        except _TryAgainError as error:
            raise FetchError(
                f"{self._what}: {self._hide(str(url))} failed {ATTEMPTS} times, at last with: {self._short(error)}; "
                "check that the API is up and the connection's host, then run the task again"
            ) from error

    def _send(self, method: str, url: httpx.URL, **arguments: object) -> httpx.Response:
        time.sleep(max(0.0, self._free_at - time.monotonic()))
        self._free_at = time.monotonic() + self._interval
        try:
            response = self._client.request(method, url, **arguments)
        except httpx.RequestError as error:
            raise _TryAgainError(f"{type(error).__name__}: {error}") from error
        if response.status_code not in TRY_AGAIN:
            return response
        wait = _retry_after(response)
        if wait is not None and wait > LONGEST_WAIT:
            raise FetchError(
                f"{self._what}: {self._hide(str(url))} answered {response.status_code} and asks to wait {wait:.0f} s; "
                "run the task again after that, and lower reader.requests_per_second"
            )
        raise _TryAgainError(f"{response.status_code} {response.text}", wait)

    def _own_address(self) -> httpx.URL:
        host = self._connection.host or ""
        address = host if "://" in host else f"{self._connection.schema or 'https'}://{host}"
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise FetchError(
                f"{self._what}: the connection's host {host!r} is no address: {error}", may_pass=False
            ) from error
        if url.scheme not in ("http", "https") or not url.host:
            raise FetchError(
                f"{self._what}: the connection's host {host!r} is no address such as https://api.example.com/v2",
                may_pass=False,
            )
        return (
            url if self._connection.port is None or url.port is not None else url.copy_with(port=self._connection.port)
        )

    # Logging in

    def _basic(self) -> tuple[str, str] | None:
        connection = self._connection
        by_other = connection.extra.get("token_url") or connection.extra.get("api_key_header")
        return (connection.login, connection.password or "") if connection.login and not by_other else None

    def _login_headers(self) -> dict[str, str]:
        connection = self._connection
        if connection.extra.get("token_url"):
            return {"Authorization": f"Bearer {self._current_token()}"}
        if connection.extra.get("api_key_header"):
            return {connection.extra["api_key_header"]: connection.password or ""}
        if connection.password and not connection.login:
            return {"Authorization": f"Bearer {connection.password}"}
        return {}

    def _current_token(self) -> str:
        """OAuth 2 client credentials (RFC 6749, 4.4): login is the client's id, password its secret."""
        if self._token is None or time.monotonic() >= self._token_ends:
            self._token, life = self._new_token()
            self._token_ends = time.monotonic() + life - min(TOKEN_MARGIN, life / 10)
        return self._token

    def _new_token(self) -> tuple[str, float]:
        connection = self._connection
        url = httpx.URL(connection.extra["token_url"])
        form = {"grant_type": "client_credentials"} | (connection.extra.get("token_parameters") or {})
        form |= {key: connection.extra[key] for key in ("scope", "audience") if connection.extra.get(key)}
        login, auth = {"client_id": connection.login or "", "client_secret": connection.password or ""}, None
        if connection.extra.get("client_authentication") == "body":
            form |= login
        else:
            auth = tuple(login.values())
        response = self._send("POST", url, data=form, auth=auth)
        if not response.is_success:
            raise FetchError(
                f"{self._what}: {url} refused the login with {response.status_code}; check login, password, scope and "
                f"client_authentication of the connection. It begins: {self._short(response.text)}",
                may_pass=False,
            )
        try:
            answer = response.json()
            return str(answer["access_token"]), float(answer.get("expires_in") or 3600)
        except (ValueError, TypeError, KeyError) as error:
            raise FetchError(
                f"{self._what}: {url} answered the login without an access_token; check token_url of the connection",
                may_pass=False,
            ) from error

    def _hide(self, text: str) -> str:
        text = self._connection.hide(text)
        return text.replace(self._token, "***") if self._token else text

    def _short(self, text: object) -> str:
        return short(self._hide(str(text)))


def _pause(state: RetryCallState) -> float:
    asked = getattr(state.outcome.exception(), "wait", None)
    if asked is not None:
        return asked
    return wait_exponential_jitter(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE, jitter=PAUSE_JITTER)(state)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait (RFC 9110, 10.2.3): a number, or a date, which is compared with the API's own clock."""
    header = response.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        now = parsedate_to_datetime(response.headers["Date"]) if "Date" in response.headers else datetime.now(UTC)
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _decoded(response: httpx.Response) -> str:
    """The answer as text; bytes that are no UTF-8 can be encoded back to what they were, for landing to judge."""
    charset = response.charset_encoding
    if charset and charset.lower() not in ("utf-8", "utf8"):
        return response.content.decode(charset)
    return response.content.decode("utf-8-sig", errors="surrogateescape")
