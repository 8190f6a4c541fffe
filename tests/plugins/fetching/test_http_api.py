"""Records of an HTTP API become JSON lines: against a real server on this machine that does what APIs do."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from tagloom.fetching import http_api, http_session
from tagloom.fetching.fetch import ConnectionDetails, FetchError, fetch_table
from tagloom.fetching.http_api import records_of, value_at
from tagloom.sources import Source

from tests.plugins.fetching.visits import source_of_visits

DAY = date(2024, 3, 10)

Answer = tuple[int, object] | tuple[int, object, dict[str, str]]


class Server:
    """An API whose answers a test writes: `answer(path, parameters, headers, body)` gives status, content, headers."""

    def __init__(self) -> None:
        self.answer: Callable[..., Answer] = lambda *request: (404, {})
        self.asked: list[str] = []
        self.moments: list[float] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.moments.append(time.monotonic())
                address = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, content, *more = server.answer(address.path, dict(parse_qsl(address.query)), self.headers, body)
                if status == 0:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
                self.send_response(status)
                for name, value in (headers | (more[0] if more else {})).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ValueError):
                    self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, and short pauses between attempts."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(http_session, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_session, "LONGEST_PAUSE", 0.02)
    # A pause is never shorter than its random part.
    monkeypatch.setattr(http_session, "PAUSE_JITTER", 0.01)
    server = Server()
    yield server
    server.close()


def source_of(time_zone: str = "UTC", overlap_days: int = 0, grain: str = "event", **reader: object) -> Source:
    """A source of one table, `visits`, of an API with its records at `items`."""
    reader = {
        "kind": "api",
        "connection": "shop_api",
        "path": "visits",
        "parameters": {"since": "{first_day}", "until": "{end_day}"},
        "records": "items",
        "requests_per_second": 1000,
    } | reader
    return source_of_visits(reader, time_zone, grain=grain, overlap_days=overlap_days)


def fetch(
    api: Server, landing: Path, days: int = 1, source: Source | None = None, login: dict | None = None, **reader: object
) -> list[list[dict]]:
    """Fetch the days from DAY on; the records of each day."""
    source = source or source_of(**reader)
    connection = ConnectionDetails("shop_api", "http", **({"host": api.url} | (login or {})))
    paths = fetch_table(source, source.tables[0], DAY, DAY + timedelta(days=days), landing, connection)
    return [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in paths]


def numbered(first: int, end: int) -> list[dict]:
    return [{"id": number} for number in range(first, end)]


# Days ----------------------------------------------------------------------------------------------------------------


def test_each_day_is_asked_for_on_its_own(api, tmp_path: Path) -> None:
    api.answer = lambda path, parameters, *_: (200, {"items": [{"id": 1} | parameters]})
    first, second = fetch(api, tmp_path, days=2)
    assert first == [{"id": 1, "since": "2024-03-10", "until": "2024-03-11"}]
    assert second == [{"id": 1, "since": "2024-03-11", "until": "2024-03-12"}]
    assert sorted(path.name for path in (tmp_path / "shop" / "visits").iterdir()) == [
        "2024-03-10.jsonl",
        "2024-03-11.jsonl",
    ]


def test_moments_are_those_of_utc_days(api, tmp_path: Path) -> None:
    api.answer = lambda path, parameters, *_: (200, {"items": [{"path": path} | parameters]})
    source = source_of(
        "America/New_York",
        overlap_days=1,
        path="v1/days/{last_day}",
        parameters={"after": "{first_moment}", "before": "{end_moment}", "from": "{first_epoch}", "to": "{end_epoch}"},
    )
    assert fetch(api, tmp_path, source=source) == [
        [
            {
                "path": "/v1/days/2024-03-10",
                "after": "2024-03-09T00:00:00Z",
                "before": "2024-03-11T00:00:00Z",
                "from": "1709942400",
                "to": "1710115200",
            }
        ]
    ]


def test_an_unknown_placeholder_is_named(api, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"\{frist_day\} is not a known placeholder; use one of first_day"):
        fetch(api, tmp_path, parameters={"since": "{frist_day}"})


def test_what_has_no_days_is_asked_once_and_kept(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (200, {"items": numbered(0, len(api.asked))})
    source = source_of(grain="snapshot", parameters={})
    assert fetch(api, tmp_path, days=7, source=source) == [[{"id": 0}]]
    assert fetch(api, tmp_path, days=7, source=source) == [[{"id": 0}]]
    assert len(api.asked) == 1
    assert [path.name for path in (tmp_path / "shop" / "visits").iterdir()] == ["2024-03-16.jsonl"]


def test_a_repeated_fetch_takes_what_the_api_says_now(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (200, {"items": numbered(0, len(api.asked))})
    assert fetch(api, tmp_path) == [[{"id": 0}]]
    assert fetch(api, tmp_path) == [[{"id": 0}, {"id": 1}]]


# Records -------------------------------------------------------------------------------------------------------------


def test_records_are_written_as_they_were_received(api, tmp_path: Path) -> None:
    content = (
        '\ufeff{"items": [ {"id": 1.10, "big": 12345678901234567890.1234567890, "t": "a\\u4e2d中\\n"} ,\r\n'
        '{"id":\n 2,\n "list": [1, 2]}, 3, "x", null ], "items2": []}'
    ).encode()
    api.answer = lambda *_: (200, content)
    source = source_of()
    connection = ConnectionDetails("shop_api", "http", host=api.url)
    (path,) = fetch_table(source, source.tables[0], DAY, DAY + timedelta(days=1), tmp_path, connection)
    assert path.read_text(encoding="utf-8").split("\n") == [
        '{"id": 1.10, "big": 12345678901234567890.1234567890, "t": "a\\u4e2d中\\n"}',
        '{"id":  2,  "list": [1, 2]}',
        "3",
        '"x"',
        "null",
        "",
    ]


def test_bytes_that_are_no_text_are_left_to_landing(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (200, b'{"items": [{"id": 1, "name": "\xff"}, {"id": 2}]}')
    source = source_of()
    connection = ConnectionDetails("shop_api", "http", host=api.url)
    (path,) = fetch_table(source, source.tables[0], DAY, DAY + timedelta(days=1), tmp_path, connection)
    assert path.read_bytes() == b'{"id": 1, "name": "\xff"}\n{"id": 2}\n'


def test_other_charsets_become_utf8(api, tmp_path: Path) -> None:
    content = '{"items": [{"id": "中"}]}'.encode("gb18030")
    api.answer = lambda *_: (200, content, {"Content-Type": "application/json; charset=gb18030"})
    assert fetch(api, tmp_path) == [[{"id": "中"}]]


@pytest.mark.parametrize("content", [b'{"items": []}', b'{"items": null}', b"null"])
def test_no_records_give_an_empty_file(api, tmp_path: Path, content: bytes) -> None:
    api.answer = lambda *_: (200, content)
    assert fetch(api, tmp_path) == [[]]


def test_no_content_gives_an_empty_file(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (204, b"")
    assert fetch(api, tmp_path) == [[]]


@pytest.mark.parametrize(
    ("content", "records", "said"),
    [
        (
            b'{"data": [1], "b": 2}',
            "items",
            r"'items' is not there; correct reader.records. It begins: {\"data\": \[1\]",
        ),
        (b'{"items": {"a": 1}}', "items", "'items' is no list"),
        (b'{"items": []}', None, "the answer is no list"),
        (b"[1, 2]", "items", "'items' is not there"),
    ],
)
def test_a_missing_list_shows_the_answer(api, tmp_path: Path, content: bytes, records: str | None, said: str) -> None:
    api.answer = lambda *_: (200, content)
    with pytest.raises(FetchError, match=rf"^shop\.visits by connection 'shop_api': http://127.*{said}"):
        fetch(api, tmp_path, records=records)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_answer_that_is_no_json_shows_its_beginning(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (200, b"<html>\n<title>Log in</title>" + b"x" * 1000, {"Content-Type": "text/html"})
    with pytest.raises(FetchError, match=r"something that is not JSON.*It begins: <html> <title>Log in") as caught:
        fetch(api, tmp_path)
    assert len(str(caught.value)) < 600


def test_places_of_records() -> None:
    text = '{"a.b": {"c": [1]}, "d": {"e.f": {"g": [ {"x" : [2]} , 3 ]}}, "d2": "[", "r": [1], "r": [2]}'
    document = json.loads(text)
    assert list(records_of(text, document, "a.b.c", "here")) == ["1"]
    assert list(records_of(text, document, "d.e.f.g", "here")) == ['{"x" : [2]}', "3"]
    assert list(records_of(text, document, "r", "here")) == ["2"]
    assert list(records_of(" [ ] ", [], None, "here")) == []
    assert value_at({"@odata.nextLink": "x"}, "@odata.nextLink") == "x"
    assert value_at({"a": {"b": 1}}, "a.c") is None
    assert value_at([1], "a") is None


# Pages ---------------------------------------------------------------------------------------------------------------


def test_pages_by_number(api, tmp_path: Path) -> None:
    def answer(path: str, parameters: dict, *_: object) -> Answer:
        assert parameters["per_page"] == "50"
        page = int(parameters["page"])
        # It gives fewer than it was asked for, as APIs with a limit of their own do.
        return 200, {"items": numbered(page * 3, min(page * 3 + 3, 10))}

    api.answer = answer
    paging = {"kind": "page", "parameter": "page", "size_parameter": "per_page", "size": 50, "first": 0}
    assert fetch(api, tmp_path, paging=paging) == [numbered(0, 10)]
    assert [parse_qs(urlsplit(path).query)["page"] for path in api.asked] == [["0"], ["1"], ["2"], ["3"], ["4"]]


def test_the_page_after_the_last_may_be_missing_but_not_the_first(api, tmp_path: Path) -> None:
    paging = {"kind": "page", "parameter": "page"}
    api.answer = lambda path, parameters, *_: (
        (200, {"items": numbered(0, 2)}) if parameters["page"] == "1" else (404, {"error": "no such page"})
    )
    assert fetch(api, tmp_path, paging=paging) == [numbered(0, 2)]
    api.answer = lambda *_: (404, {"error": "no such thing"})
    with pytest.raises(FetchError, match=r"answered 404; correct reader.path or the connection's host.*no such thing"):
        fetch(api, tmp_path, paging=paging)


def test_pages_by_offset(api, tmp_path: Path) -> None:
    def answer(path: str, parameters: dict, *_: object) -> Answer:
        start = int(parameters["skip"])
        return 200, {"items": numbered(start, min(start + 4, 10))}

    api.answer = answer
    assert fetch(api, tmp_path, paging={"kind": "offset", "parameter": "skip"}) == [numbered(0, 10)]


def test_pages_by_cursor(api, tmp_path: Path) -> None:
    answers = {
        None: {"items": numbered(0, 2), "meta": {"next": "a b&c"}},
        "a b&c": {"items": [], "meta": {"next": 7}},
        "7": {"items": numbered(2, 4), "meta": {}},
    }
    api.answer = lambda path, parameters, *_: (200, answers[parameters.get("cursor")])
    paging = {"kind": "cursor", "parameter": "cursor", "path": "meta.next"}
    assert fetch(api, tmp_path, paging=paging) == [numbered(0, 4)]
    assert all("since=2024-03-10" in path for path in api.asked)


@pytest.mark.parametrize("absolute", [True, False])
def test_pages_by_link_in_the_answer(api, tmp_path: Path, absolute: bool) -> None:
    root = api.url if absolute else ""
    answers = {
        "/v2/visits": {"items": numbered(0, 2), "@odata.nextLink": f"{root}/v2/more?token=x%2Fy"},
        "/v2/more": {"items": numbered(2, 3), "@odata.nextLink": None},
    }
    api.answer = lambda path, *_: (200, answers[path])
    paging = {"kind": "next_link", "path": "@odata.nextLink"}
    assert fetch(api, tmp_path, paging=paging, login={"host": f"{api.url}/v2/"}) == [numbered(0, 3)]
    assert api.asked[1] == "/v2/more?token=x%2Fy"


def test_pages_by_link_header(api, tmp_path: Path) -> None:
    def answer(path: str, parameters: dict, *_: object) -> Answer:
        page = int(parameters.get("page", 1))
        link = f'<{api.url}/visits?page={page + 1}>; rel="next", <{api.url}/visits?page=1>; rel="first"'
        return 200, numbered(page, page + 1), {"Link": link} if page < 3 else {}

    api.answer = answer
    assert fetch(api, tmp_path, paging={"kind": "link_header"}, records=None) == [numbered(1, 4)]


@pytest.mark.parametrize(
    ("paging", "answer", "said"),
    [
        ({"kind": "page", "parameter": "seite"}, {"items": [1]}, "the same as the page before.*paging.parameter"),
        ({"kind": "offset", "parameter": "skip"}, {"items": [1]}, "the same as the page before"),
        ({"kind": "cursor", "parameter": "c", "path": "next"}, {"items": [1], "next": "a"}, "read before.*never end"),
        ({"kind": "next_link", "path": "next"}, {"items": [1], "next": "/visits?a=1"}, "read before.*never end"),
    ],
)
def test_endless_paging_is_stopped(api, tmp_path: Path, paging: dict, answer: dict, said: str) -> None:
    api.answer = lambda *_: (200, answer)
    with pytest.raises(FetchError, match=said):
        fetch(api, tmp_path, paging=paging)
    assert len(api.asked) == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_login_is_not_sent_to_another_host(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (200, {"items": [], "next": "http://localhost:1/visits"})
    with pytest.raises(FetchError, match="next page is at localhost, and the login is not sent to another host"):
        fetch(api, tmp_path, paging={"kind": "next_link", "path": "next"}, login={"password": "hush"})
    api.answer = lambda *_: (302, {}, {"Location": "http://localhost:1/elsewhere"})
    with pytest.raises(FetchError, match="redirects to http://localhost:1/elsewhere; put the final address"):
        fetch(api, tmp_path, login={"password": "hush"})


# Logging in ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "header", "value"),
    [
        ({"password": "hush"}, "Authorization", "Bearer hush"),
        ({"login": "me", "password": "hush"}, "Authorization", f"Basic {base64.b64encode(b'me:hush').decode()}"),
        ({"password": "hush", "extra": {"api_key_header": "X-Api-Key"}}, "X-Api-Key", "hush"),
        ({"extra": {"headers": {"X-Tenant": "7"}}}, "X-Tenant", "7"),
        ({}, "Authorization", None),
    ],
)
def test_ways_to_log_in(api, tmp_path: Path, login: dict, header: str, value: str | None) -> None:
    seen = []

    def answer(path: str, parameters: dict, headers: dict, *_: object) -> Answer:
        seen.append(headers.get(header))
        return 200, {"items": []}

    api.answer = answer
    fetch(api, tmp_path, login=login)
    assert seen == [value]


class TokenApi:
    """Four pages of records for those with a token that is still good; every token is good for so many pages."""

    def __init__(self, pages_a_token: int = 100, life: float = 3600) -> None:
        self.forms: list[tuple[dict, str | None]] = []
        self.pages_a_token, self.life = pages_a_token, life
        self.used: Counter[str] = Counter()

    def __call__(self, path: str, parameters: dict, headers: dict, body: str) -> Answer:
        if path == "/token":
            self.forms.append((dict(parse_qsl(body)), headers.get("Authorization")))
            return 200, {"access_token": f"token-{len(self.forms)}", "expires_in": self.life, "token_type": "Bearer"}
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        self.used[token] += 1
        if token != f"token-{len(self.forms)}" or self.used[token] > self.pages_a_token:
            return 401, {"error": f"{token} is not good (any more)"}
        page = int(parameters["page"])
        return 200, {"items": numbered(page, page + 1) if page < 4 else []}


PAGES = {"kind": "page", "parameter": "page", "first": 0}


def oauth(api: Server, **extra: object) -> dict:
    return {"login": "shop", "password": "hu:sh", "extra": {"token_url": f"{api.url}/token"} | extra}


def test_a_token_is_fetched_once_and_used_for_all_pages(api, tmp_path: Path) -> None:
    api.answer = tokens = TokenApi()
    login = oauth(api, scope="read", audience="shop", token_parameters={"resource": "visits"})
    assert fetch(api, tmp_path, days=2, paging=PAGES, login=login) == [numbered(0, 4), numbered(0, 4)]
    form = {"grant_type": "client_credentials", "scope": "read", "audience": "shop", "resource": "visits"}
    assert tokens.forms == [(form, f"Basic {base64.b64encode(b'shop:hu:sh').decode()}")]


def test_a_client_may_log_in_by_form(api, tmp_path: Path) -> None:
    api.answer = tokens = TokenApi()
    fetch(api, tmp_path, paging=PAGES, login=oauth(api, client_authentication="body"))
    form = {"grant_type": "client_credentials", "client_id": "shop", "client_secret": "hu:sh"}
    assert tokens.forms == [(form, None)]


def test_a_token_that_ends_in_the_middle_is_renewed(api, tmp_path: Path) -> None:
    api.answer = tokens = TokenApi(pages_a_token=2)
    assert fetch(api, tmp_path, paging=PAGES, login=oauth(api)) == [numbered(0, 4)]
    assert len(tokens.forms) == 3


def test_a_token_is_renewed_before_its_end(api, tmp_path: Path) -> None:
    tokens = TokenApi(life=0.2)

    def slow(*request: object) -> Answer:
        time.sleep(0.1)
        return tokens(*request)

    api.answer = slow
    assert fetch(api, tmp_path, paging=PAGES, login=oauth(api)) == [numbered(0, 4)]
    assert len(tokens.forms) >= 2
    assert "401" not in str(tokens.used)


def test_a_login_that_is_never_good_is_an_error_without_secrets(api, tmp_path: Path) -> None:
    api.answer = TokenApi(pages_a_token=0)
    with pytest.raises(
        FetchError, match=r"answered 401; check login, password and extra.*\*\*\* is not good"
    ) as caught:
        fetch(api, tmp_path, paging=PAGES, login=oauth(api))
    assert "token-" not in str(caught.value)
    assert len(api.asked) == 4
    api.answer = lambda path, *_: (400, {"error": "invalid_client", "secret": "hu:sh"})
    with pytest.raises(FetchError, match=r"/token refused the login with 400; .*invalid_client") as caught:
        fetch(api, tmp_path, paging=PAGES, login=oauth(api))
    assert "hu:sh" not in str(caught.value)
    api.answer = lambda path, *_: (200, {"token": "secret-token"})
    with pytest.raises(FetchError, match="answered the login without an access_token; check token_url") as caught:
        fetch(api, tmp_path, paging=PAGES, login=oauth(api))
    assert "secret-token" not in str(caught.value)


def test_secrets_that_an_api_echoes_are_hidden_in_errors_and_logs(api, tmp_path: Path, caplog) -> None:
    caplog.set_level("DEBUG")
    api.answer = lambda path, parameters, headers, *_: (403, {"you sent": headers.get("Authorization")})
    for login in ({"password": "hush-hush"}, {"login": "me", "password": "hush-hush"}):
        with pytest.raises(FetchError, match="answered 403; check that the connection's user") as caught:
            fetch(api, tmp_path, login=login)
        assert "hush" not in str(caught.value)
        assert base64.b64encode(b"me:hush-hush").decode() not in str(caught.value)
    assert "hush" not in caplog.text


def test_misspelt_extra_is_named(api, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="extra of the connection has unknown keys api_key_haeder; known are"):
        fetch(api, tmp_path, login={"password": "hush", "extra": {"api_key_haeder": "X"}})


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": "api.example.com"}, "https://api.example.com/visits"),
        ({"host": "api.example.com/v2/", "schema": "http", "port": 8080}, "http://api.example.com:8080/v2/visits"),
        ({"host": "https://api.example.com:8443"}, "https://api.example.com:8443/visits"),
    ],
)
def test_addresses_of_connections(fields: dict, address: str) -> None:
    with http_session.Session(ConnectionDetails("shop_api", "http", **fields), 1, "shop.visits") as session:
        assert str(session.address("/visits")) == address


@pytest.mark.parametrize("host", [None, "", "ftp://example.com", "http://api:port"])
def test_a_connection_without_an_address_is_named(api, tmp_path: Path, host: str | None) -> None:
    with pytest.raises(FetchError, match=r"the connection's host .* is no address"):
        fetch(api, tmp_path, login={"host": host})


# Limits and failures -------------------------------------------------------------------------------------------------


def failing_first(*failures: Answer) -> Callable[..., Answer]:
    """Fail in these ways, one a request, then give two records."""
    waiting = list(failures)
    return lambda *_: waiting.pop(0) if waiting else (200, {"items": numbered(0, 2)})


@pytest.mark.parametrize("as_date", [True, False])
def test_retry_after_is_honoured(api, tmp_path: Path, as_date: bool) -> None:
    later = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    api.answer = failing_first((429, {"error": "slow down"}, {"Retry-After": later}))
    assert fetch(api, tmp_path) == [numbered(0, 2)]
    first, second = api.moments
    assert 0.9 <= second - first < 4


def test_a_date_is_compared_with_the_apis_own_clock(api) -> None:
    response = http_session.httpx.Response(
        429, headers={"Date": "Sun, 10 Mar 2024 10:00:00 GMT", "Retry-After": "Sun, 10 Mar 2024 10:00:07 GMT"}
    )
    assert http_session._retry_after(response) == 7
    assert http_session._retry_after(http_session.httpx.Response(429, headers={"Retry-After": "soon"})) is None
    assert http_session._retry_after(http_session.httpx.Response(429)) is None


def test_too_long_a_wait_is_left_to_the_next_run(api, tmp_path: Path) -> None:
    api.answer = failing_first((429, {}, {"Retry-After": "3600"}))
    with pytest.raises(FetchError, match=r"asks to wait 3600 s; run the task again.*lower reader.requests_per_second"):
        fetch(api, tmp_path)
    assert len(api.asked) == 1


def test_failures_that_pass_are_tried_again(api, tmp_path: Path) -> None:
    cut = (200, b'{"items": [', {"Content-Length": "5000", "Connection": "close"})
    api.answer = failing_first((500, {}), (503, b"<html>"), (0, None), (429, {}), (502, {}), cut)
    assert fetch(api, tmp_path) == [numbered(0, 2)]
    assert len(api.asked) == 7


def test_failures_that_stay_become_an_error(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (500, {"error": "database is down, hush"})
    said = r"failed 8 times, at last with: 500 .*database is down, \*\*\*.*run the task"
    with pytest.raises(FetchError, match=said) as caught:
        fetch(api, tmp_path, login={"password": "hush"})
    assert caught.value.may_pass
    assert len(api.asked) == http_session.ATTEMPTS
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_server_that_is_not_there_becomes_an_error(api, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="failed 8 times, at last with: ConnectError"):
        fetch(api, tmp_path, login={"host": "http://127.0.0.1:1"})


def test_a_server_that_does_not_answer_becomes_an_error(api, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(http_session, "TIMEOUT", http_session.httpx.Timeout(0.1))
    monkeypatch.setattr(http_session, "ATTEMPTS", 2)

    def sleep(*_: object) -> Answer:
        time.sleep(0.5)
        return 200, {"items": []}

    api.answer = sleep
    with pytest.raises(FetchError, match="failed 2 times, at last with: ReadTimeout"):
        fetch(api, tmp_path)


def test_pauses_grow_up_to_a_limit(monkeypatch) -> None:
    class State:
        attempt_number = 1

        class outcome:  # noqa: N801 - the name in tenacity
            exception = staticmethod(lambda: http_session._TryAgainError("500"))

    pauses = []
    for State.attempt_number in range(1, 12):
        pauses.append(http_session._pause(State))
    assert 1 <= pauses[0] <= 2
    assert all(later >= earlier for earlier, later in itertools.pairwise(pauses))
    assert pauses[-1] == http_session.LONGEST_PAUSE


def test_refusals_are_not_tried_again(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (400, {"error": "since must be a moment"})
    said = r"answered 400; correct reader.path and reader.parameters. .*must be a moment"
    with pytest.raises(FetchError, match=said) as caught:
        fetch(api, tmp_path)
    assert caught.value.may_pass is False
    assert len(api.asked) == 1


def test_its_own_limit_is_kept(api, tmp_path: Path) -> None:
    api.answer = lambda path, parameters, *_: (
        200,
        {"items": [] if parameters["page"] == "6" else [parameters["page"]]},
    )
    fetch(api, tmp_path, paging=PAGES, requests_per_second=20)
    assert len(api.moments) == 7
    # Six pauses of 50 ms; the first request takes longer to arrive than the last one, so a little less is seen.
    assert api.moments[-1] - api.moments[0] > 0.2


def test_a_day_that_fails_leaves_the_days_before_it_and_its_own_old_file(api, tmp_path: Path) -> None:
    api.answer = lambda *_: (200, {"items": numbered(0, 1)})
    fetch(api, tmp_path, days=2)
    api.answer = lambda path, parameters, *_: (
        (200, {"items": numbered(0, 2)}) if parameters["since"] == "2024-03-10" else (400, {})
    )
    with pytest.raises(FetchError):
        fetch(api, tmp_path, days=2)
    lines = {path.name: path.read_text().count("\n") for path in (tmp_path / "shop" / "visits").iterdir()}
    assert lines == {"2024-03-10.jsonl": 2, "2024-03-11.jsonl": 1}


def test_the_module_knows_every_placeholder_that_it_fills() -> None:
    assert tuple(http_api._words(source_of().tables[0], DAY)) == http_api.WORDS
