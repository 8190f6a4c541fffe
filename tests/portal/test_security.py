"""What another site, a program or a curious person tries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tagloom.portal.errors import TooManyRequestsError
from tagloom.portal.security import BODY_BYTES, HEADERS, Limiter

from tests.portal.conftest import ORIGIN

Clients = Callable[..., TestClient]


@pytest.mark.parametrize(
    "path", ["/", "/admin/rights", "/no/such/page", "/health", "/static/portal.js", "/static/none"]
)
def test_every_answer_has_the_headers(client_as: Clients, path: str) -> None:
    answer = client_as("viewer").get(path)

    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "script-src 'self';" in answer.headers["content-security-policy"]


def test_pages_are_not_kept_and_built_files_are(client_as: Clients) -> None:
    client = client_as("viewer")

    assert client.get("/").headers["cache-control"] == "no-store"
    assert client.get("/static/portal.js").headers["cache-control"] == "no-cache"
    assert "immutable" in client.get("/static/portal.js?v=1").headers["cache-control"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{ORIGIN}.evil.example"},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
        {"origin": "https://evil.example", "authorization": "Basic YTph"},
        {"origin": ""},
    ],
)
def test_a_post_from_elsewhere_is_refused(client_as: Clients, headers: dict[str, str]) -> None:
    answer = client_as("admin").post("/theme", data={"theme": "dark"}, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_post_without_a_word_of_its_origin_is_refused(client_as: Clients) -> None:
    client = client_as("admin")
    del client.headers["origin"]

    assert client.post("/theme", data={"theme": "dark"}).status_code == 403
    assert client.post("/theme", data={"theme": "dark"}, headers={"sec-fetch-site": "same-origin"}).status_code == 303


def test_cookies_are_for_this_site_only(client_as: Clients) -> None:
    cookie = client_as("viewer").post("/theme", data={"theme": "dark"}).headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    behind_tls = client_as("viewer").post("/theme", data={"theme": "dark"}, headers={"x-forwarded-proto": "https"})
    assert "secure" in behind_tls.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)", "/x\r\nset-cookie: a=b"],
)
def test_the_way_back_leads_to_the_portal_only(client_as: Clients, back: str) -> None:
    answer = client_as("viewer").post("/language", data={"language": "zh", "back": back})

    assert answer.headers["location"] == "/"


def test_the_way_back_keeps_the_page(client_as: Clients) -> None:
    answer = client_as("viewer").post("/language", data={"language": "zh", "back": "/tags?q=a%20b"})

    assert answer.headers["location"] == "/tags?q=a%20b"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static/..\\app.py",
        "/static//etc/passwd",
        "/admin/tokens/1;drop table audit/revoke",
        "/admin/tokens/../../etc/passwd",
        "/%00",
        "/{{7*7}}",
    ],
)
def test_odd_paths_lead_nowhere(client_as: Clients, path: str) -> None:
    answer = client_as("admin").get(path)

    assert answer.status_code in (400, 404, 405)
    assert "root:" not in answer.text
    assert "def create_app" not in answer.text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{1234567*3}}", "' or 1=1 --", "%"]
)
def test_what_people_type_is_text(client_as: Clients, text: str) -> None:
    client = client_as("admin")
    client.post("/admin/tokens", data={"name": text, "role": "viewer", "days": "7"})

    for page in (client.get("/admin/tokens"), client.get("/admin/audit", params={"q": text, "action": text})):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "3703701" not in page.text


def test_the_audit_log_is_searched_for_the_words_as_they_are(client_as: Clients) -> None:
    client = client_as("admin")
    client.post("/admin/tokens", data={"name": "a_b", "role": "viewer", "days": "7"})

    assert "a_b" in client.get("/admin/audit", params={"q": "a_b"}).text
    assert "token:1" not in client.get("/admin/audit", params={"q": "a%b"}).text


def test_a_long_body_is_refused_unread(client_as: Clients) -> None:
    client = client_as("analyst")

    assert client.post("/theme", content=b"x" * (BODY_BYTES + 1)).status_code == 413
    assert client.post("/theme", headers={"content-length": "-1"}, content=b"x").status_code == 413


def test_a_token_opens_the_api_and_no_page(client_as: Clients, app: FastAPI) -> None:
    import re

    made = client_as("analyst").post("/admin/tokens", data={"name": "report", "role": "viewer", "days": "7"})
    token = re.search(r"tagloom_[\w-]{40,}", made.text).group()
    program = TestClient(app, headers={"authorization": f"Bearer {token}"}, follow_redirects=False)

    assert program.get("/api/v1/tags").status_code == 200
    assert program.get("/admin/rights").status_code == 401
    client_as("analyst").post("/admin/tokens/1/revoke")
    assert program.get("/api/v1/tags").status_code == 401


def test_who_asks_too_often_waits(app: FastAPI, client_as: Clients) -> None:
    app.state.limiter = Limiter(per_minute=8)
    client = client_as("viewer")

    codes = [client.get("/admin/rights").status_code for _ in range(4)]

    assert codes[:2] == [200, 200]
    assert codes[-1] == 429
    assert client_as("viewer", name="other").get("/admin/rights").status_code == 200


def test_buckets_fill_again_and_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr("tagloom.portal.security.time.monotonic", lambda: moment[0])
    limiter = Limiter(per_minute=4)
    limiter.take("ada")
    with pytest.raises(TooManyRequestsError) as refused:
        limiter.take("ada")
    moment[0] += refused.value.seconds
    limiter.take("ada")

    monkeypatch.setattr(Limiter, "KEYS", 3)
    for number in range(10):
        limiter.take(f"key {number}")
    assert len(limiter._buckets) == 3


def test_a_mistake_of_ours_tells_nothing_of_itself(
    app: FastAPI, client_as: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr("tagloom.portal.pages.admin.airflow_roles", broken)
    client = TestClient(app, headers={"x-user": "ada viewer", "accept": "text/html"}, raise_server_exceptions=False)

    answer = client.get("/admin/rights")

    assert answer.status_code == 500
    assert "1234" not in answer.text
    assert "in its log" in answer.text


def test_before_the_first_publish_a_page_says_what_to_do(
    settings, monkeypatch: pytest.MonkeyPatch, app: FastAPI, client_as: Clients
) -> None:
    from tagloom.portal.serving import Serving

    app.state.serving = Serving(settings)

    answer = client_as("viewer").get("/")

    assert answer.status_code == 503
    assert "Nothing is published yet" in answer.text
    assert "make demo" in answer.text
