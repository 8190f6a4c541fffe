"""Alerts in chats, posted to a real HTTP server on this machine."""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from tagloom.alerting.mail_server import NotTakenError
from tagloom.alerting.messages import Mail
from tagloom.alerting.routing import Webhook
from tagloom.alerting.webhooks import LONGEST_TEXT, MOST_BYTES, content, post

from tests.plugins.alerting.test_messages import ALERT, FAILED

KEPT = content(Mail("failure", ALERT, "shop"))
OK = {"slack": "ok", "feishu": '{"code":0,"msg":"success"}', "dingtalk": '{"errcode":0,"errmsg":"ok"}'}
OK["wecom"] = OK["dingtalk"]


class Chat(BaseHTTPRequestHandler):
    """Keeps what is posted and answers what it is told to."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posted.append((self.path, body))
        status, text = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def chat(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Chat)
    server.posted, server.answer = [], (200, "ok")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("TAGLOOM_WEBHOOK_SHOP", f"http://127.0.0.1:{server.server_port}/hook?access_token=abc")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def webhook(chat_format: str, **more) -> Webhook:
    return Webhook(format=chat_format, address_variable="TAGLOOM_WEBHOOK_SHOP", **more)


@pytest.mark.parametrize("chat_format", OK)
def test_each_chat_gets_title_and_text_in_its_own_form(chat, chat_format):
    chat.answer = (200, OK[chat_format])
    post(webhook(chat_format), KEPT)
    ((path, body),) = chat.posted
    assert path == "/hook?access_token=abc"
    said = json.dumps(body, ensure_ascii=False)
    assert "FAILED: staging of loyalty cards, 1 check of 3" in said
    assert FAILED.name in said
    shape = {
        "slack": {"text", "blocks"},
        "feishu": {"msg_type", "content"},
        "dingtalk": {"msgtype", "markdown"},
        "wecom": {"msgtype", "markdown"},
    }
    assert set(body) == shape[chat_format]


def test_feishu_signs_the_body(chat, monkeypatch):
    monkeypatch.setenv("TAGLOOM_SECRET", "s3cret")
    chat.answer = (200, OK["feishu"])
    post(webhook("feishu", secret_variable="TAGLOOM_SECRET"), KEPT, clock=lambda: 1_500_000_000.9)
    body = chat.posted[0][1]
    digest = hmac.new(b"1500000000\ns3cret", b"", hashlib.sha256).digest()
    assert (body["timestamp"], body["sign"]) == ("1500000000", base64.b64encode(digest).decode())


def test_dingtalk_signs_the_address(chat, monkeypatch):
    monkeypatch.setenv("TAGLOOM_SECRET", "s3cret")
    chat.answer = (200, OK["dingtalk"])
    post(webhook("dingtalk", secret_variable="TAGLOOM_SECRET"), KEPT, clock=lambda: 1_500_000_000.5)
    asked = parse_qs(urlsplit(chat.posted[0][0]).query)
    digest = hmac.new(b"s3cret", b"1500000000500\ns3cret", hashlib.sha256).digest()
    assert asked["timestamp"] == ["1500000000500"]
    assert asked["sign"] == [base64.b64encode(digest).decode()]


@pytest.mark.parametrize(
    ("chat_format", "answer", "problem", "is_down"),
    [
        ("slack", (404, "no_service"), "the chat answered 404: no_service", False),
        ("slack", (429, "rate_limited"), "429", True),
        ("wecom", (503, "busy"), "503", True),
        ("dingtalk", (200, '{"errcode":310000,"errmsg":"keywords not in content"}'), "310000 keywords not in", False),
        ("feishu", (200, '{"code":19024,"msg":"Key Words Not Found"}'), "19024 Key Words Not Found", False),
        ("feishu", (200, "<html>"), "something else than JSON", False),
    ],
)
def test_what_a_chat_refuses_is_said(chat, chat_format, answer, problem, is_down):
    chat.answer = answer
    with pytest.raises(NotTakenError, match=problem) as error:
        post(webhook(chat_format), KEPT)
    assert error.value.is_down == is_down


def test_an_address_is_a_secret(monkeypatch):
    with pytest.raises(NotTakenError, match="TAGLOOM_WEBHOOK_SHOP is not set"):
        post(webhook("slack"), KEPT)
    monkeypatch.setenv("TAGLOOM_WEBHOOK_SHOP", "http://127.0.0.1:9/secret-token")
    with pytest.raises(NotTakenError, match="cannot be reached") as error:
        post(webhook("slack"), KEPT)
    assert "secret-token" not in str(error.value)


def test_long_alerts_fit_into_what_chats_take(chat):
    kept = json.dumps({"title": "长" * 200, "text": "告警" * LONGEST_TEXT}, ensure_ascii=False).encode()
    for chat_format, answer in OK.items():
        chat.answer = (200, answer)
        post(webhook(chat_format), kept)
    slack, wecom = chat.posted[0][1], chat.posted[3][1]
    assert len(slack["blocks"][0]["text"]["text"]) <= 150
    assert len(slack["blocks"][1]["text"]["text"]) <= 3000
    assert len(wecom["markdown"]["content"].encode()) <= MOST_BYTES
