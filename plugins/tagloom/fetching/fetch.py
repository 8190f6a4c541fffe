"""Gets a day's delivery from a database, an HTTP API or an object store and puts it into the landing zone as files.

Nothing here opens the warehouse, so fetching runs beside whatever is writing there. Every file appears whole or not at
all, and a run that is repeated, or killed and repeated, leaves the same files behind.
"""

from __future__ import annotations

import base64
import fcntl
import filecmp
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, quote_plus
from zoneinfo import ZoneInfo

from tagloom.sources import ApiReader, DatabaseReader, ObjectStorageReader, Source, Table

TEMPORARY = "._tmp_"
"""How the names of files begin that are still being written; no reader takes them for deliveries."""

SHOWN = 200
"""So many characters of an answer or of another program's message are shown in an error."""

SECRET_KEY = re.compile(r"pass|secret|token|key|credential|signature|authorization|cookie", re.IGNORECASE)
PLAIN_KEYS = ("token_url", "api_key_header")
"""Keys of a connection's extra that look secret and are not."""


class FetchError(RuntimeError):
    """A delivery could not be fetched; the message names source, table, connection and the cure."""

    def __init__(self, message: str, may_pass: bool = True) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        """Whether trying again later may help; where it is False, somebody has to correct something first."""


@dataclass(frozen=True)
class ConnectionDetails:
    """What an Airflow connection says, without Airflow."""

    connection_id: str
    kind: str
    """Connection type, such as postgres, sqlite, http or aws."""
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    """Database name; for http the protocol."""
    extra: dict = field(default_factory=dict, repr=False)

    def options(self, *known: str) -> dict:
        """What extra holds for the driver: without the keys that Tagloom itself knows and without empty values.

        Airflow's forms add keys of their own (__extra__, extra__...); they are left out too.
        """
        return {
            key: value
            for key, value in self.extra.items()
            if key not in known and not key.startswith(("__", "extra__")) and value not in (None, "")
        }

    def hide(self, text: str) -> str:
        """The text with every secret of this connection replaced by ***, whether plain or as part of an address."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            for written in {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}:
                text = text.replace(written, "***")
        return text

    def _secrets(self) -> set[str]:
        found = {self.password} if self.password else set()
        if self.login and self.password:
            found.add(base64.b64encode(f"{self.login}:{self.password}".encode()).decode())
        waiting = [(key, value) for key, value in self.extra.items()]
        while waiting:
            key, value = waiting.pop()
            if isinstance(value, dict):
                waiting += [(key if SECRET_KEY.search(key) else inner, content) for inner, content in value.items()]
            elif isinstance(value, str) and value and SECRET_KEY.search(key) and key not in PLAIN_KEYS:
                found.add(value)
        return found


def fetch_table(
    source: Source,
    table: Table,
    first_day: date,
    end_day: date,
    landing: Path,
    connection: ConnectionDetails | None,
) -> list[Path]:
    """Fetch the table's deliveries of the days [first_day, end_day) and return their files, sorted.

    `connection` is the one that the table's reader names; None where it names none. Raises FetchError.
    """
    if end_day <= first_day:
        return []
    # Only what this table needs is imported: SQLAlchemy, httpx and fsspec together cost a task more than a second.
    match table.reader:
        case DatabaseReader():
            from tagloom.fetching.databases import fetch_rows as fetch
        case ApiReader():
            from tagloom.fetching.http_api import fetch_records as fetch
        case ObjectStorageReader():
            from tagloom.fetching.object_storage import fetch_files as fetch
        case _:
            raise FetchError(
                f"{source.name}.{table.name}: its reader is of kind {table.reader.kind}; nothing is to be fetched",
                may_pass=False,
            )
    wanted = table.reader.connection
    if wanted is not None and connection is None:
        raise FetchError(
            f"{source.name}.{table.name}: there is no Airflow connection {wanted!r}; make it by "
            f"`airflow connections add {wanted}` or set AIRFLOW_CONN_{wanted.upper()}",
            may_pass=False,
        )
    return sorted(fetch(source, table, first_day, end_day, landing, connection))


def delivery_path(source: Source, table: Table, day: date, landing: Path) -> Path:
    """Where the fetched delivery of a day is put."""
    return landing / source.name / table.path.replace("{date}", day.isoformat())


def days_between(first_day: date, end_day: date) -> list[date]:
    """The days [first_day, end_day)."""
    return [first_day + timedelta(days=number) for number in range((end_day - first_day).days)]


def day_start(day: date, time_zone: str) -> datetime:
    """The moment, in UTC, at which a day begins in an IANA time zone."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)


def short(text: object, connection: ConnectionDetails | None = None) -> str:
    """What another program said, as one short line without the connection's secrets, to be part of a sentence."""
    line = " ".join(str(text).split())
    line = connection.hide(line) if connection else line
    return line if len(line) <= SHOWN else line[:SHOWN] + "..."


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file so that it appears whole or not at all.

    It is written under a temporary name in the same folder, fsynced and renamed. When the block raises, or the new
    content is that of the file which is there already, that file stays untouched. Temporary files of killed runs are
    removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    temporary, file = _open_temporary(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not path.exists() or not filecmp.cmp(temporary, path, shallow=False):
                temporary.replace(path)
                sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make names that were added to or removed from a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_temporary(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}_{path.name}")
        file = temporary.open("xb")
        # The lock tells other runs that this one is alive. Between open and lock they may have removed the file.
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()


def _remove_abandoned(path: Path) -> None:
    for other in path.parent.iterdir():
        if not (other.name.startswith(TEMPORARY) and other.name.endswith(f"_{path.name}")):
            continue
        try:
            with other.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                other.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError):
            continue
