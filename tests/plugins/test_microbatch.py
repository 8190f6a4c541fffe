"""Micro-batches: an update gives its persons what a full build would, others nothing, however often it breaks.

A tiny world is landed and built once; each test goes on with a copy of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from tagloom import layer_state, microbatch
from tagloom.landing.land import land_source
from tagloom.lineage import load_manifest
from tagloom.microbatch import (
    FULL_BUILD,
    FullBuildNeededError,
    Update,
    UpdateError,
    identity_left_to_full_build,
    left_to_full_build,
    models_to_update,
)
from tagloom.publish import current_version, open_current, table_hash
from tagloom.settings import PROJECT, Settings
from tagloom.sources import load_source
from tagloom.tags.rendered_sql import Renderer
from tagloom.transform import LAYERS, TransformError
from tagloom.warehouse import open_warehouse
from tagloom.windows import read_windows

from tests.homes import (
    DAY,
    NEXT_DELIVERY,
    build_everything,
    built_small_home,
    copy_home,
    environment_of,
    finish_build,
)
from tests.homes import FIRST_DELIVERY as FIRST_DELIVERY
from tests.homes import settings_of as settings_of

AT_ONCE = "2017-01-11 17:00:00"
"""A moment of DAY, UTC."""

NEXT_DAY = "2017-01-12 17:00:00"

NEW_ACCOUNT, JOINING_ACCOUNT, VISITOR = "W900001", "W900002", "W900003"
"""An account of somebody new, one of somebody whose loyalty card is known, and one without a record of its own."""


@dataclass(frozen=True)
class World:
    """A built home, and who is in it."""

    settings: Settings
    known_account: str
    """A web account with events, of a person."""
    known_person: int
    card: str
    """A loyalty card of a person without a web account."""
    card_person: int


def land(settings: Settings, source: str, first_day: date, end_day: date) -> None:
    declaration = load_source(settings.sources / f"{source}.yml")
    with open_warehouse(settings) as connection:
        land_source(connection, settings, declaration, first_day, end_day, "test")


def deliver_events(settings: Settings, events: list[tuple[str, str]], kind: str = "product_view") -> None:
    """Land a delivery of web events (account, moment in UTC) of NEXT_DELIVERY."""
    rows = [
        {
            "event_id": f"N{number:04}",
            "occurred_at": moment,
            "web_user_id": account,
            "event": kind,
            "platform": "mobile",
            "channel": "newsletter",
        }
        for number, (account, moment) in enumerate(events)
    ]
    pattern = load_source(settings.sources / "web.yml").tables[0].path
    path = settings.landing / "web" / pattern.replace("{date}", str(NEXT_DELIVERY)).replace("*", "x")
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    land(settings, "web", NEXT_DELIVERY, NEXT_DELIVERY + timedelta(days=1))


def deliver_accounts(settings: Settings, card: str, new_accounts_card: str | None = None) -> None:
    """Land a snapshot of the accounts with two more: one of nobody known, one that shows a known card."""
    folder = settings.landing / "accounts"
    text = (folder / f"accounts_{DAY}.jsonl").read_text(encoding="utf-8")
    for account, loyalty_card in ((NEW_ACCOUNT, new_accounts_card), (JOINING_ACCOUNT, card)):
        record = {
            "web_user_id": account,
            "created_at": "2017-01-11 12:00:00",
            "email": f"{account.lower()}@example.org",
            "loyalty_card": loyalty_card,
            "newsletter": True,
        }
        text += json.dumps(record) + "\n"
    (folder / f"accounts_{NEXT_DELIVERY}.jsonl").write_text(text, encoding="utf-8")
    land(settings, "accounts", NEXT_DELIVERY, NEXT_DELIVERY + timedelta(days=1))


def rows(settings: Settings, query: str, parameters: dict | None = None) -> list[tuple]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute(query, parameters or {}).fetchall()


def affected(settings: Settings) -> set[int]:
    return {person for (person,) in rows(settings, "from operations.affected_persons")}


def persons_rows(settings: Settings, table: str, persons: set[int], *, of_others: bool = False) -> list[tuple]:
    """Rows of these persons, or of everybody else (and of nobody), in a fixed order."""
    sign = "not" if of_others else ""
    return rows(
        settings,
        f"from {table} where {sign} coalesce(list_contains($persons, person_id), false) order by all",
        {"persons": sorted(persons)},
    )


def tables_of(settings: Settings, models: tuple[str, ...] | list[str]) -> list[str]:
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    return [
        f"{node['schema']}.{node['name']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["name"] in models
    ]


def person_tables(settings: Settings) -> list[str]:
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    names = [node["name"] for node in manifest["nodes"].values() if node.get("resource_type") == "model"]
    person = {name for name in names if _node(manifest, name)["config"]["materialized"] == "table_of_persons"}
    return tables_of(settings, sorted(person))


def _node(manifest: dict, name: str) -> dict:
    return next(node for node in manifest["nodes"].values() if node["name"] == name)


def hashes(settings: Settings) -> dict[str, str]:
    """Hash of every table from identity mapping on."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where list_contains($layers, schema_name)",
            {"layers": list(LAYERS)},
        ).fetchall()
        return {f"{schema}.{name}": table_hash(connection, schema, name) for schema, name in tables}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    settings = copy_home(built_small_home(tmp_path_factory), tmp_path_factory.mktemp("built") / "home")
    [(account, person)] = rows(
        settings,
        """
        select min(web_user_id), person_id
        from raw_web.events
        inner join intermediate.int_web_sessions on events.event_id = int_web_sessions.web_session_id
        where person_id is not null
        group by person_id order by person_id limit 1
        """,
    )
    [(card, card_person)] = rows(
        settings,
        """
        with orders as (
            select card_number, person_id, count(distinct order_id) as orders
            from raw_pos.basket_lines inner join intermediate.int_orders on basket_id = order_id
            group by all
        )
        select card_number, person_id
        from orders inner join identity_mapping.persons using (person_id)
        where web_accounts = 0 order by orders desc, card_number limit 1
        """,
    )
    return World(settings, account, person, card, card_person)


