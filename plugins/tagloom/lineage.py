"""What depends on a table: which customer tags, audiences and reports are wrong when it is.

From dbt's manifest, which knows tables, and from the published catalogue of tags, which knows columns: from which
source tables a tag's values come, and which audiences and reports use it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

TAG_FOLDER = ("models", "tag_category")
AUDIENCE_FOLDER = ("models", "serving", "audiences")
SERVING_FOLDER = ("models", "serving")
IDENTITY_FOLDER = ("models", "identity_mapping")
INTEGRATION_FOLDER = ("models", "tag_integration")
READ_BY_THE_PORTAL = ("portal",)
"""Folder below models/serving of tables that the portal reads: nobody sends them."""

OBJECT = "person"
"""The object whose tags are called by their names alone; those of others are `<object>.<tag>`."""

BY_IDENTITY = "tags through identity mapping"
"""What `Dependents.lists` calls the tags of `tags_by_identity`."""


@dataclass(frozen=True)
class CataloguedTag:
    """What the catalogue says of one tag."""

    sources: frozenset[str]
    """<source>.<table> of every source table that its values come from, not those that only tell who is who."""
    used_by: frozenset[str]
    """Audiences, reports, exports and exposures that use it; other tags are `<object>.<tag>`."""


@dataclass(frozen=True)
class Dependents:
    """What stands on a table, directly or not, and the table itself where it is one of these. Sorted, each once."""

    tags: tuple[str, ...] = ()
    """Tag columns; of a tag model whose columns are not declared as tags, the model's name."""
    tags_by_identity: tuple[str, ...] = ()
    """Those of `tags` that depend on the table only because it helps to tell who is who: every system does."""
    audiences: tuple[str, ...] = ()
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Folder below models/serving -> models, such as reports and exports; `exposures` -> dbt exposures."""
    note: str = ""
    """Why nothing is known, when nothing is known."""
    by_identity: tuple[str, ...] = ()
    """Those of `audiences` and `others` that use no tag but `tags_by_identity`."""
    tables: tuple[str, ...] = ()
    """<schema>.<table> of the table and the models above it; wide tables of tags only when it is one."""

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """What is not empty, by what it is: tags (those by identity apart), audiences, reports ..."""
        own = tuple(tag for tag in self.tags if tag not in set(self.tags_by_identity))
        named = {"tags": own, BY_IDENTITY: self.tags_by_identity, "audiences": self.audiences, **self.others}
        return {name: members for name, members in named.items() if members}

    @property
    def held(self) -> dict[str, tuple[str, ...]]:
        """What must not be used while the table is wrong: kind -> names.

        Kinds: tag, audience, table, and the folders below models/serving in the singular, such as report and export.
        What depends on it through identity mapping alone is not held: every system helps to tell who is who, so
        everything would always be held. A table of identity mapping itself holds all that stands on it.
        """
        spared = {*self.by_identity}
        kept = {
            "tag": tuple(tag for tag in self.tags if tag not in set(self.tags_by_identity)),
            "audience": tuple(name for name in self.audiences if name not in spared),
            "table": self.tables,
        }
        kept |= {
            kind.removesuffix("s"): tuple(name for name in members if name not in spared)
            for kind, members in self.others.items()
        }
        return {kind: members for kind, members in kept.items() if members}


def load_manifest(path: Path) -> dict:
    """Read dbt's manifest.json; empty when it is missing or cut short, since a mail must go out all the same."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def dependents(manifest: dict, table: str, catalogue: Mapping[str, CataloguedTag] | None = None) -> Dependents:
    """Follow the lineage upwards from <schema>.<table>, a dbt source or model; `catalogue`: tag -> what is known of it.

    `raw_pos.*` stands for every table of the source. Tables that only say how well others are, such as the metrics of
    identity mapping or the statistics of tags, stand for these.
    """
    if not manifest:
        return Dependents(
            note="What depends on it is not known: dbt's manifest.json is missing; `dbt parse` writes it."
        )
    nodes = {**manifest.get("nodes", {}), **manifest.get("sources", {}), **manifest.get("exposures", {})}
    starts = {name for name, node in nodes.items() if _table(node) == table or _is_of(_table(node), table)}
    if not starts:
        return Dependents(note=f"What depends on {table} is not known: no dbt source or model makes or reads it.")

    children = manifest.get("child_map", {})
    identity = {name for name, node in nodes.items() if _folders(node)[:2] == IDENTITY_FOLDER}
    wide = {name for name, node in nodes.items() if _folders(node)[:2] == INTEGRATION_FOLDER} - starts
    if starts <= identity and not any(_tags(nodes[name]) for name in _reach(starts, children) & nodes.keys()):
        starts = identity
    reached = _reach(starts, children)
    directly = reached if starts & identity else _reach(starts, children, identity)
    narrowly = _reach(starts, children, wide if starts & identity else identity | wide)

    tags = {tag for name in reached & nodes.keys() for tag in _tags(nodes[name])}
    direct_tags = {tag for name in directly & nodes.keys() for tag in _tags(nodes[name])}
    for name in starts:
        if _folders(nodes[name])[:2] == INTEGRATION_FOLDER:
            inside = {tag for below in _tags_below(manifest, name) for tag in _tags(nodes[below])}
            tags |= inside
            direct_tags |= inside
    sources = {source for name in starts for source in _source_tables(manifest, name)}
    if catalogue and sources:
        # Columns are exact, filters and joins among them: models only answer for tags that are new.
        direct_tags -= catalogue.keys()
        direct_tags |= tags & {tag for tag, known in catalogue.items() if known.sources & sources}

    audiences: set[str] = set()
    others: dict[str, set[str]] = defaultdict(set)
    spared: set[str] = set()
    used_by_direct = {user for tag in direct_tags if tag in (catalogue or {}) for user in catalogue[tag].used_by}
    for name in nodes:
        node, folders = nodes[name], _folders(nodes[name])
        # The statistics of a tag are read by no audience; the tag is.
        if name not in reached and not (folders[:2] == SERVING_FOLDER and node["name"] in used_by_direct):
            continue
        match node.get("resource_type"):
            case "exposure":
                shown = node.get("label") or node["name"]
                others["exposures"].add(shown)
            case "model" if folders[:3] == AUDIENCE_FOLDER:
                shown = node["name"]
                audiences.add(shown)
            case "model" if folders[:2] == SERVING_FOLDER and folders[2:3] != READ_BY_THE_PORTAL:
                shown = node["name"]
                others[folders[2] if len(folders) > 2 else "serving"].add(shown)
            case _:
                continue
        is_hit = name in directly if not catalogue else name in narrowly or node["name"] in used_by_direct
        if not is_hit:
            spared.add(shown)
    return Dependents(
        tags=tuple(sorted(tags)),
        tags_by_identity=tuple(sorted(tags - direct_tags)),
        audiences=tuple(sorted(audiences)),
        others={name: tuple(sorted(members)) for name, members in sorted(others.items())},
        by_identity=tuple(sorted(spared)),
        tables=tuple(sorted({found for name in narrowly & nodes.keys() if (found := _table(nodes[name]))})),
    )


