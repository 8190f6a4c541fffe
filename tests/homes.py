"""Homes that are made once in a session of tests, by whichever process needs them first, and copied by the others."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from tagloom import layer_state
from tagloom.landing.land import land_source
from tagloom.publish import publish
from tagloom.settings import Settings, load_settings
from tagloom.sources import load_sources
from tagloom.transform import LAYERS, run_dbt
from tagloom.warehouse import open_warehouse

from sample_data.landing import write_landing
from sample_data.small import small_world
from tests.parsed_once import session_folder, share_parsing

KEY = "a-key-that-only-the-tests-use-0123456789"

DAY = date(2017, 1, 11)
"""Last local day of the small world."""

FIRST_DELIVERY, NEXT_DELIVERY = date(2017, 1, 2), date(2017, 1, 13)
"""First UTC day of the small world's files, and the one after the last."""


@contextmanager
def environment_of(home: Path) -> Iterator[None]:
    """The environment of a home and nothing else of Tagloom's, for code that reads it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TAGLOOM_")]:
            patch.delenv(name)
        patch.setenv("TAGLOOM_HOME", str(home))
        patch.setenv("TAGLOOM_IDENTITY_KEY", KEY)
        yield


def settings_of(home: Path) -> Settings:
    """Settings of a home, whatever the environment says."""
    with environment_of(home):
        return replace(load_settings(), threads=2)


def copy_home(home: Path, target: Path) -> Settings:
    """Copy a home; returns the settings of the copy."""
    shutil.copytree(home, target)
    return settings_of(target)


def build_everything(settings: Settings, day: date) -> None:
    """What build_tags does, in one go and without its tests and checks."""
    with open_warehouse(settings) as connection:
        fingerprint = layer_state.inputs_fingerprint(connection, settings, day)
        for layer in LAYERS:
            layer_state.begin(connection, layer)
    run_dbt(settings, ["build", "--exclude-resource-type", "unit_test", "test"], day)
    finish_build(settings, fingerprint, day)


def finish_build(settings: Settings, fingerprint: str, day: date) -> None:
    """Note that every layer is built."""
    with open_warehouse(settings) as connection:
        for layer in LAYERS:
            layer_state.finish(connection, layer, fingerprint, day)


def landed_small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which all deliveries of the small world have landed; for copies only."""

    def land(home: Path) -> None:
        settings = settings_of(home)
        with environment_of(home):
            settings.make_folders()
            sources = load_sources(settings.sources)
            write_landing(small_world(), settings.landing, sources)
            with open_warehouse(settings) as connection:
                for source in sources:
                    land_source(connection, settings, source, FIRST_DELIVERY, NEXT_DELIVERY, "test")

    return made_once(session_folder(tmp_path_factory.getbasetemp()) / "landed", land)


def built_small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, built and published as of DAY; for copies only."""
    share_parsing()
    landed = landed_small_home(tmp_path_factory)

    def build(home: Path) -> None:
        settings = copy_home(landed, home)
        with environment_of(home):
            build_everything(settings, DAY)
            publish(settings, DAY)

    return made_once(session_folder(tmp_path_factory.getbasetemp()) / "built", build)


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, which `make` has filled; who comes while another process does it waits until it is done."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = folder.with_name(f"{folder.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            make(draft)
            draft.rename(folder)
    return folder
