"""Reads CSV and TSV: fast where a block of lines is as it should be, line by line where it is not.

A row that does not fit its header is set aside with its text and the reason, and nothing else is lost for it: reading
goes on at the next line. Quoting is that of RFC 4180, with quotes inside an unquoted value taken as they are.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.reading.decoding import LONGEST_LINE_BYTES, SHOWN_CHARACTERS, Block, read_blocks, read_line, read_sample
from tagloom.reading.deliveries import DeliveryError
from tagloom.reading.headers import locate_columns
from tagloom.reading.row_batches import Row, Rows, as_rows
from tagloom.sources import Table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

DELIMITERS = (",", ";", "\t", "|")
LONGEST_RECORD_LINES = 1_000
"""A quoted value may run over so many lines; a quote that is open for longer was never closed."""

_ODD_BYTES = 32 << 10
"""A text with something odd in it that is no longer than this is read line by line."""

_QUOTE = ord('"')
_LINE_FEED = ord("\n")
_CARRIAGE_RETURN = ord("\r")
_LINE_END = b"\r\n"


@dataclass(frozen=True)
class Layout:
    """What is known of a delimited file once its header has been read."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    """Names as delivered, without the blanks around them."""
    header_line: bytes
    """The header as it stands in the file (UTF-8, without its line end)."""
    header_end: int
    """Physical line on which the header ends, from 1; the first row is on the next one."""
    positions: tuple[int | None, ...]
    """Where each declared column stands; None when the file lacks it."""
    undeclared: tuple[int, ...]
    """Positions of the columns nobody declared, those without a name left out."""


class _TornError(Exception):
    """A record cannot be split; the message is a predicate for the quarantine."""


class _UnfinishedError(Exception):
    """A record goes on behind the lines at hand."""


def read_layout(path: Path, table: Table) -> Layout | None:
    """Find encoding, delimiter and header of a file; None when there is no header, so no rows either.

    Raises DeliveryError when the header lacks what is required, or cannot be understood.
    """
    declared = table.file_format
    sample = read_sample(path, declared.encoding)
    lines = sample.text.splitlines(keepends=True)
    at = declared.skip_lines
    while at < len(lines) and not lines[at].strip():
        at += 1
    if at >= len(lines):
        return None
    headers = {column.header for column in table.columns}
    if declared.format == "tsv" and declared.delimiter == "auto":
        candidates: Sequence[str] = ("\t",)
    else:
        candidates = DELIMITERS if declared.delimiter == "auto" else (declared.delimiter,)
    read = [(delimiter, *_read_header(lines, at, delimiter, sample.encoding, path)) for delimiter in candidates]
    delimiter, header, used = max(read, key=lambda found: len(headers & set(found[1])))
    if not headers & set(header):
        _refuse_other_delimiter(lines, at, delimiter, sample.encoding, path, headers)
    positions = locate_columns(table, header, path)
    return Layout(
        path=path,
        encoding=sample.encoding,
        delimiter=delimiter,
        header=header,
        header_line=b"".join(lines[at : at + used]).rstrip(_LINE_END),
        header_end=at + used,
        positions=tuple(positions),
        undeclared=tuple(place for place, name in enumerate(header) if name and name not in headers),
    )


def _read_header(lines: list[bytes], at: int, delimiter: str, encoding: str, path: Path) -> tuple[tuple[str, ...], int]:
    text, reason = read_line(lines[at], encoding)
    if reason or "\0" in text:
        raise DeliveryError(
            f"{path}: its header (line {at + 1}) {reason or 'holds a NUL byte'}. Declare the file's encoding, or ask "
            "for it to be delivered again."
        )
    try:
        names, used = _split_record(lines, at, delimiter, encoding)
    except (_TornError, _UnfinishedError):
        # Quotes that do not fit belong to another delimiter, or to a header that nobody declared.
        names, used = text.rstrip("\r\n").split(delimiter), 1
    return tuple(name.strip().removeprefix("\ufeff") for name in names), used


def _refuse_other_delimiter(
    lines: list[bytes], at: int, declared: str, encoding: str, path: Path, headers: set[str]
) -> None:
    for delimiter in DELIMITERS:
        if headers & set(_read_header(lines, at, delimiter, encoding, path)[0]):
            shown = read_line(lines[at], encoding)[0].strip()[:1_000]
            raise DeliveryError(
                f"{path}: is separated by {delimiter!r} and not by {declared!r}, as its header shows: {shown}. "
                f"Declare delimiter: auto, or ask the source for {declared!r}."
            )


def read_rows(layout: Layout, null_values: Sequence[str], with_undeclared: bool = False) -> Iterator[Rows]:
    """All rows of a file in blocks of BLOCK_BYTES; a damaged block comes in pieces, not always in order.

    Raises DeliveryError when the file cannot be read to its end.
    """
    reader = _Reader(layout, null_values, layout.undeclared if with_undeclared else ())
    for block in read_blocks(layout.path, layout.encoding):
        yield from reader.read(block)
    yield from reader.finish()


class _Reader:
    """Reads one file block by block; knows on which line it is and what was left over."""

    def __init__(self, layout: Layout, null_values: Sequence[str], undeclared: Sequence[int]) -> None:
        import pyarrow as pa
        import pyarrow.csv as pc

        self._layout = layout
        self._nulls = frozenset({"", *null_values})
        self._undeclared = undeclared
        self._wanted = [place for place in layout.positions if place is not None] + list(undeclared)
        self._width = len(layout.header)
        self._delimiter = layout.delimiter.encode()
        self._line = 1
        self._left = b""
        names = [str(place) for place in range(self._width)]
        self._convert = {
            check: pc.ConvertOptions(
                check_utf8=check,
                column_types={name: pa.string() for name in names},
                include_columns=[str(place) for place in self._wanted],
                null_values=sorted(self._nulls),
                strings_can_be_null=True,
            )
            for check in (True, False)
        }
        self._names = names

    def read(self, block: Block) -> Iterator[Rows]:
        """The rows of a block, as far as its last record is complete."""
        if block.is_cut:
            yield from self.finish()
            yield self._one_torn_line(block.text)
            return
        text = self._behind_the_header(block.text) if self._line <= self._layout.header_end else block.text
        if text:
            yield from self._read_text(text)

    def finish(self) -> Iterator[Rows]:
        """The rows of what is left when nothing follows."""
        text, self._left = self._left, b""
        if text:
            yield from self._read_slowly(text, is_last=True)

    def _read_text(self, text: bytes) -> Iterator[Rows]:
        """Cut a text with something odd in it in two until that is alone, so that all else is still read fast."""
        left, self._left = self._left, b""
        rows = self._read_fast(left + text)
        middle = text.find(b"\n", len(text) // 2) + 1
        if rows:
            yield rows
        elif len(text) > _ODD_BYTES and 0 < middle < len(text):
            self._left = left
            yield from self._read_text(text[:middle])
            yield from self._read_text(text[middle:])
        else:
            yield from self._read_slowly(left + text, is_last=False)

    def _behind_the_header(self, text: bytes) -> bytes:
        lines = re.finditer(rb"\r\n|\n|\r", text)
        end = 0
        for match in lines:
            end = match.end()
            self._line += 1
            if self._line > self._layout.header_end:
                break
        return text[end:]

    def _one_torn_line(self, beginning: bytes) -> Rows:
        self._line += 1
        return self._rows([self._torn_row(self._line - 1, beginning, "is too long for one line")])

    def _read_fast(self, text: bytes) -> Rows | None:
        """The rows of a text in which every record is as it should be, else None."""
        import numpy as np

        if b"\0" in text or self._may_repeat_header(text):
            return None
        starts, lines_seen, left = None, 0, b""
        if _QUOTE in text:
            found = self._record_starts(text)
            if found is None:
                return None
            starts, lines_seen, end = found
            text, left = text[:end], text[end:]
        if not text.isascii() and (BOM_UTF8 in text or (len(self._wanted) < self._width and not _is_utf8(text))):
            return None
        arrays = self._split(text)
        if arrays is None:
            return None
        count = len(arrays[0])
        if starts is None:
            # A blank line has null in every column; to search the text for one takes longer.
            if self._width > 1 and all(array.null_count for array in arrays) and _has_blank_line(text):
                return None
            starts, lines_seen = np.arange(count), count
        elif len(starts) != count:
            return None
        rows = self._good_rows(arrays, starts + self._line)
        self._line += lines_seen
        self._left = left
        return rows

    def _split(self, text: bytes) -> list[pa.Array] | None:
        """The wanted columns of records that are split by pyarrow; None when one of them does not fit the header."""
        import pyarrow as pa
        import pyarrow.csv as pc

        if len(self._delimiter) > 1 or self._delimiter == b'"':
            return None
        try:
            table = pc.read_csv(
                pa.BufferReader(text),
                read_options=pc.ReadOptions(block_size=len(text) + 1, use_threads=False, column_names=self._names),
                parse_options=pc.ParseOptions(
                    delimiter=self._layout.delimiter, newlines_in_values=True, ignore_empty_lines=False
                ),
                convert_options=self._convert[not text.isascii()],
            )
        except pa.ArrowException:
            return None
        return [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]

    def _good_rows(self, arrays: list[pa.Array], lines: np.ndarray | list[int]) -> Rows:
        import pyarrow as pa

        by_place = dict(zip(self._wanted, arrays, strict=True))
        nothing = pa.nulls(len(arrays[0]), pa.string())
        return Rows(
            columns=[nothing if place is None else by_place[place] for place in self._layout.positions],
            undeclared=[by_place[place] for place in self._undeclared],
            lines=pa.array(lines, pa.int64()),
            torn=nothing,
            reasons=nothing,
        )

    def _may_repeat_header(self, text: bytes) -> bool:
        header = self._layout.header_line
        if text.startswith(header) or b"\n" + header + b"\n" in text:
            return True
        return b"\r" in text and (b"\n" + header + b"\r" in text or b"\r" + header + b"\r" in text)

    def _record_starts(self, text: bytes) -> tuple[np.ndarray, int, int] | None:
        """Line offset of each record, number of lines and length of the complete records; None where quotes are odd.

        Quotes open and close in turn. It is as RFC 4180 has it when each opens behind a delimiter or line end, and
        closes before one, or else two stand side by side.
        """
        import numpy as np

        has_returns = b"\r" in text
        if has_returns and text.count(b"\r") != text.count(b"\r\n"):
            return None
        data = np.frombuffer(text, dtype=np.uint8)
        ends = np.flatnonzero(data == _LINE_FEED)
        quotes = np.flatnonzero(data == _QUOTE)
        outside = np.flatnonzero(np.searchsorted(quotes, ends) % 2 == 0)
        if not len(outside):
            return None
        record_ends = ends[outside]
        length = int(record_ends[-1]) + 1
        if len(ends) - outside[-1] > LONGEST_RECORD_LINES or len(text) - length > LONGEST_LINE_BYTES:
            return None
        quotes = quotes[: np.searchsorted(quotes, length)]
        boundary = np.zeros(256, dtype=bool)
        boundary[[self._delimiter[0], _LINE_FEED, _QUOTE]] = True
        # A quote at the very beginning has the line end at the very end before it.
        if not boundary[data[quotes[0::2] - 1]].all():
            return None
        boundary[_CARRIAGE_RETURN] = has_returns
        if not boundary[data[quotes[1::2] + 1]].all():
            return None
        sizes = np.diff(record_ends, prepend=-1)
        is_blank = (sizes == 1) | ((sizes == 2) & (data[record_ends - 1] == _CARRIAGE_RETURN))
        if self._width > 1 and is_blank.any():
            return None
        line_counts = np.diff(outside, prepend=-1)
        if line_counts.max() > LONGEST_RECORD_LINES:
            return None
        for record in np.flatnonzero(line_counts > 2):
            last = outside[record]
            places = ends[last - line_counts[record] + 1 : last]
            inner = [text[start:end] for start, end in pairwise(places.tolist())]
            if _are_rows_themselves(inner, self._delimiter, self._width):
                return None
        return outside - line_counts + 1, int(outside[-1]) + 1, length

    def _read_slowly(self, text: bytes, is_last: bool) -> Iterator[Rows]:
        """Row by row; what may be the beginning of a longer record is left over for the next text."""
        lines = text.splitlines(keepends=True)
        is_good = self._test_of_one_line(_is_utf8(text))
        first = self._line
        plain_lines: list[bytes] = []
        plain_numbers: list[int] = []
        rows: list[Row] = []
        at = 0
        while at < len(lines):
            line = lines[at]
            if is_good(line):
                plain_lines.append(line)
                plain_numbers.append(first + at)
                at += 1
                continue
            try:
                values, used = self._one_record(lines, at)
                rows.append(Row(first + at, values))
                at += used
            except _TornError as error:
                rows.append(self._torn_row(first + at, line, str(error)))
                at += 1
            except _UnfinishedError:
                left = b"".join(lines[at:])
                if not is_last and len(left) <= LONGEST_LINE_BYTES:
                    self._left, lines = left, lines[:at]
                    break
                rows.append(self._torn_row(first + at, line, "opens a quote that is not closed"))
                at += 1
        self._line += len(lines)
        if plain_lines:
            arrays = self._split(b"".join(plain_lines))
            if arrays is not None and len(arrays[0]) == len(plain_lines):
                yield self._good_rows(arrays, plain_numbers)
            else:
                split = (self._one_record([line], 0)[0] for line in plain_lines)
                rows += [Row(number, values) for number, values in zip(plain_numbers, split, strict=True)]
        if rows:
            yield self._rows(rows)

    def _test_of_one_line(self, is_utf8: bool) -> Callable[[bytes], bool]:
        """Whether a line is a whole record that fits the header, told as quickly as can be."""
        delimiter, delimiters, header = self._delimiter, self._width - 1, self._layout.header_line
        separator = re.escape(delimiter)
        value = rb'(?:"[^"\r\n]*+(?:""[^"\r\n]*+)*+"|[^"\r\n%b]*+)' % separator
        fits = re.compile(b"%b(?:%b%b){%d}(?:\r\n|\n|\r)" % (value, separator, value, delimiters)).fullmatch
        quote, nul, blank = b'"', b"\0", (b"\n", b"\r\n", b"\r")

        def is_good(line: bytes) -> bool:
            if not (fits(line) if quote in line else line.count(delimiter) == delimiters):
                return False
            if nul in line or line.startswith((header, BOM_UTF8)) or (delimiters and line in blank):
                return False
            return is_utf8 or _is_utf8(line)

        return is_good

    def _torn_row(self, number: int, line: bytes, reason: str) -> Row:
        text = read_line(line.rstrip(_LINE_END)[: 4 * SHOWN_CHARACTERS], self._layout.encoding)[0]
        return Row(number, None, text[:SHOWN_CHARACTERS], reason)

    def _one_record(self, lines: list[bytes], at: int) -> tuple[list[str], int]:
        """The values of the record that begins on a line, and how many lines it takes."""
        line = lines[at]
        body = line.rstrip(_LINE_END)
        if b"\0" in body:
            raise _TornError("holds a NUL byte")
        if not body.strip() and self._width > 1:
            raise _TornError("is blank")
        if body.removeprefix(BOM_UTF8) == self._layout.header_line:
            raise _TornError("repeats the header")
        values, used = _split_record(lines, at, self._layout.delimiter, self._layout.encoding)
        if len(values) != self._width and used > 1:
            raise _TornError("opens a quote that is not closed")
        if len(values) != self._width:
            raise _TornError(f"has {_columns(len(values))}, but the header has {self._width}")
        inner = lines[at + 1 : at + used - 1]
        if inner and _are_rows_themselves(inner, self._delimiter, self._width):
            raise _TornError("opens a quote that swallows whole rows")
        return values, used

    def _rows(self, rows: list[Row]) -> Rows:
        return as_rows(rows, self._layout.positions, self._undeclared, self._nulls)


def _split_record(lines: list[bytes], at: int, delimiter: str, encoding: str) -> tuple[list[str], int]:
    """Split the record that begins on lines[at]; returns its values and how many lines it takes.

    Raises _TornError when it cannot be split, _UnfinishedError when it opens a quote that these lines do not close.
    """
    values = []
    used = 1
    text = _decoded(lines[at], encoding)
    place = 0
    while True:
        if text.startswith('"', place):
            parts = []
            place += 1
            while True:
                end = text.find('"', place)
                if end < 0:
                    parts.append(text[place:])
                    if used >= LONGEST_RECORD_LINES:
                        raise _TornError("opens a quote that is not closed")
                    if at + used >= len(lines):
                        raise _UnfinishedError
                    text, place = _decoded(lines[at + used], encoding), 0
                    used += 1
                    continue
                parts.append(text[place:end])
                place = end + 1
                if not text.startswith('"', place):
                    break
                parts.append('"')
                place += 1
            values.append("".join(parts))
            if place >= len(text) or text[place] in "\r\n":
                return values, used
            if not text.startswith(delimiter, place):
                raise _TornError("has text behind a closing quote" if used == 1 else "opens a quote that is not closed")
            place += 1
        else:
            end = text.find(delimiter, place)
            if end < 0:
                values.append(text[place:].rstrip("\r\n"))
                return values, used
            values.append(text[place:end])
            place = end + 1


def _decoded(line: bytes, encoding: str) -> str:
    text, reason = read_line(line, encoding)
    if reason:
        raise _TornError(reason)
    if "\0" in text:
        raise _TornError("holds a NUL byte")
    return text


def _are_rows_themselves(inner: list[bytes], delimiter: bytes, width: int) -> bool:
    """Whether lines inside a quoted value look like rows, so that a lost quote made one value of them.

    Prose may hold as many commas as a row by chance, but hardly on each of several lines or many of them on one.
    """
    if width < 3 and len(inner) < 3:
        return False
    return (len(inner) > 1 or width > 4) and all(line.count(delimiter) == width - 1 for line in inner)


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count:,} columns"


def _has_blank_line(text: bytes) -> bool:
    if text[0] in _LINE_END or b"\n\n" in text:
        return True
    return b"\r" in text and (b"\n\r" in text or b"\r\r" in text)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
