"""What resolving identities costs: text edges in, a person for every identifier out, against Splink's clustering.

`make bench-identity`. A graph of persons as stars, trees and chains, with redundant edges and a few hubs, lies as text
pairs in a DuckDB file. Each way solves it in a process of its own and writes the persons to a file of its own; counted
are seconds of processor time and the largest size of the process. All must find the same partition. Then 1 % more edges
arrive, and 1,000 edges are taken back, and the table that was solved before is brought up to date.

`make bench-identity EDGES="1 5"` measures other sizes, in millions.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from tagloom.identity import partition
from tagloom.identity.partition import Graph

PROJECT = Path(__file__).parents[2]

PERSONS_PER_EDGE = 0.19
HUBS = (1_000, 2_000, 5_000, 10_000, 21_000)
"""Identifiers of a hub; per million edges one of them, in turn."""
REDUNDANT = 0.12
BATCH = 0.01
REMOVED = 1_000
ROUNDS = 3
"""Every way is taken in turn and the least counts: what else goes on in a machine adds up to a fifth to one of them."""
JUDGED_FROM = 4_000_000
"""Edges; of smaller graphs what every process costs is the larger part, so their ratios are only shown."""
MEMORY_LIMIT = "2200MB"
"""Of DuckDB, for each way; the arrays of the solver and of Splink's caller come on top. At 1500 MB ten million edges
spill, and the disk, not the method, decides how the cost grows."""

TARGETS = {
    "Splink's CPU / ours": (">=", 2.0),
    "SQL macro's CPU / Splink's": ("<=", 0.8),
    "memory, GB": ("<=", 2.6),
    "exponent of growth": ("<=", 1.05),
    "1 % batch, share of a full run": ("<=", 0.07),
    "1,000 edges removed, share of a full run": ("<=", 0.04),
}

IDENTIFIER = """
    case {key} % 4
        when 0 then 'phone:+1' || lpad(cast(hash({key}) % 10000000000 as varchar), 10, '0') || '-' || {key}
        when 1 then 'email:' || left(md5(cast({key} as varchar)), 20) || '@example.com'
        when 2 then 'loyalty_card:' || lpad(cast({key} as varchar), 12, '0')
        else 'device_mac:' || upper(left(md5(cast({key} as varchar)), 12))
    end
"""

# Every limit is looked at and none is reached, so the partition is the one of the connected components.
LIMITS = dict.fromkeys(("phone", "email", "loyalty_card"), 1_000_000_000)


def main() -> int:
    """Measure and print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("millions", nargs="*", type=float, default=[1, 5, 10], help="millions of edges")
    parser.add_argument("--keep", type=Path, help="folder for the graphs and the results (default: deleted)")
    arguments = parser.parse_args()
    reached = True
    with tempfile.TemporaryDirectory(prefix="bench-identity-") as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        costs: list[tuple[int, float]] = []
        for million in arguments.millions:
            edges, measured = measure(folder, int(million * 1e6))
            costs.append((edges, measured["full"]["cpu"]))
            reached &= report(measured, is_judged=edges >= JUDGED_FROM, is_largest=million == max(arguments.millions))
        if len(costs) > 1:
            exponent = math.log(costs[-1][1] / costs[0][1]) / math.log(costs[-1][0] / costs[0][0])
            reached &= say("exponent of growth", exponent)
    return 0 if reached else 1


def measure(folder: Path, nominal: int) -> tuple[int, dict[str, dict]]:
    """Number of edges, and what each way took: name -> cpu, seconds, megabytes, partition."""
    graph = folder / f"edges-{nominal}.duckdb"
    if not graph.exists():
        run("make", graph, str(nominal))
    with duckdb.connect(str(graph), read_only=True) as connection:
        ((edges,),) = connection.execute("select count(*) from edges").fetchall()
    print(f"\n{edges:,} edges, the least of {ROUNDS} rounds", flush=True)
    outcomes: dict[str, list[dict]] = {}
    for number in range(1, ROUNDS + 1):
        print(f"  round {number} of {ROUNDS}", flush=True)
        for way, found in one_round(folder, graph).items():
            outcomes.setdefault(way, []).append(found)
    measured = {way: min(found, key=lambda outcome: outcome["cpu"]) for way, found in outcomes.items()}
    print(f"  {'':24}{'CPU s':>8}{'wall s':>8}{'MB':>8}", flush=True)
    for way, outcome in measured.items():
        show(way, outcome)
    return edges, measured


