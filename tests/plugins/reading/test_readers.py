from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from tagloom.reading.deliveries import Delivery, DeliveryError
from tagloom.reading.readers import Opened, open_deliveries
from tagloom.sources import Table

DAY, NEXT_DAY = date(2017, 7, 1), date(2017, 7, 2)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def table(file_format: str = "csv", columns: str | list = "id name city", **changes: object) -> Table:
    reader = {"kind": "files", "format": file_format, "path": "*", **changes.pop("reader", {})}
    listed = columns.split() if isinstance(columns, str) else columns
    return Table.model_validate(
        {
            "name": "people",
            "title": "People",
            "reader": reader,
            "grain": "event",
            "primary_key": ["id"],
            "columns": [
                {"name": column, "type": "text", "required": column == "id"} if isinstance(column, str) else column
                for column in listed
            ],
            **changes,
        }
    )


def delivered(folder: Path, name: str, content: bytes | str, day: date = DAY) -> Delivery:
    path = folder / "shop" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Delivery(path, day, is_repair="_repairs" in name)


def read(connection, declared: Table, deliveries: list[Delivery], landing: Path) -> tuple[list[tuple], list[Opened]]:
    rows, every = [], open_deliveries(connection, declared, deliveries, landing)
    for opened in every:
        with opened.reading():
            rows += connection.execute(f"select * from {opened.relation} order by _source_file, _line").fetchall()
    # Nothing of a file is held on to.
    assert connection.execute("select count(*) from duckdb_views() where not internal").fetchall() == [(0,)]
    return rows, every


def read_one(connection, declared: Table, name: str, content: bytes | str, landing: Path) -> tuple[list[tuple], Opened]:
    rows, (opened,) = read(connection, declared, [delivered(landing, name, content)], landing)
    return [row[: len(declared.columns)] for row in rows], opened


def test_no_deliveries_are_nothing_to_read(connection, tmp_path):
    assert open_deliveries(connection, table(), [], tmp_path) == []


def test_files_of_several_layouts_and_days_come_as_one_relation(connection, tmp_path):
    deliveries = [
        delivered(tmp_path, "a.csv", "id,name,city\n1,a,b\ntorn\n"),
        delivered(tmp_path, "b.csv", "city;more;id\nc;x;2\n", NEXT_DAY),
        delivered(tmp_path, "c.csv", "", NEXT_DAY),
    ]
    rows, (opened,) = read(connection, table(), deliveries, tmp_path)
    assert rows == [
        ("1", "a", "b", None, None, None, "shop/a.csv", 2, DAY),
        (None, None, None, None, "torn", "has 1 column, but the header has 3", "shop/a.csv", 3, DAY),
        ("2", None, "c", None, None, None, "shop/b.csv", 2, NEXT_DAY),
    ]
    assert opened.is_text == {"id": True, "name": True, "city": True}
    assert (opened.undeclared, opened.missing, opened.types) == ({"more"}, {"name"}, {})
    assert opened.rows == {"shop/a.csv": 2, "shop/b.csv": 1}
    assert opened.deliveries == deliveries


def test_a_file_from_outside_of_the_landing_zone_has_its_whole_path(connection, tmp_path):
    rows, _ = read(connection, table(), [delivered(tmp_path, "a.csv", "id\n1\n")], tmp_path / "landing")
    assert rows[0][6] == (tmp_path / "shop/a.csv").as_posix()


def test_undeclared_columns_land_as_json_when_asked_to(connection, tmp_path):
    deliveries = [
        delivered(tmp_path, "a.csv", "id,zip,zip,note\n1,22,33,\ntorn\n"),
        delivered(tmp_path, "b.csv", "id,name\n2,x\n"),
    ]
    rows, (opened,) = read(connection, table(new_columns="land"), deliveries, tmp_path)
    assert [row[3] for row in rows] == ['{"zip":"22","zip_2":"33","note":null}', None, None]
    assert opened.undeclared == {"zip", "note"}


def test_a_compressed_file_that_is_cut_arrives_as_delivery_error_and_the_connection_lives_on(connection, tmp_path):
    content = "id\n" + "".join(f"{number * 7919}\n" for number in range(2_000_000))
    delivery = delivered(tmp_path, "a.csv.gz", gzip.compress(content.encode(), 1)[:-10])
    (opened,) = open_deliveries(connection, table(), [delivery], tmp_path)
    connection.execute("create table landed (id varchar)")
    connection.execute("begin")
    with pytest.raises(DeliveryError, match=r"a\.csv\.gz: is cut or damaged"), opened.reading():
        connection.execute(f"insert into landed select id from {opened.relation}")
    assert "a.csv.gz" in str(opened.error)
    connection.execute("rollback")
    assert connection.execute("select count(*) from landed").fetchall() == [(0,)]


