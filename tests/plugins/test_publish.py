"""Publishing: readers see one whole version, whatever happens to the run that writes the next one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from tagloom import publish as publishing
from tagloom.publish import POINTER, current_version, open_current, publish, table_hash
from tagloom.warehouse import open_warehouse

DAY = date(2017, 12, 31)

WAREHOUSE = """
    create schema tag_integration;
    create schema serving;
    create schema staging;
    create table tag_integration.person_tags as
        select * from (values (3, 'gold'), (1, 'new'), (2, null)) as t (person_id, level);
    create table serving.report_sales as select * from (values ('b', 2), ('a', 1)) as t (segment, sales);
    create table serving.export_mails as select 1 as person_id, 'a@example.com' as email;
    create table staging.stg_shop__customers as select 'a@example.com' as email;
    create view serving.report_total as select sum(sales)::bigint as sales from serving.report_sales;
"""


@pytest.fixture
def warehouse(settings):
    change(settings, WAREHOUSE)
    return settings


def change(settings, sql: str) -> None:
    with open_warehouse(settings) as connection:
        connection.execute(sql)


def levels(settings) -> list[tuple]:
    with open_current(settings) as connection:
        return connection.execute("from tag_integration.person_tags").fetchall()


def files(settings) -> list[str]:
    return sorted(path.name for path in settings.published.iterdir())


def age(settings, name: str, days: float) -> None:
    moment = time.time() - days * 86_400
    os.utime(settings.published / name, (moment, moment))


def test_what_is_published_can_be_read_sorted_by_its_key(warehouse):
    version = publish(warehouse, DAY)
    assert current_version(warehouse) == version
    assert version.file == f"tags-{version.name}.duckdb"
    assert version.name.startswith("20171231-")
    assert version.tables == {
        "serving.report_sales": 2,
        "serving.report_total": 1,
        "tag_integration.person_tags": 3,
    }
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]
    with open_current(warehouse) as connection:
        assert connection.execute("from serving.report_sales").fetchall() == [("a", 1), ("b", 2)]
        moment = datetime.fromisoformat(version.computed_at)
        assert connection.execute("from version").fetchall() == [(version.name, DAY, moment.replace(tzinfo=None), 3)]
    assert moment.tzinfo is not None
    assert files(warehouse) == [POINTER, version.file]


def test_exports_and_other_layers_are_not_published(warehouse):
    version = publish(warehouse, DAY)
    with open_current(warehouse) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables() order by all").fetchall()
    assert tables == [
        ("main", "version"),
        ("serving", "report_sales"),
        ("serving", "report_total"),
        ("tag_integration", "person_tags"),
    ]
    assert b"a@example.com" not in (warehouse.published / version.file).read_bytes()


def test_other_tools_can_read_the_storage_version(warehouse):
    version = publish(warehouse, DAY)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse.published / version.file}' as version (read_only)")
        [(tags,)] = connection.execute("select tags from duckdb_databases() where database_name = 'version'").fetchall()
    assert tags["storage_version"].startswith(publishing.STORAGE_VERSION)


def test_the_same_content_again_changes_nothing(warehouse):
    first = publish(warehouse, DAY, datetime(2018, 1, 1, 6, tzinfo=UTC))
    pointer = (warehouse.published / POINTER).read_text(encoding="utf-8")
    written = (warehouse.published / first.file).stat()
    change(
        warehouse,
        "create or replace table tag_integration.person_tags as "
        "from tag_integration.person_tags order by person_id desc",
    )
    assert publish(warehouse, DAY, datetime(2018, 1, 2, 6, tzinfo=UTC)) == first
    assert (warehouse.published / POINTER).read_text(encoding="utf-8") == pointer
    assert files(warehouse) == [POINTER, first.file]
    # A process that has the file open would not see another one of the same name.
    assert (warehouse.published / first.file).stat().st_ino == written.st_ino


def test_content_of_an_earlier_version_is_that_file_again(warehouse):
    first = publish(warehouse, DAY)
    change(warehouse, "update tag_integration.person_tags set level = 'x' where person_id = 2")
    publish(warehouse, DAY)
    inode = (warehouse.published / first.file).stat().st_ino
    change(warehouse, "update tag_integration.person_tags set level = null where person_id = 2")
    assert publish(warehouse, DAY).name == first.name
    assert current_version(warehouse).file == first.file
    assert (warehouse.published / first.file).stat().st_ino == inode
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]


CATALOGUE = """
    create table tag_integration.tag_catalog as
    select 'level' as tag, 'person' as object, 'published' as status,
        '{"new": "新", "gold": "金", "it''s": "是"}' as value_titles
    union all
    select 'colour', 'person', 'retired', '{"red": "红"}'
