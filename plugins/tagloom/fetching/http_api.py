"""Fetches records of an HTTP API that answers in JSON, page by page, as JSON lines, one file a day.

A record is written as it was received, character by character: parsing and writing it again would round numbers.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx

from tagloom.fetching.fetch import (
    ConnectionDetails,
    FetchError,
    day_start,
    days_between,
    delivery_path,
    short,
    whole_file,
)
from tagloom.fetching.http_session import Page, Session
from tagloom.sources import ApiReader, Paging, Source, Table

LOG = logging.getLogger(__name__)

WORDS = ("first_day", "last_day", "end_day", "first_moment", "end_moment", "first_epoch", "end_epoch")
"""What may stand in braces in path and parameters: UTC days as YYYY-MM-DD, first and end of [first, end) and the last
one included, or the moments at which first and end begin, as ISO 8601 or as seconds since 1970."""

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
BLANK = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()


def fetch_records(
    source: Source, table: Table, first_day: date, end_day: date, landing: Path, connection: ConnectionDetails
) -> list[Path]:
    """Fetch the table's records into files of JSON lines and return these.

    Where the reader's path or parameters mention a day, each day of [first_day, end_day) is asked for on its own and
    gets its file, which starts overlap_days earlier if the table has them. Where they mention none, the API is asked
    once, for the last day, and a file that is already there is kept. Raises FetchError.
    """
    what = f"{source.name}.{table.name} by connection {connection.connection_id!r}"
    reader: ApiReader = table.reader
    days = days_between(first_day, end_day)
    if not _mentions_days(reader, what):
        path = delivery_path(source, table, days[-1], landing)
        if path.exists():
            LOG.info("%s is there already and kept; delete it to ask the API again", path)
            return [path]
        days = days[-1:]
    files = []
    with Session(connection, reader.requests_per_second, what) as session:
        for day in days:
            words = _words(table, day)
            parameters = {key: _filled(value, words) for key, value in reader.parameters.items()}
            url = session.address(_filled(reader.path, words)).copy_merge_params(parameters)
            path = delivery_path(source, table, day, landing)
            with whole_file(path) as file:
                for page in _pages(session, reader.paging, reader.records, url):
                    for record in records_of(page.text, page.document, reader.records, session.describe(page)):
                        file.write(
                            record.replace("\r", " ").replace("\n", " ").encode(errors="surrogateescape") + b"\n"
                        )
            files.append(path)
    return files


# Days ----------------------------------------------------------------------------------------------------------------


def _words(table: Table, day: date) -> dict[str, str]:
    first, end = day - timedelta(days=table.overlap_days), day + timedelta(days=1)
    return {
        "first_day": first.isoformat(),
        "last_day": day.isoformat(),
        "end_day": end.isoformat(),
        "first_moment": f"{first}T00:00:00Z",
        "end_moment": f"{end}T00:00:00Z",
        "first_epoch": str(int(day_start(first, "UTC").timestamp())),
        "end_epoch": str(int(day_start(end, "UTC").timestamp())),
    }


def _mentions_days(reader: ApiReader, what: str) -> bool:
    used = [word for text in (reader.path, *reader.parameters.values()) for word in PLACEHOLDER.findall(text)]
    for word in used:
        if word not in WORDS:
            raise FetchError(
                f"{what}: {{{word}}} is not a known placeholder; use one of {', '.join(WORDS)}", may_pass=False
            )
    return bool(used)


def _filled(text: str, words: dict[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: words[match[1]], text)


# Pages ---------------------------------------------------------------------------------------------------------------


def _pages(session: Session, paging: Paging, records: str | None, url: httpx.URL) -> Iterator[Page]:
    if paging.size_parameter:
        url = url.copy_set_param(paging.size_parameter, str(paging.size))
    if paging.kind in ("page", "offset"):
        yield from _counted_pages(session, paging, records, url)
        return
    seen = {str(url)}
    while True:
        page = session.get(url)
        yield page
        following = _next_address(session, paging, page, url)
        if following is None:
            return
        if str(following) in seen:
            raise FetchError(
                f"{session.describe(page)}: its next page is one that was read before, so it would never end; correct "
                "reader.paging",
                may_pass=False,
            )
        seen.add(str(following))
        url = following


def _next_address(session: Session, paging: Paging, page: Page, url: httpx.URL) -> httpx.URL | None:
    match paging.kind:
        case "cursor":
            cursor = value_at(page.document, paging.path)
            return url.copy_set_param(paging.parameter, str(cursor)) if cursor else None
        case "next_link":
            link = value_at(page.document, paging.path)
        case "link_header":
            link = page.next_link
        case _:
            return None
    if not link:
        return None
    following = page.url.join(str(link))
    if not session.is_own(following):
        raise FetchError(
            f"{session.describe(page)}: its next page is at {following.host}, and the login is not sent to another "
            "host; correct the connection's host",
            may_pass=False,
        )
    return following


def _counted_pages(session: Session, paging: Paging, records: str | None, url: httpx.URL) -> Iterator[Page]:
    """Ask until a page is empty; a short one may only mean that the API gives fewer at a time than it was asked for."""
    number, previous = (paging.first if paging.kind == "page" else 0), None
    while True:
        page = session.get(url.copy_set_param(paging.parameter, str(number)), may_be_missing=previous is not None)
        if page is None:
            return
        found = value_at(page.document, records) if records else page.document
        count = len(found) if isinstance(found, list) else 0
        if count and page.text == previous:
            raise FetchError(
                f"{session.describe(page)}: it is the same as the page before it, so it would never end; correct "
                "reader.paging.parameter",
                may_pass=False,
            )
        yield page
        if not count:
            return
        number, previous = number + (1 if paging.kind == "page" else count), page.text


# Records -------------------------------------------------------------------------------------------------------------


def records_of(text: str, document: object, path: str | None, where: str) -> Iterator[str]:
    """The records of an answer, each exactly as it is written there; null in place of the list means none.

    `document` is the parsed text. Raises FetchError when there is no list at the path.
    """
    if document is None:
        return
    keys = [] if path is None else _keys(document, path)
    place = "the answer" if path is None else repr(path)
    found = document
    for key in keys or []:
        found = found[key]
    if keys is not None and found is None:
        return
    if keys is None or not isinstance(found, list):
        problem = "is not there" if keys is None else "is no list"
        raise FetchError(f"{where}: {place} {problem}; correct reader.records. It begins: {short(text)}")
    position = _blank(text, 0)
    for key in keys:
        position = _member(text, position, key)
    position = _blank(text, position + 1)
    while text[position] != "]":
        start, (_, position) = position, DECODER.raw_decode(text, position)
        yield text[start:position]
        position = _blank(text, position)
        if text[position] == ",":
            position = _blank(text, position + 1)


def value_at(document: object, path: str) -> object | None:
    """What is at a dotted path of a parsed answer; None when nothing is. Keys may contain dots themselves."""
    keys = _keys(document, path)
    for key in keys or []:
        document = document[key]
    return None if keys is None else document


def _keys(document: object, path: str) -> list[str] | None:
    if not isinstance(document, dict):
        return None
    if path in document:
        return [path]
    for dot in (match.start() for match in re.finditer(r"\.", path)):
        if path[:dot] in document:
            rest = _keys(document[path[:dot]], path[dot + 1 :])
            if rest is not None:
                return [path[:dot], *rest]
    return None


def _member(text: str, position: int, key: str) -> int:
    """Where in the text the value of a key begins, of the object that begins at the position. JSON repeats no key, but
    some APIs do, and then the parser takes the last one."""
    found, position = -1, _blank(text, position + 1)
    while text[position] != "}":
        name, position = json.decoder.scanstring(text, position + 1)
        position = _blank(text, _blank(text, position) + 1)
        if name == key:
            found = position
        _, position = DECODER.raw_decode(text, position)
        position = _blank(text, position)
        if text[position] == ",":
            position = _blank(text, position + 1)
    return found


def _blank(text: str, position: int) -> int:
    return BLANK.match(text, position).end()
