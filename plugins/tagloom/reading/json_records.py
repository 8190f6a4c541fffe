"""Reads JSON: one record a line, or documents that hold a list of records.

Records stay text; DuckDB takes them apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tagloom.reading.decoding import SHOWN_CHARACTERS, Block, read_blocks, read_line, read_sample
from tagloom.reading.deliveries import DeliveryError
from tagloom.reading.headers import lack
from tagloom.sources import Table
from tagloom.sql_text import quoted

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MEANS_SOMETHING_LACKS = 20
"""A key may be left out of a record, so that a required one is missing from a file is said from so many records on."""

_LOOKED_AT_PER_BLOCK = 1_000
_LARGEST_DOCUMENT_BYTES = 1 << 30
_RECORDS_PER_BATCH = 20_000


class Records(NamedTuple):
    """Some records of a file, in its order."""

    texts: pa.Array
    """Each record as JSON text, not yet checked; null for a torn one."""
    lines: pa.Array
    """Physical line, or number of the record in a document, from 1."""
    torn: pa.Array
    """Text of a line that cannot be a record; null for a good one."""
    reasons: pa.Array


@dataclass
class Keys:
    """Dotted names of the values seen in records; what is declared as a whole is not looked into."""

    declared: frozenset[str]
    seen: set[str] = field(default_factory=set)
    records: int = 0
    """How many records were looked at."""

    def look_at(self, text: str | bytes) -> None:
        """Add the keys of one record, if it is one."""
        try:
            # Python's json would take bytes that are no text for characters.
            record = json.loads(text.decode() if isinstance(text, bytes) else text)
        except (ValueError, RecursionError):
            return
        if isinstance(record, dict):
            self.records += 1
            self._add(record, "")

    def _add(self, record: dict, prefix: str) -> None:
        for key, value in record.items():
            # An escape may stand for half a character, which no database takes as a name.
            name = prefix + key.encode(errors="replace").decode()
            self.seen.add(name)
            if isinstance(value, dict) and name not in self.declared and self._leads_to_declared(name):
                self._add(value, f"{name}.")

    def _leads_to_declared(self, name: str) -> bool:
        return any(header.startswith(f"{name}.") for header in self.declared)

    @property
    def undeclared(self) -> set[str]:
        """Names nobody declared; those that begin with "_" belong to whoever wrote the file."""
        return {
            name
            for name in self.seen
            if name not in self.declared and not name.startswith("_") and not self._leads_to_declared(name)
        }


def pointer(header: str) -> str:
    """The JSON pointer of a dotted path, such as /customer/city for customer.city."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in header.split("."))


def require_keys(table: Table, path: Path, keys: Keys) -> None:
    """Raise DeliveryError when enough records were looked at and none has a required column.

    Where there are fewer, each row that lacks it says so itself.
    """
    headers = [column.header for column in table.columns]
    missing = [column.header for column in table.columns if column.required and column.header not in keys.seen]
    if missing and keys.records >= MEANS_SOMETHING_LACKS:
        raise DeliveryError(lack(path, missing, headers, sorted(keys.undeclared | (keys.seen & set(headers)))))


def read_lines(path: Path, encoding: str, keys: Keys) -> Iterator[Records]:
    """Every line of a JSON lines file; encoding is a declared one or "auto".

    Raises DeliveryError when the file cannot be read to its end.
    """
    found = read_sample(path, encoding).encoding
    line = 1
    for block in read_blocks(path, found):
        records = _cut_line(block, line, found) if block.is_cut else _whole_lines(block.text, line, found, keys)
        line += len(records.texts)
        yield records


def _cut_line(block: Block, line: int, encoding: str) -> Records:
    import pyarrow as pa

    text = read_line(block.text, encoding)[0][:SHOWN_CHARACTERS]
    return Records(
        pa.nulls(1, pa.string()),
        pa.array([line], pa.int64()),
        pa.array([text]),
        pa.array(["is too long for one line"]),
    )


