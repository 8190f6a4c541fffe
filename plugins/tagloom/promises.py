"""What the twins of models promise of their columns, checked for the affected persons in one query a model.

dbt runs each data test as a query of its own over the whole table: right for a full build, ten times the work of an
update. The tests are the same ones, read from dbt's manifest.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def broken_promises(connection: duckdb.DuckDBPyConnection, manifest: dict, models: list[str]) -> list[str]:
    """A sentence for each data test of a column that rows of operations.affected_persons break.

    Checked are not_null, unique, accepted_values and in_range as far as they stop a build; other tests, which compare
    tables, run with the full build.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    tests: dict[str, dict[str, str]] = defaultdict(dict)
    for node in manifest["nodes"].values():
        model = manifest["nodes"].get(node.get("attached_node") or "", {}).get("name")
        if node["resource_type"] == "test" and model in models and _stops_a_build(node):
            counted = _count_of_bad_rows(node["test_metadata"])
            if counted:
                tests[model][node["name"]] = counted
    problems = []
    for model, counts in tests.items():
        node = nodes[model]
        [numbers] = connection.execute(
            f"""
            select {", ".join(counts.values())}
            from {node["schema"]}.{model}
            where person_id in (select person_id from operations.affected_persons)
            """
        ).fetchall()
        problems += [
            f"{node['original_file_path']}: the data test {test} fails for {number} rows of affected persons"
            for test, number in zip(counts, numbers, strict=True)
            if number
        ]
    return problems


def _stops_a_build(test: dict) -> bool:
    """Whether a bad row anywhere in the table is an error."""
    return test["config"]["severity"].lower() == "error" and not test["config"].get("where")


def _count_of_bad_rows(test: dict) -> str | None:
    """SQL that counts the rows that break a test, None for tests of another kind."""
    values = test["kwargs"]
    column = values.get("column_name")
    match test["name"]:
        case "not_null":
            return f"count(*) - count({column})"
        case "unique":
            return f"count({column}) - count(distinct {column})"
        case "accepted_values":
            accepted = ", ".join(_as_text(value) for value in values["values"])
            return f"count(case when cast({column} as varchar) not in ({accepted}) then 1 end)"
        case "in_range":
            limits = [(values.get("minimum"), "<"), (values.get("maximum"), ">")]
            outside = [f"{column} {sign} {limit}" for limit, sign in limits if limit is not None]
            return f"count(case when {' or '.join(outside)} then 1 end)" if outside else None
        case _:
            return None


def _as_text(value: object) -> str:
    """A value of YAML as the SQL text that a cast to varchar gives."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"
