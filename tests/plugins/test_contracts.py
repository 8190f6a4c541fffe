"""A contract with a fault is refused with one sentence that names file and key."""

from pathlib import Path

import pytest
from tagloom.contracts import ContractError, load_contract
from tagloom.settings import PROJECT
from tagloom.sources import load_sources

GOOD = """
dataset: warehouse/staging/cards
variables: {AS_OF_DATE: {}}
check_attributes: {owner: loyalty@example.com, what_to_do: Ask the loyalty team., key: [card_number]}
columns:
  - name: card_number
    checks:
      - missing: {name: Every card has a number}
      - duplicate: {name: No card is there twice, attributes: {owner: other@example.com}}
checks:
  - row_count: {name: There are cards}
  - metric:
      name: The newest card is of the day
      query: select date_diff('day', max(seen_on), date '${var.AS_OF_DATE}') from staging.cards
      threshold: {must_be_less_than_or_equal: 1}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "staging" / "cards.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_checks_inherit_owner_cure_and_key(tmp_path):
    contract = load_contract(write(tmp_path, GOOD), tmp_path)
    assert contract.file == "staging/cards.yml"
    assert contract.table == "staging.cards"
    owners = {declared.check.name: declared.owner for declared in contract.checks}
    assert owners == {
        "Every card has a number": "loyalty@example.com",
        "No card is there twice": "other@example.com",
        "There are cards": "loyalty@example.com",
        "The newest card is of the day": "loyalty@example.com",
    }
    assert {declared.what_to_do for declared in contract.checks} == {"Ask the loyalty team."}
    assert {declared.key for declared in contract.checks} == {("card_number",)}
    assert [declared.check.allowed for declared in contract.checks] == [
        "exactly 0",
        "exactly 0",
        "more than 0",
        "at most 1",
    ]


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ("{must_be: 0}", "exactly 0"),
        ("{must_not_be: 0}", "not 0"),
        ("{must_be_greater_than: 1000}", "more than 1,000"),
        ("{must_be_greater_than_or_equal: 2.5}", "at least 2.5"),
        ("{must_be_between: {greater_than_or_equal: 1, less_than_or_equal: 5}}", "between 1 and 5"),
        ("{must_be_not_between: {greater_than_or_equal: 1, less_than_or_equal: 5}}", "outside 1 to 5"),
        ("{metric: percent, must_be_less_than: 5}", "less than 5 %"),
        (
            "{must_be_at_most_typo: 5}",
            None,
        ),
        (
            "{metric: percent, must_be_less_than: 5, additional: {level: warn, must_be_less_than: 1}}",
            "less than 5 %, and better less than 1 %",
        ),
    ],
)
def test_thresholds_are_words(tmp_path, threshold, words):
    text = GOOD.replace("{name: Every card has a number}", f"{{name: Every card has a number, threshold: {threshold}}}")
    if words is None:
        with pytest.raises(ContractError, match=r"missing\.threshold\.must_be_at_most_typo: is not a known key"):
            load_contract(write(tmp_path, text), tmp_path)
    else:
        assert load_contract(write(tmp_path, text), tmp_path).checks[0].check.allowed == words


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("- missing:", "- mising:", "columns.card_number.checks.1.mising: is not a known key; did you mean 'missing'?"),
        ("- row_count:", "- rowcount:", "checks.1.rowcount: is not a known key; did you mean 'row_count'?"),
        ("owner: loyalty", "ownr: loyalty", "check_attributes.ownr: is not a known key; did you mean 'owner'?"),
        ("owner: loyalty@example.com", "owner: loyalty", "check_attributes.owner: 'loyalty' is not allowed"),
        ("owner: loyalty@example.com, ", "", "columns.card_number.checks.missing: has no owner"),
        ("what_to_do: Ask the loyalty team., ", "", "columns.card_number.checks.missing: does not say what to do"),
        ("name: There are cards", "name: rows", "checks.1.row_count.name: must be a sentence"),
        ("name: There are cards", "name: Every card has a number", "checks.row_count: the name 'Every card"),
        ("staging/cards", "staging/card", "dataset: names 'warehouse/staging/card', but the file is called 'cards'"),
        ("warehouse/staging/cards", "staging/cards", "dataset: 'staging/cards' is not allowed"),
        ("dataset: warehouse/staging/cards\n", "", "dataset: is missing"),
        ("variables: {AS_OF_DATE: {}}\n", "", "variables: AS_OF_DATE is used but not declared"),
        ("{must_be_less_than_or_equal: 1}", "{}", "checks.2.metric.threshold: needs exactly one of must_be"),
        ("must_be_less_than_or_equal: 1", "must_be: 1, must_not_be: 2", "threshold: needs exactly one of"),
        ("must_be_less_than_or_equal: 1", "must_be: 1, level: warning", "threshold.level: 'warning' is not allowed"),
        ("  - row_count: {name: There are cards}", "  - row_count", "checks.1: a check is one type with its keys"),
        ("- row_count:", "- freshness:", "checks.1: a freshness check looks at the clock"),
        ("- row_count:", "- missing:", "checks.missing: does not belong to the table"),
        ("- missing:", "- row_count:", "columns.card_number.checks.row_count: does not belong to a column"),
        ("- missing:", "- duplicate:", "columns.card_number.checks.duplicate: is there twice; give each a qualifier"),
        ("- missing:", "- invalid:", "columns.card_number.checks.1.invalid: does not say what is valid"),
        ("columns:", "columns: [", "line 6: is not readable as YAML"),
    ],
)
def test_a_fault_is_one_sentence_with_file_and_key(tmp_path, old, new, sentence):
    assert old in GOOD
    with pytest.raises(ContractError) as raised:
        load_contract(write(tmp_path, GOOD.replace(old, new, 1)), tmp_path)
    assert str(raised.value).startswith("staging/cards.yml: ")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "- a list", "just words"])
def test_a_file_that_is_no_contract_is_refused(tmp_path, text):
    with pytest.raises(ContractError, match=r"staging/cards.yml: \(top level\): must be keys and values"):
        load_contract(write(tmp_path, text), tmp_path)


CONTRACTS = PROJECT / "soda" / "contracts"
SHIPPED = sorted(CONTRACTS.rglob("*.yml"))


def test_every_layer_is_watched():
    assert {path.relative_to(CONTRACTS).parts[0] for path in SHIPPED} >= {
        "landing",
        "staging",
        "identity_mapping",
        "intermediate",
        "tag_category",
        "tag_integration",
        "serving",
    }


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(CONTRACTS).as_posix())
def test_shipped_contracts_are_right_and_watch_their_own_layer(path):
    contract = load_contract(path, CONTRACTS)
    layer = path.relative_to(CONTRACTS).parts[0]
    assert contract.schema == (f"raw_{path.parent.name}" if layer == "landing" else layer)
    assert any(declared.kind == "row_count" for declared in contract.checks) != contract.file.startswith(MAY_BE_EMPTY)


MAY_BE_EMPTY = (
    "landing/campaigns/redemptions.yml",
    "landing/lists/entries.yml",
    "identity_mapping/person_relations.yml",
    "identity_mapping/households.yml",
    "tag_integration/household/",
    "tag_integration/tag_stale_values.yml",
    "serving/audiences/",
)
"""A shop whose coupons nobody used yet is not ill; nor are one that keeps no lists, customers without families, tags
of which no value is too old, or an audience nobody fits."""


@pytest.mark.parametrize("source", load_sources(PROJECT / "sources"), ids=lambda source: source.name)
def test_every_landed_table_is_watched_by_its_owner(source):
    for table in source.tables:
        contract = load_contract(CONTRACTS / "landing" / source.name / f"{table.name}.yml", CONTRACTS)
        assert contract.document.check_attributes.owner == source.owner
        keys = [
            [declared.column] if declared.column else list(declared.check.columns)
            for declared in contract.checks
            if declared.kind == "duplicate"
        ]
        assert table.primary_key in keys


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(CONTRACTS).as_posix())
def test_shipped_contracts_lie_where_their_models_lie(path):
    place = path.relative_to(CONTRACTS)
    if place.parts[0] == "landing":
        place = Path("staging", place.parent.name, f"_{place.parent.name}__sources.yml")
    assert (PROJECT / "dbt_project" / "models" / place.with_suffix(".yml")).exists()
