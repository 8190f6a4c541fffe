"""What every answer carries and every request must pass: headers, the Origin check, limits."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagloom.portal.errors import TooManyRequestsError

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        # Charts and the query builder set styles of single elements.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        # Airflow shows the portal in a frame of the same origin.
        "frame-ancestors 'self'",
    )
)

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On every answer."""

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that change something, so that another site must not be able to send them."""

BODY_BYTES = 2_000_000
"""The longest body that is read."""


class Security:
    """ASGI middleware: refuses what comes from another site or is too long, and adds the headers to each answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                # Pages hold what only this user may see; built files carry a hash in their address.
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        if refusal := _refusal(scope, headers):
            status, sentence = refusal
            await JSONResponse({"error": sentence}, status)(scope, receive, with_headers)
            return
        await self.app(scope, _limited(receive), with_headers)


def _refusal(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > BODY_BYTES:
        return 413, f"The body may have at most {BODY_BYTES:,} bytes."
    # A browser never adds a bearer token by itself.
    has_token = headers.get("authorization", "").lower().startswith("bearer ")
    if scope["method"] in CHANGING and not has_token and not same_origin(headers):
        return 403, "This request came from another site; open the portal itself and try again."
    return None


def same_origin(headers: Headers) -> bool:
    """Tell whether a page of ours sent the request.

    Browsers say so in Sec-Fetch-Site, older ones in Origin. The scheme is not compared: a proxy with TLS in front
    makes it another one on this side.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is None:
        return site == "same-origin"
    hosts = {headers.get("host"), headers.get("x-forwarded-host")} - {None, ""}
    return urlsplit(origin).netloc in hosts


def _limited(receive: Receive) -> Receive:
    """Count the bytes of a body that does not say its length, and end the request when there are too many."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        return {"type": "http.disconnect"} if read > BODY_BYTES else message

    return counted


class Limiter:
    """Token buckets in memory, one for each key: `per_minute` requests on average, a quarter of it at once.

    Each process counts for itself. Thread-safe; at most 10,000 keys are remembered.
    """

    KEYS = 10_000

    def __init__(self, per_minute: int):
        self.per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, cost: float = 1.0) -> None:
        """Count a request; raises TooManyRequestsError when the bucket of this key is empty."""
        full = max(1.0, self.per_minute / 4)
        now = time.monotonic()
        with self._lock:
            left, since = self._buckets.get(key, (full, now))
            left = min(full, left + (now - since) * self.per_minute / 60) - cost
            if left < 0:
                raise TooManyRequestsError(max(1, round(-left * 60 / self.per_minute)))
            self._buckets[key] = (left, now)
            self._buckets.move_to_end(key)
            while len(self._buckets) > self.KEYS:
                self._buckets.popitem(last=False)


def secure_cookie(request: Request) -> dict[str, object]:
    """Return the flags of every cookie of ours: the portal's path only, not for scripts, not from other sites."""
    return {
        "path": request.scope.get("root_path") or "/",
        "httponly": True,
        "samesite": "lax",
        "secure": request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https",
    }
