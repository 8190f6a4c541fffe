"""An explanation fits on a screen, masks personal data, and finds the way from a fact to its delivery."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from types import SimpleNamespace

import duckdb
import pytest
from tagloom.identity.identifiers import IdentifierError
from tagloom.tags.explanation import Explained, Facts, Rows, _Explainer, _find_person
from tagloom.tags.explanation_report import report
from tagloom.tags.origins import DeliveredRow, Origin, Tracer
from tagloom.tags.project import TagRequestError

SQL = """
with orders as (
    select person_id, order_date, postcode
    from "warehouse"."intermediate"."int_orders"
    where order_date > date '2017-10-02'
),
everybody as (select count(*) as persons from orders),
tagged as (select person_id, count(*) as orders_90d from orders group by person_id)
select * from tagged
"""

ORDERS = """
with orders as (select * from "warehouse"."staging"."stg_pos__orders"),
cards as (
    select card_number, md5(card_number) as identifier_hash, 7 as hash_number, length(card_number) as person_id
    from (select distinct card_number from orders) as seen
)
select orders.basket_id as order_id, cards.person_id, orders.sold_at, date '2017-12-30' as order_date, 'x' as postcode
from orders left join cards on orders.card_number = cards.card_number
"""

STAGED = """
with source as (select * from "warehouse"."raw_pos"."orders"),
renamed as (select basket_id, card_number, sold_at from source)
select * from renamed
"""


def node(name, layer, *parents, columns=None):
    return SimpleNamespace(
        unique_id=f"model.tagloom.{name}",
        name=name,
        schema=layer.partition("/")[0],
        resource_type="model",
        original_file_path=f"models/{layer}/{name}.sql",
        depends_on=SimpleNamespace(nodes=list(parents)),
        columns=columns or {},
    )


def column(**meta):
    return SimpleNamespace(description="Orders.", meta={}, config=SimpleNamespace(meta=meta))


@pytest.fixture
def house():
    """A tag model over orders over staging over what landed: what the explainer needs of them."""
    staged = node("stg_pos__orders", "staging/pos", "source.tagloom.pos.orders")
    orders = node(
        "int_orders", "intermediate", staged.unique_id, columns={"postcode": column(personal_data="indirect")}
    )
    tags = node(
        "tag_habit__orders",
        "tag_category/person/habit",
        orders.unique_id,
        columns={"orders_90d": column(tag={"if_missing": "zero", "kind": "statistic"})},
    )
    models = {one.unique_id: one for one in (staged, orders, tags)}
    sql = {staged.unique_id: STAGED, orders.unique_id: ORDERS, tags.unique_id: SQL}
    project = SimpleNamespace(
        node=models.get,
        models=models.values,
        compile=lambda nodes, _day: {one.unique_id: sql[one.unique_id] for one in nodes},
        manifest=SimpleNamespace(
            sources={"source.tagloom.pos.orders": SimpleNamespace(source_name="pos", name="orders")}
        ),
    )
    with duckdb.connect() as connection:
        connection.execute("set python_enable_replacements = false")
        for catalogue in ("warehouse", "current"):
            connection.execute(f"attach ':memory:' as {catalogue}")
            for schema in ("raw_pos", "staging", "intermediate"):
                connection.execute(f"create schema {catalogue}.{schema}")
            connection.execute(
                f"""
                create table {catalogue}.raw_pos.orders as
                select 'B' || n as basket_id, if(n < 3, '12', '123') as card_number,
                    timestamp '2017-12-30 10:00:00' as sold_at, 'pos/orders/day.csv' as _source_file,
                    n + 1 as _line, timestamp '2018-01-01 02:00:00' as _landed_at
                from range(5) as r(n)
                """
            )
            connection.execute(f"create table {catalogue}.staging.stg_pos__orders as {STAGED}")
            connection.execute(f"create table {catalogue}.intermediate.int_orders as {ORDERS}")
        beside = SimpleNamespace(
            connection=connection,
            lay=lambda _project, model, _day: (sql[model.unique_id], []),
            mirror_parents=lambda _project, _model: None,
            is_built=lambda _schema, _name: False,
        )
        yield SimpleNamespace(beside=beside, project=project, tags=tags, orders=orders)


def explained(house, person=3, limit=10):
    found = SimpleNamespace(node=house.tags, tags=("orders_90d",), object="person", key="person_id")
    explainer = _Explainer(house.beside, house.project, found, person, date(2017, 12, 31), limit)
    return explainer.explained(lambda _text: None)


def test_each_step_shows_the_persons_rows(house):
    found = explained(house)
    assert [(step.name, step.number) for step in found.steps] == [("orders", 2), ("everybody", 1), ("tagged", 1)]
    assert found.steps[1].note == "has no person_id: the same for everybody"
    assert found.steps[2].shown == (("2",),)
    assert (found.value, found.value_because) == ("2", "")


def test_personal_data_are_masked(house):
    steps = explained(house).steps
    assert {row[steps[0].columns.index("postcode")] for row in steps[0].shown} == {"x•"}


def test_facts_are_followed_to_file_and_line(house):
    [facts] = explained(house).facts
    [origin] = facts.origins
    assert (facts.rows.name, facts.rows.number) == ("int_orders", 2)
    assert (origin.table, origin.rows, origin.files) == ("pos.orders", 2, 1)
    assert origin.traced_by == ("basket_id", "card_number")
    assert [(row.source_file, row.line) for row in origin.shown] == [
        ("pos/orders/day.csv", 4),
        ("pos/orders/day.csv", 5),
    ]


def test_only_the_first_rows_are_shown_and_all_are_counted(house):
    [facts] = explained(house, limit=1).facts
    assert (facts.rows.number, len(facts.rows.shown)) == (2, 1)
    assert (facts.origins[0].rows, len(facts.origins[0].shown)) == (2, 1)


def test_a_person_without_a_row_has_what_the_twin_says(house):
    found = explained(house, person=99)
    assert (found.value, found.value_because) == (
        "0",
        "the SQL gives no row for the person, and if_missing is zero",
    )
    assert all(step.number == 0 for step in found.steps if not step.note)


def test_facts_are_those_that_pass_the_conditions(house):
    house.beside.connection.execute(
        "insert into warehouse.intermediate.int_orders values ('B9', 3, now()::timestamp, date '2017-01-01', 'x')"
    )
    [facts] = explained(house).facts
    assert facts.rows.number == 2


def test_a_computed_column_is_no_key(house):
    tracer = Tracer(house.beside, house.project, date(2017, 12, 31))
    tracer._compile([house.orders])
    [leaf] = tracer._leaves(house.orders, "order_id")
    assert (leaf.model, leaf.name, leaf.is_same_value) == ("stg_pos__orders", "basket_id", True)
    assert [leaf.is_same_value for leaf in tracer._leaves(house.orders, "person_id")] == [False]


@pytest.fixture
def persons():
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as current")
        connection.execute("create schema current.identity_mapping")
        for name, rows in {
            "person_registry": "select unnest([1, 2]) as person_id",
            "persons": "select 1 as person_id",
            "person_redirects": "select 2 as person_id, 1 as survivor_id",
        }.items():
            connection.execute(f"create table current.identity_mapping.{name} as {rows}")
        yield connection


def test_a_person_is_a_number_with_or_without_a_word(persons):
    assert _find_person(persons, "1") == _find_person(persons, " person:1 ") == 1
    assert persons.execute("select current_database()").fetchall() == [("memory",)]


def test_a_person_who_was_merged_has_an_heir(persons):
    with pytest.raises(TagRequestError, match="Person 2 is retired; who it was is person 1 now"):
        _find_person(persons, "2")


def test_a_person_who_never_was_is_none(persons):
    with pytest.raises(IdentifierError, match="There never was a person 7"):
        _find_person(persons, "7")


FOUND = Explained(
    person=16,
    tag="orders_90d",
    model="tag_consumption__spend",
    path="models/tag_category/person/consumption/tag_consumption__spend.sql",
    title="Orders in 90 days",
    title_zh="90天订单数",
    description="How often somebody comes, " * 8,
    meta={"kind": "statistic", "owner": "loyalty@example.com", "status": "published", "valid_for": "7d"},
    as_of_date=date(2017, 12, 31),
    value="2",
    value_because="",
    built="2",
    steps=(Rows("orders", 12, ("order_id", "order_date"), (("1", "2017-12-31"), ("2", "2017-12-30"))),),
    facts=(
        Facts(
            Rows("int_orders", 12, ("order_id", "order_date"), (("1", "2017-12-31"), ("2", "2017-12-30"))),
            (),
        ),
    ),
    other_tags=(("tag_value__rfm", ("rfm_segment",)),),
)


def test_the_report_is_a_hundred_columns_wide_at_most():
    wide = Rows("orders", 2, tuple(f"a_long_column_{n}" for n in range(30)), (("x" * 30,) * 30, ("y",) * 30))
    text = report(replace(FOUND, steps=(wide,)))
    assert max(map(len, text.splitlines())) <= 100
    assert "not shown: a_long_column_" in text


def test_the_report_does_not_repeat_itself():
    assert "int_orders: 12 rows, those of step 1" in report(FOUND)


def test_the_report_says_when_deliveries_cannot_be_told():
    assert "which deliveries these came with cannot be told from the keys" in report(FOUND)


def test_the_report_names_files_and_lines():
    origin = Origin("pos.lines", ("basket_id",), 40, 9, (DeliveredRow("pos/a.csv", 7, datetime(2018, 1, 1, 2)),))
    text = report(replace(FOUND, facts=(replace(FOUND.facts[0], origins=(origin,)),)))
    assert "from 40 delivered rows of pos.lines in 9 files, found by basket_id" in text
    assert "pos/a.csv     7  2018-01-01 02:00" in text
    assert "... and 39 more" in text


def test_the_report_says_when_the_built_value_is_another():
    assert "The wide table of the warehouse says 3" in report(replace(FOUND, built="3"))


def test_the_report_leads_on_to_tags_that_are_read():
    assert "make explain PERSON=16 TAG=rfm_segment" in report(FOUND)
