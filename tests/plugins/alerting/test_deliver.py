"""Mails through a real SMTP server on this machine: once each, whatever fails in between."""

import socket
import threading
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from tagloom.alerting.book import add_alert, add_delivery, open_book
from tagloom.alerting.deliver import Delivered, deliver
from tagloom.alerting.mail_server import MailServer, message_id
from tagloom.alerting.routing import Routing


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


NOW = datetime(2017, 12, 31, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alerts.sqlite"


def queue(path, message: EmailMessage, due: datetime = NOW) -> bool:
    with open_book(path) as book:
        alert = add_alert(book, "failure", "failed", "[Tagloom]", ("d", "t", "r"), [], NOW)
        return add_delivery(book, alert, "mail", message["To"], message["Message-ID"], message.as_bytes(), due)


def flush(server: MailServer | None, path, now: datetime = NOW) -> Delivered:
    return deliver(path, server, Routing(), now)


def test_a_mail_arrives_once(path, start, inbox):
    server = start()
    queue(path, mail())
    assert flush(server, path) == Delivered(sent=1)
    (envelope,) = inbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("tagloom@example.com", ["a@example.com"])
    assert flush(server, path) == Delivered()


def test_a_mail_is_not_sent_before_it_is_due(path, start, inbox):
    server = start()
    queue(path, mail(), due=NOW + timedelta(hours=1))
    assert flush(server, path) == Delivered()
    assert flush(server, path, NOW + timedelta(hours=1)).sent == 1


def test_server_down_then_up_delivers_once(path, start, inbox):
    port = free_port()
    down = MailServer(host="127.0.0.1", port=port)
    queue(path, mail("a@example.com"))
    queue(path, mail("b@example.com"))
    result = flush(down, path)
    assert (result.sent, result.kept) == (0, 2)
    assert f"the mail server 127.0.0.1:{port} does not work: ConnectionRefusedError" in result.problems[0]
    assert len(result.problems) == 1, "a server that is down is not called for each mail"

    server = start(port)
    assert flush(server, path).sent == 2
    assert flush(server, path).sent == 0
    assert [envelope.rcpt_tos for envelope in inbox.mails] == [["a@example.com"], ["b@example.com"]]


def test_without_a_server_mails_wait(path):
    queue(path, mail())
    result = flush(None, path)
    assert (result.kept, result.problems) == (1, ("a@example.com: there is no mail server; set TAGLOOM_SMTP_URL",))


def test_the_same_alert_is_queued_and_sent_once(path, start, inbox):
    server = start()
    assert queue(path, mail())
    assert not queue(path, mail())
    flush(server, path)
    assert not queue(path, mail())
    assert queue(path, mail(subject="Another thing"))
    flush(server, path)
    assert len(inbox.mails) == 2


def test_one_refused_recipient_does_not_hold_the_others(path, start, inbox):
    inbox.refused = ("gone@example.com",)
    server = start()
    for name in ("a", "gone", "b"):
        queue(path, mail(f"{name}@example.com"))
    result = flush(server, path)
    assert (result.sent, result.kept) == (2, 1)
    assert "refused gone@example.com" in result.problems[0]
    inbox.refused = ()
    assert flush(server, path).sent == 1


def test_what_the_server_cannot_take_waits(path, start, inbox):
    inbox.limit = 1
    server = start()
    queue(path, mail("a@example.com"))
    queue(path, mail("b@example.com"))
    result = flush(server, path)
    assert (result.sent, result.kept) == (1, 1)
    assert "452 disk full" in result.problems[0]
    inbox.limit = 1000
    assert flush(server, path).sent == 1
    assert len(inbox.mails) == 2


def test_a_password_is_given_where_the_server_asks_for_one(path, start, inbox):
    def authenticate(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"tagloom", b"secret")
        return AuthResult(success=right, handled=False)

    server = start(authenticator=authenticate, auth_required=True, auth_require_tls=False)
    queue(path, mail())
    assert flush(server, path).sent == 0
    wrong = MailServer(host=server.host, port=server.port, user="tagloom", password="guess")
    assert "does not work: 535" in flush(wrong, path).problems[0]
    right = MailServer(host=server.host, port=server.port, user="tagloom", password="secret")
    assert flush(right, path).sent == 1
    assert "secret" not in repr(right)


def test_starttls_is_never_skipped(path, start, inbox):
    server = start()
    queue(path, mail())
    result = flush(MailServer(host=server.host, port=server.port, starttls=True), path)
    assert result.sent == 0
    assert "STARTTLS" in result.problems[0]
    assert inbox.mails == []


def test_several_senders_send_each_mail_once(path, start, inbox):
    server = start()
    for number in range(10):
        queue(path, mail(f"{number}@example.com"))
    threads = [threading.Thread(target=flush, args=(server, path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(envelope.rcpt_tos[0] for envelope in inbox.mails) == [f"{number}@example.com" for number in range(10)]


def test_a_webhook_that_is_declared_no_more_keeps_its_messages(path):
    with open_book(path) as book:
        alert = add_alert(book, "failure", "failed", "[Tagloom]", ("d", "t", "r"), [], NOW)
        add_delivery(book, alert, "shop", "shop", "<1@tagloom>", b"{}", NOW)
    assert flush(None, path).problems == ("shop: alerts/routing.yml has no such webhook any more",)


def test_nothing_queued_needs_no_server(path):
    assert flush(MailServer(host="127.0.0.1", port=free_port()), path).problems == ()


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
