"""Reads Excel workbooks (.xlsx, .xlsm) row by row, every cell as text."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.reading.decoding import SHOWN_CHARACTERS
from tagloom.reading.deliveries import DeliveryError
from tagloom.reading.row_batches import Row, Rows, as_rows
from tagloom.sources import FileFormat, Table

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

ROWS_PER_BATCH = 10_000


def read_header(path: Path, table: Table) -> tuple[str, ...]:
    """The names in the header, stripped; none when the sheet is empty.

    Raises DeliveryError when the file is no workbook or lacks the sheet.
    """
    for _, cells in _read(path, table.file_format):
        return tuple((text or "").strip() for text in cells)
    return ()


def read_rows(
    path: Path, table: Table, positions: Sequence[int | None], undeclared: Sequence[int], null_values: Sequence[str]
) -> Iterator[Rows]:
    """All rows below the header, down to the last one with anything in it.

    Whole numbers come without a decimal point (a sheet stores 12 as 12.0), dates and times as ISO 8601, and a midnight
    as the date alone, because a sheet does not tell them apart.

    Raises DeliveryError when the file cannot be read to its end.
    """
    nulls = frozenset({"", *null_values})
    width = 0
    rows: list[Row] = []
    for number, cells in _read(path, table.file_format):
        if not width:
            width = len(cells)
            continue
        rows.append(_row(number, cells, width))
        if len(rows) == ROWS_PER_BATCH:
            yield as_rows(rows, positions, undeclared, nulls)
            rows = []
    if rows:
        yield as_rows(rows, positions, undeclared, nulls)


def _row(number: int, cells: list[str | None], width: int) -> Row:
    if not cells:
        return Row(number, None, "", "is blank")
    if len(cells) > width:
        shown = "\t".join(cell or "" for cell in cells)[:SHOWN_CHARACTERS]
        return Row(number, None, shown, f"has {len(cells)} columns, but the header has {width}")
    return Row(number, cells + [None] * (width - len(cells)))


def _read(path: Path, declared: FileFormat) -> Iterator[tuple[int, list[str | None]]]:
    """The physical row, from 1, and the texts up to the last full cell of each row, from the header on."""
    try:
        yield from _cells(path, declared)
    except (DeliveryError, GeneratorExit):
        raise
    except Exception as error:  # a broken workbook fails anywhere in zip, XML or number parsing
        raise DeliveryError(
            f"{path}: cannot be read as a workbook: {_short(error)}. Ask for it again, saved as .xlsx."
        ) from error


def _cells(path: Path, declared: FileFormat) -> Iterator[tuple[int, list[str | None]]]:
    # Here and not above: every parse of the DAGs would pay for it.
    from openpyxl import load_workbook

    if not path.stat().st_size:
        return
    if not zipfile.is_zipfile(path):
        raise DeliveryError(f"{path}: is no workbook, or a damaged one. Ask for it again, saved as .xlsx.")
    # A file that is open already, because by its path openpyxl judges a workbook by its ending.
    with path.open("rb") as file:
        workbook = load_workbook(file, read_only=True, data_only=True)
        sheet = _sheet(workbook, declared.sheet, path)
        # Some programs write a wrong size, and rows outside of it would be lost.
        sheet.reset_dimensions()
        is_header_read = False
        blank_rows: list[int] = []
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            if number <= declared.skip_lines:
                continue
            texts = [cell_text(cell) for cell in cells]
            while texts and texts[-1] is None:
                texts.pop()
            if texts:
                yield from ((blank, []) for blank in blank_rows)
                blank_rows = []
                yield number, texts
                is_header_read = True
            elif is_header_read:
                blank_rows.append(number)


def _sheet(workbook: object, name: str | None, path: Path) -> ReadOnlyWorksheet:
    sheets = {sheet.title: sheet for sheet in workbook.worksheets}
    if not sheets:
        raise DeliveryError(f"{path}: has no sheet with cells. Ask for it again.")
    if name is None:
        return next(iter(sheets.values()))
    if name not in sheets:
        raise DeliveryError(
            f"{path}: has no sheet {name} (it has {', '.join(sheets)}). Correct sheet in its declaration, or ask the "
            "source for the old layout."
        )
    return sheets[name]


def cell_text(cell: object) -> str | None:
    """A cell as text; None when it is empty."""
    match cell:
        case None | "":
            return None
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        case datetime() if cell.time() == time():
            return cell.date().isoformat()
        case datetime():
            return cell.isoformat(" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return str(cell)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
