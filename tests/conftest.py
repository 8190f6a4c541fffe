"""Fixtures that every test may use; each test gets its own empty home."""

from __future__ import annotations

from pathlib import Path

import pytest
from tagloom.settings import Settings, load_settings


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
