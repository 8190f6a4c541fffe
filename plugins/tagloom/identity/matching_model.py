"""The statistical model of matching: learned from records, applied to persons. Nothing else imports Splink.

Records and persons are tables of one database that holds them in memory: Splink makes tables of clear text beside them.
Columns that are compared are text (dates YYYYMMDD), null where unknown; `columns` says which and how they are made.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagloom.identity.matching_settings import BLOCK, Comparison, Matching, blocked_attributes

if TYPE_CHECKING:
    import duckdb
    from splink import Linker

KEY = "person_key"
"""Column that tells the rows of a table of persons or records apart."""

FEWEST_PERSONS = 100
"""With fewer there is too little to learn from."""

SAMPLED_PAIRS = 500_000
"""So many pairs of persons drawn at random teach how often strangers agree."""

TRAINING_PAIRS = 2_000_000
"""So many pairs of records that agree on a blocking rule teach how often the same person's records do."""

ITERATIONS = (25, 5, 2)
"""Rounds of expectation maximisation at most; fewer where more cannot be held."""

UNSEEN = 0.0005
"""Probability of a level that training has not seen, for one who is the same and for one who is not."""

LINKER = "tagloom"
"""What Splink calls this model."""

IDEOGRAPHS = ("㐀", "鿿")
"""First and last of the Chinese characters in common use."""


class MatchingError(RuntimeError):
    """The model cannot be learned or used; the message says why and what to do."""


@dataclass(frozen=True)
class Model:
    """What was learned. It holds weights, no value of any person."""

    version: str
    """First 12 hex digits of the SHA-256 of the content."""
    settings: str
    """Fingerprint of the settings that it was learned with."""
    learned_from: int
    """How many records there were."""
    content: dict[str, Any]
    """Splink's settings with their probabilities."""


def load_model(path: Path) -> Model | None:
    """Read a model; None when there is none or it is not readable, so that it is learned again."""
    try:
        model = Model(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
    return model if model.version == _version(model.content) else None


def save_model(path: Path, model: Model) -> None:
    """Write a model in one step: a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(model), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


def columns(settings: Matching) -> dict[str, str]:
    """Column -> SQL expression over the attribute's clear value, for every column that the model looks at."""
    kinds = {comparison.attribute: comparison.kind for comparison in settings.comparisons}
    expressions = {}
    for name in settings.attributes:
        if kinds.get(name) == "date":
            expressions[name] = f"strftime(try_cast({name} as date), '%Y%m%d')"
            continue
        text = rf"regexp_replace(lower(strip_accents(trim(cast({name} as varchar)))), '\s+', ' ', 'g')"
        expressions[name] = f"nullif({text}, '')"
        if kinds.get(name) == "street":
            numbers = f"array_to_string(regexp_extract_all({text}, '[0-9]+'), '-')"
            expressions[f"{name}__numbers"] = f"nullif({numbers}, '')"
            expressions[f"{name}__words"] = f"nullif(regexp_replace({text}, '[0-9 ,./#-]', '', 'g'), '')"
    return expressions


def block_columns(settings: Matching) -> dict[str, str]:
    """Column -> SQL expression over the columns of `columns`: what two must share to be compared, null for nothing."""
    return {f"block_{number}": _block(settings, rule) for number, rule in enumerate(settings.blocking, start=1)}


def limit_blocks(connection: duckdb.DuckDBPyConnection, settings: Matching, persons: str) -> None:
    """Empty the block columns of values that too many persons share, so that the cost grows as the persons do."""
    (count,) = connection.execute(f"select count(*) from {persons}").fetchall()[0]
    for name in block_columns(settings):
        connection.execute(
            f"""
            update {persons} set {name} = null where {name} in (
                select {name}
                from (
                    select
                        {name}, count(*) as persons,
                        sum(count(*) * (count(*) - 1) / 2) over (order by count(*), {name}) as comparisons
                    from {persons} where {name} is not null group by {name} having count(*) > 1
                )
                where persons > {settings.largest_block} or comparisons > {settings.comparisons_per_person * count}
            )
            """
        )


def train(connection: duckdb.DuckDBPyConnection, settings: Matching, records: str, persons: str) -> Model:
    """Learn from two tables with the columns of `columns` and KEY.

    How often strangers agree is seen in random pairs of persons; how often records of one person do, by expectation
    maximisation over pairs of records, among which many are of one person. The same tables give the same model.

    Raises MatchingError when there are too few persons, or what is learned makes no sense.
    """
    from splink.internals.exceptions import SplinkException

    (count,) = connection.execute(f"select count(*) from {persons}").fetchall()[0]
    if count < FEWEST_PERSONS:
        raise MatchingError(
            f"There are {count} persons with names or addresses, too few to learn from (at least {FEWEST_PERSONS}); "
            "switch matching off in identity/policy.yml (matching.enabled: false) until there are more."
        )
    (learned_from,) = connection.execute(f"select count(*) from {records}").fetchall()[0]
    content = _untrained(settings) | {
        "probability_two_random_records_match": _expected_share(connection, settings, persons, count)
    }
    try:
        strangers = _linker(connection, content, persons)
        strangers.training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=settings.seed)
        content = strangers.misc.save_model_to_json()
        strangers.table_management.invalidate_cache()
        for rule in _training_rules(settings):
            content = _learned(connection, content, records, rule)
    except SplinkException as error:
        raise _nothing_learned(learned_from, error) from error
    content = _completed(content)
    _check(content)
    return Model(_version(content), settings.fingerprint, learned_from, content)


