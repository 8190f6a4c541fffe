"""Writes the history of tags: which values an object has had, and from when to when.

One table per physical table of the integration layer that has tags with a history, `<table>_history`: a row of it ends
when any of its tags changes. `tag_history` is the view over them in long form, `tag_histories` the macro that tells
`tags_as_of` and `training_set` which table holds which tag.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tagloom.tags.definitions import Tag, TagModel
from tagloom.tags.wide_tables import WideTable, wide_tables
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, twin

HISTORY_MACRO = Path("macros/tags_over_time/tag_histories.sql")
"""Where the macro is written, below the dbt project."""

_DAYS = """{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='as_of_date',
    full_refresh=false,
    on_schema_change='fail',
    meta={'updates': 'full_build'}
) }}

with this_day as (
    select {{ tagloom.as_of_date() }} as as_of_date
)

select * from this_day
"""

_PERIODS = """{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['@key', 'valid_from'],
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build', 'published': false}
) }}

with history as (
    {{ tagloom.changed_periods(ref('@table'), ref('tag_history_days'), '@key', {
@columns
    }) }}
)

select * from history
"""

_LONG_FORM = """,

beginnings as (
    select
        object,
        object_id,
        tag,
        value,
        valid_from,
        valid_to,
        case
            when
                lag(valid_to) over (partition by object, object_id, tag order by valid_from) = valid_from
                and lag(value) over (partition by object, object_id, tag order by valid_from) = value
                then 0
            else 1
        end as begins
    from periods
),

numbered as (
    select
        object,
        object_id,
        tag,
        value,
        valid_from,
        valid_to,
        sum(begins) over (
            partition by object, object_id, tag order by valid_from
            rows between unbounded preceding and current row
        ) as period_number
    from beginnings
),

merged as (
    select
        object,
        object_id,
        tag,
        value,
        min(valid_from) as valid_from,
        case when count(valid_to) = count(*) then max(valid_to) end as valid_to
    from numbered
    group by object, object_id, tag, value, period_number
)

select * from merged
"""

_NO_PERIODS = """    select
        cast(null as {{ dbt.type_string() }}) as object,
        cast(null as {{ dbt.type_string() }}) as object_id,
        cast(null as {{ dbt.type_string() }}) as tag,
        cast(null as {{ dbt.type_string() }}) as value,
        cast(null as date) as valid_from,
        cast(null as date) as valid_to
    where 1 = 0"""

_VIEW = """{{ config(
    materialized='view',
    meta={'updates': 'full_build', 'sort_key': ['object', 'tag', 'object_id', 'valid_from']}
) }}

"""

_VALID_FROM = "First day with these values; a day is as_of_date of a build."
_VALID_TO = "The day from which on they are others or the {object} is no more, null as long as neither is so"


def history_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the histories, of the view over them and of the macro that lists them."""
    tables = tables_with_history(models)
    files = {
        FOLDER / "tag_history_days.sql": WRITTEN_SQL + _DAYS,
        FOLDER / "tag_history_days.yml": twin(
            "tag_history_days",
            "One row per day that the history of tags knows. It survives a full refresh.",
            [
                {
                    "name": "as_of_date",
                    "description": "A day that was built.",
                    "data_type": "date",
                    "data_tests": ["not_null", "unique"],
                }
            ],
        ),
        FOLDER / "tag_history.sql": _view_sql(tables),
        FOLDER / "tag_history.yml": _view_yaml(tables),
        HISTORY_MACRO: _macro(tables),
    }
    for table, tags in tables:
        files[FOLDER / table.object / f"{table.name}_history.sql"] = _history_sql(table, tags)
        files[FOLDER / table.object / f"{table.name}_history.yml"] = _history_yaml(table, tags)
    return files