def _whole_lines(text: bytes, line: int, encoding: str, keys: Keys) -> Records:
    import numpy as np
    import pyarrow as pa

    if b"\r" in text:
        # No JSON value holds a bare carriage return, so nothing of a record is changed by this.
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n")) + 1
    numbers = pa.array(np.arange(line, line + len(ends)))
    starts = np.concatenate(([0], ends[:-1]))
    for place in np.unique(np.linspace(0, len(ends) - 1, _LOOKED_AT_PER_BLOCK, dtype=np.int64)).tolist():
        keys.look_at(text[starts[place] : ends[place]])
    if _is_clean(text, starts):
        offsets = np.concatenate(([0], ends)).astype(np.int32)
        texts = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
        nothing = pa.nulls(len(ends), pa.string())
        return Records(texts, numbers, nothing, nothing)
    texts, torn, reasons = [], [], []
    for raw in text[:-1].split(b"\n"):
        shown, reason = read_line(raw, encoding)
        if not raw.strip():
            reason = "is blank"
        elif b"\0" in raw:
            reason = "holds a NUL byte"
        texts.append(None if reason else shown)
        torn.append(shown[:SHOWN_CHARACTERS] if reason else None)
        reasons.append(reason)
    return Records(pa.array(texts, pa.string()), numbers, pa.array(torn, pa.string()), pa.array(reasons, pa.string()))


def _is_clean(text: bytes, starts: np.ndarray) -> bool:
    if b"\0" in text or b"\n\n" in text or text[0] == ord("\n"):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    # A line of blanks only begins with one.
    return not any(not text[start : text.index(b"\n", start)].strip() for start in _blank_starts(text, starts))


def _blank_starts(text: bytes, starts: np.ndarray) -> list[int]:
    import numpy as np

    firsts = np.frombuffer(text, dtype=np.uint8)[starts]
    return starts[(firsts == ord(" ")) | (firsts == ord("\t"))].tolist()


def sample_keys(path: Path, encoding: str, keys: Keys) -> None:
    """Look at the first records of a JSON lines file.

    Raises DeliveryError when it cannot be opened or decompressed.
    """
    sample = read_sample(path, encoding)
    lines = sample.text.splitlines()
    for line in (lines if sample.is_whole else lines[:-1])[:_LOOKED_AT_PER_BLOCK]:
        keys.look_at(line)


def read_document(path: Path, encoding: str, records: str | None, keys: Keys) -> Iterator[Records]:
    """Every record of a JSON document, whose list of records is at the dotted path `records`, or is the document.

    Raises DeliveryError when it is no JSON, has no such list, or is too large to be read as a whole.
    """
    import pyarrow as pa

    text = _document(path, encoding)
    number = 1
    batch: list[str] = []
    for record in _records(text, records, path) if text.strip() else ():
        if number + len(batch) <= _LOOKED_AT_PER_BLOCK or (number + len(batch)) % 100 == 0:
            keys.look_at(record)
        batch.append(record)
        if len(batch) == _RECORDS_PER_BATCH:
            yield _numbered(pa.array(batch, pa.string()), number)
            number += len(batch)
            batch = []
    if batch:
        yield _numbered(pa.array(batch, pa.string()), number)


def _numbered(texts: pa.Array, number: int) -> Records:
    import numpy as np
    import pyarrow as pa

    nothing = pa.nulls(len(texts), pa.string())
    return Records(texts, pa.array(np.arange(number, number + len(texts))), nothing, nothing)


def _document(path: Path, encoding: str) -> str:
    found = read_sample(path, encoding).encoding
    blocks: list[bytes] = []
    size = 0
    for block in read_blocks(path, found, longest_line=_LARGEST_DOCUMENT_BYTES):
        blocks.append(block.text)
        size += len(block.text)
        if block.is_cut or size > _LARGEST_DOCUMENT_BYTES:
            raise DeliveryError(
                f"{path}: is larger than {_LARGEST_DOCUMENT_BYTES >> 30} GiB, too large for one JSON document. "
                "Ask the source for JSON lines, one record a line."
            )
    text, reason = read_line(b"".join(blocks).rstrip(b"\r\n"), found)
    if reason:
        raise DeliveryError(f"{path}: {reason}. Ask for it to be delivered again, or declare its encoding.")
    return text


