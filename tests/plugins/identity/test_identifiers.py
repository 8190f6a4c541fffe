"""Identifiers as people type them are spelt and hashed as the SQL macros do it, and refused with a hint."""

from __future__ import annotations

import os

import duckdb
import jinja2
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tagloom.identity.identifiers import (
    Identifier,
    IdentifierError,
    find_identifier,
    find_person,
    identifier_hash,
    masked,
    normalise,
    parse_identifier,
)
from tagloom.identity.policy import load_policy
from tagloom.settings import PROJECT, identity_key
from tagloom.warehouse import prepare_connection

POLICY = load_policy()


class _ReturnError(Exception):
    """What dbt's `return` does: it leaves the macro with a value that is no text."""


class Macros:
    """The project's own macros, rendered as dbt renders them for DuckDB."""

    def __init__(self) -> None:
        folders = [PROJECT / "dbt_project" / "macros" / folder for folder in ("identity", "dialect")]
        texts = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.sql")]
        environment = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
        environment.globals |= {
            "tagloom": self,
            "adapter": self,
            "return": self._return,
            "env_var": lambda name, default="": os.environ.get(name, default),
            "var": lambda _name, default="": default,
        }
        self._module = environment.from_string(
            "\n".join(text for text in texts if "materialization" not in text)
        ).module

    @staticmethod
    def _return(value: object) -> None:
        raise _ReturnError(value)

    def dispatch(self, name: str, _package: str):
        return getattr(self, f"default__{name}")

    def __getattr__(self, name: str):
        macro = getattr(self._module, name)

        def call(*arguments: object) -> object:
            try:
                return str(macro(*arguments)).strip()
            except _ReturnError as returned:
                return returned.args[0]

        return call


@pytest.fixture(scope="module")
def macros() -> Macros:
    return Macros()


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


def in_sql(connection: duckdb.DuckDBPyConnection, macros: Macros, identifier_type: str, value: str) -> tuple:
    """What the macros make of a value: its one spelling and the hash of that."""
    prepare_connection(connection)
    spelling = macros.normalise_identifier(identifier_type, "value")
    hashed = macros.identifier_hash(identifier_type, "spelling")
    return connection.execute(
        f"select spelling, {hashed} from (select {spelling} as spelling from (select ?::varchar as value))", [value]
    ).fetchall()[0]


def in_python(identifier_type: str, value: str) -> tuple:
    spelling = normalise(identifier_type, value, strips_plus_tags=POLICY.plus_tags == "strip")
    return spelling, None if spelling is None else identifier_hash(identifier_type, spelling, identity_key())


# Characters of newer Unicode than this Python's have no lower case here.
texts = st.text(st.characters(exclude_categories=("Cs", "Cn", "Cc")), max_size=30)
mails = st.builds("{}{}@{}{}".format, st.sampled_from(["", " "]), texts, texts, st.sampled_from(["", " ", ".COM"]))
quick = hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@quick
@given(identifier_type=st.sampled_from(["email", "device_mac", "loyalty_card", "web_account"]), value=texts | mails)
@example("email", "  Ann+Shop@Example.COM ")
@example("email", "İSTANBUL@example.com")
@example("email", "ΣΑΣ@example.com")
@example("email", "a+b+c@d+e@f")
@example("email", "+@")
@example("device_mac", "a4-5E:60.c2 91:0f")
@example("loyalty_card", "\t12 ")
@example("loyalty_card", "   ")
def test_values_are_spelt_and_hashed_as_in_sql(connection, macros, identifier_type, value):
    assert in_python(identifier_type, value) == in_sql(connection, macros, identifier_type, value)


def phone_shapes():
    digits = st.text("0123456789", min_size=10, max_size=10).filter(lambda text: text[0] in "23456789")
    american = st.sampled_from(
        ["{}{}{}", "({}) {}-{}", "{}-{}-{}", "+1{}{}{}", "+1 {} {} {}", "1-{}-{}-{}", "{}.{}.{}"]
    )
    chinese = st.builds(
        "{}13{}".format, st.sampled_from(["+86", "+86 ", "0086", "+86-"]), st.text("0123456789", min_size=9, max_size=9)
    )
    return st.builds(lambda form, ten: form.format(ten[:3], ten[3:6], ten[6:]), american, digits) | chinese


