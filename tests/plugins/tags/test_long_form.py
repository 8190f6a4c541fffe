"""The long form has a row for each value of the wide tables, as text."""

from __future__ import annotations

import yaml
from tagloom.tags.long_form import long_form_files
from tagloom.tags.written_text import FOLDER

from tests.plugins.tags.rendered_tables import RenderedTables
from tests.plugins.tags.tag_models import model, tag

MODELS = [
    model("tag_channel__a", tag("is_known", "boolean", "channel"), category="channel"),
    model(
        "tag_value__a", tag("orders"), tag("spend", "decimal(14,2)"), tag("name_day", "date", personal_data="direct")
    ),
    model("tag_store__a", tag("city", "varchar", "sales"), category="sales", of="store"),
]


def test_each_value_has_a_row_and_null_has_none():
    tables = RenderedTables(long_form_files(MODELS))
    tables.connection.execute(
        """
        create table person_tags_channel as select 1::bigint as person_id, true as is_known;
        create table person_tags_value as select 1::bigint as person_id, 3 as orders, 9.5::decimal(14,2) as spend;
        create table person_tags_value_personal as select 1::bigint as person_id, null::date as name_day;
        """
    )
    tables.build("person_tag_values", "2017-12-31")
    assert tables.rows("select person_id, tag, data_type, value from person_tag_values order by all") == [
        (1, "is_known", "boolean", "true"),
        (1, "orders", "integer", "3"),
        (1, "spend", "decimal(14,2)", "9.50"),
    ]


def test_every_object_has_a_view_that_nobody_copies():
    files = long_form_files(MODELS)
    views = [FOLDER / "person" / "person_tag_values", FOLDER / "store" / "store_tag_values"]
    assert set(files) == {view.with_suffix(end) for view in views for end in (".sql", ".yml")}
    assert "'published': false" in files[views[0].with_suffix(".sql")]
    [described] = yaml.safe_load(files[views[1].with_suffix(".yml")])["models"]
    assert [column["name"] for column in described["columns"]] == ["store_id", "tag", "data_type", "value"]
    assert described["columns"][0]["data_type"] == "varchar"
