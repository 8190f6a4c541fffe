"""Made-up contact data: what each person has, and how a person's record shows it, with known rates of error."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

import numpy as np
import pandas as pd

EMAIL_DOMAINS = ("example.com", "example.org", "example.net")
"""Reserved by RFC 2606: mail to them reaches nobody."""

DUMMY_EMAILS = ("none@example.com", "noemail@example.com", "noemail@example.org", "test@test.com", "na@example.net")
DUMMY_PHONES = ("000-000-0000", "0000000000", "555-555-5555", "5555555555", "(999) 999-9999", "123-456-7890")
"""What clerks and customers type to get past a required field. They belong to nobody and must link nobody."""


@dataclass(frozen=True)
class Rates:
    """How often contact data are wrong, and how often records name each other; shares from 0 to 1."""

    missing: float = 0.08
    """A record leaves the e-mail, or the phone, empty."""
    alternate: float = 0.08
    """A record shows the person's second e-mail or phone."""
    typo: float = 0.01
    dummy_email: float = 0.01
    dummy_phone: float = 0.015
    family_phone: float = 0.04
    """Persons whose phone is the phone of another holder of a loyalty card, too."""
    family_phone_on_form: float = 0.96
    """Members of such a family who wrote that phone on the form of their card."""
    second_device: float = 0.35
    form_is_original: float = 0.85
    """Holders whose form is the clean record of the person and not a dirty one (where there is a dirty one)."""
    card_in_crm: float = 0.40
    card_in_account: float = 0.40
    account_in_app: float = 0.65
    """App devices that name the web account, of those whose owner has one."""
    device_mac_in_app: float = 0.75
    missing_in_app: float = 0.15
    """The app asks for e-mail and phone, but does not insist."""


@dataclass(frozen=True)
class Person:
    """What one person really has."""

    emails: tuple[str, str]
    phones: tuple[str, str]
    """Ten digits each, area code 555."""
    devices: tuple[str, ...]
    """One or two network addresses, twelve hexadecimal digits each."""
    family: bool
    """Shares the first phone with another person."""


def make_persons(originals: pd.DataFrame, rates: Rates, rng: np.random.Generator) -> dict[int, Person]:
    """Give each person contact data of their own. `originals`: one record per person; keyed by `person`."""
    count = len(originals)
    phones = iter(unique_phones(2 * count, rng))
    devices = iter(unique_devices(2 * count, rng))
    taken: set[str] = set()
    persons = {}
    for row in originals.itertuples():
        persons[row.person] = Person(
            emails=(_new_email(row, taken, rng), _new_email(row, taken, rng)),
            phones=(next(phones), next(phones)),
            devices=tuple(next(devices) for _ in range(1 + (rng.random() < rates.second_device))),
            family=False,
        )
    return _share_family_phones(persons, rates, rng)


def unique_phones(count: int, rng: np.random.Generator) -> list[str]:
    """Phone numbers with the area code 555, which is not in use. No number of DUMMY_PHONES is among them."""
    # Exchange codes start with 2 to 9; 555-555-xxxx is left to the dummies.
    numbers = rng.choice(8_000_000, size=count + count // 100 + 10, replace=False) + 2_000_000
    return [f"555{number}" for number in numbers if number // 10_000 != 555][:count]


def unique_devices(count: int, rng: np.random.Generator) -> list[str]:
    """Network addresses that are locally administered and of one device, so that none is of a real maker."""
    return [f"{0x020000000000 | int(number):012x}" for number in rng.choice(2**40, size=count, replace=False)]


def show_email(
    person: Person, rates: Rates, rng: np.random.Generator, *, missing: float, dummy: float | None = None
) -> str | None:
    """The e-mail as one record has it: missing, a dummy, the second one, mistyped, and in any case badly formatted."""
    dummy = rates.dummy_email if dummy is None else dummy
    fate, second, wrong = rng.random(3)
    if fate < missing:
        return None
    if fate < missing + dummy:
        return str(rng.choice(DUMMY_EMAILS))
    email = person.emails[int(second < rates.alternate)]
    return format_email(_mistype_email(email, rng) if wrong < rates.typo else email, rng)


def show_phone(person: Person, rates: Rates, rng: np.random.Generator, *, missing: float) -> str | None:
    """The phone as one record has it, see `show_email`."""
    fate, second, wrong = rng.random(3)
    if fate < missing:
        return None
    if fate < missing + rates.dummy_phone:
        return str(rng.choice(DUMMY_PHONES))
    phone = person.phones[int(second < rates.alternate)]
    return format_phone(_mistype_phone(phone, rng) if wrong < rates.typo else phone, rng)


def format_email(email: str, rng: np.random.Generator) -> str:
    """Change case and blanks as people do; lower case without blanks around gives the address back."""
    style = rng.random()
    if style < 0.70:
        return email
    if style < 0.88:
        return email.title()
    return email.upper() if style < 0.94 else f" {email} "


def format_phone(digits: str, rng: np.random.Generator) -> str:
    """Write ten digits in one of the usual ways; its last ten digits give the number back."""
    area, exchange, line = digits[:3], digits[3:6], digits[6:]
    styles = (
        digits,
        f"{area}-{exchange}-{line}",
        f"({area}) {exchange}-{line}",
        f"{area}.{exchange}.{line}",
        f"+1 {area} {exchange} {line}",
        f"+1{digits}",
        f"1-{area}-{exchange}-{line}",
    )
    return styles[rng.integers(len(styles))]


def format_device(device: str, style: int) -> str:
    """Write twelve hexadecimal digits as a network address; makers of access points differ in four styles."""
    pairs = [device[start : start + 2] for start in range(0, 12, 2)]
    address = ("-" if style & 1 else ":").join(pairs)
    return address.upper() if style & 2 else address


def _new_email(row: tuple, taken: set[str], rng: np.random.Generator) -> str:
    given = re.sub("[^a-z]", "", (row.given_name or "").lower()) or "customer"
    surname = re.sub("[^a-z]", "", (row.surname or "").lower()) or "shopper"
    while True:
        number = rng.integers(10, 10_000)
        styles = (f"{given}.{surname}{number}", f"{given[0]}{surname}{number}", f"{given}{number}")
        email = f"{styles[rng.integers(3)]}@{rng.choice(EMAIL_DOMAINS, p=(0.5, 0.25, 0.25))}"
        if email not in taken:
            taken.add(email)
            return email


def _share_family_phones(persons: dict[int, Person], rates: Rates, rng: np.random.Generator) -> dict[int, Person]:
    pairs = round(len(persons) * rates.family_phone / 2)
    members = rng.choice(list(persons), size=(pairs, 2), replace=False)
    for first, second in members.tolist():
        phone = persons[first].phones[0]
        for member in (first, second):
            person = persons[member]
            persons[member] = Person(person.emails, (phone, person.phones[1]), person.devices, family=True)
    return persons


def _mistype_email(email: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(email.index("@")))
    letter = rng.choice([other for other in string.ascii_lowercase if other != email[place]])
    return f"{email[:place]}{letter}{email[place + 1 :]}"


def _mistype_phone(phone: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(3, 10))
    digit = (int(phone[place]) + int(rng.integers(1, 10))) % 10
    return f"{phone[:place]}{digit}{phone[place + 1 :]}"