@pytest.fixture
def home(world: World, tmp_path: Path) -> Settings:
    """A copy of the built home."""
    return copy_of(world.settings, tmp_path / "copy")


def copy_of(settings: Settings, target: Path) -> Settings:
    return copy_home(settings.home, target)


@pytest.fixture(scope="module")
def landed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The built home after deliveries of a known account, a new person, a new account of a known one and a visitor."""
    settings = copy_of(world.settings, tmp_path_factory.mktemp("landed") / "home")
    with environment_of(settings.home):
        deliver_accounts(settings, world.card)
        events = [(account, AT_ONCE) for account in (world.known_account, NEW_ACCOUNT, JOINING_ACCOUNT, VISITOR)]
        deliver_events(settings, events)
    return settings


@pytest.fixture(scope="module")
def built(landed: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same, built as a whole."""
    settings = copy_of(landed, tmp_path_factory.mktemp("built_again") / "home")
    with environment_of(settings.home):
        build_everything(settings, DAY)
    return settings


def assert_same_as_full_build(done: Update, updated: Settings, built: Settings, before: Settings) -> set[int]:
    """Its persons have the rows of the full build, everybody else those of before; returns the persons."""
    persons = affected(updated)
    assert len(persons) == done.affected_persons
    for table in tables_of(updated, done.models):
        assert persons_rows(updated, table, persons) == persons_rows(built, table, persons), table
    for table in person_tables(updated):
        assert persons_rows(updated, table, persons, of_others=True) == persons_rows(
            before, table, persons, of_others=True
        ), table
    return persons


