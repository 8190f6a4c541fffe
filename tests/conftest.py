"""Fixtures that every test may use; each test gets its own empty home."""

from __future__ import annotations

from pathlib import Path

import pytest
from tagloom.settings import Settings, load_settings

OWN_HOMES = ("test_identity.py", "test_tenth_source.py")
"""Files of tests/pipeline that do not share the homes in which the DAGs run."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests of a file in one process, and those that share DAG runs; the longest come first.

    So no process has to begin with a long one when the other is done.
    """
    tests = Path(__file__).parent
    groups = {}
    for item in items:
        file = item.path.relative_to(tests)
        shares_runs = file.parts[0] == "pipeline" and file.name not in OWN_HOMES
        groups[item] = "pipeline" if shares_runs else str(file)
        item.add_marker(pytest.mark.xdist_group(groups[item]))
    slow = {groups[item] for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (groups[item] != "pipeline", groups[item] not in slow))


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