def one_round(folder: Path, graph: Path) -> dict[str, dict]:
    """What each way took this time; all must find the same partition."""
    found: dict[str, dict] = {}
    ours = folder / "full.duckdb"
    for way, target in (("full", ours), ("macro", folder / "macro.duckdb"), ("splink", folder / "splink.duckdb")):
        target.unlink(missing_ok=True)
        found[way] = run(way, graph, str(target))
        if target != ours:
            target.unlink()
    if len({json.dumps(outcome["partition"]) for outcome in found.values()}) > 1:
        raise SystemExit(f"The partitions differ: {found}")
    for way in ("batch", "split"):
        target = folder / f"{way}.duckdb"
        shutil.copy(ours, target)
        found[way] = run(way, graph, str(target))
        run("check", graph, str(target))
        target.unlink()
    ours.unlink()
    return found


def report(measured: dict[str, dict], is_judged: bool, is_largest: bool) -> bool:
    """Print the ratios; False when one that counts is outside its target. Memory is asked for at the largest size."""
    full = measured["full"]["cpu"]
    outcomes = [
        say("Splink's CPU / ours", measured["splink"]["cpu"] / full),
        say("SQL macro's CPU / Splink's", measured["macro"]["cpu"] / measured["splink"]["cpu"]),
        say("1 % batch, share of a full run", without_comparing(measured["batch"]) / full),
        say("1,000 edges removed, share of a full run", without_comparing(measured["split"]) / full),
    ]
    for way, what in (("batch", "1 % batch"), ("split", "1,000 edges removed")):
        print(f"  {what + ' found by comparing all edges':42}{measured[way]['cpu'] / full:7.3f}", flush=True)
    if is_largest:
        outcomes.append(say("memory, GB", measured["full"]["megabytes"] / 1000))
    return all(outcomes) or not is_judged


def without_comparing(outcome: dict) -> float:
    """CPU of an update that is told what has changed, as other tools are."""
    return outcome["cpu"] - outcome["steps"]["compare"]


def say(what: str, value: float) -> bool:
    """Print a ratio beside its target; whether it is inside."""
    sign, target = TARGETS[what]
    reached = value >= target if sign == ">=" else value <= target
    print(f"  {what:42}{value:7.3f}  (wanted: {sign} {target}){'' if reached else '  MISSED'}", flush=True)
    return reached


def show(way: str, outcome: dict) -> None:
    """Print what one way took and its steps."""
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in outcome["steps"].items())
    numbers = f"{outcome['cpu']:8.2f}{outcome['seconds']:8.1f}{outcome['megabytes']:8.0f}"
    print(f"  {way:24}{numbers}  {steps}", flush=True)


def run(way: str, graph: Path, *arguments: str) -> dict:
    """One way in a process of its own."""
    command = [sys.executable, __file__, "--child", way, str(graph), *arguments]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise SystemExit(f"{' '.join(command)}\n{outcome.stdout}{outcome.stderr}")
    return json.loads(outcome.stdout.splitlines()[-1])


