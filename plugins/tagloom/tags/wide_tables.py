"""Writes the tables of the tag integration layer, one row per object, as plain SQL, and the view that has all columns.

The rule: one physical table per object, category and sensitivity. `<object>_tags_<category>` holds the tags that are
no direct personal data, `<object>_tags_<category>_personal` those that are, so that each can be granted on its own; a
table of more than MOST_TAGS tags goes on in `_2`, `_3`. `<object>_tags` is a view over all of them: no second copy.
Readers see the one wide table; its parts are not published.

A stale value (`known_on` longer ago than `valid_for`) is null here; `tag_stale_values` says why.

dbt cannot find models by looping over its graph, and lists kept by hand drift; so the refs are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tagloom.tags.definitions import Tag, TagModel
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, WRITTEN_VIEW, published, twin

MOST_TAGS = 60
"""Tags of one physical table."""

STALE_VALUES = FOLDER / "tag_stale_values.sql"


@dataclass(frozen=True)
class WideTable:
    """A physical table of the tag integration layer."""

    name: str
    object: str
    key: str
    category: str
    is_personal: bool
    """Whether its tags are direct personal data."""
    tags: dict[str, list[Tag]] = field(default_factory=dict)
    """Tag model -> those of its tags that are columns of this table, in catalogue order."""

    @property
    def columns(self) -> list[Tag]:
        """Every tag of the table in the order of its columns."""
        return [tag for tags in self.tags.values() for tag in tags]


def wide_tables(object_name: str, models: list[TagModel]) -> list[WideTable]:
    """The physical tables of one object's published tags, in the order in which the view has them."""
    tables = []
    for category, group in groupby(models, key=lambda model: model.category):
        members = list(group)
        for is_personal in (False, True):
            chosen = [
                (model, tag)
                for model in members
                for tag in published(model)
                if (tag.personal_data == "direct") == is_personal
            ]
            name = f"{object_name}_tags_{category}{'_personal' if is_personal else ''}"
            for number, start in enumerate(range(0, len(chosen), MOST_TAGS), start=1):
                tags: dict[str, list[Tag]] = {}
                for model, tag in chosen[start : start + MOST_TAGS]:
                    tags.setdefault(model.name, []).append(tag)
                table = name if number == 1 else f"{name}_{number}"
                tables.append(WideTable(table, object_name, members[0].key, category, is_personal, tags))
    return tables


