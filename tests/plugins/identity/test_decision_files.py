"""Decisions as YAML files: there and back, into another warehouse, nothing in the clear, and what is wrong with one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest
import yaml
from tagloom import layer_state
from tagloom.__main__ import main
from tagloom.identity import decisions
from tagloom.identity.decision_files import export_yaml, import_yaml, unknown_identifiers
from tagloom.identity.decisions import DecisionError, all_decisions, live_decisions
from tagloom.settings import Settings
from tagloom.warehouse import open_warehouse

from tests.plugins.identity.people import KEY, Edge, identifier, make_people

KINDS = {1: "loyalty_card", 2: "email", 3: "phone", 4: "loyalty_card", 5: "email"}
CARD, EMAIL, PHONE, OTHER_CARD, OTHER_EMAIL = (identifier(key, kind) for key, kind in KINDS.items())
MOMENT = datetime(2017, 7, 1, 12, 30, 0, 250_000)


def a_warehouse() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    make_people(connection, KINDS, [Edge(1, 2), Edge(2, 3), Edge(4, 5)])
    return connection


@pytest.fixture
def connection():
    """Three batches: one split, one link that was withdrawn, one blocked address."""
    with a_warehouse() as connection:
        decisions.write(connection, decisions.split(connection, 10, [EMAIL, PHONE]), "two people", "ann", MOMENT)
        decisions.write(connection, decisions.link(CARD, OTHER_CARD), "look alike", "ben", MOMENT)
        decisions.withdraw(connection, 2, "ann", MOMENT)
        decisions.write(connection, decisions.block(OTHER_EMAIL), "made up: 没有", "ben", MOMENT)
        yield connection


@pytest.fixture
def other():
    """Another warehouse, where nothing is decided."""
    with a_warehouse() as other:
        yield other


def brought(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[tuple[str, int | None]]:
    return [(one.state, one.batch) for one in import_yaml(connection, folder, KEY, KINDS.values())]


def said(connection: duckdb.DuckDBPyConnection) -> set[tuple]:
    return {
        (one.kind, one.left, one.right, one.reason, one.decided_by, one.decided_at)
        for one in live_decisions(connection)
    }


def test_there_and_back_changes_nothing(connection, tmp_path):
    written = export_yaml(connection, tmp_path, KEY)
    assert [file.name[:-12] for file in written] == ["2017-07-01-never-link-", "2017-07-01-block-"]
    before = all_decisions(connection)
    state = layer_state.last_build(connection)
    assert brought(connection, tmp_path) == [("unchanged", None), ("unchanged", None)]
    assert all_decisions(connection) == before
    assert layer_state.last_build(connection) == state, "the next build would do everything again for nothing"
    assert export_yaml(connection, tmp_path, KEY) == []


def test_a_file_shows_who_when_and_why_and_no_value(connection, tmp_path):
    [file, _] = export_yaml(connection, tmp_path, KEY)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert content["decisions"] == [
        {"kind": "never_link", "left": f"loyalty_card {CARD.hash}", "right": f"email {EMAIL.hash}"},
        {"kind": "never_link", "left": f"loyalty_card {CARD.hash}", "right": f"phone {PHONE.hash}"},
        {"kind": "link", "left": f"email {EMAIL.hash}", "right": f"phone {PHONE.hash}"},
    ]
    assert (content["because"], content["by"], content["at"]) == ("two people", "ann", "2017-07-01T12:30:00.250000Z")
    text = "".join(file.read_text(encoding="utf-8") for file in tmp_path.glob("*.yml"))
    assert "example.com" not in text
    assert "+1612" not in text
    assert KEY.decode() not in text


def test_another_warehouse_gets_the_same_once(connection, other, tmp_path):
    export_yaml(connection, tmp_path, KEY)
    assert sorted(brought(other, tmp_path)) == [("new", 1), ("new", 2)]
    assert said(other) == said(connection)
    assert len({one.batch_id for one in live_decisions(other) if one.reason == "two people"}) == 1
    assert brought(other, tmp_path) == [("unchanged", None)] * 2
    assert export_yaml(other, tmp_path, KEY) == [], "the same files there"


def test_only_what_is_missing_is_written(connection, other, tmp_path):
    export_yaml(connection, tmp_path, KEY)
    # The same whichever end is named first.
    decisions.write(other, [decisions.Draft("link", PHONE, EMAIL)], "known here", "zoe", MOMENT)
    assert brought(other, tmp_path) == [("new", 2), ("new", 3)]
    links = [one for one in live_decisions(other) if one.kind == "link"]
    assert [(one.reason, one.decided_by) for one in links] == [("known here", "zoe")]
    assert len(live_decisions(other)) == 4


def test_what_was_withdrawn_leaves_the_files_and_comes_back_from_old_ones(connection, tmp_path):
    export_yaml(connection, tmp_path / "old", KEY)
    [split, _] = export_yaml(connection, tmp_path / "new", KEY)
    decisions.withdraw(connection, 1, "ann")
    assert export_yaml(connection, tmp_path / "new", KEY) == [split]
    assert not split.exists()
    assert ("again", 4) in brought(connection, tmp_path / "old")
    assert export_yaml(connection, tmp_path / "old", KEY) == []


def test_decisions_about_what_nobody_has_seen_yet_wait_for_it(connection, other, tmp_path):
    export_yaml(connection, tmp_path, KEY)
    other.execute("delete from identity_mapping.identity_registry where identifier_type = 'phone'")
    brought(other, tmp_path)
    assert said(other) == said(connection)
    assert unknown_identifiers(other) == 1


def test_a_contradiction_is_refused_with_its_file_and_nothing_is_written(connection, other, tmp_path):
    [split, block] = export_yaml(connection, tmp_path, KEY)
    decisions.write(other, decisions.link(CARD, PHONE), "one person", "zoe", MOMENT)
    with pytest.raises(DecisionError, match="identity withdraw 1") as refused:
        brought(other, tmp_path)
    assert str(refused.value).startswith(f"{split}: decisions: ")
    assert block.name not in str(refused.value)
    assert len(all_decisions(other)) == 1


def test_files_that_contradict_each_other_are_refused(connection, other, tmp_path):
    export_yaml(connection, tmp_path, KEY)
    decisions.write(other, decisions.link(CARD, PHONE), "one person", "zoe", MOMENT)
    export_yaml(other, tmp_path / "zoe", KEY)
    decisions.withdraw(other, 1, "zoe")
    with pytest.raises(DecisionError, match=r"yml: decisions: These decisions contradict each other: what must never"):
        brought(other, tmp_path)
    assert live_decisions(other) == []


def test_a_killed_import_leaves_nothing_half_done(connection, other, tmp_path, monkeypatch):
    export_yaml(connection, tmp_path, KEY)
    add_batch, done = decisions.add_batch, []

    def killed(*arguments):
        if done:
            raise KeyboardInterrupt
        done.append(add_batch(*arguments))
        return done[0]

    monkeypatch.setattr(decisions, "add_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        brought(other, tmp_path)
    assert done == [1]
    assert all_decisions(other) == []


def test_files_of_another_key_are_refused(connection, other, tmp_path):
    export_yaml(connection, tmp_path, b"another-key-" * 4)
    with pytest.raises(DecisionError, match=r"hashed_with: .* another TAGLOOM_IDENTITY_KEY"):
        brought(other, tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"because": " "}, "because: is empty; say why"),
        ({"by": 3}, "by: must be a text"),
        ({"at": "yesterday"}, "at: 'yesterday' is no moment"),
        ({"colour": "blue"}, "colour: is no key; keys are at, because"),
        ({"decisions": []}, "decisions: is empty"),
        ({"decisions": ["x"]}, r"decisions\[0\]: must have the keys"),
        ({"decisions": [{"kind": "marry"}]}, r"decisions\[0\].kind: 'marry' is not one of link"),
        ({"decisions": [{"kind": "link", "left": f"phone {'a' * 64}"}]}, r"decisions\[0\].right: is missing"),
        (
            {"decisions": [{"kind": "block", "left": "phone +16125550003"}]},
            r"decisions\[0\].left: after the type comes a hash",
        ),
        ({"decisions": [{"kind": "block", "left": f"fone {'a' * 64}"}]}, r"decisions\[0\].left: begins with no"),
        (
            {"decisions": [{"kind": "link", "left": f"phone {'a' * 64}", "right": f"phone {'a' * 64}"}]},
            r"decisions\[0\]: left and right are the same",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(connection, other, tmp_path, change, sentence):
    [file, _] = export_yaml(connection, tmp_path, KEY)
    content = yaml.safe_load(file.read_text(encoding="utf-8")) | change
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(DecisionError, match=sentence) as refused:
        brought(other, tmp_path)
    assert str(refused.value).startswith(f"{file}: ")
    assert "+1612" not in str(refused.value), "a value in the clear was printed"
    assert all_decisions(other) == []


def test_a_moment_without_quotes_is_read_too(connection, other, tmp_path):
    [file, _] = export_yaml(connection, tmp_path, KEY)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("'2017-07-01T12:30:00.250000Z'", "2017-07-01T14:30:00.25+02:00"), encoding="utf-8")
    brought(other, tmp_path)
    assert {one.decided_at for one in live_decisions(other)} == {MOMENT}


def test_an_empty_folder_is_refused(other, tmp_path):
    with pytest.raises(DecisionError, match="holds no decision; `identity decisions export-yaml`"):
        brought(other, tmp_path)


def test_the_command_line(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def run(*words: str) -> str:
        assert main(["identity", *words]) == 0
        return capsys.readouterr().out

    assert main(["identity", "decisions", "export-yaml", str(tmp_path / "git")]) == 1
    assert "Nothing is built yet" in capsys.readouterr().err
    with open_warehouse(settings) as connection:
        make_people(connection, KINDS, [Edge(1, 2), Edge(2, 3), Edge(4, 5)])
    git = tmp_path / "git"
    run("block", "key:3", "--because", "made up", "--by", "ann")
    [file] = [Path(run("decisions", "export-yaml", str(git)).removeprefix("wrote ").strip())]
    assert run("decisions", "export-yaml", str(git)) == "every file is up to date\n"
    assert run("decisions", "import-yaml", str(git)) == f"unchanged {file.name}\n"
    run("withdraw", "1", "--by", "ben")
    assert run("decisions") == "no decision holds\n"
    out = run("decisions", "import-yaml", str(git))
    assert out.startswith(f"again {file.name}, batch 2\nIt takes effect with the next build")
    assert "made up" in run("decisions", "--all")
