"""The analyst's commands: what they print, and the exit codes that a merge request hangs on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tagloom import __main__
from tagloom.tags import difference
from tagloom.tags.project import TagRequestError

from tests.plugins.tags.test_difference import FOUND, with_tag


@pytest.fixture
def found(monkeypatch):
    """Let the command find what a test wants; the revision that it was asked for."""
    asked = []

    def fake(result):
        def of(_settings, base, *, say):
            say("looking")
            asked.append(base)
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(difference, "difference", of)
        return asked

    return fake


@pytest.mark.parametrize(
    ("result", "options", "code"),
    [
        (replace(FOUND, tags=()), [], 0),
        (FOUND, [], 3),
        (FOUND, ["--fail-above", "5"], 3),
        (with_tag(version=(1, 2)), [], 0),
        (with_tag(version=(1, 2)), ["--fail-above", "5"], 2),
        (with_tag(version=(1, 2)), ["--fail-above", "10%"], 0),
    ],
)
def test_the_exit_code_of_diff(found, result, options, code):
    found(result)
    assert __main__.main(["tag", "diff", *options]) == code


def test_diff_compares_with_the_last_commit_unless_told(found):
    asked = found(replace(FOUND, tags=()))
    __main__.main(["tag", "diff"])
    __main__.main(["tag", "diff", "--base", "main"])
    assert asked == ["HEAD", "main"]


def test_diff_prints_the_report_and_says_the_rest_aside(found, capsys, tmp_path):
    found(FOUND)
    __main__.main(["tag", "diff", "--markdown", str(tmp_path / "diff.md")])
    printed = capsys.readouterr()
    assert printed.out.startswith("Tags of 2017-12-31: HEAD (0019623) -> working tree.")
    assert printed.err.splitlines()[0] == "looking"
    assert "write version: 2 into" in printed.err
    assert (tmp_path / "diff.md").read_text(encoding="utf-8").startswith("### Tags of 2017-12-31")


def test_stopping_diff_changes_nothing(found, capsys):
    found(KeyboardInterrupt())
    assert __main__.main(["tag", "diff"]) == 130
    assert "nothing was changed" in capsys.readouterr().err


def test_what_cannot_be_done_is_one_sentence(found, capsys):
    found(TagRequestError("BASE=mian is no revision of this repository."))
    assert __main__.main(["tag", "diff"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "BASE=mian is no revision of this repository."


@pytest.mark.parametrize("share", ["-1", "101", "some"])
def test_a_share_is_a_percentage(share, capsys):
    with pytest.raises(SystemExit):
        __main__.main(["tag", "diff", f"--fail-above={share}"])
    assert "is no share; write percent from 0 to 100, such as 5" in capsys.readouterr().err


def test_a_new_tag_with_a_mistake_says_what_was_meant(capsys):
    assert __main__.main(["tag", "new", "is_tried", "--category", "habbit/trip", "--kind", "rule"]) == 1
    assert "did you mean habit?" in capsys.readouterr().err
