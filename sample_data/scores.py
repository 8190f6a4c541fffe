"""The data science team's deliveries: what its models expect of every card. All of it is made up from purchases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

COLUMNS = ["card_number", "model", "model_version", "score", "scored_at"]

MODELS = ("purchase_7d", "churn_60d")
"""The holder of the card buys within 7 days; buys nothing within 60 days."""


@dataclass(frozen=True)
class ScoreRuns:
    """When the models run, and whom they score."""

    every_days: int = 28
    known_days: int = 84
    """A run needs so many days of purchases before it, and scores the cards that bought in them."""
    before_end: int = 6
    """Days from the newest run to the end of the purchases."""
    hour: int = 8
    """UTC; in the stores' time zone it is the same day."""


def make_scores(lines: pd.DataFrame, runs: ScoreRuns, rng: np.random.Generator) -> pd.DataFrame:
    """Score all cards that bought lately, at each run, from what had been bought by then.

    lines: basket lines with card_number, basket_id and sold_at (UTC without a zone), in time order.
    No model is behind it: the more often a card bought, and the shorter it has been silent against its own rhythm, the
    likelier it buys again. Then each card has a leaning of its own, which hardly changes from run to run. The version
    changes from 1.4 to 2.0 with the newest two runs.
    """
    baskets = lines.drop_duplicates("basket_id")[["card_number", "sold_at"]]
    cards = np.sort(baskets["card_number"].unique())
    leanings = pd.DataFrame(rng.normal(0, 0.4, size=(len(cards), len(MODELS))), index=cards, columns=list(MODELS))
    moments = _runs(baskets["sold_at"].min(), baskets["sold_at"].max(), runs)
    parts = [
        _score(baskets, moment, "2.0" if place >= len(moments) - 2 else "1.4", leanings, runs, rng)
        for place, moment in enumerate(moments)
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _runs(first: pd.Timestamp, last: pd.Timestamp, runs: ScoreRuns) -> list[pd.Timestamp]:
    """The moments of all runs, oldest first; the newest one is there however short the time is."""
    newest = last.normalize() - pd.Timedelta(days=runs.before_end) + pd.Timedelta(hours=runs.hour)
    earliest = first.normalize() + pd.Timedelta(days=runs.known_days)
    moments = [newest]
    while moments[-1] - pd.Timedelta(days=runs.every_days) >= earliest:
        moments.append(moments[-1] - pd.Timedelta(days=runs.every_days))
    return moments[::-1]


def _score(
    baskets: pd.DataFrame,
    moment: pd.Timestamp,
    version: str,
    leanings: pd.DataFrame,
    runs: ScoreRuns,
    rng: np.random.Generator,
) -> pd.DataFrame:
    known = baskets[baskets["sold_at"].between(moment - pd.Timedelta(days=runs.known_days), moment, inclusive="left")]
    cards = known.groupby("card_number")["sold_at"].agg(["count", "max"])
    a_day = cards["count"].to_numpy() / runs.known_days
    silent_days = ((moment - cards["max"]) / pd.Timedelta(days=1)).to_numpy()
    # How many purchases the silence has cost, by the card's own rhythm; one or two mean little.
    missed = np.maximum(silent_days * a_day - 1, 0)
    chances = {
        "purchase_7d": 1 - np.exp(-7 * a_day / (1 + missed)),
        "churn_60d": np.exp(-60 * a_day / (1 + missed) / 4),
    }
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "card_number": cards.index,
                    "model": model,
                    "model_version": version,
                    "score": _shifted(
                        chances[model], leanings.loc[cards.index, model] + rng.normal(0, 0.1, size=len(cards))
                    ),
                    "scored_at": moment,
                }
            )
            for model in MODELS
        ],
        ignore_index=True,
    )


def _shifted(chances: np.ndarray, shifts: pd.Series) -> np.ndarray:
    """Move chances up and down, so that they stay between 0 and 1; four decimals."""
    kept = np.clip(chances, 0.002, 0.998)
    odds = np.log(kept / (1 - kept)) + shifts.to_numpy()
    return np.round(1 / (1 + np.exp(-odds)), 4)
