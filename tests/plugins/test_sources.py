"""Every mistake in a source declaration gives one sentence that names file, key and what was found."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tagloom.settings import PROJECT
from tagloom.sources import SourceError, load_source, load_sources, readable_sources


def table(**changes) -> dict:
    """A right table with keys changed; ... leaves a key out."""
    right = {
        "name": "orders",
        "title": "Orders",
        "reader": {"kind": "files", "format": "csv", "path": "orders_{date}.csv"},
        "grain": "event",
        "primary_key": ["order_id"],
        "columns": [{"name": "order_id", "type": "text"}, {"name": "amount", "type": "decimal(8,2)"}],
    }
    return {key: value for key, value in (right | changes).items() if value is not ...}


def source(**changes) -> dict:
    """A right source with keys changed; ... leaves a key out."""
    right = {
        "name": "shop",
        "title": "Shop",
        "title_zh": "商店",
        "owner": "shop@example.com",
        "party": "first",
        "consent_basis": "contract",
        "licence": "own data",
        "tables": [table()],
    }
    return {key: value for key, value in (right | changes).items() if value is not ...}


def write(folder: Path, content: dict, name: str = "shop.yml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(SourceError) as error:
        load_source(path)
    return str(error.value).splitlines()


def test_reads_a_declaration_with_its_defaults(tmp_path):
    read = load_source(write(tmp_path, source()))
    assert (read.name, read.raw_schema, read.schedule, read.time_zone) == ("shop", "raw_shop", "@daily", "UTC")
    assert (read.tolerated_bad_share, read.build_waits_for_it) == (0.01, False)
    assert (read.tolerated_bad_rows, read.retention_days, read.is_on_arrival) == (0, None, False)
    orders = read.table("orders")
    assert (orders.duplicates, orders.event_time, orders.identifiers) == ("quarantine", None, {})
    assert (orders.overlap_days, orders.new_columns, orders.is_fetched) == (0, "ignore", False)
    assert (orders.file_format.encoding, orders.file_format.delimiter) == ("auto", "auto")
    assert orders.column_names == ["order_id", "amount"]
    assert [column.sql_type for column in orders.columns] == ["varchar", "decimal(8,2)"]
    assert (orders.column("amount").required, orders.column("amount").personal_data) == (False, "none")


def test_the_projects_own_declarations_are_right():
    assert [read.name for read in load_sources(PROJECT / "sources")] == sorted(
        path.stem for path in (PROJECT / "sources").glob("*.yml")
    )


FILES = {"kind": "files", "format": "csv", "path": "orders_{date}.csv"}
EVENT = {"name": "happened_at", "type": "timestamp"}
ORDER = {"name": "order_id", "type": "text"}


def reader(**changes) -> dict:
    """A source whose one table has this reader; ... leaves a key out."""
    right = {key: value for key, value in (FILES | changes).items() if value is not ...}
    return source(tables=[table(reader=right)])


def fetched(kind: str, **keys) -> dict:
    """A source whose one table is fetched."""
    return source(tables=[table(grain="snapshot", reader={"kind": kind, **keys})])


def column(**keys) -> dict:
    """A source whose one table has one more column."""
    return source(tables=[table(columns=[ORDER, {"name": "amount", "type": "text"} | keys])])


KNOWN = "is not a known key; remove it or correct its spelling"

WRONG = {
    "a key nobody knows": (source(colour="red"), f"colour: {KNOWN}"),
    "a key of a table nobody knows": (
        source(tables=[table(primary_keys=["order_id"])]),
        f"tables.0.primary_keys: {KNOWN}",
    ),
    "a key of a reader nobody knows": (reader(separator=";"), f"tables.0.reader.files.separator: {KNOWN}"),
    "a key of another reader": (reader(watermark="order_id"), f"tables.0.reader.files.watermark: {KNOWN}"),
    "a key of a column nobody knows": (column(requird=True), f"tables.0.columns.1.requird: {KNOWN}"),
    "a missing key": (source(owner=...), "owner: is missing"),
    "a missing key of a table": (source(tables=[table(grain=...)]), "tables.0.grain: is missing"),
    "a missing key of a reader": (reader(path=...), "tables.0.reader.files.path: is missing"),
    "no reader": (source(tables=[table(reader=...)]), "tables.0.reader: is missing"),
    "a wrong word": (source(party="fourth"), "party: 'fourth' is not allowed; expected 'first', 'second' or 'third'"),
    "a grain there is not": (
        source(tables=[table(grain="hourly")]),
        "tables.0.grain: 'hourly' is not allowed; expected 'event', 'snapshot' or 'change'",
    ),
    "a kind of reader there is not": (
        reader(kind="ftp"),
        "tables.0.reader: Input tag 'ftp' found using 'kind' does not match any of the expected tags: 'files', "
        "'database', 'api', 'object_storage', 'pushed'",
    ),
    "a wrong format": (
        reader(format="xml"),
        "tables.0.reader.files.format: 'xml' is not allowed; expected 'csv', 'tsv', 'jsonl', 'json', 'parquet' or "
        "'excel'",
    ),
    "an encoding there is not": (
        reader(encoding="gbq"),
        "tables.0.reader.files.encoding: is no character encoding such as utf-8 or gb18030 (found 'gbq')",
    ),
    "a delimiter of two characters": (
        reader(delimiter="||"),
        "tables.0.reader.files.delimiter: is \"auto\" or one character (found '||')",
    ),
    "a path with two days": (
        reader(path="{date}/orders_{date}.csv"),
        "tables.0.reader.files.path: may contain {date} once, so that a delivery belongs to one day "
        "(found '{date}/orders_{date}.csv')",
    ),
    "a path that leads out": (
        reader(path="../crm/orders_{date}.csv"),
        "tables.0.reader.files.path: must stay below the landing folder of its source "
        "(found '../crm/orders_{date}.csv')",
    ),
    "a path from the root": (
        reader(path="/data/orders.csv"),
        "tables.0.reader.files.path: must stay below the landing folder of its source (found '/data/orders.csv')",
    ),
    "a database without table": (
        fetched("database", connection="shop"),
        "tables.0.reader.database: a database reader needs either table or query",
    ),
    "a database with table and query": (
        fetched("database", connection="shop", table="orders", query="select 1"),
        "tables.0.reader.database: a database reader needs either table or query",
    ),
    "a watermark that is no column": (
        fetched("database", connection="shop", table="orders", watermark="changed_at"),
        "tables.0: reader.watermark names 'changed_at', which is not among its columns",
    ),
    "an api without connection": (
        fetched("api", path="/orders"),
        "tables.0.reader.api.connection: is missing",
    ),
    "pages without a parameter": (
        fetched("api", connection="shop", path="/orders", paging={"kind": "page"}),
        "tables.0.reader.api.paging: paging by page needs parameter",
    ),
    "a cursor without a path": (
        fetched("api", connection="shop", path="/orders", paging={"kind": "cursor", "parameter": "after"}),
        "tables.0.reader.api.paging: paging by cursor needs path",
    ),
    "no requests at all": (
        fetched("api", connection="shop", path="/orders", requests_per_second=0),
        "tables.0.reader.api.requests_per_second: Input should be greater than 0 (found 0)",
    ),
    "an address without a scheme": (
        fetched("object_storage", url="bucket/{date}/*.csv", format="csv"),
        "tables.0.reader.object_storage.url: needs a scheme such as s3:// or file:// (found 'bucket/{date}/*.csv')",
    ),
    "an address without a day": (
        fetched("object_storage", url="s3://bucket/*.csv", format="csv"),
        "tables.0.reader.object_storage.url: must contain {date}, so that a delivery belongs to a day "
        "(found 's3://bucket/*.csv')",
    ),
    "a wrong type": (
        column(type="varchar"),
        "tables.0.columns.1.type: 'varchar' is not allowed; expected "
        "^(text|integer|number|boolean|date|timestamp|decimal\\([0-9]+,[0-9]+\\))$",
    ),
    "a format of what is no time": (
        column(format="%d/%m/%Y"),
        "tables.0.columns.1: format is for columns of type date or timestamp only",
    ),
    "a pattern that is none": (
        column(pattern="[0-9"),
        "tables.0.columns.1.pattern: is not a regular expression: unterminated character set at position 0 "
        "(found '[0-9')",
    ),
    "a name with a capital": (source(name="Shop"), "name: 'Shop' is not allowed; expected ^[a-z][a-z0-9_]*$"),
    "another name than the file's": (
        source(name="store"),
        "name: is 'store', but the file is called 'shop'; make them agree",
    ),
    "a primary key that is no column": (
        source(tables=[table(primary_key=["order_number"])]),
        "tables.0: primary_key names 'order_number', which is not among its columns",
    ),
    "no primary key": (
        source(tables=[table(primary_key=[])]),
        "tables.0.primary_key: List should have at least 1 item",
    ),
    "an event time that is no column": (
        source(tables=[table(event_time="sold_at")]),
        "tables.0: event_time names 'sold_at', which is not among its columns",
    ),
    "an event time that is no time": (
        source(tables=[table(event_time="order_id")]),
        "tables.0: event_time names 'order_id', which is neither a date nor a timestamp",
    ),
    "changes without an operation": (
        source(tables=[table(grain="change", event_time="happened_at", columns=[ORDER, EVENT])]),
        "tables.0: grain change needs event_time and operation",
    ),
    "an operation without changes": (
        source(tables=[table(operation="order_id")]),
        "tables.0: operation is for grain change only",
    ),
    "a snapshot that overlaps": (
        source(tables=[table(grain="snapshot", overlap_days=3)]),
        "tables.0: overlap_days is for grains event and change: a snapshot replaces what was there anyway",
    ),
    "an overlap of years": (
        source(tables=[table(overlap_days=999)]),
        "tables.0.overlap_days: Input should be less than or equal to 366 (found 999)",
    ),
    "doubled columns": (
        source(tables=[table(columns=[ORDER, ORDER])]),
        "tables.0: columns are declared twice: order_id",
    ),
    "doubled headers": (
        column(delivered_as="order_id"),
        "tables.0: columns are declared twice: order_id",
    ),
    "doubled tables": (source(tables=[table(), table()]), "(top level): tables are declared twice: orders"),
    "no table": (source(tables=[]), "tables: List should have at least 1 item"),
    "a share above one": (
        source(tolerated_bad_share=1.5),
        "tolerated_bad_share: Input should be less than or equal to 1 (found 1.5)",
    ),
    "fewer than no bad rows": (
        source(tolerated_bad_rows=-1),
        "tolerated_bad_rows: Input should be greater than or equal to 0 (found -1)",
    ),
    "nothing is kept": (
        source(retention_days=0),
        "retention_days: Input should be greater than 0 (found 0)",
    ),
    "a time zone there is not": (
        source(time_zone="Asia/Peking"),
        "time_zone: is no IANA time zone such as Asia/Shanghai (found 'Asia/Peking')",
    ),
    "fetched on arrival": (
        fetched("api", connection="shop", path="/orders") | {"schedule": "on arrival"},
        "(top level): tables orders are fetched, so nothing arrives by itself; give schedule a cron expression",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_mistake_is_one_sentence(tmp_path, case):
    content, sentence = WRONG[case]
    [problem] = problems(write(tmp_path, content))
    assert problem.removeprefix("shop.yml: ").partition(" after validation, not ")[0] == sentence


def test_all_mistakes_of_a_file_are_named_at_once(tmp_path):
    wrong = source(owner=..., party="fourth", tables=[table(grain="hourly")])
    assert sorted(line.split(": ")[1] for line in problems(write(tmp_path, wrong))) == [
        "owner",
        "party",
        "tables.0.grain",
    ]


@pytest.mark.parametrize("content", [b"name: [shop\n", b"name: \xff\n", b"name: a: b\n"])
def test_a_file_that_is_no_yaml_is_one_sentence(tmp_path, content):
    path = tmp_path / "shop.yml"
    path.write_bytes(content)
    [problem] = problems(path)
    assert problem.startswith("shop.yml: not readable as YAML: ")


@pytest.mark.parametrize("content", ["", "- name: shop\n", "shop\n"])
def test_a_file_that_declares_nothing_is_one_sentence(tmp_path, content):
    path = tmp_path / "shop.yml"
    path.write_text(content, encoding="utf-8")
    [problem] = problems(path)
    assert problem.startswith("shop.yml: (top level): ")


def test_all_wrong_files_are_named_at_once(tmp_path):
    write(tmp_path, source())
    write(tmp_path, source(name="web", party="fourth"), "web.yml")
    write(tmp_path, source(name="web"), "wifi.yml")
    (tmp_path / "app.yml").write_text("name: [app\n", encoding="utf-8")
    with pytest.raises(SourceError) as error:
        load_sources(tmp_path)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["app.yml", "web.yml", "wifi.yml"]


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"holds no source declaration \(\*\.yml\)"):
        load_sources(tmp_path)


def test_the_right_ones_are_readable_beside_the_wrong_ones(tmp_path):
    write(tmp_path, source())
    write(tmp_path, source(name="web", party="fourth", owner=...), "web.yml")
    sources, wrong = readable_sources(tmp_path)
    assert [read.name for read in sources] == ["shop"]
    assert sorted(wrong) == [
        "web.yml: owner: is missing",
        "web.yml: party: 'fourth' is not allowed; expected 'first', 'second' or 'third'",
    ]


def test_an_empty_folder_has_a_problem_and_no_source(tmp_path):
    assert readable_sources(tmp_path) == ([], [f"{tmp_path}: holds no source declaration (*.yml)"])


PLACES = {
    "files": (FILES, "csv", "orders_{date}.csv", False),
    "database": ({"kind": "database", "connection": "c", "table": "t"}, "parquet", "orders/{date}.parquet", True),
    "api": ({"kind": "api", "connection": "c", "path": "/o"}, "jsonl", "orders/{date}.jsonl", True),
    "object_storage": (
        {"kind": "object_storage", "url": "s3://b/{date}/*", "format": "tsv"},
        *("tsv", "orders/{date}/**", True),
    ),
    "pushed": ({"kind": "pushed"}, "jsonl", "orders/{date}/*.jsonl", False),
}


@pytest.mark.parametrize("kind", PLACES)
def test_every_reader_says_what_lies_where_in_the_landing_zone(tmp_path, kind):
    declared, format_name, path, is_fetched = PLACES[kind]
    orders = load_source(write(tmp_path, source(tables=[table(grain="snapshot", reader=declared)]))).table("orders")
    assert (orders.format, orders.path, orders.is_fetched) == (format_name, path, is_fetched)
    assert orders.file_format.format == format_name


def test_a_column_is_looked_for_under_the_name_it_is_delivered_as(tmp_path):
    orders = load_source(write(tmp_path, column(delivered_as="金额"))).table("orders")
    assert [known.header for known in orders.columns] == ["order_id", "金额"]
    assert orders.column_names == ["order_id", "amount"]