def everything(manifest: dict) -> Dependents:
    """All tags, audiences, reports and tables that dbt builds: what is stale when a build does not come to its end."""
    nodes = {**manifest.get("nodes", {}), **manifest.get("exposures", {})}
    return together(
        [
            Dependents(
                tags=tuple(tag for node in nodes.values() for tag in _tags(node)),
                tables=tuple(_table(node) for node in nodes.values() if node.get("resource_type") == "model"),
            ),
            *(dependents(manifest, table) for table in _tables_of(nodes, INTEGRATION_FOLDER)),
            *(dependents(manifest, table) for table in _tables_of(nodes, SERVING_FOLDER)),
        ]
    )


def together(found: Iterable[Dependents]) -> Dependents:
    """What depends on any of several tables."""
    found = list(found)
    others: dict[str, set[str]] = defaultdict(set)
    for one in found:
        for kind, members in one.others.items():
            others[kind] |= {*members}
    own_tags = {tag for one in found for tag in one.tags if tag not in set(one.tags_by_identity)}
    users = [{*one.audiences, *(name for members in one.others.values() for name in members)} for one in found]
    hit = {name for one, names in zip(found, users, strict=True) for name in names - {*one.by_identity}}
    return Dependents(
        tags=tuple(sorted({tag for one in found for tag in one.tags})),
        tags_by_identity=tuple(sorted({tag for one in found for tag in one.tags} - own_tags)),
        audiences=tuple(sorted({name for one in found for name in one.audiences})),
        others={kind: tuple(sorted(members)) for kind, members in sorted(others.items())},
        note=" ".join(dict.fromkeys(one.note for one in found if one.note)),
        by_identity=tuple(sorted(set().union(*users) - hit)),
        tables=tuple(sorted({table for one in found for table in one.tables})),
    )


