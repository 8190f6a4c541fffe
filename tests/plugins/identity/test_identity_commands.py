"""The identity commands, as a steward types them; and a split that carries everything along, until it is withdrawn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
from tagloom.__main__ import main
from tagloom.identity.policy import load_policy
from tagloom.identity.simulate import FOLDER, simulate
from tagloom.settings import PROJECT, Settings
from tagloom.warehouse import open_warehouse

from tests.homes import DAY, build_everything, built_small_home, copy_home
from tests.plugins.identity.people import Edge, identifier, make_people
from tests.plugins.test_microbatch import copy_of, hashes, person_tables, rows

KINDS = {1: "loyalty_card", 2: "email", 3: "phone", 4: "loyalty_card", 5: "email", 6: "phone"}


@pytest.fixture
def people(settings):
    """Person 10 has a card, an address and a phone, person 40 a card and an address; both know the shared phone."""
    edges = [Edge(1, 2), Edge(2, 3), Edge(4, 5), Edge(1, 6, "shared identifier"), Edge(4, 6, "shared identifier")]
    with open_warehouse(settings) as connection:
        make_people(connection, KINDS, edges, verdicts={6: "shared identifier"})
    return settings


def run(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, what was printed, and what was printed as an error."""
    code = main(["identity", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_steward_links_lists_and_withdraws(people, capsys):
    code, out, _ = run(
        capsys, "link", "phone:(612) 555-0003", "email:5@Example.com", "--because", "same signature", "--by", "ann"
    )
    assert code == 0
    assert f"link {identifier(3, 'phone')}, of person 10 and {identifier(5, 'email')}, of person 40" in out
    assert "next build" in out
    assert "To take it back: identity withdraw 1" in out
    assert "555" not in out, "a value in the clear was printed"

    code, out, _ = run(capsys, "decisions")
    assert (code, "at the next build" in out, "same signature" in out, "ann" in out) == (0, True, True, True)

    code, _, err = run(capsys, "never-link", "key:3", "key:5", "--because", "no")
    assert (code, "identity withdraw 1" in err) == (1, True)

    code, out, _ = run(capsys, "withdraw", "1", "--by", "bob")
    assert (code, "batch 1 is withdrawn" in out) == (0, True)
    assert run(capsys, "decisions")[1] == "no decision holds\n"
    assert "withdrawn" in run(capsys, "decisions", "--all")[1]
    assert run(capsys, "withdraw", "1")[0] == 1


def test_a_decision_is_signed_with_the_login_name(people, capsys, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "carol")
    run(capsys, "block", "key:3", "--because", "made up")
    assert "carol" in run(capsys, "decisions")[1]


def test_a_decision_without_a_reason_is_not_taken(people, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["identity", "block", "key:3"])
    assert stopped.value.code == 2
    assert "--because" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["block", "phone:+1 612 555 0199", "--because", "x"], "No record shows phone +16125550199"),
        (["block", "fone:+16125550199", "--because", "x"], "did you mean phone?"),
        (["split", "person:10", "key:5", "--because", "x"], "is of person 40, not of person 10"),
        (["split", "10", "key:3", "--because", "x"], "names no person"),
        (["explain", "person:11"], "There never was a person 11"),
        (["explain", "person:10", "person:40"], "or two identifiers"),
        (["simulate", "--policy", "nowhere.yml"], "nowhere.yml"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(people, capsys, words, sentence):
    code, out, err = run(capsys, *words)
    assert (code, out) == (1, "")
    assert sentence in err
    assert "Traceback" not in err


def test_explain_tells_links_refusals_and_persons(people, capsys):
    _, out, _ = run(capsys, "explain", "key:1", "phone:6125550003")
    assert "are joined by 2 links, of person 10" in out
    _, out, _ = run(capsys, "explain", "key:1", "key:4")
    assert "are not joined: the first is of person 10, the second of person 40" in out
    assert "has 2 refused links" in out
    assert "is seen with 4 different loyalty cards, allowed are 1" in out
    _, out, _ = run(capsys, "explain", "key:2", "key:2")
    assert "Both are email key:2" in out
    _, out, _ = run(capsys, "explain", "key:2", "--limit", "2")
    assert "Person 10 consists of 3 identifiers" in out
    assert "1 more; --limit 3 prints all." in out
    assert run(capsys, "explain", "key:6")[1] == f"{identifier(6, 'phone')} is of nobody\n"


def test_suspects_come_with_the_command_that_cures_them(people, capsys):
    assert run(capsys, "suspects")[1] == "no identifier is suspect\n"
    with open_warehouse(people) as connection:
        for key, persons, proposal, because, urgency, left, right in (
            (6, 9, "block the value", "Phone of 9 persons", 3, None, None),
            (2, 2, "never-link", "E-mail address that alone joins 2 groups", 2, None, None),
            (5, 2, "never-link", "E-mail address that alone joins 2 groups", 2, None, None),
            (3, 2, "never-link", "Phone of one person with two names", 1, 1, 2),
        ):
            one = identifier(key, KINDS[key])
            connection.execute(
                "insert into identity_mapping.identity_suspects values (?, ?, ?, ?, 3, ?, ?, ?, ?, ?)",
                [one.key, one.type, one.hash, persons, proposal, because, urgency, left, right],
            )
    _, out, _ = run(capsys, "suspects")
    first, second, third = [line.split() for line in out.splitlines()[1:4]]
    assert " ".join(first).endswith("Phone of one person with two names identity never-link key:1 key:2")
    # Without the address 2 the card and the phone are apart; the address 5 holds nothing but a card.
    assert " ".join(second).endswith(
        "E-mail address without which a large person falls into 1, 1 identifiers identity never-link key:1 key:3"
    )
    assert " ".join(third).endswith("Phone of 9 persons identity block key:6")
    assert "3 of 3." in out
    assert "1 of 4." in run(capsys, "suspects", "--limit", "1")[1]


def test_before_the_first_build_every_command_says_so(settings, capsys):
    for words in (["decisions"], ["explain", "key:1"], ["suspects"], ["simulate"]):
        code, _, err = run(capsys, *words)
        assert code == 1
        assert "run `make demo` or build_tags first" in err


def test_ctrl_c_ends_a_simulation_without_a_traceback(people, capsys, monkeypatch):
    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("tagloom.identity.simulate.simulate", stop)
    code, _, err = run(capsys, "simulate")
    assert (code, err) == (130, "Stopped; the copy is removed and nothing was changed.\n")


@dataclass(frozen=True)
class Built:
    """A built home and somebody in it with a card and an account."""

    settings: Settings
    person: int
    account_key: int
    """Its web account, which is not the anchor."""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    settings = copy_home(built_small_home(tmp_path_factory), tmp_path_factory.mktemp("built") / "home")
    [(person, account)] = rows(
        settings,
        """
        select identity_map.person_id, min(identifier_key)
        from identity_mapping.identity_map
        inner join identity_mapping.person_registry using (person_id)
        inner join tag_integration.person_tags using (person_id)
        where identifier_type = 'web_account' and identifier_key <> anchor_key and web_sessions_30d > 0
            and person_id in (select person_id from intermediate.int_orders)
        group by identity_map.person_id
        having count(*) = 1
        order by all limit 1
        """,
    )
    return Built(settings, person, account)


@pytest.fixture
def home(built, tmp_path, monkeypatch) -> Settings:
    settings = copy_of(built.settings, tmp_path / "copy")
    monkeypatch.setenv("TAGLOOM_HOME", str(settings.home))
    return settings


def owner(settings: Settings, key: int) -> int:
    [(person,)] = rows(
        settings, "select person_id from identity_mapping.identity_map where identifier_key = $key", {"key": key}
    )
    return person


def sessions(settings: Settings, person: int) -> int:
    [(number,)] = rows(
        settings, "select count(*) from intermediate.int_web_sessions where person_id = $person", {"person": person}
    )
    return number


@pytest.mark.slow
def test_a_split_carries_everything_along_and_a_withdrawal_brings_it_back(built, home, capsys):
    before = hashes(home)
    everybody = {person for (person,) in rows(home, "select person_id from identity_mapping.person_registry")}
    visited = sessions(home, built.person)
    assert visited > 0
    code, out, _ = run(
        capsys, "split", f"person:{built.person}", f"key:{built.account_key}", "--because", "a colleague's account"
    )
    assert code == 0, out

    build_everything(home, DAY)
    new = owner(home, built.account_key)
    assert new not in everybody, "a number that was somebody's was given to somebody else"
    assert (sessions(home, built.person), sessions(home, new)) == (0, visited)
    tags = dict(rows(home, "select person_id, coalesce(web_sessions_30d, 0) from tag_integration.person_tags"))
    assert (tags[built.person], tags[new] > 0) == (0, True)
    orders = "select count(*) from intermediate.int_orders where person_id = $person"
    assert rows(home, orders, {"person": new}) == [(0,)]
    assert rows(home, orders, {"person": built.person}) == rows(built.settings, orders, {"person": built.person})
    known = {person for (person,) in rows(home, "select person_id from identity_mapping.persons")}
    for table in person_tables(home):
        strangers = {person for (person,) in rows(home, f"select person_id from {table} where person_id is not null")}
        assert strangers <= known, f"{table} has rows of persons that are nobody"
    history = (
        "select person_id from identity_mapping.identity_map_history where identifier_key = $key and valid_to is null"
    )
    assert rows(home, history, {"key": built.account_key}) == [(new,)]
    changes = "select count(*) from identity_mapping.identity_changes where kind = 'split'"
    assert rows(home, changes) > [(0,)]
    assert "in effect" in run(capsys, "decisions")[1]
    assert "split" in run(capsys, "explain", f"person:{built.person}")[1]

    assert run(capsys, "withdraw", "1")[0] == 0
    build_everything(home, DAY)
    assert owner(home, built.account_key) == built.person
    redirect = "select survivor_id from identity_mapping.person_redirects where person_id = $person"
    assert rows(home, redirect, {"person": new}) == [(built.person,)]
    after = hashes(home)
    books = ("identity_changes", "identity_map_history", "identity_metrics", "person_registry", "person_redirects")
    changed = {table for table in before if before[table] != after[table]}
    remembered = re.compile(r"tag_integration\.(\w+_history|tag_(history_days|statistics|distributions|scores))")
    assert {table for table in changed if not remembered.fullmatch(table)} <= {
        "serving.person_changes",
        *(f"identity_mapping.{name}" for name in books),
    }
    retired = run(capsys, "explain", f"person:{new}")[1]
    assert f"Person {new} is retired; who it was is person {built.person} now." in retired


@pytest.mark.slow
def test_a_simulation_shows_what_a_split_would_do_and_touches_nothing(built, home, tmp_path):
    file = tmp_path / "try.txt"
    file.write_text(f"split person:{built.person} key:{built.account_key}\n", encoding="utf-8")
    before = home.warehouse.read_bytes()
    found = simulate(home, load_policy(), file)

    assert home.warehouse.read_bytes() == before
    assert list(home.home.glob(f"{FOLDER}*")) == []
    assert (found.persons.split, found.persons.split_into, found.persons.merged) == (1, 2, 0)
    assert found.persons.after == found.persons.before + 1
    assert found.persons.moved_identifiers >= 1
    assert dict(found.tags)["web_sessions_30d"] == 1
    assert {change.name for change in found.audiences} == {"birthday_next_month", "dormant_big_spenders"}
    assert any(change.name == "persons" and change.after == change.before + 1 for change in found.metrics)
    assert any(what.startswith("split person") for what, _, _ in found.examples)


LISTENING = """
import signal, sys
from tagloom.__main__ import main

# A shell starts what it puts into the background with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_ctrl_c_during_a_real_simulation_leaves_no_copy(home):
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, "identity", "simulate", "--only-identity"],
        env=os.environ | {"TAGLOOM_HOME": str(home.home), "PYTHONPATH": str(PROJECT / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "copied the warehouse" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert err.rstrip().endswith("Stopped; the copy is removed and nothing was changed.")
    assert list(home.home.glob(f"{FOLDER}*")) == []
