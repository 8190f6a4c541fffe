"""When a metric is alarming: below a share of its trailing mean for days, or outside the band that is forecast."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist

from tagloom.monitoring.declarations import BelowMean, Rule, SeasonalBand


@dataclass(frozen=True)
class Day:
    """A metric on one day: numerator / denominator."""

    numerator: float
    denominator: float

    @property
    def value(self) -> float | None:
        """None when nothing happened that could be measured."""
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a day."""

    is_alarming: bool
    measured: float | None = None
    """Value of the day; of several days together where the rule looks at several."""
    expected: float | None = None
    """Trailing mean, or forecast; None when too little is known."""
    lowest: float | None = None
    highest: float | None = None
    """Bounds of what is allowed; None where there is none."""
    sentence: str = ""
    """What is alarming, with {measured} and {expected} where the values go; empty when nothing is."""


def judge(series: Mapping[date, Day], day: date, rule: Rule, alarming_days: Set[date] = frozenset()) -> Verdict:
    """Apply a rule to the day; days after it are not looked at, days of earlier alarms are no example of what is usual.

    A day that is missing in the series had nothing to measure.
    """
    return (
        _below_mean(series, day, rule, alarming_days)
        if isinstance(rule, BelowMean)
        else _seasonal_band(series, day, rule, alarming_days)
    )


def low_days(day: date, rule: Rule) -> list[date]:
    """The days that an alarm on this day is about."""
    return [day - timedelta(days=back) for back in range(rule.days)]


def wilson_upper_bound(numerator: float, denominator: float, confidence: float) -> float:
    """Upper end of the one-sided confidence interval of a share.

    Source: E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    z = NormalDist().inv_cdf(confidence)
    share = min(numerator / denominator, 1.0)
    middle = share + z * z / (2 * denominator)
    spread = z * math.sqrt(share * (1 - share) / denominator + z * z / (4 * denominator * denominator))
    return (middle + spread) / (1 + z * z / denominator)


def _below_mean(series: Mapping[date, Day], day: date, rule: BelowMean, alarming: Set[date]) -> Verdict:
    last = [series.get(when, Day(0, 0)) for when in low_days(day, rule)]
    before = [
        found
        for back in range(rule.days, rule.days + rule.mean_of_days)
        if (when := day - timedelta(days=back)) not in alarming and (found := series.get(when))
    ]
    together, usual = _together(last), _together(before)
    if usual.value is None or len(before) < rule.mean_of_days // 2:
        return Verdict(False, together.value)
    limit = rule.share * usual.value
    is_low = all(found.value is not None and found.value < limit for found in last)
    is_alarming = (
        is_low and together.denominator >= rule.minimum_denominator and _is_surely_below(together, before, rule)
    )
    sentence = f"{{measured}} on the last {rule.days} days, below {rule.share:.0%} of the mean of {{expected}}"
    return Verdict(is_alarming, together.value, usual.value, limit, None, sentence if is_alarming else "")


def _is_surely_below(together: Day, before: list[Day], rule: BelowMean) -> bool:
    """Whether chance alone would hardly make the days so low."""
    usual = _together(before)
    if usual.value <= 1 and together.numerator <= together.denominator:
        return wilson_upper_bound(together.numerator, together.denominator, rule.confidence) < usual.value
    # Not a share: the spread of the days before says how far a mean of so many days strays.
    values = [found.value for found in before if found.value is not None]
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1))
    return together.value < mean - NormalDist().inv_cdf(rule.confidence) * spread / math.sqrt(rule.days)


def _seasonal_band(series: Mapping[date, Day], day: date, rule: SeasonalBand, alarming: Set[date]) -> Verdict:
    first = day - timedelta(days=rule.learnt_from_days + rule.days - 1)
    known = [first + timedelta(days=number) for number in range(rule.learnt_from_days)]
    learnt = [series[when].value if when in series and when not in alarming else None for when in known]
    present = [value for value in learnt if value is not None]
    if len(present) < max(2 * rule.period_days + 1, len(learnt) // 2):
        return Verdict(False, series[day].value if day in series else None)
    forecast, spread = _forecast(_filled(learnt, rule.period_days), rule)
    z = NormalDist().inv_cdf((1 + rule.confidence) / 2)
    outside = []
    for number in range(rule.days):
        found = series.get(day - timedelta(days=rule.days - 1 - number), Day(0, 0))
        low, high = forecast[number] - z * spread, forecast[number] + z * spread
        is_low = rule.side != "above" and found.value is not None and found.value < low
        is_high = rule.side != "below" and found.value is not None and found.value > high
        outside.append((is_low or is_high) and found.denominator >= rule.minimum_denominator)
    measured = series[day].value if day in series else None
    days = "" if rule.days == 1 else f" for {rule.days} days"
    way = "below" if measured is not None and measured < low else "above"
    sentence = f"{{measured}}, {way} the band around {{expected}} that the weeks before forecast{days}"
    return Verdict(all(outside), measured, forecast[-1], low, high, sentence if all(outside) else "")


def _forecast(values: list[float], rule: SeasonalBand) -> tuple[list[float], float]:
    """Additive Holt-Winters forecast of the next days, and the standard deviation of its errors one day ahead.

    Source: statsmodels, ExponentialSmoothing; P. R. Winters (1960), Forecasting sales by exponentially weighted moving
    averages, Management Science 6. A damped trend: a rise of some weeks does not go on for ever.
    """
    # Brings SciPy: only a monitor with such a rule pays for it.
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    with warnings.catch_warnings():
        # A flat series needs no optimum; the forecast is then the series itself.
        warnings.simplefilter("ignore")
        fitted = ExponentialSmoothing(
            values,
            trend="add",
            damped_trend=True,
            seasonal="add",
            seasonal_periods=rule.period_days,
            initialization_method="estimated",
        ).fit()
    errors = [value - fit for value, fit in zip(values, fitted.fittedvalues, strict=True)]
    spread = math.sqrt(sum(error * error for error in errors) / max(len(errors) - 1, 1))
    return [float(value) for value in fitted.forecast(rule.days)], spread


def _filled(values: list[float | None], period: int) -> list[float]:
    """Put what is usual for its day of the season in the place of a day that says nothing."""
    known = [value for value in values if value is not None]
    mean = sum(known) / len(known)
    filled = []
    for position, value in enumerate(values):
        same = [other for other in values[position % period :: period] if other is not None]
        filled.append(value if value is not None else (sum(same) / len(same) if same else mean))
    return filled


def _together(days: Iterable[Day]) -> Day:
    days = list(days)
    return Day(sum(day.numerator for day in days), sum(day.denominator for day in days))
