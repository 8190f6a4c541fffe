"""A small dbt project with tags and users of them, for tests of lineage and of what may use which tag."""

from __future__ import annotations

import datetime
from pathlib import Path

import yaml

META = {
    "title": "Tag",
    "title_zh": "标签",
    "category": ["value", "spend"],
    "kind": "statistic",
    "owner": "crm@example.com",
    "unit": None,
    "if_missing": None,
    "refresh": "daily",
    "valid_for": "7d",
    "personal_data": "none",
    "status": "published",
    "since": datetime.date(2026, 11, 22),
}

SPEND = """-- what persons spend
with orders as (
    select * from {{ ref('int_orders') }}
    where {{ tagloom.is_recent('day') }}
),

tagged as (
    select
        person_id,
        count(*) as orders,
        sum(amount) as spend
    from orders
    group by person_id
)

select * from tagged
"""

LEVEL = """
select person_id, spend > 100 as is_big, orders as visits from {{ ref('tag_value__spend') }}
"""

AUDIENCE = """
with person_tags as (
    select person_id, spend, is_big from {{ ref('person_tags') }}
)

select person_id from person_tags where is_big and spend > 5
"""


def write(root: Path, path: str, text: str) -> Path:
    """Write a file below the folder."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def write_tags(project: Path, name: str, sql: str, place: str = "person/value", **tags: dict) -> None:
    """Write a pair: its tags and how each differs from META; `data_type` may be among it."""
    key = f"{place.split('/')[0]}_id"
    columns = [{"name": key, "data_type": "bigint"}]
    for tag, changes in tags.items():
        meta = META | {"category": [place.split("/")[1], "spend"]}
        meta |= {name: value for name, value in changes.items() if name != "data_type"}
        column = {"name": tag, "data_type": changes.get("data_type", "integer"), "description": f"Says {tag}."}
        columns.append(column | {"config": {"meta": {"tag": meta}}})
    declared = {"name": name, "description": "One row each.", "columns": columns}
    write(project, f"models/tag_category/{place}/{name}.yml", yaml.safe_dump({"models": [declared]}))
    write(project, f"models/tag_category/{place}/{name}.sql", sql)


def write_project(root: Path) -> Path:
    """Write the project into <root>/dbt_project and return that folder."""
    project = root / "dbt_project"
    write(project, "macros/is_recent.sql", "{% macro is_recent(day) %}{{ day }} > '2017-01-01'{% endmacro %}")
    write(
        project,
        "models/staging/shop/stg_shop__orders.sql",
        "with source as (select * from {{ source('shop', 'orders') }}) "
        "select card, ordered_at as sold_at, price, note from source",
    )
    write(
        project,
        "models/identity_mapping/identity_map.sql",
        "select card as identifier_hash, 1 as person_id from {{ ref('stg_shop__orders') }}",
    )
    write(
        project,
        "models/intermediate/int_orders.sql",
        "select owners.person_id, orders.sold_at as day, orders.price as amount "
        "from {{ ref('stg_shop__orders') }} as orders "
        "left join {{ ref('identity_map') }} as owners on orders.card = owners.identifier_hash",
    )
    write_tags(project, "tag_value__spend", SPEND, orders={}, spend={})
    write_tags(project, "tag_value__level", LEVEL, is_big={"data_type": "boolean"}, visits={})
    write(project, "models/serving/audiences/audience_big.sql", AUDIENCE)
    write(
        project,
        "models/serving/reports/report_of_audience.sql",
        "select count(*) as persons from {{ ref('audience_big') }}",
    )
    return project