def score(
    connection: duckdb.DuckDBPyConnection, settings: Matching, model: Model, persons: str, touched: str, scored: str
) -> None:
    """Compare the touched persons with all persons and with each other; write the table `scored`.

    Args:
        persons: table with KEY, the columns of `columns` and of `block_columns`.
        touched: table with the KEY of the persons to compare; every one is in persons.
        scored: name of the table to make: left_key < right_key (bigint), probability (double), evidence (JSON text:
            attribute -> match weight, in bits), one row per pair of at least `settings.review`.
    """
    new, old = f"{persons}_touched", f"{persons}_others"
    connection.execute(
        f"create or replace table {new} as select * from {persons} where {KEY} in (select {KEY} from {touched});"
        f"create or replace table {old} as select * from {persons} where {KEY} not in (select {KEY} from {touched})"
    )
    content = model.content | {
        "blocking_rules_to_generate_predictions": [f"l.{name} = r.{name}" for name in block_columns(settings)],
        "retain_intermediate_calculation_columns": True,
    }
    linker = _linker(connection, content, persons)
    database = linker._db_api
    for name in _weighed_columns(content):
        linker.table_management.compute_tf_table(name)
    inside = database.register(new, table_name=f"{new}_registered")
    outside = database.register(old, table_name=f"{old}_registered")
    found = [
        linker.inference.predict_within(inside, threshold_match_probability=settings.review),
        linker.inference.predict_between(inside, outside, threshold_match_probability=settings.review),
    ]
    evidence = f"json_object({', '.join(_weights(content))})"
    selects = [
        f"select least({KEY}_l, {KEY}_r), greatest({KEY}_l, {KEY}_r), match_probability, cast({evidence} as varchar) "
        f"from {table.physical_name} where match_probability >= {settings.review}"
        for table in found
    ]
    connection.execute(
        f"create or replace table {scored} (left_key bigint, right_key bigint, probability double, evidence varchar); "
        f"insert into {scored} {' union all '.join(selects)}"
    )
    linker.table_management.invalidate_cache()
    connection.execute(f"drop table {new}; drop table {old}")


def _linker(connection: duckdb.DuckDBPyConnection, content: dict[str, Any], table: str) -> Linker:
    from splink import DuckDBAPI, Linker, SettingsCreator

    # Splink explains itself at length on stderr; what goes wrong it raises.
    database = DuckDBAPI(connection=connection)
    return Linker(database.register(table), SettingsCreator.from_path_or_dict(content), log_level=logging.ERROR)


def _learned(connection: duckdb.DuckDBPyConnection, content: dict[str, Any], records: str, rule: str) -> dict[str, Any]:
    """The model with what the pairs of records that agree on a rule teach."""
    for iterations in ITERATIONS:
        # A new linker each time: one whose training has failed is left half changed.
        linker = _linker(connection, content | {"max_iterations": iterations}, records)
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                rule, estimate_without_term_frequencies=True, max_pairs=TRAINING_PAIRS, record_sample_proportion=1.0
            )
        except ValueError as error:
            # A level that never occurs for the same person ends below what Splink can hold, after enough rounds.
            if iterations == ITERATIONS[-1]:
                raise _nothing_learned(None, error) from error
            continue
        finally:
            linker.table_management.invalidate_cache()
        return linker.misc.save_model_to_json()
    raise AssertionError("unreachable: the last attempt returns or raises")