"""


def types_of(settings, table) -> dict[str, str]:
    with open_current(settings) as connection:
        return dict(connection.execute(f"select column_name, column_type from (describe {table})").fetchall())


def test_a_tag_with_a_fixed_set_of_values_is_an_enum_in_their_order(warehouse):
    change(warehouse, CATALOGUE)
    publish(warehouse, DAY)
    assert types_of(warehouse, "tag_integration.person_tags") == {
        "person_id": "INTEGER",
        "level": "ENUM('new', 'gold', 'it''s')",
    }
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]
    with open_current(warehouse) as connection:
        found = connection.execute("select person_id from tag_integration.person_tags where level = ?", ["gold"])
        assert found.fetchall() == [(3,)]


def test_a_value_that_no_twin_declares_is_published_all_the_same(warehouse):
    change(
        warehouse,
        CATALOGUE + "; alter table tag_integration.person_tags add column mood varchar default 'fine';"
        "insert into tag_integration.tag_catalog values ('mood', 'person', 'published', '{\"fine\": \"好\"}');"
        "update tag_integration.person_tags set level = 'diamond' where person_id = 3",
    )
    publish(warehouse, DAY)
    assert levels(warehouse) == [(1, "new", "fine"), (2, None, "fine"), (3, "diamond", "fine")]
    assert types_of(warehouse, "tag_integration.person_tags") == {
        "person_id": "INTEGER",
        "level": "VARCHAR",
        "mood": "ENUM('fine')",
    }


def test_equal_words_hash_alike_only_in_equal_types(warehouse):
    first = publish(warehouse, DAY)
    change(warehouse, CATALOGUE)
    assert publish(warehouse, DAY).name != first.name


def manifest(settings, *nodes: dict) -> None:
    content = {"nodes": {str(number): node for number, node in enumerate(nodes)}}
    (settings.dbt_target / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def node(schema: str, name: str, **meta: object) -> dict:
    return {"schema": schema, "alias": name, "name": name, "config": {"meta": meta}}


def test_a_model_of_another_layer_goes_along_into_serving(warehouse):
    change(warehouse, "create schema identity_mapping; create table identity_mapping.members as select 7 as person_id")
    manifest(warehouse, node("identity_mapping", "members", published=True))
    assert publish(warehouse, DAY).tables["serving.members"] == 1
    with open_current(warehouse) as connection:
        assert connection.execute("from serving.members").fetchall() == [(7,)]
        assert (
            connection.execute("select 1 from duckdb_tables() where schema_name = 'identity_mapping'").fetchall() == []
        )


def test_a_model_says_what_readers_look_for_and_which_columns_have_few_words(warehouse):
    change(
        warehouse,
        "create table serving.events as select * from (values (1, 9, 'b'), (2, 3, 'a'), (1, 4, 'b')) "
        "as t (person_id, moment, kind)",
    )
    manifest(warehouse, node("serving", "events", sort_key=["person_id", "moment"], enums=["kind"]))
    publish(warehouse, DAY)
    with open_current(warehouse) as connection:
        assert connection.execute("from serving.events").fetchall() == [(1, 4, "b"), (1, 9, "b"), (2, 3, "a")]
    assert types_of(warehouse, "serving.events")["kind"] == "ENUM('a', 'b')"


@pytest.mark.parametrize(
    "sql",
    [
        "update tag_integration.person_tags set level = 'x' where person_id = 2",
        "insert into tag_integration.person_tags from tag_integration.person_tags",
        "alter table tag_integration.person_tags rename level to stage",
        "alter table tag_integration.person_tags alter person_id type bigint",
        "delete from serving.report_sales",
    ],
)
def test_new_content_is_a_new_version_and_an_open_reader_keeps_the_old_one(warehouse, sql):
    first = publish(warehouse, DAY)
    with open_current(warehouse) as reader:
        before = reader.execute("from tag_integration.person_tags").fetchall()
        change(warehouse, sql)
        second = publish(warehouse, DAY)
        assert second.name != first.name
        assert current_version(warehouse) == second
        assert reader.execute("from tag_integration.person_tags").fetchall() == before
    assert files(warehouse) == sorted([POINTER, first.file, second.file])


def test_another_day_is_another_version(warehouse):
    assert publish(warehouse, date(2018, 1, 1)).name.removeprefix("20180101") == (
        publish(warehouse, DAY).name.removeprefix("20171231")
    )
    assert current_version(warehouse).as_of_date == "2017-12-31"


def test_a_version_goes_when_it_was_out_of_use_for_the_stated_days(warehouse):
    first = publish(warehouse, DAY)
    # It was in use for a month until now: its days out of use begin with the next version.
    age(warehouse, first.file, 30)
    second = publish(warehouse, date(2018, 1, 1))
    assert files(warehouse) == sorted([POINTER, first.file, second.file])
    age(warehouse, first.file, warehouse.keep_days - 0.01)
    publish(warehouse, date(2018, 1, 1))
    assert first.file in files(warehouse)
    age(warehouse, first.file, warehouse.keep_days + 0.01)
    age(warehouse, second.file, 365)
    publish(warehouse, date(2018, 1, 1))
    assert files(warehouse) == [POINTER, second.file]


def test_the_current_version_stays_however_old(warehouse):
    version = publish(replace(warehouse, keep_days=1), DAY)
    age(warehouse, version.file, 365)
    publishing._remove_old(warehouse, version)
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]


@pytest.mark.parametrize("broken", ["table_hash", "_point_to"])
def test_a_run_that_fails_leaves_the_old_version_and_can_be_repeated(warehouse, monkeypatch, broken):
    first = publish(warehouse, DAY)
    change(warehouse, "delete from tag_integration.person_tags where person_id = 2")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, broken, stop)
        with pytest.raises(KeyboardInterrupt):
            publish(warehouse, DAY)
    assert current_version(warehouse) == first
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]
    assert not [name for name in files(warehouse) if name.startswith((".draft", "CURRENT.")) and name != POINTER]
    second = publish(warehouse, DAY)
    assert levels(warehouse) == [(1, "new"), (3, "gold")]
    assert current_version(warehouse) == second


def test_a_view_becomes_a_table_sorted_by_its_key(warehouse):
    change(
        warehouse,
        "alter table tag_integration.person_tags rename to person_tags_value; "
        "create view tag_integration.person_tags as from tag_integration.person_tags_value",
    )
    version = publish(warehouse, DAY)
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]
    with open_current(warehouse) as connection:
        assert connection.execute("select count(*) from duckdb_views() where not internal").fetchall() == [(0,)]
    assert publish(warehouse, DAY) == version
    change(warehouse, "update tag_integration.person_tags_value set level = 'old' where person_id = 1")
    assert publish(warehouse, DAY).name != version.name


@pytest.mark.parametrize("published", [True, False])
def test_a_model_may_stay_behind(warehouse, published):
    change(warehouse, "create view tag_integration.person_tag_values as from tag_integration.person_tags")
    manifest(warehouse, node("tag_integration", "person_tag_values", published=published))
    assert ("tag_integration.person_tag_values" in publish(warehouse, DAY).tables) == published


KILLED = """
import os, signal, sys
from datetime import UTC, date, datetime
from tagloom import publish
from tagloom.settings import load_settings

