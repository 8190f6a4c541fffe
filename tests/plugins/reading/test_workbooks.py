from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import openpyxl
import pytest
from tagloom.reading.deliveries import DeliveryError
from tagloom.reading.headers import locate_columns
from tagloom.reading.workbooks import cell_text, read_header, read_rows
from tagloom.sources import Table


def table(**reader: object) -> Table:
    return Table.model_validate(
        {
            "name": "people",
            "title": "People",
            "reader": {"kind": "files", "format": "excel", "path": "*", **reader},
            "grain": "event",
            "primary_key": ["id"],
            "columns": [{"name": name, "type": "text", "required": name == "id"} for name in ("id", "name", "since")],
        }
    )


def workbook(tmp_path: Path, *rows: list, sheets: tuple[str, ...] = ("First",), name: str = "x.xlsx") -> Path:
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for title in sheets[1:]:
        book.create_sheet(title)
    for row in rows:
        book.worksheets[-1].append(row)
    book.save(tmp_path / name)
    return tmp_path / name


def read(path: Path, declared: Table) -> list[tuple]:
    """(row, values of the declared columns, raw text and reason of a torn row)."""
    names = read_header(path, declared)
    positions = locate_columns(declared, names, path)
    found = []
    for rows in read_rows(path, declared, positions, [], declared.file_format.null_values):
        values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
        found += zip(rows.lines.to_pylist(), values, rows.torn.to_pylist(), rows.reasons.to_pylist(), strict=True)
    return found


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (12.0, "12"),
        (-0.0, "0"),
        (12.5, "12.5"),
        (1e20, "1e+20"),
        (7, "7"),
        (True, "true"),
        ("", None),
        (None, None),
        (" x ", " x "),
        (datetime(2017, 7, 1), "2017-07-01"),
        (datetime(2017, 7, 1, 9, 30), "2017-07-01 09:30:00"),
        (date(2017, 7, 1), "2017-07-01"),
        (time(9, 30), "09:30:00"),
        (timedelta(hours=30), "1 day, 6:00:00"),
    ],
)
def test_cells_as_text(cell, text):
    assert cell_text(cell) == text


def test_rows_have_their_row_numbers_and_nothing_is_left_out(tmp_path):
    path = workbook(
        tmp_path,
        ["Report of July"],
        [],
        [" since", "id", "more", "name"],
        [datetime(2017, 7, 1), 12.0, "x", "N/A"],
        [],
        [None, "A7"],
        [None, None, None, "Bob", "over", "the edge"],
        [None, None],
    )
    declared = table(skip_lines=1, null_values=["N/A"])
    assert read_header(path, declared) == ("since", "id", "more", "name")
    assert read(path, declared) == [
        (4, ("12", None, "2017-07-01"), None, None),
        (5, (None, None, None), "", "is blank"),
        (6, ("A7", None, None), None, None),
        (7, (None, None, None), "\t\t\tBob\tover\tthe edge", "has 6 columns, but the header has 4"),
    ]


def test_the_declared_sheet_is_read_whatever_the_file_is_called(tmp_path):
    path = workbook(tmp_path, ["id"], [1], sheets=("First", "数据"), name="x.xlsx")
    renamed = path.rename(tmp_path / "export")
    assert read(renamed, table(sheet="数据")) == [(2, ("1", None, None), None, None)]
    assert read_header(renamed, table()) == ()
    with pytest.raises(DeliveryError, match=r"export: has no sheet Other \(it has First, 数据\)"):
        read_header(renamed, table(sheet="Other"))


def test_an_empty_file_or_sheet_has_no_header(tmp_path):
    (tmp_path / "empty.xlsx").write_bytes(b"")
    assert read_header(tmp_path / "empty.xlsx", table()) == ()
    assert read_header(workbook(tmp_path), table()) == ()


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: b"id\n1\n", lambda data: data[:3000]])
def test_a_broken_workbook_is_refused(tmp_path, damage):
    path = workbook(tmp_path, ["id"], *([number] for number in range(2_000)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DeliveryError, match=r"x\.xlsx: .* Ask for it again, saved as \.xlsx"):
        read(path, table())


def test_a_workbook_with_a_damaged_sheet_is_refused(tmp_path):
    path = workbook(tmp_path, ["id"], *([number] for number in range(20_000)))
    data = bytearray(path.read_bytes())
    place = data.index(b"xl/worksheets/sheet1.xml") + 5_000
    data[place : place + 50] = b"\xff" * 50
    path.write_bytes(bytes(data))
    with pytest.raises(DeliveryError, match=r"x\.xlsx: cannot be read as a workbook: .* saved as \.xlsx"):
        read(path, table())
