"""The SQL macro gives the components that numpy gives, and its SQL is also Spark's."""

from __future__ import annotations

import json
import random
import re
import shutil
from itertools import pairwise

import duckdb
import jinja2
import numpy as np
import pytest
from tagloom.identity.components import connected_components
from tagloom.settings import PROJECT

LARGEST_KEY = 2_147_483_646

MACROS = PROJECT / "dbt_project" / "macros"

OPERATION = """
{% macro solve() %}
    {% do tagloom.connected_components('edges', 'nodes', 'solved') %}
    {% do run_query('create table components as select identifier_key, component_key from solved') %}
    {% do tagloom.connected_components('no_edges', 'nodes', 'alone') %}
    {% do run_query('create table components_without_edges as select identifier_key, component_key from alone') %}
    {% do adapter.commit() %}
{% endmacro %}
"""


def graphs() -> tuple[list[int], list[tuple[int, int]]]:
    """Two hundred random graphs, and the shapes that take many rounds, side by side."""
    chance = random.Random(4)
    nodes, edges = [], []

    def take(count: int) -> list[int]:
        first = nodes[-1] + chance.choice((1, 2, 1_000)) if nodes else 1
        nodes.extend(range(first, first + count))
        return nodes[-count:]

    for _ in range(200):
        keys = take(chance.randint(1, 30))
        edges += [(chance.choice(keys), chance.choice(keys)) for _ in range(chance.randint(0, 40))]
    edges += pairwise(take(5_000))
    shuffled = chance.sample(keys := take(5_000), len(keys))
    edges += pairwise(shuffled)
    star = take(3_000)
    edges += [(star[-1], other) for other in star[:-1]]
    nodes += [LARGEST_KEY - 1, LARGEST_KEY]
    edges += [(LARGEST_KEY, 1), (7, 7), (LARGEST_KEY, 1)]
    return nodes, edges


@pytest.fixture
def solved(tmp_path):
    """Graph and components as dbt has made them."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    nodes, edges = graphs()
    file = tmp_path / "graph.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table nodes (identifier_key bigint)")
        connection.executemany("insert into nodes select unnest(?)", [[nodes]])
        connection.execute("create table edges (left_key bigint, right_key bigint)")
        columns = [list(ends) for ends in zip(*edges, strict=True)]
        connection.executemany("insert into edges select unnest(?), unnest(?)", [columns])
        connection.execute("create table no_edges as from edges limit 0")
    shutil.copytree(MACROS, tmp_path / "macros")
    (tmp_path / "macros" / "solve.sql").write_text(OPERATION)
    (tmp_path / "dbt_project.yml").write_text("name: tagloom\nversion: '1.0'\nprofile: test\n")
    output = {"type": "duckdb", "path": str(file), "threads": 1}
    (tmp_path / "profiles.yml").write_text(json.dumps({"test": {"target": "one", "outputs": {"one": output}}}))
    try:
        folder = ["--project-dir", str(tmp_path), "--profiles-dir", str(tmp_path), "--quiet"]
        outcome = dbtRunner().invoke(["run-operation", "solve", *folder])
    finally:
        environment, DuckDBConnectionManager._ENV = DuckDBConnectionManager._ENV, None
        if environment is not None:
            environment.close()
    assert outcome.success, outcome.exception or outcome.result
    with duckdb.connect(str(file)) as connection:
        yield nodes, edges, connection


def test_the_same_components_as_numpy(solved):
    nodes, edges, connection = solved
    ends = np.array(edges, dtype=np.int64)
    expected = connected_components(np.array(nodes, dtype=np.int64), ends[:, 0], ends[:, 1])
    found = connection.execute("from components order by identifier_key").fetchall()
    assert found == list(zip(nodes, expected.tolist(), strict=True))
    alone = connection.execute("from components_without_edges order by identifier_key").fetchall()
    assert alone == [(node, node) for node in nodes]


def test_its_statements_are_spark_sql():
    """What dbt would send to Spark, read by a parser of that dialect."""
    sqlfluff = pytest.importorskip("sqlfluff")
    text = (MACROS / "identity" / "connected_components.sql").read_text()
    statements = re.findall(r"{% macro (\w+)\((.*?)\) -%}(.*?){%- endmacro %}", text, flags=re.DOTALL)
    read = 0
    for name, parameters, body in statements:
        if "run_query" in body or "make_work_table" in body:
            continue
        values = {parameter.strip(): "some_table" for parameter in parameters.split(",")}
        values |= {"multiplier": 1105902161, "inverse": 1501501136, "prime": 2147483647}
        sql = jinja2.Template(body).render(values)
        parsed = sqlfluff.parse(f"create table result using parquet as {sql}", dialect="sparksql")
        assert "unparsable" not in json.dumps(parsed), name
        read += 1
    assert read == 5
