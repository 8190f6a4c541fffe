"""How right the guards are: the identity mapping of 200,000 persons with a messy base, against the truth.

`make bench-identity` runs it. The base (messy_base.py) is delivered to a warehouse of its own, and the product's own
models map it: dbt builds everything up to identity_map with the policy of this checkout, or with another one that is
given. Beside it stand plain connected components of the same edges, without any guard. Both are judged by the
identifiers that are one person's alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from tagloom.identity.components import connected_components
from tagloom.identity.policy import POLICY_FILE, load_policy, policy_files
from tagloom.operations import create_operations_tables
from tagloom.settings import PROJECT
from tagloom.sources import load_sources
from tagloom.warehouse import prepare_connection

from tests.benchmarks.messy_base import Base, messy_base

PERSONS = 200_000
AS_OF_DATE = "2017-12-31"
KEY = "benchmark-key-0123456789-0123456789"

TARGETS = {
    "precision": (">=", 0.99),
    "recall": (">=", 0.94),
    "over-merged": ("<=", 0.015),
    "largest component": ("<=", 50),
}


@dataclass(frozen=True)
class Quality:
    """How well a partition of identifiers agrees with the truth."""

    figures: dict[str, float]
    """precision, recall and F1 of pairs; the same of B-cubed; share of clusters with identifiers of several persons;
    the most persons in one; identifiers in the largest component, shared and made-up ones too."""

    @property
    def missed(self) -> list[str]:
        """Targets that were not met."""
        right = {">=": lambda value, goal: value >= goal, "<=": lambda value, goal: value <= goal}
        return [name for name, (sign, goal) in TARGETS.items() if not right[sign](self.figures[name], goal)]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--persons", type=int, default=PERSONS)
    parser.add_argument("--policy", type=Path, default=POLICY_FILE)
    parser.add_argument("--keep", type=Path, help="folder for the warehouse, which then stays")
    options = parser.parse_args(arguments)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="tagloom-quality-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TAGLOOM_IDENTITY_KEY"] = KEY
    try:
        return _run(folder, options.persons, options.policy)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def _run(folder: Path, persons: int, policy: Path) -> int:
    warehouse = folder / "warehouse.duckdb"
    warehouse.unlink(missing_ok=True)
    started = time.monotonic()
    base = messy_base(persons)
    with duckdb.connect(str(warehouse)) as connection:
        deliver(connection, base)
    print(f"{persons:,} persons, {sum(map(len, base.tables.values())):,} records: {time.monotonic() - started:.0f} s")
    started = time.monotonic()
    build(folder, warehouse, policy)
    print(f"mapped by dbt up to identity_map: {time.monotonic() - started:.0f} s")
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        prepare_connection(connection)
        truth = true_owners(connection, base)
        edges = connection.execute("select count(*) from identity_mapping.identity_edges").fetchall()[0][0]
        print(f"{edges:,} edges, {len(truth):,} identifiers that are one person's alone\n")
        naive = judge(truth, without_guards(connection))
        guarded = judge(truth, mapped(connection))
        rejected = connection.execute(
            "select rejected_because, count(*) from identity_mapping.identity_edges group by all order by 2 desc"
        ).fetchall()
    print_table(naive, guarded)
    print("\nedges: " + ", ".join(f"{number:,} {reason or 'accepted'}" for reason, number in rejected))
    for name in guarded.missed:
        print(f"MISSED: {name}", file=sys.stderr)
    return 1 if guarded.missed else 0


def deliver(connection: duckdb.DuckDBPyConnection, base: Base) -> None:
    """Make the raw tables of every declared source and fill those of the base."""
    create_operations_tables(connection)
    for source in load_sources(PROJECT / "sources"):
        connection.execute(f"create schema {source.raw_schema}")
        for table in source.tables:
            columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in table.columns)
            connection.execute(f"create table {source.raw_schema}.{table.name} ({columns})")
            rows = base.tables.get(f"{source.name}.{table.name}")
            if rows:
                frame = pd.DataFrame(rows)
                connection.register("delivered", frame)
                connection.execute(f"insert into {source.raw_schema}.{table.name} by name select * from delivered")
                connection.unregister("delivered")


def build(folder: Path, warehouse: Path, policy: Path) -> None:
    """Let dbt build identity_map and all that it stands on, with the seeds of the policy."""
    project = folder / "dbt_project"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(PROJECT / "dbt_project", project)
    for path, content in policy_files(load_policy(policy)).items():
        (project / path).write_text(content, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TAGLOOM_", "DBT_"))}
    environment |= {
        "PYTHONPATH": str(PROJECT / "plugins"),
        "TAGLOOM_WAREHOUSE": str(warehouse),
        "TAGLOOM_AS_OF_DATE": AS_OF_DATE,
        "TAGLOOM_IDENTITY_KEY": KEY,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    command = [sys.executable, "-m", "dbt.cli.main", "build", "--select", "+identity_map", "--quiet"]
    command += ["--exclude-resource-type", "unit_test", "test", "--project-dir", str(project), "--profiles-dir"]
    command += [str(project), "--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    done = subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"dbt failed:\n{done.stdout}{done.stderr}")


def true_owners(connection: duckdb.DuckDBPyConnection, base: Base) -> pd.DataFrame:
    """identifier_key -> person, for identifiers of the registry that one person alone gave as an own one."""
    frame = pd.DataFrame(base.truth, columns=["identifier_type", "value", "person"])
    connection.register("given", frame)
    return connection.execute(
        """
        select registry.identifier_key, owners.person
        from (
            select identifier_type, value, min(person) as person
            from given
            group by all
            having count(distinct person) = 1
        ) as owners
        inner join identity_mapping.identity_registry as registry
            on owners.identifier_type = registry.identifier_type
            and registry.identifier_hash = sha256(getvariable('identity_key_outer') || unhex(sha256(
                getvariable('identity_key_inner') || encode(owners.identifier_type || ':' || owners.value)
            )))
        """
    ).df()


def without_guards(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """identifier_key -> cluster by every edge, rejected or not."""
    keys = connection.execute("select identifier_key from identity_mapping.identity_registry order by 1").fetchnumpy()
    edges = connection.execute("select left_key, right_key from identity_mapping.identity_edges").fetchnumpy()
    nodes = np.asarray(keys["identifier_key"])
    clusters = connected_components(nodes, np.asarray(edges["left_key"]), np.asarray(edges["right_key"]))
    return pd.DataFrame({"identifier_key": nodes, "cluster": clusters})


def mapped(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """identifier_key -> person of identity_map; an identifier that nobody has is a cluster of its own."""
    return connection.execute(
        """
        select registry.identifier_key, coalesce(identity_map.person_id, -registry.identifier_key) as cluster
        from identity_mapping.identity_registry as registry
        left join identity_mapping.identity_map as identity_map
            on registry.identifier_key = identity_map.identifier_key
        """
    ).df()


def judge(truth: pd.DataFrame, clusters: pd.DataFrame) -> Quality:
    """Compare a partition with the truth.

    Args:
        truth: identifier_key, person.
        clusters: identifier_key, cluster; holds every key of the truth, and may hold more.
    """
    both = truth.merge(clusters, on="identifier_key", validate="one_to_one")
    together = both.groupby(["cluster", "person"]).size()
    in_cluster, in_person = both.groupby("cluster").size(), both.groupby("person").size()
    precision = _pairs(together) / _pairs(in_cluster)
    recall = _pairs(together) / _pairs(in_person)
    cells = together.rename("n").reset_index()
    of_cluster, of_person = cells["cluster"].map(in_cluster), cells["person"].map(in_person)
    cubed_precision = (cells["n"] ** 2 / of_cluster).sum() / len(both)
    cubed_recall = (cells["n"] ** 2 / of_person).sum() / len(both)
    persons_in_cluster = cells.groupby("cluster").size()
    return Quality(
        {
            "precision": precision,
            "recall": recall,
            "F1": _mean(precision, recall),
            "B-cubed precision": cubed_precision,
            "B-cubed recall": cubed_recall,
            "B-cubed F1": _mean(cubed_precision, cubed_recall),
            "over-merged": float((persons_in_cluster > 1).mean()),
            "most persons in one": float(persons_in_cluster.max()),
            "largest component": float(clusters.groupby("cluster").size().max()),
        }
    )


def _pairs(sizes: pd.Series) -> float:
    return float((sizes * (sizes - 1) / 2).sum())


def _mean(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall)


def print_table(naive: Quality, guarded: Quality) -> None:
    """One line per figure."""
    print(f"{'':22}{'no guards':>12}{'guards':>12}   target")
    for name, value in guarded.figures.items():
        goal = " ".join(str(part) for part in TARGETS[name]) if name in TARGETS else ""
        mark = "" if not goal else "  MISSED" if name in guarded.missed else "  ok"
        print(f"{name:22}{_shown(naive.figures[name]):>12}{_shown(value):>12}   {goal}{mark}")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 2 else f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(main())
