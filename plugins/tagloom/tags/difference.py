"""What changed tag models change: built from two versions of the project in a copy of the warehouse, and compared.

Both versions are built from the same rows for the same day, so that every difference comes from the definitions. The
copy is removed afterwards; the warehouse and the published version are only read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tagloom import layer_state
from tagloom.operations import create_operations_tables
from tagloom.scratch import ScratchError, StopWatch, copy_warehouse, scratch_folder
from tagloom.settings import PROJECT, Settings
from tagloom.tags import values
from tagloom.tags.changed_models import IDENTITY, Changes, above, below, changes
from tagloom.tags.project import TAG_LAYER, Project, TagRequestError, layer_of, object_of, tag_meta, tags_of

if TYPE_CHECKING:
    from dbt.contracts.graph.nodes import ManifestNode

FOLDER = ".tag-diff-"
"""Begin of the name of the folder in the home that a comparison works in; its process id follows."""

TRANSITIONS = 10
"""Most frequent changes from a value to another that are listed for a tag."""

AUDIENCES = "audience_"
"""Begin of the names of audiences in serving."""

WORKING_TREE = "working tree"


@dataclass(frozen=True)
class ModelDifference:
    """A model that is not what it was, or that reads such a one."""

    name: str
    because: tuple[str, ...]
    """SQL, twin, settings, macro <name>, new; `reads <model>` when only something below it is changed."""
    seconds_before: float | None
    """What building it took; None for a new model."""
    seconds_after: float | None


@dataclass(frozen=True)
class TagDifference:
    """How the values of a tag differ, over all objects, with what `if_missing` and `valid_for` make of them."""

    object: str
    name: str
    model: str
    twin: str
    status: tuple[str | None, str | None]
    """Before and after; None where the tag is not there."""
    version: tuple[int | None, int | None]
    is_own_change: bool
    """The tag's own model is changed, not only what it reads."""
    objects: int
    changed: int
    """Objects whose value differs."""
    filled: tuple[int, int]
    spread: tuple[tuple[str, int, int], ...]
    """Label of values, objects before, objects after."""
    transitions: tuple[tuple[str, str, int], ...]
    """Label before, label after, objects; the most frequent ones, labels that differ first."""

    @property
    def share(self) -> float:
        """Share of objects whose value differs."""
        return self.changed / self.objects if self.objects else 0.0

    @property
    def is_new(self) -> bool:
        """Nobody can have used it before."""
        return self.status[0] is None

    @property
    def lacks_version(self) -> bool:
        """Readers see other values under the same version of the definition."""
        before, after = self.version
        return (
            self.is_own_change
            and self.changed > 0
            and self.status == ("published", "published")
            and (after or 1) <= (before or 1)
        )


@dataclass(frozen=True)
class AudienceDifference:
    """How the members of an audience differ; None where it is not there."""

    name: str
    before: int | None
    after: int | None
    entered: int
    left: int


@dataclass(frozen=True)
class Difference:
    """What changed definitions change."""

    base: str
    """The version compared with, as somebody would say it."""
    as_of_date: date
    models: tuple[ModelDifference, ...]
    tags: tuple[TagDifference, ...]
    audiences: tuple[AudienceDifference, ...]
    notes: tuple[str, ...]


