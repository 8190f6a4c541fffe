import numpy as np
import pandas as pd
import pytest

from sample_data.scores import COLUMNS, MODELS, ScoreRuns, make_scores

RUNS = ScoreRuns(every_days=28, known_days=84, before_end=6, hour=8)


def _lines(days_of_cards: dict[int, list[int]], last_day: int = 140) -> pd.DataFrame:
    """Baskets of two lines; days are counted from the first of January. An anonymous card keeps the time covered."""
    days_of_cards = {0: [0, last_day], **days_of_cards}
    rows = [
        (card, f"{card}-{day}", pd.Timestamp("2017-01-01 12:00:00") + pd.Timedelta(days=day))
        for card, days in days_of_cards.items()
        for day in days
        for _ in range(2)
    ]
    lines = pd.DataFrame(rows, columns=["card_number", "basket_id", "sold_at"])
    return lines.sort_values(["sold_at", "card_number"], ignore_index=True)


def _scores(lines: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    return make_scores(lines, RUNS, np.random.default_rng(seed))


def test_runs_are_four_weeks_apart_and_need_twelve_weeks_of_purchases():
    scores = _scores(_lines({1: list(range(0, 141, 3))}))
    # The last purchase is on day 140, the newest run on day 134; the run of day 78 knew less than 84 days.
    days = (pd.to_datetime(scores["scored_at"].unique()) - pd.Timestamp("2017-01-01 08:00:00")).days.tolist()
    assert days == [106, 134]
    assert list(scores.columns) == COLUMNS


def test_a_short_time_has_one_run():
    scores = _scores(_lines({1: [1, 4, 7]}, last_day=10))
    assert scores["scored_at"].unique().tolist() == [pd.Timestamp("2017-01-05 08:00:00")]


def test_only_cards_that_bought_in_the_twelve_weeks_before_are_scored():
    # Day 134 at 08:00 is 84 days after day 50 at 08:00: a purchase at noon of day 50 counts, one of day 49 does not.
    scores = _scores(_lines({1: [50], 2: [49], 3: [135], 4: [133]}))
    newest = scores[scores["scored_at"] == scores["scored_at"].max()]
    assert set(newest["card_number"]) == {1, 4}
    assert not newest.duplicated(["card_number", "model"]).any()
    assert set(newest["model"]) == set(MODELS)


def test_a_run_knows_nothing_of_what_came_later():
    before = _lines({1: list(range(0, 134, 3)), 2: list(range(0, 134, 10))})
    after = _lines({1: list(range(0, 134, 3)), 2: [*range(0, 134, 10), 134, 135, 136, 137, 138, 139]})
    pd.testing.assert_frame_equal(_scores(before), _scores(after))


def test_those_who_buy_often_buy_again_and_those_who_fell_silent_leave():
    often, seldom, silent = range(1, 101), range(101, 201), range(201, 301)
    lines = _lines(
        {card: list(range(0, 141, 2)) for card in often}
        | {card: list(range(0, 141, 20)) for card in seldom}
        | {card: list(range(0, 90, 4)) for card in silent}
    )
    scores = _scores(lines)
    newest = scores[scores["scored_at"] == scores["scored_at"].max()]
    means = newest.pivot_table(index="card_number", columns="model", values="score")
    assert means.loc[list(often), "purchase_7d"].mean() > means.loc[list(seldom), "purchase_7d"].mean() + 0.3
    assert means.loc[list(silent), "churn_60d"].mean() > means.loc[list(often), "churn_60d"].mean() + 0.1
    assert newest["score"].between(0, 1).all()


def test_the_newest_two_runs_are_of_the_new_version():
    versions = _scores(_lines({1: list(range(0, 201, 3))}, last_day=200)).groupby("scored_at")["model_version"].unique()
    assert [list(version) for version in versions] == [["1.4"], ["1.4"], ["2.0"], ["2.0"]]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_seed_decides_the_scores(seed):
    lines = _lines({1: list(range(0, 141, 3))})
    pd.testing.assert_frame_equal(_scores(lines, seed), _scores(lines, seed))
    assert not _scores(lines, seed).equals(_scores(lines, seed + 5))
