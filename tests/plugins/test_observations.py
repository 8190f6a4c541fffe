"""What is written from source declarations: dbt's sources and the observations of identifiers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import jinja2
import pytest
import yaml
from tagloom.observations import check_identifier_types, source_files
from tagloom.sources import Source, SourceError

OBSERVATIONS = Path("models/identity_mapping/identity_observations.sql")


def declare(name: str = "shop", *tables: dict) -> Source:
    source = {
        "name": name,
        "title": "Shop",
        "title_zh": "商店",
        "owner": "shop@example.com",
        "party": "second",
        "consent_basis": "contract",
        "licence": "own data",
        "tables": list(tables) or [table()],
    }
    return Source.model_validate(source)


def table(name: str = "customers", event_type: str = "timestamp", **changes) -> dict:
    right = {
        "name": name,
        "title": "Customers",
        "reader": {"kind": "files", "format": "csv", "path": f"{name}_{{date}}.csv"},
        "grain": "snapshot",
        "primary_key": ["customer_number"],
        "event_time": "created_at",
        "identifiers": {"customer_number": "crm_customer", "email": "email"},
        "columns": [
            {"name": "customer_number", "type": "text", "description": "Number, 会员"},
            {"name": "mail", "type": "text", "personal_data": "direct"},
            {"name": "amount", "type": "decimal(8,2)"},
            {"name": "created_at", "type": event_type},
        ],
    }
    return right | changes


def observations(*sources: Source) -> str:
    return source_files(list(sources))[OBSERVATIONS]


def test_one_dbt_source_per_declaration_and_one_table_of_observations():
    assert set(source_files([declare("shop"), declare("web")])) == {
        Path("models/staging/shop/_shop__sources.yml"),
        Path("models/staging/web/_web__sources.yml"),
        OBSERVATIONS,
        OBSERVATIONS.with_suffix(".yml"),
    }


def test_a_dbt_source_says_where_the_table_is_whose_it_is_and_what_is_personal():
    text = source_files([declare()])[Path("models/staging/shop/_shop__sources.yml")]
    assert "会员" in text
    [source] = yaml.safe_load(text)["sources"]
    assert (source["name"], source["schema"]) == ("shop", "raw_shop")
    assert source["config"]["meta"] == {
        "title_zh": "商店",
        "owner": "shop@example.com",
        "party": "second",
        "consent_basis": "contract",
        "licence": "own data",
    }
    [customers] = source["tables"]
    columns = {column["name"]: column for column in customers["columns"]}
    assert [column["data_type"] for column in customers["columns"]] == [
        "varchar",
        "varchar",
        "decimal(8,2)",
        "timestamp",
    ]
    assert columns["mail"]["config"]["meta"]["personal_data"] == "direct"
    assert columns["amount"]["config"]["meta"]["personal_data"] == "none"


def test_every_declared_identifier_is_observed_once():
    sql = observations(declare("shop"), declare("web", table("accounts", identifiers={"account": "web_account"})))
    assert sql.count("ref('stg_shop__customers')") == sql.count("ref('stg_web__accounts')") == 1
    for identifier_type, column in (
        ("crm_customer", "customer_number"),
        ("email", "email"),
        ("web_account", "account"),
    ):
        assert sql.count(f"tagloom.identifier_hash('{identifier_type}', '{column}')") == 1
    assert sql.count("    union all\n") == 2
    assert "tagloom.record_hash(\n            'shop.customers',\n            ['customer_number', 'email']" in sql


def test_a_table_that_identifies_nobody_is_not_read():
    sql = observations(declare("shop", table(), table("products", identifiers={})))
    assert "stg_shop__products" not in sql


def test_a_moment_is_known_by_its_local_day_and_a_day_by_itself():
    assert "where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('created_at') ~ ' as date)') }}" in (
        observations(declare("shop", table()))
    )
    assert "where {{ tagloom.known_by_as_of_date('created_at') }}" in observations(
        declare("shop", table(event_type="date"))
    )


def test_a_table_without_event_time_is_always_known():
    sql = observations(declare("shop", table(event_time=None)))
    assert "known_by_as_of_date" not in sql
    assert "cast(null as timestamp) as first_seen_at" in sql


def test_the_values_in_the_clear_go_no_further():
    described = yaml.safe_load(source_files([declare()])[OBSERVATIONS.with_suffix(".yml")])["models"][0]["columns"]
    last_select = observations(declare()).split("observations as (")[1]
    columns = [line.strip().rstrip(",") for line in last_select.splitlines() if "identifiers_in_records." in line]
    assert "identifiers_in_records.identifier" not in columns
    assert [column["name"] for column in described] == [
        "source",
        "record_hash",
        "identifier_type",
        "identifier_hash",
        "is_blocked",
        "first_seen_at",
        "last_seen_at",
        "records",
    ]


class StandIns:
    """The project's macros in their simplest form; a hash is the text itself."""

    identifier_hash = staticmethod(lambda kind, column: f"'{kind}:' || {column}")
    record_hash = staticmethod(lambda table, columns: f"concat_ws('|', '{table}', {', '.join(columns)})")
    matches = staticmethod(lambda column, pattern: f"regexp_matches({column}, {pattern})")
    local_time = staticmethod(lambda column: column)
    known_by_as_of_date = staticmethod(lambda column: f"{column} <= date '2017-12-31'")


