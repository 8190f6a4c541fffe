"""Saved audiences as YAML files, so that they can be kept in git, reviewed and brought to another installation.

One file per audience, in folders like those of the library. Audiences inside others are named by folder and name, not
by their number, which another installation would not know. What stands in the portal alone, such as runs, stays there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from tagloom.audiences import export_book, library
from tagloom.audiences.library import AudienceError, SavedAudience
from tagloom.audiences.rules import RuleError, parse
from tagloom.portal.store.audiences import SCHEDULES, TARGETS, Export
from tagloom.portal.store.base import now
from tagloom.yaml_files import YamlFiles, slug

KEYS = {"audience": str, "folder": str, "owner": str, "description": str, "definition": dict, "exports": list}
EXPORT_KEYS = ("name", "target", "columns", "schedule", "config", "owner", "active")

REFERENCE = "audience:"


class AudienceFileError(AudienceError):
    """A file cannot be read as an audience; the message names the file and the key."""


FILES = YamlFiles("audience", AudienceFileError)


@dataclass(frozen=True)
class Imported:
    """What became of one file."""

    file: Path
    audience: SavedAudience
    state: str
    """new, changed or unchanged."""


def export_yaml(store: Session, folder: Path) -> list[Path]:
    """Write every audience into a file below `folder` and remove those of audiences that are gone.

    Returns what was written or removed; files that say the same already stay as they are.
    """
    audiences = library.list_audiences(store)
    paths = {audience.id: audience.path for audience in audiences}
    files: dict[Path, dict[str, Any]] = {}
    for audience in audiences:
        name = slug(audience.name, "audience")
        file = folder / audience.folder / f"{name}.yml"
        if file in files:
            file = file.with_name(f"{name}-{audience.id}.yml")
        files[file] = _content(audience, export_book.exports_of(store, audience.id), paths)
    return FILES.write(folder, files)


def import_yaml(store: Session, folder: Path, by: str) -> list[Imported]:
    """Save every audience of the files below `folder`, those inside others first; what is not there stays.

    Raises AudienceFileError, which names the file, when one cannot be saved; the caller then commits nothing.
    """
    waiting = {file: _checked(file) for file in sorted(folder.rglob("*.yml"))}
    if not waiting:
        raise AudienceFileError(f"{folder}: holds no audience; `audiences export-yaml` writes one file for each.")
    known = {audience.path: audience for audience in library.list_audiences(store)}
    done = []
    while waiting:
        paths = {_path(content) for content in waiting.values()}
        ready = [file for file, content in waiting.items() if not (_references(content["definition"]) & paths)]
        if not ready:
            raise AudienceFileError(
                f"{min(waiting)}: audiences contain each other in a circle: {', '.join(sorted(paths))}"
            )
        for file in ready:
            imported = _import(store, file, waiting.pop(file), known, by)
            known[imported.audience.path] = imported.audience
            done.append(imported)
    return done


def _import(store: Session, file: Path, content: dict[str, Any], known: dict[str, SavedAudience], by: str) -> Imported:
    before = known.get(_path(content))
    ids = {path: audience.id for path, audience in known.items()}

    def number(path: str) -> str:
        if path not in ids:
            raise AudienceFileError(
                f"{file}: definition: there is no audience {path}; add its file, or correct the name."
            )
        return str(ids[path])

    try:
        definition = parse(_with_references(content["definition"], number))
        saved = library.save(
            store,
            definition,
            content["audience"],
            by=by,
            folder=content.get("folder", ""),
            owner=content.get("owner"),
            description=content.get("description", ""),
            note=f"From {file.name}",
            audience_id=before.id if before else None,
        )
        changed = _import_exports(store, saved, content.get("exports", []), by)
    except (AudienceError, RuleError) as error:
        raise error if isinstance(error, AudienceFileError) else AudienceFileError(f"{file}: {error}") from error
    if before is None:
        return Imported(file, saved, "new")
    same = (saved.number, saved.description, saved.owner) == (before.number, before.description, before.owner)
    return Imported(file, saved, "unchanged" if same and not changed else "changed")


def _import_exports(store: Session, audience: SavedAudience, given: list[dict[str, Any]], by: str) -> bool:
    """Save the exports of a file; whether the owner may see personal data is kept, never taken from a file."""
    there = {export.name: export for export in export_book.exports_of(store, audience.id)}
    changed = False
    for said in given:
        row = there.get(said["name"])
        sees_personal = bool(row and row.config.get("sees_personal"))
        config = export_book.ExportConfig.model_validate(said.get("config", {}) | {"sees_personal": sees_personal})
        wanted = {
            "target": said["target"],
            "columns": list(said.get("columns", [])),
            "schedule": said["schedule"],
            "config": config.model_dump(),
            "owner": said.get("owner") or by,
            "active": said.get("active", True),
        }
        if row is None:
            name = library.clean_name(said["name"])
            store.add(Export(audience_id=audience.id, name=name, created_at=now(), **wanted))
            changed = True
        elif any(getattr(row, key) != value for key, value in wanted.items()):
            for key, value in wanted.items():
                setattr(row, key, value)
            changed = True
    store.flush()
    return changed


def _content(audience: SavedAudience, exports: list[Export], paths: dict[int, str]) -> dict[str, Any]:
    content: dict[str, Any] = {"audience": audience.name}
    if audience.folder:
        content["folder"] = audience.folder
    content["owner"] = audience.owner
    if audience.description:
        content["description"] = audience.description
    content["definition"] = _with_references(audience.definition.as_json(), lambda number: paths[int(number)])
    if exports:
        content["exports"] = [
            {
                "name": export.name,
                "target": export.target,
                "columns": export.columns,
                "schedule": export.schedule,
                "config": {
                    key: value
                    for key, value in export_book.config_of(export).model_dump(exclude_defaults=True).items()
                    if key != "sees_personal"
                },
                "owner": export.owner,
                "active": export.active,
            }
            for export in exports
        ]
    return content


def _with_references(definition: Any, renamed: Callable[[str], str]) -> Any:
    """A definition whose `audience:` fields name audiences in another way."""
    if isinstance(definition, list):
        return [_with_references(part, renamed) for part in definition]
    if not isinstance(definition, dict):
        return definition
    return {
        key: REFERENCE + renamed(value.removeprefix(REFERENCE))
        if key == "field" and isinstance(value, str) and value.startswith(REFERENCE)
        else _with_references(value, renamed)
        for key, value in definition.items()
    }


def _references(definition: Any) -> set[str]:
    found: set[str] = set()

    def note(path: str) -> str:
        found.add(path)
        return path

    _with_references(definition, note)
    return found


def _path(content: dict[str, Any]) -> str:
    folder = library.clean_folder(content.get("folder", ""))
    name = library.clean_name(content["audience"])
    return f"{folder}/{name}" if folder else name


def _checked(file: Path) -> dict[str, Any]:
    """The content of a file with keys and kinds as they must be. Raises AudienceFileError that names file and key."""
    content = FILES.read(file)
    FILES.check_keys(file, content, KEYS, ("audience", "definition"))
    FILES.check_kinds(file, content, KEYS)
    for number, export in enumerate(content.get("exports", [])):
        place = f"exports[{number}]."
        if not isinstance(export, dict):
            raise AudienceFileError(f"{file}: exports[{number}]: must have the keys name, target and schedule.")
        FILES.check_keys(file, export, EXPORT_KEYS, ("name", "target", "schedule"), place)
        for key, allowed in (("target", TARGETS), ("schedule", SCHEDULES)):
            if export[key] not in allowed:
                raise AudienceFileError(f"{file}: {place}{key}: {export[key]!r} is not one of {', '.join(allowed)}.")
        try:
            export_book.ExportConfig.model_validate(export.get("config", {}))
        except ValueError as error:
            raise AudienceFileError(f"{file}: {place}config: {' '.join(str(error).split())}") from error
    return content
