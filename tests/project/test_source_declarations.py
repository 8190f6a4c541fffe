"""Every declared table has its staging model, its checks and known identifiers; nothing is declared for nothing."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest
from tagloom.identity.policy import POLICY_FILE, load_policy
from tagloom.settings import PROJECT
from tagloom.source_tools.check import check_sources, left_open
from tagloom.sources import Source, Table, load_sources

from tests.project.dbt_manifest import folders, layer, models

SOURCES = load_sources(PROJECT / "sources")
TABLES = [(source, table) for source in SOURCES for table in source.tables]


def staging_model(manifest: dict, source: Source, table: Table) -> dict:
    name = f"stg_{source.name}__{table.name}"
    found = [node for node in models(manifest) if node["name"] == name]
    assert found, f"sources/{source.name}.yml: the table {table.name} has no model {name}"
    return found[0]


def personal_data(column: dict) -> str | None:
    return {**column.get("meta", {}), **column["config"].get("meta", {})}.get("personal_data")


def test_every_staging_model_reads_the_table_it_is_named_after_and_nothing_else(manifest):
    for source, table in TABLES:
        node = staging_model(manifest, source, table)
        read = [name for name in node["depends_on"]["nodes"] if name.startswith("source.")]
        assert read == [f"source.tagloom.{source.name}.{table.name}"], node["original_file_path"]
        assert folders(node) == ("staging", source.name)


def test_every_staging_model_stands_on_a_declared_table(manifest):
    declared = {f"stg_{source.name}__{table.name}" for source, table in TABLES}
    # operations holds Tagloom's own books, which no system delivers
    delivered = [node for node in models(manifest) if layer(node) == "staging" and "operations" not in folders(node)]
    assert {node["name"] for node in delivered} == declared


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_has_an_owner_and_a_known_time_zone(source):
    assert re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", source.owner), f"{source.name}.yml: owner is no address"
    assert ZoneInfo(source.time_zone)
    assert re.search(r"[\u4e00-\u9fff]", source.title_zh), f"{source.name}.yml: title_zh is not Chinese"
    assert source.consent_basis.strip()
    assert source.licence.strip()


def test_the_declarations_pass_every_check():
    sources, problems = check_sources(sorted((PROJECT / "sources").glob("*.yml")), POLICY_FILE)
    assert problems == []
    assert {source.name: left_open(source) for source in sources} == {source.name: [] for source in SOURCES}


def test_the_daily_build_waits_for_some_source():
    assert any(source.build_waits_for_it for source in SOURCES)


def test_every_identifier_has_a_policy_and_every_policy_is_used():
    declared = {kind for _, table in TABLES for kind in table.identifiers.values()}
    known = set(load_policy().identifier_types)
    assert declared - known == set(), "identity/policy.yml lacks these types, their identifiers would be lost"
    assert known - declared == set(), "no source declares these types of identity/policy.yml"


def test_survivorship_names_declared_sources():
    named = {name for sources in load_policy().survivorship.values() for name in sources}
    assert named - {source.name for source in SOURCES} == set()


def test_identifiers_are_columns_of_the_staging_model(manifest):
    missing = [
        f"sources/{source.name}.yml: tables.{table.name}.identifiers.{column}: is no column of the staging model"
        for source, table in TABLES
        for column in table.identifiers
        if column not in staging_model(manifest, source, table)["columns"]
    ]
    assert missing == []


def test_the_time_of_a_row_that_identifies_is_never_missing(manifest):
    """A row without it would be known on no day, and its identifiers lost."""
    for source, table in TABLES:
        if table.identifiers and table.event_time:
            where = f"sources/{source.name}.yml: tables.{table.name}.columns.{table.event_time}"
            assert table.column(table.event_time).required, f"{where}: must be required"
            assert table.column(table.event_time).type in ("date", "timestamp"), f"{where}: is no time"
            assert table.event_time in staging_model(manifest, source, table)["columns"], f"{where}: staging renames it"


def test_keys_are_required():
    missing = [
        f"sources/{source.name}.yml: tables.{table.name}.columns.{name}: is in the primary key; say required: true"
        for source, table in TABLES
        for name in table.primary_key
        if not table.column(name).required
    ]
    assert missing == []


def test_every_column_is_described():
    assert [
        f"sources/{source.name}.yml: tables.{table.name}.columns.{column.name}: has no description"
        for source, table in TABLES
        for column in table.columns
        if not column.description.strip()
    ] == []


def test_what_enters_as_personal_data_stays_marked_in_staging(manifest):
    unmarked = [
        f"{node['original_file_path']}: {column.name} is {column.personal_data} in sources/{source.name}.yml, "
        f"but {personal_data(node['columns'][column.name])} here"
        for source, table in TABLES
        for node in [staging_model(manifest, source, table)]
        for column in table.columns
        if column.name in node["columns"]
        and (personal_data(node["columns"][column.name]) or "none") != column.personal_data
    ]
    assert unmarked == []


def test_every_table_is_watched():
    missing = [
        f"soda/contracts/landing/{source.name}/{table.name}.yml"
        for source, table in TABLES
        if not (PROJECT / "soda" / "contracts" / "landing" / source.name / f"{table.name}.yml").exists()
    ]
    assert missing == []


def test_every_contract_watches_a_table_that_exists(manifest):
    known = {("landing", source.name, table.name) for source, table in TABLES}
    known |= {(*folders(node), node["name"]) for node in models(manifest)}
    contracts = PROJECT / "soda" / "contracts"
    watched = {path.relative_to(contracts).with_suffix("").parts for path in contracts.rglob("*.yml")}
    assert watched
    assert watched - known == set(), "these contracts watch no model; they lie in the same folders as models/"
