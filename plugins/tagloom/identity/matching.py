"""Links persons that share no identifier but are alike; follows identity mapping where the policy switches it on.

What is compared are persons as their identifiers alone make them: links of earlier matchings do not count, so that a
score never rests on another. Their golden records are made in memory from the view identity_records and stay there;
stored are pairs of identifiers (operations.identity_matches) and keyed hashes of what was compared
(operations.identity_matched). Accepted pairs are edges like others in the next build, which every guard looks at again.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tagloom.identity.matching_links import ACCEPTED, REVIEW, Laws, decide
from tagloom.identity.matching_model import (
    KEY,
    Model,
    limit_blocks,
    load_model,
    save_model,
    score,
    train,
)
from tagloom.identity.matching_persons import PERSONS, RECORDS, collect_persons, in_memory, register
from tagloom.identity.matching_settings import Matching
from tagloom.identity.policy import Policy, load_policy
from tagloom.operations import create_operations_tables
from tagloom.settings import Settings
from tagloom.warehouse import open_warehouse

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Matched:
    """What a matching did."""

    compared: int = 0
    """Persons that were new or changed, or all when the model is new."""
    accepted: int = 0
    """Pairs that are linked now."""
    review: int = 0
    """Pairs that wait for somebody to decide."""
    links_changed: bool = False
    """Whether other pairs are linked than before, so that identity mapping must be built again."""
    model_version: str | None = None
    seconds: float = 0.0


def match_persons(settings: Settings, as_of_date: date, policy: Policy | None = None) -> Matched:
    """Compare persons that are new or have changed with all others, and decide which pairs are linked.

    Identity mapping of as_of_date is built before. A build of a past day, before the newest matching, leaves everything
    as it is. Where matching is switched off, nothing is compared, and what was linked before is no longer. Run twice it
    changes nothing; results are written in one transaction, so a kill leaves those of before. The caller holds the pool
    `warehouse`.

    Raises MatchingError when no sensible model can be learned or the policy names an attribute that records lack.
    """
    policy = policy or load_policy()
    started = time.monotonic()
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
        if not policy.matching.enabled:
            return Matched(links_changed=_forget(connection))
        (newest,) = connection.execute("select max(matched_at) from operations.identity_matched").fetchall()[0]
        if newest is not None and newest > as_of_date:
            log.info("matching: %s is before the newest matching (%s), so links stay as they are", as_of_date, newest)
            return Matched()
        with in_memory(connection) as warehouse:
            return _match(connection, warehouse, settings.home, policy, as_of_date, started)


def model_path(home: Path, matching: Matching) -> Path:
    """Where the trained model of an installation is kept."""
    return home / "identity" / matching.model_file


def _forget(connection: duckdb.DuckDBPyConnection) -> bool:
    """Drop what matching has found, and say whether anything of it was a link."""
    (links,) = connection.execute(
        "select count(*) from operations.identity_matches where status = $accepted", {"accepted": ACCEPTED}
    ).fetchall()[0]
    connection.execute(
        "begin; delete from operations.identity_matches; delete from operations.identity_matched; commit"
    )
    return bool(links)


def _match(
    connection: duckdb.DuckDBPyConnection, warehouse: str, home: Path, policy: Policy, day: date, started: float
) -> Matched:
    matching = policy.matching
    path = model_path(home, matching)
    model = load_model(path)
    is_new = model is None or model.settings != matching.fingerprint
    collect_persons(connection, warehouse, policy, with_records=is_new)
    if is_new:
        model = train(connection, matching, RECORDS, PERSONS)
        save_model(path, model)
        log.info("matching: learned model %s from %s records", model.version, f"{model.learned_from:,}")
    compared = _compare(connection, warehouse, matching, model)
    _decide(connection, warehouse, policy)
    accepted_before = _accepted(connection, warehouse)
    _write(connection, warehouse, model, day)
    counts = dict(connection.execute("select status, count(*) from decided group by status").fetchall())
    done = Matched(
        compared=compared,
        accepted=counts.get(ACCEPTED, 0),
        review=counts.get(REVIEW, 0),
        links_changed=accepted_before != _accepted(connection, warehouse),
        model_version=model.version,
        seconds=round(time.monotonic() - started, 2),
    )
    log.info("matching: %s", done)
    return done


def _compare(connection: duckdb.DuckDBPyConnection, warehouse: str, matching: Matching, model: Model) -> int:
    """Make the table `candidates`: pairs of at least matching.review, kept from before or scored now."""
    connection.execute(
        f"""
        create or replace table unchanged as
        select persons.{KEY}
        from {PERSONS} as persons
        inner join {warehouse}.operations.identity_matched as matched
            on persons.{KEY} = matched.identifier_key and persons.record_hash = matched.record_hash
        where matched.model_version = $version;
        """,
        {"version": model.version},
    )
    connection.execute(
        f"create or replace table touched as select {KEY} from {PERSONS} "
        f"where {KEY} not in (select {KEY} from unchanged)"
    )
    connection.execute(
        f"""
        create or replace table stored as
        select
            least(one.identifier_key, other.identifier_key) as left_key,
            greatest(one.identifier_key, other.identifier_key) as right_key,
            matches.*
        from {warehouse}.operations.identity_matches as matches
        inner join {warehouse}.identity_mapping.identity_registry as one
            on matches.left_type = one.identifier_type and matches.left_hash = one.identifier_hash
        inner join {warehouse}.identity_mapping.identity_registry as other
            on matches.right_type = other.identifier_type and matches.right_hash = other.identifier_hash;

        create or replace table candidates as
        select left_key, right_key, probability, evidence
        from stored
        where left_key in (select {KEY} from unchanged) and right_key in (select {KEY} from unchanged)
            and probability >= {matching.review}
        """
    )
    (touched,) = connection.execute("select count(*) from touched").fetchall()[0]
    if touched:
        limit_blocks(connection, matching, PERSONS)
        score(connection, matching, model, PERSONS, "touched", "scored")
        connection.execute("insert into candidates select * from scored")
    return touched


def _decide(connection: duckdb.DuckDBPyConnection, warehouse: str, policy: Policy) -> None:
    """Make the table `decided`: the candidates with their status."""
    keys = connection.execute(
        "select left_key as person_key from candidates union select right_key from candidates order by 1"
    ).fetchnumpy()["person_key"]
    keys = np.asarray(keys, dtype=np.int64)
    pairs = connection.execute(
        f"""
        select candidates.left_key, candidates.right_key, candidates.probability, candidates.evidence,
            coalesce({_contradiction(policy)}, false) as contradicts
        from candidates
        inner join {PERSONS} as one on candidates.left_key = one.{KEY}
        inner join {PERSONS} as other on candidates.right_key = other.{KEY}
        order by candidates.left_key, candidates.right_key
        """
    ).df()
    limits = {name: rules.per_person for name, rules in policy.identifier_types.items() if rules.per_person}
    held = np.zeros((len(keys), len(limits)), dtype=np.int64)
    for number, name in enumerate(limits):
        counted = connection.execute(
            """
            select person_key, count(*) as held from members
            where identifier_type = $type and person_key in (
                select left_key from candidates union all select right_key from candidates
            )
            group by person_key
            """,
            {"type": name},
        ).fetchnumpy()
        held[np.searchsorted(keys, counted["person_key"]), number] = counted["held"]
    forbidden = connection.execute(
        f"""
        select one.person_key as left_key, other.person_key as right_key
        from {warehouse}.operations.identity_decisions as decisions
        inner join members as one
            on decisions.left_type = one.identifier_type and decisions.left_hash = one.identifier_hash
        inner join members as other
            on decisions.right_type = other.identifier_type and decisions.right_hash = other.identifier_hash
        where decisions.kind = 'never_link' and decisions.withdrawn_at is null
            and one.person_key in (select left_key from candidates union all select right_key from candidates)
            and other.person_key in (select left_key from candidates union all select right_key from candidates)
        """
    ).fetchnumpy()
    laws = Laws(
        held,
        np.array(list(limits.values()), dtype=np.int64),
        np.searchsorted(keys, np.asarray(forbidden["left_key"], dtype=np.int64)),
        np.searchsorted(keys, np.asarray(forbidden["right_key"], dtype=np.int64)),
    )
    status = decide(
        np.searchsorted(keys, pairs["left_key"].to_numpy(np.int64)),
        np.searchsorted(keys, pairs["right_key"].to_numpy(np.int64)),
        pairs["probability"].to_numpy(np.float64),
        pairs["contradicts"].to_numpy(bool),
        laws,
        policy.matching.accept,
    )
    decided = pairs.drop(columns="contradicts").assign(status=pd.Series(status, index=pairs.index, dtype="str"))
    register(connection, "decided_pairs", decided)
    connection.execute(
        """
        create or replace table decided as
        select
            one.identifier_type as left_type, one.identifier_hash as left_hash,
            other.identifier_type as right_type, other.identifier_hash as right_hash,
            decided_pairs.probability, cast(decided_pairs.status as varchar) as status,
            cast(decided_pairs.evidence as varchar) as evidence
        from decided_pairs
        inner join members as one on decided_pairs.left_key = one.identifier_key
        inner join members as other on decided_pairs.right_key = other.identifier_key
        """
    )


def _contradiction(policy: Policy) -> str:
    """Name and birth date both contradict, as the policy's attribute veto has it, where the model compares them."""
    kinds = {comparison.attribute: comparison.kind for comparison in policy.matching.comparisons}
    if kinds.get("birth_date") != "date" or not {"given_name", "surname"} <= set(kinds):
        return "false"
    veto = policy.attribute_veto

    def similarity(one: str, other: str) -> str:
        left, right = f"one.{one}", f"other.{other}"
        return f"(1 - levenshtein({left}, {right}) / greatest(strlen({left}), strlen({right})))"

    straight = [similarity("given_name", "given_name"), similarity("surname", "surname")]
    swapped = [similarity("given_name", "surname"), similarity("surname", "given_name")]
    known = " and ".join(
        f"{side}.{name} is not null" for side in ("one", "other") for name in ("given_name", "surname")
    )
    likeness = f"greatest(least({', '.join(straight)}), least({', '.join(swapped)}))"
    return (
        f"{known} and {likeness} < {veto.name_similarity_below} "
        f"and hamming(one.birth_date, other.birth_date) >= {veto.birth_date_differs}"
    )