@pytest.mark.slow
def test_known_new_and_joining_accounts_get_what_a_full_build_gives(world, landed, built, tmp_path):
    updated = copy_of(landed, tmp_path / "updated")
    done = microbatch.update(updated, ["web", "accounts"], run_id="test")

    assert (done.as_of_date, done.identity_was_built) == (DAY, True)
    persons = assert_same_as_full_build(done, updated, built, world.settings)
    assert {world.known_person, world.card_person} < persons
    new = persons - {person for (person,) in rows(world.settings, "select person_id from tag_integration.person_tags")}
    assert new, "the new account made nobody"
    tags = "select web_sessions_30d, last_web_visit_date from tag_integration.person_tags where person_id = $person"
    for person in (world.card_person, *new):
        assert rows(updated, tags, {"person": person}) == [(1, DAY)]
    with open_current(updated) as connection:
        assert connection.execute(tags, {"person": world.card_person}).fetchall() == [(1, DAY)]
    assert set(done.models) >= {"int_web_sessions", "int_orders", "tag_channel__reach", "person_tags_value"}
    assert not set(done.models) & {"tag_value__rfm", "tag_value__spend", "tag_preference__assortment"}

    again = microbatch.update(updated, ["web", "accounts"])
    assert (again.new_records, again.affected_persons, again.models, again.version) == (0, 0, (), None)

    with open_warehouse(updated) as connection:
        fingerprint = layer_state.inputs_fingerprint(connection, updated, DAY)
        assert not any(layer_state.is_current(connection, layer, fingerprint) for layer in LAYERS)
    build_everything(updated, DAY)
    assert hashes(updated) == hashes(built)


@pytest.mark.slow
def test_facts_and_tags_follow_a_merge_and_a_split(world, landed, tmp_path):
    updated = copy_of(landed, tmp_path / "updated")
    microbatch.update(updated, ["web", "accounts"], run_id="test")
    everybody = {person for (person,) in rows(world.settings, "select person_id from tag_integration.person_tags")}
    of_new_account = (
        "select person_id from identity_mapping.persons where list_contains($persons, person_id) and has_email"
    )
    [(new,)] = rows(updated, of_new_account, {"persons": sorted(affected(updated) - everybody)})
    tables = [table for table in person_tables(updated) if "serving" not in table]
    parted = {table: persons_rows(updated, table, {new}) for table in tables}
    assert parted["intermediate.int_web_sessions"]

    with environment_of(updated.home):
        deliver_accounts(updated, world.card, new_accounts_card=world.card)
    done = microbatch.update(updated, ["accounts"])
    assert {new, world.card_person} <= affected(updated)
    assert done.identity_was_built
    for table in person_tables(updated):
        assert not persons_rows(updated, table, {new}), table
    sessions = "select count(*) from intermediate.int_web_sessions where person_id = $person"
    assert rows(updated, sessions, {"person": world.card_person}) == [(2,)]
    redirect = "select survivor_id from identity_mapping.person_redirects where person_id = $person"
    assert rows(updated, redirect, {"person": new}) == [(world.card_person,)]

    with environment_of(updated.home), open_warehouse(updated) as connection:
        connection.execute(
            """
            insert into operations.identity_decisions
                (decision_id, kind, left_type, left_hash, right_type, right_hash, reason, decided_by, decided_at)
            select 1, 'never_link', account.identifier_type, account.identifier_hash, card.identifier_type,
                card.identifier_hash, 'another person', 'test', timestamp '2017-01-11 00:00:00'
            from identity_mapping.identity_registry as account
            cross join identity_mapping.identity_registry as card
            where account.identifier_key = (
                    select anchor_key from identity_mapping.person_registry where person_id = $new
                )
                and card.identifier_key = (
                    select anchor_key from identity_mapping.person_registry where person_id = $person
                )
            """,
            {"new": new, "person": world.card_person},
        )
    build_everything(updated, DAY)
    assert rows(updated, sessions, {"person": world.card_person}) == [(1,)]
    assert rows(updated, sessions, {"person": new}) == [(1,)]
    assert rows(updated, redirect, {"person": new}) == []
    for table in ("intermediate.int_web_sessions", "tag_category.tag_behaviour__web"):
        assert persons_rows(updated, table, {new}) == parted[table], table


