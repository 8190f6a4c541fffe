"""Fixtures that every test may use; each test gets its own empty home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tagloom.settings import PROJECT, Settings, load_settings

from tests.parsed_once import PROJECT_VARIABLE, VARIABLE, session_folder

OWN_HOMES = (
    "test_breakages.py",
    "test_clean_days.py",
    "test_identity.py",
    "test_mail_server_down.py",
    "test_tenth_source.py",
)
"""Files of tests/pipeline that do not share the homes in which the DAGs run."""


LONGEST = (
    "pipeline",
    "plugins/test_microbatch.py",
    "pipeline/test_breakages.py",
    "plugins/test_day_build.py",
    "pipeline/test_clean_days.py",
    "pipeline/test_identity.py",
    "pipeline/test_mail_server_down.py",
    "pipeline/test_tenth_source.py",
    "plugins/test_service.py",
    "plugins/identity/test_identity_commands.py",
    "plugins/test_past_days.py",
)
"""Groups that take a minute and more, those first that take longest; homes that one makes for others are then made."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep tests of a file in one process, and those that share DAG runs."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(Path(nodeid.partition("::")[0]).relative_to("tests"))

    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that no process is left with one when the others are done."""
    groups = {item: _group(item.path.relative_to(Path(__file__).parent)) for item in items}
    slow = {groups[item] for item in items if item.get_closest_marker("slow")}
    ranks = {group: rank for rank, group in enumerate(LONGEST)}
    items.sort(key=lambda item: (ranks.get(groups[item], len(ranks)), groups[item] not in slow))


def _group(file: Path) -> str:
    shares_runs = file.parts[0] == "pipeline" and file.name not in OWN_HOMES
    return "pipeline" if shares_runs else str(file)


@pytest.fixture(scope="session", autouse=True)
def parsed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the processes of this session, and those that they start, keep what dbt has parsed."""
    folder = session_folder(tmp_path_factory.getbasetemp()) / "parsed"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        patch.setenv(PROJECT_VARIABLE, str(PROJECT / "dbt_project"))
        yield


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home of its own and a key, so that no test sees the developer's warehouse."""
    monkeypatch.setenv("TAGLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAGLOOM_IDENTITY_KEY", "a-key-that-only-the-tests-use-0123456789")


@pytest.fixture
def settings() -> Settings:
    """Settings over the test's own home, folders made."""
    settings = load_settings()
    settings.make_folders()
    return settings
