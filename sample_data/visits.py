"""Store WiFi: devices seen on their way through a store, some of them of customers who pay at its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sample_data.contacts import Person, Rates, format_device, show_email, unique_devices
from sample_data.landing import BROKEN_LINE

ZONES = ("produce", "bakery", "dairy", "meat", "frozen", "grocery")
COLUMNS = ["device_mac", "seen_at", "store_id", "zone", "signal_dbm", "login_email", BROKEN_LINE]


@dataclass(frozen=True)
class VisitScale:
    """How much of the shopping the access points see."""

    persons: float = 0.085
    """Persons with WiFi switched on, of all."""
    trips: float = 0.40
    """Trips of such a person that leave sightings."""
    logs_in: float = 0.45
    """Such persons who give the WiFi portal their e-mail address, in half of their visits."""
    passers_by: int = 1_800
    """Visits of devices that never tell whose they are, over the whole time."""
    busy_days: int = 4
    """Days with the most baskets: then many more strangers come."""
    busy_day_visits: int = 230
    """Additional visits of strangers on each busy day."""
    broken_lines: int = 3
    """Lines that no schema fits, on each busy day."""


def make_sightings(
    trips: pd.DataFrame,
    persons: dict[int, Person],
    app_owners: list[int],
    scale: VisitScale,
    rates: Rates,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Make the sightings of devices by access points, in time order, with some broken lines.

    trips: one row per basket: person (null for anonymous cards), store_id, sold_at (UTC), in time order.
    app_owners: persons whose device address the app knows; half of those seen are taken from them.
    """
    rows: list[tuple] = []
    seen_persons = _pick_persons(list(persons), app_owners, round(len(persons) * scale.persons), rng)
    for number in seen_persons:
        own_trips = trips[trips["person"] == number]
        _add_customer(rows, own_trips, persons[number], scale, rates, rng)
    _add_strangers(rows, trips, scale.passers_by, rng)
    days = trips["sold_at"].dt.normalize()
    busy = days.value_counts(sort=False).nlargest(scale.busy_days).index
    for day in busy:
        _add_strangers(rows, trips[days == day], scale.busy_day_visits, rng)
    sightings = pd.DataFrame(rows, columns=COLUMNS)
    sightings = sightings.drop_duplicates(["device_mac", "seen_at"]).sort_values(["seen_at", "device_mac"])
    return _add_broken_lines(sightings, sorted(busy), scale.broken_lines)


def _pick_persons(everyone: list[int], app_owners: list[int], count: int, rng: np.random.Generator) -> list[int]:
    owners = set(app_owners)
    from_app = min(count // 2, len(app_owners))
    others = [number for number in everyone if number not in owners]
    picked = [*rng.choice(app_owners, from_app, replace=False), *rng.choice(others, count - from_app, replace=False)]
    return sorted(int(number) for number in picked)


def _add_customer(
    rows: list[tuple],
    trips: pd.DataFrame,
    person: Person,
    scale: VisitScale,
    rates: Rates,
    rng: np.random.Generator,
) -> None:
    logs_in = rng.random() < scale.logs_in
    previous = None
    for trip in trips.itertuples():
        # Two baskets paid within a short time are one visit.
        too_soon = previous is not None and trip.sold_at - previous < pd.Timedelta(hours=2)
        if rng.random() >= scale.trips or too_soon:
            continue
        previous = trip.sold_at
        # Most people carry the same phone every time.
        device = person.devices[-1] if rng.random() < 0.2 else person.devices[0]
        email = None
        if logs_in and rng.random() < 0.5:
            email = show_email(person, rates, rng, missing=0.0)
        path = ["entrance", *rng.choice(ZONES, size=rng.integers(1, 5), replace=False), "checkout"]
        seconds_back = int(rng.integers(20, 240))
        _add_path(rows, device, path, trip.sold_at, seconds_back, trip.store_id, email, rng)


def _add_strangers(rows: list[tuple], trips: pd.DataFrame, visits: int, rng: np.random.Generator) -> None:
    if trips.empty or not visits:
        return
    devices = unique_devices(visits, rng)
    chosen = trips.iloc[rng.integers(len(trips), size=visits)]
    for number, trip in enumerate(chosen.itertuples()):
        # Every fourth stranger has been here before; the others' phones change their address each time.
        device = devices[number // 8] if rng.random() < 0.25 else devices[number]
        path = ["entrance", *rng.choice(ZONES, size=rng.integers(0, 3), replace=False)]
        _add_path(rows, device, path, trip.sold_at, int(rng.integers(60, 3_600)), trip.store_id, None, rng)


def _add_path(
    rows: list[tuple],
    device: str,
    path: list[str],
    end: pd.Timestamp,
    seconds_back: int,
    store_id: int,
    email: str | None,
    rng: np.random.Generator,
) -> None:
    """Add one visit: the zones of `path` in order, the last of them `seconds_back` before `end`."""
    # The access points of a store are of one maker, so a device looks the same whenever that store sees it.
    address = format_device(device, int(store_id) % 4)
    steps = rng.integers(40, 420, size=len(path))
    for place in range(len(path) - 1, -1, -1):
        seen_at = (end - pd.Timedelta(seconds=seconds_back)).floor("s")
        # Weak signals are not always reported.
        signal = None if rng.random() < 0.03 else int(rng.integers(-88, -38))
        rows.append((address, seen_at, int(store_id), str(path[place]), signal, email, None))
        seconds_back += int(steps[place])


def _add_broken_lines(sightings: pd.DataFrame, days: list[pd.Timestamp], lines: int) -> pd.DataFrame:
    """Add lines which no reader can take: torn, of a wrong type, without an address, with a wrong one."""
    broken = []
    for day in days:
        for number in range(lines):
            seen_at = day + pd.Timedelta(hours=14 + number)
            texts = (
                "02:6f:1c:90",
                f"02:6f:1c:90:aa:1{number},{day:%Y-%m-%d} 25:61:00,367,produce,-60,",
                f"02:6f:1c:90:ab:1{number},{seen_at},367,bakery,weak,",
                f",{seen_at},406,entrance,-70,",
                f"02:6f:1c:90:xy:1{number},{seen_at},343,dairy,-55,",
                f"02:6f:1c:90:ac:1{number},{seen_at},343",
            )
            broken.append((None, seen_at, None, None, None, None, texts[len(broken) % len(texts)]))
    return pd.concat([sightings, pd.DataFrame(broken, columns=COLUMNS)], ignore_index=True)
