"""A customer base as messy as real ones are, for judging guards: deliveries of five sources, and the truth apart.

Nine kinds of mess in the shares of `Mess`: second accounts, family phones, clerks who type their own number, made-up
values, tablets that a family shares, kiosks, phone numbers given out again, slips of the pen onto somebody else's
number, names and birth dates that are missing or wrong. Everything follows from the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

FIRST_MOMENT = datetime(2013, 1, 1)
LAST_MOMENT = datetime(2017, 12, 30)

DUMMY_PHONES = ("0000000000", "1111111111", "9999999999", "1234567890", "555-555-5555")
DUMMY_EMAILS = ("test@test.com", "none@none.com", "noemail@example.com", "no@no.no", "unknown@example.com")

CONSONANTS = "bcdfghjklmnprstvwz"
VOWELS = "aeiou"


@dataclass(frozen=True)
class Mess:
    """Shares of persons, accounts or records that something is the matter with."""

    second_account: float = 0.09
    family_phone: float = 0.10
    clerks_phone: float = 0.006
    dummy_phone: float = 0.015
    dummy_email: float = 0.01
    family_device: float = 0.12
    kiosks: int = 40
    recycled_phone: float = 0.015
    typo: float = 0.003
    missing_attributes: float = 0.15
    wrong_attributes: float = 0.03


@dataclass
class Person:
    """One human being, and the identifiers that are this one's alone."""

    number: int
    given_name: str
    surname: str
    birth_date: date
    phone: str
    email: str
    second_email: str
    card: str | None = None
    has_second: bool = False
    """Has a second account and mailbox, and uses both."""
    shared_phone: str | None = None
    """A phone of the family that this one gives instead, now and then."""
    busy: tuple[datetime, datetime] = (FIRST_MOMENT, LAST_MOMENT)
    """When this one is a customer."""


@dataclass
class Base:
    """Rows of the raw tables, by table, and who owns which identifier."""

    tables: dict[str, list[dict]] = field(default_factory=dict)
    truth: list[tuple[str, str, int]] = field(default_factory=list)
    """(identifier type, normalised value, person) of every identifier that was given by its owner; more than one row
    where somebody gave it again or, with a recycled phone, where two were its owners. Shared ones are not here."""

    def add(self, table: str, **row: object) -> None:
        """Deliver a row."""
        self.tables.setdefault(table, []).append(row)


def messy_base(persons: int, seed: int = 20170101, mess: Mess | None = None) -> Base:
    """Make the base. The same arguments give the same base."""
    return _Generator(random.Random(seed), mess or Mess()).make(persons)