def difference(
    settings: Settings, base: str = "HEAD", *, say: Callable[[str], None] = lambda _text: None
) -> Difference:
    """Compare the tags of the working tree with those of a git revision, on the rows that are in the warehouse now.

    Raises TagRequestError when git or dbt cannot read a version or a model fails, ScratchError when no build is
    finished, TagError when twins are wrong, WarehouseBusyError when another process writes the warehouse.
    """
    watch = StopWatch(say)
    with scratch_folder(settings.home, FOLDER) as folder:
        label = check_out(base, folder / "base")
        before = Project(settings, folder / "base" / "dbt_project", "analyst_base")
        after = Project(settings, _working_copy(settings, folder / "work"), "analyst")
        found = changes(before, after)
        plan = _Plan(before, after, found)
        number = len(plan.changed_names)
        verb = "model differs" if number == 1 else "models differ"
        watch.lap(f"read {label} and the {WORKING_TREE}: {number} {verb}")
        notes = [*plan.notes]
        if not plan.targets(after) and not plan.targets(before):
            return Difference(label, _day(settings), (), (), (), tuple(notes))
        file = folder / "warehouse.duckdb"
        copy_warehouse(settings, file)
        day, built_with = _prepare(file)
        is_base = built_with == _definitions_of(folder / "base")
        watch.lap(f"copied the warehouse ({file.stat().st_size / 1e6:,.0f} MB), tags are of {day}")
        if not is_base:
            notes.append(f"The warehouse was not built with {label}; what changed models read was built with it first.")
        names = plan.to_build(before, file, everything=not is_base)
        seconds_before = before.build(file, names, day) if names else {}
        watch.lap(f"built {len(names)} models as they are in {label}")
        with duckdb.connect(str(file)) as connection:
            plan.keep(connection, before, "before")
        names = plan.to_build(after, file, everything=False)
        seconds_after = after.build(file, names, day) if names else {}
        watch.lap(f"built {len(names)} models as they are in the {WORKING_TREE}")
        with duckdb.connect(str(file), config={"memory_limit": settings.memory_limit}) as connection:
            plan.keep(connection, after, "after")
            tags = plan.compare_tags(connection)
            audiences = plan.compare_audiences(connection)
        watch.lap("compared")
    models = plan.model_differences(seconds_before, seconds_after)
    return Difference(label, day, models, tags, audiences, tuple(notes))


def check_out(revision: str, folder: Path) -> str:
    """Put the files of a git revision that definitions consist of into a folder; what to call it: `main (1a2b3c4)`.

    Raises TagRequestError when git does not know the revision.
    """
    try:
        commit = _git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}").decode().strip()
    except TagRequestError as error:
        raise TagRequestError(f"BASE={revision} is no revision of this repository: {error}") from error
    parts = [part for part in ("dbt_project", "plugins") if (PROJECT / part).exists()]
    archive = _git("archive", "--format=tar", commit, *parts)
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return f"{revision} ({commit})" if not commit.startswith(revision) else commit


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(PROJECT), *arguments], capture_output=True, check=True)
    except FileNotFoundError as error:
        raise TagRequestError("git is not installed; tag-diff compares with a revision that git knows.") from error
    except subprocess.CalledProcessError as error:
        raise TagRequestError(" ".join(error.stderr.decode(errors="replace").split())) from error
    return done.stdout


