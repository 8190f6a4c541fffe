"""Copies a day's files from an object store, or anywhere else that fsspec reaches, into the landing zone."""

from __future__ import annotations

import errno
import json
import logging
import re
import shutil
from datetime import date
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import fsspec
from fsspec.registry import known_implementations

from tagloom.fetching.fetch import (
    ConnectionDetails,
    FetchError,
    days_between,
    short,
    sync_folder,
    whole_file,
)
from tagloom.sources import Source, Table

LOG = logging.getLogger(__name__)

MEMORY = "._fetched"
"""Folder in the source's landing folder that keeps what the store said about each file when it was copied."""

PIECE = 8 << 20
"""Bytes copied at a time."""

MARKS = (
    "size",
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "CRC",
    "generation",
    "LastModified",
    "last_modified",
    "mtime",
    "modified",
    "updated",
    "created",
)
"""What file systems call the marks by which a changed file is told."""

LOGINS = {
    "s3": ("key", "secret"),
    "s3a": ("key", "secret"),
    "abfs": ("account_name", "account_key"),
    "abfss": ("account_name", "account_key"),
    "az": ("account_name", "account_key"),
    "oss": ("key", "secret"),
    "sftp": ("username", "password"),
    "ssh": ("username", "password"),
    "ftp": ("username", "password"),
    "smb": ("username", "password"),
}
"""Scheme -> what its file system calls a connection's login and password."""

NO_DELIVERY = re.compile(r"^(\.|_tmp)|\.(part|tmp|open)$")
"""Names of files that somebody is still writing."""

WILDCARD = re.compile(r"[*?\[]")


def fetch_files(
    source: Source,
    table: Table,
    first_day: date,
    end_day: date,
    landing: Path,
    connection: ConnectionDetails | None,
) -> list[Path]:
    """Copy the files of the days [first_day, end_day) to <landing>/<source>/<table>/<date>/ and return the copies.

    A file is copied when it is new or the store's marks of it (size, etag, time) have changed. A copy whose file the
    store no longer has is removed, so that a delivery can be taken back; but when the store has no file of a day at
    all, its copies stay, because stores forget old files too. Raises FetchError.
    """
    named = f" by connection {connection.connection_id!r}" if connection else ""
    what = f"{source.name}.{table.name}{named}"
    copies = []
    try:
        for day in days_between(first_day, end_day):
            folder = landing / source.name / table.name / day.isoformat()
            memory = landing / source.name / MEMORY / table.name / f"{day}.json"
            copies += _fetch_day(table.reader.url.replace("{date}", day.isoformat()), folder, memory, connection, what)
    except ImportError as error:
        scheme = urlsplit(table.reader.url).scheme
        hint = known_implementations.get(scheme, {}).get("err", "")
        raise FetchError(
            f"{what}: a package for {scheme}:// is not installed: {short(hint or error)}; add it to requirements.in",
            may_pass=False,
        ) from error
    except FetchError:
        raise
    except Exception as error:
        # Every file system has errors of its own; only what this machine says about the landing zone is not about it.
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        raise FetchError(
            f"{what}: {table.reader.url}: {type(error).__name__}: {short(error, connection)}; check reader.url, and "
            "the connection's login, password and extra"
        ) from error
    return copies


def _fetch_day(url: str, folder: Path, memory: Path, connection: ConnectionDetails | None, what: str) -> list[Path]:
    # Instances remember listings, and the store may have changed since another run in this process.
    system, pattern = fsspec.core.url_to_fs(url, skip_instance_cache=True, **_options(url, connection))
    files = _listed(system, pattern)
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    marks, copies = {}, []
    for name, remote in sorted(files.items()):
        copy = folder / name
        marks[name] = _marks(remote)
        if not _is_current(copy, remote, known.get(name)):
            _copy(system, remote, copy, what)
        copies.append(copy)
    system.invalidate_cache()
    changed = sorted(name for name, remote in _listed(system, pattern).items() if marks.get(name) != _marks(remote))
    if changed:
        raise FetchError(
            f"{what}: {', '.join(changed)} came or changed while the day was copied; run the task again when the "
            "delivery is complete"
        )
    gone = [path for path in folder.glob("*") if path.name not in files and not NO_DELIVERY.search(path.name)]
    if gone and not files:
        LOG.warning(
            "%s: %s has no file any more; the %d copies in %s stay. Delete them if the delivery was taken back",
            what,
            url,
            len(gone),
            folder,
        )
        return sorted(gone)
    for path in gone:
        LOG.info("%s: the store no longer has %s; its copy is removed", what, path.name)
        path.unlink(missing_ok=True)
    if gone:
        sync_folder(folder)
    if marks != known:
        with whole_file(memory) as file:
            file.write(json.dumps(marks, indent=1, sort_keys=True).encode())
    return copies


def _options(url: str, connection: ConnectionDetails | None) -> dict:
    if connection is None:
        return {}
    found = connection.options()
    for name, value in zip(LOGINS.get(urlsplit(url).scheme, ()), (connection.login, connection.password), strict=False):
        if value:
            found.setdefault(name, value)
    return found


def _listed(system: fsspec.AbstractFileSystem, pattern: str) -> dict[str, dict]:
    """Name of the copy -> what the store says about the file.

    The folders below the first wildcard are part of the name, since files of several folders may be called the same.
    """
    try:
        found = system.glob(pattern, detail=True)
    except FileNotFoundError:
        return {}
    wild = WILDCARD.search(pattern)
    root = pattern[: wild.start()].rpartition("/")[0] if wild else pattern.rpartition("/")[0]
    files = {}
    for path, info in found.items():
        if info["type"] != "file" or NO_DELIVERY.search(PurePosixPath(path).name):
            continue
        inner = path.removeprefix(root.rstrip("/")).lstrip("/") if root else path.lstrip("/")
        files[inner.replace("/", "__")] = info
    return files


def _marks(info: dict) -> dict[str, str]:
    return {mark: str(info[mark]) for mark in MARKS if info.get(mark) is not None}


def _is_current(copy: Path, remote: dict, known: dict[str, str] | None) -> bool:
    marks = _marks(remote)
    if not copy.exists() or known != marks or remote.get("size", copy.stat().st_size) != copy.stat().st_size:
        return False
    # A size alone does not tell that a file is still the same.
    return bool(marks.keys() - {"size"})


def _copy(system: fsspec.AbstractFileSystem, remote: dict, copy: Path, what: str) -> None:
    with whole_file(copy) as file:
        with system.open(remote["name"], "rb") as content:
            shutil.copyfileobj(content, file, PIECE)
        size = remote.get("size")
        if size is not None and file.tell() != size:
            raise FetchError(
                f"{what}: {remote['name']} gave {file.tell()} bytes, but the store says {size}; run the task again "
                "when the file is complete"
            )