def tables_of_nodes(manifest: dict, names: Iterable[str], *, compared: bool = False) -> list[str]:
    """<schema>.<table> of the models, seeds and snapshots of these names; of a data test, the one that it is about.

    A data test over several tables is about all of them. With `compared`, so is every other one: a relationship looks
    at the table that its values must be in, too.
    """
    nodes, wanted = manifest.get("nodes", {}), set(names)
    found: set[str] = set()
    for node in nodes.values():
        if node.get("name") not in wanted:
            continue
        looked_at = [node]
        if node.get("resource_type") == "test":
            about = [node["attached_node"]] if node.get("attached_node") and not compared else None
            looked_at = [nodes[key] for key in about or node.get("depends_on", {}).get("nodes", ()) if key in nodes]
        found |= {table for one in looked_at if (table := _table(one))}
    return sorted(found)


def _is_of(table: str | None, pattern: str) -> bool:
    schema, _, name = pattern.partition(".")
    return name == "*" and table is not None and table.startswith(f"{schema}.")


def _tables_of(nodes: dict, folder: tuple[str, ...]) -> list[str]:
    return [table for node in nodes.values() if _folders(node)[:2] == folder and (table := _table(node))]


def _tags(node: dict) -> set[str]:
    """The tags that a tag model makes, none for any other node."""
    folders = _folders(node)
    if node.get("resource_type") != "model" or folders[:2] != TAG_FOLDER:
        return set()
    names = _tag_columns(node) or {node["name"]}
    kind = folders[2] if len(folders) > 2 else OBJECT
    return names if kind == OBJECT else {f"{kind}.{name}" for name in names}


def _tags_below(manifest: dict, start: str) -> set[str]:
    """Tag models that a table of the integration layer is made of."""
    nodes, parents = manifest.get("nodes", {}), manifest.get("parent_map", {})
    waiting, found, seen = [start], set(), set()
    while waiting:
        for name in set(parents.get(waiting.pop(), ())) & nodes.keys() - seen:
            seen.add(name)
            if _tags(nodes[name]):
                found.add(name)
            elif _folders(nodes[name])[:2] == INTEGRATION_FOLDER:
                waiting.append(name)
    return found


def _source_tables(manifest: dict, name: str) -> set[str]:
    """<source>.<table> of a dbt source, or of those that a staging view reads."""
    sources = manifest.get("sources", {})
    below = [name] if name in sources else manifest.get("parent_map", {}).get(name, ())
    return {
        f"{sources[one]['schema'].removeprefix('raw_')}.{sources[one]['identifier']}" for one in below if one in sources
    }


def _reach(starts: set[str], children: dict[str, list[str]], closed: Iterable[str] = ()) -> set[str]:
    """Every node above the starts, and these, without walking into the closed ones."""
    reached, waiting, closed = {*starts}, [*starts], {*closed}
    while waiting:
        new = set(children.get(waiting.pop(), ())) - reached - closed
        reached |= new
        waiting.extend(new)
    return reached


def _folders(node: dict) -> tuple[str, ...]:
    return PurePosixPath(node.get("original_file_path", "").replace("\\", "/")).parts[:-1]


def _table(node: dict) -> str | None:
    if node.get("resource_type") not in ("source", "model", "seed", "snapshot"):
        return None
    return f"{node.get('schema')}.{node.get('identifier') or node.get('alias') or node.get('name')}"


def _tag_columns(node: dict) -> set[str]:
    """Columns that say they are customer tags, in either place where dbt keeps a column's meta."""
    return {
        name
        for name, column in node.get("columns", {}).items()
        if {**column.get("meta", {}), **column.get("config", {}).get("meta", {})}.get("tag")
    }
