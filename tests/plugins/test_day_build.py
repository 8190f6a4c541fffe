"""Incremental builds: day after day, whatever comes late, moves or breaks, the tables are those of a full build."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from tagloom import day_build, layer_state
from tagloom.day_build import causes
from tagloom.day_build import layer as layer_module
from tagloom.lineage import load_manifest
from tagloom.settings import Settings
from tagloom.sources import load_sources
from tagloom.transform import run_dbt
from tagloom.warehouse import open_warehouse

from sample_data.landing import write_landing
from sample_data.small import small_world
from tests.plugins.test_microbatch import DAY, FIRST_DELIVERY, NEXT_DELIVERY, environment_of, land, settings_of

WINDOWS = (7, 14, 28, 30, 60, 90, 180, 365)
"""Ages in days of facts that are made up, so that they leave windows while the days go on."""

LANDED = datetime(2100, 1, 1)
"""When made-up rows landed: after everything else."""

SEED = 5

QUIET_STEP = 2
"""Nothing comes in that is of an earlier month, so that what everybody bought stays the same."""


class Killed(BaseException):
    """What is left of the process then goes on in the next build."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a little more than a year of facts, built for DAY as a whole."""
    settings = settings_of(tmp_path_factory.mktemp("base") / "home")
    with environment_of(settings.home):
        settings.make_folders()
        sources = load_sources(settings.sources)
        write_landing(small_world(), settings.landing, sources)
        for source in sources:
            land(settings, source.name, FIRST_DELIVERY, NEXT_DELIVERY)
        chance = random.Random(SEED)
        with open_warehouse(settings) as connection:
            _hide_rejections(connection)
            for number, age in enumerate(age + offset for age in WINDOWS for offset in range(-3, 4)):
                make_facts(connection, chance, DAY - timedelta(age), f"old{number}", LANDED)
            connection.execute("create schema if not exists operations")
        run_dbt(settings, ["build", "--exclude-resource-type", "unit_test", "test"], DAY)
        with open_warehouse(settings) as connection:
            layer_state.cover_what_landed(connection)
        remember(settings, DAY)
    return settings


@pytest.fixture
def home(base: Settings, tmp_path: Path) -> Settings:
    """A copy of the built home."""
    return copy_of(base, tmp_path / "home")


def copy_of(settings: Settings, target: Path) -> Settings:
    shutil.copytree(settings.home, target)
    return settings_of(target)


def _hide_rejections(connection: duckdb.DuckDBPyConnection) -> None:
    """Landing again is another matter."""
    connection.execute("update operations.landing_log set rows_removed = 0")


def make_facts(
    connection: duckdb.DuckDBPyConnection, chance: random.Random, day: date, name: str, landed: datetime
) -> None:
    """A basket, some web events and some sightings of a day, of somebody or nobody, like others that there are."""
    moment = datetime(day.year, day.month, day.day) + timedelta(seconds=chance.randrange(86_400))
    seed = chance.randrange(1_000_000)
    picked = "order by hash({key}, {seed}) limit {rows}"
    connection.execute(
        f"""
        insert into raw_pos.basket_lines by name
        select * replace (
            'B{name}' as basket_id, $moment as sold_at, cast($moment as date) as _interval, $landed as _landed_at,
            (select card_number from raw_pos.basket_lines {picked.format(key="basket_id", seed=seed, rows=1)})
                as card_number
        )
        from (from raw_pos.basket_lines qualify row_number() over (partition by product_id order by basket_id) = 1)
        {picked.format(key="product_id", seed=seed, rows=4)}
        """,
        {"moment": moment, "landed": landed},
    )
    connection.execute(
        f"""
        insert into raw_web.events by name
        select * exclude (number) replace (
            'E{name}-' || number as event_id, $moment + to_seconds(number * 700) as occurred_at,
            cast($moment as date) as _interval, $landed as _landed_at,
            (select web_user_id from raw_web.events {picked.format(key="web_user_id", seed=seed, rows=1)})
                as web_user_id
        )
        from (
            select *, row_number() over () as number from raw_web.events
            {picked.format(key="event_id", seed=seed, rows=5)}
        )
        """,
        {"moment": moment, "landed": landed},
    )
    connection.execute(
        f"""
        insert into raw_wifi.sightings by name
        select * exclude (number) replace (
            $moment + to_seconds(number * 1000) as seen_at, cast($moment as date) as _interval, $landed as _landed_at,
            (select device_mac from raw_wifi.sightings {picked.format(key="device_mac", seed=seed, rows=1)})
                as device_mac,
            '343' as store_id
        )
        from (
            select *, row_number() over () as number from raw_wifi.sightings
            {picked.format(key="seen_at", seed=seed, rows=3)}
        )
        """,
        {"moment": moment, "landed": landed},
    )


