"""Settings: every one has a default but the key, and a wrong one is named with its cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from tagloom.settings import PROJECT, Settings, SettingsError, identity_key, load_settings

OPTIONAL = (
    "TAGLOOM_LANDING",
    "TAGLOOM_SOURCES",
    "TAGLOOM_TIME_ZONE",
    "TAGLOOM_MEMORY_LIMIT",
    "TAGLOOM_THREADS",
    "TAGLOOM_KEEP_DAYS",
    "TAGLOOM_SMTP_CONNECTION",
    "TAGLOOM_ALERT_RECIPIENTS",
    "TAGLOOM_BASE_URL",
    "TAGLOOM_BUILD_MINUTES",
    "TAGLOOM_RUNBOOK_URL",
)


@pytest.fixture(autouse=True)
def nothing_set(environment, monkeypatch):
    for name in OPTIONAL:
        monkeypatch.delenv(name, raising=False)


def test_everything_has_a_default(monkeypatch):
    monkeypatch.delenv("TAGLOOM_HOME")
    settings = load_settings()
    assert settings.home == PROJECT / ".tagloom"
    assert settings.landing == settings.home / "landing"
    assert settings.sources == PROJECT / "sources"
    assert settings.sources.is_dir()
    assert (settings.time_zone, settings.memory_limit, settings.keep_days) == ("America/New_York", "2GB", 7)
    assert settings.threads >= 1
    assert settings.alert_recipients == ("data-team@example.com",)
    assert settings.base_url == "http://localhost:8080"


@pytest.mark.parametrize("name", [*OPTIONAL, "TAGLOOM_HOME"])
def test_an_empty_variable_counts_as_not_set(monkeypatch, name):
    monkeypatch.delenv(name, raising=False)
    default = load_settings()
    monkeypatch.setenv(name, "")
    assert load_settings() == default


def test_the_environment_decides(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGLOOM_HOME", "elsewhere")
    monkeypatch.setenv("TAGLOOM_LANDING", "../deliveries")
    monkeypatch.setenv("TAGLOOM_THREADS", "3")
    monkeypatch.setenv("TAGLOOM_KEEP_DAYS", "30")
    monkeypatch.setenv("TAGLOOM_ALERT_RECIPIENTS", " a@example.com, ,b@example.com,")
    monkeypatch.setenv("TAGLOOM_BASE_URL", "https://tags.example.com/airflow/")
    settings = load_settings()
    assert settings.home == tmp_path / "elsewhere"
    assert settings.landing == tmp_path.parent / "deliveries"
    assert (settings.threads, settings.keep_days) == (3, 30)
    assert settings.alert_recipients == ("a@example.com", "b@example.com")
    assert settings.base_url == "https://tags.example.com/airflow"


@pytest.mark.parametrize("name", ["TAGLOOM_THREADS", "TAGLOOM_KEEP_DAYS"])
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "²", " 4"])
def test_a_number_that_is_none_is_named(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value) == f"{name} must be a whole number above 0, not {text!r}."


def test_all_that_is_written_lies_in_the_home(settings: Settings):
    settings.make_folders()
    written = [
        settings.warehouse.parent,
        settings.landing,
        settings.published,
        settings.alert_book.parent,
        settings.dbt_target,
        settings.dbt_logs,
        settings.airflow_home,
    ]
    assert all(folder.is_dir() and folder.is_relative_to(settings.home) for folder in written)
    assert not any(Path(PROJECT).is_relative_to(folder) for folder in written)


@pytest.mark.parametrize(
    ("key", "problem"),
    [("", "is not set"), ("short", "has 5 characters, fewer than 32"), ("x" * 31, "has 31 characters")],
)
def test_a_weak_key_is_refused_and_never_shown(monkeypatch, key, problem):
    monkeypatch.setenv("TAGLOOM_IDENTITY_KEY", key)
    with pytest.raises(SettingsError, match=f"^TAGLOOM_IDENTITY_KEY {problem}.*`make setup`") as error:
        identity_key()
    assert not key or key not in str(error.value).replace("`make setup`", "")


def test_the_key_is_its_bytes(monkeypatch):
    monkeypatch.setenv("TAGLOOM_IDENTITY_KEY", "ä" * 32)
    assert identity_key() == ("ä" * 32).encode()


def test_a_build_has_so_many_minutes(monkeypatch):
    assert load_settings().build_minutes == 180
    monkeypatch.setenv("TAGLOOM_BUILD_MINUTES", "0.5")
    assert load_settings().build_minutes == 0.5


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_minutes_are_a_number_above_nothing(monkeypatch, text):
    monkeypatch.setenv("TAGLOOM_BUILD_MINUTES", text)
    with pytest.raises(SettingsError, match="TAGLOOM_BUILD_MINUTES must be a number of minutes above 0"):
        load_settings()


def test_mails_link_to_the_portals_runbook_or_to_another_one(monkeypatch):
    monkeypatch.setenv("TAGLOOM_BASE_URL", "https://tags.example.com/")
    assert load_settings().runbook_url == "https://tags.example.com/tagloom/runbook"
    monkeypatch.setenv("TAGLOOM_RUNBOOK_URL", "https://wiki.example.com/tagloom")
    assert load_settings().runbook_url == "https://wiki.example.com/tagloom"
