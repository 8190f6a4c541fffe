"""dbt reads the project once in a session of tests: seconds for each home that a test makes or copies.

Without this dbt parses every file for every home, since what it remembers lies in the home, and again in each copy of a
home: it forgets everything when the path of the warehouse is another one, since templates could ask for it while they
are parsed. Ours do not. What has changed in a project is parsed anew as ever.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

VARIABLE = "TESTS_PARSED_ONCE"
"""Environment variable with the folder in which all processes of a session keep what dbt has parsed."""

PROJECT_VARIABLE = "TESTS_DBT_PROJECT"
"""Environment variable with the folder of the checkout's dbt project; copies of it come and go with their tests."""


def session_folder(base: Path) -> Path:
    """A folder that all processes of a session share; `base` is pytest's folder of this process."""
    # With xdist each process has a folder of its own in that of the session.
    folder = (base.parent if base.name.startswith("popen-") else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def share_parsing() -> None:
    """Let dbt of this process begin with what any process of the session has parsed of the same project."""
    from dbt.artifacts.resources import FileHash
    from dbt.constants import PARTIAL_PARSE_FILE_NAME
    from dbt.parser.manifest import ManifestLoader

    if VARIABLE not in os.environ or hasattr(ManifestLoader, "is_shared"):
        return
    folder, project = Path(os.environ[VARIABLE]), Path(os.environ[PROJECT_VARIABLE])
    read, write = ManifestLoader.read_manifest_for_partial_parse, ManifestLoader.write_manifest_for_partial_parse
    check = ManifestLoader.build_manifest_state_check

    def of_home(loader: ManifestLoader) -> Path:
        return Path(loader.root_project.project_target_path) / PARTIAL_PARSE_FILE_NAME

    def of_session(loader: ManifestLoader) -> Path:
        return folder / _digest(Path(loader.root_project.project_root))

    def read_or_take(loader: ManifestLoader) -> object:
        if not of_home(loader).exists() and of_session(loader).exists():
            of_home(loader).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(of_session(loader), of_home(loader))
        return read(loader)

    def write_and_keep(loader: ManifestLoader) -> None:
        write(loader)
        is_copy = not Path(loader.root_project.project_root).samefile(project)
        if not is_copy and not of_session(loader).exists():
            draft = folder / f"draft-{os.getpid()}"
            shutil.copyfile(of_home(loader), draft)
            draft.replace(of_session(loader))

    def check_but_the_path(loader: ManifestLoader) -> object:
        found = check(loader)
        found.profile_hash = FileHash.from_contents("the same for all")
        return found

    ManifestLoader.is_shared = True
    ManifestLoader.read_manifest_for_partial_parse = read_or_take
    ManifestLoader.write_manifest_for_partial_parse = write_and_keep
    ManifestLoader.build_manifest_state_check = check_but_the_path


def _digest(project: Path) -> str:
    """Of all files of a project, wherever it is."""
    digest = hashlib.sha256()
    for path in sorted(project.rglob("*")):
        if path.is_file() and not {"target", "logs"} & set(path.relative_to(project).parts):
            digest.update(f"{path.relative_to(project)}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