def run(sql: str, **tables: str) -> list[tuple]:
    """Run the written SQL over other tables, given as SQL."""
    with duckdb.connect() as connection:
        for table, select in tables.items():
            connection.execute(f"create table {table} as {select}")
        return sorted(connection.execute(jinja2.Template(sql).render(ref=str, tagloom=StandIns)).fetchall())


def test_the_same_records_are_counted_once_per_identifier_and_later_ones_are_not_known():
    identifiers = {"customer_number": "crm_customer", "email": "email", "second_email": "email"}
    rows = run(
        observations(declare("shop", table(identifiers=identifiers))),
        identity_policy="""
            select * from (values ('crm_customer', null), ('email', '^test@')) as t (identifier_type, blocked_pattern)
        """,
        stg_shop__customers="""
            select * from (values
                ('7', 'a@b.c', 'a@b.c', timestamp '2017-05-01 10:00:00'),
                ('7', 'a@b.c', 'a@b.c', timestamp '2017-03-01 10:00:00'),
                ('8', 'test@b.c', null, timestamp '2017-06-01 00:00:00'),
                (null, null, null, timestamp '2017-03-01 10:00:00'),
                ('9', null, null, timestamp '2018-03-01 10:00:00')
            ) as t (customer_number, email, second_email, created_at)
        """,
    )
    first, last, june = datetime(2017, 3, 1, 10), datetime(2017, 5, 1, 10), datetime(2017, 6, 1)
    record, blocked = "shop.customers|7|a@b.c|a@b.c", "shop.customers|8|test@b.c"
    assert rows == [
        ("shop", record, "crm_customer", "crm_customer:7", False, first, last, 2),
        ("shop", record, "email", "email:a@b.c", False, first, last, 2),
        ("shop", blocked, "crm_customer", "crm_customer:8", False, june, june, 1),
        ("shop", blocked, "email", "email:test@b.c", True, june, june, 1),
    ]


def test_somebody_must_be_identified():
    with pytest.raises(SourceError, match="no source declares identifiers; at least one table must say whom"):
        source_files([declare("shop", table(identifiers={}))])


def test_an_identifier_type_that_the_policy_does_not_know_is_named(tmp_path):
    rules = {"title": "T", "title_zh": "类", "strength": 3, "makes_person": True}
    policy = tmp_path / "policy.yml"
    policy.write_text(yaml.safe_dump({"identifier_types": {"loyalty_card": rules, "email": rules}}))
    source = declare("crm", table(identifiers={"mail": "email", "customer_number": "loyalty_crad"}))
    sentence = (
        r"^crm\.yml: tables\.customers\.identifiers\.customer_number: 'loyalty_crad' .* did you mean loyalty_card\?$"
    )
    with pytest.raises(SourceError, match=sentence):
        check_identifier_types([source], policy)
