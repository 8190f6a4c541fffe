"""What the twins of models promise of their columns, checked in one query a model over the rows that were replaced.

dbt runs each data test as a query of its own over the whole table: right for a full build, ten times the work of an
update. The tests are the same ones, read from dbt's manifest.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def broken_promises(connection: duckdb.DuckDBPyConnection, manifest: dict, models: dict[str, str]) -> list[str]:
    """A sentence for each data test of a column that rows of these models break.

    models: name -> condition over the rows to check. Checked are not_null, unique, accepted_values, in_range and
    relationships as far as they stop a build; other tests, which compare tables, run with the full build.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    tests: dict[str, dict[str, str]] = defaultdict(dict)
    for node in manifest["nodes"].values():
        model = manifest["nodes"].get(node.get("attached_node") or "", {}).get("name")
        if node["resource_type"] == "test" and model in models and promised(manifest, node):
            tests[model][node["name"]] = _count_of_bad_rows(manifest, node)
    problems = []
    for model, counts in tests.items():
        node = nodes[model]
        [numbers] = connection.execute(
            f"""
            select {", ".join(counts.values())}
            from {node["schema"]}.{model}
            where {models[model]}
            """
        ).fetchall()
        problems += [
            f"{node['original_file_path']}: the data test {test} fails for {number} rows"
            for test, number in zip(counts, numbers, strict=True)
            if number
        ]
    return problems


def promised(manifest: dict, test: dict) -> bool:
    """Whether `broken_promises` checks this data test."""
    return _stops_a_build(test) and _count_of_bad_rows(manifest, test) is not None


def _stops_a_build(test: dict) -> bool:
    """Whether a bad row anywhere in the table is an error."""
    return test["config"]["severity"].lower() == "error" and not test["config"].get("where")


def _count_of_bad_rows(manifest: dict, node: dict) -> str | None:
    """SQL that counts the rows that break a test, None for tests of another kind."""
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
        case _:
            return None


def _as_text(value: object) -> str:
    """A value of YAML as the SQL text that a cast to varchar gives."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"