def change_identity(connection: duckdb.DuckDBPyConnection, chance: random.Random) -> None:
    """Merge two persons, part one in two, find out whose something is, and forget whose something was."""
    persons = [
        row[0] for row in connection.execute("select person_id from identity_mapping.persons order by 1").fetchall()
    ]
    gone, kept, parted, forgotten = chance.sample(persons, 4)
    in_map = "identity_mapping.identity_map"
    connection.execute(f"update {in_map} set person_id = ? where person_id = ?", [kept, gone])
    connection.execute("delete from identity_mapping.persons where person_id = ?", [gone])
    connection.execute(
        f"update {in_map} set person_id = ? where person_id = ? and identifier_key = ("
        f"select max(identifier_key) from {in_map} where person_id = ?)",
        [max(persons) + 1, parted, parted],
    )
    connection.execute(
        "insert into identity_mapping.persons select * replace (? as person_id) from identity_mapping.persons "
        "where person_id = ?",
        [max(persons) + 1, parted],
    )
    connection.execute(
        f"delete from {in_map} where identifier_key = (select max(identifier_key) from {in_map} where person_id = ?)",
        [forgotten],
    )
    connection.execute(
        f"""
        insert into {in_map} by name
        select identifier_key, identifier_type, identifier_hash, $person as person_id
        from identity_mapping.identity_registry
        where identifier_key not in (select identifier_key from {in_map})
            and identifier_type in ('device_mac', 'loyalty_card', 'web_account')
        order by hash(identifier_key, $seed) limit 1
        """,
        {"person": kept, "seed": chance.randrange(1_000_000)},
    )
    connection.execute(
        "update identity_mapping.persons set may_email = not coalesce(may_email, false) where person_id = ?", [parted]
    )


def change_catalogue(connection: duckdb.DuckDBPyConnection, chance: random.Random) -> None:
    """One product goes to another department."""
    connection.execute(
        "update raw_catalogue.products_history set department = 'DELI' where product_id = ("
        "select product_id from raw_pos.basket_lines order by hash(product_id, ?) limit 1)",
        [chance.randrange(1_000_000)],
    )


def build(settings: Settings, day: date) -> list[day_build.BuiltLayer]:
    """What build_tags does after identity mapping."""
    with open_warehouse(settings) as connection:
        layer_state.cover_what_landed(connection)
    built = [day_build.build_layer_of_day(settings, layer, day) for layer in day_build.LAYERS]
    remember(settings, day)
    return built


def remember(settings: Settings, day: date) -> None:
    with open_warehouse(settings) as connection:
        day_build.finish(connection, settings, day)


def person_tables(settings: Settings) -> list[str]:
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    return sorted(
        f"{node['schema']}.{node['name']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["config"]["materialized"] == day_build.PERSON_TABLE
        and node["schema"] in day_build.LAYERS
    )


def differences(left: Settings, right: Settings, tables: list[str]) -> dict[str, list[tuple]]:
    """Table -> a row or two that only one of the homes has."""
    found = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{left.warehouse}' as l (read_only); attach '{right.warehouse}' as r (read_only)")
        for table in tables:
            rows = connection.execute(
                f"(from l.{table} except all from r.{table} limit 2) union all "
                f"(from r.{table} except all from l.{table} limit 2)"
            ).fetchall()
            if rows:
                found[table] = rows
    return found


def assert_same_as_full_build(settings: Settings, day: date, copy: Path) -> None:
    whole = copy_of(settings, copy)
    paths = [f"path:models/{layer}" for layer in day_build.LAYERS]
    run_dbt(whole, ["build", "--select", *paths, "--exclude-resource-type", "unit_test", "test"], day)
    assert differences(settings, whole, person_tables(settings)) == {}
    shutil.rmtree(copy)


