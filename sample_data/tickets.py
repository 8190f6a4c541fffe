"""The help desk: who asks for what, when, and how content they are afterwards. All texts are made up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sample_data.contacts import Person, Rates, show_email, show_phone

TIME_ZONE = "America/New_York"

TOPICS = {
    "delivery": (
        0.24,
        2.9,
        (
            "My delivery of {day} has not come yet. Can you tell me where it is?",
            "Half of the bags were missing when the order arrived on {day}.",
            "The driver left everything at the wrong door. I live in {suburb}.",
        ),
    ),
    "refund": (
        0.18,
        2.6,
        (
            "I was charged twice on {day}, please send one of the payments back.",
            "The till took the full price although the shelf said it was reduced. I want my {amount} dollars back.",
            "Still waiting for the refund of {amount} dollars you promised me.",
        ),
    ),
    "quality": (
        0.15,
        3.0,
        (
            "The milk I bought on {day} was sour.",
            "Two of the avocados were brown inside. Not what I expect for {amount} dollars.",
            "There was a hair in the salad. I threw it away.",
        ),
    ),
    "loyalty_points": (
        0.13,
        3.6,
        (
            "My points from {day} are not on my card.",
            "How many points do I need for the knife set?",
            "I lost my card, please move my points to a new one. The form was filled in under {name}.",
        ),
    ),
    "account": (
        0.12,
        3.5,
        (
            "I cannot log in any more, the link in the e-mail does not work.",
            "Please change my address, I have moved to {suburb}.",
            "Please delete the second account under my name, {name}.",
        ),
    ),
    "coupon": (
        0.10,
        3.2,
        (
            "The coupon was not accepted on {day} although it is still valid.",
            "I never got the coupons my neighbour got. Am I not on the list?",
            "The app shows a coupon, but the till took off nothing.",
        ),
    ),
    "product_availability": (
        0.08,
        3.8,
        (
            "When will you have the gluten-free bread again?",
            "The store was out of eggs on {day}, again.",
        ),
    ),
}
"""Topic -> share of all tickets, mean satisfaction (1 to 5), texts."""

GREETINGS = ("Hello, ", "Hi, this is {name}. ", "Good morning, ", "", "Dear team, my name is {name}. ", "")
ENDINGS = ("", " Thank you.", " Please call me back.", " Regards, {name}", " This is the second time I write.")

CHANNELS = {"email": 0.5, "phone": 0.3, "chat": 0.2}

HOUR_WEIGHTS = np.array([0] * 7 + [1, 3, 6, 8, 8, 6, 6, 7, 7, 6, 5, 4, 3, 2, 1] + [0] * 2, dtype=float)
"""Tickets by local hour of the day; the desk works from 7 to 22."""


def make_tickets(
    requesters: pd.DataFrame,
    persons: dict[int, Person],
    days: pd.DatetimeIndex,
    rates: Rates,
    rng: np.random.Generator,
    bad_channels: int,
) -> pd.DataFrame:
    """Make the tickets of the requesters (person, requester_id, given_name, surname, suburb), two each on average.

    days: local days on which tickets may come in; time stamps of the result are UTC without a zone, in time order.
    bad_channels: so many additional tickets carry a channel that the help desk does not have.
    """
    rows = []
    end = _to_utc(days[-1] + pd.Timedelta(hours=23))
    # Weekdays bring more than weekends.
    day_weights = np.where(days.day_of_week < 5, 1.0, 0.45)
    day_weights /= day_weights.sum()
    # Everybody asks once; then a few ask again and again.
    eagerness = rng.pareto(1.6, size=len(requesters)) + 0.05
    repeats = rng.choice(len(requesters), size=len(requesters), p=eagerness / eagerness.sum())
    asking = [*range(len(requesters)), *repeats.tolist()]
    records = list(requesters.itertuples())
    for place, number in enumerate([*asking, *rng.choice(len(requesters), size=bad_channels).tolist()]):
        record = records[number]
        bad = place >= len(asking)
        rows.append(_ticket(record, persons[record.person], days, day_weights, end, bad, rates, rng))
    tickets = pd.DataFrame(rows).sort_values(["opened_at", "requester_id"], ignore_index=True)
    tickets.insert(0, "ticket_id", [f"T{100_001 + number:06d}" for number in range(len(tickets))])
    return tickets


def _ticket(
    record: tuple,
    person: Person,
    days: pd.DatetimeIndex,
    day_weights: np.ndarray,
    end: pd.Timestamp,
    bad: bool,
    rates: Rates,
    rng: np.random.Generator,
) -> dict:
    channel = "fax" if bad else str(rng.choice(list(CHANNELS), p=list(CHANNELS.values())))
    topic = str(rng.choice(list(TOPICS), p=[share for share, _, _ in TOPICS.values()]))
    _, mean_satisfaction, texts = TOPICS[topic]
    local = days[rng.choice(len(days), p=day_weights)]
    local += pd.Timedelta(hours=int(rng.choice(24, p=HOUR_WEIGHTS / HOUR_WEIGHTS.sum())))
    local += pd.Timedelta(seconds=int(rng.integers(3_600)))
    opened_at = _to_utc(local)
    hours = float(rng.lognormal(mean=2.2, sigma=1.1))
    closed_at = (opened_at + pd.Timedelta(hours=hours)).floor("s")
    # Two of a hundred are forgotten; the others are open only if they came in at the very end.
    closed = closed_at < end and rng.random() >= 0.02
    name = " ".join(part.title() for part in (record.given_name, record.surname) if part) or None
    # Quick answers please; six of ten customers say how they liked it.
    mean = mean_satisfaction + (0.5 if hours < 6 else -0.4 if hours > 30 else 0.0)
    satisfaction = int(np.clip(round(rng.normal(mean, 1.0)), 1, 5)) if closed and rng.random() < 0.6 else None
    text = rng.choice(GREETINGS) + rng.choice(texts) + rng.choice(ENDINGS)
    message = text.format(
        name=name or "a customer",
        suburb=(record.suburb or "town").title(),
        day=(local - pd.Timedelta(days=int(rng.integers(1, 6)))).day_name(),
        amount=int(rng.integers(3, 60)),
    )
    return {
        "opened_at": opened_at,
        "closed_at": closed_at if closed else pd.NaT,
        "channel": channel,
        "topic": topic,
        "satisfaction": satisfaction,
        "requester_id": record.requester_id,
        "requester_name": name if rng.random() < 0.9 else None,
        # Who writes is known by the address written from, who calls by the number called from; the other is asked for.
        "email": show_email(person, rates, rng, missing=0.5 if channel == "phone" else rates.missing),
        "phone": show_phone(person, rates, rng, missing=rates.missing if channel == "phone" else 0.35),
        "message": message,
    }


def _to_utc(local: pd.Timestamp) -> pd.Timestamp:
    return local.tz_localize(TIME_ZONE).tz_convert("UTC").tz_localize(None)
