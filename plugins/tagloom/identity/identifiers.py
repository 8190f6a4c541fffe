"""Identifiers as people type them: normalised and hashed just as macros/identity do it, and found in the registry."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import phonenumbers

if TYPE_CHECKING:
    import duckdb

    from tagloom.identity.policy import Policy

SHOWN_DIGITS = 8
"""Hexadecimal digits of a hash that people see."""


class IdentifierError(ValueError):
    """What somebody typed is no identifier, or one that nobody knows; the message says what to type instead."""


MAC_DIGITS = 12


@dataclass(frozen=True, order=True)
class Identifier:
    """An identifier of the registry."""

    key: int
    """identifier_key"""
    type: str
    hash: str
    """Keyed hash of the normalised value, 64 hexadecimal digits."""

    def __str__(self) -> str:
        """Type, number and the beginning of the hash: `phone key:12 (3f9a1c2b…)`."""
        return f"{self.type} key:{self.key} ({masked(self.hash)})"


def masked(identifier_hash: str) -> str:
    """The beginning of a hash, enough to tell one value from another."""
    return identifier_hash[:SHOWN_DIGITS] + "…"


def parse_identifier(text: str, policy: Policy) -> tuple[str, str]:
    """`phone:+1 (612) 555-0100` -> ("phone", "+16125550100").

    Raises IdentifierError when the type is unknown or the value is none of that type.
    """
    identifier_type, colon, value = text.partition(":")
    identifier_type = identifier_type.strip()
    types = policy.identifier_types
    if not colon or identifier_type not in types:
        close = get_close_matches(identifier_type, types, n=1)
        meant = f"; did you mean {close[0]}?" if close else "."
        raise IdentifierError(
            f"{text!r} does not begin with an identifier type and a colon{meant} Types are {', '.join(sorted(types))}; "
            "key:123 names an identifier by its number. Example: phone:+16125550100"
        )
    normalised = normalise(identifier_type, value, strips_plus_tags=policy.plus_tags == "strip")
    if normalised is None:
        raise IdentifierError(f"{value.strip()!r} is no {identifier_type}{_HINTS.get(identifier_type, '.')}")
    return identifier_type, normalised


_HINTS = {
    "phone": ": give the number with its country code, for example phone:+16125550100.",
    "device_mac": ": give twelve hexadecimal digits, for example device_mac:a4:5e:60:c2:91:0f.",
}


def normalise(identifier_type: str, value: str, *, strips_plus_tags: bool = False) -> str | None:
    """The one spelling of an identifier, as the macro `normalise_identifier` makes it; None when nothing is left."""
    if identifier_type == "phone":
        return normalise_phone(value)
    if identifier_type == "device_mac":
        digits = re.sub("[^0-9A-Fa-f]", "", value).upper()
        return digits if len(digits) == 12 else None
    # The macros trim spaces only.
    value = value.strip(" ")
    if identifier_type == "email":
        value = "".join(map(_lower, value))
        if strips_plus_tags:
            value = re.sub("[+][^@]*@", "@", value)
    return value or None


def normalise_phone(value: str) -> str | None:
    """E.164, or None when it can be no telephone number. Without a leading + or 00 it is one of `phone_region`."""
    # Elsewhere 00 is dialled to leave the country, and people write it everywhere.
    international = re.sub(r"^[\s(]*00", "+", value)
    try:
        number = phonenumbers.parse(international, phone_region())
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_region() -> str:
    """Region whose numbers are written without a country code, ISO 3166: that of TAGLOOM_COUNTRY_CODE, default US."""
    code = os.environ.get("TAGLOOM_COUNTRY_CODE") or "1"
    region = phonenumbers.region_code_for_country_code(int(code)) if code.isdecimal() else "ZZ"
    if region == "ZZ":
        raise IdentifierError(
            f"TAGLOOM_COUNTRY_CODE must be the calling code of a country, such as 1 or 86, not {code}."
        )
    return region


def identifier_hash(identifier_type: str, normalised: str, key: bytes) -> str:
    """HMAC-SHA-256 of `<type>:<normalised value>` as 64 hexadecimal digits, as the macro `identifier_hash` makes it."""
    return hmac.new(key, f"{identifier_type}:{normalised}".encode(), hashlib.sha256).hexdigest()


def find_identifier(connection: duckdb.DuckDBPyConnection, text: str, policy: Policy, key: bytes) -> Identifier:
    """The identifier that somebody typed: `<type>:<value>` or `key:<number>`.

    Raises IdentifierError when it cannot be read, or when no record that identity mapping has seen shows it.
    """
    prefix, _, number = text.partition(":")
    if prefix.strip() == "key":
        if not number.strip().isdecimal():
            raise IdentifierError(f"{text!r}: after key: comes the number of an identifier, as in key:123.")
        found = _find(connection, "identifier_key = ?", [int(number)])
        if not found:
            raise IdentifierError(
                f"No identifier has the number {int(number)}; `identity explain person:42` shows some."
            )
        return found[0]
    identifier_type, value = parse_identifier(text, policy)
    hashed = identifier_hash(identifier_type, value, key)
    found = _find(connection, "identifier_type = ? and identifier_hash = ?", [identifier_type, hashed])
    if not found:
        [(known,)] = connection.execute(
            "select count(*) from identity_mapping.identity_registry where identifier_type = ?", [identifier_type]
        ).fetchall()
        raise IdentifierError(
            f"No record shows {identifier_type} {value} (hash {masked(hashed)}); {known:,} others of its type are "
            "known. Compare it with the source's record. One that has just landed is known after the next build."
        )
    return found[0]


def find_person(connection: duckdb.DuckDBPyConnection, text: str) -> int:
    """`person:42` -> 42. Raises IdentifierError when it is not written so or there never was such a person."""
    prefix, _, number = text.partition(":")
    if prefix.strip() != "person" or not number.strip().isdecimal():
        raise IdentifierError(f"{text!r} names no person; write person: and a person_id, as in person:42.")
    _need_built(connection, "person_registry")
    known = connection.execute(
        "select 1 from identity_mapping.person_registry where person_id = ?", [int(number)]
    ).fetchall()
    if not known:
        raise IdentifierError(f"There never was a person {int(number)}; identity_mapping.person_registry has them all.")
    return int(number)


def login_name() -> str:
    """Who runs this process, as decisions are signed unless --by says otherwise."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise IdentifierError("The system does not know your login name; say who decides with --by NAME.") from error


def _find(connection: duckdb.DuckDBPyConnection, condition: str, parameters: list) -> list[Identifier]:
    _need_built(connection, "identity_registry")
    rows = connection.execute(
        "select identifier_key, identifier_type, identifier_hash from identity_mapping.identity_registry "
        f"where {condition}",
        parameters,
    ).fetchall()
    return [Identifier(*row) for row in rows]


def _need_built(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    found = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'identity_mapping' and table_name = ?", [table]
    ).fetchall()
    if not found:
        raise IdentifierError(
            f"identity_mapping.{table} does not exist yet, so nobody is known; run `make demo` or build_tags first."
        )


def _lower(character: str) -> str:
    """One character becomes one character, as in SQL; Python would make two of a few."""
    lowered = character.lower()
    return lowered if len(lowered) == 1 else lowered[0]
