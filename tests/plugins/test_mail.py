"""Mails through a real SMTP server on this machine: once each, whatever fails in between."""

import os
import socket
import threading
from email.message import EmailMessage
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from tagloom.mail import MailServer, flush, message_id, queue


class Inbox:
    """Keeps what arrives and refuses whom it is told to."""

    def __init__(self):
        self.mails = []
        self.refused = ()
        self.limit = 1000

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if len(self.mails) >= self.limit:
            return "452 disk full"
        self.mails.append(envelope)
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def start(inbox):
    running = []

    def start(port: int | None = None, **options) -> MailServer:
        controller = Controller(inbox, hostname="127.0.0.1", port=port or free_port(), **options)
        controller.start()
        running.append(controller)
        return MailServer(host="127.0.0.1", port=controller.port, sender="tagloom@example.com")

    yield start
    for controller in running:
        controller.stop()


def mail(recipient: str = "a@example.com", subject: str = "Cards are missing – 会员卡") -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = message_id("run-1", recipient, subject)
    message["From"] = "tagloom@example.com"
    message["To"] = recipient
    message["Subject"] = subject
    message.set_content("There are 3 of them: 26••••••••31\n")
    return message


def test_a_mail_arrives_and_is_kept_as_sent(tmp_path, start, inbox):
    server = start()
    path = queue(mail(), tmp_path)
    assert path.parent == tmp_path / "outbox"
    result = flush(server, tmp_path)
    assert (result.sent, result.kept, result.problems) == ((path.stem,), (), ())
    (envelope,) = inbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("tagloom@example.com", ["a@example.com"])
    assert [entry.name for entry in (tmp_path / "sent").iterdir()] == [path.name]
    assert list((tmp_path / "outbox").iterdir()) == []


def test_server_down_then_up_delivers_once(tmp_path, start, inbox):
    port = free_port()
    down = MailServer(host="127.0.0.1", port=port)
    queue(mail("a@example.com"), tmp_path)
    queue(mail("b@example.com"), tmp_path)
    result = flush(down, tmp_path)
    assert (result.sent, len(result.kept)) == ((), 2)
    assert f"the mail server 127.0.0.1:{port} does not work: ConnectionRefusedError" in result.problems[0]

    server = start(port)
    assert len(flush(server, tmp_path).sent) == 2
    assert flush(server, tmp_path).sent == ()
    assert [envelope.rcpt_tos for envelope in inbox.mails] == [["a@example.com"], ["b@example.com"]]


def test_the_same_alert_is_queued_and_sent_once(tmp_path, start, inbox):
    server = start()
    assert queue(mail(), tmp_path) is not None
    assert queue(mail(), tmp_path) is None
    flush(server, tmp_path)
    assert queue(mail(), tmp_path) is None
    assert queue(mail(subject="Another thing"), tmp_path) is not None
    flush(server, tmp_path)
    assert len(inbox.mails) == 2


def test_one_refused_recipient_does_not_hold_the_others(tmp_path, start, inbox):
    inbox.refused = ("gone@example.com",)
    server = start()
    for name in ("a", "gone", "b"):
        queue(mail(f"{name}@example.com"), tmp_path)
    result = flush(server, tmp_path)
    assert (len(result.sent), len(result.kept)) == (2, 1)
    assert "refused gone@example.com" in result.problems[0]
    inbox.refused = ()
    assert len(flush(server, tmp_path).sent) == 1


def test_what_the_server_cannot_take_waits(tmp_path, start, inbox):
    inbox.limit = 1
    server = start()
    queue(mail("a@example.com"), tmp_path)
    queue(mail("b@example.com"), tmp_path)
    result = flush(server, tmp_path)
    assert (len(result.sent), len(result.kept)) == (1, 1)
    assert "452 disk full" in result.problems[0]
    inbox.limit = 1000
    assert len(flush(server, tmp_path).sent) == 1
    assert len(inbox.mails) == 2


def test_a_password_is_given_where_the_server_asks_for_one(tmp_path, start, inbox):
    def authenticate(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"tagloom", b"secret")
        return AuthResult(success=right, handled=False)

    server = start(authenticator=authenticate, auth_required=True, auth_require_tls=False)
    queue(mail(), tmp_path)
    assert flush(server, tmp_path).sent == ()
    wrong = MailServer(host=server.host, port=server.port, user="tagloom", password="guess")
    assert "does not work: 535" in flush(wrong, tmp_path).problems[0]
    right = MailServer(host=server.host, port=server.port, user="tagloom", password="secret")
    assert len(flush(right, tmp_path).sent) == 1
    assert "secret" not in repr(right)


def test_starttls_is_never_skipped(tmp_path, start, inbox):
    server = start()
    queue(mail(), tmp_path)
    result = flush(MailServer(host=server.host, port=server.port, starttls=True), tmp_path)
    assert result.sent == ()
    assert "STARTTLS" in result.problems[0]
    assert inbox.mails == []


def test_flushes_at_the_same_time_send_each_mail_once(tmp_path, start, inbox):
    server = start()
    for number in range(10):
        queue(mail(f"{number}@example.com"), tmp_path)
    threads = [threading.Thread(target=flush, args=(server, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(envelope.rcpt_tos[0] for envelope in inbox.mails) == [f"{number}@example.com" for number in range(10)]


def test_a_half_written_mail_is_never_sent(tmp_path, start, inbox, monkeypatch):
    server = start()
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        queue(mail(), tmp_path)
    monkeypatch.undo()
    assert flush(server, tmp_path).sent == ()
    assert list((tmp_path / "outbox").iterdir()) == []
    assert queue(mail(), tmp_path) is not None
    assert len(flush(server, tmp_path).sent) == 1


def test_a_mail_without_an_identity_is_refused(tmp_path):
    message = mail()
    del message["Message-ID"]
    with pytest.raises(ValueError, match="needs the header Message-ID"):
        queue(message, tmp_path)


def test_nothing_queued_needs_no_server(tmp_path):
    assert flush(MailServer(host="127.0.0.1", port=free_port()), tmp_path).problems == ()


@pytest.mark.parametrize(
    ("extra", "port", "starttls", "ssl"),
    [
        ({}, 465, False, True),
        ({"disable_ssl": True}, 25, True, False),
        ({"disable_ssl": "true", "disable_tls": "true"}, 25, False, False),
    ],
)
def test_airflow_connections_mean_what_they_mean_to_airflow(extra, port, starttls, ssl):
    connection = SimpleNamespace(
        host="mail.example.com", port=None, login="me", password="p", extra_dejson={**extra, "from_email": "x@y.z"}
    )
    server = MailServer.from_connection(connection)
    assert (server.port, server.starttls, server.ssl, server.sender) == (port, starttls, ssl, "x@y.z")