class _Generator:
    def __init__(self, chance: random.Random, mess: Mess) -> None:
        self.chance = chance
        self.mess = mess
        self.base = Base()
        self.persons: list[Person] = []
        self.clerks: list[str] = []
        self.given_names = sorted({self._word(2, 3) for _ in range(900)})
        self.surnames = sorted({self._word(2, 4) for _ in range(6000)})
        self.numbers = iter(range(1, 10**9))

    def make(self, count: int) -> Base:
        persons = self.persons = [self._person(number) for number in range(count)]
        self._move_into_families(persons)
        self._give_numbers_out_again(persons)
        self.clerks = [self._phone(10**6 + clerk) for clerk in range(max(2, count // 6000))]
        for person in persons:
            self._loyalty_card(person)
            self._crm_accounts(person)
            account = self._web_account(person)
            self._devices(person, account)
            self._tickets(person)
        self._share_tablets(persons)
        self._kiosks(persons)
        return self.base

    def _word(self, fewest: int, most: int) -> str:
        length = self.chance.randint(fewest, most)
        return "".join(self.chance.choice(CONSONANTS) + self.chance.choice(VOWELS) for _ in range(length)).title()

    def _phone(self, number: int) -> str:
        # A full cycle of the numbers below 10^7, so that neighbours do not look alike and none comes twice.
        return f"612{(number * 7_368_787 + 1_234_567) % 10**7:07d}"

    def _person(self, number: int) -> Person:
        given, surname = self.chance.choice(self.given_names), self.chance.choice(self.surnames)
        mailbox = f"{given}.{surname}{number}".lower()
        return Person(
            number=number,
            given_name=given,
            surname=surname,
            birth_date=date(1940, 1, 1) + timedelta(days=self.chance.randrange(65 * 365)),
            phone=self._phone(number),
            email=f"{mailbox}@example.com",
            second_email=f"{mailbox}@example.org",
            card=f"{10**11 + number:012d}" if self.chance.random() < 0.5 else None,
            has_second=self.chance.random() < self.mess.second_account,
        )

    def _move_into_families(self, persons: list[Person]) -> None:
        """Neighbours in the list share a surname and a phone; the phone is nobody's alone."""
        first = 0
        while first < len(persons) - 3:
            size = self.chance.choice((2, 2, 3))
            if self.chance.random() < self.mess.family_phone / (size - self.mess.family_phone * (size - 1)):
                family = persons[first : first + size]
                for member in family:
                    member.surname = family[0].surname
                    member.shared_phone = self._phone(2 * 10**6 + family[0].number)
                first += size
            else:
                first += 1

    def _give_numbers_out_again(self, persons: list[Person]) -> None:
        """Somebody leaves, and months later somebody else has the number. It belongs to the one who has it now."""
        candidates = [person for person in persons if not person.shared_phone]
        leavers = self.chance.sample(candidates, 2 * int(len(persons) * self.mess.recycled_phone))
        for before, after in zip(leavers[::2], leavers[1::2], strict=True):
            leaves = FIRST_MOMENT + timedelta(days=self.chance.randint(300, 1100))
            before.busy = (FIRST_MOMENT, leaves)
            after.busy = (leaves + timedelta(days=self.chance.randint(90, 600)), LAST_MOMENT)
            after.phone = before.phone
            after.shared_phone = None

    def _moment(self, person: Person) -> datetime:
        first, last = person.busy
        return first + timedelta(seconds=self.chance.randrange(int((last - first).total_seconds())))

    def _own(self, identifier_type: str, value: str, person: Person) -> None:
        self.base.truth.append((identifier_type, value, person.number))

    def _phone_as_given(self, person: Person) -> str:
        draw = self.chance.random()
        if draw < self.mess.dummy_phone:
            return self.chance.choice(DUMMY_PHONES)
        if draw < self.mess.dummy_phone + self.mess.typo:
            return self.chance.choice(self.persons).phone
        if person.shared_phone and self.chance.random() < 0.6:
            return person.shared_phone
        self._own("phone", f"+1{person.phone}", person)
        return person.phone

    def _email_as_given(self, person: Person, address: str) -> str:
        if self.chance.random() < self.mess.dummy_email:
            return self.chance.choice(DUMMY_EMAILS)
        self._own("email", address, person)
        return address

    def _attributes(self, person: Person) -> dict[str, str | None]:
        given, surname, birth_date = person.given_name, person.surname, f"{person.birth_date:%Y%m%d}"
        if self.chance.random() < self.mess.wrong_attributes:
            match self.chance.randrange(3):
                case 0:
                    given, surname = surname, given
                case 1:
                    given = self.chance.choice(self.given_names)
                case _:
                    surname = self.chance.choice(self.surnames)
        if self.chance.random() < self.mess.wrong_attributes:
            place = self.chance.choice((3, 5, 7))
            birth_date = birth_date[:place] + self.chance.choice("123456789") + birth_date[place + 1 :]
        if self.chance.random() < self.mess.missing_attributes:
            match self.chance.randrange(3):
                case 0:
                    given = surname = None
                case 1:
                    birth_date = None
                case _:
                    given = surname = birth_date = None
        return {"given_name": given, "surname": surname, "date_of_birth": birth_date}

    def _maybe(self, share: float, value: str | None) -> str | None:
        return value if value is not None and self.chance.random() < share else None

    def _loyalty_card(self, person: Person) -> None:
        if person.card is None:
            return
        self._own("loyalty_card", person.card, person)
        self.base.add(
            "loyalty.cards",
            card_number=person.card,
            registered_at=self._moment(person),
            status="active",
            phone=self._phone_as_given(person) if self.chance.random() < 0.85 else None,
            email=self._email_as_given(person, person.email) if self.chance.random() < 0.6 else None,
            **self._attributes(person),
        )

    def _crm_accounts(self, person: Person) -> None:
        for account in range(2 if person.has_second else 1):
            number = f"C{next(self.numbers):07d}"
            self._own("crm_customer", number, person)
            phone = self._phone_as_given(person) if self.chance.random() < 0.95 else None
            if self.chance.random() < self.mess.clerks_phone:
                phone = self.chance.choice(self.clerks)
            address = person.second_email if account else person.email
            self.base.add(
                "crm.customers",
                customer_number=number,
                created_at=self._moment(person),
                phone=phone,
                email=self._email_as_given(person, address) if self.chance.random() < 0.85 else None,
                loyalty_card=self._maybe(0.7, person.card),
                **self._attributes(person),
            )

    def _web_account(self, person: Person) -> str | None:
        if self.chance.random() >= 0.5:
            return None
        number = f"W{next(self.numbers):07d}"
        self._own("web_account", number, person)
        self.base.add(
            "accounts.accounts",
            web_user_id=number,
            created_at=self._moment(person),
            email=self._email_as_given(person, person.email),
            phone=self._phone_as_given(person) if self.chance.random() < 0.5 else None,
            loyalty_card=self._maybe(0.3, person.card),
            **self._attributes(person),
        )
        return number

    def _devices(self, person: Person, account: str | None) -> None:
        if self.chance.random() >= 0.4:
            return
        number, address = f"A{next(self.numbers):07d}", self._mac()
        self._own("app_device", number, person)
        self._own("device_mac", address, person)
        self.base.add(
            "app.devices",
            app_device_id=number,
            installed_at=self._moment(person),
            web_user_id=self._maybe(0.9, account),
            device_mac=address,
            email=self._email_as_given(person, person.email) if self.chance.random() < 0.85 else None,
            phone=self._phone_as_given(person) if self.chance.random() < 0.5 else None,
        )
        for _ in range(self.chance.choice((0, 0, 1, 2, 5))):
            self._log_in(address, person)

    def _mac(self) -> str:
        return f"{0xA45E60000000 + next(self.numbers):012X}"

    def _log_in(self, address: str, person: Person) -> None:
        mailbox = person.second_email if person.has_second and self.chance.random() < 0.3 else person.email
        self._own("email", mailbox, person)
        self.base.add("wifi.sightings", device_mac=address, seen_at=self._moment(person), login_email=mailbox)

    def _tickets(self, person: Person) -> None:
        if self.chance.random() >= 0.2:
            return
        requester = f"R{next(self.numbers):07d}"
        self._own("support_requester", requester, person)
        for _ in range(self.chance.choice((1, 1, 2))):
            by_phone = self.chance.random() < 0.5
            self.base.add(
                "support.tickets",
                ticket_id=f"T{next(self.numbers):07d}",
                requester_id=requester,
                opened_at=self._moment(person),
                email=None if by_phone else self._email_as_given(person, person.email),
                phone=self._phone_as_given(person) if by_phone or self.chance.random() < 0.3 else None,
            )

    def _share_tablets(self, persons: list[Person]) -> None:
        """Two log in on one device; in two of three families one does so far more often. It is nobody's alone."""
        for first in range(0, len(persons) - 1, 2):
            if self.chance.random() >= self.mess.family_device:
                continue
            address = self._mac()
            one, other = persons[first], persons[first + 1]
            logins = self.chance.choice(((9, 1), (6, 2), (3, 2)))
            for person, times in zip((one, other), logins, strict=True):
                for _ in range(times):
                    self._log_in(address, person)

    def _kiosks(self, persons: list[Person]) -> None:
        for _ in range(self.mess.kiosks):
            address = self._mac()
            for person in self.chance.choices(persons, k=self.chance.randint(50, 400)):
                self._log_in(address, person)