@pytest.mark.slow
def test_events_of_known_accounts_build_only_what_stands_on_them(world, home):
    before = hashes(home)
    deliver_events(home, [(world.known_account, AT_ONCE), (VISITOR, NEXT_DAY)], kind="add_to_cart")
    done = microbatch.update(home, ["web"], as_of_date=DAY)
    assert (done.new_records, done.affected_persons, done.identity_was_built) == (1, 1, False)
    assert affected(home) == {world.known_person}
    assert set(done.models) == {
        "int_web_events",
        "int_web_sessions",
        "tag_behaviour__cart",
        "tag_behaviour__funnel",
        "tag_behaviour__journeys",
        "tag_behaviour__web",
        "tag_channel__journeys",
        "tag_channel__usage",
        "tag_value__engagement",
        "person_tags_behaviour",
        "person_tags_channel",
        "person_tags_value",
        "audience_birthday_next_month",
        "audience_dormant_big_spenders",
    }
    changed = {table for table, value in hashes(home).items() if value != before[table]}
    must_change = {"intermediate.int_web_sessions", "tag_integration.person_tags_behaviour"}
    assert must_change <= changed <= set(tables_of(home, done.models))


@pytest.mark.slow
def test_an_event_of_the_next_day_moves_its_persons_to_that_day(world, home, tmp_path, monkeypatch):
    deliver_events(home, [(world.known_account, NEXT_DAY), (VISITOR, "2017-03-01 00:00:00")])
    built = copy_of(home, tmp_path / "built")
    done = microbatch.update(home, ["web"])
    next_day = DAY + timedelta(days=1)
    assert (done.as_of_date, done.identity_was_built) == (next_day, True), "an event dated after its delivery counted"

    build_everything(built, next_day)
    persons = assert_same_as_full_build(done, home, built, world.settings)
    assert world.known_person in persons
    assert "int_orders" in done.models

    assert microbatch.update(home, ["web"]).affected_persons == 0
    # A full build of the day before forgets the event, so the next update must find it again.
    with open_warehouse(home) as connection:
        fingerprint = layer_state.inputs_fingerprint(connection, home, DAY)
        layer_state.begin(connection, "identity_mapping")
    finish_build(home, fingerprint, DAY)
    monkeypatch.setattr(microbatch, "run_dbt", lambda *_arguments, **_options: [])
    again = microbatch.update(home, ["web"])
    assert (again.as_of_date, again.new_records, again.identity_was_built) == (next_day, 1, True)


class Killed(BaseException):
    """What is left of the process then goes on in the next call."""


def die(*_arguments, **_options) -> None:
    raise Killed


@pytest.mark.slow
def test_an_update_killed_after_identity_still_finds_whom_it_moved(world, landed, built, tmp_path, monkeypatch):
    updated = copy_of(landed, tmp_path / "updated")
    version = current_version(updated)
    run_dbt = microbatch.run_dbt
    with monkeypatch.context() as patch:
        patch.setattr(
            microbatch,
            "run_dbt",
            lambda *args, **options: run_dbt(*args, **options) if "path:" in args[1][2] else die(),
        )
        with pytest.raises(Killed):
            microbatch.update(updated, ["web", "accounts"])
    assert current_version(updated) == version

    # Another source asks next; what is half way in goes along.
    done = microbatch.update(updated, ["support"])
    assert done.sources == ("accounts", "support", "web")
    persons = assert_same_as_full_build(done, updated, built, world.settings)
    assert {world.known_person, world.card_person} < persons
    assert current_version(updated) != version


@pytest.mark.slow
@pytest.mark.parametrize("step", ["publish", "_finish"])
def test_an_update_killed_around_publishing_is_done_again(world, home, monkeypatch, step):
    deliver_events(home, [(world.known_account, AT_ONCE)])
    version = current_version(home)
    with monkeypatch.context() as patch:
        patch.setattr(microbatch, step, die)
        with pytest.raises(Killed):
            microbatch.update(home, ["web"])
    assert (current_version(home) == version) == (step == "publish")
    done = microbatch.update(home, ["support"])
    assert (done.sources, done.new_records, done.affected_persons) == (("support", "web"), 1, 1)
    assert current_version(home).name == done.version != version.name
    assert microbatch.update(home, ["support"]).sources == ("support",)