def tables_with_history(models: list[TagModel]) -> list[tuple[WideTable, list[Tag]]]:
    """The physical tables that hold tags with a history, with those tags."""
    tables = [
        table
        for object_name, group in groupby(models, key=lambda model: model.object)
        for table in wide_tables(object_name, list(group))
    ]
    with_tags = [(table, [tag for tag in table.columns if tag.history]) for table in tables]
    return [(table, tags) for table, tags in with_tags if tags]


def _history_sql(table: WideTable, tags: list[Tag]) -> str:
    columns = ",\n".join(f"        '{tag.name}': '{tag.data_type}'" for tag in tags)
    return WRITTEN_SQL + (
        _PERIODS.replace("@table", table.name).replace("@key", table.key).replace("@columns", columns)
    )


def _history_yaml(table: WideTable, tags: list[Tag]) -> str:
    columns: list[dict] = [
        {
            "name": table.key,
            "description": f"The {table.object}.",
            "data_type": "bigint" if table.object == "person" else "varchar",
            "data_tests": ["not_null", {"unique": {"config": {"where": "valid_to is null"}}}],
        },
        {"name": "valid_from", "description": _VALID_FROM, "data_type": "date", "data_tests": ["not_null"]},
        {
            "name": "valid_to",
            "description": _VALID_TO.format(object=table.object)
            + "; the same as valid_from where a row was taken back, which says nothing then.",
            "data_type": "date",
        },
    ]
    columns += [{"name": tag.name, "description": tag.description, "data_type": tag.data_type} for tag in tags]
    return twin(
        f"{table.name}_history",
        f"One row per {table.object} and time in which none of its tags of {table.name} with a history changed. It "
        "survives a full refresh.",
        columns,
    )


def _view_sql(tables: list[tuple[WideTable, list[Tag]]]) -> str:
    calls = [
        f"    {{{{ tagloom.tag_periods('{table.object}', ref('{table.name}_history'), '{table.key}', [\n"
        + ",\n".join(f"        '{tag.name}'" for tag in tags)
        + "\n    ]) }}"
        for table, tags in tables
    ] or [_NO_PERIODS]
    return f"{WRITTEN_SQL}{_VIEW}with periods as (\n" + "\n    union all\n".join(calls) + f"\n){_LONG_FORM}"


def _view_yaml(tables: list[tuple[WideTable, list[Tag]]]) -> str:
    columns = {
        "object": ("What carries the tag.", "varchar"),
        "object_id": ("The object's key as text.", "varchar"),
        "tag": ("Name of the tag.", "varchar"),
        "value": ("The value as text.", "varchar"),
        "valid_from": ("First day with the value; a day is as_of_date of a build.", "date"),
        "valid_to": ("The day from which on it is another or none, null as long as it is not.", "date"),
    }
    described = [
        {"name": name, "description": description, "data_type": data_type}
        for name, (description, data_type) in columns.items()
    ]
    # Over all tags it would read everything that was ever true, every day; one tag shows whether periods are merged.
    checked = tables[0][1][0].name if tables else ""
    return twin(
        "tag_history",
        "One row per object, tag with a history and time in which the value stayed the same.",
        described,
        [
            {
                "unique_together": {
                    "arguments": {"columns": ["object", "object_id", "tag", "valid_from"]},
                    "config": {"where": f"tag = '{checked}'"},
                }
            }
        ],
    )


def _macro(tables: list[tuple[WideTable, list[Tag]]]) -> str:
    objects = []
    for object_name, group in groupby(tables, key=lambda pair: pair[0].object):
        lines = ",\n".join(
            f"            '{table.name}_history': [\n"
            + ",\n".join(f"                '{tag.name}'" for tag in tags)
            + "\n            ]"
            for table, tags in group
        )
        objects.append(f"        '{object_name}': {{\n{lines}\n        }}")
    return (
        "{% macro tag_histories() -%}\n"
        "    {#- Written by `make tags` from the tag twins: object -> table of its history -> tags that it holds. -#}\n"
        "    {{ return({\n" + ",\n".join(objects) + "\n    }) }}\n{%- endmacro %}\n"
    )
