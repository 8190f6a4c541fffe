"""Why a check may have failed: what is unusual about the deliveries that its table is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from tagloom.quality import CheckResult
    from tagloom.settings import Settings

MOST_SENTENCES = 5
"""More would be a list to read, not a hint."""

USUAL_RUNS = 10
"""What is usual is the median of so many landings before."""

UNUSUAL = 2.0
"""A delivery twice, or half, as large as usual is worth a sentence."""

DUPLICATES = 0.05
"""Share of repeated rows in a delivery that is worth a sentence, when it is more than twice the usual one."""


_READ_TABLE = re.compile(r"\b(?:from|join)\s+([a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*)", re.IGNORECASE)


def probable_causes(
    connection: duckdb.DuckDBPyConnection,
    manifest: dict,
    table: str,
    as_of_date: date,
    compared_with: Iterable[str] = (),
) -> tuple[str, ...]:
    """Sentences about what is unusual in the deliveries below <schema>.<table>, five at most; often there is none.

    Looked for: empty, halved and doubled deliveries, repeated and bad rows, changed columns, days that are missing.
    `compared_with`: other tables that its checks look at, whose deliveries may be to blame as well (`compared_tables`).
    """
    sentences: list[str] = []
    own = raw_tables_below(manifest, table)
    others = {pair for other in compared_with for pair in raw_tables_below(manifest, other)} - {*own}
    for source, name in [*own, *sorted(others)]:
        sentences += _of_newest_landing(connection, source, name, as_of_date)
        sentences += _of_columns(connection, source, name)
    return tuple(sentences[:MOST_SENTENCES])


def causes_of_failed_models(settings: Settings, manifest: dict, problem: str, as_of_date: date) -> tuple[str, ...]:
    """The same for the models and data tests that an error of the build names.

    Nothing when the warehouse is open elsewhere: a mail must go out all the same.
    """
    import duckdb

    from tagloom.alerting.impact import failed_tables

    table, *others = failed_tables(manifest, problem, compared=True) or [""]
    if not table:
        return ()
    try:
        with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
            return probable_causes(connection, manifest, table, as_of_date, others)
    except duckdb.Error:
        return ()


def compared_tables(contracts: Path, results: Iterable[CheckResult]) -> dict[str, set[str]]:
    """Table -> other tables that the checks compare it with: where its values must be, or what their SQL reads."""
    from tagloom.contracts import SKELETON, ContractError, load_contract

    found: dict[str, set[str]] = {}
    for result in results:
        root = contracts.parent / SKELETON if result.contract.startswith(f"{SKELETON}/") else contracts
        try:
            contract = load_contract(root / result.contract.removeprefix(f"{SKELETON}/"), root)
        except (ContractError, OSError):
            continue
        for declared in contract.checks:
            if declared.check.name != result.name:
                continue
            reference = getattr(declared.check, "valid_reference_data", None)
            texts = (getattr(declared.check, key, None) or "" for key in ("query", "expression"))
            read = {table for text in texts for table in _READ_TABLE.findall(text)}
            found.setdefault(result.table, set()).update(read | ({reference.table} if reference else set()))
    return {table: others - {table} for table, others in found.items()}


def raw_tables_below(manifest: dict, table: str) -> list[tuple[str, str]]:
    """(Source, table) of every raw table that <schema>.<table> is made of, itself when it is one."""
    schema, _, name = table.partition(".")
    if schema.startswith("raw_"):
        return [(schema.removeprefix("raw_"), name)]
    nodes, sources = manifest.get("nodes", {}), manifest.get("sources", {})
    parents = manifest.get("parent_map", {})
    waiting = [
        key
        for key, node in nodes.items()
        if node.get("resource_type") == "model" and node.get("schema") == schema and node.get("name") == name
    ]
    reached: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting += parents.get(key, [])
    return sorted(
        (node["schema"].removeprefix("raw_"), node["identifier"])
        for key, node in sources.items()
        if key in reached and node["schema"].startswith("raw_")
    )


def _of_newest_landing(connection: duckdb.DuckDBPyConnection, source: str, name: str, as_of_date: date) -> list[str]:
    landings = connection.execute(
        "select first_day, end_day, rows_read, rows_quarantined, duplicates from operations.landing_log "
        "where source = ? and table_name = ? and status = 'landed' order by logged_at desc limit ?",
        [source, name, USUAL_RUNS + 1],
    ).fetchall()
    if not landings:
        return [f"{source}.{name} has never landed."]
    (first_day, end_day, read, bad, repeated), before = landings[0], landings[1:]
    sentences = []
    covered = max(landing[1] for landing in landings)
    if covered <= as_of_date:
        last = covered - timedelta(days=1)
        sentences.append(f"{source}.{name} is late: what has landed ends with {last}, not {as_of_date}.")
    # Only landings of as many days can be compared.
    usual = _median([landing[2] for landing in before if landing[1] - landing[0] == end_day - first_day])
    what = f"The newest delivery of {source}.{name}"
    if read == 0:
        sentences.append(f"{what} was empty" + (f"; usually it has {usual:,.0f} rows." if usual else "."))
    elif usual and read < usual / UNUSUAL:
        sentences.append(f"{what} had {read:,} rows; usually it has {usual:,.0f}.")
    elif usual and read > usual * UNUSUAL:
        sentences.append(f"{what} had {read:,} rows, {read / usual:,.1f} times as many as usual.")
    if read and repeated / read > DUPLICATES and repeated / read > UNUSUAL * _usual_share(before, 4):
        sentences.append(f"{repeated / read:.0%} of the rows in the newest delivery of {source}.{name} were repeated.")
    if read and bad and bad / read > UNUSUAL * _usual_share(before, 3):
        sentences.append(f"{bad:,} of {read:,} rows of {source}.{name} were bad and went to quarantine.")
    return sentences


def _of_columns(connection: duckdb.DuckDBPyConnection, source: str, name: str) -> list[str]:
    return [
        f"{source}.{name}: {sentence}"
        for (sentence,) in connection.execute(
            "select sentence from operations.column_drift where source = ? and table_name = ? order by sentence",
            [source, name],
        ).fetchall()
    ]


def _usual_share(landings: list[tuple], position: int) -> float:
    return _median([landing[position] / landing[2] for landing in landings if landing[2]]) or 0.0


def _median(values: list[float]) -> float | None:
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