@pytest.mark.slow
def test_a_value_that_its_model_forbids_is_not_published(world, home):
    deliver_events(home, [(world.known_account, AT_ONCE)])
    with open_warehouse(home) as connection:
        connection.execute("update raw_web.events set platform = 'fridge' where web_user_id = ?", [world.known_account])
    version = current_version(home)
    for _ in range(2):
        with pytest.raises(UpdateError, match=r"tag_behaviour__web\.sql: the data test accepted_values_.* 1 rows"):
            microbatch.update(home, ["web"])
        assert current_version(home) == version
    with open_warehouse(home) as connection:
        connection.execute("update raw_web.events set platform = 'mobile' where platform = 'fridge'")
    assert microbatch.update(home, ["web"]).affected_persons == 1
    assert current_version(home) != version


@pytest.mark.slow
def test_a_model_that_fails_is_not_published(world, home):
    deliver_events(home, [(world.known_account, AT_ONCE)])
    version = current_version(home)
    with open_warehouse(home) as connection:
        connection.execute("alter table tag_category.tag_behaviour__web add column surprise integer")
    with pytest.raises(TransformError, match="tag_behaviour__web"):
        microbatch.update(home, ["web"])
    assert current_version(home) == version


@pytest.mark.slow
def test_person_tags_are_tested_as_a_whole(world, home):
    deliver_events(home, [(world.known_account, AT_ONCE)])
    version = current_version(home)
    with open_warehouse(home) as connection:
        connection.execute(
            "insert into tag_integration.person_tags_lifecycle "
            "from tag_integration.person_tags_lifecycle where person_id = ?",
            [world.card_person],
        )
        connection.execute(
            "delete from tag_integration.person_tags_lifecycle where person_id not in (?, ?)",
            [world.card_person, world.known_person],
        )
    with pytest.raises(TransformError) as error:
        microbatch.update(home, ["web"])
    failed = str(error.value)
    assert "the data test unique_person_tags_person_id failed: Got 1 result" in failed
    assert "every_person_has_one_row_of_tags failed" in failed
    assert current_version(home) == version


def test_an_update_needs_a_finished_full_build(world, home):
    with pytest.raises(FullBuildNeededError, match="only build_tags can go back to 2017-01-10"):
        microbatch.update(home, ["web"], DAY - timedelta(days=1))
    with open_warehouse(home) as connection:
        layer_state.begin(connection, "tag_category")
    with pytest.raises(FullBuildNeededError, match=r"\(tag_category, tag_integration, serving missing\)"):
        microbatch.update(home, ["web"])


def test_an_update_waits_while_checks_of_landing_or_a_layer_have_failed(world, home):
    version = current_version(home)
    with open_warehouse(home) as connection:
        layer_state.note_checks(connection, "landing", DAY, "build-7", passed=False)
    with pytest.raises(FullBuildNeededError, match="Checks of landing for 2017-01-11 have failed in run build-7"):
        microbatch.update(home, ["web"])
    assert current_version(home) == version
    with open_warehouse(home) as connection:
        layer_state.note_checks(connection, "landing", DAY, "build-8", passed=True)
    assert microbatch.update(home, ["web"]).affected_persons == 0


def test_an_update_needs_the_definitions_of_the_full_build(home):
    with pytest.raises(FullBuildNeededError, match="another one than in the last full build"):
        microbatch.update(replace(home, time_zone="Asia/Shanghai"), ["web"])


