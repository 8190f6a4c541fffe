"""Written files follow their declarations: one change touches what it must, a second write touches nothing."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml
from tagloom.settings import Settings, load_settings
from tagloom.sources import SourceError
from tagloom.tags.definitions import TagError
from tagloom.written import SCHEMA, stale_files, write_files

TABLES = Path("models/tag_integration")
SEED = Path("seeds/tag_definitions.csv")
COUNTS = TABLES / "tag_value_counts.sql"


def declare_source(settings: Settings, name: str) -> None:
    table = {
        "name": "customers",
        "title": "Customers",
        "reader": {"kind": "files", "format": "csv", "path": "customers_{date}.csv"},
        "grain": "snapshot",
        "primary_key": ["number"],
        "identifiers": {"number": "crm_customer"},
        "columns": [{"name": "number", "type": "text"}],
    }
    source = {
        "name": name,
        "title": name,
        "title_zh": "来源",
        "owner": "crm@example.com",
        "party": "first",
        "consent_basis": "contract",
        "licence": "own data",
        "tables": [table],
    }
    (settings.sources / f"{name}.yml").write_text(yaml.safe_dump(source), encoding="utf-8")


def write_twin(project: Path, category: str, topic: str, *names: str, status: str = "published") -> Path:
    name = f"tag_{category}__{topic}"
    twin = project / "models" / "tag_category" / "person" / category / f"{name}.yml"
    twin.parent.mkdir(parents=True, exist_ok=True)
    meta = {
        "title": "Tag",
        "title_zh": "标签",
        "category": [category, topic],
        "kind": "rule",
        "owner": "crm@example.com",
        "unit": None,
        "if_missing": None,
        "refresh": "daily",
        "valid_for": "7d",
        "personal_data": "none",
        "status": status,
        "since": datetime.date(2026, 11, 22),
    }
    columns = [
        {"name": tag, "data_type": "varchar", "description": f"Says {tag}.", "config": {"meta": {"tag": meta}}}
        for tag in names
    ]
    declared = {"name": name, "description": "One row per person.", "columns": [{"name": "person_id"}, *columns]}
    twin.write_text(yaml.safe_dump({"models": [declared]}), encoding="utf-8")
    twin.with_suffix(".sql").write_text("select 1\n", encoding="utf-8")
    return twin


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("TAGLOOM_SOURCES", str(tmp_path / "sources"))
    settings = load_settings()
    settings.sources.mkdir()
    declare_source(settings, "crm")
    return settings


@pytest.fixture
def project(tmp_path, settings) -> Path:
    """A project with two tags, up to date."""
    project = tmp_path / "project"
    write_twin(project, "value", "spend", "spend_level")
    write_twin(project, "channel", "usage", "main_channel")
    write_files(settings, project)
    return project


def test_the_projects_own_files_are_up_to_date(monkeypatch):
    monkeypatch.delenv("TAGLOOM_SOURCES", raising=False)
    assert stale_files(load_settings()) == []


def test_a_second_write_touches_nothing(settings, project):
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*.*")}
    assert stale_files(settings, project) == []
    assert write_files(settings, project) == []
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*.*")} == before


def test_one_more_tag_changes_its_category_and_what_holds_every_tag(settings, project):
    write_twin(project, "value", "spend", "spend_level", "spend_trend")
    touched = set(write_files(settings, project))
    tables = [TABLES / "person" / table for table in ("person_tags", "person_tags_value")]
    assert {SEED, COUNTS} | {table.with_suffix(suffix) for table in tables for suffix in (".sql", ".yml")} <= touched
    assert {path for path in touched if "channel" in path.name} == set()
    assert {path.parent for path in touched} == {SEED.parent, TABLES, TABLES / "person"}
    assert stale_files(settings, project) == []


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_a_tag_that_is_not_published_changes_the_catalogue_alone(settings, project, status):
    write_twin(project, "value", "other", "spend_trend", status=status)
    assert write_files(settings, project) == [SEED]


def test_a_changed_description_changes_no_sql(settings, project):
    twin = write_twin(project, "value", "spend", "spend_level")
    twin.write_text(twin.read_text(encoding="utf-8").replace("Says spend_level.", "Tells it."), encoding="utf-8")
    touched = write_files(settings, project)
    assert {path.suffix for path in touched} == {".yml", ".csv"}


def test_a_retired_tag_that_something_uses_is_told(settings, project):
    audience = project / "models" / "serving" / "audiences" / "audience_a.sql"
    audience.parent.mkdir(parents=True)
    audience.write_text("select person_id from {{ ref('person_tags') }} where spend_level = 'high'", encoding="utf-8")
    assert stale_files(settings, project) == []
    write_twin(project, "value", "spend", "spend_level", status="retired")
    write_files(settings, project)
    assert stale_files(settings, project) == [
        "person tag spend_level: it is retired; publish it again, or take it out of "
        "models/serving/audiences/audience_a.sql"
    ]


def test_one_more_source_changes_its_dbt_source_and_the_observations(settings, project):
    declare_source(settings, "shop")
    assert write_files(settings, project) == [
        Path("models/identity_mapping/identity_observations.sql"),
        Path("models/staging/shop/_shop__sources.yml"),
    ]


def test_what_nothing_stands_behind_is_removed_and_nothing_else(settings, project):
    declare_source(settings, "shop")
    write_files(settings, project)
    staging = project / "models" / "staging" / "shop" / "stg_shop__customers.sql"
    staging.write_text("select 1\n", encoding="utf-8")
    (settings.sources / "shop.yml").unlink()
    for file in (project / "models" / "tag_category" / "person" / "value").iterdir():
        file.unlink()
    orphans = {
        Path("models/staging/shop/_shop__sources.yml"),
        TABLES / "person" / "person_tags_value.sql",
        TABLES / "person" / "person_tags_value.yml",
    }
    problems = stale_files(settings, project)
    assert {f"{path}: nothing stands behind it any more; run `make tags`" for path in orphans} <= set(problems)
    assert not [problem for problem in problems if "nothing stands behind" in problem and "channel" in problem]
    assert orphans <= set(write_files(settings, project))
    assert not any((project / path).exists() for path in orphans)
    assert staging.exists()
    assert stale_files(settings, project) == []


def test_a_file_changed_by_hand_or_missing_is_named_with_the_cure(settings, project):
    changed, missing = TABLES / "person" / "person_tags.sql", SEED
    (project / changed).write_text("select 1\n", encoding="utf-8")
    (project / missing).unlink()
    assert stale_files(settings, project) == [
        f"{path}: is stale; run `make tags` and commit what it writes" for path in (changed, missing)
    ]
    assert write_files(settings, project) == [changed, missing]


def test_the_schema_lies_beside_the_declarations_and_is_kept_in_step(settings, project):
    schema = settings.sources / "source.schema.json"
    content = schema.read_text(encoding="utf-8")
    schema.write_text("{}", encoding="utf-8")
    assert stale_files(settings, project) == [f"{SCHEMA}: is stale; run `make tags` and commit what it writes"]
    assert write_files(settings, project) == [SCHEMA]
    assert schema.read_text(encoding="utf-8") == content


def test_nothing_is_written_from_wrong_declarations(settings, project):
    before = {path: path.read_bytes() for path in project.rglob("*.*")}
    (settings.sources / "crm.yml").write_text("name: crm\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"crm\.yml: "):
        write_files(settings, project)
    declare_source(settings, "crm")
    twin = write_twin(project, "value", "spend", "spend_level", status="proposed")
    with pytest.raises(TagError, match=r"tag_value__spend.*status"):
        write_files(settings, project)
    before[twin] = twin.read_bytes()
    assert {path: path.read_bytes() for path in project.rglob("*.*")} == before
