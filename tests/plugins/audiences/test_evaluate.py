"""Sizes, make-up, overlap and reasons against counts made another way."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest
from tagloom.audiences import evaluate
from tagloom.audiences.evaluate import SMALL, Cell
from tagloom.audiences.rules import Definition, RuleError, parse
from tagloom.portal.serving import Snapshot

from tests.plugins.audiences.conftest import a_definition, has

PERSON_TAGS = "tag_integration.person_tags"


def definition_of(*rules: dict, **more: object) -> Definition:
    return parse(a_definition(*rules, **more))


def nobody_knows(number: int) -> Definition:
    raise LookupError(number)


GOOD = {"field": "tag:rfm_segment", "operator": "in", "value": ["champion", "loyal"]}


def test_composition_adds_up_and_lift_is_a_ratio_of_shares(snapshot: Snapshot) -> None:
    """Against hand-written SQL, value by value; the unknown are a cell of their own."""
    cells = evaluate.composition(snapshot, definition_of(GOOD), "lifecycle_stage", nobody_knows)
    members = snapshot.value(f"select count(*) from {PERSON_TAGS} where rfm_segment in ('champion', 'loyal')")
    assert sum(cell.members for cell in cells) == members
    assert sum(cell.population for cell in cells) == snapshot.persons
    order = list(snapshot.tags["lifecycle_stage"].values)
    assert [cell.value for cell in cells if cell.kind == "value"] == [
        value for value in order if value in {cell.value for cell in cells}
    ]
    for cell in cells:
        expected = snapshot.value(
            f"select count(*) from {PERSON_TAGS} where rfm_segment in ('champion', 'loyal') "
            "and lifecycle_stage is not distinct from $value",
            {"value": cell.value},
        )
        assert cell.members == expected
        assert cell.lift == pytest.approx((expected / members) / (cell.population / snapshot.persons))


def test_significance_is_the_z_test_of_members_against_the_others_after_holm(snapshot: Snapshot) -> None:
    """The same numbers as statsmodels gives."""
    cells = evaluate.composition(snapshot, definition_of(GOOD), "generation", nobody_knows)
    members = sum(cell.members for cell in cells)
    others = snapshot.persons - members
    tested = [cell for cell in cells if cell.probability is not None]
    assert len(tested) > 3
    raw = [proportions_ztest([cell.members, cell.population - cell.members], [members, others])[1] for cell in tested]
    corrected = multipletests(raw, method="holm")[1]
    assert [cell.probability for cell in tested] == pytest.approx(list(corrected))


def test_too_few_say_nothing_of_significance(snapshot: Snapshot) -> None:
    """Five persons expected in a cell are the least for the test; nobody against nobody is no test."""
    few = definition_of({"field": "tag:rfm_cell", "operator": "=", "value": "999"})
    cells = evaluate.composition(snapshot, few, "generation", nobody_knows)
    assert {(cell.members, cell.share, cell.lift, cell.probability) for cell in cells} == {(0, None, None, None)}


@pytest.mark.parametrize(
    ("tag", "kinds"),
    [("spend_365d", {"range"}), ("recency_score", {"value", "unknown"}), ("last_order_date", {"range", "unknown"})],
)
def test_numbers_and_days_are_shown_in_ranges(snapshot: Snapshot, tag: str, kinds: set[str]) -> None:
    """Fifths of the population for many numbers, each of few; days by month. Everybody is in one cell."""
    cells = evaluate.composition(snapshot, definition_of(), tag, nobody_knows)
    assert {cell.kind for cell in cells} == kinds
    assert sum(cell.population for cell in cells) == snapshot.persons
    assert all(cell.lift == pytest.approx(1) for cell in cells)
    assert len({cell.label for cell in cells}) == len(cells) <= 14
    if tag == "spend_365d":
        assert max(cell.population for cell in cells) < snapshot.persons * 0.3


def test_a_single_small_cell_cannot_be_found_by_subtraction() -> None:
    """The next smallest is hidden with it; a cell of nobody gives nothing away by itself."""

    def cell(members: int) -> Cell:
        return Cell(str(members), members, "value", members, 500, members / 600, 0.1, 1.0, 0.5)

    hidden = evaluate.hide_small([cell(400), cell(150), cell(50), cell(SMALL - 1)])
    assert [one.members for one in hidden] == [400, 150, None, None]
    assert [one.share for one in hidden[2:]] == [None, None]
    assert [one.members for one in evaluate.hide_small([cell(400), cell(5), cell(9)])] == [400, None, None]
    assert evaluate.shown(SMALL - 1, may_see_small=False) is None
    assert evaluate.shown(SMALL - 1, may_see_small=True) == SMALL - 1


def test_overlap_of_every_pair_is_their_count_together(snapshot: Snapshot) -> None:
    """One pass gives what a query for each pair gives."""
    definitions = [
        definition_of(GOOD),
        definition_of(has("has_app")),
        definition_of({"field": "event:cart", "operator": "did"}),
        definition_of({"field": "tag:orders_365d", "operator": ">", "value": 5}, consent="email"),
        definition_of({"field": "tag:rfm_cell", "operator": "=", "value": "999"}),
    ]
    found = evaluate.overlap(snapshot, definitions, nobody_knows)
    for number, one in enumerate(definitions):
        assert found.sizes[number] == evaluate.size(snapshot, one, nobody_knows).members
    for one, other in combinations(range(len(definitions)), 2):
        both = parse(
            {
                "suppression": False,
                "rule": {"rules": [{"field": f"audience:{number + 1}", "operator": "in"} for number in (one, other)]},
            }
        )
        together = evaluate.size(snapshot, both, lambda number: definitions[number - 1]).members
        assert found.shared[one][other] == found.shared[other][one] == together
    assert found.similarity(0, 0) == 1
    assert found.similarity(4, 4) == 0
    with pytest.raises(ValueError, match="choose fewer"):
        evaluate.overlap(snapshot, definitions * 20, nobody_knows)


def test_why_says_line_by_line_what_holds(snapshot: Snapshot) -> None:
    """The first line is the whole rule, and all together say who is a member."""
    definition = definition_of(
        GOOD,
        {"combinator": "or", "not": True, "rules": [has("has_app"), {"field": "event:cart", "operator": "did"}]},
        consent="email",
        suppression=True,
    )
    inside = set(
        row["person_id"]
        for row in snapshot.rows(
            f"""
            select person_id from {PERSON_TAGS}
            where rfm_segment in ('champion', 'loyal') and not coalesce(has_app, false)
                and person_id not in (select person_id from serving.person_events where event = 'cart')
                and is_email_reachable and not coalesce(do_not_promote, false)
            """
        )
    )
    assert inside
    told: dict[bool, list] = {True: [], False: []}
    for person in range(1, 200):
        reasons = evaluate.why(snapshot, definition, person, nobody_knows)
        assert evaluate.is_member(reasons) == (person in inside)
        told[person in inside].append(reasons)
    one = told[True][0]
    assert [(reason.path, reason.depth) for reason in one] == [
        ("rule", 0),
        ("rule.rules[0]", 1),
        ("rule.rules[1]", 1),
        ("rule.rules[1].rules[0]", 2),
        ("rule.rules[1].rules[1]", 2),
        ("consent", 0),
        ("suppression", 0),
    ]
    assert one[1].tag == "rfm_segment"
    assert one[1].value in ("champion", "loyal")
    assert [reason.holds for reason in one] == [True, True, True, False, False, True, True]
    chinese = evaluate.why(snapshot, definition, 1, nobody_knows, "zh")
    assert chinese[0].text == "满足以下全部条件"
    assert evaluate.why(snapshot, definition, 10**9, nobody_knows) == []


def test_a_wrong_definition_is_refused_everywhere(snapshot: Snapshot) -> None:
    """No function counts what the version does not have."""
    wrong = definition_of(has("has_ap"))
    calls: list[Callable[[], object]] = [
        lambda: evaluate.size(snapshot, wrong, nobody_knows),
        lambda: evaluate.composition(snapshot, wrong, "generation", nobody_knows),
        lambda: evaluate.overlap(snapshot, [wrong], nobody_knows),
        lambda: evaluate.why(snapshot, wrong, 1, nobody_knows),
    ]
    for call in calls:
        with pytest.raises(RuleError, match="did you mean has_app"):
            call()


def test_holm_never_decreases_and_never_passes_one() -> None:
    """Ties, missing ones and large probabilities."""
    assert evaluate._holm([0.04, None, 0.01, 0.9]) == [0.08, None, pytest.approx(0.03), 0.9]
    assert evaluate._holm([0.02, 0.021, 0.6]) == [pytest.approx(0.06), pytest.approx(0.06), 0.6]
    assert evaluate._chance(0, 0, 3, 10) is None
    assert math.isclose(evaluate._chance(50, 100, 50, 100), 1.0)
