"""Dashboards as YAML files: there and back, into another installation, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from sqlalchemy.orm import Session
from tagloom.__main__ import main
from tagloom.audiences import library
from tagloom.portal.dashboard_files import DashboardFileError, export_yaml, import_yaml
from tagloom.portal.serving import Serving
from tagloom.portal.store import audit, charts
from tagloom.portal.store.base import Store, open_store
from tagloom.settings import Settings

from tests.portal.test_tags_pages import charts_of

SEGMENTS = {"figure": "segments", "tag": "rfm_segment", "target": 300.0}
CROSS = {"figure": "cross", "rows": "rfm_segment", "columns": "lifecycle_stage", "measure": "lift"}
FLOW = {"figure": "flow", "tag": "lifecycle_stage", "days": ["2017-11-30", "2017-12-31"]}


def an_audience(store: Session, name: str, folder: str = "") -> library.SavedAudience:
    rule = {"combinator": "and", "rules": [{"field": "tag:has_app", "operator": "=", "value": True}]}
    return library.save(store, {"schema": 1, "rule": rule, "suppression": False}, name, by="ana", folder=folder)


def a_store(path: Path) -> Store:
    return Store(f"sqlite:///{path}")


@pytest.fixture
def store(tmp_path: Path):
    """Two dashboards; one counts an audience and one value of a tag."""
    with a_store(tmp_path / "one.sqlite").session() as session:
        apps = an_audience(session, "Apps", "spring")
        review = charts.create_dashboard(session, "Quarterly review", "ana", "For the board")
        charts.add_chart(session, review.id, SEGMENTS, f"audience:{apps.id}", "Who is who", "ana")
        charts.add_chart(session, review.id, CROSS, "tag:has_app=true", "", "ben")
        charts.add_chart(session, charts.create_dashboard(session, "客户", "ben").id, FLOW, "", "", "ben")
        session.commit()
        yield session


@pytest.fixture
def other(tmp_path: Path):
    """The store of another installation, where the audience has another number."""
    with a_store(tmp_path / "other.sqlite").session() as session:
        an_audience(session, "Was here before")
        an_audience(session, "Apps", "spring")
        charts.create_dashboard(session, "Was here before", "zoe")
        session.commit()
        yield session


def said(store: Session) -> dict[str, list[tuple]]:
    """Every dashboard with what its charts say; audiences by name."""
    paths = {f"audience:{audience.id}": audience.path for audience in library.list_audiences(store)}
    return {
        dashboard.name: [
            (chart.title, chart.definition, paths.get(chart.filter, chart.filter))
            for chart in charts.charts_of(store, dashboard.id)
        ]
        for dashboard in charts.dashboards(store)
    }


def rewrite(file: Path, **changes: object) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8")) | changes
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def test_there_and_back_changes_nothing(store: Session, tmp_path: Path) -> None:
    git = tmp_path / "git"
    assert sorted(file.name for file in export_yaml(store, git)) == ["quarterly-review.yml", "客户.yml"]
    before = [(chart.id, chart.place) for chart in store.query(charts.SavedChart)]
    assert [done.state for done in import_yaml(store, git, "cli")] == ["unchanged", "unchanged"]
    assert [(chart.id, chart.place) for chart in store.query(charts.SavedChart)] == before
    assert store.query(audit.AuditEntry).count() == 0
    assert export_yaml(store, git) == []


def test_a_file_reads_well(store: Session, tmp_path: Path) -> None:
    export_yaml(store, tmp_path)
    assert yaml.safe_load((tmp_path / "quarterly-review.yml").read_text(encoding="utf-8")) == {
        "dashboard": "Quarterly review",
        "owner": "ana",
        "description": "For the board",
        "charts": [
            {"title": "Who is who", "definition": SEGMENTS, "filter": "audience:spring/Apps"},
            {"definition": CROSS, "filter": "tag:has_app=true"},
        ],
    }


def test_another_installation_gets_the_same(store: Session, other: Session, tmp_path: Path) -> None:
    export_yaml(store, tmp_path / "git")
    assert {done.state for done in import_yaml(other, tmp_path / "git", "cli")} == {"new"}
    assert said(other) == said(store) | {"Was here before": []}
    (here,), (there,) = (
        [chart.filter for chart in one.query(charts.SavedChart) if chart.title == "Who is who"]
        for one in (store, other)
    )
    assert here != there, "the audience has another number there"
    review = next(one for one in charts.dashboards(other) if one.name == "Quarterly review")
    assert (review.owner, review.description) == ("ana", "For the board")
    deeds = {(entry.user_name, entry.action) for entry in other.query(audit.AuditEntry)}
    assert deeds == {("cli", "dashboard created")}


def test_charts_become_what_the_file_says_and_those_that_stay_keep_who_made_them(
    store: Session, tmp_path: Path
) -> None:
    export_yaml(store, tmp_path)
    file = tmp_path / "quarterly-review.yml"
    old = yaml.safe_load(file.read_text(encoding="utf-8"))["charts"]
    rewrite(file, charts=[{"definition": FLOW}, old[1]], description="For everybody")
    states = {done.name: done.state for done in import_yaml(store, tmp_path, "cli")}
    assert states == {"Quarterly review": "changed", "客户": "unchanged"}
    [review] = [one for one in charts.dashboards(store) if one.name == "Quarterly review"]
    there = charts.charts_of(store, review.id)
    assert [(chart.definition["figure"], chart.created_by) for chart in there] == [("flow", "cli"), ("cross", "ben")]
    assert review.description == "For everybody"
    assert {done.state for done in import_yaml(store, tmp_path, "cli")} == {"unchanged"}


def test_a_deleted_dashboard_goes_and_files_of_others_stay(store: Session, tmp_path: Path) -> None:
    export_yaml(store, tmp_path)
    (tmp_path / "notes.yml").write_text("mine: true\n", encoding="utf-8")
    [review] = [one for one in charts.dashboards(store) if one.name == "Quarterly review"]
    charts.delete_dashboard(store, review.id)
    assert export_yaml(store, tmp_path) == [tmp_path / "quarterly-review.yml"]
    assert sorted(file.name for file in tmp_path.glob("*.yml")) == ["notes.yml", "客户.yml"]


def test_a_file_of_something_else_is_not_overwritten(store: Session, tmp_path: Path) -> None:
    (tmp_path / "quarterly-review.yml").write_text("audience: Quarterly review\n", encoding="utf-8")
    with pytest.raises(DashboardFileError, match=r"quarterly-review.yml: dashboard: is missing, so the file is"):
        export_yaml(store, tmp_path)
    assert not (tmp_path / "客户.yml").exists(), "half of the files were written"


def test_names_that_make_the_same_file_and_long_ones_get_files_of_their_own(store: Session, tmp_path: Path) -> None:
    charts.create_dashboard(store, "Quarterly review!", "ana")
    charts.create_dashboard(store, "客" * 120, "ana")
    assert len(export_yaml(store, tmp_path)) == 4
    assert len({done.name for done in import_yaml(store, tmp_path, "cli")}) == 4


def test_a_chart_of_a_deleted_audience_cannot_be_written(store: Session, tmp_path: Path) -> None:
    library.delete(store, library.list_audiences(store)[0].id)
    with pytest.raises(DashboardFileError, match="Dashboard Quarterly review, chart 1: its filter is an audience that"):
        export_yaml(store, tmp_path / "git")
    assert not (tmp_path / "git").exists()


def chart(**changes: object) -> dict:
    return {"charts": [{"definition": SEGMENTS} | changes]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dashboard": None}, "dashboard: must be a text"),
        ({"dashboard": " "}, "needs a name"),
        ({"colour": "blue"}, "colour: is no key; keys are charts, dashboard"),
        ({"charts": {}}, "charts: must be a list"),
        ({"charts": ["x"]}, r"charts\[0\]: must have the key definition"),
        ({"charts": [{"title": "x"}]}, r"charts\[0\].definition: is missing"),
        ({"charts": [{"definition": SEGMENTS}] * 25}, "at most 24 charts, not 25"),
        (chart(title="x" * 161), r"charts\[0\].title: has more than 160"),
        (chart(filter="audience:spring/Nowhere"), r"charts\[0\].filter: there is no audience spring/Nowhere; bring it"),
        (chart(filter="tag:has_app"), r"charts\[0\].filter: 'tag:has_app' is none; write"),
        (chart(definition={"figure": "pie"}), r"charts\[0\].definition.figure: 'pie' is not one of rfm"),
        (chart(definition=SEGMENTS | {"days": []}), r"charts\[0\].definition.days: is no key"),
        (chart(definition=SEGMENTS | {"tag": 3}), r"charts\[0\].definition.tag: must be a text"),
        (chart(definition=SEGMENTS | {"target": "high"}), r"charts\[0\].definition.target: must be a number"),
        (chart(definition=FLOW | {"days": [20171231]}), r"charts\[0\].definition.days: must be a list of days"),
        ({"description": "x" * 2001}, "description: has more than 2,000"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(store: Session, tmp_path: Path, change: dict, sentence: str) -> None:
    content = {"dashboard": "Bad", "charts": []} | change
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(DashboardFileError, match=sentence) as refused:
        import_yaml(store, tmp_path, "cli")
    assert "bad.yml: " in str(refused.value)


def test_no_yaml_and_one_name_twice(store: Session, tmp_path: Path) -> None:
    with pytest.raises(DashboardFileError, match="holds no dashboard"):
        import_yaml(store, tmp_path, "cli")
    for name in ("a", "b"):
        (tmp_path / f"{name}.yml").write_text("dashboard: Same\n", encoding="utf-8")
    with pytest.raises(DashboardFileError, match=r"b.yml: dashboard: .*a.yml has the same name"):
        import_yaml(store, tmp_path, "cli")
    (tmp_path / "a.yml").write_text("a: [", encoding="utf-8")
    with pytest.raises(DashboardFileError, match=r"a.yml: is not readable as YAML"):
        import_yaml(store, tmp_path, "cli")


@pytest.fixture
def commands(world: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The command line works on the world, with a store of its own."""
    monkeypatch.setenv("TAGLOOM_HOME", str(world.home))
    monkeypatch.setenv("TAGLOOM_PORTAL_DATABASE", f"sqlite:///{tmp_path / 'portal.sqlite'}")
    return world


