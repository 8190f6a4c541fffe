"""Stand-ins for the project's macros while sqlfluff reads a model; sqlfluff cannot run dbt's own dispatch.

A macro stands for an expression and becomes the call of a function of the same name; only macros that stand for
something else need a line here.
"""

from __future__ import annotations

from collections.abc import Callable


def __getattr__(name: str) -> Callable[..., str]:
    """Return the stand-in of any macro that stands for one expression."""

    def expression(*arguments: object, **options: object) -> str:
        values = [*arguments, *options.values()]
        return f"{name}({', '.join(str(value) for value in values)})"

    return expression


def persons_by_identifier(identifier_type: str, column: str, relation: str) -> str:
    """Stand in for the body of a CTE."""
    return f"select {column}, identifier_hash, person_id from {relation}"


def first_by(value: str, keys: list[str]) -> str:
    """Stand in for an aggregate over several columns."""
    return f"first_by({value}, {', '.join(keys)})"


def record_hash(table: str, columns: list[str]) -> str:
    """Stand in for an expression over the columns; the table is a text in it."""
    return f"record_hash('{table}', {', '.join(columns)})"


def run_of_identity() -> str:
    """Stand in for the body of a CTE."""
    return "select run_number, is_past from identity_map_history"


def previous_identity_map() -> str:
    """Stand in for the body of a CTE."""
    return "select identifier_key, person_id from identity_map_history"


def owners_by_attestation(speakers: str) -> str:
    """Stand in for the body of a CTE."""
    return f"select identifier_key, speaker_key, precedence from {speakers}"


def speakers_by_proxy(known_speakers: str, owners: str, least_strength: int) -> str:
    """Stand in for the body of a CTE."""
    return f"select record_hash, speaker_key, {least_strength} as through_key from {known_speakers} cross join {owners}"


def value_counts(object_name: str, table: str, shapes: dict[str, object]) -> str:
    """Stand in for the body of a CTE."""
    columns = "object, tag, shape, number, word, bin_from, bin_width, bin_word, objects"
    return f"select {columns} from {table}"


def changed_periods(table: str, days: str, key: str, columns: dict[str, str]) -> str:
    """Stand in for the body of a CTE."""
    return f"select {', '.join([key, 'valid_from', 'valid_to', *columns])} from {table} cross join {days}"


def tag_periods(object_name: str, table: str, key: str, tags: list[str]) -> str:
    """Stand in for the body of a CTE."""
    return f"select object, object_id, tag, value, valid_from, valid_to from {table}"


def long_form(table: str, key: str, tags: dict[str, str]) -> str:
    """Stand in for the body of a CTE."""
    return f"select {key}, tag, data_type, value from {table}"


def text_list(text: str, order_by: str) -> str:
    """Stand in for an aggregate."""
    return f"max({text})"


def name_of_bin() -> str:
    """Stand in for an expression over the columns of value_counts."""
    return "concat(shape, bin_from, bin_width, bin_word)"