publish._point_to = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "copying":
    publish.table_hash = publish._point_to
publish.publish(load_settings(), date(2017, 12, 31))
"""
"""A program that publishes and dies, before or after the file got its name."""


@pytest.mark.parametrize("moment", ["copying", "pointing"])
def test_a_killed_run_leaves_the_old_version_and_its_rest_goes_later(warehouse, moment):
    first = publish(warehouse, DAY)
    change(warehouse, "delete from tag_integration.person_tags where person_id = 2")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", KILLED, moment], env=environment, check=False, capture_output=True)
    assert killed.returncode == -9
    assert current_version(warehouse) == first
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]
    rest = [name for name in files(warehouse) if name.startswith(".draft")]
    assert bool(rest) == (moment == "copying")
    publish(warehouse, DAY)
    assert levels(warehouse) == [(1, "new"), (3, "gold")]
    for name in rest:
        age(warehouse, name, 1)
    second = publish(warehouse, DAY)
    assert files(warehouse) == sorted([POINTER, first.file, second.file])


def test_a_draft_of_a_dead_process_with_the_same_number_is_overwritten(warehouse):
    for name in (f".draft-{os.getpid()}.duckdb", f".draft-{os.getpid()}.duckdb.wal"):
        (warehouse.published / name).write_bytes(b"the rest of a process that was killed")
    publish(warehouse, DAY)
    assert levels(warehouse) == [(1, "new"), (2, None), (3, "gold")]


@pytest.mark.parametrize(
    "sql",
    [
        "from read_csv('/etc/hostname')",
        "from read_text('/etc/hostname')",
        "copy tag_integration.person_tags to 'never_written.csv'",
        "attach 'never_written.duckdb' as other",
        "set enable_external_access = true",
        "set threads = 1",
        "install httpfs",
        "delete from tag_integration.person_tags",
        "create table tag_integration.more as select 1 as a",
    ],
)
def test_a_reader_has_no_way_out_and_cannot_write(warehouse, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish(warehouse, DAY)
    with open_current(warehouse) as connection, pytest.raises(duckdb.Error) as error:
        connection.execute(sql)
    assert any(word in str(error.value) for word in ("disabled", "locked", "read-only"))


def test_nothing_published_says_what_to_do(settings):
    assert current_version(settings) is None
    with pytest.raises(FileNotFoundError, match="run build_tags first"):
        open_current(settings)


def test_nothing_to_publish_leaves_no_version(settings):
    change(settings, "create schema serving; create table serving.export_mails as select 1 as person_id")
    with pytest.raises(RuntimeError, match="No table in tag_integration, serving: there is nothing to publish yet"):
        publish(settings, DAY)
    assert files(settings) == []


def test_the_pointer_is_plain_json(warehouse):
    version = publish(warehouse, DAY)
    assert json.loads((warehouse.published / POINTER).read_text(encoding="utf-8"))["file"] == version.file


ROWS = st.lists(st.tuples(st.integers(0, 3) | st.none(), st.text(max_size=4) | st.none()), max_size=8)


def test_a_pointer_of_an_older_tagloom_is_read(warehouse):
    version = publish(warehouse, DAY)
    pointer = warehouse.published / POINTER
    content = json.loads(pointer.read_text(encoding="utf-8"))
    del content["computed_at"]
    pointer.write_text(json.dumps(content), encoding="utf-8")
    assert current_version(warehouse).name == version.name
    assert current_version(warehouse).computed_at == ""


def hash_of(connection, rows) -> str:
    connection.execute("create schema if not exists s")
    connection.execute("create or replace table s.t (number integer, word varchar, _landed_at timestamp default now())")
    if rows:
        connection.executemany("insert into s.t (number, word) values (?, ?)", rows)
    return table_hash(connection, "s", "t")


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@limits(max_examples=25, deadline=None)
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_tables_have_the_same_hash_when_they_hold_the_same_rows(connection, rows, others, chance):
    hashed = hash_of(connection, rows)
    assert hash_of(connection, chance.sample(rows, len(rows))) == hashed
    assert (hash_of(connection, others) == hashed) == (sorted(map(repr, others)) == sorted(map(repr, rows)))


def test_doubled_rows_have_another_hash(connection):
    hashes = {hash_of(connection, [(1, "a")] * times) for times in (0, 1, 2, 3, 4)}
    assert len(hashes) == 5


@pytest.mark.parametrize(
    ("rows", "others"),
    [
        ([(1, None)], [(1, "NULL")]),
        ([(1, None)], [(1, "")]),
        ([(None, "a"), (1, None)], [(None, None), (1, "a")]),
        ([(1, "a, b")], [(1, "a"), (None, "b")]),
    ],
)
def test_values_that_look_alike_have_different_hashes(connection, rows, others):
    assert hash_of(connection, rows) != hash_of(connection, others)