def test_the_command_line_and_the_page(client_as, commands: Settings, tmp_path: Path, capsys) -> None:
    git = tmp_path / "git"
    git.mkdir()
    content = {"dashboard": "Review", "charts": [{"title": "Ours", "definition": SEGMENTS}, {"definition": CROSS}]}
    (git / "review.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert main(["portal", "import-yaml", str(git), "--by", "cli"]) == 0
    assert capsys.readouterr().out == "new Review, 2 charts\n"
    page = client_as("analyst").get("/dashboards/1").text
    assert "Ours" in page
    assert len(charts_of(page)) == 2
    assert main(["portal", "export-yaml", str(git)]) == 0
    assert capsys.readouterr().out == f"wrote {git / 'review.yml'}\n"
    assert main(["portal", "export-yaml", str(git)]) == 0
    assert capsys.readouterr().out == "every file is up to date\n"
    assert main(["portal", "import-yaml", str(git)]) == 0
    assert capsys.readouterr().out == "unchanged Review, 2 charts\n"


def test_nothing_is_imported_when_one_chart_does_not_fit_the_published_version(
    commands: Settings, tmp_path: Path, capsys
) -> None:
    bad = [
        {"definition": {"figure": "trend", "tag": "no_such_tag"}},
        {"definition": {"figure": "cohorts", "event": "no_such_event"}},
        {"definition": SEGMENTS, "filter": "tag:lifecycle_stage=no_such_value"},
        {"definition": SEGMENTS, "filter": "tag:no_such_filter=1"},
    ]
    for name, shown in (("a-good", [{"definition": CROSS}]), ("bad", bad)):
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump({"dashboard": name, "charts": shown}), encoding="utf-8")
    assert main(["portal", "import-yaml", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    file = tmp_path / "bad.yml"
    assert lines == [
        f"{file}: charts[0].definition.tag: there is no tag no_such_tag.",
        f"{file}: charts[1].definition.event: there is no event no_such_event.",
        f"{file}: charts[2].filter: lifecycle_stage has no value 'no_such_value'.",
        f"{file}: charts[3].filter: there is no tag no_such_filter.",
    ]
    with open_store(commands).session() as session:
        assert charts.dashboards(session) == []


def test_every_figure_that_the_portal_keeps_can_be_written(world: Settings, store: Session, tmp_path: Path) -> None:
    from tagloom.portal.dashboard_files import check_version
    from tagloom.portal.figures import FIGURES

    assert set(charts.KEPT) == set(FIGURES)
    every = charts.create_dashboard(store, "Every figure", "ana")
    for figure in charts.KEPT:
        charts.add_chart(store, every.id, {"figure": figure}, "", "", "ana")
    export_yaml(store, tmp_path)
    imported = import_yaml(store, tmp_path, "cli")
    assert {done.state for done in imported} == {"unchanged"}
    check_version(Serving(world).snapshot(), imported)


@pytest.mark.parametrize(
    ("words", "serves"),
    [([], True), (["--port", "9000"], True), (["export-yaml", "x"], False), (["import-yaml", "x"], False)],
)
def test_without_an_action_the_portal_is_served(words: list[str], serves: bool) -> None:
    from tagloom.__main__ import _parser
    from tagloom.portal import portal_commands

    options = _parser().parse_args(["portal", *words])
    assert (options.function is portal_commands._serve) is serves
