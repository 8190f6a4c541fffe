"""What the portal reads: one frozen version per request, whatever is published meanwhile."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pytest
from tagloom.portal.serving import (
    DATA_TYPES,
    NothingPublishedError,
    QueryTooLongError,
    Serving,
    data_type_of,
    load_snapshot,
)
from tagloom.publish import POINTER, current_version

from tests.portal.tiny import publish_tiny
from tests.portal.world import DAY, load_models, made_events, month_ends, person_tags


@pytest.fixture
def snapshot(world):
    return Serving(world).snapshot()


def test_a_snapshot_says_which_version_it_is(world, snapshot):
    assert snapshot.name == current_version(world).name
    assert (snapshot.as_of_date, snapshot.computed_at) == (DAY, datetime(2018, 1, 1, 6))
    assert snapshot.persons == snapshot.value("select count(*) from tag_integration.person_tags") == 2_000


def test_every_tag_has_its_column_and_says_what_it_is(snapshot):
    assert set(snapshot.objects) == {"person", "household", "product", "store"}
    for object_name, tags in snapshot.objects.items():
        columns = {row["column_name"] for row in snapshot.rows(f"describe tag_integration.{object_name}_tags")}
        assert set(tags) < columns
        assert {tag.data_type for tag in tags.values()} <= set(DATA_TYPES)
    segment = snapshot.tags["rfm_segment"]
    assert segment.values[:2] == ("champion", "loyal")
    assert (segment.label(), segment.label("zh")) == ("RFM segment", "RFM分群")
    assert (segment.value_label("lost", "zh"), segment.value_label("lost")) == ("已流失", "lost")
    assert snapshot.tags["spend_365d"].values is None
    assert snapshot.tags["spend_365d"].sql_type == "decimal(14,2)"


def test_listed_values_are_enums_in_the_file_and_words_for_who_reads_them(snapshot):
    types = {row["column_name"]: row["column_type"] for row in snapshot.rows("describe tag_integration.person_tags")}
    assert types["rfm_segment"].startswith("ENUM('champion', 'loyal'")
    found = snapshot.rows(
        "select rfm_segment from tag_integration.person_tags where rfm_segment = $word limit 1", {"word": "champion"}
    )
    assert found == [{"rfm_segment": "champion"}]


def test_rows_row_and_value(snapshot):
    assert snapshot.rows("select 1 as a, ? as b", ["x"]) == [{"a": 1, "b": "x"}]
    assert snapshot.row("select 1 as a where false") is None
    assert snapshot.value("select 1 where false") is None
    assert snapshot.value("select 1.50::decimal(14, 2)") == Decimal("1.50")
    assert "serving.person_events" in snapshot.tables


def test_a_query_that_takes_too_long_is_stopped_and_the_next_one_runs(snapshot):
    with pytest.raises(QueryTooLongError, match=r"longer than 0\.2 s"):
        snapshot.value("select count(*) from range(100000000000) as a (n) where n % 7 = 3", seconds=0.2)
    assert snapshot.value("select 1") == 1


@pytest.mark.parametrize(
    "sql",
    [
        "from read_text('/etc/hostname')",
        "copy (select 1) to 'never_written.csv'",
        "attach 'never_written.duckdb'",
        "set enable_external_access = true",
        "delete from tag_integration.person_tags",
        "create table main.more as select 1 as a",
    ],
)
def test_a_reader_has_no_way_out_and_cannot_write(snapshot, sql):
    with pytest.raises(duckdb.Error, match=r"disabled|locked|read-only"):
        snapshot.rows(sql)


def test_many_threads_read_one_snapshot(snapshot):
    counted = "select count(*) from tag_integration.person_tags where recency_score = ?"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda score: snapshot.value(counted, [score % 5 + 1]), range(80)))
    assert found == found[:5] * 16


def test_a_new_version_is_seen_by_the_next_request_and_the_old_one_is_closed(settings):
    publish_tiny(settings, 60)
    serving = Serving(settings)
    first = serving.snapshot()
    assert serving.snapshot() is first
    publish_tiny(settings, 70)
    second = serving.snapshot()
    assert (first.persons, second.persons) == (60, 70)
    assert first.value("select count(*) from tag_integration.person_tags") == 60
    name = first.name
    assert any(name in file for file in open_files())
    del first
    gc.collect()
    assert not [file for file in open_files() if name in file]
    assert any(second.name in file for file in open_files())


def open_files() -> list[str]:
    """What this process has open."""
    return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]


def test_nothing_published_says_what_to_do(settings):
    with pytest.raises(NothingPublishedError, match="run the DAG build_tags first"):
        Serving(settings).snapshot()


def test_a_damaged_version_leaves_the_one_before_in_use(settings, caplog):
    publish_tiny(settings, 60)
    serving = Serving(settings)
    first = serving.snapshot()
    (settings.published / "tags-broken.duckdb").write_bytes(b"no database")
    pointer = settings.published / POINTER
    content = json.loads(pointer.read_text(encoding="utf-8")) | {"name": "broken", "file": "tags-broken.duckdb"}
    draft = pointer.with_suffix(".new")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(pointer)
    assert serving.snapshot() is first
    assert "cannot be read" in caplog.text
    with pytest.raises(NothingPublishedError, match="publish again"):
        Serving(settings).snapshot()


def test_a_version_of_an_older_tagloom_can_be_read():
    connection = duckdb.connect()
    connection.execute(
        """
        create table main.version as select 'old' as name, date '2017-12-31' as as_of_date;
        create schema tag_integration;
        create table tag_integration.person_tags as select 1 as person_id, 'x' as level;
        create table tag_integration.tag_catalog as
        select 'level' as tag, 'person' as object, 'Level' as title, '等级' as title_zh, 'value/level' as category,
            'varchar' as data_type, 'published' as status
        """
    )
    snapshot = load_snapshot(connection)
    assert (snapshot.persons, snapshot.as_of_date) == (1, date(2017, 12, 31))
    assert snapshot.tags["level"].values is None
    assert snapshot.computed_at.date() == date(2017, 12, 31)


@pytest.mark.parametrize(
    ("sql_type", "kind"),
    [
        ("BOOLEAN", "boolean"),
        ("bigint", "integer"),
        ("tinyint", "integer"),
        ("decimal(14,2)", "decimal"),
        ("double", "decimal"),
        ("date", "date"),
        ("timestamp", "timestamp"),
        ("varchar", "text"),
    ],
)
def test_kinds_of_values(sql_type, kind):
    assert data_type_of(sql_type) == kind


def test_the_world_agrees_with_itself(snapshot):
    assert not snapshot.rows(
        "select 1 from tag_integration.person_tags "
        "where rfm_cell is distinct from recency_score::varchar || frequency_score::varchar || monetary_score::varchar"
    )
    assert snapshot.value("select sum(orders_365d) from tag_integration.person_tags") == snapshot.value(
        "select count(*) from serving.person_events where event = 'purchase' "
        "and happened_on > date '2017-12-31' - interval 365 day"
    )
    days = [row["as_of_date"] for row in snapshot.rows("from tag_integration.tag_history_days order by all")]
    assert days == month_ends(DAY)
    assert not snapshot.rows(
        "select 1 from tag_integration.tag_history as history inner join tag_integration.person_tags as persons "
        "on history.object_id = persons.person_id::varchar "
        "where tag = 'rfm_segment' and valid_to is null and value <> rfm_segment::varchar"
    )


def test_the_same_seed_makes_the_same_persons():
    frames = [persons_of(seed) for seed in (1, 1, 2)]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def persons_of(seed: int):
    chance = np.random.default_rng(seed)
    return person_tags(chance, load_models(), made_events(chance, 40, DAY), 40, DAY)