def _records(text: str, records: str | None, path: Path) -> Iterator[str]:
    """The text of each record, one after another, so that only one of them is in memory as objects."""
    decoder = json.JSONDecoder()
    place = _behind_blanks(text, 0)
    where = "the document"
    try:
        for name in records.split(".") if records else ():
            place = _value_of(text, place, name, decoder)
            if place < 0:
                raise DeliveryError(
                    f"{path}: has no {records}, where its declaration says that the records are. "
                    "Correct records, or ask the source for the old layout."
                )
            where = records or where
        if text[place : place + 1] != "[":
            decoder.raw_decode(text, place)
            raise DeliveryError(
                f"{path}: {where} is no list of records. Declare with records where the list is in the document."
            )
        start = place
        place = _behind_blanks(text, place + 1)
        while text[place : place + 1] != "]":
            _, end = decoder.raw_decode(text, place)
            yield text[place:end]
            place = _behind_blanks(text, end)
            if text[place : place + 1] == ",":
                place = _behind_blanks(text, place + 1)
                if text[place : place + 1] != "]":
                    continue
            elif text[place : place + 1] == "]":
                continue
            raise json.JSONDecodeError("expecting a comma and a record, or the end of the list", text, place)
        _check_rest(text, start, place + 1)
    except json.JSONDecodeError as error:
        raise DeliveryError(
            f"{path}: is not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}. "
            "Ask for it to be delivered again."
        ) from error
    except RecursionError as error:
        raise DeliveryError(f"{path}: is nested too deeply to be read.") from error


def _check_rest(text: str, start: int, end: int) -> None:
    """Raise JSONDecodeError when the document around the list is no JSON; a file may be cut behind its records."""
    try:
        json.loads(text[:start] + "[]" + text[end:])
    except json.JSONDecodeError as error:
        place = error.pos if error.pos <= start else error.pos - 2 + end - start
        raise json.JSONDecodeError(error.msg, text, place) from error


def _value_of(text: str, place: int, name: str, decoder: json.JSONDecoder) -> int:
    """Where the value of a key begins in the object at a place; -1 when there is no such object or key."""
    if text[place : place + 1] != "{":
        return -1
    place = _behind_blanks(text, place + 1)
    while text[place : place + 1] not in ("}", ""):
        key, place = decoder.raw_decode(text, place)
        place = _behind_blanks(text, place)
        if text[place : place + 1] != ":":
            raise json.JSONDecodeError("expecting a colon", text, place)
        place = _behind_blanks(text, place + 1)
        if key == name:
            return place
        _, place = decoder.raw_decode(text, place)
        place = _behind_blanks(text, place)
        if text[place : place + 1] == ",":
            place = _behind_blanks(text, place + 1)
    return -1


def _behind_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def relation(stream: str, headers: Sequence[str], names: Sequence[str], null_values: Sequence[str], land: bool) -> str:
    """SQL that takes the records of a stream apart: columns, _extra, and what is no JSON object as torn.

    The stream has _text, _torn, _torn_reason, _source_file, _line and _interval. Every value comes as text, lists and
    objects as JSON. With `land`, top-level keys that nobody declared come in _extra.
    """
    paths = ", ".join(quoted(pointer(header)) for header in headers)
    is_object = "_torn is null and json_valid(_text) and ltrim(_text, e' \\t\\n\\r')[1] = '{'"
    nulls = ", ".join(quoted(value) for value in dict.fromkeys(["", *null_values]))
    columns = ", ".join(
        f'case when _values[{place}] in ({nulls}) then null else _values[{place}] end as "{name}"'
        for place, name in enumerate(names, start=1)
    )
    extra = "null::varchar"
    if land:
        tops = ", ".join(quoted(top) for top in dict.fromkeys(header.split(".")[0] for header in headers))
        keys = f"list_filter(list_distinct(json_keys(_text)), lambda key: key not in ({tops}) and key[1] <> '_')"
        pairs = (
            f"list_transform({keys}, lambda key: (key, json_extract(_text, '/' || "
            "replace(replace(key, '~', '~0'), '/', '~1'))))"
        )
        extra = (
            f"case when _values is not null and len({keys}) > 0 then to_json(map_from_entries({pairs}))::varchar end"
        )
    return f"""(
        select {columns}, {extra} as _extra,
            case
                when _torn is null and _values is null then left(rtrim(_text, e'\\n'), {SHOWN_CHARACTERS}) else _torn
            end as _torn,
            case
                when _torn is not null or _values is not null then _torn_reason
                when json_valid(_text) then 'is not a JSON object'
                else 'is not valid JSON'
            end as _torn_reason,
            _source_file, _line, _interval
        from (
            select *, case when {is_object} then json_extract_string(_text, [{paths}]) end as _values
            from {stream}
        )
    )"""
