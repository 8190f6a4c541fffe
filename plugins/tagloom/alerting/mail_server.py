"""Hands mails to a mail server: with TLS and login where it asks for them, in one conversation."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

TIMEOUT_SECONDS = 20
"""How long a mail server may take to answer; then the mail waits for the next attempt."""

POLICY = policy.SMTP.clone(max_line_length=998)
"""Line ends as mail servers want them. Headers fold at RFC 5322's limit only: filters read a folded subject wrongly."""


class NotTakenError(RuntimeError):
    """The server did not take a mail; the message says why. `is_down`: it will not take the next one either."""

    def __init__(self, message: str, is_down: bool) -> None:
        super().__init__(message)
        self.is_down = is_down


@dataclass(frozen=True)
class MailServer:
    """Where mails are handed in."""

    host: str
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False
    """Begin in the clear and switch to TLS before anything is said (usually port 587)."""
    ssl: bool = False
    """TLS from the first byte (usually port 465)."""
    sender: str = "tagloom@localhost"
    """The address that bounces go to, and From of the alerts."""

    @classmethod
    def from_connection(cls, connection: Any) -> MailServer:
        """Read an Airflow SMTP connection: host, port, login, password, extras disable_ssl, disable_tls, from_email.

        As Airflow's own SMTP hook does: TLS from the first byte unless disable_ssl, else STARTTLS unless disable_tls.
        """
        extra = connection.extra_dejson
        direct = not _is_true(extra.get("disable_ssl"))
        return cls(
            host=connection.host or "localhost",
            port=int(connection.port or (465 if direct else 25)),
            user=connection.login or "",
            password=connection.password or "",
            starttls=not direct and not _is_true(extra.get("disable_tls")),
            ssl=direct,
            sender=extra.get("from_email") or "tagloom@localhost",
        )


def message_id(*parts: str) -> str:
    """Make the Message-ID of a mail from what it is about, so that the same mail always has the same one."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return f"<{digest}@tagloom>"


class Conversation:
    """Mails handed in one after the other; the server is called when the first one comes."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._connection: smtplib.SMTP | None = None

    def hand_in(self, content: bytes) -> None:
        """Give the server one mail. Raises NotTakenError."""
        try:
            if self._connection is None:
                self._connection = _connect(self._server)
            self._connection.send_message(message_from_bytes(content, policy=POLICY), from_addr=self._server.sender)
        except smtplib.SMTPSenderRefused as error:
            raise self._refused(error) from error
        except smtplib.SMTPAuthenticationError as error:
            raise self._down(error) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise NotTakenError(f"{self._server.host} refused {', '.join(error.recipients)}", is_down=False) from error
        except smtplib.SMTPResponseException as error:
            if self._connection is None:
                raise self._down(error) from error
            raise self._refused(error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise self._down(error) from error

    def end(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refused(self, error: smtplib.SMTPResponseException) -> NotTakenError:
        try:
            self._connection.rset()
        except smtplib.SMTPException:
            # It hung up on us; the next mail calls again.
            self.end()
        return NotTakenError(f"{self._server.host} refused it: {_sentence(error)}", is_down=False)

    def _down(self, error: Exception) -> NotTakenError:
        self.end()
        where = f"{self._server.host}:{self._server.port}"
        return NotTakenError(f"the mail server {where} does not work: {_sentence(error)}", is_down=True)


@contextmanager
def conversation(server: MailServer) -> Iterator[Conversation]:
    """Talk to a mail server and hang up at the end."""
    talk = Conversation(server)
    try:
        yield talk
    finally:
        talk.end()


def _connect(server: MailServer) -> smtplib.SMTP:
    # Without local_hostname smtplib asks the name service for this machine's name, which can take seconds.
    options = {"timeout": TIMEOUT_SECONDS, "local_hostname": "localhost"}
    context = ssl.create_default_context()
    if server.ssl:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, context=context, **options)
    else:
        connection = smtplib.SMTP(server.host, server.port, **options)
    try:
        if server.starttls:
            connection.starttls(context=context)
        if server.user:
            connection.login(server.user, server.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_true(value: object) -> bool:
    return str(value).lower() in ("true", "1", "yes")


def _sentence(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"{error.smtp_code} {text}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