def test_rows_of_nobody_change_nothing(home):
    before = hashes(home)
    version = current_version(home)
    with open_warehouse(home) as connection:
        connection.execute(
            "insert into raw_web.events by name select '1' as event_id, ' ' as web_user_id, "
            "timestamp '2017-01-11 17:00:00' as occurred_at, date '2017-01-13' as _interval, "
            "timestamp '2100-01-01' as _landed_at"
        )
    done = microbatch.update(home, ["web"])
    assert (done.new_records, done.affected_persons, done.version) == (0, 0, None)
    assert hashes(home) == before
    assert current_version(home) == version
    assert rows(home, "select covered_until from operations.update_state where source = 'web'")[0][0].year == 2100


FACTS = r'"\w+"\."intermediate"\."(?!int_category_baselines")\w+"'
"""But for what is nobody's."""

PERSONS = r'"\w+"\."identity_mapping"\."persons"'


def models_that_need_others(world: World, tables: str) -> set[str]:
    """Ids of tag models that give persons other values when they see only these persons' rows of the tables."""
    manifest = load_manifest(world.settings.dbt_target / "manifest.json")
    persons = "select person_id from identity_mapping.persons where person_id % 5 = 0"
    found = set()
    with duckdb.connect(str(world.settings.warehouse)) as connection:
        connection.execute("set time zone 'UTC'")
        for name, node in manifest["nodes"].items():
            folders = node["original_file_path"].split("/")[1:3]
            if node["resource_type"] != "model" or folders != ["tag_category", "person"]:
                continue
            path = world.settings.dbt_target / "compiled" / "tagloom" / node["original_file_path"]
            sql = re.sub(
                tables,
                lambda found: f"(select * from {found[0]} where person_id in ({persons}))",
                path.read_text(encoding="utf-8"),
            )
            alone = connection.execute(f"from ({sql}) where person_id in ({persons}) order by all").fetchall()
            table = f"tag_category.{node['name']}"
            together = connection.execute(f"from {table} where person_id in ({persons}) order by all").fetchall()
            if alone != together:
                found.add(name)
    return found


NEEDS_MORE_PERSONS = {"model.tagloom.tag_value__peers"}
"""Compare persons, but say nothing of groups as small as those of this world."""


def test_models_that_compare_persons_say_so(world):
    """Whatever a tag model that updates touch computes from the facts of a few persons alone is what it is for all."""
    manifest = load_manifest(world.settings.dbt_target / "manifest.json")
    left_out = {
        name for name in left_to_full_build(manifest) if "tag_category/person" in manifest["nodes"][name]["path"]
    }
    say_so = {name for name in left_out if manifest["nodes"][name]["config"]["meta"].get("updates") == FULL_BUILD}
    need_others = models_that_need_others(world, FACTS)
    assert need_others <= left_out
    assert need_others >= say_so - NEEDS_MORE_PERSONS


def test_models_that_compare_rows_of_persons_are_computed_for_everybody(world):
    """An incremental day sees only some rows of persons, too, but in models that it computes for everybody."""
    manifest = load_manifest(world.settings.dbt_target / "manifest.json")
    renderer = Renderer(PROJECT / "dbt_project")
    for name in models_that_need_others(world, f"{FACTS}|{PERSONS}") - left_to_full_build(manifest):
        path = manifest["nodes"][name]["original_file_path"]
        moves = read_windows(renderer.render(PROJECT / "dbt_project" / path).sql).moves_for_everybody
        assert moves, f"{path} compares a person with other rows of persons: config(meta={{'updates': 'full_build'}})"


MODELS = {
    "stg_web__events": ("staging", "view", ["source.web.events"]),
    "stg_pos__lines": ("staging", "view", ["source.pos.lines"]),
    "identity_observations": ("identity_mapping", "table", ["stg_web__events", "stg_pos__lines"]),
    "persons": ("identity_mapping", "table", ["identity_observations"]),
    "int_visits": ("intermediate", "table_of_persons", ["stg_web__events", "persons"]),
    "int_orders": ("intermediate", "table_of_persons", ["stg_pos__lines", "persons"]),
    "int_products": ("intermediate", "table", ["stg_pos__lines"]),
    "tag_web": ("tag_category", "table_of_persons", ["int_visits"]),
    "tag_looks": ("tag_category", "view", ["int_visits"]),
    "tag_score": ("tag_category", "table_of_persons", ["int_orders"]),
    "tag_segment": ("tag_category", "table_of_persons", ["tag_score", "tag_web"]),
    "tag_taste": ("tag_category", "table_of_persons", ["int_orders", "int_products"]),
    "person_tags": ("tag_integration", "table_of_persons", ["persons", "tag_segment", "tag_looks"]),
    "report": ("serving", "table", ["person_tags"]),
}


