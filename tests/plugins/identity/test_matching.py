"""Matching of persons without a common identifier, on people that are made up here."""

import argparse
import json
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest
from tagloom.identity import matching, matching_model, review_commands
from tagloom.identity.components import connected_components
from tagloom.identity.matching import match_persons, model_path
from tagloom.identity.matching_links import ACCEPTED, DECLINED, REVIEW, Laws, decide
from tagloom.identity.matching_model import MatchingError, load_model
from tagloom.identity.matching_settings import Comparison, Matching
from tagloom.identity.policy import Policy
from tagloom.identity.review_commands import ReviewError
from tagloom.operations import create_operations_tables
from tagloom.settings import load_settings
from tagloom.warehouse import open_warehouse

DAY = date(2017, 12, 31)
PEOPLE = 500
TWICE = 160
"""So many have both a card and an account, and nothing that joins the two."""

GIVEN_NAMES = [
    "amelia",
    "oliver",
    "charlotte",
    "jack",
    "isla",
    "noah",
    "mia",
    "william",
    "grace",
    "thomas",
    "ruby",
    "james",
    "chloe",
    "lucas",
    "emily",
    "henry",
    "sophie",
    "ethan",
    "lily",
    "mason",
    "harriet",
    "callum",
    "imogen",
    "declan",
    "freya",
    "angus",
    "tilly",
    "jasper",
    "matilda",
    "rohan",
]
SURNAMES = [
    "smith",
    "nguyen",
    "jones",
    "brown",
    "wilson",
    "taylor",
    "white",
    "martin",
    "anderson",
    "thompson",
    "walker",
    "harris",
    "clarke",
    "robinson",
    "king",
    "campbell",
    "mitchell",
    "carter",
    "phillips",
    "evans",
    "turner",
    "parker",
    "collins",
    "edwards",
    "stewart",
    "morris",
    "murphy",
    "rogers",
    "cook",
    "morgan",
]
STREETS = [
    "wattle",
    "banksia",
    "station",
    "church",
    "mill",
    "victoria",
    "albert",
    "queen",
    "george",
    "park",
    "river",
    "hill",
    "forest",
    "garden",
    "lake",
    "bridge",
    "orchard",
    "chapel",
    "meadow",
    "cedar",
    "willow",
    "maple",
    "acacia",
    "kingfisher",
    "lyrebird",
]


def people(seed: int = 7, count: int = PEOPLE) -> pd.DataFrame:
    """One row per person."""
    chance = np.random.default_rng(seed)
    days = chance.integers(0, 20_000, count)
    return pd.DataFrame(
        {
            "given_name": chance.choice(GIVEN_NAMES, count),
            "surname": [f"{chance.choice(SURNAMES)}{chance.choice(['', 's', 'son', 'e'])}" for _ in range(count)],
            "birth_date": np.datetime64("1945-01-01") + days,
            "street": [f"{chance.integers(1, 300)} {chance.choice(STREETS)} street" for _ in range(count)],
            "suburb": [
                f"{chance.choice(STREETS)}{chance.choice(['ton', 'dale', 'wood', 'field'])}" for _ in range(count)
            ],
            "postcode": [str(2000 + 7 * number) for number in chance.integers(0, 400, count)],
        }
    )


def misspelt(text: str, chance: np.random.Generator) -> str:
    place = int(chance.integers(1, max(len(text) - 1, 2)))
    return text[:place] + "q" + text[place + 1 :]


def records_of(persons: pd.DataFrame, seed: int = 8) -> pd.DataFrame:
    """A card of everybody, and an account of the first TWICE with a slip of the pen in every third."""
    chance = np.random.default_rng(seed)
    cards = persons.assign(person=np.arange(len(persons)), source="loyalty", identifier_type="loyalty_card")
    accounts = cards.head(TWICE).assign(source="accounts", identifier_type="web_account")
    for row in accounts.index[::3]:
        name = ["given_name", "surname", "street"][row % 3]
        accounts.loc[row, name] = misspelt(accounts.loc[row, name], chance)
    for row in accounts.index[1::7]:
        accounts.loc[row, "birth_date"] = None
    records = pd.concat([cards, accounts], ignore_index=True)
    records["identifier_hash"] = [
        f"{kind}-{person}" for kind, person in zip(records.identifier_type, records.person, strict=True)
    ]
    records["recorded_at"] = pd.Timestamp("2017-01-01 10:00:00")
    records["state"] = None
    return records


