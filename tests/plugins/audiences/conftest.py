"""A published version of made-up persons that the tests of this folder share; each test has a home of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from tagloom.portal.serving import Serving, Snapshot
from tagloom.portal.store.base import open_store
from tagloom.settings import Settings

from tests.portal.world import make_world, publish_world

PERSONS = 1_000


@pytest.fixture(scope="session")
def two_worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of published versions: of the last day of 2017 alone, and with that of other persons made after it."""
    home = tmp_path_factory.mktemp("worlds")
    settings = make_world(home / "home", persons=PERSONS)
    shutil.copytree(settings.published, home / "first")
    publish_world(settings, persons=PERSONS, seed=2)
    return home / "first", settings.published


@pytest.fixture
def home(settings: Settings, two_worlds: tuple[Path, Path]) -> Settings:
    """A home with the first version published."""
    shutil.copytree(two_worlds[0], settings.published, dirs_exist_ok=True)
    return settings


@pytest.fixture
def publish_second(home: Settings, two_worlds: tuple[Path, Path]):
    """Function that publishes the second version."""

    def publish() -> Snapshot:
        shutil.copytree(two_worlds[1], home.published, dirs_exist_ok=True)
        return Serving(home).snapshot()

    return publish


@pytest.fixture
def snapshot(home: Settings) -> Snapshot:
    return Serving(home).snapshot()


@pytest.fixture
def store(settings: Settings) -> Iterator[Session]:
    with open_store(settings).session() as session:
        yield session


def a_definition(*rules: dict, **more: object) -> dict:
    """A definition of all these rules, without suppression unless said."""
    given = {"schema": 1, "rule": {"combinator": "and", "not": False, "rules": list(rules)}, "suppression": False}
    return given | more


def has(tag: str) -> dict:
    """The condition that a boolean tag is true."""
    return {"field": f"tag:{tag}", "operator": "=", "value": True}
