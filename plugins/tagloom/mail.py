"""Mails wait in an outbox folder until a server has taken them, so a mail server that is down loses none.

<folder>/outbox/<id>.eml is written before anything is sent; <folder>/sent/<id>.eml is where it goes afterwards. The id
comes from the Message-ID, which callers derive from what the mail is about: the same alert is queued and sent once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 20
"""How long a mail server may take to answer; then the mail waits for the next flush."""

POLICY = policy.SMTP.clone(max_line_length=998)
"""Line ends as mail servers want them. Headers fold at RFC 5322's limit only: filters read a folded subject wrongly."""


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


@dataclass(frozen=True)
class FlushResult:
    """What became of the queued mails."""

    sent: tuple[str, ...] = ()
    """Ids of mails that the server took."""
    kept: tuple[str, ...] = ()
    """Ids of mails that wait for the next flush."""
    problems: tuple[str, ...] = ()
    """Why mails were kept, one sentence each."""


def message_id(*parts: str) -> str:
    """Make the Message-ID of a mail from what it is about, so that the same mail always has the same one."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return f"<{digest}@tagloom>"


def queue(message: EmailMessage, folder: Path) -> Path | None:
    """Write a mail into the outbox, complete or not at all, and return its file.

    Returns None when the same mail waits or was sent already. Raises ValueError for a mail without Message-ID or To.
    """
    for header in ("Message-ID", "To"):
        if not message[header]:
            raise ValueError(f"a mail needs the header {header} before it is queued; see tagloom.mail.message_id")
    outbox, sent = _folders(folder)
    name = f"{_identity(message)}.eml"
    with _locked(folder):
        if (outbox / name).exists() or (sent / name).exists():
            return None
        partial = outbox / f".{name}.{os.getpid()}"
        with partial.open("wb") as file:
            file.write(message.as_bytes(policy=POLICY))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(outbox / name)
        _sync(outbox)
    return outbox / name


def flush(server: MailServer, folder: Path) -> FlushResult:
    """Hand every queued mail to the server, oldest first; what it does not take stays for the next flush.

    One flush at a time: a second one waits. A mail is moved to sent/ as soon as the server has taken it; only a crash
    between these two moments sends a mail again, with the same Message-ID. Never raises for a server that fails.
    """
    outbox, sent = _folders(folder)
    with _locked(folder):
        for partial in outbox.glob(".*"):
            partial.unlink()  # what a killed process left; nobody else writes while the lock is held
        waiting = sorted(outbox.glob("*.eml"), key=lambda path: (path.stat().st_mtime_ns, path.name))
        taken: list[str] = []
        problems: list[str] = []
        connection: smtplib.SMTP | None = None
        try:
            for path in waiting:
                if connection is None:
                    connection = _connect(server)
                message = message_from_bytes(path.read_bytes(), policy=POLICY)
                try:
                    connection.send_message(message, from_addr=server.sender)
                except smtplib.SMTPResponseException as error:
                    problems.append(f"{path.name}: {server.host} refused it: {_sentence(error)}")
                    connection.rset()
                    continue
                except smtplib.SMTPRecipientsRefused as error:
                    problems.append(f"{path.name}: {server.host} refused {', '.join(error.recipients)}")
                    continue
                path.rename(sent / path.name)
                taken.append(path.stem)
        except (OSError, smtplib.SMTPException) as error:
            problems.append(f"the mail server {server.host}:{server.port} does not work: {_sentence(error)}")
        finally:
            _sync(sent)
            if connection is not None:
                connection.close()
        kept = tuple(path.stem for path in waiting if path.stem not in taken)
    return FlushResult(sent=tuple(taken), kept=kept, problems=tuple(problems))


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


def _folders(folder: Path) -> tuple[Path, Path]:
    outbox, sent = folder / "outbox", folder / "sent"
    outbox.mkdir(parents=True, exist_ok=True)
    sent.mkdir(parents=True, exist_ok=True)
    return outbox, sent


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine away; the lock goes with the process that holds it."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _identity(message: EmailMessage) -> str:
    return hashlib.sha256(str(message["Message-ID"]).strip().encode()).hexdigest()[:32]


def _sync(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_true(value: object) -> bool:
    return str(value).lower() in ("true", "1", "yes")


def _sentence(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"{error.smtp_code} {text}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