def _working_copy(settings: Settings, folder: Path) -> Path:
    """The project as it is on disk, with what `make tags` would write."""
    # Reads every declaration; whoever only asks for help should not wait for it.
    from tagloom.written import written_files

    project = folder / "dbt_project"
    shutil.copytree(PROJECT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    for path, content in written_files(settings, project).items():
        file = project / path
        if file.parent.is_dir() or "tag_integration" in path.parts:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
    return project


def _day(settings: Settings) -> date:
    from tagloom.tags.beside import open_beside

    with open_beside(settings) as beside:
        return _built_for(beside.built_for())


def _prepare(file: Path) -> tuple[date, str]:
    """The day of the copy's tags and the definitions that they were built with; completes its tables of operations."""
    with duckdb.connect(str(file)) as connection:
        create_operations_tables(connection)
        layers = layer_state.last_build(connection)
    definitions, day = layers.get(TAG_LAYER, ("", None))
    return _built_for(day), definitions


def _built_for(day: date | None) -> date:
    if day is None:
        raise ScratchError(
            "No build of tags is finished: one is under way or has failed. Try again when build_tags is done."
        )
    return day


def _definitions_of(checkout: Path) -> str:
    """What `layer_state` of that version calls its definitions; empty when it has no such thing."""
    code = (
        "from tagloom import layer_state; from tagloom.settings import load_settings; "
        "print(layer_state.definitions_fingerprint(load_settings()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(checkout / "plugins")},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


class _Plan:
    """What is built, put aside and compared."""

    def __init__(self, before: Project, after: Project, found: Changes) -> None:
        self._before = before
        self._after = after
        self._found = found
        own = set(found.because) | set(found.gone)
        skipped = {
            name for name in own if (node := after.node(name) or before.node(name)) and layer_of(node) == IDENTITY
        }
        self._own = own - skipped
        self._moved = self._own | above(after, self._own) | above(before, self._own)
        # What is written from the twins differs with them, and says nothing by itself.
        self._relevant = {
            project: set().union(*({name} | below(project, [name]) for name in self.targets(project)))
            for project in (before, after)
        }
        self.changed_names = sorted(
            name.rpartition(".")[2]
            for name in self._own
            if any(name in relevant and not _is_written(project, name) for project, relevant in self._relevant.items())
        )
        self.notes = (
            ["Models of who is who differ, too; this compares with persons as they are (see `identity simulate`)."]
            if skipped
            else []
        )

    def targets(self, project: Project) -> set[str]:
        """Tag models, wide tables of their objects and audiences whose values may differ."""
        moved = [node for node in project.models() if node.unique_id in self._moved]
        tag_models = {node.unique_id for node in moved if layer_of(node) == TAG_LAYER}
        wide = {f"{object_of(project.node(name))[0]}_tags" for name in tag_models}
        return tag_models | {
            node.unique_id
            for node in moved
            if (layer_of(node) == "serving" and node.name.startswith(AUDIENCES))
            or (layer_of(node) == "tag_integration" and node.name in wide)
        }

    def to_build(self, project: Project, file: Path, *, everything: bool) -> list[str]:
        """Models to build so that the targets are those of this version of the project."""
        with duckdb.connect(str(file)) as connection:
            present = set(
                connection.execute(
                    "select schema_name, table_name from duckdb_tables() "
                    "union all select schema_name, view_name from duckdb_views()"
                ).fetchall()
            )
        targets = self.targets(project)
        needed = targets | below(project, targets)
        nodes = [node for node in project.models() if node.unique_id in needed and layer_of(node) != IDENTITY]
        return sorted(
            node.name
            for node in nodes
            if everything or node.unique_id in self._moved or (node.schema, node.name) not in present
        )

    def keep(self, connection: duckdb.DuckDBPyConnection, project: Project, schema: str) -> None:
        """Put values and audiences aside in a schema of the copy."""
        connection.execute(f"drop schema if exists {schema} cascade")
        connection.execute(f"create schema {schema}")
        targets = [project.node(name) for name in self.targets(project)]
        by_object: dict[str, list[ManifestNode]] = {}
        for node in targets:
            if layer_of(node) == TAG_LAYER:
                by_object.setdefault(object_of(node)[0], []).append(node)
            elif layer_of(node) == "serving":
                connection.execute(f'create table {schema}."{node.name}" as from serving."{node.name}"')
        for object_name, nodes in by_object.items():
            _keep_values(connection, schema, object_name, sorted(nodes, key=lambda node: node.name))

    def compare_tags(self, connection: duckdb.DuckDBPyConnection) -> tuple[TagDifference, ...]:
        """How the values put aside differ, tag by tag."""
        sides = []
        for project in (self._before, self._after):
            nodes = [project.node(name) for name in self.targets(project)]
            sides.append(
                {
                    (object_of(node)[0], tag): node
                    for node in nodes
                    if layer_of(node) == TAG_LAYER
                    for tag in tags_of(node)
                }
            )
        old, new = sides
        found = [
            self._compare_tag(connection, object_name, tag, old.get((object_name, tag)), new.get((object_name, tag)))
            for object_name, tag in sorted(old.keys() | new.keys())
        ]
        return tuple(sorted(found, key=lambda tag: (-tag.share, tag.object, tag.name)))

    def _compare_tag(
        self,
        connection: duckdb.DuckDBPyConnection,
        object_name: str,
        tag: str,
        old: ManifestNode | None,
        new: ManifestNode | None,
    ) -> TagDifference:
        node = new or old
        key = object_of(node)[1]
        metas = [tag_meta(one, tag) or {} if one else None for one in (old, new)]
        hide = any(meta and meta.get("personal_data") == "direct" for meta in metas)
        data_type = _pair(connection, object_name, key, tag, old is not None, new is not None)
        objects, changed, *filled = connection.execute(
            "select count(*), count_if(one is distinct from other), count(one), count(other) from pair"
        ).fetchall()[0]
        label = values.labels(connection, "pair", ["one", "other"], data_type, hide=hide)
        befores, afters = (values.counts(connection, "pair", column, label) for column in ("one", "other"))
        return TagDifference(
            object=object_name,
            name=tag,
            model=node.name,
            twin=str(node.patch_path or node.original_file_path).partition("://")[2] or node.original_file_path,
            status=tuple(meta.get("status") if meta is not None else None for meta in metas),
            version=tuple(meta.get("version", 1) if meta is not None else None for meta in metas),
            is_own_change=node.unique_id in self._own,
            objects=objects,
            changed=changed,
            filled=tuple(filled),
            spread=tuple(
                (name, befores.get(name, 0), afters.get(name, 0)) for name in values.in_order(label, befores, afters)
            ),
            transitions=_transitions(connection, label),
        )

    def compare_audiences(self, connection: duckdb.DuckDBPyConnection) -> tuple[AudienceDifference, ...]:
        """How the members of the audiences put aside differ."""
        rows = connection.execute(
            "select table_name, list(schema_name), first(column_name) from duckdb_columns() "
            f"where schema_name in ('before', 'after') and starts_with(table_name, '{AUDIENCES}') and column_index = 1 "
            "group by table_name order by table_name"
        ).fetchall()
        found = []
        for name, schemas, key in rows:
            keys = [
                f'select "{key}" as key from {schema}."{name}"'
                if schema in schemas
                else "select null as key where false"
                for schema in ("before", "after")
            ]
            before, after, entered, left = connection.execute(
                "select count(one.key), count(other.key), count_if(one.key is null), count_if(other.key is null) "
                f"from ({keys[0]}) as one full join ({keys[1]}) as other on one.key = other.key"
            ).fetchall()[0]
            sizes = (before if "before" in schemas else None, after if "after" in schemas else None)
            found.append(AudienceDifference(name.removeprefix(AUDIENCES), *sizes, entered, left))
        return tuple(found)

    def model_differences(
        self, seconds_before: dict[str, float], seconds_after: dict[str, float]
    ) -> tuple[ModelDifference, ...]:
        """The models whose definition differs, then those that read them; written tables are left out."""
        found = []
        for project, names in ((self._after, self._moved), (self._before, set(self._found.gone))):
            for unique_id in names:
                node = project.node(unique_id)
                if unique_id not in self._relevant[project] or _is_written(project, unique_id):
                    continue
                if unique_id not in self._own and unique_id not in self.targets(project):
                    continue
                because = self._found.because.get(unique_id) or (
                    ("gone",) if unique_id in self._found.gone else self._reads(node)
                )
                seconds = seconds_before.get(node.name), seconds_after.get(node.name)
                found.append(ModelDifference(node.name, because, *seconds))
        return tuple(sorted(found, key=lambda model: (model.because[0].startswith("reads"), model.name)))

    def _reads(self, node: ManifestNode) -> tuple[str, ...]:
        own = sorted(
            name.rpartition(".")[2]
            for name in below(self._after, [node.unique_id]) & self._own
            if not _is_written(self._after, name)
        )
        return tuple(f"reads {name}" for name in own[:3]) or ("reads changed models",)


def _is_written(project: Project, unique_id: str) -> bool:
    """Whether a model is one of those that `make tags` writes."""
    node = project.node(unique_id)
    return node is not None and layer_of(node) in ("tag_integration", "seeds")


def _keep_values(
    connection: duckdb.DuckDBPyConnection, schema: str, object_name: str, nodes: Iterable[ManifestNode]
) -> None:
    """One row per object in <schema>.values_<object>: of published tags what readers see, of others the model's."""
    key = object_of(next(iter(nodes)))[1]
    wide = f"{object_name}_tags"
    in_wide = {
        name
        for (name,) in connection.execute(
            "select column_name from duckdb_columns() where schema_name = 'tag_integration' and table_name = ?", [wide]
        ).fetchall()
    }
    columns, joins = [], []
    spine = [f'select "{key}" from tag_integration."{wide}"'] if key in in_wide else []
    if object_name == "person":
        spine = [f'select "{key}" from identity_mapping.persons']
    from_wide = False
    for node in nodes:
        aside = []
        for tag in tags_of(node):
            meta = tag_meta(node, tag) or {}
            if tag in in_wide and meta.get("status") == "published":
                columns.append(f'wide."{tag}"')
                from_wide = True
            else:
                aside.append(f'{_filled(f"{node.name}.{_quoted(tag)}", meta.get("if_missing"))} as "{tag}"')
        if aside:
            columns += aside
            joins.append(f'left join {node.schema}."{node.name}" as {node.name} using ("{key}")')
            if object_name != "person":
                spine.append(f'select "{key}" from {node.schema}."{node.name}"')
    if from_wide:
        joins.insert(0, f'left join tag_integration."{wide}" as wide using ("{key}")')
    listed = ", ".join([f'"{key}"', *columns])
    connection.execute(
        f"create table {schema}.values_{object_name} as select {listed} "
        f"from ({' union '.join(spine)}) as spine {' '.join(joins)}"
    )


def _filled(column: str, if_missing: object) -> str:
    match if_missing:
        case "zero":
            return f"coalesce({column}, 0)"
        case False | "false":
            return f"coalesce({column}, false)"
        case _:
            return column


def _quoted(name: str) -> str:
    return f'"{name}"'


def _pair(
    connection: duckdb.DuckDBPyConnection, object_name: str, key: str, tag: str, is_old: bool, is_new: bool
) -> str:
    """Make the table `pair` of the values before (one) and after (other); the type that they are compared as."""
    tables = [f"before.values_{object_name}", f"after.values_{object_name}"]
    types = [
        connection.execute(f'select typeof("{tag}") from {table} limit 1').fetchall() if there else []
        for table, there in zip(tables, (is_old, is_new), strict=True)
    ]
    known = {rows[0][0] for rows in types if rows}
    data_type = known.pop() if len(known) == 1 else "VARCHAR"
    one, other = (
        f'{side}."{tag}"::{data_type}' if there else f"null::{data_type}"
        for side, there in (("one", is_old), ("other", is_new))
    )
    # On the side where the tag is not there the other one's objects stand for nobody.
    sources = [
        table if there else f"(from {tables[1 - place]} where false)"
        for place, (table, there) in enumerate(zip(tables, (is_old, is_new), strict=True))
    ]
    connection.execute(
        f"create or replace temp table pair as select {one} as one, {other} as other "
        f'from {sources[0]} as one full join {sources[1]} as other on one."{key}" = other."{key}"'
    )
    return data_type


def _transitions(connection: duckdb.DuckDBPyConnection, label: values.Labels) -> tuple[tuple[str, str, int], ...]:
    rows = connection.execute(
        f"select coalesce({label.sql('one')}, '{values.NULL}') as before, "
        f"coalesce({label.sql('other')}, '{values.NULL}') as after, count(*) as objects "
        "from pair where one is distinct from other group by before, after "
        f"order by before = after, objects desc, before, after limit {TRANSITIONS}"
    ).fetchall()
    return tuple(rows)