def policy(**changed) -> Policy:
    def kind(strength: int, per_person: int | None) -> dict:
        return {"title": "t", "title_zh": "t", "strength": strength, "makes_person": True, "per_person": per_person}

    return Policy.model_validate(
        {
            "identifier_types": {"loyalty_card": kind(5, 1), "web_account": kind(4, 2)},
            "survivorship": {"street": ["loyalty", "accounts"]},
            "matching": {"enabled": True} | changed,
        }
    )


class World:
    """A warehouse with the tables that matching reads; `build` makes them as identity mapping would."""

    def __init__(self, settings, records: pd.DataFrame) -> None:
        self.settings = settings
        self.records = records
        self.decisions: list[tuple] = []

    def build(self) -> None:
        records = self.records
        keys = {value: key for key, value in enumerate(dict.fromkeys(records["identifier_hash"]), start=1)}
        registry = records[["identifier_type", "identifier_hash"]].drop_duplicates()
        registry = registry.assign(identifier_key=registry["identifier_hash"].map(keys))
        shown = records.drop(columns="person")
        with open_warehouse(self.settings) as connection:
            create_operations_tables(connection)
            connection.execute("create schema if not exists identity_mapping")
            for name, frame in (("identity_registry", registry), ("stored_records", shown)):
                connection.register("frame", frame)
                connection.execute(f"create or replace table identity_mapping.{name} as select * from frame")
                connection.unregister("frame")
            connection.execute(
                """
                create or replace view identity_mapping.identity_records as
                select * replace (cast(birth_date as date) as birth_date, cast(state as varchar) as state)
                from identity_mapping.stored_records;
                create or replace table identity_mapping.identity_edges as
                select
                    least(one.identifier_key, other.identifier_key) as left_key,
                    greatest(one.identifier_key, other.identifier_key) as right_key,
                    'probabilistic' as kind, cast(null as varchar) as rejected_because
                from operations.identity_matches
                inner join identity_mapping.identity_registry as one on left_hash = one.identifier_hash
                inner join identity_mapping.identity_registry as other on right_hash = other.identifier_hash
                where status = 'accepted';
                """
            )
            links = connection.execute("select left_key, right_key from identity_mapping.identity_edges").fetchnumpy()
            nodes = np.sort(registry["identifier_key"].to_numpy(np.int64))
            ends = (np.asarray(links[end], dtype=np.int64) for end in ("left_key", "right_key"))
            components = pd.DataFrame({"identifier_key": nodes, "component_key": connected_components(nodes, *ends)})
            connection.register("frame", components)
            connection.execute("create or replace table identity_mapping.identity_components as select * from frame")
            connection.unregister("frame")
            connection.execute(
                "create or replace table identity_mapping.identity_map as "
                "select *, component_key as person_id from identity_mapping.identity_registry "
                "inner join identity_mapping.identity_components using (identifier_key)"
            )

    def never_link(self, left: str, right: str) -> None:
        with open_warehouse(self.settings) as connection:
            create_operations_tables(connection)
            connection.execute(
                "insert into operations.identity_decisions by name select 1 as decision_id, 'never_link' as kind, "
                "$left_type as left_type, $left as left_hash, $right_type as right_type, $right as right_hash",
                {
                    "left": left,
                    "right": right,
                    "left_type": left.partition("-")[0],
                    "right_type": right.partition("-")[0],
                },
            )

    def rows(self, query: str) -> list[tuple]:
        with open_warehouse(self.settings) as connection:
            return connection.execute(query).fetchall()

    def matches(self) -> list[tuple]:
        return self.rows("from operations.identity_matches order by all")

    def accepted(self) -> set[tuple[int, int]]:
        """Numbers of the persons whose card and account are linked, (card's, account's)."""
        return {
            tuple(int(value.partition("-")[2]) for value in sorted(pair, reverse=False))
            for pair in self.rows(
                "select left_hash, right_hash from operations.identity_matches where status = 'accepted'"
            )
        }


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> str:
    """The model that the default people teach: it is learned once for all tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TAGLOOM_HOME", str(tmp_path_factory.mktemp("learned")))
        patched.setenv("TAGLOOM_IDENTITY_KEY", "a-key-that-only-the-tests-use-0123456789")
        patched.setattr(matching_model, "SAMPLED_PAIRS", 50_000)
        made = World(load_settings(), records_of(people()))
        made.build()
        match_persons(made.settings, DAY, policy())
        return model_path(made.settings.home, Matching()).read_text(encoding="utf-8")


@pytest.fixture
def world(settings, learned, monkeypatch) -> World:
    monkeypatch.setattr(matching_model, "SAMPLED_PAIRS", 50_000)
    path = model_path(settings.home, Matching())
    path.parent.mkdir()
    path.write_text(learned, encoding="utf-8")
    made = World(settings, records_of(people()))
    made.build()
    return made


def test_card_and_account_of_one_person_are_linked_and_nobody_else(world):
    done = match_persons(world.settings, DAY, policy())
    accepted = world.accepted()
    right = {pair for pair in accepted if pair[0] == pair[1]}
    assert done.links_changed
    assert done.compared == PEOPLE + TWICE
    assert accepted == right
    assert len(right) >= 0.95 * TWICE


def test_a_second_run_compares_nobody_and_changes_nothing(world):
    first = match_persons(world.settings, DAY, policy())
    before = world.matches()
    world.build()
    again = match_persons(world.settings, DAY, policy())
    assert (again.compared, again.links_changed) == (0, False)
    assert (again.accepted, again.review, again.model_version) == (first.accepted, first.review, first.model_version)
    assert world.matches() == before


@pytest.mark.slow
def test_the_model_can_be_made_again_and_holds_nobody(world, learned):
    path = model_path(world.settings.home, Matching())
    path.unlink()
    match_persons(world.settings, DAY, policy())
    assert path.read_text(encoding="utf-8") == learned
    assert not [name for name in {*GIVEN_NAMES, *SURNAMES, *STREETS} if f'"{name}' in learned or f"'{name}" in learned]
    assert sorted(json.loads(learned)) == ["content", "learned_from", "settings", "version"]


def test_only_what_is_new_is_compared_and_the_links_are_those_of_a_full_run(world):
    everything = world.records
    world.records = everything[~((everything["identifier_type"] == "web_account") & (everything["person"] >= 120))]
    world.build()
    match_persons(world.settings, DAY, policy())
    world.records = everything
    world.build()
    done = match_persons(world.settings, date(2018, 1, 1), policy())
    step_by_step = world.accepted()
    assert done.compared == TWICE - 120
    with open_warehouse(world.settings) as connection:
        connection.execute("delete from operations.identity_matched; delete from operations.identity_matches")
    match_persons(world.settings, date(2018, 1, 1), policy())
    assert world.accepted() == step_by_step


def test_who_has_changed_is_compared_again(world):
    match_persons(world.settings, DAY, policy())
    account = world.records["identifier_hash"] == "web_account-4"
    assert (4, 4) in world.accepted()
    world.records.loc[account, ["given_name", "surname", "street"]] = ["ludmila", "zwetkowa", "99 nowhere lane"]
    world.records.loc[account, "birth_date"] = pd.Timestamp("1901-05-05")
    world.build()
    done = match_persons(world.settings, DAY, policy())
    assert done.compared == 1
    assert done.links_changed
    assert (4, 4) not in world.accepted()


def test_never_linked_persons_are_declined(world):
    world.never_link("web_account-10", "loyalty_card-10")
    match_persons(world.settings, DAY, policy())
    assert (10, 10) not in world.accepted()
    assert world.rows(
        "select status from operations.identity_matches where left_hash like '%-10' and right_hash like '%-10'"
    ) == [(DECLINED,)]


def test_a_person_never_gets_more_of_a_type_than_the_policy_allows(world):
    """A second card with the data of the first: one person may have one, so a human must look."""
    double = world.records[world.records["identifier_hash"] == "loyalty_card-300"].assign(
        identifier_hash="loyalty_card-1300", person=1300
    )
    world.records = pd.concat([world.records, double], ignore_index=True)
    world.build()
    match_persons(world.settings, DAY, policy())
    assert world.rows(
        "select status, probability > 0.95 from operations.identity_matches "
        "where left_hash = 'loyalty_card-300' and right_hash = 'loyalty_card-1300'"
    ) == [(REVIEW, True)]


def test_switched_off_nothing_stays_linked(world):
    match_persons(world.settings, DAY, policy())
    off = match_persons(world.settings, DAY, policy(enabled=False))
    assert off.links_changed
    assert world.matches() == []
    assert not match_persons(world.settings, DAY, policy(enabled=False)).links_changed


@pytest.mark.slow
def test_a_past_day_leaves_links_as_they_are(world):
    match_persons(world.settings, DAY, policy())
    before = world.matches()
    world.records = world.records.head(200)
    world.build()
    assert match_persons(world.settings, date(2017, 6, 30), policy()).compared == 0
    assert world.matches() == before


def test_a_kill_before_the_end_leaves_what_was_there(world, monkeypatch):
    match_persons(world.settings, DAY, policy())
    before = world.matches()
    world.records = world.records.drop(index=world.records.index[-5:])
    world.records.loc[world.records.index[:9], "street"] = "1 elsewhere road"
    world.build()

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(matching, "_write", killed)
        with pytest.raises(Killed):
            match_persons(world.settings, DAY, policy())
    assert world.matches() == before
    assert match_persons(world.settings, DAY, policy()).compared > 0


def test_no_clear_text_is_stored(world):
    match_persons(world.settings, DAY, policy())
    stored = str(world.matches()) + str(world.rows("from operations.identity_matched"))
    assert not [name for name in SURNAMES if name in stored]
    tables = world.rows(
        "select schema_name, table_name from duckdb_tables() where schema_name not in ('identity_mapping')"
    )
    assert {schema for schema, _ in tables} == {"operations"}


@pytest.mark.slow
def test_new_settings_teach_a_new_model(world):
    first = match_persons(world.settings, DAY, policy())
    second = match_persons(world.settings, DAY, policy(seed=5))
    assert second.compared == PEOPLE + TWICE
    assert (
        load_model(model_path(world.settings.home, policy().matching)).settings == policy(seed=5).matching.fingerprint
    )
    assert first.model_version is not None


def test_an_unknown_attribute_is_named(world):
    wrong = [{"attribute": "given_name", "kind": "name"}, {"attribute": "shoe_size", "kind": "code"}]
    with pytest.raises(MatchingError, match="shoe_size"):
        match_persons(world.settings, DAY, policy(comparisons=wrong, blocking=[["shoe_size"], ["given_name"]]))


def test_too_few_persons_teach_nothing(settings):
    small = World(settings, records_of(people(count=TWICE)).head(50))
    small.build()
    with pytest.raises(MatchingError, match="50 persons"):
        match_persons(settings, DAY, policy())


def test_chinese_names_with_one_other_character_are_alike():
    comparison = Comparison(attribute="given_name", kind="name", swapped_with="surname")
    levels = [condition for condition, _ in matching_model._levels(comparison)]
    cases = " ".join(f"when {condition} then {number}" for number, condition in enumerate(levels))
    names = "select $1 as given_name_l, $2 as given_name_r, '王' as surname_l, '王' as surname_r"
    query = f"select case {cases} else 9 end from ({names})"

    def level(one: str, other: str) -> int:
        return duckdb.execute(query, [one, other]).fetchall()[0][0]

    assert level("建国", "建国") == 0
    assert level("建国", "建华") == level("伟国", "芳国") == 4
    assert level("建国", "美玲") == level("伟", "芳") == 9
    assert level("katherine", "katharine") == 2


def review(world: World, capsys, *words: str) -> str:
    """What `identity review <words>` prints."""
    parser = argparse.ArgumentParser()
    review_commands.add(parser.add_subparsers(required=True))
    options = parser.parse_args(["review", *words])
    options.function(world.settings, options)
    return capsys.readouterr().out


def test_pairs_for_review_are_shown_masked_and_decided(world, monkeypatch, capsys):
    """A decision is kept as a link or a never-link; a pair that is decided is not shown again."""
    monkeypatch.setattr("tagloom.identity.policy.load_policy", policy)
    for other, person in ((1300, 300), (1301, 301)):
        double = world.records[world.records["identifier_hash"] == f"loyalty_card-{person}"]
        double = double.assign(identifier_hash=f"loyalty_card-{other}", person=other)
        world.records = pd.concat([world.records, double], ignore_index=True)
    world.build()
    match_persons(world.settings, DAY, policy())

    shown = review(world, capsys, "list", "--limit", "100")
    with open_warehouse(world.settings) as connection:
        names = {pair.left.hash: pair.name for pair in review_commands.pairs(connection)}
    one, other = names["loyalty_card-300"], names["loyalty_card-301"]
    assert {one, other} <= {*shown.split()}
    assert "strongly for" in shown
    person = world.records[world.records["identifier_hash"] == "loyalty_card-300"].iloc[0]
    assert not [value for value in (person.given_name, person.surname, person.street, person.suburb) if value in shown]

    assert "one person" in review(world, capsys, "accept", one, "--by", "ann")
    assert "never one person" in review(world, capsys, "decline", other, "--because", "twins")
    assert world.rows(
        "select kind, left_hash, right_hash, decided_by, reason from operations.identity_decisions order by decision_id"
    )[0][:4] == ("link", "loyalty_card-300", "loyalty_card-1300", "ann")
    assert world.rows("select kind, reason from operations.identity_decisions where kind = 'never_link'") == [
        ("never_link", "twins")
    ]
    left = review(world, capsys, "list", "--limit", "100")
    assert not {one, other} & {*left.split()}
    match_persons(world.settings, DAY, policy())
    assert world.rows("select status from operations.identity_matches where left_hash = 'loyalty_card-301'") == [
        (DECLINED,)
    ]
    with pytest.raises(ReviewError, match="no pair 00000000"):
        review(world, capsys, "accept", "00000000")


def test_retrain_forgets_the_model(world, monkeypatch, capsys):
    monkeypatch.setattr("tagloom.identity.policy.load_policy", policy)
    assert model_path(world.settings.home, Matching()).exists()
    assert "learned anew" in review(world, capsys, "retrain")
    assert not model_path(world.settings.home, Matching()).exists()


@pytest.mark.parametrize(
    ("weight", "words"), [(12, "strongly for"), (3, "for"), (0, "says nothing"), (-20, "strongly against")]
)
def test_weights_have_words(weight, words):
    assert review_commands.in_words(weight) == words


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"accept": 0.6, "review": 0.7}, "below accept"),
        ({"blocking": [["given_name"], ["surname", "given_name"]]}, "nothing can be learned"),
        ({"comparisons": [{"attribute": "surname", "kind": "name"}]}, "at least two"),
        ({"blocking": [["surname:half"]]}, "pattern"),
        ({"comparisons": [{"attribute": "a", "kind": "place"}, {"attribute": "b", "kind": "code"}]}, "together_with"),
    ],
)
def test_wrong_settings_are_named(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        Matching.model_validate(changed)


def test_thresholds_are_no_reason_to_learn_anew():
    assert Matching(accept=0.99).fingerprint == Matching().fingerprint != Matching(seed=1).fingerprint


def links(pairs: list[tuple[int, int, float]], cards: list[int], never=(), accept: float = 0.95) -> list[str]:
    laws = Laws(
        np.array(cards, dtype=np.int64).reshape(-1, 1),
        np.array([1]),
        np.array([one for one, _ in never], dtype=np.int64),
        np.array([other for _, other in never], dtype=np.int64),
    )
    left, right, probability = (np.array(list(values)) for values in zip(*pairs, strict=True))
    return list(decide(left, right, probability, np.zeros(len(pairs), dtype=bool), laws, accept))


def test_the_likelier_of_two_card_holders_gets_the_account_only_when_it_is_much_likelier():
    assert links([(0, 1, 0.9999), (1, 2, 0.96)], [1, 0, 1]) == [ACCEPTED, REVIEW]
    assert links([(0, 1, 0.98), (1, 2, 0.97)], [1, 0, 1]) == [REVIEW, REVIEW]


def test_three_records_of_one_person_come_together():
    assert links([(0, 1, 0.99), (1, 2, 0.98), (0, 2, 0.6)], [1, 0, 0]) == [ACCEPTED, ACCEPTED, REVIEW]


def test_who_is_never_linked_does_not_meet_by_way_of_a_third():
    assert links([(0, 1, 0.9999), (1, 2, 0.96)], [0, 0, 0], never=[(0, 2)]) == [ACCEPTED, REVIEW]


def test_the_order_of_pairs_does_not_matter():
    chance = np.random.default_rng(3)
    ends = [(one, other) for one in range(40) for other in range(one + 1, 40) if chance.random() < 0.06]
    pairs = [(one, other, float(chance.choice([0.6, 0.97, 0.999, 0.9999]))) for one, other in ends]
    cards = [int(card) for card in chance.random(40) < 0.3]
    expected = dict(zip(pairs, links(pairs, cards), strict=True))
    shuffled = [pairs[place] for place in chance.permutation(len(pairs))]
    turned = [(other, one, probability) for one, other, probability in shuffled]
    assert dict(zip(shuffled, links(shuffled, cards), strict=True)) == expected
    assert dict(zip(shuffled, links(turned, cards), strict=True)) == expected
    assert {ACCEPTED, REVIEW} == {status for (_, _, probability), status in expected.items() if probability > 0.95}
