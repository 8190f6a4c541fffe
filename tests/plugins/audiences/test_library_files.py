"""Audiences as YAML files: there and back, into another installation, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from sqlalchemy.orm import Session
from tagloom.__main__ import main
from tagloom.audiences import export_book, library
from tagloom.audiences.library_files import AudienceFileError, export_yaml, import_yaml
from tagloom.portal.store.audiences import Export
from tagloom.portal.store.base import Store, now, open_store
from tagloom.settings import Settings

from tests.plugins.audiences.conftest import a_definition, has


@pytest.fixture
def saved(store: Session) -> None:
    """Three audiences: one inside another, one with exports, one with a Chinese name."""
    inner = library.save(store, a_definition(has("has_app")), "Apps", by="ana", folder="spring", description="Phones")
    inside = {"field": f"audience:{inner.id}", "operator": "in"}
    library.save(store, a_definition(inside, has("is_staff"), holdout_percent=10), "Outer", by="ben")
    library.save(store, a_definition(), "全部 客户", by="ana", folder="spring")
    store.add(
        Export(
            audience_id=inner.id,
            name="Weekly",
            target="csv",
            columns=["rfm_segment"],
            schedule="weekly",
            config=export_book.ExportConfig(channel="email", sees_personal=True).model_dump(),
            owner="mia",
            created_at=now(),
        )
    )
    store.commit()


@pytest.fixture
def other(tmp_path: Path):
    """The store of another installation, where numbers are others."""
    other = Store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    with other.session() as session:
        library.save(session, a_definition(), "Was here before", by="zoe")
        yield session


def test_there_and_back_changes_nothing(store: Session, saved: None, tmp_path: Path) -> None:
    written = export_yaml(store, tmp_path / "git")
    assert sorted(str(file.relative_to(tmp_path / "git")) for file in written) == [
        "outer.yml",
        "spring/apps.yml",
        "spring/全部-客户.yml",
    ]
    before = library.list_audiences(store)
    assert {done.state for done in import_yaml(store, tmp_path / "git", "cli")} == {"unchanged"}
    assert library.list_audiences(store) == before
    assert export_yaml(store, tmp_path / "git") == []


def test_a_file_reads_well(store: Session, saved: None, tmp_path: Path) -> None:
    export_yaml(store, tmp_path)
    outer = yaml.safe_load((tmp_path / "outer.yml").read_text(encoding="utf-8"))
    apps = yaml.safe_load((tmp_path / "spring" / "apps.yml").read_text(encoding="utf-8"))
    assert outer["definition"]["rule"]["rules"][0]["field"] == "audience:spring/Apps"
    assert apps["exports"] == [
        {
            "name": "Weekly",
            "target": "csv",
            "columns": ["rfm_segment"],
            "schedule": "weekly",
            "config": {"channel": "email"},
            "owner": "mia",
            "active": True,
        }
    ]


def test_another_installation_gets_the_same(store: Session, other: Session, saved: None, tmp_path: Path) -> None:
    export_yaml(store, tmp_path / "git")
    done = import_yaml(other, tmp_path / "git", "cli")
    assert [item.state for item in done] == ["new", "new", "new"]
    imported = {audience.path: audience for audience in library.list_audiences(other)}
    original = {audience.path: audience for audience in library.list_audiences(store)}
    assert set(imported) == {*original, "Was here before"}
    inner = imported["spring/Apps"].id
    assert imported["Outer"].definition.rule.rules[0].field == f"audience:{inner}"
    assert imported["Outer"].definition.seed == original["Outer"].definition.seed, "nobody changes sides"
    (export,) = export_book.exports_of(other, inner)
    assert (export.owner, export.config["channel"]) == ("mia", "email")
    assert export.config["sees_personal"] is False, "a file gives nobody a right"


def test_a_changed_file_makes_a_version_and_a_deleted_audience_goes(
    store: Session, saved: None, tmp_path: Path
) -> None:
    export_yaml(store, tmp_path)
    file = tmp_path / "outer.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["definition"]["holdout_percent"] = 20
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    states = {done.audience.path: done.state for done in import_yaml(store, tmp_path, "cli")}
    assert states == {"Outer": "changed", "spring/Apps": "unchanged", "spring/全部 客户": "unchanged"}
    outer = next(audience for audience in library.list_audiences(store) if audience.path == "Outer")
    assert (outer.number, outer.changed_by, outer.note) == (2, "cli", "From outer.yml")
    library.delete(store, outer.id)
    (tmp_path / "notes.yml").write_text("mine: true\n", encoding="utf-8")
    assert export_yaml(store, tmp_path) == [file]
    assert not file.exists()
    assert (tmp_path / "notes.yml").exists(), "files of others are left alone"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"audience": None}, "audience: must be a text"),
        ({"colour": "blue"}, "colour: is no key; keys are audience"),
        ({"definition": None}, "definition: must be a mapping"),
        ({"definition": {"schema": 2}}, "schema"),
        ({"definition": {"rule": {"rules": [{"field": "audience:Nowhere", "operator": "in"}]}}}, "no audience Nowhere"),
        ({"definition": {"rule": {"rules": [{"field": "audience:Bad", "operator": "in"}]}}}, "in a circle: Bad"),
        ({"exports": [{"name": "x"}]}, r"exports\[0\].target: is missing"),
        ({"exports": [{"name": "x", "target": "ftp", "schedule": "once"}]}, "'ftp' is not one of csv"),
        ({"exports": [{"name": "x", "target": "csv", "schedule": "once", "config": {"a": 1}}]}, "config: "),
        ({"folder": "../.."}, "is no folder"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(store: Session, tmp_path: Path, change: dict, sentence: str) -> None:
    content = {"audience": "Bad", "definition": {"schema": 1, "rule": {"combinator": "and", "rules": []}}} | change
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises((AudienceFileError, library.AudienceError), match=sentence) as refused:
        import_yaml(store, tmp_path, "cli")
    assert "bad.yml" in str(refused.value) or "folder" in str(refused.value)


def test_no_yaml(store: Session, tmp_path: Path) -> None:
    with pytest.raises(AudienceFileError, match="holds no audience"):
        import_yaml(store, tmp_path, "cli")
    (tmp_path / "bad.yml").write_text("a: [", encoding="utf-8")
    with pytest.raises(AudienceFileError, match=r"bad.yml: is not readable as YAML"):
        import_yaml(store, tmp_path, "cli")


def test_the_command_line(home: Settings, store: Session, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["audiences", "list"]) == 0
    assert "No audience is saved yet" in capsys.readouterr().out
    content = {"audience": "Apps", "definition": a_definition(has("has_app"))}
    content["exports"] = [{"name": "File", "target": "csv", "schedule": "each_publish", "columns": ["state"]}]
    (tmp_path / "apps.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert main(["audiences", "import-yaml", str(tmp_path), "--by", "cli"]) == 0
    assert capsys.readouterr().out == "new Apps\n"
    assert main(["audiences", "run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Apps: ")
    assert said[1].startswith("export 1: sent, ")
    assert main(["audiences", "list"]) == 0
    assert "File (csv)" in capsys.readouterr().out
    assert main(["audiences", "export-yaml", str(tmp_path)]) == 0
    assert "wrote" in capsys.readouterr().out


def test_nothing_is_imported_when_one_file_does_not_fit_the_published_version(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, tag in (("good", "has_app"), ("bad", "no_such_tag")):
        content = {"audience": name, "definition": a_definition(has(tag))}
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert main(["audiences", "import-yaml", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "bad.yml: definition: rule.rules[0].field: there is no tag no_such_tag" in said
    with open_store(home).session() as session:
        assert library.list_audiences(session) == []
