"""Every mistake in a source declaration gives one sentence that names file, key and what was found."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tagloom.settings import PROJECT
from tagloom.sources import SourceError, load_source, load_sources


def table(**changes) -> dict:
    """A right table with keys changed; ... leaves a key out."""
    right = {
        "name": "orders",
        "title": "Orders",
        "format": "csv",
        "path": "orders_{date}.csv",
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
    orders = read.table("orders")
    assert (orders.duplicates, orders.event_time, orders.identifiers) == ("quarantine", None, {})
    assert orders.column_names == ["order_id", "amount"]
    assert [column.sql_type for column in orders.columns] == ["varchar", "decimal(8,2)"]
    assert (orders.column("amount").required, orders.column("amount").personal_data) == (False, "none")


def test_the_projects_own_declarations_are_right():
    assert [read.name for read in load_sources(PROJECT / "sources")] == sorted(
        path.stem for path in (PROJECT / "sources").glob("*.yml")
    )


WRONG = {
    "a key nobody knows": (
        source(colour="red"),
        "shop.yml: colour: is not a known key; remove it or correct its spelling",
    ),
    "a key of a table nobody knows": (
        source(tables=[table(primary_keys=["order_id"])]),
        "shop.yml: tables.0.primary_keys: is not a known key; remove it or correct its spelling",
    ),
    "a key of a column nobody knows": (
        source(tables=[table(columns=[{"name": "order_id", "type": "text", "requird": True}])]),
        "shop.yml: tables.0.columns.0.requird: is not a known key; remove it or correct its spelling",
    ),
    "a missing key": (source(owner=...), "shop.yml: owner: is missing"),
    "a missing key of a table": (source(tables=[table(grain=...)]), "shop.yml: tables.0.grain: is missing"),
    "a wrong word": (
        source(party="fourth"),
        "shop.yml: party: 'fourth' is not allowed; expected 'first', 'second' or 'third'",
    ),
    "a wrong format": (
        source(tables=[table(format="xml")]),
        "shop.yml: tables.0.format: 'xml' is not allowed; expected 'csv', 'jsonl', 'parquet' or 'excel'",
    ),
    "a wrong type": (
        source(tables=[table(columns=[{"name": "order_id", "type": "varchar"}])]),
        "shop.yml: tables.0.columns.0.type: 'varchar' is not allowed; expected "
        "^(text|integer|number|boolean|date|timestamp|decimal\\([0-9]+,[0-9]+\\))$",
    ),
    "a name with a capital": (source(name="Shop"), "shop.yml: name: 'Shop' is not allowed; expected ^[a-z][a-z0-9_]*$"),
    "another name than the file's": (
        source(name="store"),
        "shop.yml: name: is 'store', but the file is called 'shop'; make them agree",
    ),
    "a primary key that is no column": (
        source(tables=[table(primary_key=["order_number"])]),
        "shop.yml: tables.0: primary_key names 'order_number', which is not among its columns",
    ),
    "no primary key": (source(tables=[table(primary_key=[])]), "shop.yml: tables.0.primary_key: List should have at "),
    "an event time that is no column": (
        source(tables=[table(event_time="sold_at")]),
        "shop.yml: tables.0: event_time names 'sold_at', which is not among its columns",
    ),
    "a path without a day": (
        source(tables=[table(path="orders.csv")]),
        "shop.yml: tables.0: path must contain {date} once, so that a delivery belongs to a day",
    ),
    "a path with two days": (
        source(tables=[table(path="{date}/orders_{date}.csv")]),
        "shop.yml: tables.0: path must contain {date} once, so that a delivery belongs to a day",
    ),
    "doubled columns": (
        source(tables=[table(columns=[{"name": "order_id", "type": "text"}] * 2)]),
        "shop.yml: tables.0: columns are declared twice: order_id",
    ),
    "doubled tables": (
        source(tables=[table(), table()]),
        "shop.yml: (top level): tables are declared twice: orders",
    ),
    "a pattern that is none": (
        source(tables=[table(columns=[{"name": "order_id", "type": "text", "pattern": "[0-9"}])]),
        "shop.yml: tables.0.columns.0.pattern: is not a regular expression: unterminated character set at position 0 "
        "(found '[0-9')",
    ),
    "a share above one": (
        source(tolerated_bad_share=1.5),
        "shop.yml: tolerated_bad_share: Input should be less than or equal to 1 (found 1.5)",
    ),
    "no table": (source(tables=[]), "shop.yml: tables: List should have at least 1 item"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_mistake_is_one_sentence(tmp_path, case):
    content, sentence = WRONG[case]
    [problem] = problems(write(tmp_path, content))
    assert problem.startswith(sentence)
    if not sentence.endswith(("at ", "item")):
        assert problem == sentence


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
