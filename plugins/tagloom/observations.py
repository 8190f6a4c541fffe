"""Writes what follows from the source declarations: dbt's sources, and which identifiers were seen together."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import yaml

from tagloom.identity.policy import load_policy
from tagloom.sources import Source, SourceError, Table

WRITTEN_SQL = "-- Written by `make tags` from sources/*.yml; change those, not this file.\n"
WRITTEN_YAML = "# Written by `make tags` from sources/*.yml; change those, not this file.\n"


def source_files(sources: list[Source]) -> dict[Path, str]:
    """Path below dbt_project -> content, for every file that follows from the source declarations.

    Raises SourceError when no source says whom its rows identify.
    """
    files = {
        Path("models/staging") / source.name / f"_{source.name}__sources.yml": _dbt_source(source) for source in sources
    }
    folder = Path("models/identity_mapping")
    files[folder / "identity_observations.sql"] = _observations_sql(sources)
    files[folder / "identity_observations.yml"] = _observations_yaml()
    return files


def check_identifier_types(sources: list[Source], policy: Path) -> None:
    """Raise SourceError for identifier types that the policy does not know: nothing would ever join on them.

    Raises PolicyError when the policy itself is wrong.
    """
    known = list(load_policy(policy).identifier_types)
    problems = []
    for source in sources:
        for table in source.tables:
            for column, identifier_type in table.identifiers.items():
                if identifier_type not in known:
                    guess = get_close_matches(identifier_type, known, 1)
                    cure = f"did you mean {guess[0]}?" if guess else f"known are {', '.join(known)}."
                    problems.append(
                        f"{source.name}.yml: tables.{table.name}.identifiers.{column}: {identifier_type!r} is no "
                        f"identifier type of identity/{policy.name}; {cure}"
                    )
    if problems:
        raise SourceError("\n".join(problems))


def _dbt_source(source: Source) -> str:
    tables = [
        {
            "name": table.name,
            "description": table.title,
            "columns": [
                {
                    "name": column.name,
                    "description": column.description,
                    "data_type": column.sql_type,
                    "config": {"meta": {"personal_data": column.personal_data}},
                }
                for column in table.columns
            ],
        }
        for table in source.tables
    ]
    entry = {
        "name": source.name,
        "schema": source.raw_schema,
        "description": source.title,
        "config": {
            "meta": {
                "title_zh": source.title_zh,
                "owner": source.owner,
                "party": source.party,
                "consent_basis": source.consent_basis,
                "licence": source.licence,
            }
        },
        "tables": tables,
    }
    return WRITTEN_YAML + yaml.safe_dump({"sources": [entry]}, sort_keys=False, allow_unicode=True, width=118)


def _observations_sql(sources: list[Source]) -> str:
    tables = [(source, table) for source in sources for table in source.tables if table.identifiers]
    if not tables:
        raise SourceError("no source declares identifiers; at least one table must say whom its rows identify")
    parts = [f"{WRITTEN_SQL}with {_policy_cte()}"]
    parts += [_records_cte(source, table) for source, table in tables]
    selects = [
        _identifier_select(source, table, column, identifier_type)
        for source, table in tables
        for column, identifier_type in table.identifiers.items()
    ]
    parts.append("identifiers_in_records as (\n" + "\n    union all\n".join(selects) + "\n)")
    parts.append(_OBSERVATIONS_CTE)
    return ",\n\n".join(parts) + "\n\nselect * from observations\n"


def _policy_cte() -> str:
    return """policy as (
    select
        identifier_type,
        blocked_pattern
    from {{ ref('identity_policy') }}
)"""


_OBSERVATIONS_CTE = """observations as (
    -- a record may hold the same identifier in two columns, such as two phone numbers
    select distinct
        identifiers_in_records.source,
        identifiers_in_records.record_hash,
        identifiers_in_records.identifier_type,
        identifiers_in_records.identifier_hash,
        coalesce(
            {{ tagloom.matches('identifiers_in_records.identifier', 'policy.blocked_pattern') }}, false
        ) as is_blocked,
        identifiers_in_records.first_seen_at,
        identifiers_in_records.last_seen_at,
        identifiers_in_records.records
    from identifiers_in_records
    inner join policy
        on identifiers_in_records.identifier_type = policy.identifier_type
)"""


def _records_cte(source: Source, table: Table) -> str:
    columns = list(table.identifiers)
    column_list = "".join(f"        {column},\n" for column in columns)
    first_seen, last_seen, known = "null", "null", ""
    if table.event_time:
        first_seen, last_seen = f"min({table.event_time})", f"max({table.event_time})"
        local_date = f"'cast(' ~ tagloom.local_time('{table.event_time}') ~ ' as date)'"
        if table.column(table.event_time).type == "date":
            local_date = f"'{table.event_time}'"
        known = f"\n    where {{{{ tagloom.known_by_as_of_date({local_date}) }}}}"
    return f"""{source.name}__{table.name} as (
    select
{column_list}        {{{{ tagloom.record_hash(
            '{source.name}.{table.name}',
            {columns}
        ) }}}} as record_hash,
        cast({first_seen} as timestamp) as first_seen_at,
        cast({last_seen} as timestamp) as last_seen_at,
        count(*) as records
    from {{{{ ref('stg_{source.name}__{table.name}') }}}}{known}
    group by {", ".join(columns)}
)"""


def _identifier_select(source: Source, table: Table, column: str, identifier_type: str) -> str:
    return f"""    select
        '{source.name}' as source,
        record_hash,
        '{identifier_type}' as identifier_type,
        {column} as identifier,
        {{{{ tagloom.identifier_hash('{identifier_type}', '{column}') }}}} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from {source.name}__{table.name}
    where {column} is not null"""


def _observations_yaml() -> str:
    return (
        WRITTEN_YAML
        + """models:
  - name: identity_observations
    description: >-
      One row per source, distinct set of identifiers seen together in its records, and identifier. The last table that
      saw an identifier in the clear; it keeps the hash alone.
    data_tests:
      - unique_together: {arguments: {columns: [source, record_hash, identifier_type, identifier_hash]}}
    columns:
      - name: source
        description: Source system.
        data_type: varchar
        data_tests: [not_null]
      - name: record_hash
        description: Keyed hash of the set of identifiers that stood together.
        data_type: varchar
        data_tests: [not_null]
      - name: identifier_type
        description: Kind of identifier, see the seed identity_policy.
        data_type: varchar
        data_tests: [not_null]
      - name: identifier_hash
        description: Keyed hash of the normalised identifier.
        data_type: varchar
        data_tests: [not_null]
      - name: is_blocked
        description: The value is a made-up one that the policy blocks.
        data_type: boolean
        data_tests: [not_null]
      - name: first_seen_at
        description: First record of the set, UTC; null where the table has no event time.
        data_type: timestamp
      - name: last_seen_at
        description: Last record of the set, UTC; null where the table has no event time.
        data_type: timestamp
      - name: records
        description: How many records hold the set.
        data_type: bigint
"""
    )
