"""What the twins of models promise of their columns, checked in one query a model over the rows that were replaced.

After each layer of a build Soda verifies whole tables: ten times the work of an update. What is promised is the same,
read from the data tests in dbt's manifest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def broken_promises(connection: duckdb.DuckDBPyConnection, manifest: dict, models: dict[str, str]) -> list[str]:
    """A sentence for each data test of a column that rows of these models break.

    models: name -> condition over the rows to check, the column that it is about first. Checked are not_null, unique,
    accepted_values, in_range, relationships and, where this column is part of what is unique, unique_together, as far
    as they stop a build; other tests, which compare tables, run with the full build.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    tests: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for node in manifest["nodes"].values():
        model = manifest["nodes"].get(node.get("attached_node") or "", {}).get("name")
        if node["resource_type"] == "test" and model in models and _stops_a_build(node):
            checked = _conditions(models[model], node)
            count = _count_of_bad_rows(manifest, node, checked)
            if count is not None:
                tests[model, checked][node["name"]] = count
    problems = []
    for (model, checked), counts in tests.items():
        node = nodes[model]
        [numbers] = connection.execute(
            f"""
            select {", ".join(counts.values())}
            from {node["schema"]}.{model}
            where {checked}
            """
        ).fetchall()
        problems += [
            f"{node['original_file_path']}: the data test {test} fails for {number} rows"
            for test, number in zip(counts, numbers, strict=True)
            if number
        ]
    return problems


def _stops_a_build(test: dict) -> bool:
    """Whether a bad row is an error, and which rows are looked at is plain SQL."""
    return test["config"]["severity"].lower() == "error" and "{" not in (test["config"].get("where") or "")


def _conditions(checked: str, test: dict) -> str:
    where = test["config"].get("where")
    return f"{checked} and ({where})" if where else checked


def _is_about(checked: str, columns: list[str]) -> bool:
    """Whether the rows of the condition are all that have one of their values in these columns together."""
    return re.match(r"\W*(\w+)", checked)[1] in columns


def _count_of_bad_rows(manifest: dict, node: dict, checked: str) -> str | None:
    """SQL that counts the rows that break a test, None for tests of another kind; checked: condition over the rows."""
    test = node.get("test_metadata") or {"name": "", "kwargs": {}}
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
        case "relationships":
            others = [
                manifest["nodes"][name]
                for name in node.get("depends_on", {}).get("nodes", ())
                if name != node["attached_node"] and name in manifest["nodes"]
            ]
            if len(others) != 1:
                return None
            known = f"select {values['field']} from {others[0]['schema']}.{others[0]['name']}"
            return f"count(case when {column} not in ({known}) then 1 end)"
        case "unique_together" if _is_about(checked, values["columns"]):
            table = manifest["nodes"][node["attached_node"]]
            columns = ", ".join(values["columns"])
            return (
                f"any_value((select count(*) from (select {columns} from {table['schema']}.{table['name']} "
                f"where {checked} group by {columns} having count(*) > 1)))"
            )
        case _:
            return None


def _as_text(value: object) -> str:
    """A value of YAML as the SQL text that a cast to varchar gives."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"
