"""How right identity mapping is on the demo data: pairwise precision and recall against the truth kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

OWN_IDENTIFIER = {
    "loyalty": "loyalty_card",
    "crm": "crm_customer",
    "accounts": "web_account",
    "support": "support_requester",
    "app": "app_device",
}
"""Source -> the identifier type that its record keys are of."""

_IDENTIFIER_HASH = """sha256(getvariable('identity_key_outer') || unhex(sha256(
    getvariable('identity_key_inner') || encode(own_identifiers.identifier_type || ':' || record_key)
)))"""


@dataclass(frozen=True)
class Accuracy:
    """Counts of record pairs."""

    records: int
    pairs_found: int
    pairs_true: int
    pairs_right: int

    @property
    def precision(self) -> float:
        """Share of the pairs that were joined which belong together."""
        return self.pairs_right / self.pairs_found if self.pairs_found else 1.0

    @property
    def recall(self) -> float:
        """Share of the pairs that belong together which were joined."""
        return self.pairs_right / self.pairs_true if self.pairs_true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / (self.precision + self.recall or 1)


def load_truth(connection: duckdb.DuckDBPyConnection, truth: Path) -> int:
    """Put <truth>/records.parquet into operations.identity_truth, hashed, and return the number of its rows.

    identity_metrics measures the identity map against it. The connection needs the identity key, as below.
    """
    types = ", ".join(f"('{source}', '{kind}')" for source, kind in OWN_IDENTIFIER.items())
    connection.execute("create schema if not exists operations")
    connection.execute(
        f"""
        create or replace table operations.identity_truth as
        with own_identifiers (source, identifier_type) as (values {types})
        select
            own_identifiers.identifier_type,
            {_IDENTIFIER_HASH} as identifier_hash,
            truth.true_person
        from read_parquet($records) as truth
        inner join own_identifiers using (source)
        """,
        {"records": str(truth / "records.parquet")},
    )
    return connection.execute("select count(*) from operations.identity_truth").fetchall()[0][0]


def measure_accuracy(connection: duckdb.DuckDBPyConnection, truth: Path) -> Accuracy:
    """Compare identity_map with <truth>/records.parquet (source, record_key, true_person).

    The connection needs the identity key as session variables (tagloom.warehouse.prepare_connection), because the truth
    holds record keys in the clear and the map only their hashes. A record that no person was found for counts as a
    person of its own.
    """
    types = ", ".join(f"('{source}', '{kind}')" for source, kind in OWN_IDENTIFIER.items())
    row = connection.execute(
        f"""
        with own_identifiers (source, identifier_type) as (values {types}),
        records as (
            select truth.true_person, coalesce(identity_map.person_id, -row_number() over ()) as person_id
            from read_parquet($records) as truth
            inner join own_identifiers using (source)
            left join identity_mapping.identity_map
                on identity_map.identifier_type = own_identifiers.identifier_type
                and identity_map.identifier_hash = {_IDENTIFIER_HASH}
        ),
        found as (select sum(n * (n - 1) / 2) as pairs from (select count(*) as n from records group by person_id)),
        really as (select sum(n * (n - 1) / 2) as pairs from (select count(*) as n from records group by true_person)),
        agreed as (
            select sum(n * (n - 1) / 2) as pairs
            from (select count(*) as n from records group by person_id, true_person)
        )
        select (select count(*) from records), found.pairs, really.pairs, agreed.pairs from found, really, agreed
        """,
        {"records": str(truth / "records.parquet")},
    ).fetchall()[0]
    return Accuracy(*(int(value or 0) for value in row))