@pytest.mark.slow
def test_days_with_late_rows_merges_and_kills_end_as_a_full_build(home, tmp_path, monkeypatch):
    # In so small a world a few persons are many.
    monkeypatch.setattr(causes, "MOST_PERSONS", 1.0)
    chance = random.Random(SEED)
    day = DAY
    for step in range(4):
        day += timedelta(chance.choice([1, 1, 2]))
        landed = LANDED + timedelta(days=step + 1)
        with open_warehouse(home) as connection:
            for number in range(5):
                # Of the day, of long ago, and one that is known of only tomorrow.
                long_ago = chance.randrange(400) if step != QUIET_STEP else 1
                back = [0, 0, chance.randrange(3), long_ago, -1][number]
                make_facts(connection, chance, day - timedelta(back), f"{step}-{number}", landed)
            change_identity(connection, chance)
            if step % 2:
                change_catalogue(connection, chance)
        if step == 1:
            kill_while_building(home, day, monkeypatch)
        built = build(home, day)
        assert [layer.plan.is_full for layer in built] == [False] * 3, built[0].plan.reason
        assert built[0].persons
        assert not {"tag_consumption__spend", "tag_demographics__profile"} & set(built[1].whole)
        if step == QUIET_STEP:
            assert not {"tag_preference__tastes", "tag_preference__assortment"} & set(built[1].whole)
    assert_same_as_full_build(home, day, tmp_path / "whole")


def kill_while_building(settings: Settings, day: date, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die when some facts, and some tags, are of the new day."""

    def half(settings: Settings, layer: str, day: date, *, chosen: list[str]) -> None:
        models = [name for name in chosen if name.startswith(("int_o", "int_w", "tag_c"))]
        run_dbt(settings, ["build", "--select", *models, "--indirect-selection", "empty"], day, affected_only=True)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(layer_module, "build_layer", half)
        with pytest.raises(Killed):
            day_build.build_layer_of_day(settings, "intermediate", day)
    day_build.build_layer_of_day(settings, "intermediate", day)
    with monkeypatch.context() as patch:
        patch.setattr(layer_module, "build_layer", half)
        with pytest.raises(Killed):
            day_build.build_layer_of_day(settings, "tag_category", day)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"day": DAY - timedelta(1)}, "the tables are of 2017-01-11"),
        ({"day": DAY + timedelta(9)}, "more than 7 days behind"),
        ({"rebuild": True}, "a rebuild was asked for"),
        ({"time_zone": "Asia/Shanghai"}, "SQL, a setting or an engine has changed since the build of 2017-01-11"),
        ({"sql": "drop table tag_category.tag_channel__reach"}, "there is no table tag_category.tag_channel__reach"),
        (
            {"sql": "update operations.landing_log set rows_removed = 3 where source = 'pos'"},
            "rows of pos.basket_lines were taken away or replaced",
        ),
        ({"sql": "delete from operations.build_base"}, "there is no finished build to go on from"),
        ({"sql": "update operations.build_base set full_on = date '2016-12-01'"}, "the last full build, of 2016-12-01"),
    ],
)
@pytest.mark.slow
def test_a_full_build_says_why(base, tmp_path, monkeypatch, change, reason):
    settings = replace(copy_of(base, tmp_path / "home"), time_zone=change.get("time_zone", base.time_zone))
    if "sql" in change:
        with open_warehouse(settings) as connection:
            connection.execute(change["sql"])
    chosen = []
    monkeypatch.setattr(layer_module, "build_layer", lambda *_, chosen=None: [] if chosen is None else [1 / 0])
    built = day_build.build_layer_of_day(
        settings, "intermediate", change.get("day", DAY + timedelta(1)), rebuild=change.get("rebuild", False)
    )
    assert built.plan.is_full
    assert reason in built.plan.reason
    assert built.summary == {"build": "full", "reason": built.plan.reason}
    assert not chosen
    again = day_build.build_layer_of_day(settings, "tag_category", change.get("day", DAY + timedelta(1)))
    assert again.plan == built.plan
    with open_warehouse(settings) as connection:
        assert connection.execute("from operations.build_base").fetchall() == []