@quick
@given(value=phone_shapes())
def test_phones_that_both_accept_are_spelt_alike(connection, macros, value):
    ours, theirs = in_python("phone", value), in_sql(connection, macros, "phone", value)
    if ours[0] is not None and theirs[0] is not None:
        assert ours == theirs


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        ("(612) 555-0100", "+16125550100"),
        ("612.555.0100", "+16125550100"),
        ("1-612-555-0100", "+16125550100"),
        ("+1 612 555 0100", "+16125550100"),
        ("+86 138 0013 8000", "+8613800138000"),
        ("0086 138 0013 8000", "+8613800138000"),
        ("(612) 555-0100 ext. 12", "+16125550100"),
    ],
)
def test_phones_of_all_shapes(connection, macros, value, spelling):
    assert in_python("phone", value)[0] == spelling
    assert in_python("phone", value) == in_sql(connection, macros, "phone", value)


def test_a_chinese_house_writes_mobiles_without_a_country_code(connection, macros, monkeypatch):
    monkeypatch.setenv("TAGLOOM_COUNTRY_CODE", "86")
    assert in_python("phone", "138 0013 8000")[0] == "+8613800138000"
    assert in_python("phone", "138 0013 8000") == in_sql(connection, macros, "phone", "138 0013 8000")


def test_a_calling_code_of_no_country_is_refused(monkeypatch):
    monkeypatch.setenv("TAGLOOM_COUNTRY_CODE", "USA")
    with pytest.raises(IdentifierError, match="TAGLOOM_COUNTRY_CODE must be the calling code"):
        normalise("phone", "612 555 0100")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("phone:000-000-0000", "is no phone"),
        ("device_mac:a4:5e", "give twelve hexadecimal digits"),
        ("phnoe:+16125550100", "did you mean phone?"),
        ("+16125550100", "does not begin with an identifier type and a colon"),
        ("phone:12", "'12' is no phone: give the number with its country code"),
        ("phone:", "'' is no phone"),
        ("device_mac:zz", "give twelve hexadecimal digits"),
        ("loyalty_card:  ", "'' is no loyalty_card"),
    ],
)
def test_what_is_no_identifier_is_refused_with_a_hint(text, sentence):
    with pytest.raises(IdentifierError) as refusal:
        parse_identifier(text, POLICY)
    assert sentence in str(refusal.value)


def test_spaces_around_the_type_do_not_matter():
    assert parse_identifier(" email : Ann@Example.com", POLICY) == ("email", "ann@example.com")


@pytest.fixture
def registry():
    key = identity_key()
    with duckdb.connect() as connection:
        connection.execute("create schema identity_mapping")
        connection.execute(
            "create table identity_mapping.identity_registry "
            "(identifier_key bigint, identifier_type varchar, identifier_hash varchar)"
        )
        connection.execute("create table identity_mapping.person_registry (person_id bigint, anchor_key bigint)")
        connection.execute("insert into identity_mapping.person_registry values (42, 7)")
        connection.execute(
            "insert into identity_mapping.identity_registry values (7, 'phone', ?)",
            [identifier_hash("phone", "+16125550100", key)],
        )
        yield connection


def test_an_identifier_is_found_by_value_and_by_number(registry):
    by_value = find_identifier(registry, "phone:(612) 555-0100", POLICY, identity_key())
    assert by_value == find_identifier(registry, "key:7", POLICY, identity_key())
    assert by_value.key == 7
    assert str(by_value) == f"phone key:7 ({by_value.hash[:8]}…)"
    assert masked(by_value.hash) in str(by_value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("phone:+1 612 555 0199", "No record shows phone +16125550199"),
        ("phone:+1 612 555 0199", "1 others of its type are known"),
        ("key:8", "No identifier has the number 8"),
        ("key:x", "after key: comes the number of an identifier"),
    ],
)
def test_an_unknown_identifier_is_refused(registry, text, sentence):
    with pytest.raises(IdentifierError) as refusal:
        find_identifier(registry, text, POLICY, identity_key())
    assert sentence in str(refusal.value)


def test_a_person_is_written_with_its_number(registry):
    assert find_person(registry, "person:42") == 42
    with pytest.raises(IdentifierError, match="There never was a person 43"):
        find_person(registry, "person:43")
    with pytest.raises(IdentifierError, match="names no person"):
        find_person(registry, "42")


def test_before_the_first_build_nobody_is_known():
    with duckdb.connect() as connection, pytest.raises(IdentifierError, match="identity_registry does not exist yet"):
        find_identifier(connection, "key:1", POLICY, identity_key())


def test_identifiers_sort_by_number():
    assert sorted([Identifier(10, "a", "x"), Identifier(9, "b", "y")])[0].key == 9