def _nothing_learned(records: int | None, error: Exception) -> MatchingError:
    reason = " ".join(str(error).split())[:300]
    return MatchingError(
        f"Nothing could be learned from {'the' if records is None else f'{records:,}'} records: {reason} Compare other "
        "attributes (matching.comparisons) or switch matching off in identity/policy.yml."
    )


def _untrained(settings: Matching) -> dict[str, Any]:
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": KEY,
        "linker_uid": LINKER,
        "comparisons": [
            {
                "output_column_name": comparison.attribute,
                "comparison_levels": [
                    {"sql_condition": _unknown(comparison), "is_null_level": True},
                    *({"sql_condition": condition} | weighed for condition, weighed in _levels(comparison)),
                    {"sql_condition": "ELSE"},
                ],
            }
            for comparison in settings.comparisons
        ],
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": False,
    }


def _levels(comparison: Comparison) -> Iterator[tuple[str, dict[str, Any]]]:
    """Condition of each level, the best first, and how the value's frequency changes its weight.

    DuckDB's distances count bytes, of which a Chinese character has three: of those the characters are looked at.
    """
    name, other = comparison.attribute, comparison.swapped_with
    weighed = {"tf_adjustment_column": name, "tf_adjustment_weight": 1.0} if comparison.rare_values_count_more else {}
    if comparison.kind == "place":
        code = comparison.together_with
        same_place, same_code = f"{name}_l = {name}_r", f"{code}_l = {code}_r"
        near_place, near_code = _alike(name, 0.9), f"levenshtein({code}_l, {code}_r) <= 1"
        # Splink looks for a level of equal places alone, to compare the place's frequency with.
        yield f"{same_place} and {same_code}", weighed and weighed | {"disable_tf_exact_match_detection": True}
        yield f"({same_place} and {near_code}) or ({same_code} and {near_place})", {}
        yield f"{same_place} or {same_code}", {}
        yield f"{near_place} or {near_code}", {}
        return
    yield f"{name}_l = {name}_r", weighed
    match comparison.kind:
        case "name":
            if other:
                yield f"{name}_l = {other}_r and {other}_l = {name}_r", {}
            yield _nearly(f"{name}_l", f"{name}_r"), {}
            if other:
                yield f"({_nearly(f'{name}_l', f'{other}_r')}) or ({_nearly(f'{other}_l', f'{name}_r')})", {}
            yield f"{_alike(name, 0.8)} or ({_one_ideograph(f'{name}_l', f'{name}_r')})", {}
        case "date":
            yield f"hamming({name}_l, {name}_r) <= 1", {}
            yield f"hamming({name}_l, {name}_r) <= 2", {}
            yield f"substr({name}_l, 1, 4) = substr({name}_r, 1, 4)", {}
        case "code":
            yield f"length({name}_l) > 2 and levenshtein({name}_l, {name}_r) <= 1", {}
        case "text":
            yield _alike(name, 0.92), {}
            yield _alike(name, 0.8), {}
        case "street":
            numbers, words = f"{name}__numbers", f"{name}__words"
            yield f"{numbers}_l = {numbers}_r and {_alike(words, 0.88)}", {}
            yield _alike(words, 0.92), {}
            yield f"{numbers}_l = {numbers}_r", {}
            yield _alike(words, 0.8), {}


def _unknown(comparison: Comparison) -> str:
    names = [comparison.attribute, *([comparison.together_with] if comparison.together_with else [])]
    return " and ".join(f"({name}_l is null or {name}_r is null)" for name in names)


def _alike(name: str, similarity: float) -> str:
    return f"jaro_winkler_similarity({name}_l, {name}_r) >= {similarity}"


def _nearly(one: str, other: str) -> str:
    """One letter is another one, missing or too many; in names of two letters that is another name."""
    return (
        f"jaro_winkler_similarity({one}, {other}) >= 0.92 "
        f"or (least(length({one}), length({other})) > 2 and levenshtein({one}, {other}) <= 1)"
    )


def _one_ideograph(one: str, other: str) -> str:
    """Names of two Chinese characters, one of which is another: written as it sounds, or by another input method."""
    first, last = IDEOGRAPHS
    return (
        f"length({one}) = 2 and length({other}) = 2 and substr({one}, 1, 1) between '{first}' and '{last}' "
        f"and (substr({one}, 1, 1) = substr({other}, 1, 1) or substr({one}, 2, 1) = substr({other}, 2, 1))"
    )