def test_errors_of_the_callers_own_sql_are_passed_on(connection, tmp_path):
    for declared, name in ((table(), "a.csv"), (table("parquet"), "b.parquet")):
        delivery = delivered(tmp_path, name, "id\nx\n")
        if name == "b.parquet":
            connection.execute(f"copy (select 'x' as id) to '{delivery.path}'")
        (opened,) = open_deliveries(connection, declared, [delivery], tmp_path)
        with pytest.raises(duckdb.ConversionException, match="Could not convert string"), opened.reading():
            connection.execute(f"select id::integer from {opened.relation}").fetchall()


def test_a_file_that_vanishes_is_named(connection, tmp_path):
    delivery = delivered(tmp_path, "a.csv", "id\n1\n")
    (opened,) = open_deliveries(connection, table(), [delivery], tmp_path)
    delivery.path.unlink()
    with pytest.raises(DeliveryError, match=r"a\.csv: cannot be read: No such file"), opened.reading():
        connection.execute(f"select * from {opened.relation}")
    with pytest.raises(DeliveryError, match=r"a\.csv: cannot be read: No such file"):
        open_deliveries(connection, table(), [delivery], tmp_path)


def test_memory_stays_bounded(connection, tmp_path):
    delivery = delivered(tmp_path, "a.csv", "id,name,city\n" + "".join(f"{n},abc,def\n" for n in range(3_000_000)))
    connection.execute("set memory_limit = '40MB'")
    connection.execute("set preserve_insertion_order = false")
    assert delivery.path.stat().st_size > 40_000_000
    (opened,) = open_deliveries(connection, table(), [delivery], tmp_path)
    with opened.reading():
        found = connection.execute(f"select count(*), min(_line), max(_line), sum(id::int) from {opened.relation}")
        assert found.fetchall() == [(3_000_000, 2, 3_000_001, 3_000_000 * 2_999_999 // 2)]


# --- JSON ------------------------------------------------------------------------------------------------------------

NESTED = [
    {"name": "id", "type": "text", "required": True},
    {"name": "city", "type": "text", "delivered_as": "customer.address.city"},
    {"name": "tags", "type": "text"},
    {"name": "amount", "type": "number"},
]


def test_json_lines_are_taken_apart_along_dotted_paths(connection, tmp_path):
    lines = [
        {"id": 1, "customer": {"address": {"city": "Köln", "zip": 5}}, "tags": ["a", 1], "amount": 1.5, "_sent": 1},
        {"id": "b", "customer": None, "tags": {"x": None}, "amount": True, "a/b~c": {"y": 1}},
        {"id": "", "tags": None},
    ]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    rows, (opened,) = read(
        connection, table("jsonl", NESTED, new_columns="land"), [delivered(tmp_path, "a.jsonl", content)], tmp_path
    )
    assert rows == [
        ("1", "Köln", '["a",1]', "1.5", None, None, None, "shop/a.jsonl", 1, DAY),
        ("b", None, '{"x":null}', "true", '{"a/b~c":{"y":1}}', None, None, "shop/a.jsonl", 2, DAY),
        (None, None, None, None, None, None, None, "shop/a.jsonl", 3, DAY),
    ]
    assert opened.undeclared == {"customer.address.zip", "a/b~c"}
    assert opened.rows == {"shop/a.jsonl": 3}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_json_lines_that_are_no_objects_are_torn(connection, tmp_path, line_end):
    lines = ['{"id": 1}', "", '{"id": 2', "[3]", "4", "  ", '{"id": 5} x', '{"id": "\0"}', "\ud800", ' {"id": 6} ']
    content = line_end.join(lines).encode("utf-8", "surrogatepass") + b"\n\n"
    delivery = delivered(tmp_path, "a.jsonl", content)
    rows, _ = read(connection, table("jsonl", reader={"encoding": "utf-8"}), [delivery], tmp_path)
    assert [(row[7], row[0], row[5]) for row in rows] == [
        (1, "1", None),
        (2, None, "is blank"),
        (3, None, "is not valid JSON"),
        (4, None, "is not a JSON object"),
        (5, None, "is not a JSON object"),
        (6, None, "is blank"),
        (7, None, "is not valid JSON"),
        (8, None, "holds a NUL byte"),
        (9, None, "is not UTF-8 text: byte 0xed at position 1"),
        (10, "6", None),
    ]
    assert [row[4] for row in rows][1:5] == ["", '{"id": 2', "[3]", "4"]


def test_a_json_line_that_is_too_long_is_torn(connection, tmp_path):
    content = '{"id": 1}\n{"id": "' + "x" * (17 << 20) + '"}\n{"id": 3}\n'
    rows, _ = read(connection, table("jsonl"), [delivered(tmp_path, "a.jsonl", content)], tmp_path)
    assert [(row[0], row[5], row[7]) for row in rows] == [
        ("1", None, 1),
        (None, "is too long for one line", 2),
        ("3", None, 3),
    ]
    assert len(rows[1][4]) == 10_000


def test_json_in_gbk_with_null_values(connection, tmp_path):
    content = '{"id": "1", "name": "王小明", "city": "NULL"}\n{"id": "2", "name": "李娜"}\n'.encode("gbk")
    declared = table("jsonl", reader={"null_values": ["NULL"]})
    rows, _ = read_one(connection, declared, "a.jsonl", content, tmp_path)
    assert rows == [("1", "王小明", None), ("2", "李娜", None)]


def test_a_required_key_that_no_record_has_refuses_the_file_once_it_is_sure(connection, tmp_path):
    few, many = ("".join(f'{{"i_d": {number}}}\n' for number in range(count)) for count in (19, 20))
    rows, opened = read_one(connection, table("jsonl"), "few.jsonl", few, tmp_path)
    assert rows == [(None, None, None)] * 19
    assert opened.missing == {"name", "city"}
    message = r"many\.jsonl: lacks the required column id \(it has i_d\); perhaps i_d is what id is called now"
    with pytest.raises(DeliveryError, match=message):
        read_one(connection, table("jsonl"), "many.jsonl", many, tmp_path)
    document = "[" + ",".join(many.splitlines()) + "]"
    with pytest.raises(DeliveryError, match="lacks the required column id"):
        read_one(connection, table("json"), "many.json", document, tmp_path)


@pytest.mark.parametrize("records", [None, "data.items"])
def test_json_documents_give_their_records(connection, tmp_path, records):
    items = [{"id": 1, "name": "x\ny"}, 5, {"id": 2.50, "new": 1}, None, {"id": "上海"}]
    document = {"meta": [{"items": 1}], "data": {"a": {}, "items": items, "n": 3}} if records else items
    for number, indent in enumerate([None, 2]):
        delivery = delivered(tmp_path, f"{number}.json", json.dumps(document, indent=indent))
        rows, (opened,) = read(connection, table("json", reader={"records": records}), [delivery], tmp_path)
        assert [(row[0], row[1], row[4], row[5], row[7]) for row in rows] == [
            ("1", "x\ny", None, None, 1),
            (None, None, "5", "is not a JSON object", 2),
            ("2.5", None, None, None, 3),
            (None, None, "null", "is not a JSON object", 4),
            ("上海", None, None, None, 5),
        ]
        assert (opened.undeclared, opened.missing) == ({"new"}, {"city"})


@pytest.mark.parametrize(
    ("records", "content", "message"),
    [
        (None, '[{"id": 1},', "is not valid JSON at line 1, column 12"),
        (None, '[{"id": 1} {"id": 2}]', "expecting a comma and a record, or the end of the list"),
        (None, '[\n{"id": 1}]x', r"is not valid JSON at line 2, column 11: Extra data"),
        (None, '{"id": 1}', "the document is no list of records"),
        (None, "nonsense", "is not valid JSON at line 1, column 1"),
        ("a.b", '{"a": {"c": []}}', r"has no a\.b, where its declaration says that the records are"),
        ("a.b", '{"a": [1]}', r"has no a\.b"),
        ("a.b", '{"a": {"b": 5}}', r"a\.b is no list of records"),
        ("a.b", '{"a": {"b": [{"id": 1}]}', "is not valid JSON at line 1, column 25"),
        (None, "[" * 200_000, "is nested too deeply"),
    ],
)
def test_a_broken_json_document_is_refused(connection, tmp_path, records, content, message):
    with pytest.raises(DeliveryError, match=rf"a\.json: .*{message}"):
        read_one(connection, table("json", reader={"records": records}), "a.json", content, tmp_path)


@pytest.mark.parametrize("content", ["", " \n", "[]", "[ ]\n"])
def test_an_empty_json_document_has_no_rows(connection, tmp_path, content):
    assert read_one(connection, table("json"), "a.json", content, tmp_path)[0] == []


# --- Repairs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_repairs_are_json_lines_with_declared_names_whatever_the_format(connection, tmp_path, file_format):
    columns = ["id", {"name": "city", "type": "text", "delivered_as": "customer_city"}]
    repair = delivered(
        tmp_path, "_repairs/people/2017-07-01_ab.jsonl", '{"id": 7, "city": "Rome", "_quarantine_id": "ab"}\n'
    )
    rows, (opened,) = read(connection, table(file_format, columns), [repair], tmp_path)
    assert rows == [("7", "Rome", None, None, None, "shop/_repairs/people/2017-07-01_ab.jsonl", 1, DAY)]
    assert (opened.undeclared, opened.missing) == (set(), set())


def test_files_and_repairs_are_both_read(connection, tmp_path):
    repair = delivered(tmp_path, "_repairs/people/2017-07-01_ab.jsonl", '{"id": 7}\n')
    rows, every = read(connection, table(), [delivered(tmp_path, "a.csv", "id\n1\n"), repair], tmp_path)
    assert [row[0] for row in rows] == ["1", "7"]
    assert len(every) == 2


# --- Parquet ---------------------------------------------------------------------------------------------------------

AMOUNTS = ["id", {"name": "amount", "type": "number", "delivered_as": "Amount €"}, "note"]


def parquet(connection, folder: Path, name: str, query: str, day: date = DAY) -> Delivery:
    delivery = delivered(folder, name, b"", day)
    connection.sql(query).write_parquet(str(delivery.path), row_group_size=2048)
    return delivery


def test_parquet_keeps_its_types_and_each_layout_is_a_relation(connection, tmp_path):
    same = "select 1 as id, 2.5::double as \"Amount €\", '' as note, {'a': 1} as more"
    deliveries = [
        parquet(connection, tmp_path, "a.parquet", same),
        parquet(connection, tmp_path, "it's.parquet", same, NEXT_DAY),
        parquet(connection, tmp_path, "c.parquet", "select 'x' as id, 'y' as \"Amount €\" from range(2)"),
        delivered(tmp_path, "empty.parquet", b""),
    ]
    rows, (first, second) = read(connection, table("parquet", AMOUNTS, new_columns="land"), deliveries, tmp_path)
    assert rows == [
        (1, 2.5, None, '{"more":{"a":1}}', None, None, "shop/a.parquet", 1, DAY),
        (1, 2.5, None, '{"more":{"a":1}}', None, None, "shop/it's.parquet", 1, NEXT_DAY),
        ("x", "y", None, None, None, None, "shop/c.parquet", 1, DAY),
        ("x", "y", None, None, None, None, "shop/c.parquet", 2, DAY),
    ]
    assert first.types == {"id": "INTEGER", "amount": "DOUBLE", "note": "VARCHAR"}
    assert first.is_text == {"id": False, "amount": False, "note": True}
    assert (first.undeclared, first.missing, len(first.deliveries)) == ({"more"}, set(), 2)
    assert second.is_text == {"id": True, "amount": True, "note": True}
    assert (second.undeclared, second.missing) == (set(), {"note"})
    assert first.rows == {"shop/a.parquet": 1, "shop/it's.parquet": 1}
    assert second.rows == {"shop/c.parquet": 2}


def test_parquet_lines_are_row_numbers_and_null_values_are_null(connection, tmp_path):
    query = "select i as id, if(i % 2 = 0, 'NULL', 'x') as note from range(5000) as numbers (i)"
    declared = table("parquet", "id note", reader={"null_values": ["NULL"]})
    (opened,) = open_deliveries(connection, declared, [parquet(connection, tmp_path, "a.parquet", query)], tmp_path)
    with opened.reading():
        found = connection.execute(
            f"select count(*), count(note), count(*) filter (_line = id + 1), max(_line) from {opened.relation}"
        ).fetchall()
    assert found == [(5000, 2500, 5000, 5000)]


def test_a_parquet_file_without_a_required_column_is_refused(connection, tmp_path):
    delivery = parquet(connection, tmp_path, "a.parquet", "select 1 as \"ID\", 'x' as note")
    with pytest.raises(DeliveryError, match=r"a\.parquet: lacks the required column id .*perhaps ID is what id"):
        open_deliveries(connection, table("parquet", "id note"), [delivery], tmp_path)


def test_a_parquet_file_that_is_cut_is_refused(connection, tmp_path):
    delivery = parquet(connection, tmp_path, "a.parquet", "select 1 as id")
    delivery.path.write_bytes(delivery.path.read_bytes()[:-5])
    with pytest.raises(DeliveryError, match=r"a\.parquet: cannot be read as parquet: .* delivered again"):
        open_deliveries(connection, table("parquet", "id"), [delivery], tmp_path)


def test_a_parquet_page_that_cannot_be_decoded_arrives_as_delivery_error(connection, tmp_path):
    query = "select md5(i::varchar) as id from range(20000) as numbers (i)"
    good, bad = (parquet(connection, tmp_path, f"{name}.parquet", query) for name in ("good", "bad"))
    content = bytearray(bad.path.read_bytes())
    content[5_000:9_000] = b"\xff" * 4_000
    bad.path.write_bytes(bytes(content))
    (opened,) = open_deliveries(connection, table("parquet", "id"), [good, bad], tmp_path)
    connection.execute("begin")
    with pytest.raises(DeliveryError, match=r"bad\.parquet: cannot be read as parquet"), opened.reading():
        connection.execute(f"create table landed as select * from {opened.relation}")
