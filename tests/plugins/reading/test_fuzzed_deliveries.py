"""Fuzz test: 2,000 damaged files are landed, and no row of them is lost, doubled or changed.

The generator is the oracle: it knows each row that it wrote, on which line, and which rows it damaged afterwards. It
shares no code with the readers. Everything comes from fixed seeds, so a failure repeats.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from tagloom.landing.land import land_source
from tagloom.reading.deliveries import DeliveryError
from tagloom.settings import Settings
from tagloom.sources import Source

pytestmark = pytest.mark.slow

DAY, END = date(2017, 7, 1), date(2017, 7, 2)
BATCHES, FILES_PER_BATCH = 100, 20
FORMATS = ["csv"] * 9 + ["tsv"] * 2 + ["jsonl"] * 4 + ["json"] * 2 + ["parquet"] * 2 + ["excel"]
COLUMNS = ["id", "name", "note", "amount"]
SUFFIXES = {"excel": "xlsx"}

NAMES = {
    "ascii": ["Ann", "Bob Miller", "O'Neil", "x"],
    "chinese": ["王小明", "李娜", "欧阳先生", "赵 六"],
    "accents": ["Zoë", "Günther Müßig", "José", "François"],
}
ENCODINGS = {  # encoding -> alphabets that it can write
    "utf-8": ["ascii", "chinese", "accents"],
    "utf-8-sig": ["ascii", "chinese", "accents"],
    "utf-16": ["ascii", "chinese", "accents"],
    "utf-16-be": ["ascii", "chinese", "accents"],
    "gbk": ["chinese"],
    "gb18030": ["chinese"],
    "latin-1": ["ascii", "accents"],
    "cp1252": ["ascii", "accents"],
}


@dataclass
class Row:
    """What was meant, and what became of it."""

    id: str
    name: str | None
    note: str | None
    amount: int | None
    is_damaged: bool = False
    line: int | None = None

    @property
    def values(self) -> tuple:
        return (self.id, self.name, self.note, self.amount)


@dataclass
class File:
    """A delivered file and what must come of it."""

    path: Path
    rows: list[Row]
    count: int | None = None
    """Rows that must be read from it, where that is certain."""
    may_be_refused: bool = False
    must_be_refused: bool = False
    lacks: set[str] = field(default_factory=set)
    """Optional columns that were not written."""
    done: list[str] = field(default_factory=list)
    """Names of the mutations, for messages."""


class Generator:
    """Writes the files of one batch: one source, one table, one way of declaring it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.seed = seed
        self.format = FORMATS[seed % len(FORMATS)]
        self.is_encoding_declared = self.chance.random() < 0.3
        self.encoding = self.chance.choice(list(ENCODINGS))
        self.skip_lines = self.chance.choice([0, 0, 0, 2]) if self.format in ("csv", "tsv", "excel") else 0
        self.records = self.chance.choice([None, "data.items"]) if self.format == "json" else None
        self.new_columns = self.chance.choice(["ignore", "land"])
        self.numbers = iter(range(10**6))

    def source(self) -> Source:
        reader = {"kind": "files", "format": self.format, "path": "{date}_*", "skip_lines": self.skip_lines}
        if self.is_encoding_declared:
            reader["encoding"] = self.encoding
        if self.records:
            reader["records"] = self.records
        types = {"amount": "integer"}
        columns = [{"name": name, "type": types.get(name, "text"), "required": name == "id"} for name in COLUMNS]
        columns[0]["pattern"] = "R[0-9]{6}"
        if self.format in ("json", "jsonl"):
            columns[2]["delivered_as"] = "more.note"
        return Source.model_validate(
            {
                "name": f"fuzz{self.seed}",
                "title": "Fuzz",
                "title_zh": "模糊",
                "owner": "a@example.com",
                "party": "first",
                "consent_basis": "none",
                "licence": "own",
                "tolerated_bad_share": 1.0,
                "tables": [
                    {
                        "name": "rows",
                        "title": "Rows",
                        "reader": reader,
                        "grain": "event",
                        "primary_key": ["id"],
                        "new_columns": self.new_columns,
                        "columns": columns,
                    }
                ],
            }
        )

    def files(self, folder: Path) -> list[File]:
        folder.mkdir(parents=True, exist_ok=True)
        write = {
            "csv": self.delimited,
            "tsv": self.delimited,
            "jsonl": self.json_lines,
            "json": self.json_document,
            "parquet": self.parquet,
            "excel": self.excel,
        }[self.format]
        suffix = SUFFIXES.get(self.format, self.format)
        return [write(folder / f"{DAY}_{number:02}.{suffix}") for number in range(FILES_PER_BATCH)]

    def rows(self, alphabets: list[str], file: int, with_line_ends: bool = False) -> list[Row]:
        chance = self.chance
        rows = []
        for _ in range(chance.choice([0, 1, 3, 10, 20, 30])):
            note = chance.choice(
                ["", "plain", "two words", "with, comma", "a;b|c\td", 'say "hi" now', '"quoted"', " spaces "]
                + NAMES[chance.choice(alphabets)]
                + (["two\nlines", "three\r\nlines\r\n\r\nand more, prose"] if with_line_ends else [])
            )
            if chance.random() < 0.005:
                note = "huge " + "x" * 200_000
            rows.append(
                Row(
                    id=f"R{next(self.numbers):06}",
                    name=chance.choice(NAMES[chance.choice(alphabets)]),
                    note=note or None,
                    amount=chance.choice([None, 0, 7, -12, 10**9]),
                )
            )
        return rows

    # --- CSV and TSV -------------------------------------------------------------------------------------------------

    def delimited(self, path: Path) -> File:
        chance = self.chance
        encoding = self.encoding if self.is_encoding_declared else chance.choice(list(ENCODINGS))
        is_wide = encoding.startswith("utf-16")
        delimiter = "\t" if self.format == "tsv" else chance.choice(",,;\t|")
        line_end = chance.choice(["\n", "\r\n", "\r"])
        ends = ["\n", "\r\n", "\r"] if chance.random() < 0.1 else [line_end]
        has_long_values = chance.random() < 0.3
        file = File(path, self.rows(ENCODINGS[encoding], 0, has_long_values))
        names = list(COLUMNS)
        if chance.random() < 0.2:
            lacking = chance.choice(COLUMNS[1:])
            names.remove(lacking)
            file.lacks.add(lacking)
            file.done.append(f"lacks {lacking}")
        if chance.random() < 0.3:
            chance.shuffle(names)
        for extra in chance.choice([[], [], [], ["new"], ["new", "new"], ["", "Name "]]):
            names.insert(chance.randrange(len(names) + 1), extra)
        header = [chance.choice(["", "", " "]) + name for name in names]
        self.damage_header(file, header)
        quote_all = chance.random() < 0.2

        def cell(value: object) -> str:
            text = "" if value is None else str(value)
            if quote_all or any(sign in text for sign in (delimiter, '"', "\n", "\r")):
                return '"' + text.replace('"', '""') + '"'
            return text

        def line_of(row: Row) -> str:
            known = {"id": row.id, "name": row.name, "note": row.note, "amount": row.amount}
            return delimiter.join(cell(known.get(name, "extra")) for name in names)

        header_text = delimiter.join(cell(name) for name in header)
        above = [f"report number {number}" for number in range(self.skip_lines)]
        lines: list[tuple[Row | None, bytes]] = []
        damage_rate = chance.choice([0, 0, 0.05, 0.2, 0.6])
        # What is damaged at bytes can say nothing of an encoding that is to be guessed from a few of them.
        at_bytes = not is_wide and (self.is_encoding_declared or encoding.startswith("utf-8"))
        for row in file.rows:
            text = line_of(row)
            raw = text.encode(
                encoding.replace("utf-8-sig", "utf-8").replace("utf-16", "utf-16-le").replace("le-be", "be")
            )
            # Of a damaged row only the beginning is kept, so that a huge one could not be recognised by its id.
            if chance.random() < damage_rate and "\n" not in text and "\r" not in text and len(text) < 1_000:
                raw = self.damage_line(file, row, text, encoding, delimiter, at_bytes, names)
            lines.append((row, raw))
            kind = chance.random()
            if kind < 0.01 * bool(damage_rate):
                lines.append((None, b""))
                file.done.append("blank line")
            elif kind < 0.02 * bool(damage_rate):
                lines.append((None, self.bytes_of(header_text, encoding)))
                file.done.append("header again")
            elif kind < 0.03 * bool(damage_rate) and not row.is_damaged:
                lines.append((None, raw))
                file.done.append("row again")
        while lines and not lines[-1][1]:
            lines.pop()
        self.assemble(file, [*above, header_text], lines, encoding, ends)
        return file

    def damage_header(self, file: File, header: list[str]) -> None:
        chance = self.chance
        place = next(place for place, name in enumerate(header) if name.strip() == "id")
        kind = chance.random()
        if kind < 0.02:
            header[place] = chance.choice(["ID", "i_d", "identifier", "number"])
        elif kind < 0.03:
            header.append("id")
        elif kind < 0.04:
            header[:] = [f"column {number}" for number in range(len(header))]
        else:
            return
        file.must_be_refused = True
        file.done.append("header")

    @staticmethod
    def bytes_of(text: str, encoding: str) -> bytes:
        return text.encode({"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding))

    def damage_line(
        self, file: File, row: Row, text: str, encoding: str, delimiter: str, at_bytes: bool, names: list[str]
    ) -> bytes:
        chance = self.chance
        row.is_damaged = True
        behind_id = text.index(row.id) + len(row.id)
        place = chance.randrange(behind_id, len(text) + 1)
        kinds = ["tear", "more", "cut", "nul", "open quote", "bad quote", "delete", "insert", "amount", "delimiter"]
        kind = chance.choice(kinds + ["byte", "byte"] * at_bytes)
        file.done.append(kind)
        match kind:
            case "tear":
                text = text[:behind_id]
            case "more":
                text += delimiter + "more" + delimiter
            case "cut":
                text = text[:place]
            case "nul":
                text = text[:place] + "\0" + text[place:]
            case "open quote":
                text += delimiter + '"'
            case "bad quote":
                text = text[:place] + '"x"y' + text[place:]
            case "delete":
                text = text[:place] + text[place + 1 :]
            case "insert":
                text = text[:place] + chance.choice(string.printable[:95]) + text[place:]
            case "amount":
                text = text + "q"
            case "delimiter":
                text = text.replace(delimiter, chance.choice([sign for sign in ",;|" if sign != delimiter]))
        raw = self.bytes_of(text, encoding)
        if kind == "byte":
            start = len(self.bytes_of(text[:behind_id], encoding))
            at = chance.randrange(start, len(raw) + 1)
            damaged_byte = chance.choice([b"\xff", b"\x80", b"\x00", b"\xfe\xff"])
            raw = raw[:at] + damaged_byte + raw[at + chance.choice([0, 1]) :]
        return raw

    def assemble(
        self, file: File, above: list[str], lines: list[tuple[Row | None, bytes]], encoding: str, ends: list[str]
    ) -> None:
        """Put the lines of a text file together, number them, and damage the file as a whole."""
        chance = self.chance
        unit = 2 if encoding.startswith("utf-16") else 1
        marks = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
        content = marks.get(encoding, b"")
        number = 1
        for text in above:
            content += self.bytes_of(text + ends[0], encoding)
            number += len(re.findall(r"\r\n|\n|\r", text + ends[0]))
        starts = []
        for row, raw in lines:
            if row:
                row.line = number
            starts.append(len(content))
            end = chance.choice(ends)
            # A line feed alone behind a carriage return would belong to it.
            if not raw and end == "\n":
                end = "\r" if len(ends) > 1 else end
            content += raw + self.bytes_of(end, encoding)
            plain = raw.replace(b"\0", b"") if unit == 2 else raw
            number += len(re.findall(rb"\r\n|\n|\r", plain)) + 1
        has_mixed_ends = len(ends) > 1
        # Two lost quotes may make one row of two, and a lost quote may tear a value of several lines.
        lost_quotes = sum(raw.count(b'"') % 2 for row, raw in lines if row and row.is_damaged)
        has_long_values = any(row and not row.is_damaged and row.note and "\n" in row.note for row, _ in lines)
        file.count = None if lost_quotes > 1 or (lost_quotes and has_long_values) else len(lines)
        if has_mixed_ends:
            for row, _ in lines:
                if row:
                    row.line = None
        kind = chance.random()
        if kind < 0.1:
            content += self.bytes_of(chance.choice(ends) * chance.randrange(1, 5), encoding)
        elif kind < 0.2 and content:
            content = content[: -len(self.bytes_of(end, encoding))] if lines else content
        elif kind < 0.25 and lines:
            cut = chance.randrange(starts[0], len(content) + 1) // unit * unit
            for (row, _), start, stop in zip(lines, starts, [*starts[1:], len(content)], strict=True):
                if row and stop > cut:
                    row.is_damaged = True
                    if start >= cut or row.id.encode() not in content[:cut].replace(b"\0", b""):
                        file.rows.remove(row)
            content = content[:cut]
            file.count = None
            file.done.append("cut")
        self.compress(file, content)

    def compress(self, file: File, content: bytes) -> None:
        chance = self.chance
        kind = chance.random()
        if kind < 0.1:
            content = gzip.compress(content, 1)
        elif kind < 0.2:
            content = zstandard.compress(content)
        if kind < 0.2 and chance.random() < 0.2:
            content = content[: chance.randrange(5, len(content))]
            file.must_be_refused = True
            file.done.append("cut archive")
        elif chance.random() < 0.02:
            content = bytes(chance.choices(range(256), k=chance.choice([1, 50, 5_000])))
            file.rows, file.count, file.may_be_refused, file.must_be_refused = [], None, True, False
            file.done.append("noise")
        elif chance.random() < 0.02:
            content = b""
            file.rows, file.count, file.must_be_refused = [], 0, False
            file.done.append("empty")
        file.path.write_bytes(content)

    # --- JSON --------------------------------------------------------------------------------------------------------

    def record(self, row: Row) -> dict:
        record = {"id": row.id, "name": row.name, "more": {"note": row.note, "other": [1]}, "amount": row.amount}
        if self.chance.random() < 0.1:
            record["new"] = {"a": 1}
        if self.chance.random() < 0.1:
            del record[self.chance.choice(["name", "amount"])]
            row.name, row.amount = record.get("name"), record.get("amount")
        return record

    def json_lines(self, path: Path) -> File:
        chance = self.chance
        encoding = self.encoding if self.is_encoding_declared else chance.choice(list(ENCODINGS))
        file = File(path, self.rows(ENCODINGS[encoding], 0, with_line_ends=True))
        at_bytes = not encoding.startswith("utf-16") and (self.is_encoding_declared or encoding.startswith("utf-8"))
        damage_rate = chance.choice([0, 0, 0.05, 0.2, 0.6])
        lines: list[tuple[Row | None, bytes]] = []
        for row in file.rows:
            text = json.dumps(self.record(row), ensure_ascii=chance.random() < 0.2)
            raw = self.bytes_of(text, encoding)
            if chance.random() < damage_rate and len(text) < 1_000:
                row.is_damaged = True
                behind_id = text.index(row.id) + len(row.id)
                place = chance.randrange(behind_id, len(text))
                kind = chance.choice(["cut", "nul", "delete", "list", "amount", "more"] + ["byte"] * at_bytes)
                file.done.append(kind)
                text = {
                    "cut": text[:place],
                    "nul": text[:place] + "\0" + text[place:],
                    "delete": text[:place] + text[place + 1 :],
                    "list": f"[{text}]",
                    "amount": text.replace('"amount": ', '"amount": "q", "b": '),
                    "more": f"{text} x",
                }.get(kind, text)
                raw = self.bytes_of(text, encoding)
                if kind == "byte":
                    at = chance.randrange(len(self.bytes_of(text[:behind_id], encoding)), len(raw))
                    raw = raw[:at] + chance.choice([b"\xff", b"\x80", b"\x00"]) + raw[at:]
            lines.append((row, raw))
            if damage_rate and chance.random() < 0.02:
                lines.append((None, b""))
                file.done.append("blank line")
        while lines and not lines[-1][1]:
            lines.pop()
        self.assemble(file, [], lines, encoding, [chance.choice(["\n", "\r\n", "\r"])])
        return file

    def json_document(self, path: Path) -> File:
        chance = self.chance
        encoding = self.encoding if self.is_encoding_declared else chance.choice(list(ENCODINGS))
        file = File(path, self.rows(ENCODINGS[encoding], 0, with_line_ends=True))
        records: list[object] = [self.record(row) for row in file.rows]
        if chance.random() < 0.2:
            records.insert(chance.randrange(len(records) + 1), chance.choice([5, "text", [1], None]))
            file.done.append("no object")
        file.count = len(records)
        document: object = {"meta": [1], "data": {"n": 1, "items": records}, "end": 1} if self.records else records
        kind = chance.random()
        if kind < 0.05:
            document = {"other": 1}
            file.must_be_refused = True
            file.done.append("no list")
        text = json.dumps(document, indent=chance.choice([None, 1]), ensure_ascii=chance.random() < 0.2)
        if 0.05 < kind < 0.15:
            text = text[: chance.randrange(1, len(text))]
            file.must_be_refused = True
            file.done.append("cut")
        elif 0.15 < kind < 0.2:
            place = chance.randrange(len(text))
            text = text[:place] + text[place + 1 :]
            file.rows, file.count, file.may_be_refused = [], None, True
            file.done.append("delete")
        marks = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
        self.compress(file, marks.get(encoding, b"") + self.bytes_of(text, encoding))
        return file

    # --- Parquet and Excel -------------------------------------------------------------------------------------------

    def parquet(self, path: Path) -> File:
        chance = self.chance
        file = File(path, self.rows(["ascii", "chinese", "accents"], 0, with_line_ends=True))
        file.count = len(file.rows)
        amounts: list[object] = [row.amount for row in file.rows]
        amount_type = chance.choice([pa.int64(), pa.int32(), pa.float64(), pa.string()])
        if amount_type == pa.string():
            amounts = [None if amount is None else str(amount) for amount in amounts]
            for place, row in enumerate(file.rows):
                if chance.random() < 0.2:
                    amounts[place] = "many"
                    row.is_damaged = True
                    file.done.append("amount")
        arrays = {
            "id": pa.array([row.id for row in file.rows], pa.string()),
            "name": pa.array([row.name for row in file.rows], chance.choice([pa.string(), pa.large_string()])),
            "note": pa.array([row.note for row in file.rows], pa.string()),
            "amount": pa.array(amounts, amount_type),
        }
        if chance.random() < 0.2:
            lacking = chance.choice(COLUMNS[1:])
            del arrays[lacking]
            file.lacks.add(lacking)
            if lacking == "amount":
                for row in file.rows:
                    row.is_damaged = False
        if chance.random() < 0.2:
            arrays["new"] = pa.array([{"a": 1}] * len(file.rows), pa.struct([("a", pa.int64())]))
        if chance.random() < 0.05:
            arrays[chance.choice(["ID", "i_d"])] = arrays.pop("id")
            file.must_be_refused = True
            file.done.append("header")
        for place, row in enumerate(file.rows):
            row.line = place + 1
        buffer = io.BytesIO()
        pq.write_table(
            pa.table(arrays), buffer, compression=chance.choice(["none", "snappy", "zstd"]), row_group_size=7
        )
        content = buffer.getvalue()
        kind = chance.random()
        if kind < 0.05:
            content = content[: chance.randrange(1, len(content))]
            file.must_be_refused = True
            file.done.append("cut")
        elif kind < 0.1:
            at = chance.randrange(len(content) - 8)
            content = content[:at] + bytes(chance.choices(range(256), k=5)) + content[at + 5 :]
            # No check sum: a flipped byte in a page may be another value and nobody can tell.
            file.rows, file.count, file.may_be_refused = [], None, True
            file.done.append("flip")
        elif kind < 0.12:
            content, file.rows, file.count, file.must_be_refused = b"", [], 0, False
            file.done.append("empty")
        path.write_bytes(content)
        return file

    def excel(self, path: Path) -> File:
        chance = self.chance
        file = File(path, self.rows(["ascii", "chinese", "accents"], 0))
        for row in file.rows:
            if row.note and len(row.note) > 30_000:
                row.note = "huge"
        workbook = openpyxl.Workbook()
        sheet = workbook.active
        for number in range(self.skip_lines):
            sheet.append([f"report {number}"])
        header = [*COLUMNS, "new"]
        self.damage_header(file, header)
        sheet.append(header)
        file.count = len(file.rows)
        for row in file.rows:
            if chance.random() < 0.05:
                sheet.append([])
                file.count += 1
            row.line = sheet._current_row + 1
            cells = [
                row.id,
                row.name,
                row.note,
                row.amount if chance.random() < 0.5 or row.amount is None else float(row.amount),
            ]
            if chance.random() < 0.05:
                cells[3] = chance.choice(["q", 1.5])
                row.is_damaged = True
            if chance.random() < 0.05:
                cells += ["new"] * 3
                row.is_damaged = True
            sheet.append(cells)
        workbook.save(path)
        kind = chance.random()
        content = path.read_bytes()
        if kind < 0.1:
            path.write_bytes(content[: chance.randrange(1, len(content))])
            file.must_be_refused = True
            file.done.append("cut")
        elif kind < 0.2:
            at = chance.randrange(len(content))
            path.write_bytes(content[:at] + b"\x07\xfe" + content[at + 2 :])
            file.rows, file.count, file.may_be_refused = [], None, True
            file.done.append("flip")
        return file


def land(connection: duckdb.DuckDBPyConnection, settings: Settings, source: Source, files: list[File]) -> list[File]:
    """Land until no file is refused any more; returns those that were, taken out of the landing zone."""
    refused = []
    while True:
        try:
            (landing,) = land_source(connection, settings, source, DAY, END, "run")
        except DeliveryError as error:
            message = str(error)
            (named,) = [file for file in files if file not in refused and str(file.path) in message]
            refused.append(named)
            named.path.unlink()
            continue
        assert landing.rows_read == landing.rows_landed + landing.rows_quarantined + landing.duplicates
        return refused


def check(
    connection: duckdb.DuckDBPyConnection, source: Source, files: list[File], refused: list[File]
) -> Iterator[str]:
    """What is wrong, in sentences that name file and mutations."""
    landed: dict[str, dict[str, tuple]] = {}
    for file, line, *values in connection.execute(
        f"select _source_file, _line, id, name, note, amount from raw_{source.name}.rows"
    ).fetchall():
        rows_of_file = landed.setdefault(file, {})
        if values[0] in rows_of_file:
            yield f"{file}: {values[0]} landed twice"
        rows_of_file[values[0]] = (line, *values)
    quarantine: dict[str, list[tuple[int, str, str]]] = {}
    for file, line, reason, raw in connection.execute(
        "select source_file, line, reason, raw from operations.quarantine where source = ?", [source.name]
    ).fetchall():
        if not reason:
            yield f"{file}: line {line} is in quarantine without a reason"
        quarantine.setdefault(file, []).append((line, reason, raw or ""))
    read = dict(
        connection.execute(
            "select source_file, rows_read from operations.landed_files where source = ?", [source.name]
        ).fetchall()
    )
    for file in files:
        name = f"{source.name}/{file.path.name}"
        what = f"{name} ({', '.join(file.done) or 'whole'})"
        if file in refused:
            if not (file.may_be_refused or file.must_be_refused):
                yield f"{what}: was refused"
            continue
        if file.must_be_refused:
            yield f"{what}: was not refused"
            continue
        mine, aside = landed.get(name, {}), quarantine.get(name, [])
        if file.count is not None and read[name] != file.count:
            yield f"{what}: {read[name]} rows were read instead of {file.count}"
        if len({line for line, *_ in aside} | {line for line, *_ in mine.values()}) != len(aside) + len(mine):
            yield f"{what}: a line is both landed and set aside, or set aside twice"
        if read[name] < len(mine) + len(aside):
            yield f"{what}: more rows came out than were read"
        # A quote that was lost and another one further on can make one odd, but possible, value of two damaged rows.
        shown = "\n".join([*(raw for _, _, raw in aside), *(str(values) for values in mine.values())])
        for row in file.rows:
            expected = tuple(
                None if key in file.lacks else value for key, value in zip(COLUMNS, row.values, strict=True)
            )
            found = mine.get(row.id)
            if row.is_damaged:
                if found is None and row.id not in shown:
                    yield f"{what}: the damaged row {row.id} is neither landed nor in quarantine"
            elif found is None:
                why = next(((reason, raw[:200]) for _, reason, raw in aside if row.id in raw), "it is nowhere")
                yield f"{what}: {row.id} (line {row.line}) did not land: {why}"
            elif found[1:] != expected:
                yield f"{what}: {row.id} landed as {str(found[1:])[:200]} instead of {str(expected)[:200]}"
            elif row.line is not None and found[0] != row.line:
                yield f"{what}: {row.id} is on line {row.line}, not on {found[0]}"


def test_no_row_of_two_thousand_damaged_files_is_lost(settings):
    wrong, files_written, rows_written, files_refused = [], 0, 0, 0
    with duckdb.connect() as connection:
        for seed in range(BATCHES):
            generator = Generator(seed)
            source = generator.source()
            files = generator.files(settings.landing / source.name)
            refused = land(connection, settings, source, files)
            wrong += check(connection, source, files, refused)
            files_written += len(files)
            files_refused += len(refused)
            rows_written += sum(len(file.rows) for file in files)
        sums = connection.execute(
            """
            select sum(rows_read), sum(rows_landed), sum(rows_quarantined), sum(duplicates),
                (select count(*) from operations.quarantine)
            from operations.landing_log where status = 'landed'
            """
        ).fetchall()[0]
    assert wrong == []
    assert files_written == BATCHES * FILES_PER_BATCH == 2_000
    read, landed, quarantined, duplicates, in_quarantine = map(int, sums)
    assert read == landed + quarantined + duplicates
    assert quarantined == in_quarantine
    # The generator must go on making all kinds of files, or the test would prove nothing.
    assert rows_written > 15_000
    assert landed > 12_000
    assert quarantined > 1_000
    assert duplicates > 20
    assert 50 < files_refused < 500