def _block(settings: Matching, rule: tuple[str, ...]) -> str:
    swapped = {comparison.attribute: comparison.swapped_with for comparison in settings.comparisons}
    parts = []
    waiting = list(rule)
    while waiting:
        block = waiting.pop(0)
        partner = swapped.get(block)
        if partner in waiting and swapped.get(partner) == block:
            # Whole names, in either order. The last part is empty, and null when one of them is: least() skips nulls.
            waiting.remove(partner)
            parts += [f"least({block}, {partner})", f"greatest({block}, {partner})"]
            parts += [f"substr({block} || {partner}, 1, 0)"]
        else:
            parts.append(_part(block))
    return " || '|' || ".join(parts)


def _part(block: str, side: str = "") -> str:
    found = BLOCK.match(block)
    column = side + found["attribute"]
    if found["part"] is None:
        return column
    return f"substr({column}, 1, {4 if found['part'] == 'year' else int(found['part'])})"


def _training_rules(settings: Matching) -> list[str]:
    """The first blocking rules that together let every comparison be learned: of what a rule names, it says nothing."""
    unlearned = {comparison.attribute: comparison.about for comparison in settings.comparisons}
    rules = []
    for rule in settings.blocking:
        learned = [name for name, about in unlearned.items() if not about & blocked_attributes(rule)]
        if learned:
            rules.append(" and ".join(f"{_part(block, 'l.')} = {_part(block, 'r.')}" for block in rule))
        for name in learned:
            del unlearned[name]
        if not unlearned:
            break
    return rules


def _expected_share(connection: duckdb.DuckDBPyConnection, settings: Matching, persons: str, count: int) -> float:
    """Share of all pairs of persons that are one person: those of the certain rules, and what these do not find."""
    keys = [" || '|' || ".join(_part(block) for block in rule) for rule in settings.certain]
    counted = " union all ".join(
        f"select {number} as rule, {key} as value from {persons}" for number, key in enumerate(keys)
    )
    (pairs,) = connection.execute(
        f"""
        select coalesce(sum(persons * (persons - 1) / 2), 0)
        from (select count(*) as persons from ({counted}) where value is not null group by rule, value)
        where persons <= {settings.largest_block}
        """
    ).fetchall()[0]
    # Half a pair, when there is none: strangers need strong evidence then, but enough of it counts.
    expected = max(float(pairs) / len(keys), 0.5) / settings.certain_share
    return min(expected / (count * (count - 1) / 2), 0.5)


def _completed(content: dict[str, Any]) -> dict[str, Any]:
    """The model with a probability for every level, also those that training has not seen, rounded."""
    for comparison in content["comparisons"]:
        for level in comparison["comparison_levels"]:
            level.pop("label_for_charts", None)
            if level.get("is_null_level"):
                continue
            same, strangers = level.get("m_probability"), level.get("u_probability")
            # Seen among neither, it says nothing; seen among one of them, the other's is small but not impossible.
            level["m_probability"] = _rounded(max(same or 0, UNSEEN))
            level["u_probability"] = _rounded(strangers or (UNSEEN if same is None else UNSEEN / 10))
    content["probability_two_random_records_match"] = _rounded(content["probability_two_random_records_match"])
    # Splink gives another one at random whenever it forgets its tables.
    content["linker_uid"] = LINKER
    return content


def _rounded(probability: float) -> float:
    """Four digits: sums over several processors differ in the last ones from run to run."""
    return float(f"{probability:.4g}")


def _check(content: dict[str, Any]) -> None:
    """Raise MatchingError when the same person seems to agree on something no more often than strangers do."""
    for comparison in content["comparisons"]:
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        best, worst = levels[0], levels[-1]
        if best["m_probability"] <= best["u_probability"] or worst["m_probability"] >= worst["u_probability"]:
            name = comparison["output_column_name"]
            raise MatchingError(
                f"From the records it seems that one person's {name} agree no more often than strangers' do, so the "
                f"model would be wrong. Leave {name} out of matching.comparisons in identity/policy.yml, or switch "
                "matching off until more records say who is who."
            )


def _weighed_columns(content: dict[str, Any]) -> list[str]:
    return [
        level["tf_adjustment_column"]
        for comparison in content["comparisons"]
        for level in comparison["comparison_levels"]
        if level.get("tf_adjustment_column")
    ]


def _weights(content: dict[str, Any]) -> Iterator[str]:
    weighed = set(_weighed_columns(content))
    for comparison in content["comparisons"]:
        name = comparison["output_column_name"]
        adjustment = f" + mw_tf_adj_{name}" if name in weighed else ""
        yield f"'{name}', round(mw_{name}{adjustment}, 1)"


def _version(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
