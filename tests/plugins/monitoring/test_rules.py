"""When a metric is alarming: the edges of both rules, and that chance alone is no alarm."""

import random
from datetime import date, timedelta

import pytest
from tagloom.monitoring.declarations import BelowMean, SeasonalBand
from tagloom.monitoring.rules import Day, judge, low_days, wilson_upper_bound

DAY = date(2017, 12, 31)
BELOW = BelowMean(kind="below_mean")
BAND = SeasonalBand(kind="seasonal_band", learnt_from_days=56, minimum_denominator=1)


def series(*last: float | None, usual: float = 0.5, size: int = 200, days: int = 60) -> dict[date, Day]:
    """Days with the usual share, and the given shares of the last ones."""
    found = {DAY - timedelta(days=back): Day(usual * size, size) for back in range(days)}
    for back, share in enumerate(reversed(last)):
        if share is None:
            del found[DAY - timedelta(days=back)]
        else:
            found[DAY - timedelta(days=back)] = Day(share * size, size)
    return found


@pytest.mark.parametrize(
    ("last", "is_alarming"),
    [
        ((0.39, 0.39, 0.39), True),
        ((0.40, 0.39, 0.39), False),
        ((0.39, 0.40, 0.39), False),
        ((0.39, 0.39, 0.40), False),
        ((0.5, 0.39, 0.39), False),
        ((0.39, None, 0.39), False),
    ],
)
def test_three_days_running_below_eighty_percent_of_the_mean(last, is_alarming):
    verdict = judge(series(*last), DAY, BELOW)
    assert verdict.is_alarming == is_alarming
    assert verdict.expected == pytest.approx(0.5)
    assert verdict.lowest == pytest.approx(0.4)


def test_the_sentence_says_what_was_measured():
    verdict = judge(series(0.3, 0.3, 0.3), DAY, BELOW)
    assert verdict.sentence.format(measured="30.0%", expected="50.0%") == (
        "30.0% on the last 3 days, below 80% of the mean of 50.0%"
    )


@pytest.mark.parametrize(("size", "is_alarming"), [(9, False), (10, False), (60, True)])
def test_small_channels_do_not_cry_wolf(size, is_alarming):
    """27 customers are below the minimum; 30 with 1 of 3 instead of half may be chance; 180 are not."""
    assert judge(series(0.35, 0.35, 0.35, size=size), DAY, BELOW).is_alarming == is_alarming


def test_a_young_channel_has_nothing_usual():
    assert not judge(series(0.1, 0.1, 0.1, days=16), DAY, BELOW).is_alarming
    assert judge(series(0.1, 0.1, 0.1, days=17), DAY, BELOW).is_alarming


def test_days_of_an_alarm_do_not_lower_what_is_usual():
    low = [0.2] * 13
    known = {DAY - timedelta(days=back) for back in range(3, 13)}
    assert judge(series(*low), DAY, BELOW).expected < 0.45
    assert judge(series(*low), DAY, BELOW, known).expected == pytest.approx(0.5)


def test_later_days_are_not_looked_at():
    known = series(0.39, 0.39, 0.39) | {DAY + timedelta(days=1): Day(0, 10_000)}
    assert judge(known, DAY, BELOW) == judge(series(0.39, 0.39, 0.39), DAY, BELOW)


def test_a_metric_that_is_no_share_is_judged_by_its_spread():
    steady = {DAY - timedelta(days=back): Day(1000 + 10 * (back % 3), 1) for back in range(60)}
    wild = {DAY - timedelta(days=back): Day(100 + 1800 * (back % 2), 1) for back in range(60)}
    rule = BelowMean(kind="below_mean", minimum_denominator=1)
    for known, is_alarming in ((steady, True), (wild, False)):
        for back in range(3):
            known[DAY - timedelta(days=back)] = Day(600, 1)
        assert judge(known, DAY, rule).is_alarming == is_alarming


def test_chance_alone_alarms_hardly_ever():
    """A hundred channels of 60 customers a day that buy as ever: three low days by chance are rare."""
    chance = random.Random(7)
    alarms = 0
    for _ in range(100):
        known = {
            DAY - timedelta(days=back): Day(sum(chance.random() < 0.3 for _ in range(60)), 60) for back in range(31)
        }
        alarms += judge(known, DAY, BELOW).is_alarming
    assert alarms <= 2


@pytest.mark.parametrize(
    ("numerator", "denominator", "bound"), [(0, 10, 0.2130), (5, 10, 0.7307), (10, 10, 1.0), (300, 1000, 0.3243)]
)
def test_wilsons_bound(numerator, denominator, bound):
    assert wilson_upper_bound(numerator, denominator, 0.95) == pytest.approx(bound, abs=2e-4)


def weeks(last: float, factor: float = 1.0) -> dict[date, Day]:
    """Eight weeks in which Saturdays and Sundays sell half as much again, slightly noisy, and the last day."""
    chance = random.Random(3)
    found = {}
    for back in range(70):
        day = DAY - timedelta(days=back)
        found[day] = Day((1000 + 500 * (day.weekday() >= 5) + chance.gauss(0, 20)) * factor, 1)
    found[DAY] = Day(last * factor, 1)
    return found


@pytest.mark.parametrize(
    ("last", "side", "is_alarming"),
    [
        (1500, "both", False),
        (1000, "below", True),
        (1000, "both", True),
        (1000, "above", False),
        (2000, "above", True),
        (2000, "below", False),
    ],
)
def test_a_sunday_is_compared_with_sundays(last, side, is_alarming):
    assert DAY.weekday() == 6
    verdict = judge(weeks(last), DAY, BAND.model_copy(update={"side": side}))
    assert verdict.is_alarming == is_alarming
    assert verdict.lowest < 1500 < verdict.highest
    assert bool(verdict.sentence) == is_alarming


def test_a_band_needs_weeks_to_learn_from():
    short = {day: found for day, found in weeks(10).items() if day > DAY - timedelta(days=20)}
    assert not judge(short, DAY, BAND).is_alarming


def test_several_days_must_be_outside():
    rule = BAND.model_copy(update={"days": 2})
    known = weeks(500)
    assert not judge(known, DAY, rule).is_alarming
    known[DAY - timedelta(days=1)] = Day(500, 1)
    assert judge(known, DAY, rule).is_alarming
    assert low_days(DAY, rule) == [DAY, DAY - timedelta(days=1)]


def test_a_day_with_nothing_is_not_outside():
    known = weeks(1500)
    del known[DAY]
    assert not judge(known, DAY, BAND).is_alarming
