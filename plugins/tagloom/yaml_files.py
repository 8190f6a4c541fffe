"""Folders of YAML files that keep saved things in git: written when something changed, read with errors that say where.

What somebody else keeps in such a folder is left alone: a file is of a kind when it has the kind's own key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_KIND = {dict: "mapping", list: "list", str: "text"}


@dataclass(frozen=True)
class YamlFiles:
    """The files of one kind."""

    marker: str
    """Key that every file of the kind has, and no other file."""
    error: type[Exception]
    """What is raised; the message names file and key."""

    def write(self, folder: Path, files: Mapping[Path, Mapping[str, Any]]) -> list[Path]:
        """Write files below `folder` and remove the others of the kind; return what was written or removed.

        Files that say the same already stay as they are. Raises `error`, before anything is written, when a file of
        another kind is in the way, or one there cannot be read.
        """
        there = {file: self.read(file) for file in sorted(folder.rglob("*.yml"))}
        for file in files:
            if file in there and self.marker not in there[file]:
                raise self.error(
                    f"{file}: {self.marker}: is missing, so the file is something else and would be overwritten; "
                    "move it, or choose another folder."
                )
        changed = []
        for file, content in files.items():
            text = yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False, width=120)
            if file not in there or file.read_text(encoding="utf-8") != text:
                file.parent.mkdir(parents=True, exist_ok=True)
                unfinished = file.with_name(f".{file.name}.writing")
                unfinished.write_text(text, encoding="utf-8")
                unfinished.replace(file)
                changed.append(file)
        for file, content in there.items():
            if file not in files and self.marker in content:
                file.unlink()
                changed.append(file)
        return changed

    def read(self, file: Path) -> dict[str, Any]:
        """The content of a file; empty when it is no mapping. Raises `error` when it is no YAML."""
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise self.error(f"{file}: is not readable as YAML: {' '.join(str(error).split())}") from error
        return content if isinstance(content, dict) else {}

    def check_keys(
        self, file: Path, content: Mapping[str, Any], known: Collection[str], needed: Collection[str], place: str = ""
    ) -> None:
        """Raise `error` for a key that is missing or unknown. place: where in the file, as `charts[0].`."""
        for key in needed:
            if key not in content:
                raise self.error(f"{file}: {place}{key}: is missing.")
        for key in content:
            if key not in known:
                raise self.error(f"{file}: {place}{key}: is no key; keys are {', '.join(sorted(known))}.")

    def check_kinds(self, file: Path, content: Mapping[str, Any], kinds: Mapping[str, type], place: str = "") -> None:
        """Raise `error` for a value of another kind than `kinds` says: dict, list or str."""
        for key, kind in kinds.items():
            if key in content and not isinstance(content[key], kind):
                raise self.error(f"{file}: {place}{key}: must be a {_KIND[kind]}.")


def slug(name: str, standard: str) -> str:
    """A name as a file's name, without ending: `Spring Sale!` -> `spring-sale`; `standard` when nothing is left."""
    cleaned = re.sub(r"[^\w]+", "-", name.casefold())
    # File systems allow 255 bytes, of which a Chinese character takes three.
    return cleaned.encode()[:200].decode(errors="ignore").strip("-") or standard


def changes(changed: Collection[Path]) -> str:
    """What YamlFiles.write did, as a command says it: a line for each file."""
    if not changed:
        return "every file is up to date"
    return "\n".join(f"{'wrote' if file.exists() else 'removed'} {file}" for file in changed)