def wide_table_files(object_name: str, models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the tables of one object's models, and of the view over them."""
    folder = FOLDER / object_name
    files: dict[Path, str] = {}
    key = models[0].key
    spine = f"{object_name}_tags_spine"
    if object_name != "person":
        files[folder / f"{spine}.sql"] = _spine_sql(key, models)
        files[folder / f"{spine}.yml"] = _table_yaml(
            spine,
            f"One row per {object_name} that any tag model knows.",
            object_name,
            key,
            [],
            is_published=False,
        )
    tables = wide_tables(object_name, models)
    for table in tables:
        sensitivity = "direct personal data" if table.is_personal else "no direct personal data"
        files[folder / f"{table.name}.sql"] = _table_sql(table)
        files[folder / f"{table.name}.yml"] = _table_yaml(
            table.name,
            f"One row per {object_name}: tags of category {table.category}, {sensitivity}.",
            object_name,
            key,
            table.columns,
            is_published=False,
        )
    wide = f"{object_name}_tags"
    files[folder / f"{wide}.sql"] = _view_sql(object_name, key, tables)
    files[folder / f"{wide}.yml"] = _table_yaml(
        wide,
        f"One row per {object_name}: every published tag, over the tables of each category.",
        object_name,
        key,
        [tag for table in tables for tag in table.columns],
    )
    return files


def stale_value_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the view that says which values are null because they are stale."""
    selects = [
        _stale_select(model, tag) for model in models for tag in published(model) if tag.known_on
    ] or _NO_STALE_SELECT
    columns = {
        "object": ("What carries the tag.", "varchar"),
        "object_id": ("The object's key as text.", "varchar"),
        "tag": ("Name of the tag, null in the wide tables for this object.", "varchar"),
        "known_on": ("The day on which the value was last learnt.", "date"),
        "valid_days": ("Days after which it is stale, the tag's valid_for.", "integer"),
        "reason": ("Why it is null, as a sentence.", "varchar"),
    }
    described = [
        {"name": name, "description": description, "data_type": data_type}
        for name, (description, data_type) in columns.items()
    ]
    body = "\n    union all\n".join(selects)
    return {
        STALE_VALUES: f"{WRITTEN_VIEW}with stale_values as (\n{body}\n)\n\nselect * from stale_values\n",
        STALE_VALUES.with_suffix(".yml"): twin(
            "tag_stale_values",
            "One row per object and published tag whose value was learnt too long ago to be shown.",
            described,
            [{"unique_together": {"arguments": {"columns": ["object", "object_id", "tag"]}}}],
        ),
    }


_NO_STALE_SELECT = [
    """    select
        cast(null as {{ dbt.type_string() }}) as object,
        cast(null as {{ dbt.type_string() }}) as object_id,
        cast(null as {{ dbt.type_string() }}) as tag,
        cast(null as date) as known_on,
        cast(null as integer) as valid_days,
        cast(null as {{ dbt.type_string() }}) as reason
    where 1 = 0"""
]


def _stale_select(model: TagModel, tag: Tag) -> str:
    return f"""    select
        '{model.object}' as object,
        cast({model.key} as {{{{ dbt.type_string() }}}}) as object_id,
        '{tag.name}' as tag,
        {tag.known_on} as known_on,
        {tag.valid_days} as valid_days,
        concat('not learnt again since ', cast({tag.known_on} as {{{{ dbt.type_string() }}}})) as reason
    from {{{{ ref('{model.name}') }}}}
    where
        {tag.name} is not null
        and {_is_stale(tag)}"""


def _is_stale(tag: Tag, table: str = "") -> str:
    column = f"{table}.{tag.known_on}" if table else tag.known_on
    return f"{column} < {{{{ tagloom.days_before_as_of({tag.valid_days}) }}}}"


def _spine_ref(object_name: str) -> str:
    return "persons" if object_name == "person" else f"{object_name}_tags_spine"


def _spine_sql(key: str, models: list[TagModel]) -> str:
    selects = "\n    union\n".join(f"    select {key}\n    from {{{{ ref('{model.name}') }}}}" for model in models)
    return f"{WRITTEN_SQL}with known_keys as (\n{selects}\n)\n\nselect * from known_keys\n"


def _table_sql(table: WideTable) -> str:
    values = [_value(model, tag) for model, tags in table.tags.items() for tag in tags]
    needed = {
        model: [*(tag.name for tag in tags), *sorted({tag.known_on for tag in tags if tag.known_on})]
        for model, tags in table.tags.items()
    }
    # A tag may be the date that another one is known on.
    needed = {model: list(dict.fromkeys(names)) for model, names in needed.items()}
    return WRITTEN_SQL + _side_by_side_sql(table.object, table.key, needed, values, join="left")


def _view_sql(object_name: str, key: str, tables: list[WideTable]) -> str:
    values = [f"{table.name}.{tag.name}" for table in tables for tag in table.columns]
    needed = {table.name: [tag.name for tag in table.columns] for table in tables}
    return WRITTEN_VIEW + _side_by_side_sql(object_name, key, needed, values, join="inner")


def _side_by_side_sql(object_name: str, key: str, needed: dict[str, list[str]], values: list[str], join: str) -> str:
    """SQL of one row per object: the spine, joined with each table, and the given select expressions."""
    ctes = [f"spine as (\n    select {key}\n    from {{{{ ref('{_spine_ref(object_name)}') }}}}\n)"]
    joins = []
    for table, names in needed.items():
        columns = ",\n".join(f"        {name}" for name in (key, *names))
        ctes.append(f"{table} as (\n    select\n{columns}\n    from {{{{ ref('{table}') }}}}\n)")
        joins.append(f"    {join} join {table}\n        on spine.{key} = {table}.{key}")
    lines = ",\n".join(f"        {value}" for value in (f"spine.{key}", *values))
    ctes.append(f"side_by_side as (\n    select\n{lines}\n    from spine\n" + "\n".join(joins) + "\n)")
    return "with " + ",\n\n".join(ctes) + "\n\nselect * from side_by_side\n"


def _value(table: str, tag: Tag) -> str:
    """Select expression of a tag: what is missing is filled as declared, what is stale is null."""
    column = f"{table}.{tag.name}"
    match tag.if_missing:
        case "zero":
            filled = f"cast(coalesce({column}, 0) as {tag.data_type.replace(',', ', ')})"
        case "false":
            filled = f"coalesce({column}, false)"
        case _:
            filled = column
    if tag.known_on:
        filled = (
            f"case\n            when {_is_stale(tag, table)}\n                then null\n"
            f"            else {filled}\n        end"
        )
    return filled if filled == column else f"{filled} as {tag.name}"


def _table_yaml(
    table: str, grain: str, object_name: str, key: str, tags: list[Tag], *, is_published: bool = True
) -> str:
    key_type = "bigint" if object_name == "person" else "varchar"
    columns: list[dict] = [
        {"name": key, "description": f"The {object_name}.", "data_type": key_type, "data_tests": ["not_null", "unique"]}
    ]
    columns += [{"name": tag.name, "description": tag.description, "data_type": tag.data_type} for tag in tags]
    return twin(table, grain, columns, is_published=is_published)