def _accepted(connection: duckdb.DuckDBPyConnection, warehouse: str) -> set[tuple]:
    rows = connection.execute(
        f"select left_type, left_hash, right_type, right_hash from {warehouse}.operations.identity_matches "
        "where status = $accepted",
        {"accepted": ACCEPTED},
    ).fetchall()
    return set(rows)


def _write(connection: duckdb.DuckDBPyConnection, warehouse: str, model: Model, day: date) -> None:
    """Store what has changed: pairs, and which persons are compared, in one transaction."""
    same = (
        "one.left_type = other.left_type and one.left_hash = other.left_hash "
        "and one.right_type = other.right_type and one.right_hash = other.right_hash "
        "and one.probability = other.probability and one.status = other.status"
    )
    matches, matched = f"{warehouse}.operations.identity_matches", f"{warehouse}.operations.identity_matched"
    parameters = {"version": model.version, "day": day}
    connection.begin()
    try:
        connection.execute(
            f"""
            delete from {matches} as one
            where one.model_version <> $version or not exists (select 1 from decided as other where {same})
            """,
            {"version": model.version},
        )
        connection.execute(
            f"""
            insert into {matches} by name
            select one.*, $version as model_version, $day as matched_at
            from decided as one
            where not exists (select 1 from {matches} as other where {same})
            order by all
            """,
            parameters,
        )
        connection.execute(
            f"""
            delete from {matched}
            where model_version <> $version or identifier_key not in (select {KEY} from unchanged)
            """,
            {"version": model.version},
        )
        connection.execute(
            f"""
            insert into {matched}
            select {KEY}, record_hash, $version, $day from {PERSONS} where {KEY} in (select {KEY} from touched)
            """,
            parameters,
        )
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