class Steps:
    """Processor time of the parts of a child."""

    def __init__(self) -> None:
        """Start the watch: what was imported before is not counted, for nobody."""
        self.started = (time.process_time(), time.monotonic())
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count a part."""
        before = time.process_time()
        yield
        self.seconds[name] = time.process_time() - before

    def outcome(self, connection: duckdb.DuckDBPyConnection) -> dict:
        """What the parent reads; the partition is looked at after everything was counted."""
        outcome = {
            "cpu": time.process_time() - self.started[0],
            "seconds": time.monotonic() - self.started[1],
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            "steps": self.seconds,
        }
        return outcome | {"partition": partition_of(connection)}


def child(way: str, graph: str, *arguments: str) -> None:
    """Do one way and print what it took as JSON."""
    ways: dict[str, Callable[..., dict]] = {
        "make": make, "full": full, "macro": macro, "splink": splink, "batch": batch, "split": split, "check": check
    }  # fmt: skip
    # Imports are paid once by a process that does more than this.
    import pandas  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    print(json.dumps(ways[way](graph, *arguments)))


@contextmanager
def opened(target: str, graph: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The result's file with the graph beside it."""
    with duckdb.connect(target, config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as connection:
        connection.execute(f"attach '{graph}' as input (read_only)")
        connection.execute("set preserve_insertion_order = false")
        yield connection


def full(graph: str, target: str) -> dict:
    """As the warehouse does it: a registry gives keys, the partition is solved and kept, persons are written."""
    steps = Steps()
    with opened(target, graph) as connection:
        with steps.step("encode"):
            encode(connection)
        with steps.step("solve"):
            outcome = partition.bring_up_to_date(connection, GRAPH, "components", "solved_edges")
        with steps.step("write"):
            partition.write(connection, "components", outcome)
            del outcome
            connection.execute("create table solved_edges as select left_key, right_key, strength from edges")
        with steps.step("decode"):
            decode(connection, "components", "component_key")
        return steps.outcome(connection)


GRAPH = Graph("registry", "edges", LIMITS)


def encode(connection: duckdb.DuckDBPyConnection) -> None:
    """Make registry and edges from text; the same for every way.

    Identifiers are looked up by a hash, as the warehouse does it: texts in the tables of a join fill the memory.
    """
    connection.execute(
        """
        create table registry as
        select
            row_number() over () as identifier_key,
            split_part(identifier, ':', 1) as identifier_type,
            identifier,
            hash(identifier) as identifier_hash
        from (select left_identifier as identifier from input.edges union select right_identifier from input.edges)
        """
    )
    # Each identifier has an edge, so two with one hash would show as more edges than there are.
    ((encoded, known),) = connection.execute(
        """
        create table edges as
        select
            least(one.identifier_key, other.identifier_key) as left_key,
            greatest(one.identifier_key, other.identifier_key) as right_key,
            cast(3 as integer) as strength
        from input.edges as edges
        inner join registry as one on hash(edges.left_identifier) = one.identifier_hash
        inner join registry as other on hash(edges.right_identifier) = other.identifier_hash;
        select (select count(*) from edges), (select count(*) from input.edges)
        """
    ).fetchall()
    if encoded != known:
        raise SystemExit(f"{known:,} edges became {encoded:,}: two identifiers have one hash. Make another graph.")


def decode(connection: duckdb.DuckDBPyConnection, components: str, component: str) -> None:
    """Write the persons."""
    connection.execute(
        f"""
        create table persons as
        select registry.identifier_key, registry.identifier, components.{component} as person_key
        from registry
        inner join {components} as components on registry.identifier_key = components.identifier_key
        """
    )


def macro(graph: str, target: str) -> dict:
    """The same with the SQL macro that other engines use; dbt itself is not counted, it has no part in the work."""
    from dbt.cli.main import dbtRunner

    with tempfile.TemporaryDirectory(prefix="bench-dbt-") as name:
        write_dbt_project(Path(name), target, graph)
        os.environ["DO_NOT_TRACK"] = "1"
        common = ["--project-dir", name, "--profiles-dir", name, "--quiet"]
        manifest = dbtRunner().invoke(["parse", *common]).result
        steps = Steps()
        with opened(target, graph) as connection, steps.step("encode"):
            encode(connection)
        with steps.step("solve and decode"):
            outcome = dbtRunner(manifest=manifest).invoke(["run-operation", "solve_and_decode", *common])
            if not outcome.success:
                raise RuntimeError(str(outcome.exception or outcome.result))
            release_dbt()
        with opened(target, graph) as connection:
            return steps.outcome(connection)


def write_dbt_project(folder: Path, target: str, graph: str) -> None:
    """A dbt project of our macros and no models."""
    shutil.copytree(PROJECT / "dbt_project" / "macros", folder / "macros")
    (folder / "macros" / "solve_and_decode.sql").write_text(
        """
        {% macro solve_and_decode() %}
            {% do tagloom.connected_components('edges', 'registry', 'solved') %}
            {% do run_query(
                'create table persons as select registry.identifier_key, registry.identifier, '
                ~ 'solved.component_key as person_key from registry '
                ~ 'inner join solved on registry.identifier_key = solved.identifier_key'
            ) %}
            {% do adapter.commit() %}
        {% endmacro %}
        """
    )
    (folder / "dbt_project.yml").write_text("name: tagloom\nversion: '1.0'\nprofile: bench\n")
    settings = {"preserve_insertion_order": "false", "memory_limit": MEMORY_LIMIT}
    output = {"type": "duckdb", "path": target, "threads": 1, "settings": settings, "config_options": {"threads": 2}}
    (folder / "profiles.yml").write_text(json.dumps({"bench": {"target": "one", "outputs": {"one": output}}}))


def release_dbt() -> None:
    """Close dbt-duckdb's connection, which keeps the file open."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment, DuckDBConnectionManager._ENV = DuckDBConnectionManager._ENV, None
    if environment is not None:
        environment.close()


def splink(graph: str, target: str) -> dict:
    """Splink's clustering of the same edges, given the integer keys that make it fastest."""
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    steps = Steps()
    with opened(target, graph) as connection:
        with steps.step("encode"):
            encode(connection)
        with steps.step("solve"):
            clusters = cluster_pairwise_predictions_at_threshold(
                nodes="registry",
                edges="edges",
                db_api=DuckDBAPI(connection),
                node_id_column_name="identifier_key",
                edge_id_column_name_left="left_key",
                edge_id_column_name_right="right_key",
            )
        with steps.step("decode"):
            decode(connection, clusters.physical_name, "cluster_id")
        return steps.outcome(connection)


def batch(graph: str, target: str) -> dict:
    """1 % more edges arrive, a third of their identifiers unknown: registered, compared, solved, written."""
    steps = Steps()
    with opened(target, graph) as connection:
        with steps.step("encode"):
            # The arrived are few: one look at the hashes of the registry finds those of them that are known.
            connection.execute(
                """
                create temporary table arrived as
                with seen as materialized (
                    select identifier, hash(identifier) as identifier_hash
                    from (
                        select left_identifier as identifier from input.batch
                        union
                        select right_identifier from input.batch
                    )
                ),
                known as materialized (
                    select identifier_hash, identifier_key from registry
                    where identifier_hash in (select identifier_hash from seen)
                )
                select identifier, identifier_hash, known.identifier_key
                from seen
                left join known using (identifier_hash)
                """
            )
            connection.execute(
                """
                update arrived set identifier_key = numbered.identifier_key
                from (
                    select
                        identifier_hash,
                        (select max(identifier_key) from registry) + row_number() over () as identifier_key
                    from arrived
                    where identifier_key is null
                ) as numbered
                where arrived.identifier_hash = numbered.identifier_hash
                """
            )
            connection.execute(
                """
                insert into registry
                select identifier_key, split_part(identifier, ':', 1), identifier, identifier_hash
                from arrived
                where identifier_key > (select max(identifier_key) from registry)
                """
            )
            connection.execute(
                """
                insert into edges
                select
                    least(one.identifier_key, other.identifier_key),
                    greatest(one.identifier_key, other.identifier_key),
                    3
                from input.batch as edges
                inner join arrived as one on hash(edges.left_identifier) = one.identifier_hash
                inner join arrived as other on hash(edges.right_identifier) = other.identifier_hash
                """
            )
        return bring_up_to_date(connection, steps)


def split(graph: str, target: str) -> dict:
    """1,000 edges are taken back."""
    steps = Steps()
    with opened(target, graph) as connection:
        with steps.step("encode"):
            connection.execute(
                """
                with named as materialized (
                    select identifier_hash, identifier_key from registry
                    where identifier_hash in (
                        select hash(left_identifier) from input.removed
                        union all
                        select hash(right_identifier) from input.removed
                    )
                ),
                keys as materialized (
                    select one.identifier_key as one_key, other.identifier_key as other_key
                    from input.removed as removed
                    inner join named as one on hash(removed.left_identifier) = one.identifier_hash
                    inner join named as other on hash(removed.right_identifier) = other.identifier_hash
                )
                delete from edges using keys
                where left_key = least(one_key, other_key) and right_key = greatest(one_key, other_key)
                """
            )
        return bring_up_to_date(connection, steps)


def bring_up_to_date(connection: duckdb.DuckDBPyConnection, steps: Steps) -> dict:
    """What a run does with edges that are not those of the run before; written are changed rows."""
    with steps.step("compare"):
        changes = partition.changes_since(connection, GRAPH, "components", "solved_edges")
        edges = partition.edges_fingerprint(connection, GRAPH.edges)
    with steps.step("solve"):
        rows = partition.update(connection, GRAPH, "components", changes)
    with steps.step("write"):
        outcome = partition.Outcome(rows, GRAPH.laws_fingerprint(), edges)
        partition.write(connection, "components", outcome)
        changed = outcome.rows.as_arrow()
        connection.register("changed_rows", changed)
        connection.execute("delete from persons where identifier_key in (select identifier_key from changed_rows)")
        connection.execute(
            "insert into persons select identifier_key, identifier, component_key from changed_rows "
            "inner join registry using (identifier_key)"
        )
    return steps.outcome(connection)


def check(graph: str, target: str) -> dict:
    """Compare the table that was brought up to date with everything solved anew."""
    with opened(target, graph) as connection:
        anew = partition.solve_everything(connection, GRAPH)
        different = partition.differing_rows(connection, "components", anew)
        if len(different.identifier_key) or len(different.gone):
            raise SystemExit(f"{target}: {len(different.identifier_key):,} rows are not what a full solve gives.")
        ((unnamed,),) = connection.execute(
            """
            select count(*)
            from (select unnest([left_identifier, right_identifier]) as identifier from input.batch) as arrived
            semi join (select identifier_hash from registry) as hashes on hash(arrived.identifier) = identifier_hash
            anti join registry on arrived.identifier = registry.identifier
            """
        ).fetchall()
        if unnamed:
            raise SystemExit(f"{target}: {unnamed:,} identifiers were taken for others that have the same hash.")
        ((wrong,),) = connection.execute(
            "select count(*) from components full join persons using (identifier_key) "
            "where component_key is distinct from person_key"
        ).fetchall()
        if wrong:
            raise SystemExit(f"{target}: {wrong:,} persons are not those of the components.")
    return {}


def partition_of(connection: duckdb.DuckDBPyConnection) -> list:
    """Something that only the same partition has: identifiers, persons, sum of a hash of each person's identifiers."""
    return connection.execute(
        """
        select count(*), count(distinct smallest), cast(sum(hash(identifier, smallest)) as varchar)
        from (select identifier, min(identifier) over (partition by person_key) as smallest from persons)
        """
    ).fetchall()


def make(graph: str, nominal: str) -> dict:
    """Write the edges, a batch of 1 % more and edges to take back, as text."""
    left, right, count = random_graph(int(nominal))
    chance = np.random.default_rng(2)
    arriving = int(len(left) * BATCH)
    # Most of what arrives in a day is about one identifier that is known and one that is not, or about two of a person.
    new = count + 1 + np.arange(arriving * 3 // 5)
    again = chance.choice(len(left), arriving - len(new))
    known = chance.integers(1, count + 1, len(new))
    bridges = chance.choice(len(again), len(again) // 4, replace=False)
    others = right[again]
    others[bridges] = chance.integers(1, count + 1, len(bridges))
    batch_left, batch_right = np.concatenate([known, left[again]]), np.concatenate([new, others])
    removed = chance.choice(len(left), REMOVED, replace=False)
    with duckdb.connect(graph, config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as connection:
        tables = {
            "edges": (left, right),
            "batch": (batch_left, batch_right),
            "removed": (left[removed], right[removed]),
        }
        for name, (one, other) in tables.items():
            connection.register("pairs", pa.table({"one": one, "other": other}))
            is_known = "semi" if name == "removed" else "anti"
            connection.execute(
                f"""
                create table {name} as
                select
                    {IDENTIFIER.format(key="one")} as left_identifier,
                    {IDENTIFIER.format(key="other")} as right_identifier
                from (select distinct least(one, other) as one, greatest(one, other) as other from pairs) as pairs
                {"" if name == "edges" else f"{is_known} join keys using (one, other)"}
                where one <> other
                order by hash(one, other)
                """
            )
            if name == "edges":
                connection.execute(
                    "create temporary table keys as "
                    "select least(one, other) as one, greatest(one, other) as other from pairs"
                )
    return {}


def random_graph(nominal: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Ends of about as many edges and the number of identifiers, numbered from 1 in random order."""
    chance = np.random.default_rng(1)
    persons = int(nominal * PERSONS_PER_EDGE)
    shape = chance.random(persons)
    sizes = np.select(
        [shape < 0.70, shape < 0.94, shape < 0.999],
        [chance.integers(2, 6, persons), chance.integers(5, 13, persons), chance.integers(13, 31, persons)],
        chance.integers(10, 51, persons),
    )
    hubs = [HUBS[number % len(HUBS)] for number in range(max(1, nominal // 1_000_000))]
    sizes = np.concatenate([sizes, hubs])
    is_star = np.concatenate([shape < 0.70, np.ones(len(hubs), dtype=bool)])
    is_chain = np.concatenate([shape >= 0.999, np.zeros(len(hubs), dtype=bool)])
    start = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(len(sizes)), sizes)
    count = len(owner)
    place = np.arange(count) - start[owner]
    in_tree = (chance.random(count) * place).astype(np.int64)
    parent = np.select([is_star[owner], is_chain[owner]], [0, place - 1], in_tree)
    child_node = np.flatnonzero(place)
    left, right = child_node, (start[owner] + parent)[child_node]
    again = chance.choice(child_node, int(len(child_node) * REDUNDANT))
    anyone = start[owner[again]] + (chance.random(len(again)) * sizes[owner[again]]).astype(np.int64)
    number = chance.permutation(count) + 1
    return number[np.concatenate([left, again])], number[np.concatenate([right, anyone])], count


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        sys.exit(0)
    sys.exit(main())