@pytest.fixture
def manifest() -> dict:
    """A small project; tag_score compares persons with each other."""
    nodes, children = {}, {}
    for name, (layer, materialized, parents) in MODELS.items():
        meta = {"updates": "full_build"} if name == "tag_score" else {}
        nodes[f"model.{name}"] = {
            "name": name,
            "resource_type": "model",
            "schema": layer,
            "config": {"materialized": materialized, "meta": meta},
        }
        for parent in parents:
            children.setdefault(f"model.{parent}" if parent in MODELS else parent, []).append(f"model.{name}")
    return {"nodes": nodes, "child_map": children}


def test_what_computes_from_a_comparison_waits_with_it(manifest):
    assert left_to_full_build(manifest) == {
        "model.tag_score",
        "model.tag_segment",
        "model.int_products",
        "model.tag_taste",
    }


def test_the_certificate_of_identity_is_made_of_data_tests_that_there_are():
    folder = PROJECT / "dbt_project" / "data-tests" / "identity_mapping"
    assert set(microbatch.CERTIFICATE) <= {file.stem for file in folder.glob("*.sql")}


def test_models_of_identity_that_wait_are_named_by_their_files():
    """With a folder and a star, so that the data tests of their twins wait, too."""

    def model(layer: str, name: str, **meta: str) -> dict:
        path = f"models/{layer}/{name}.sql"
        return {
            "name": name,
            "resource_type": "model",
            "schema": layer,
            "original_file_path": path,
            "config": {"meta": meta},
        }

    nodes = [
        model("identity_mapping", "households", updates="full_build"),
        model("identity_mapping", "persons"),
        model("tag_category", "tag_score", updates="full_build"),
    ]
    manifest = {"nodes": {node["name"]: node for node in nodes}}
    assert identity_left_to_full_build(manifest) == ["path:models/identity_mapping/households.*"]


@pytest.mark.slow
def test_an_update_leaves_households_to_the_full_build(world, landed, tmp_path):
    """Identity is built again, households are not: they stay those of the full build, and nothing of them fails."""
    manifest = load_manifest(world.settings.dbt_target / "manifest.json")
    waiting = {"person_relations", "household_components", "household_members", "household_history", "households"}
    assert {selector.split("/")[-1].removesuffix(".*") for selector in identity_left_to_full_build(manifest)} == waiting
    updated = copy_of(landed, tmp_path / "updated")
    with open_warehouse(updated) as connection:
        # A household of persons whom nobody knows: it would be gone, or a test would fail, had anything looked at it.
        connection.execute("insert into identity_mapping.household_members (person_id, household_id) values (-1, 'H0')")
        connection.execute("insert into identity_mapping.households (household_id, members) values ('H0', 1)")
    done = microbatch.update(updated, ["web", "accounts"])
    assert done.identity_was_built
    assert not {"household_tags", "tag_household__members"} & set(done.models)
    assert rows(updated, "select household_id from identity_mapping.household_members where person_id = -1") == [
        ("H0",)
    ]
    assert rows(updated, "select members from identity_mapping.households where household_id = 'H0'") == [(1,)]


@pytest.mark.parametrize(
    ("changed", "models"),
    [
        ({("web", "events")}, ["int_visits", "person_tags", "tag_web"]),
        ({("pos", "lines")}, ["int_orders"]),
        (set(), []),
        (None, ["int_orders", "int_visits", "person_tags", "tag_web"]),
    ],
)
def test_models_above_what_changed_are_updated_but_not_through_identity(manifest, changed, models):
    assert models_to_update(manifest, changed) == models
