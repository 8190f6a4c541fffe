"""What is in static/ was built from frontend/ as it is, and says whose code it holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tagloom.portal.rendering import BUILT, PORTAL, STATIC

FRONTEND = PORTAL / "frontend"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _source_hash() -> str:
    """The hash of everything that decides what is built, as frontend/build.mjs computes it."""
    files = [path for path in (FRONTEND / "src").rglob("*") if path.is_file()]
    files += [FRONTEND / "build.mjs", FRONTEND / "package-lock.json"]
    named = sorted((path.relative_to(FRONTEND).as_posix(), path) for path in files)
    return _hash("".join(f"{name} {_hash(path.read_bytes())}\n" for name, path in named).encode())


@pytest.fixture(scope="module")
def built() -> dict:
    return json.loads(BUILT.read_text(encoding="utf-8"))


def test_the_built_files_are_those_of_the_sources(built: dict) -> None:
    assert built["source"] == _source_hash(), "frontend/src changed: run `make frontend` and commit static/ too"


def test_no_built_file_was_changed_by_hand_or_forgotten(built: dict) -> None:
    found = {path.name: _hash(path.read_bytes()) for path in STATIC.iterdir() if path != BUILT}

    assert found == built["files"]


def test_every_bundled_package_is_named_with_its_licence(built: dict) -> None:
    licences = (STATIC / "licences.txt").read_text(encoding="utf-8")
    lock = json.loads((FRONTEND / "package-lock.json").read_text(encoding="utf-8"))["packages"]

    assert {"echarts", "react", "react-dom", "react-querybuilder"} <= set(built["packages"])
    for name in built["packages"]:
        versions = {about["version"] for place, about in lock.items() if place.endswith(f"node_modules/{name}")}
        named = [version for version in versions if f"\n{name} {version} (" in licences]
        assert named, f"licences.txt says nothing of {name} {versions}"


def test_the_lock_names_no_host() -> None:
    assert "resolved" not in (FRONTEND / "package-lock.json").read_text(encoding="utf-8")


def test_the_icons_do_nothing() -> None:
    for icon in sorted(STATIC.glob("*.svg")):
        assert "script" not in icon.read_text(encoding="utf-8").lower()


def test_nothing_that_is_built_asks_another_host() -> None:
    for file in sorted(STATIC.glob("*.css")):
        assert "url(http" not in file.read_text(encoding="utf-8"), file.name


def test_templates_hold_no_inline_script() -> None:
    import re

    wrong = []
    for template in sorted((PORTAL / "templates").rglob("*.html")):
        text = Path(template).read_text(encoding="utf-8")
        for tag in re.findall(r"<script\b[^>]*>", text):
            if "src=" not in tag and 'type="application/json"' not in tag:
                wrong.append(f"{template.name}: {tag}")
        wrong += [
            f"{template.name}: {found}" for found in re.findall(r"\son(?:click|change|submit|input|load)\s*=", text)
        ]

    assert wrong == []
