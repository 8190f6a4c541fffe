"""Readers: which delivered files count for which days, and what is said of a file that cannot be used."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import duckdb
import pytest
from tagloom.readers import Delivery, DeliveryError, find_deliveries, fingerprint, read_deliveries
from tagloom.sources import Source

FIRST, END = date(2017, 1, 1), date(2017, 1, 3)


def declare(path: str = "orders_{date}.csv", grain: str = "event", file_format: str = "csv", **changes) -> Source:
    table = {
        "name": "orders",
        "title": "Orders",
        "format": file_format,
        "path": path,
        "grain": grain,
        "primary_key": ["order_id"],
        "columns": [
            {"name": "order_id", "type": "text", "required": True},
            {"name": "amount", "type": "number"},
        ],
    }
    source = {
        "name": "shop",
        "title": "Shop",
        "title_zh": "商店",
        "owner": "shop@example.com",
        "party": "first",
        "consent_basis": "contract",
        "licence": "own data",
        "tables": [table],
    }
    return Source.model_validate(source | changes)


def put(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("order_id,amount\n1,2.5\n", encoding="utf-8")


def found(folder: Path, source: Source, first: date = FIRST, end: date = END) -> list[tuple[str, int]]:
    deliveries = find_deliveries(folder, source.table("orders"), first, end)
    return [(delivery.path.relative_to(folder).as_posix(), delivery.day.day) for delivery in deliveries]


def read(folder: Path, source: Source, *names: str):
    """What became of the files, as (undeclared columns, delivered rows, torn lines)."""
    deliveries = [Delivery(folder / name, FIRST) for name in names]
    with duckdb.connect() as connection:
        undeclared = read_deliveries(connection, source.table("orders"), deliveries)
        delivered = connection.execute(
            "select order_id, amount, _line, _interval from delivered order by all"
        ).fetchall()
        torn = connection.execute("select _line, reason from torn order by all").fetchall()
    return undeclared, delivered, torn


def test_the_first_day_counts_and_the_end_day_does_not(tmp_path):
    put(tmp_path, *(f"orders_{day}.csv" for day in ("2016-12-31", "2017-01-02", "2017-01-01", "2017-01-03")))
    assert found(tmp_path, declare()) == [("orders_2017-01-01.csv", 1), ("orders_2017-01-02.csv", 2)]


def test_other_files_are_not_mistaken_for_deliveries(tmp_path):
    put(
        tmp_path,
        "orders_2017-1-1.csv",
        "orders_2017-01-01.csv.part",
        "old_orders_2017-01-01.csv",
        "ordersX2017-01-01.csv",
    )
    put(tmp_path, "deeper/orders_2017-01-01.csv")
    assert found(tmp_path, declare()) == []


def test_a_day_that_is_none_is_named(tmp_path):
    put(tmp_path, "orders_2017-02-31.csv")
    with pytest.raises(DeliveryError, match=r"orders_2017-02-31\.csv: 2017-02-31 is no day of the calendar; rename"):
        found(tmp_path, declare())


def test_a_path_may_have_folders_and_stars(tmp_path):
    put(tmp_path, "2017-01-01/part-b.csv", "2017-01-01/part-a.csv", "2017-01-02/part-a.csv", "2017-01-02/other.csv")
    assert found(tmp_path, declare("{date}/part-*.csv")) == [
        ("2017-01-01/part-a.csv", 1),
        ("2017-01-01/part-b.csv", 1),
        ("2017-01-02/part-a.csv", 2),
    ]


def test_of_a_snapshot_only_the_newest_day_counts(tmp_path):
    put(tmp_path, "2017-01-01/a.csv", "2017-01-02/b.csv", "2017-01-02/a.csv", "2017-01-03/a.csv")
    assert found(tmp_path, declare("{date}/*.csv", "snapshot")) == [("2017-01-02/a.csv", 2), ("2017-01-02/b.csv", 2)]


def test_no_folder_is_no_delivery(tmp_path):
    assert found(tmp_path / "missing", declare()) == []


def test_the_fingerprint_follows_files_and_declaration(tmp_path):
    put(tmp_path, "orders_2017-01-01.csv", "orders_2017-01-02.csv")
    source = declare()

    def taken(source: Source = source, end: date = END) -> str:
        return fingerprint(
            source, source.table("orders"), find_deliveries(tmp_path, source.table("orders"), FIRST, end)
        )

    before = taken()
    assert taken() == before
    assert taken(end=date(2017, 1, 2)) != before
    assert taken(declare(grain="snapshot")) != before
    assert taken(declare(tolerated_bad_share=0.5)) != before
    os.utime(tmp_path / "orders_2017-01-01.csv", ns=(1, 1))
    assert taken() != before


def test_a_csv_file_is_read_by_its_header_not_by_position(tmp_path):
    (tmp_path / "a.csv").write_text("order_id,amount\n1,2.5\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text('\ufeffcolour, amount,"order_id"\nred,x,2\n', encoding="utf-8")
    undeclared, delivered, torn = read(tmp_path, declare(), "a.csv", "b.csv")
    assert undeclared == ["colour"]
    assert delivered == [("1", "2.5", 2, FIRST), ("2", "x", 2, FIRST)]
    assert torn == []


def test_a_header_may_hold_quotes(tmp_path):
    (tmp_path / "a.csv").write_text('order_id,customer\'s,"the ""big"" one",amount\n1,a,b,2.5\n', encoding="utf-8")
    undeclared, delivered, _ = read(tmp_path, declare(), "a.csv")
    assert undeclared == ["customer's", 'the "big" one']
    assert delivered == [("1", "2.5", 2, FIRST)]


def test_a_header_in_another_encoding_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes("order_id,größe,amount\n".encode("latin-1"))
    with pytest.raises(DeliveryError, match=r"a\.csv: is not UTF-8"):
        read(tmp_path, declare(), "a.csv")


def test_a_csv_file_of_a_header_alone_has_no_rows(tmp_path):
    (tmp_path / "a.csv").write_text("order_id,amount\n", encoding="utf-8")
    assert read(tmp_path, declare(), "a.csv") == ([], [], [])


def test_a_text_stays_as_it_came(tmp_path):
    (tmp_path / "a.csv").write_text("order_id,amount\n 007 ,1e3\nNULL,\n", encoding="utf-8")
    assert [row[:2] for row in read(tmp_path, declare(), "a.csv")[1]] == [(" 007 ", "1e3"), ("NULL", None)]


def test_keys_of_json_lines_nobody_declared_are_named(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"order_id": 1, "amount": null, "z": 1}\n\n{"order_id": "2", "a": {}}\n', encoding="utf-8"
    )
    undeclared, delivered, torn = read(tmp_path, declare(file_format="jsonl"), "a.jsonl")
    assert undeclared == ["a", "z"]
    assert delivered == [("1", None, 1, FIRST), ("2", None, 3, FIRST)]
    assert torn == []


@pytest.mark.parametrize(
    ("file_format", "content"),
    [("csv", "order,amount\n1,2\n"), ("csv", ""), ("jsonl", '{"order": 1}\n')],
    ids=["renamed", "empty", "json"],
)
def test_a_missing_column_is_named_with_what_is_there(tmp_path, file_format, content):
    (tmp_path / "orders.txt").write_text(content, encoding="utf-8")
    with pytest.raises(
        DeliveryError, match=r"lacks the declared columns? order_id.* \(it has .*Ask the source"
    ) as error:
        read(tmp_path, declare(file_format=file_format), "orders.txt")
    assert str(tmp_path) in str(error.value)


def test_a_missing_column_of_parquet_is_named(tmp_path):
    duckdb.execute(f"copy (select 1 as order_id) to '{tmp_path}/a.parquet'").close()
    with pytest.raises(DeliveryError, match=r"a\.parquet: lacks the declared column amount \(it has order_id\)"):
        read(tmp_path, declare(file_format="parquet"), "a.parquet")


def test_a_workbook_that_is_none_is_named(tmp_path):
    (tmp_path / "a.xlsx").write_text("no workbook", encoding="utf-8")
    with pytest.raises(DeliveryError, match=r"a\.xlsx: cannot be read as a workbook"):
        read(tmp_path, declare(file_format="excel"), "a.xlsx")


def test_numbers_of_a_workbook_do_not_get_a_decimal_point(tmp_path):
    import openpyxl

    workbook = openpyxl.Workbook()
    for row in ([" order_id ", "amount"], [7.0, 2.5], ["007", None]):
        workbook.active.append(row)
    workbook.save(tmp_path / "a.xlsx")
    delivered = read(tmp_path, declare(file_format="excel"), "a.xlsx")[1]
    assert [row[:3] for row in delivered] == [("007", None, 3), ("7", "2.5", 2)]
